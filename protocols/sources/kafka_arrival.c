/* SPDX-License-Identifier: Apache-2.0 */
/* An event is read as one first; where it breaks the rules of CloudEvents its record is a plain one
 * with plain headers: what is in Kafka already cannot be refused to anybody's use. */
#include "protocols/sources/kafka_arrival.h"

#include "broker/channels/id.h"
#include "broker/limits.h"
#include "broker/support/clock.h"
#include "broker/support/json.h"
#include "broker/support/utf8.h"
#include "protocols/cloudevents.h"
#include "protocols/http/media_type.h"
#include "protocols/message_object.h"
#include "protocols/message_text.h"
#include "protocols/rest/media.h"

#define EVENT_PREFIX "ce_"
#define EVENT_JSON "application/cloudevents+json"
#define HEADERS_READ_MAX (MESSAGE_HEADERS_MAX + 32) /* with those that become fields */
#define TIME_MS_MAX INT64_C(253402300799999)        /* the end of the year 9999 */

/* What a record's headers say. */
struct reading {
    const struct kafka_arrival *record;
    uint64_t log_id;
    struct buffer *headers; /* of the message */
    struct cloudevent event;
    bool is_event; /* of binary mode: `ce_…` are attributes */
    struct span type;
    struct span name; /* of the event */
    struct span key;
    struct span channel; /* of the log that it came from */
    struct span id;      /* likewise; empty: it came from none … */
    struct span origin;  /* … and of the first log */
    bool is_own;
};

/* --- headers --------------------------------------------------------------------------------- */

static enum error_code on_type(struct reading *reading, struct span value) {
    reading->type = value;
    return OK;
}

static enum error_code on_event(struct reading *reading, struct span value) {
    if (message_text_check(value, EVENT_BYTES_MAX, NULL) == OK) {
        reading->name = value;
    }
    return OK;
}

static enum error_code on_key(struct reading *reading, struct span value) {
    if (message_text_check(value, KEY_BYTES_MAX, NULL) == OK) {
        reading->key = value;
    }
    return OK;
}

static enum error_code on_channel(struct reading *reading, struct span value) {
    reading->channel = value;
    return OK;
}

static void note_log(struct reading *reading, struct span value, struct span *to) {
    struct place place;
    if (id_parse(value, &place)) {
        *to = value;
        reading->is_own |= place.log_id == reading->log_id;
    }
}

static enum error_code on_id(struct reading *reading, struct span value) {
    note_log(reading, value, &reading->id);
    return OK;
}

static enum error_code on_origin(struct reading *reading, struct span value) {
    note_log(reading, value, &reading->origin);
    return OK;
}

static enum error_code on_other_logs(struct reading *reading, struct span value) {
    (void)reading;
    (void)value;
    return OK;
}

/* Headers that are none of the message's. */
static const struct {
    const char *name;
    enum error_code (*on_value)(struct reading *reading, struct span value);
} rows[] = {
    {"content-type", on_type},
    {"tidings-event", on_event},
    {"tidings-key", on_key},
    {"tidings-channel", on_channel},
    {"tidings-id", on_id},
    {KAFKA_ORIGIN, on_origin},
    {"tidings-offset", on_other_logs},
    {KAFKA_TIMESTAMP, on_other_logs},
};

/* What may not stand in a message's header is left out: it is not for readers of text. */
static enum error_code put_header(struct reading *reading, struct span name, struct span value) {
    if (message_text_check(name, MESSAGE_HEADERS_BYTES_MAX, NULL) != OK ||
        (value.length > 0 && message_text_check(value, MESSAGE_HEADERS_BYTES_MAX, NULL) != OK)) {
        return OK;
    }
    enum error_code code = message_headers_put(reading->headers, name, value, NULL);
    return code == ERR_BAD_REQUEST ? OK : code; /* it came twice */
}

static enum error_code take_header(struct reading *reading, struct span name, struct span value) {
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (span_is_equal_nocase(name, span_of_string(rows[i].name))) {
            return rows[i].on_value(reading, value);
        }
    }
    if (reading->is_event && span_has_prefix(name, SPAN(EVENT_PREFIX))) {
        const size_t prefix = sizeof(EVENT_PREFIX) - 1;
        struct span attribute = span_of(name.bytes + prefix, name.length - prefix);
        return cloudevent_put(&reading->event, attribute, value, NULL);
    }
    return put_header(reading, name, value);
}

static bool is_last(const rd_kafka_headers_t *headers, const char *name, const void *value) {
    const void *last;
    size_t length;
    return rd_kafka_header_get_last(headers, name, &last, &length) != RD_KAFKA_RESP_ERR_NO_ERROR ||
           last == value;
}

static enum error_code take_headers(struct reading *reading) {
    const rd_kafka_headers_t *headers = reading->record->headers;
    const char *name;
    const void *value;
    size_t length;
    enum error_code code = OK;
    for (size_t i = 0;
         code == OK && headers != NULL &&
         rd_kafka_header_get_all(headers, i, &name, &value, &length) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        if (is_last(headers, name, value)) {
            code = take_header(reading, span_of_string(name), span_of(value, length));
        }
    }
    return code == OK && reading->is_event ? cloudevent_check(&reading->event, NULL) : code;
}

static void begin(struct reading *reading, const struct kafka_arrival *record, uint64_t log_id,
                  struct buffer *headers, bool is_event) {
    *reading = (struct reading){
        .record = record, .log_id = log_id, .headers = headers, .is_event = is_event};
    buffer_clear(headers);
    cloudevent_init(&reading->event, headers);
}

static bool has_header(const rd_kafka_headers_t *headers, const char *name) {
    const void *value;
    size_t length;
    return headers != NULL &&
           rd_kafka_header_get_last(headers, name, &value, &length) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* --- the value ------------------------------------------------------------------------------- */

static void classify(struct span type, struct span value, struct message_fields *fields) {
    struct media media;
    if (media_classify(type, value, &media, NULL) != OK &&
        media_classify((struct span){0}, value, &media, NULL) != OK &&
        media_classify(SPAN("text/plain"), value, &media, NULL) != OK) { /* too deep for JSON */
        media = (struct media){PAYLOAD_BINARY, SPAN("application/octet-stream")};
    }
    fields->payload = value;
    fields->payload_kind = media.payload_kind;
    fields->type = media.type;
}

/* An event of structured mode. False: it is none. */
static bool read_structured(struct reading *reading, struct buffer *scratch,
                            struct message_fields *fields) {
    struct json_value object;
    struct span value = reading->record->value;
    size_t headers_length = reading->headers->length;
    if (!media_type_is(reading->type, EVENT_JSON) || json_parse(value, &object, NULL, NULL) != OK ||
        buffer_reserve(scratch, message_object_scratch_bytes(value)) != OK) {
        return false;
    }
    struct message_fields of_event = *fields;
    if (cloudevent_parse(object, scratch, reading->headers, &of_event, NULL) != OK) {
        reading->headers->length = headers_length;
        return false;
    }
    *fields = of_event;
    return true;
}

static void read_value(struct reading *reading, struct buffer *scratch,
                       struct message_fields *fields) {
    if (!reading->record->has_value) {
        fields->payload = SPAN("null");
        fields->payload_kind = PAYLOAD_JSON;
    } else if (!read_structured(reading, scratch, fields)) {
        classify(reading->type, reading->record->value, fields);
    }
}

/* --- the record ------------------------------------------------------------------------------ */

/* A sink of Tidings gives a message that has no key its channel as one. */
static struct span key_of(const struct reading *reading) {
    struct span key = reading->record->key;
    if (reading->key.length > 0) {
        return reading->key;
    }
    bool is_channel = reading->id.length > 0 && span_is_equal(key, reading->channel);
    if (!is_channel && message_text_check(key, KEY_BYTES_MAX, NULL) == OK) {
        return key;
    }
    return reading->is_event ? reading->event.key : (struct span){0};
}

static enum error_code put_own_headers(struct reading *reading) {
    int64_t time_ms = reading->record->timestamp_ms;
    struct span origin = reading->origin.length > 0 ? reading->origin : reading->id;
    enum error_code code = OK;
    if (origin.length > 0) {
        code = message_headers_put(reading->headers, SPAN(KAFKA_ORIGIN), origin, NULL);
    }
    if (code == OK && time_ms >= 0 && time_ms <= TIME_MS_MAX) {
        char text[CLOCK_RFC3339_BYTES];
        clock_format_rfc3339((uint64_t)time_ms, text);
        code = message_headers_put(reading->headers, SPAN(KAFKA_TIMESTAMP), span_of_string(text),
                                   NULL);
    }
    return code;
}

enum error_code kafka_arrival_read(const struct kafka_arrival *record, uint64_t log_id,
                                   struct buffer *headers, struct buffer *scratch,
                                   struct message_fields *ret_fields, bool *ret_is_own,
                                   struct error *why) {
    struct reading reading;
    struct message_fields fields = {.kind = MESSAGE_DATA};
    enum error_code code = ERR_HEADERS_TOO_LARGE;
    buffer_clear(scratch);
    if (record->headers == NULL || rd_kafka_header_cnt(record->headers) <= HEADERS_READ_MAX) {
        begin(&reading, record, log_id, headers, has_header(record->headers, "ce_specversion"));
        code = take_headers(&reading);
        if (code != OK && reading.is_event) {
            begin(&reading, record, log_id, headers, false);
            code = take_headers(&reading);
        }
    }
    if (code == OK) {
        read_value(&reading, scratch, &fields);
        code = put_own_headers(&reading);
    }
    if (code != OK) {
        return error_set(why, code, "a message has %d headers of %d bytes at most",
                         MESSAGE_HEADERS_MAX, MESSAGE_HEADERS_BYTES_MAX);
    }
    fields.event = reading.is_event          ? reading.event.event
                   : reading.name.length > 0 ? reading.name
                                             : fields.event;
    struct span key = key_of(&reading);
    fields.key = key.length > 0 ? key : fields.key;
    fields.headers = buffer_borrow(headers);
    *ret_fields = fields;
    *ret_is_own = reading.is_own;
    return OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/mapping.h"

#include "broker/channels/id.h"
#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/support/string_map.h"
#include "broker/support/utf8.h"
#include "protocols/message_text.h"
#include "protocols/rest/media.h"

#define MS_PER_SECOND 1000

/* --- in ------------------------------------------------------------------------------------- */

struct taking {
    struct message_fields *fields;
    struct buffer *headers;
    struct span idempotency_key;
    struct error *why;
};

static enum error_code take_once(struct taking *taking, const char *name, struct span value,
                                 size_t bytes_max, struct span *ret_text) {
    if (ret_text->length > 0) {
        return error_set_field(taking->why, ERR_BAD_REQUEST, name, "`%s` is given twice", name);
    }
    enum error_code code = message_text_check(value, bytes_max, taking->why);
    if (code != OK) {
        return error_set_field(taking->why, ERR_BAD_REQUEST, name,
                               "`%s` has 1 to %zu bytes and no control characters", name,
                               bytes_max);
    }
    *ret_text = value;
    return OK;
}

static enum error_code take_event(struct taking *taking, struct span value) {
    return take_once(taking, MAPPING_EVENT, value, EVENT_BYTES_MAX, &taking->fields->event);
}

static enum error_code take_key(struct taking *taking, struct span value) {
    return take_once(taking, MAPPING_KEY, value, KEY_BYTES_MAX, &taking->fields->key);
}

static enum error_code take_idempotency_key(struct taking *taking, struct span value) {
    return take_once(taking, MAPPING_IDEMPOTENCY_KEY, value, IDEMPOTENCY_KEY_BYTES_MAX,
                     &taking->idempotency_key);
}

/* User properties that mean something here. */
static const struct {
    struct span name;
    enum error_code (*on_value)(struct taking *taking, struct span value);
} known[] = {
    {{(const uint8_t *)MAPPING_EVENT, sizeof(MAPPING_EVENT) - 1}, take_event},
    {{(const uint8_t *)MAPPING_KEY, sizeof(MAPPING_KEY) - 1}, take_key},
    {{(const uint8_t *)MAPPING_IDEMPOTENCY_KEY, sizeof(MAPPING_IDEMPOTENCY_KEY) - 1},
     take_idempotency_key},
};

static enum error_code take_user_property(struct taking *taking, struct span name,
                                          struct span value) {
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (span_is_equal(name, known[i].name)) {
            return known[i].on_value(taking, value);
        }
    }
    bool has_room =
        name.length + value.length <= MESSAGE_HEADERS_BYTES_MAX &&
        taking->headers->length + name.length + value.length + 4 <= MESSAGE_HEADERS_BYTES_MAX;
    return has_room ? string_map_put(taking->headers, name, value)
                    : error_set(taking->why, ERR_HEADERS_TOO_LARGE,
                                "the user properties of a message have %d bytes at most",
                                MESSAGE_HEADERS_BYTES_MAX);
}

static enum error_code take_user_properties(struct taking *taking, struct span rest) {
    struct span name, value;
    buffer_clear(taking->headers);
    while (mqtt_user_property_next(&rest, &name, &value)) {
        enum error_code code = take_user_property(taking, name, value);
        if (code != OK) {
            return code;
        }
    }
    taking->fields->headers = buffer_borrow(taking->headers);
    return OK;
}

/* MQTT promises to pass on whatever its publisher calls what: what is not of its type only loses
 * its meaning for readers of other protocols. But what is called JSON these would be told that it
 * is, so it has to be: ERR_BAD_JSON. An empty payload may be called anything: it clears what is
 * retained. */
static enum error_code take_kind(struct message_fields *fields, struct error *why) {
    struct media media = {.payload_kind = PAYLOAD_TEXT};
    enum error_code code = OK;
    if (fields->payload.length > 0) {
        code = media_classify(fields->type, fields->payload, &media, why);
    }
    if (code != OK && !media_is_json(fields->type)) {
        media.payload_kind = utf8_is_valid(fields->payload) ? PAYLOAD_TEXT : PAYLOAD_BINARY;
        code = OK;
    }
    fields->payload_kind = media.payload_kind;
    return code;
}

static enum error_code take_payload(const struct mqtt_publish *publish,
                                    struct message_fields *fields, struct error *why) {
    const struct mqtt_properties *properties = &publish->properties;
    bool has_type = mqtt_has(properties, MQTT_PROPERTY_CONTENT_TYPE);
    fields->payload = publish->payload;
    fields->type = has_type ? properties->content_type : (struct span){0};
    enum error_code code = take_kind(fields, why);
    if (code != OK || !mqtt_has(properties, MQTT_PROPERTY_PAYLOAD_FORMAT_INDICATOR) ||
        properties->payload_format_indicator == 0) {
        return code;
    }
    fields->flags |= MESSAGE_UTF8;
    bool is_text = fields->payload_kind != PAYLOAD_BINARY || utf8_is_valid(fields->payload);
    return is_text ? OK
                   : error_set_field(why, ERR_BAD_UTF8, "payload_format_indicator",
                                     "the payload is said to be UTF-8 and is not");
}

/* A lifetime of 0 is over at once, which 0 does not say in a message. */
static uint64_t ttl_of(const struct mqtt_properties *properties) {
    if (!mqtt_has(properties, MQTT_PROPERTY_MESSAGE_EXPIRY_INTERVAL)) {
        return 0;
    }
    uint64_t ttl_ms = (uint64_t)properties->message_expiry_interval * MS_PER_SECOND;
    return ttl_ms == 0 ? 1 : ttl_ms;
}

enum error_code mapping_take(const struct mqtt_publish *publish, struct span topic,
                             struct buffer *headers, struct message_fields *ret_fields,
                             struct span *ret_idempotency_key, struct error *why) {
    const struct mqtt_properties *properties = &publish->properties;
    *ret_fields =
        (struct message_fields){.kind = MESSAGE_DATA,
                                .flags = MESSAGE_MQTT | (publish->is_retained ? MESSAGE_RETAIN : 0),
                                .qos = publish->qos,
                                .ttl_ms = ttl_of(properties),
                                .channel = topic};
    if (mqtt_has(properties, MQTT_PROPERTY_RESPONSE_TOPIC)) {
        ret_fields->response_topic = properties->response_topic;
    }
    if (mqtt_has(properties, MQTT_PROPERTY_CORRELATION_DATA)) {
        ret_fields->correlation = properties->correlation_data;
    }
    struct taking taking = {.fields = ret_fields, .headers = headers, .why = why};
    enum error_code code = take_payload(publish, ret_fields, why);
    if (code == OK) {
        code = take_user_properties(&taking, properties->user_properties);
    }
    *ret_idempotency_key = taking.idempotency_key;
    return code;
}

/* --- out ------------------------------------------------------------------------------------ */

/* No string of MQTT has U+0000 [MQTT-1.5.4-2]; in the headers of other protocols it may stand. */
static bool is_sayable(struct span text) {
    return text.length == 0 || memchr(text.bytes, 0, text.length) == NULL;
}

static enum error_code put_given(struct buffer *properties, struct span name, struct span value) {
    return value.length == 0 || !is_sayable(value)
               ? OK
               : mqtt_user_property_put(properties, name, value);
}

enum error_code mapping_put_place(struct buffer *properties, const struct place *place) {
    uint8_t digits[SPAN_U64_DIGITS];
    char id[ID_TEXT_BYTES_MAX];
    enum error_code code =
        mqtt_user_property_put(properties, SPAN("offset"), span_format_u64(place->offset, digits));
    return code != OK
               ? code
               : mqtt_user_property_put(properties, SPAN("id"), span_of(id, id_format(place, id)));
}

static enum error_code put_skipped(struct buffer *properties, uint64_t skipped) {
    uint8_t digits[SPAN_U64_DIGITS];
    return skipped == 0 ? OK
                        : mqtt_user_property_put(properties, SPAN("skipped"),
                                                 span_format_u64(skipped, digits));
}

/* Whether the broker says something of that name, or would: a publisher's is not mixed with it. */
static bool is_ours(const struct message_fields *fields, const struct mapping_extras *extras,
                    struct span name) {
    bool is_place = span_is_equal(name, SPAN("offset")) || span_is_equal(name, SPAN("id"));
    bool is_skipped = span_is_equal(name, SPAN("skipped"));
    return (extras->has_place && (is_place || is_skipped)) || (extras->skipped > 0 && is_skipped) ||
           (fields->event.length > 0 && span_is_equal(name, SPAN(MAPPING_EVENT))) ||
           (fields->key.length > 0 && span_is_equal(name, SPAN(MAPPING_KEY)));
}

static enum error_code give_user_properties(const struct message *message,
                                            const struct mapping_extras *extras,
                                            struct buffer *properties) {
    const struct message_fields *fields = &message->fields;
    struct span rest = fields->headers, name, value;
    enum error_code code = put_given(properties, SPAN(MAPPING_EVENT), fields->event);
    if (code == OK) {
        code = put_given(properties, SPAN(MAPPING_KEY), fields->key);
    }
    while (code == OK && string_map_next(&rest, &name, &value)) {
        if (is_sayable(name) && is_sayable(value) && !is_ours(fields, extras, name)) {
            code = mqtt_user_property_put(properties, name, value);
        }
    }
    if (code == OK && extras->has_place) {
        code = mapping_put_place(properties, &message->place);
    }
    return code == OK ? put_skipped(properties, extras->skipped) : code;
}

/* Other protocols say by the kind what MQTT's publishers say by the indicator. */
static bool is_utf8(const struct message_fields *fields) {
    bool is_from_mqtt = (fields->flags & MESSAGE_MQTT) != 0;
    return is_from_mqtt ? (fields->flags & MESSAGE_UTF8) != 0
                        : fields->payload_kind != PAYLOAD_BINARY;
}

/* The received value less the time that the message waited [MQTT-3.3.2-6]; one that is about to
 * expire has a second left rather than none. */
static uint32_t seconds_left(const struct message *message, uint64_t now_ms) {
    uint64_t left_ms = message->expiry_ms > now_ms ? message->expiry_ms - now_ms : 1;
    uint64_t left_s = (left_ms + MS_PER_SECOND - 1) / MS_PER_SECOND;
    uint64_t given_s = message->expiry_ms - message->time_ms;
    given_s = (given_s + MS_PER_SECOND - 1) / MS_PER_SECOND;
    left_s = left_s > given_s ? given_s : left_s; /* the clock may have gone back */
    return left_s > UINT32_MAX ? UINT32_MAX : (uint32_t)left_s;
}

enum error_code mapping_give(const struct message *message, uint64_t now_ms,
                             const struct mapping_extras *extras, struct buffer *properties,
                             struct mqtt_publish *ret_publish) {
    const struct message_fields *fields = &message->fields;
    size_t start = properties->length;
    *ret_publish =
        (struct mqtt_publish){.topic = scope_visible(fields->channel), .payload = fields->payload};
    struct mqtt_properties *given = &ret_publish->properties;
    if (is_utf8(fields)) {
        mqtt_set_payload_format_indicator(given, 1);
    }
    if (message->expiry_ms != 0) {
        mqtt_set_message_expiry_interval(given, seconds_left(message, now_ms));
    }
    if (fields->type.length > 0 && is_sayable(fields->type)) {
        mqtt_set_content_type(given, fields->type);
    }
    if (fields->response_topic.length > 0) {
        mqtt_set_response_topic(given, fields->response_topic);
    }
    if (fields->correlation.length > 0) {
        mqtt_set_correlation_data(given, fields->correlation);
    }
    enum error_code code = give_user_properties(message, extras, properties);
    if (code == OK && properties->length > start) {
        mqtt_set_user_properties(given,
                                 span_of(properties->bytes + start, properties->length - start));
    }
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/kafka_record.h"

#include "broker/channels/id.h"
#include "broker/channels/scope.h"
#include "broker/support/invariant.h"
#include "broker/support/string_map.h"
#include "protocols/cloudevents.h"
#include "protocols/sinks/format.h"
#include "protocols/sinks/template.h"

#define HEADERS_EXPECTED 8
#define CLOUDEVENT_PREFIX SPAN("ce-")
#define ATTRIBUTE_BYTES_MAX 64 /* with its prefix; cloudevents.c takes no longer ones */
#define IS_NO_TOPIC "\"%.*s\" is no topic: at most %d letters, digits, `.`, `_` and `-`"

static const char *const topic_words[] = {"channel", NULL};
static const char *const key_words[] = {"channel", "key", NULL};

void kafka_record_init(struct kafka_record *record) {
    *record = (struct kafka_record){0};
    buffer_init(&record->topic, SCOPED_BYTES_MAX + KAFKA_KEY_BYTES_MAX);
    buffer_init(&record->key_bytes, KAFKA_KEY_BYTES_MAX);
    buffer_init(&record->value_bytes, KAFKA_VALUE_BYTES_MAX);
}

static void drop_headers(struct kafka_record *record) {
    if (record->headers != NULL) {
        rd_kafka_headers_destroy(record->headers);
        record->headers = NULL;
    }
}

void kafka_record_finish(struct kafka_record *record) {
    drop_headers(record);
    buffer_finish(&record->topic);
    buffer_finish(&record->key_bytes);
    buffer_finish(&record->value_bytes);
}

enum error_code kafka_record_check_topic(struct span text, struct error *why) {
    enum error_code code = template_check(text, topic_words, why);
    if (code != OK) {
        return code;
    }
    const struct template_value values[] = {{"channel", SPAN("x"), 0, 0}};
    struct buffer topic;
    buffer_init(&topic, SCOPED_BYTES_MAX + KAFKA_KEY_BYTES_MAX);
    code = template_put(&topic, text, values, ARRAY_COUNT(values));
    if (code == OK && !kafka_record_is_topic(buffer_borrow(&topic))) {
        code = error_set(why, ERR_CONFIG, IS_NO_TOPIC, SPAN_PRINTF(text), KAFKA_TOPIC_BYTES_MAX);
    }
    buffer_finish(&topic);
    return code;
}

enum error_code kafka_record_check_key(struct span text, struct error *why) {
    return template_check(text, key_words, why);
}

/* --- topic and key --------------------------------------------------------------------------- */

static enum error_code put_topic(struct kafka_record *record, const char *text, struct span channel,
                                 struct error *why) {
    const struct template_value values[] = {{"channel", channel, '/', '.'}};
    buffer_clear(&record->topic);
    enum error_code code =
        template_put(&record->topic, span_of_string(text), values, ARRAY_COUNT(values));
    if (code == OK) {
        code = buffer_put_byte(&record->topic, 0);
    }
    if (code != OK) {
        return error_set(why, code, "the topic's name has no room");
    }
    record->topic_name = span_of(record->topic.bytes, record->topic.length - 1);
    if (!kafka_record_is_topic(record->topic_name)) {
        return error_set(why, ERR_BAD_CHANNEL, IS_NO_TOPIC, 80, (const char *)record->topic.bytes,
                         KAFKA_TOPIC_BYTES_MAX);
    }
    return OK;
}

static enum error_code put_key(struct kafka_record *record, const char *text, struct span channel,
                               struct span key, struct error *why) {
    const struct template_value values[] = {{"channel", channel, 0, 0},
                                            {"key", key.length > 0 ? key : channel, 0, 0}};
    buffer_clear(&record->key_bytes);
    enum error_code code =
        template_put(&record->key_bytes, span_of_string(text), values, ARRAY_COUNT(values));
    record->key = buffer_borrow(&record->key_bytes);
    return code == OK ? OK : error_set(why, code, "the record's key has no room");
}

/* --- headers --------------------------------------------------------------------------------- */

/* The library's only failure is one of a list that is not ours to change, which this one is not. */
static void put_header(struct kafka_record *record, struct span name, struct span value) {
    IGNORE_RESULT(rd_kafka_header_add(record->headers, (const char *)name.bytes,
                                      (ssize_t)name.length, value.bytes,
                                      (ssize_t)value.length) != 0);
}

static void put_header_if_any(struct kafka_record *record, struct span name, struct span value) {
    if (value.length > 0) {
        put_header(record, name, value);
    }
}

static void put_own_headers(struct kafka_record *record, const struct message *message,
                            struct span media_type) {
    uint8_t digits[SPAN_U64_DIGITS];
    char id[ID_TEXT_BYTES_MAX];
    put_header_if_any(record, SPAN("content-type"), media_type);
    put_header(record, SPAN("tidings-channel"), scope_visible(message->fields.channel));
    put_header(record, SPAN("tidings-offset"), span_format_u64(message->place.offset, digits));
    put_header(record, SPAN("tidings-id"), span_of(id, id_format(&message->place, id)));
}

/* Those of the publisher but for `but`, a prefix. */
static void put_publishers_headers(struct kafka_record *record, const struct message *message,
                                   struct span but) {
    struct span rest = message->fields.headers, name, value;
    while (string_map_next(&rest, &name, &value)) {
        if (but.length == 0 || !span_has_prefix(name, but)) {
            put_header(record, name, value);
        }
    }
}

/* --- CloudEvents ----------------------------------------------------------------------------- */

/* `id` becomes ce_id; the media type has a header of its own (Kafka binding 1.0.2, section 3.2). */
static enum error_code put_attribute(void *context, struct span name, struct span value) {
    struct kafka_record *record = context;
    char text[ATTRIBUTE_BYTES_MAX];
    if (span_is_equal(name, SPAN("datacontenttype"))) {
        put_header(record, SPAN("content-type"), value);
        return OK;
    }
    int length = snprintf(text, sizeof(text), "ce_%.*s", SPAN_PRINTF(name));
    INVARIANT((size_t)length < sizeof(text));
    put_header(record, span_of(text, (size_t)length), value);
    return OK;
}

/* --- all of it ------------------------------------------------------------------------------- */

static enum error_code put_value(struct kafka_record *record, const struct sink_row *row,
                                 struct message *message, struct error *why) {
    if (row->format != SINK_FORMAT_ENVELOPE) {
        bool has_data = row->format == SINK_FORMAT_DATA || cloudevent_has_data(message);
        record->value = has_data ? message->fields.payload : (struct span){0};
        return OK;
    }
    const struct format format = {.format = SINK_FORMAT_ENVELOPE};
    buffer_clear(&record->value_bytes);
    enum error_code code = format_put(&record->value_bytes, &format, &message, 1);
    record->value = buffer_borrow(&record->value_bytes);
    return code == OK ? OK : error_set(why, code, "the envelope has no room");
}

static enum error_code put_headers(struct kafka_record *record, const struct sink_row *row,
                                   const struct message *message, struct error *why) {
    drop_headers(record);
    record->headers = rd_kafka_headers_new(HEADERS_EXPECTED);
    if (row->format == SINK_FORMAT_CLOUDEVENTS) {
        enum error_code code = cloudevent_each(message, put_attribute, record);
        put_publishers_headers(record, message, CLOUDEVENT_PREFIX);
        return code == OK ? OK : error_set(why, code, "no memory for the attributes");
    }
    const struct format format = {.format = row->format};
    put_own_headers(record, message, format_media_type(&format, message));
    if (row->format == SINK_FORMAT_DATA) {
        put_header_if_any(record, SPAN("tidings-event"), message->fields.event);
    }
    put_publishers_headers(record, message, (struct span){0});
    return OK;
}

/* As org.apache.kafka.common.internals.Topic has it. */
bool kafka_record_is_topic(struct span name) {
    return name.length <= KAFKA_TOPIC_BYTES_MAX &&
           span_consists_of(name, SPAN(SPAN_LETTERS SPAN_DIGITS "-_.")) &&
           !span_is_equal(name, SPAN(".")) && !span_is_equal(name, SPAN(".."));
}

enum error_code kafka_record_make(struct kafka_record *record, const struct sink_row *row,
                                  struct message *message, struct error *why) {
    struct span channel = scope_visible(message->fields.channel);
    enum error_code code = put_topic(record, row->kafka_topic, channel, why);
    if (code == OK) {
        code = put_key(record, row->kafka_key, channel, message->fields.key, why);
    }
    if (code == OK) {
        code = put_value(record, row, message, why);
    }
    return code == OK ? put_headers(record, row, message, why) : code;
}

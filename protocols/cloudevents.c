/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/cloudevents.h"

#include <stdio.h>

#include "broker/channels/id.h"
#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/support/base64.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/percent.h"
#include "broker/support/string_map.h"
#include "protocols/http/media_type.h"
#include "protocols/message_object.h"
#include "protocols/message_text.h"

#define HEADER_PREFIX "ce-"
#define ATTRIBUTE_NAME_BYTES_MAX 48 /* twice what section "Naming conventions" asks producers for */
#define SPECVERSION "1.0"
#define SOURCE_PREFIX "/channels/"
#define SOURCE_BYTES_MAX (sizeof(SOURCE_PREFIX) + 3 * CHANNEL_NAME_BYTES_MAX)
#define TYPE_UNNAMED "message"

/* --- attributes ------------------------------------------------------------------------------- */

static enum error_code blame(struct error *why, struct span name, const char *what) {
    char field[ATTRIBUTE_NAME_BYTES_MAX + 1];
    snprintf(field, sizeof(field), "%.*s", SPAN_PRINTF(name));
    return error_set_field(why, ERR_BAD_REQUEST, field, "`%s` %s", field, what);
}

static enum error_code put_header(struct cloudevent *event, struct span name, struct span value,
                                  struct error *why) {
    char full[sizeof(HEADER_PREFIX) + ATTRIBUTE_NAME_BYTES_MAX];
    int length = snprintf(full, sizeof(full), HEADER_PREFIX "%.*s", SPAN_PRINTF(name));
    INVARIANT(length > 0);
    return message_headers_put(event->headers, span_of(full, (size_t)length), value, why);
}

static enum error_code on_specversion(struct cloudevent *event, struct span name, struct span value,
                                      struct error *why) {
    return span_is_equal(value, SPAN(SPECVERSION))
               ? put_header(event, name, value, why)
               : error_set(why, ERR_BAD_REQUEST, "events are taken in version " SPECVERSION);
}

static enum error_code on_type(struct cloudevent *event, struct span name, struct span value,
                               struct error *why) {
    (void)name;
    event->event = value;
    return message_text_check(value, EVENT_BYTES_MAX, why);
}

static enum error_code on_partitionkey(struct cloudevent *event, struct span name,
                                       struct span value, struct error *why) {
    (void)name;
    event->key = value;
    return message_text_check(value, KEY_BYTES_MAX, why);
}

static enum error_code on_datacontenttype(struct cloudevent *event, struct span name,
                                          struct span value, struct error *why) {
    struct media_type type;
    (void)name;
    event->type = value;
    return value.length <= MEDIA_TYPE_BYTES_MAX && media_type_parse(value, &type) &&
                   !media_type_is_range(&type)
               ? OK
               : error_set(why, ERR_BAD_REQUEST, "this is no media type");
}

static enum error_code on_time(struct cloudevent *event, struct span name, struct span value,
                               struct error *why) {
    uint64_t ignored;
    return clock_parse_rfc3339(value, &ignored)
               ? put_header(event, name, value, why)
               : error_set(why, ERR_BAD_REQUEST, "this is no time of RFC 3339");
}

/* The required ones come first: their bits are REQUIRED. */
static const struct {
    const char *name;
    enum error_code (*on_value)(struct cloudevent *event, struct span name, struct span value,
                                struct error *why);
} rows[] = {
    {"specversion", on_specversion},
    {"id", put_header},
    {"source", put_header},
    {"type", on_type},
    {"subject", put_header},
    {"dataschema", put_header},
    {"time", on_time},
    {"datacontenttype", on_datacontenttype},
    {"partitionkey", on_partitionkey},
};
#define REQUIRED_COUNT 4

/* Lower-case letters and digits ("Naming conventions"); `data` is no attribute. */
static bool is_attribute_name(struct span name) {
    return name.length <= ATTRIBUTE_NAME_BYTES_MAX &&
           span_consists_of(name, SPAN(SPAN_LOWER SPAN_DIGITS)) &&
           !span_is_equal(name, SPAN("data"));
}

static size_t find_row(struct span name) {
    size_t row = 0;
    while (row < ARRAY_COUNT(rows) && !span_is_equal(name, span_of_string(rows[row].name))) {
        row++;
    }
    return row;
}

void cloudevent_init(struct cloudevent *event, struct buffer *headers) {
    *event = (struct cloudevent){.headers = headers};
}

enum error_code cloudevent_put(struct cloudevent *event, struct span name, struct span value,
                               struct error *why) {
    struct error fault = {0};
    size_t row = find_row(name);
    if (!is_attribute_name(name)) {
        return blame(why, name, "is no attribute's name: small letters and digits");
    }
    /* Only the attributes that have a row are said not to be empty. */
    bool may_be_empty = row == ARRAY_COUNT(rows) && value.length == 0;
    enum error_code code =
        may_be_empty ? OK : message_text_check(value, MESSAGE_HEADERS_BYTES_MAX, &fault);
    if (code == OK && row < ARRAY_COUNT(rows)) {
        if ((event->seen & 1U << row) != 0) {
            return blame(why, name, "came twice");
        }
        event->seen |= 1U << row;
        code = rows[row].on_value(event, name, value, &fault);
    } else if (code == OK) {
        code = put_header(event, name, value, &fault);
    }
    if (code != OK && code != ERR_MEMORY) {
        char field[ATTRIBUTE_NAME_BYTES_MAX + 1];
        snprintf(field, sizeof(field), "%.*s", SPAN_PRINTF(name));
        return error_set_field(why, code, field, "%s", fault.detail);
    }
    return code;
}

enum error_code cloudevent_check(const struct cloudevent *event, struct error *why) {
    for (size_t i = 0; i < REQUIRED_COUNT; i++) {
        if ((event->seen & 1U << i) == 0) {
            return blame(why, span_of_string(rows[i].name), "is missing, and an event needs it");
        }
    }
    return OK;
}

/* --- HTTP headers ----------------------------------------------------------------------------- */

/* Quotes (RFC 9110, section 5.6.4) around the whole value go, and with them the backslashes. */
static enum error_code unquote(struct span value, struct buffer *scratch, struct error *why) {
    size_t at = 1;
    while (at < value.length && value.bytes[at] != '"') {
        at += value.bytes[at] == '\\';
        enum error_code code =
            at < value.length ? buffer_put_byte(scratch, value.bytes[at]) : ERR_BAD_REQUEST;
        if (code != OK) {
            return error_set(why, code, "the quoted string does not end");
        }
        at++;
    }
    return at + 1 == value.length
               ? OK
               : error_set(why, ERR_BAD_REQUEST, "the quoted string ends too early or not at all");
}

enum error_code cloudevent_decode_header(struct span value, struct buffer *scratch,
                                         struct span *ret_text, struct error *why) {
    size_t start = scratch->length;
    enum error_code code = value.length > 0 && value.bytes[0] == '"' ? unquote(value, scratch, why)
                                                                     : buffer_put(scratch, value);
    if (code != OK) {
        return code;
    }
    /* In place: decoding never grows. */
    struct span rest = span_of(scratch->bytes + start, scratch->length - start);
    uint8_t *out = scratch->bytes + start;
    while (rest.length > 0) {
        if (!percent_take_byte(&rest, PERCENT_PATH, out++)) {
            return error_set(why, ERR_BAD_REQUEST, "a percent sign stands for itself only as %%25");
        }
    }
    scratch->length = (size_t)(out - scratch->bytes);
    *ret_text = span_of(scratch->bytes + start, scratch->length - start);
    return OK;
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* -2147483648 to 2147483647, "only the integer component" (JSON format, section 2.2). */
static bool is_integer(struct span text) {
    bool is_negative = text.length > 0 && text.bytes[0] == '-';
    uint64_t magnitude;
    struct span digits = is_negative ? span_of(text.bytes + 1, text.length - 1) : text;
    return span_parse_u64(digits, &magnitude) &&
           magnitude <= (is_negative ? UINT64_C(2147483648) : UINT64_C(2147483647));
}

/* One attribute by its JSON type; null is an attribute that is not there (section 2.2). */
static enum error_code put_member(struct cloudevent *event, const struct json_member *member,
                                  struct buffer *scratch, struct error *why) {
    struct span name = span_of(member->name.bytes + 1, member->name.length - 2);
    struct span text = member->value.text;
    enum json_kind kind = member->value.kind;
    if (!is_attribute_name(name)) {
        return message_object_refuse_member(member->name, why);
    }
    /* Only extensions may be of another type ("Context Attributes", "Type System"). */
    if (kind != JSON_KIND_STRING && kind != JSON_KIND_NULL && find_row(name) < ARRAY_COUNT(rows)) {
        return blame(why, name, "is a string");
    }
    switch (kind) {
    case JSON_KIND_NULL:
        return OK;
    case JSON_KIND_STRING: {
        size_t start = scratch->length;
        enum error_code code = json_string_put(scratch, text);
        if (code != OK) {
            return blame(why, name, "has half of a surrogate pair");
        }
        text = span_of(scratch->bytes + start, scratch->length - start);
        break;
    }
    case JSON_KIND_NUMBER:
        if (!is_integer(text)) {
            return blame(why, name, "is a number, but no whole one of 32 bits");
        }
        break;
    case JSON_KIND_TRUE:
    case JSON_KIND_FALSE:
        break;
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
        return blame(why, name, "is a string, a whole number, true or false");
    }
    return cloudevent_put(event, name, text, why);
}

/* The two members that are no attributes (section 3.1). */
struct data {
    struct json_value json;
    struct json_value base64;
    unsigned count;
};

/* False: it is an attribute. */
static bool take_data_member(struct data *data, const struct json_member *member) {
    if (json_string_is(member->name, "data")) {
        data->json = member->value;
        data->count++;
        return true;
    }
    if (json_string_is(member->name, "data_base64")) {
        data->base64 = member->value;
        data->count++;
        return true;
    }
    return false;
}

static enum error_code conclude(const struct data *data, struct buffer *scratch,
                                struct message_fields *fields, struct error *why) {
    if (data->count > 1) {
        return error_set_field(why, ERR_BAD_REQUEST, "data",
                               "an event has either `data` or `data_base64`, and once");
    }
    if (data->base64.text.length > 0) {
        return message_object_take_data_base64(data->base64, scratch, fields, why);
    }
    if (data->json.text.length > 0) {
        return message_object_take_data(data->json, scratch, fields, why);
    }
    fields->type = (struct span){0}; /* of nothing */
    fields->payload_kind = PAYLOAD_JSON;
    fields->payload = SPAN("null");
    return OK;
}

enum error_code cloudevent_parse(struct json_value object, struct buffer *scratch,
                                 struct buffer *headers, struct message_fields *fields,
                                 struct error *why) {
    struct json_walk walk = json_walk_of(object);
    struct json_member member;
    struct data data = {0};
    struct cloudevent event;
    enum error_code code = OK;
    cloudevent_init(&event, headers);
    if (object.kind != JSON_KIND_OBJECT) {
        return error_set(why, ERR_BAD_REQUEST, "an event is an object");
    }
    while (code == OK && json_object_next(&walk, &member)) {
        code = take_data_member(&data, &member) ? OK : put_member(&event, &member, scratch, why);
    }
    if (code == OK) {
        code = cloudevent_check(&event, why);
    }
    if (code != OK) {
        return code;
    }
    fields->kind = MESSAGE_DATA;
    fields->event = event.event;
    fields->key = event.key;
    fields->type = event.type;
    return conclude(&data, scratch, fields, why);
}

/* --- messages as events ----------------------------------------------------------------------- */

/* Whom each attribute is told to; a code that is not OK ends it. */
struct telling {
    cloudevent_on_attribute *on_attribute;
    void *context;
    enum error_code code;
};

static void tell(struct telling *telling, struct span name, struct span value) {
    if (telling->code == OK) {
        telling->code = telling->on_attribute(telling->context, name, value);
    }
}

static bool is_text(struct span value) {
    return message_text_check(value, MESSAGE_HEADERS_BYTES_MAX, NULL) == OK;
}

static void tell_text(struct telling *telling, struct span name, struct span value) {
    if (is_text(value)) {
        tell(telling, name, value);
    }
}

/* The first header of that name. Empty: none. */
static struct span find_header(struct span headers, struct span wanted) {
    struct span name, value;
    while (string_map_next(&headers, &name, &value)) {
        if (span_is_equal(name, wanted)) {
            return value;
        }
    }
    return (struct span){0};
}

static bool was_event(const struct message_fields *fields) {
    return fields->event.length > 0 &&
           span_is_equal(find_header(fields->headers, SPAN("ce-specversion")), SPAN(SPECVERSION)) &&
           is_text(find_header(fields->headers, SPAN("ce-id"))) &&
           is_text(find_header(fields->headers, SPAN("ce-source")));
}

bool cloudevent_has_data(const struct message *message) {
    const struct message_fields *fields = &message->fields;
    return fields->type.length > 0 || fields->payload_kind != PAYLOAD_JSON ||
           !span_is_equal(fields->payload, SPAN("null")) || !was_event(fields);
}

/* Can the header's value be that of the attribute? Those that are fields of the message, and those
 * that come first, are told from elsewhere. */
static bool is_from_header(struct span name, struct span value) {
    size_t row = find_row(name);
    uint64_t ignored;
    if (!is_attribute_name(name) || row < REQUIRED_COUNT) {
        return false;
    }
    if (row == ARRAY_COUNT(rows)) {
        return value.length == 0 || is_text(value);
    }
    return is_text(value) &&
           (rows[row].on_value == put_header ||
            (rows[row].on_value == on_time && clock_parse_rfc3339(value, &ignored)));
}

/* All others of an event. A publisher of MQTT may give a name twice: the first counts. */
static void tell_headers(struct telling *telling, struct span headers) {
    struct span rest = headers, header, value;
    const struct span prefix = SPAN(HEADER_PREFIX);
    size_t first;
    for (size_t index = 0; string_map_next(&rest, &header, &value); index++) {
        if (span_has_prefix(header, prefix) && string_map_find(headers, header, &first) &&
            first == index) {
            struct span name = span_of(header.bytes + prefix.length, header.length - prefix.length);
            if (is_from_header(name, value)) {
                tell(telling, name, value);
            }
        }
    }
}

static void tell_event(struct telling *telling, const struct message_fields *fields) {
    tell(telling, SPAN("specversion"), SPAN(SPECVERSION));
    tell(telling, SPAN("id"), find_header(fields->headers, SPAN("ce-id")));
    tell(telling, SPAN("source"), find_header(fields->headers, SPAN("ce-source")));
    tell(telling, SPAN("type"), fields->event);
    tell_headers(telling, fields->headers);
}

static void tell_source(struct telling *telling, struct span channel) {
    struct buffer source;
    buffer_init(&source, SOURCE_BYTES_MAX);
    enum error_code code = buffer_put(&source, SPAN(SOURCE_PREFIX));
    code = code == OK ? percent_put_encoded(&source, channel, PERCENT_PATH) : code;
    telling->code = telling->code == OK ? code : telling->code;
    tell(telling, SPAN("source"), buffer_borrow(&source));
    buffer_finish(&source);
}

static void tell_message(struct telling *telling, const struct message *message) {
    const struct message_fields *fields = &message->fields;
    char id[ID_TEXT_BYTES_MAX], time[CLOCK_RFC3339_BYTES];
    uint8_t digits[SPAN_U64_DIGITS];
    struct span trace = find_header(fields->headers, SPAN("traceparent"));
    clock_format_rfc3339(message->time_ms, time);
    tell(telling, SPAN("specversion"), SPAN(SPECVERSION));
    tell(telling, SPAN("id"), span_of(id, id_format(&message->place, id)));
    tell_source(telling, scope_visible(fields->channel));
    tell(telling, SPAN("type"), is_text(fields->event) ? fields->event : SPAN(TYPE_UNNAMED));
    tell(telling, SPAN("time"), span_of(time, CLOCK_RFC3339_BYTES - 1));
    tell(telling, SPAN("tidingsoffset"), span_format_u64(message->place.offset, digits));
    tell_text(telling, SPAN("traceparent"), trace);
    if (trace.length > 0) {
        tell_text(telling, SPAN("tracestate"), find_header(fields->headers, SPAN("tracestate")));
    }
}

/* A publisher of MQTT may have called it anything. */
static struct span content_type(const struct message_fields *fields) {
    static const struct span unnamed[] = {
        [PAYLOAD_JSON] = SPAN_ROW("application/json"),
        [PAYLOAD_TEXT] = SPAN_ROW("text/plain; charset=utf-8"),
        [PAYLOAD_BINARY] = SPAN_ROW("application/octet-stream"),
    };
    struct media_type type;
    INVARIANT((size_t)fields->payload_kind < ARRAY_COUNT(unnamed));
    return is_text(fields->type) && media_type_parse(fields->type, &type)
               ? fields->type
               : unnamed[fields->payload_kind];
}

enum error_code cloudevent_each(const struct message *message,
                                cloudevent_on_attribute *on_attribute, void *context) {
    struct telling telling = {.on_attribute = on_attribute, .context = context};
    if (was_event(&message->fields)) {
        tell_event(&telling, &message->fields);
    } else {
        tell_message(&telling, message);
    }
    if (cloudevent_has_data(message)) {
        tell(&telling, SPAN("datacontenttype"), content_type(&message->fields));
    }
    tell_text(&telling, SPAN("partitionkey"), message->fields.key);
    return telling.code;
}

static enum error_code put_member_text(void *context, struct span name, struct span value) {
    struct buffer *buffer = context;
    bool is_first = buffer->bytes[buffer->length - 1] == '{';
    enum error_code code = buffer_put(buffer, is_first ? SPAN("\"") : SPAN(",\""));
    code = code == OK ? buffer_put(buffer, name) : code;
    code = code == OK ? buffer_put(buffer, SPAN("\":")) : code;
    return code == OK ? json_escape_put(buffer, value) : code;
}

/* "application/json", "text/json", and what ends with "+json" (JSON format, section 3.1). */
static bool is_json(struct span content_type_text) {
    struct media_type type;
    if (!media_type_parse(content_type_text, &type)) {
        return false;
    }
    struct span subtype = type.subtype;
    size_t cut = subtype.length > 5 ? subtype.length - 5 : 0;
    return span_is_equal_nocase(subtype, SPAN("json")) ||
           span_is_equal_nocase(span_of(subtype.bytes + cut, subtype.length - cut), SPAN("+json"));
}

/* Text that calls itself JSON goes as bytes, or it would be taken for a string of JSON. */
static enum error_code put_data(struct buffer *buffer, const struct message_fields *fields) {
    bool is_json_type = is_json(content_type(fields));
    enum error_code code;
    if (fields->payload_kind == PAYLOAD_JSON && is_json_type) {
        code = buffer_put(buffer, SPAN(",\"data\":"));
        return code == OK ? buffer_put(buffer, fields->payload) : code;
    }
    if (fields->payload_kind == PAYLOAD_TEXT && !is_json_type) {
        return put_member_text(buffer, SPAN("data"), fields->payload);
    }
    code = buffer_put(buffer, SPAN(",\"data_base64\":\""));
    code = code == OK ? base64_put(buffer, fields->payload) : code;
    return code == OK ? buffer_put_byte(buffer, '"') : code;
}

enum error_code cloudevent_put_json(struct buffer *buffer, const struct message *message) {
    size_t length_before = buffer->length;
    enum error_code code = buffer_put_byte(buffer, '{');
    code = code == OK ? cloudevent_each(message, put_member_text, buffer) : code;
    if (code == OK && cloudevent_has_data(message)) {
        code = put_data(buffer, &message->fields);
    }
    code = code == OK ? buffer_put_byte(buffer, '}') : code;
    if (code != OK) {
        buffer->length = length_before;
    }
    return code;
}

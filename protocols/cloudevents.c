/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/cloudevents.h"

#include <stdio.h>

#include "broker/limits.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/percent.h"
#include "protocols/http/media_type.h"
#include "protocols/message_object.h"
#include "protocols/message_text.h"

#define HEADER_PREFIX "ce-"
#define ATTRIBUTE_NAME_BYTES_MAX 48 /* twice what section "Naming conventions" asks producers for */
#define SPECVERSION "1.0"

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
    return value.length <= MEDIA_TYPE_BYTES_MAX && media_type_parse(value, &type)
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
    if (name.length == 0 || name.length > ATTRIBUTE_NAME_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.length; i++) {
        uint8_t byte = name.bytes[i];
        if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9')) {
            return false;
        }
    }
    return !span_is_equal(name, SPAN("data"));
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

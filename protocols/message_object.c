/* SPDX-License-Identifier: Apache-2.0 */
/* Members are rows of a table; what a row calls puts its value into the object. No decoded text is
 * longer than its literal, but base64 that is also escaped is decoded twice: hence the size of the
 * scratch buffer, which keeps spans into it good. */
#include "protocols/message_object.h"

#include <stdio.h>

#include "broker/limits.h"
#include "broker/support/base64.h"
#include "broker/support/invariant.h"
#include "broker/support/string_map.h"
#include "broker/support/utf8.h"
#include "protocols/http/media_type.h"
#include "protocols/message_text.h"
#include "protocols/rest/media.h"

#define SHOWN_BYTES_MAX 40 /* of a member's name in an error */
#define SCRATCH_BYTES_EXTRA 16
#define MS_PER_SECOND 1000

struct parse {
    struct message_object *object;
    struct buffer *scratch;
    struct json_value data;        /* text of length 0: not given */
    struct json_value data_base64; /* likewise */
    bool may_have_idempotency_key;
    struct error *why;
};

static enum error_code blame(struct error *why, const char *name, const char *what) {
    return error_set_field(why, ERR_BAD_REQUEST, name, "`%s` %s", name, what);
}

/* Decodes a string literal into the scratch buffer. */
static enum error_code decode(struct buffer *scratch, struct json_value value, const char *name,
                              struct error *why, struct span *ret_text) {
    if (value.kind != JSON_KIND_STRING) {
        return blame(why, name, "is a string");
    }
    size_t start = scratch->length;
    enum error_code code = json_string_put(scratch, value.text);
    if (code != OK) {
        return code == ERR_BAD_JSON ? blame(why, name, "has half of a surrogate pair") : code;
    }
    *ret_text = span_of(scratch->bytes + start, scratch->length - start);
    return OK;
}

/* --- members -------------------------------------------------------------------------------- */

static enum error_code take_text(struct parse *parse, struct json_value value, const char *name,
                                 size_t bytes_max, struct span *ret_text) {
    enum error_code code = decode(parse->scratch, value, name, parse->why, ret_text);
    if (code == OK && (ret_text->length == 0 || ret_text->length > bytes_max)) {
        return error_set_field(parse->why, ERR_BAD_REQUEST, name, "`%s` has 1 to %zu bytes", name,
                               bytes_max);
    }
    return code;
}

static enum error_code take_line(struct parse *parse, struct json_value value, const char *name,
                                 size_t bytes_max, struct span *ret_text) {
    enum error_code code = take_text(parse, value, name, bytes_max, ret_text);
    return code == OK && message_text_check(*ret_text, bytes_max, NULL) != OK
               ? blame(parse->why, name, "has a control character")
               : code;
}

static enum error_code on_channel(struct parse *parse, struct json_value value, const char *name) {
    return take_text(parse, value, name, CHANNEL_NAME_BYTES_MAX, &parse->object->fields.channel);
}

static enum error_code on_data(struct parse *parse, struct json_value value, const char *name) {
    (void)name;
    parse->data = value;
    return OK;
}

static enum error_code on_data_base64(struct parse *parse, struct json_value value,
                                      const char *name) {
    (void)name;
    parse->data_base64 = value;
    return OK;
}

static enum error_code on_type(struct parse *parse, struct json_value value, const char *name) {
    struct media_type type;
    struct span *text = &parse->object->fields.type;
    enum error_code code = take_line(parse, value, name, MEDIA_TYPE_BYTES_MAX, text);
    return code == OK && (!media_type_parse(*text, &type) || media_type_is_range(&type))
               ? blame(parse->why, name, "is no media type")
               : code;
}

static enum error_code on_event(struct parse *parse, struct json_value value, const char *name) {
    return take_line(parse, value, name, EVENT_BYTES_MAX, &parse->object->fields.event);
}

static enum error_code on_key(struct parse *parse, struct json_value value, const char *name) {
    return take_line(parse, value, name, KEY_BYTES_MAX, &parse->object->fields.key);
}

/* One string of a header, decoded where the map is being written: u16 length, bytes. */
static enum error_code put_header_text(struct parse *parse, struct json_value value,
                                       size_t bytes_min, struct span *ret_text) {
    struct buffer *scratch = parse->scratch;
    size_t start = scratch->length;
    enum error_code code = buffer_put(scratch, SPAN("\0\0"));
    if (code == OK) {
        code = decode(scratch, value, "headers", NULL, ret_text);
    }
    if (code != OK || ret_text->length < bytes_min ||
        ret_text->length > MESSAGE_HEADERS_BYTES_MAX) {
        return blame(parse->why, "headers", "is an object of strings with names of some length");
    }
    scratch->bytes[start] = (uint8_t)ret_text->length;
    scratch->bytes[start + 1] = (uint8_t)(ret_text->length >> 8);
    return OK;
}

static enum error_code put_header(struct parse *parse, const struct json_member *member,
                                  size_t start) {
    struct span name = {0}, value = {0};
    struct span map = span_of(parse->scratch->bytes + start, parse->scratch->length - start);
    struct json_value literal = {JSON_KIND_STRING, member->name};
    enum error_code code = put_header_text(parse, literal, 1, &name);
    if (code != OK) {
        return code;
    }
    size_t index;
    if (string_map_find(map, name, &index)) {
        return blame(parse->why, "headers", "has a name twice");
    }
    return put_header_text(parse, member->value, 0, &value);
}

static enum error_code on_headers(struct parse *parse, struct json_value value, const char *name) {
    struct json_walk walk = json_walk_of(value);
    struct json_member member;
    size_t start = parse->scratch->length;
    if (value.kind != JSON_KIND_OBJECT) {
        return blame(parse->why, name, "is an object of strings");
    }
    for (size_t count = 0; json_object_next(&walk, &member); count++) {
        if (count == MESSAGE_HEADERS_MAX) {
            return error_set_field(parse->why, ERR_BAD_REQUEST, name, "`%s` has %d members at most",
                                   name, MESSAGE_HEADERS_MAX);
        }
        enum error_code code = put_header(parse, &member, start);
        if (code != OK) {
            return code;
        }
    }
    size_t length = parse->scratch->length - start;
    if (length > MESSAGE_HEADERS_BYTES_MAX) {
        return error_set_field(parse->why, ERR_BAD_REQUEST, name,
                               "`%s` has more than %d bytes in all", name,
                               MESSAGE_HEADERS_BYTES_MAX);
    }
    parse->object->fields.headers = span_of(parse->scratch->bytes + start, length);
    return OK;
}

static enum error_code on_ttl(struct parse *parse, struct json_value value, const char *name) {
    uint64_t seconds;
    if (!json_number_u64(value, &seconds) || seconds == 0 || seconds > TTL_S_MAX) {
        return blame(parse->why, name, "is a whole number of seconds, from 1");
    }
    parse->object->fields.ttl_ms = seconds * MS_PER_SECOND;
    return OK;
}

static enum error_code on_retain(struct parse *parse, struct json_value value, const char *name) {
    if (value.kind != JSON_KIND_TRUE && value.kind != JSON_KIND_FALSE) {
        return blame(parse->why, name, "is true or false");
    }
    parse->object->fields.flags |= value.kind == JSON_KIND_TRUE ? MESSAGE_RETAIN : 0;
    return OK;
}

static enum error_code on_idempotency_key(struct parse *parse, struct json_value value,
                                          const char *name) {
    if (!parse->may_have_idempotency_key) {
        return blame(parse->why, name, "is a header here: Idempotency-Key, of the whole publish");
    }
    return take_text(parse, value, name, IDEMPOTENCY_KEY_BYTES_MAX,
                     &parse->object->idempotency_key);
}

static const struct {
    const char *name;
    enum error_code (*on_value)(struct parse *parse, struct json_value value, const char *name);
} rows[] = {
    {"channel", on_channel},
    {"data", on_data},
    {"data_base64", on_data_base64},
    {"type", on_type},
    {"event", on_event},
    {"key", on_key},
    {"headers", on_headers},
    {"ttl", on_ttl},
    {"retain", on_retain},
    {"idempotency_key", on_idempotency_key},
};

/* --- the object ----------------------------------------------------------------------------- */

size_t message_object_scratch_bytes(struct span text) {
    bool has_escapes = text.length > 0 && memchr(text.bytes, '\\', text.length) != NULL;
    return text.length * (has_escapes ? 2 : 1) + SCRATCH_BYTES_EXTRA;
}

static enum error_code take_member(struct parse *parse, const struct json_member *member,
                                   uint32_t *seen) {
    size_t i = 0;
    while (i < ARRAY_COUNT(rows) && !json_string_is(member->name, rows[i].name)) {
        i++;
    }
    if (i == ARRAY_COUNT(rows)) {
        return message_object_refuse_member(member->name, parse->why);
    }
    if ((*seen & 1U << i) != 0) {
        return blame(parse->why, rows[i].name, "is given twice");
    }
    *seen |= 1U << i;
    return rows[i].on_value(parse, member->value, rows[i].name);
}

enum error_code message_object_parse(struct json_value object, bool may_have_idempotency_key,
                                     struct buffer *scratch, struct message_object *ret_object,
                                     struct error *why) {
    struct parse parse = {.object = ret_object,
                          .scratch = scratch,
                          .may_have_idempotency_key = may_have_idempotency_key,
                          .why = why};
    struct json_walk walk = json_walk_of(object);
    struct json_member member;
    const uint8_t *scratch_bytes = scratch->bytes;
    uint32_t seen = 0;
    *ret_object = (struct message_object){.fields.kind = MESSAGE_DATA};
    if (object.kind != JSON_KIND_OBJECT) {
        return error_set(why, ERR_BAD_REQUEST, "a message is an object");
    }
    while (json_object_next(&walk, &member)) {
        enum error_code code = take_member(&parse, &member, &seen);
        if (code != OK) {
            return code;
        }
    }
    bool has_data = parse.data.text.length > 0;
    if (has_data == (parse.data_base64.text.length > 0)) {
        return error_set_field(why, ERR_BAD_REQUEST, "data",
                               "a message has either `data` or `data_base64`");
    }
    enum error_code code =
        has_data
            ? message_object_take_data(parse.data, scratch, &ret_object->fields, why)
            : message_object_take_data_base64(parse.data_base64, scratch, &ret_object->fields, why);
    INVARIANT(scratch->bytes == scratch_bytes);
    return code;
}

/* --- the payload ---------------------------------------------------------------------------- */

enum error_code message_object_take_data(struct json_value data, struct buffer *scratch,
                                         struct message_fields *fields, struct error *why) {
    struct media media;
    /* Asked with JSON that is short: whether the type is one of JSON, not whether this is. */
    enum error_code code = media_classify(fields->type, SPAN("null"), &media, why);
    if (code != OK) {
        return error_set_field(why, code, "type", "text is taken as UTF-8 only");
    }
    if (media.payload_kind == PAYLOAD_JSON) {
        fields->payload_kind = PAYLOAD_JSON;
        fields->payload = data.text;
        fields->type = media.type;
        return OK;
    }
    if (data.kind != JSON_KIND_STRING) {
        return blame(why, "data", "of a type that is not JSON is a string");
    }
    fields->payload_kind = PAYLOAD_TEXT;
    return decode(scratch, data, "data", why, &fields->payload);
}

enum error_code message_object_take_data_base64(struct json_value data, struct buffer *scratch,
                                                struct message_fields *fields, struct error *why) {
    if (data.kind != JSON_KIND_STRING) {
        return blame(why, "data_base64", "is a string");
    }
    struct span text = span_of(data.text.bytes + 1, data.text.length - 2);
    if (text.length > 0 && memchr(text.bytes, '\\', text.length) != NULL &&
        decode(scratch, data, "data_base64", why, &text) != OK) { /* some write `/` as `\/` */
        return blame(why, "data_base64", "is not base64");
    }
    size_t start = scratch->length;
    if (base64_put_decoded(scratch, text) != OK) {
        return blame(why, "data_base64", "is not base64");
    }
    fields->payload = span_of(scratch->bytes + start, scratch->length - start);
    fields->payload_kind = PAYLOAD_BINARY;
    if (fields->type.length == 0 || media_type_is(fields->type, "application/octet-stream")) {
        fields->type = SPAN("application/octet-stream");
        return OK;
    }
    struct media media;
    enum error_code code = media_classify(fields->type, fields->payload, &media, why);
    if (code != OK) {
        return error_set_field(why, code, "data_base64",
                               "`data_base64` holds nothing that is of this type");
    }
    fields->payload_kind = media.payload_kind;
    fields->type = media.type;
    return OK;
}

enum error_code message_object_refuse_member(struct span name_literal, struct error *why) {
    struct span name = span_of(name_literal.bytes + 1, name_literal.length - 2);
    bool is_cut = name.length > SHOWN_BYTES_MAX;
    char field[SHOWN_BYTES_MAX + sizeof("…")];
    name = utf8_cut(name, SHOWN_BYTES_MAX);
    snprintf(field, sizeof(field), "%.*s%s", SPAN_PRINTF(name), is_cut ? "…" : "");
    return error_set_field(why, ERR_BAD_REQUEST, field, "there is no member `%s` here", field);
}

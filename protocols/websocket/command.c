/* SPDX-License-Identifier: Apache-2.0 */
/* Members are rows of two tables, one for the command and one inside "publish"; what a row calls
 * puts its value into the command. Texts are decoded into the scratch buffer, which is given its
 * full size first, so that spans into it stay good: no decoded text is longer than its literal. */
#include "protocols/websocket/command.h"

#include "broker/limits.h"
#include "broker/support/base64.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "broker/support/string_map.h"
#include "broker/support/utf8.h"
#include "protocols/http/media_type.h"
#include "protocols/rest/media.h"

#define REF_BYTES_MAX 64
#define SHOWN_BYTES_MAX 40 /* of a member's name in an error */
#define SCRATCH_BYTES_EXTRA 16
#define MS_PER_SECOND 1000

struct parse {
    struct command *command;
    struct buffer *scratch;
    struct json_value data;        /* text of length 0: not given */
    struct json_value data_base64; /* likewise */
    unsigned verbs;
    bool has_subscribe_options;
    struct error *why;
};

struct row {
    const char *name;
    enum error_code (*on_value)(struct parse *parse, struct json_value value, const char *name);
};

/* --- values --------------------------------------------------------------------------------- */

static enum error_code blame(struct parse *parse, const char *name, const char *what) {
    return error_set_field(parse->why, ERR_BAD_REQUEST, name, "`%s` %s", name, what);
}

/* A string of 1 to `bytes_max` bytes, decoded into the scratch buffer. */
static enum error_code take_text(struct parse *parse, struct json_value value, const char *name,
                                 size_t bytes_max, struct span *ret_text) {
    if (value.kind != JSON_KIND_STRING) {
        return blame(parse, name, "is a string");
    }
    size_t start = parse->scratch->length;
    enum error_code code = json_string_put(parse->scratch, value.text);
    if (code != OK) {
        return blame(parse, name, "has half of a surrogate pair");
    }
    size_t length = parse->scratch->length - start;
    if (length == 0 || length > bytes_max) {
        return error_set_field(parse->why, ERR_BAD_REQUEST, name, "`%s` has 1 to %zu bytes", name,
                               bytes_max);
    }
    *ret_text = span_of(parse->scratch->bytes + start, length);
    return OK;
}

static bool has_control_character(struct span text) {
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < 0x20 || text.bytes[i] == 0x7F) {
            return true;
        }
    }
    return false;
}

static enum error_code take_line(struct parse *parse, struct json_value value, const char *name,
                                 size_t bytes_max, struct span *ret_text) {
    enum error_code code = take_text(parse, value, name, bytes_max, ret_text);
    return code == OK && has_control_character(*ret_text)
               ? blame(parse, name, "has a control character")
               : code;
}

/* --- members of "publish" ------------------------------------------------------------------- */

static enum error_code on_channel(struct parse *parse, struct json_value value, const char *name) {
    return take_text(parse, value, name, CHANNEL_NAME_BYTES_MAX, &parse->command->publish.channel);
}

static enum error_code on_data(struct parse *parse, struct json_value value, const char *name) {
    (void)name;
    parse->data = value;
    return OK;
}

static enum error_code on_data_base64(struct parse *parse, struct json_value value,
                                      const char *name) {
    parse->data_base64 = value;
    return value.kind == JSON_KIND_STRING ? OK : blame(parse, name, "is a string");
}

static enum error_code on_type(struct parse *parse, struct json_value value, const char *name) {
    struct media_type type;
    struct span *text = &parse->command->publish.type;
    enum error_code code = take_line(parse, value, name, MEDIA_TYPE_BYTES_MAX, text);
    return code == OK && !media_type_parse(*text, &type) ? blame(parse, name, "is no media type")
                                                         : code;
}

static enum error_code on_event(struct parse *parse, struct json_value value, const char *name) {
    return take_line(parse, value, name, EVENT_BYTES_MAX, &parse->command->publish.event);
}

static enum error_code on_key(struct parse *parse, struct json_value value, const char *name) {
    return take_text(parse, value, name, KEY_BYTES_MAX, &parse->command->publish.key);
}

/* One string of a header, decoded on the stack of the map being written: u16 length, bytes. */
static enum error_code put_header_text(struct parse *parse, struct span literal, size_t bytes_min) {
    struct buffer *scratch = parse->scratch;
    size_t start = scratch->length;
    enum error_code code = buffer_put(scratch, SPAN("\0\0"));
    if (code == OK) {
        code = json_string_put(scratch, literal);
    }
    size_t length = scratch->length - start - 2;
    if (code != OK || length < bytes_min || length > UINT16_MAX) {
        return blame(parse, "headers", "is an object of strings with names of some length");
    }
    scratch->bytes[start] = (uint8_t)length;
    scratch->bytes[start + 1] = (uint8_t)(length >> 8);
    return OK;
}

static enum error_code on_headers(struct parse *parse, struct json_value value, const char *name) {
    struct json_walk walk = json_walk_of(value);
    struct json_member member;
    size_t start = parse->scratch->length;
    if (value.kind != JSON_KIND_OBJECT) {
        return blame(parse, name, "is an object of strings");
    }
    while (json_object_next(&walk, &member)) {
        if (member.value.kind != JSON_KIND_STRING) {
            return blame(parse, name, "is an object of strings");
        }
        enum error_code code = put_header_text(parse, member.name, 1);
        if (code == OK) {
            code = put_header_text(parse, member.value.text, 0);
        }
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
    parse->command->publish.headers = span_of(parse->scratch->bytes + start, length);
    return OK;
}

static enum error_code on_ttl(struct parse *parse, struct json_value value, const char *name) {
    uint64_t seconds;
    if (!json_number_u64(value, &seconds) || seconds == 0 ||
        __builtin_mul_overflow(seconds, MS_PER_SECOND, &parse->command->publish.ttl_ms)) {
        return blame(parse, name, "is a whole number of seconds from 1 on");
    }
    return OK;
}

static enum error_code on_retain(struct parse *parse, struct json_value value, const char *name) {
    if (value.kind != JSON_KIND_TRUE && value.kind != JSON_KIND_FALSE) {
        return blame(parse, name, "is true or false");
    }
    parse->command->publish.flags |= value.kind == JSON_KIND_TRUE ? MESSAGE_RETAIN : 0;
    return OK;
}

static enum error_code on_idempotency_key(struct parse *parse, struct json_value value,
                                          const char *name) {
    return take_text(parse, value, name, IDEMPOTENCY_KEY_BYTES_MAX,
                     &parse->command->idempotency_key);
}

static const struct row publish_rows[] = {
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

/* --- the payload ---------------------------------------------------------------------------- */

/* `data`: JSON as it stands; or a string, which is text of the given type. */
static enum error_code conclude_data(struct parse *parse) {
    struct message_fields *publish = &parse->command->publish;
    struct media media;
    enum error_code code = media_classify(publish->type, SPAN("null"), &media, parse->why);
    if (code != OK) {
        return code;
    }
    if (media.payload_kind == PAYLOAD_JSON) {
        publish->payload_kind = PAYLOAD_JSON;
        publish->payload = parse->data.text;
        publish->type = media.type;
        return OK;
    }
    if (parse->data.kind != JSON_KIND_STRING) {
        return blame(parse, "data", "of a type that is not JSON is a string");
    }
    size_t start = parse->scratch->length;
    if (json_string_put(parse->scratch, parse->data.text) != OK) {
        return blame(parse, "data", "has half of a surrogate pair");
    }
    publish->payload_kind = PAYLOAD_TEXT;
    publish->payload = span_of(parse->scratch->bytes + start, parse->scratch->length - start);
    return OK;
}

/* `data_base64`: bytes, which a type may say to be JSON or text. */
static enum error_code conclude_data_base64(struct parse *parse) {
    struct message_fields *publish = &parse->command->publish;
    struct span literal = parse->data_base64.text;
    struct span text = span_of(literal.bytes + 1, literal.length - 2);
    if (text.length > 0 && memchr(text.bytes, '\\', text.length) != NULL) {
        size_t start = parse->scratch->length; /* some encoders write `/` as `\/` */
        if (json_string_put(parse->scratch, literal) != OK) {
            return blame(parse, "data_base64", "is not base64");
        }
        text = span_of(parse->scratch->bytes + start, parse->scratch->length - start);
    }
    size_t start = parse->scratch->length;
    if (base64_put_decoded(parse->scratch, text) != OK) {
        return blame(parse, "data_base64", "is not base64");
    }
    publish->payload = span_of(parse->scratch->bytes + start, parse->scratch->length - start);
    publish->payload_kind = PAYLOAD_BINARY;
    if (publish->type.length == 0 || media_type_is(publish->type, "application/octet-stream")) {
        publish->type = SPAN("application/octet-stream");
        return OK;
    }
    struct media media;
    enum error_code code = media_classify(publish->type, publish->payload, &media, parse->why);
    if (code == OK) {
        publish->payload_kind = media.payload_kind;
        publish->type = media.type;
    }
    return code;
}

static enum error_code conclude_publish(struct parse *parse) {
    parse->command->publish.kind = MESSAGE_DATA;
    bool has_data = parse->data.text.length > 0;
    if (has_data == (parse->data_base64.text.length > 0)) {
        return blame(parse, "publish", "has either `data` or `data_base64`");
    }
    return has_data ? conclude_data(parse) : conclude_data_base64(parse);
}

/* --- members of a command ------------------------------------------------------------------- */

/* Names a member that is not known, as far as it can be shown. */
static enum error_code refuse_member(struct parse *parse, struct span literal) {
    struct span name = span_of(literal.bytes + 1, literal.length - 2);
    bool is_cut = name.length > SHOWN_BYTES_MAX;
    if (is_cut) {
        name.length = SHOWN_BYTES_MAX;
        while (name.length > 0 && !utf8_is_valid(name)) {
            name.length--;
        }
    }
    return error_set(parse->why, ERR_BAD_REQUEST, "There is no member `%.*s%s` here",
                     SPAN_PRINTF(name), is_cut ? "…" : "");
}

static enum error_code walk_members(struct parse *parse, struct json_value object,
                                    const struct row *rows, size_t row_count) {
    struct json_walk walk = json_walk_of(object);
    struct json_member member;
    uint32_t seen = 0;
    while (json_object_next(&walk, &member)) {
        size_t i = 0;
        while (i < row_count && !json_string_is(member.name, rows[i].name)) {
            i++;
        }
        if (i == row_count) {
            return refuse_member(parse, member.name);
        }
        if ((seen & 1u << i) != 0) {
            return blame(parse, rows[i].name, "is given twice");
        }
        seen |= 1u << i;
        enum error_code code = rows[i].on_value(parse, member.value, rows[i].name);
        if (code != OK) {
            return code;
        }
    }
    return OK;
}

static void count_verb(struct parse *parse, enum command_kind kind) {
    parse->command->kind = kind;
    parse->verbs++;
}

static enum error_code on_publish(struct parse *parse, struct json_value value, const char *name) {
    count_verb(parse, COMMAND_PUBLISH);
    if (value.kind != JSON_KIND_OBJECT) {
        return blame(parse, name, "is an object");
    }
    enum error_code code = walk_members(parse, value, publish_rows, ARRAY_COUNT(publish_rows));
    return code != OK ? code : conclude_publish(parse);
}

static enum error_code on_subscribe(struct parse *parse, struct json_value value,
                                    const char *name) {
    count_verb(parse, COMMAND_SUBSCRIBE);
    return take_text(parse, value, name, CHANNEL_NAME_BYTES_MAX, &parse->command->subscribe);
}

static enum error_code on_since(struct parse *parse, struct json_value value, const char *name) {
    parse->has_subscribe_options = true;
    if (value.kind == JSON_KIND_NUMBER && value.text.length <= SINCE_TEXT_BYTES_MAX) {
        parse->command->since = value.text;
        return OK;
    }
    return take_text(parse, value, name, SINCE_TEXT_BYTES_MAX, &parse->command->since);
}

static enum error_code on_on_lag(struct parse *parse, struct json_value value, const char *name) {
    parse->has_subscribe_options = true;
    return take_text(parse, value, name, REF_BYTES_MAX, &parse->command->on_lag);
}

static enum error_code on_limit(struct parse *parse, struct json_value value, const char *name) {
    parse->has_subscribe_options = true;
    return json_number_u64(value, &parse->command->limit) && parse->command->limit > 0
               ? OK
               : blame(parse, name, "is a number of messages from 1 on");
}

static enum error_code on_unsubscribe(struct parse *parse, struct json_value value,
                                      const char *name) {
    count_verb(parse, COMMAND_UNSUBSCRIBE);
    return json_number_u64(value, &parse->command->unsubscribe)
               ? OK
               : blame(parse, name, "is the number of a subscription");
}

static enum error_code on_auth(struct parse *parse, struct json_value value, const char *name) {
    count_verb(parse, COMMAND_AUTH);
    return take_line(parse, value, name, HTTP_HEAD_BYTES_MAX, &parse->command->auth);
}

static enum error_code on_ref(struct parse *parse, struct json_value value, const char *name) {
    if ((value.kind != JSON_KIND_NUMBER && value.kind != JSON_KIND_STRING) ||
        value.text.length > REF_BYTES_MAX) {
        return blame(parse, name, "is a number or a short string");
    }
    parse->command->ref = value.text;
    return OK;
}

static const struct row command_rows[] = {
    {"publish", on_publish},
    {"subscribe", on_subscribe},
    {"unsubscribe", on_unsubscribe},
    {"auth", on_auth},
    {"since", on_since},
    {"on_lag", on_on_lag},
    {"limit", on_limit},
    {"ref", on_ref},
};

/* Before all else, so that even an answer to nonsense finds its question. */
static void find_ref(struct parse *parse, struct json_value object) {
    struct json_walk walk = json_walk_of(object);
    struct json_member member;
    struct error *why = parse->why;
    parse->why = NULL;
    while (json_object_next(&walk, &member)) {
        if (json_string_is(member.name, "ref")) {
            IGNORE_RESULT(on_ref(parse, member.value, "ref")); /* said when its turn comes */
        }
    }
    parse->why = why;
}

enum error_code command_parse(struct span text, struct buffer *scratch, struct command *ret_command,
                              struct error *why) {
    struct parse parse = {.command = ret_command, .scratch = scratch, .why = why};
    struct json_value object;
    size_t position;
    const char *fault;
    *ret_command = (struct command){0};
    if (json_parse(text, &object, &position, &fault) != OK) {
        return error_set(why, ERR_BAD_JSON, "The command is no JSON at byte %zu: %s", position,
                         fault);
    }
    if (object.kind != JSON_KIND_OBJECT) {
        return error_set(why, ERR_BAD_REQUEST, "A command is an object");
    }
    find_ref(&parse, object);
    /* A text in base64 that is also escaped is decoded twice, so both must fit. */
    bool has_escapes = memchr(text.bytes, '\\', text.length) != NULL;
    buffer_clear(scratch);
    enum error_code code =
        buffer_reserve(scratch, text.length * (has_escapes ? 2 : 1) + SCRATCH_BYTES_EXTRA);
    if (code != OK) {
        return error_set(why, code, "The command is too large");
    }
    const uint8_t *scratch_bytes = scratch->bytes;
    code = walk_members(&parse, object, command_rows, ARRAY_COUNT(command_rows));
    INVARIANT(scratch->bytes == scratch_bytes);
    if (code == OK && parse.verbs != 1) {
        code = error_set(why, ERR_BAD_REQUEST,
                         "A command is one of publish, subscribe, unsubscribe and auth");
    }
    if (code == OK && parse.has_subscribe_options && ret_command->kind != COMMAND_SUBSCRIBE) {
        code = error_set(why, ERR_BAD_REQUEST, "`since`, `on_lag` and `limit` belong to subscribe");
    }
    return code;
}

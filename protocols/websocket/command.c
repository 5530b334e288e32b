/* SPDX-License-Identifier: Apache-2.0 */
/* Members are rows of a table; what a row calls puts its value into the command. Texts are decoded
 * into the scratch buffer, which is given its full size first, so that spans into it stay good. */
#include "protocols/websocket/command.h"

#include "broker/limits.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "protocols/message_object.h"

#define REF_BYTES_MAX 64

struct parse {
    struct command *command;
    struct buffer *scratch;
    unsigned verbs;
    bool has_subscribe_options;
    struct error *why;
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

/* --- members of a command ------------------------------------------------------------------- */

static void count_verb(struct parse *parse, enum command_kind kind) {
    parse->command->kind = kind;
    parse->verbs++;
}

static enum error_code on_publish(struct parse *parse, struct json_value value, const char *name) {
    struct message_object object = {0};
    count_verb(parse, COMMAND_PUBLISH);
    if (value.kind != JSON_KIND_OBJECT) {
        return blame(parse, name, "is an object");
    }
    enum error_code code = message_object_parse(value, true, parse->scratch, &object, parse->why);
    parse->command->publish = object.fields;
    parse->command->idempotency_key = object.idempotency_key;
    return code;
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

static const struct {
    const char *name;
    enum error_code (*on_value)(struct parse *parse, struct json_value value, const char *name);
} rows[] = {
    {"publish", on_publish},
    {"subscribe", on_subscribe},
    {"unsubscribe", on_unsubscribe},
    {"auth", on_auth},
    {"since", on_since},
    {"on_lag", on_on_lag},
    {"limit", on_limit},
    {"ref", on_ref},
};

static enum error_code take_members(struct parse *parse, struct json_value object) {
    struct json_walk walk = json_walk_of(object);
    struct json_member member;
    uint32_t seen = 0;
    while (json_object_next(&walk, &member)) {
        size_t i = 0;
        while (i < ARRAY_COUNT(rows) && !json_string_is(member.name, rows[i].name)) {
            i++;
        }
        if (i == ARRAY_COUNT(rows)) {
            return message_object_refuse_member(member.name, parse->why);
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
        return json_refuse(why, "The command", position, fault);
    }
    if (object.kind != JSON_KIND_OBJECT) {
        return error_set(why, ERR_BAD_REQUEST, "A command is an object");
    }
    find_ref(&parse, object);
    buffer_clear(scratch);
    enum error_code code = buffer_reserve(scratch, message_object_scratch_bytes(text));
    if (code != OK) {
        return error_set(why, code, "The command is too large");
    }
    const uint8_t *scratch_bytes = scratch->bytes;
    code = take_members(&parse, object);
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

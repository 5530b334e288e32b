/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/members.h"

#include "broker/support/invariant.h"

static bool has_name(const struct members *members, struct span name) {
    for (size_t i = 0; i < members->count; i++) {
        if (span_is_equal(members->rows[i].name, name)) {
            return true;
        }
    }
    return false;
}

static enum error_code read_rows(struct members *members, struct json_value object,
                                 const char *what, struct error *why) {
    struct json_walk walk = json_walk_of(object);
    struct json_member member;
    while (json_object_next(&walk, &member)) {
        struct span name;
        if (members->count == MEMBERS_MAX) {
            return error_set(why, ERR_BAD_JSON, "%s has more than %d members", what, MEMBERS_MAX);
        }
        struct json_value literal = {JSON_KIND_STRING, member.name};
        if (!members_take_string(members, literal, &name)) {
            return error_set(why, ERR_BAD_JSON, "%s has a name that is no Unicode", what);
        }
        if (has_name(members, name)) {
            return error_set(why, ERR_BAD_JSON, "%s has the member `%.*s` twice", what,
                             name.length > 64 ? 64 : (int)name.length, (const char *)name.bytes);
        }
        members->rows[members->count].name = name;
        members->rows[members->count++].value = member.value;
    }
    return OK;
}

enum error_code members_read(struct span text, const char *what, struct members *ret_members,
                             struct error *why) {
    struct json_value object;
    if (json_parse(text, &object, NULL, NULL) != OK || object.kind != JSON_KIND_OBJECT) {
        return error_set(why, ERR_BAD_JSON, "%s is no JSON object", what);
    }
    ret_members->count = 0;
    /* Without its escapes no string is longer, and each is read once: it never grows, so that spans
     * of it stay good. */
    buffer_init(&ret_members->texts, text.length);
    if (buffer_reserve(&ret_members->texts, text.length) != OK) {
        return error_set(why, ERR_MEMORY, "no memory for %s", what);
    }
    enum error_code code = read_rows(ret_members, object, what, why);
    if (code != OK) {
        members_finish(ret_members);
    }
    return code;
}

void members_finish(struct members *members) {
    buffer_finish(&members->texts);
}

const struct json_value *members_find(const struct members *members, const char *name) {
    struct span wanted = span_of_string(name);
    for (size_t i = 0; i < members->count; i++) {
        if (span_is_equal(members->rows[i].name, wanted)) {
            return &members->rows[i].value;
        }
    }
    return NULL;
}

bool members_take_string(struct members *members, struct json_value value, struct span *ret_text) {
    if (value.kind != JSON_KIND_STRING) {
        return false;
    }
    INVARIANT(value.text.length >= 2);
    struct span inside = span_of(value.text.bytes + 1, value.text.length - 2);
    if (inside.length == 0 || memchr(inside.bytes, '\\', inside.length) == NULL) {
        *ret_text = inside;
        return true;
    }
    size_t before = members->texts.length;
    if (json_string_put(&members->texts, value.text) != OK) {
        return false;
    }
    *ret_text = span_of(members->texts.bytes + before, members->texts.length - before);
    return true;
}

bool members_take(struct members *members, const char *name, struct span *ret_text) {
    const struct json_value *value = members_find(members, name);
    *ret_text = (struct span){0};
    return value == NULL || members_take_string(members, *value, ret_text);
}

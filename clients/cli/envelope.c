/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/envelope.h"

#include <string.h>

struct cursor {
    const char *at;
    const char *end;
};

static void skip_blanks(struct cursor *cursor) {
    while (cursor->at < cursor->end && memchr(" \t\r\n", *cursor->at, 4) != NULL) {
        cursor->at++;
    }
}

static bool take(struct cursor *cursor, char byte) {
    skip_blanks(cursor);
    if (cursor->at == cursor->end || *cursor->at != byte) {
        return false;
    }
    cursor->at++;
    return true;
}

/* The cursor stands on the opening quote. */
static bool skip_string(struct cursor *cursor) {
    for (cursor->at++; cursor->at < cursor->end; cursor->at++) {
        if (*cursor->at == '"') {
            cursor->at++;
            return true;
        }
        if (*cursor->at == '\\' && ++cursor->at == cursor->end) {
            return false;
        }
    }
    return false;
}

/* A number or word ends before a comma, a bracket or a blank. */
static bool skip_plain(struct cursor *cursor) {
    const char *start = cursor->at;
    while (cursor->at < cursor->end && memchr(",]} \t\r\n", *cursor->at, 7) == NULL) {
        cursor->at++;
    }
    return cursor->at > start;
}

static bool skip_value(struct cursor *cursor) {
    if (cursor->at == cursor->end) {
        return false;
    }
    if (*cursor->at == '"') {
        return skip_string(cursor);
    }
    if (*cursor->at != '{' && *cursor->at != '[') {
        return skip_plain(cursor);
    }
    size_t depth = 0;
    while (cursor->at < cursor->end) {
        char byte = *cursor->at;
        if (byte == '"') {
            if (!skip_string(cursor)) {
                return false;
            }
            continue;
        }
        cursor->at++;
        depth += byte == '{' || byte == '[';
        depth -= byte == '}' || byte == ']';
        if (depth == 0) {
            return true;
        }
    }
    return false;
}

bool envelope_find(const char *text, size_t length, const char *name,
                   struct envelope_value *ret_value) {
    struct cursor cursor = {text, text + length};
    size_t name_length = strlen(name);
    if (!take(&cursor, '{')) {
        return false;
    }
    do {
        skip_blanks(&cursor);
        const char *key = cursor.at + 1;
        if (cursor.at == cursor.end || *cursor.at != '"' || !skip_string(&cursor)) {
            return false;
        }
        size_t key_length = (size_t)(cursor.at - 1 - key);
        if (!take(&cursor, ':')) {
            return false;
        }
        skip_blanks(&cursor);
        const char *value = cursor.at;
        if (!skip_value(&cursor)) {
            return false;
        }
        if (key_length == name_length && memcmp(key, name, name_length) == 0) {
            *ret_value = (struct envelope_value){value, (size_t)(cursor.at - value)};
            return true;
        }
    } while (take(&cursor, ','));
    return false;
}

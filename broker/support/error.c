/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/error.h"

#include <stdio.h>
#include <string.h>

#include "broker/support/invariant.h"
#include "broker/support/utf8.h"

static const struct error_row error_rows[ERROR_CODE_COUNT] = {[OK] = {200, 1000, 0x00, "ok", "OK"},
#define ERROR_ROW(code, http, ws, mqtt, slug, title) [code] = {http, ws, mqtt, slug, title},
                                                              ERROR_TABLE(ERROR_ROW)
#undef ERROR_ROW
};

static const struct close_row close_rows[CLOSE_REASON_COUNT] = {
#define CLOSE_ROW(reason, name, ws, reconnect, text) [reason] = {ws, reconnect, name, text},
    CLOSE_REASON_TABLE(CLOSE_ROW)
#undef CLOSE_ROW
};

const struct error_row *error_row(enum error_code code) {
    INVARIANT(code < ERROR_CODE_COUNT);
    return &error_rows[code];
}

/* What a client said may stand in a sentence, and be cut within a character by a format or by the
 * room. A text frame or a reason string with half a character would end the client's connection, so
 * what is no character, or would steer a terminal, is a question mark. */
static void make_text(char *text) {
    size_t length = strlen(text);
    size_t at = 0;
    while (at < length) {
        uint8_t first = (uint8_t)text[at];
        size_t count = utf8_character_length(first);
        bool is_good = count <= length - at && utf8_is_valid(span_of(text + at, count)) &&
                       first >= 0x20 && first != 0x7F;
        text[at] = is_good ? text[at] : '?';
        at += is_good ? count : 1;
    }
}

enum error_code error_set(struct error *why, enum error_code code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    error_set_arguments(why, code, "", format, arguments);
    va_end(arguments);
    return code;
}

enum error_code error_set_field(struct error *why, enum error_code code, const char *field,
                                const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    error_set_arguments(why, code, field, format, arguments);
    va_end(arguments);
    return code;
}

static void set_field(struct error *why, const char *field) {
    snprintf(why->field, sizeof(why->field), "%s", field);
    make_text(why->field);
}

enum error_code error_set_arguments(struct error *why, enum error_code code, const char *field,
                                    const char *format, va_list arguments) {
    INVARIANT(code != OK);
    if (why != NULL) {
        why->code = code;
        why->retry_after_ms = 0;
        why->is_too_deep = false;
        set_field(why, field);
        vsnprintf(why->detail, sizeof(why->detail), format, arguments);
        make_text(why->detail);
    }
    return code;
}

enum error_code error_blame(struct error *why, enum error_code code, const char *field) {
    if (why != NULL && code != OK) {
        set_field(why, field);
    }
    return code;
}

enum error_code error_set_retry(struct error *why, enum error_code code, uint64_t retry_after_ms) {
    if (why != NULL) {
        why->retry_after_ms =
            (uint32_t)(retry_after_ms < ERROR_RETRY_MS_MAX ? retry_after_ms : ERROR_RETRY_MS_MAX);
    }
    return code;
}

const struct close_row *close_row(enum close_reason reason) {
    INVARIANT(reason < CLOSE_REASON_COUNT);
    return &close_rows[reason];
}

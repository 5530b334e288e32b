/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "broker/support/invariant.h"

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

PRINTF_LIKE(4, 0)
static enum error_code fill(struct error *why, enum error_code code, const char *field,
                            const char *format, va_list arguments) {
    INVARIANT(code != OK);
    if (why != NULL) {
        why->code = code;
        snprintf(why->field, sizeof(why->field), "%s", field);
        vsnprintf(why->detail, sizeof(why->detail), format, arguments);
    }
    return code;
}

enum error_code error_set(struct error *why, enum error_code code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fill(why, code, "", format, arguments);
    va_end(arguments);
    return code;
}

enum error_code error_set_field(struct error *why, enum error_code code, const char *field,
                                const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fill(why, code, field, format, arguments);
    va_end(arguments);
    return code;
}

const struct close_row *close_row(enum close_reason reason) {
    INVARIANT(reason < CLOSE_REASON_COUNT);
    return &close_rows[reason];
}

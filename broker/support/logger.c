/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/logger.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "broker/support/clock.h"

static const char *const level_names[] = {"debug", "info", "warning", "error"};

static size_t bounded(int length, size_t room) {
    return length < 0 ? 0 : (size_t)length >= room ? room - 1 : (size_t)length;
}

/* Of the process, as standard error is: the one state that no owner hands down, so that a codec can
 * log. It is set once, before threads start. */
static _Atomic(enum log_level) *least_level(void) {
    static _Atomic(enum log_level) least = LOG_LEVEL_DEBUG;
    return &least;
}

void logger_set_level(enum log_level least) {
    *least_level() = least;
}

void logger_write(enum log_level level, const char *event, const char *format, ...) {
    if (level < *least_level()) {
        return;
    }
    char line[LOGGER_LINE_BYTES_MAX];
    char time[CLOCK_RFC3339_BYTES];
    clock_format_rfc3339(clock_wall_ms(), time);
    size_t length = bounded(
        snprintf(line, sizeof(line), "%s level=%s event=%s ", time, level_names[level], event),
        sizeof(line));
    va_list arguments;
    va_start(arguments, format);
    length += bounded(vsnprintf(line + length, sizeof(line) - length, format, arguments),
                      sizeof(line) - length);
    va_end(arguments);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)line[i];
        if (byte < ' ' || byte == 0x7f) {
            line[i] = '?';
        }
    }
    line[length] = '\n';
    IGNORE_RESULT(write(STDERR_FILENO, line, length + 1) < 0); /* nowhere left to say it */
}

/* SPDX-License-Identifier: Apache-2.0 */
/* logger.h — one line an event on standard error.
 *
 * Place:   called by whoever handles an error for good (a function logs or returns, never both).
 * Thread:  any; a line is one write(2), so lines of several threads do not mix.
 * Bounds:  those of log_line.h and log_gate.h. Nothing is allocated, and nothing waits but for
 *          standard error itself.
 *
 *     log_event(FOLD_FAILED, .code = row->slug, .detail = why.detail);
 *     time=2026-01-31T08:05:09.123Z level=error event=FOLD_FAILED message="…" code=io detail="…"
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/log_event.h"
#include "broker/support/log_line.h"

/* Lines below this level are left out; until it is called, none is. */
void logger_set_level(enum log_level least);

/* Until it is called: logfmt. */
void logger_set_format(enum log_format format);

/* Whether a line of that event would be of a level that is written. */
bool logger_is_on(enum log_event event);

/* log_event()'s: writes the line, or counts it where the event comes too fast. */
void logger_write(enum log_event event, const void *values);

/* Says what was held back of events that no line has followed. Main's, every LOG_TELL_INTERVAL_MS
 * and at the end. */
#define LOG_TELL_INTERVAL_MS 10000
void logger_tell_suppressed(void);

/* Lines held back since the start, told or not. */
uint64_t logger_suppressed_total(void);

/* The values are made only where the line may be written. At least one is named. */
#define log_event(event, ...)                                                                      \
    do {                                                                                           \
        if (logger_is_on(LOG_EVENT_##event)) {                                                     \
            logger_write(LOG_EVENT_##event, &(struct log_values_##event){__VA_ARGS__});            \
        }                                                                                          \
    } while (0)

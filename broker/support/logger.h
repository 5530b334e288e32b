/* SPDX-License-Identifier: Apache-2.0 */
/* logger.h — one line an event on standard error: a stable name, then key=value.
 *
 * Place:   called by whoever handles an error for good (a function logs or returns, never both).
 * Thread:  any; a line is one write(2), so lines of several threads do not mix.
 * Bounds:  a line is cut at LOGGER_LINE_BYTES_MAX.
 *
 *     log_warning("FOLD_FAILED", "code=%s detail=\"%s\"", row->slug, why.detail);
 *     2026-01-31T08:05:09.123Z level=warning event=FOLD_FAILED code=io detail="…"
 */
#pragma once

#include "broker/support/macros.h"

#define LOGGER_LINE_BYTES_MAX 2048

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* Lines below this level are left out; until it is called, none is. */
void logger_set_level(enum log_level least);

/* Control characters and line ends that come in through arguments are written as '?'. */
void logger_write(enum log_level level, const char *event, const char *format, ...)
    PRINTF_LIKE(3, 4);

#define log_info(event, ...) logger_write(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warning(event, ...) logger_write(LOG_LEVEL_WARNING, event, __VA_ARGS__)
#define log_error(event, ...) logger_write(LOG_LEVEL_ERROR, event, __VA_ARGS__)

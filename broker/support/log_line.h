/* SPDX-License-Identifier: Apache-2.0 */
/* log_line.h — one line of the log as text: logfmt, or JSON, from the same values.
 *
 * Place:   called by logger.c.
 * Thread:  pure.
 * Bounds:  LOG_LINE_BYTES_MAX; a text is cut at LOG_TEXT_BYTES_MAX and then ends with "…", so that
 *          each line is whole. Every row of the table fits (its test says so).
 *
 * A text is a JSON string (RFC 8259): quotes, backslashes, control characters and those that end a
 * line or turn its direction (U+2028, U+202E, …) are escaped, what is no UTF-8 becomes U+FFFD.
 * logfmt has no standard; its readers agree on JSON's escapes within quotes, and on words without
 * quotes where they hold no blank, `"`, `=` or `\`.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "broker/support/log_event.h"

#define LOG_LINE_BYTES_MAX 4096 /* PIPE_BUF: a pipe takes one write of it whole */
#define LOG_TEXT_BYTES_MAX 512  /* a channel's name of 480 bytes passes */

enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* `values` is the event's struct log_values_…; `suppressed` is left out where it is 0. Returns the
 * line's length with its line end. */
size_t log_line_write(enum log_format format, enum log_event event, uint64_t time_ms,
                      uint64_t suppressed, const void *values, char ret_line[LOG_LINE_BYTES_MAX]);

/* SPDX-License-Identifier: Apache-2.0 */
/* exposition.h — all metrics as text for Prometheus.
 *
 * Place:   the operator's port answers /metrics with it, after collecting figures.
 * Thread:  any; reads atomics.
 * Bounds:  EXPOSITION_BYTES_MAX; the series are fixed, so the text is as long as its digits.
 *
 * Text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). Every series is written
 * from the first scrape on, at zero too: a rate needs the number before the first event. Those of a
 * pattern come with the configuration that asks for them.
 */
#pragma once

#include "broker/metrics/metrics.h"
#include "broker/support/buffer.h"

#define EXPOSITION_BYTES_MAX 1048576 /* 256 workers and all labels make about 250 KiB */
#define EXPOSITION_MEDIA_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends the text. ERR_TOO_LARGE, ERR_MEMORY: the buffer holds a part of it. */
MUST_USE enum error_code exposition_put(struct buffer *buffer, const struct metrics *metrics);

/* `# HELP` and `# TYPE`, in front of a family's samples. A help text holds no line end and no
 * backslash. */
MUST_USE enum error_code exposition_put_head(struct buffer *buffer, const char *name,
                                             enum metrics_type type, const char *help);

/* A stored integer as the text says it: seconds with as many digits as it has. */
#define EXPOSITION_NUMBER_BYTES 32
void exposition_format_number(enum metrics_type type, enum metrics_unit unit, uint64_t value,
                              char text[EXPOSITION_NUMBER_BYTES]);

/* Appends a label's value: `\`, `"` and line ends are escaped. */
MUST_USE enum error_code exposition_put_label_value(struct buffer *buffer, const char *value);

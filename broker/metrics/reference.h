/* SPDX-License-Identifier: Apache-2.0 */
/* reference.h — docs/reference/metrics.md, made from the table.
 *
 * Place:   a test writes and compares the page.
 * Thread:  pure.
 * Bounds:  REFERENCE_BYTES_MAX.
 */
#pragma once

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"

#define METRICS_REFERENCE_BYTES_MAX 65536

/* Appends the whole page. ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code metrics_put_reference(struct buffer *buffer);

/* SPDX-License-Identifier: Apache-2.0 */
/* buffer.h — bytes that grow up to a ceiling.
 *
 * Place:   every encoder writes to one; a worker keeps a few and reuses them.
 * Thread:  its owner's; no locks.
 * Bounds:  `ceiling` bytes, given at init. What does not fit is refused and nothing is added.
 *
 * `bytes` is never NULL after the first put; the first `length` bytes are valid.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct buffer {
    uint8_t *bytes;
    size_t length;
    size_t capacity;
    size_t ceiling;
};

void buffer_init(struct buffer *buffer, size_t ceiling);

/* Frees the bytes; the buffer is empty and usable again. */
void buffer_finish(struct buffer *buffer);

/* Makes room for `more` bytes behind `length`. ERR_TOO_LARGE: above the ceiling. ERR_MEMORY. */
MUST_USE enum error_code buffer_reserve(struct buffer *buffer, size_t more);

/* Appends. ERR_TOO_LARGE, ERR_MEMORY: nothing was added. */
MUST_USE enum error_code buffer_put(struct buffer *buffer, struct span span);
MUST_USE enum error_code buffer_put_byte(struct buffer *buffer, uint8_t byte);
MUST_USE enum error_code buffer_printf(struct buffer *buffer, const char *format, ...)
    PRINTF_LIKE(2, 3);

/* Removes `count` bytes at the front. */
void buffer_drop_front(struct buffer *buffer, size_t count);

/* What it holds; valid until the next call that changes it. */
static inline struct span buffer_borrow(const struct buffer *buffer) {
    return span_of(buffer->bytes, buffer->length);
}

static inline void buffer_clear(struct buffer *buffer) {
    buffer->length = 0;
}

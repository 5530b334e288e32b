/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/support/invariant.h"

/* Short enough for glibc's fast bins (chunks of 128 bytes): many short ones at once, as the names,
 * headers and bodies of answers are, cost neither a search nor a merge. Above it capacities are
 * powers of two, so that a body of a mebibyte has one of a mebibyte. */
#define CAPACITY_SHORT 112
#define CAPACITY_FIRST 256

void buffer_init(struct buffer *buffer, size_t ceiling) {
    *buffer = (struct buffer){.ceiling = ceiling};
}

void buffer_finish(struct buffer *buffer) {
    free(buffer->bytes);
    buffer_init(buffer, buffer->ceiling);
}

enum error_code buffer_reserve(struct buffer *buffer, size_t more) {
    INVARIANT(buffer->length <= buffer->capacity);
    if (more > buffer->ceiling || buffer->length > buffer->ceiling - more) {
        return ERR_TOO_LARGE;
    }
    size_t needed = buffer->length + more;
    if (needed <= buffer->capacity && buffer->bytes != NULL) {
        return OK;
    }
    size_t capacity = buffer->capacity < CAPACITY_FIRST ? CAPACITY_FIRST : buffer->capacity;
    if (needed <= CAPACITY_SHORT) {
        capacity = CAPACITY_SHORT;
    }
    while (capacity < needed) {
        capacity *= 2;
    }
    if (capacity > buffer->ceiling && buffer->ceiling >= needed && buffer->ceiling > 0) {
        capacity = buffer->ceiling;
    }
    uint8_t *bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL) {
        return ERR_MEMORY;
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return OK;
}

enum error_code buffer_put(struct buffer *buffer, struct span span) {
    enum error_code code = buffer_reserve(buffer, span.length);
    if (code == OK && span.length > 0) {
        memcpy(buffer->bytes + buffer->length, span.bytes, span.length);
        buffer->length += span.length;
    }
    return code;
}

enum error_code buffer_put_byte(struct buffer *buffer, uint8_t byte) {
    return buffer_put(buffer, span_of(&byte, 1));
}

enum error_code buffer_printf(struct buffer *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    INVARIANT(length >= 0);
    enum error_code code = buffer_reserve(buffer, (size_t)length + 1); /* vsnprintf ends with NUL */
    if (code != OK) {
        return code;
    }
    va_start(arguments, format);
    vsnprintf((char *)buffer->bytes + buffer->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->length += (size_t)length;
    return OK;
}

void buffer_drop_front(struct buffer *buffer, size_t count) {
    INVARIANT(count <= buffer->length);
    buffer->length -= count;
    if (count > 0 && buffer->length > 0) {
        memmove(buffer->bytes, buffer->bytes + count, buffer->length);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken at the front leaves its room there, so that taking costs nothing; the rest moves
 * when room is needed and the front has as much of it as would have to be moved. */
#include "clients/bench/bytes.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/bench/fail.h"

#define BYTES_FIRST 256u
#define BYTES_FORMAT_FIRST 128u

void bytes_put(struct bytes *bytes, const void *data, size_t length) {
    if (length > 0) {
        memcpy(bytes_reserve(bytes, length), data, length);
        bytes->length += length;
    }
}

void bytes_put_format(struct bytes *bytes, const char *format, ...) {
    size_t room = BYTES_FORMAT_FIRST;
    for (;;) {
        char *text = (char *)bytes_reserve(bytes, room);
        va_list arguments;
        va_start(arguments, format);
        int length = vsnprintf(text, room, format, arguments);
        va_end(arguments);
        if (length < 0) {
            bench_fail("a text cannot be formatted");
        }
        if ((size_t)length < room) {
            bytes->length += (size_t)length;
            return;
        }
        room = (size_t)length + 1;
    }
}

static void move_to_front(struct bytes *bytes) {
    uint8_t *base = bytes->data - bytes->drained;
    memmove(base, bytes->data, bytes->length);
    bytes->data = base;
    bytes->capacity += bytes->drained;
    bytes->drained = 0;
}

static void grow(struct bytes *bytes, size_t wanted) {
    size_t capacity = bytes->capacity == 0 ? BYTES_FIRST : bytes->capacity;
    while (capacity < wanted) {
        capacity *= 2;
    }
    uint8_t *data = realloc(bytes->data, capacity);
    if (data == NULL) {
        bench_fail("out of memory: %zu bytes more are wanted", capacity);
    }
    bytes->data = data;
    bytes->capacity = capacity;
}

uint8_t *bytes_reserve(struct bytes *bytes, size_t length) {
    if (length > BYTES_MAX - bytes->length) {
        bench_fail("more than %u MiB wait to be sent to one connection, or read from it",
                   BYTES_MAX >> 20);
    }
    if (bytes->capacity - bytes->length < length) {
        bool is_cheap = bytes->drained >= bytes->length;
        if (bytes->drained > 0) {
            move_to_front(bytes);
        }
        if (!is_cheap || bytes->capacity - bytes->length < length) {
            grow(bytes, bytes->length + length);
        }
    }
    return bytes->data + bytes->length;
}

void bytes_drop(struct bytes *bytes, size_t length) {
    if (length > bytes->length) {
        bench_fail("%zu bytes are taken of %zu", length, bytes->length);
    }
    if (length > 0) {
        bytes->data += length;
        bytes->length -= length;
        bytes->capacity -= length;
        bytes->drained += length;
    }
    if (bytes->length == 0 && bytes->drained > 0) {
        move_to_front(bytes);
    }
}

void bytes_finish(struct bytes *bytes) {
    if (bytes->data != NULL) {
        free(bytes->data - bytes->drained);
    }
    *bytes = (struct bytes){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* bytes.h — bytes that grow at the end and are taken at the front.
 *
 * Place:   what a link has to send, what a cut unit has so far, and a report while it is written.
 * Thread:  its owner's.
 * Bounds:  BYTES_MAX. A load that needs more, or finds no memory, ends the program with a word:
 *          what it would measure from there is worth nothing.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BYTES_MAX (256u << 20)

struct bytes {
    uint8_t *data; /* zeroed at the start: nothing, and no memory */
    size_t length;
    size_t capacity; /* behind `data` */
    size_t drained;  /* bytes that were taken, whose room is still in front of `data` */
};

void bytes_put(struct bytes *bytes, const void *data, size_t length);

void bytes_put_format(struct bytes *bytes, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Room for `length` more; the caller writes there and adds to `length` what it used. */
uint8_t *bytes_reserve(struct bytes *bytes, size_t length);

/* Takes the first `length` away. */
void bytes_drop(struct bytes *bytes, size_t length);

void bytes_finish(struct bytes *bytes);

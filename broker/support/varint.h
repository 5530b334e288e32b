/* SPDX-License-Identifier: Apache-2.0 */
/* varint.h — numbers as bytes, seven bits each, the low ones first: small numbers are short.
 *
 * Place:   ids, states that are stored as objects, and rows and records of storage.
 * Thread:  pure.
 * Bounds:  VARINT_BYTES_MAX a number.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

#define VARINT_BYTES_MAX 10

/* Writes it in its shortest form; returns how many bytes that takes. */
size_t varint_write(uint64_t number, uint8_t ret_bytes[VARINT_BYTES_MAX]);

/* Appends. ERR_TOO_LARGE, ERR_MEMORY: nothing was added. */
MUST_USE enum error_code varint_put(struct buffer *buffer, uint64_t number);

/* Takes one from the front of `rest`. False: it is cut off or does not fit 64 bits; nothing was
 * taken. */
MUST_USE bool varint_take(struct span *rest, uint64_t *ret_number);

/* SPDX-License-Identifier: Apache-2.0 */
/* base64.h — bytes as text and back (RFC 4648), in the standard and in the URL alphabet.
 *
 * Place:   data_base64 in envelopes and commands; ids; the WebSocket handshake.
 * Thread:  pure.
 * Bounds:  4 characters for 3 bytes.
 *
 * Decoding is strict: no blanks, no foreign characters, padding exactly as encoding writes it, and
 * no bits left over. So each sequence of bytes has one text and each text one sequence of bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

#define BASE64_TEXT_BYTES(bytes) (((bytes) + 2) / 3 * 4)
#define BASE64_URL_TEXT_BYTES(bytes) (((bytes)*4 + 2) / 3)

/* Appends the text of `bytes`, standard alphabet with padding. ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code base64_put(struct buffer *buffer, struct span bytes);

/* Appends the bytes of a text of the standard alphabet. ERR_BAD_REQUEST: it is none; nothing was
 * added. ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code base64_put_decoded(struct buffer *buffer, struct span text);

/* The same in the URL alphabet (section 5) without padding. */
MUST_USE enum error_code base64_url_put(struct buffer *buffer, struct span bytes);
MUST_USE enum error_code base64_url_put_decoded(struct buffer *buffer, struct span text);

/* Without a buffer: writes BASE64_URL_TEXT_BYTES(bytes.length) characters, returns how many. */
size_t base64_url_encode(struct span bytes, char *ret_text);

/* Writes at most text.length * 3 / 4 bytes. ERR_BAD_REQUEST: no text of this alphabet. */
MUST_USE enum error_code base64_url_decode(struct span text, uint8_t *ret_bytes,
                                           size_t *ret_length);

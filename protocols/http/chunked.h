/* SPDX-License-Identifier: Apache-2.0 */
/* chunked.h — the chunks of a request body, taken apart as they come.
 *
 * Place:   between the public port's socket and the collected body.
 * Thread:  pure, no allocation.
 * Bounds:  a line with a chunk's size HTTP_CHUNK_LINE_BYTES_MAX, all extensions
 *          HTTP_CHUNK_EXTENSIONS_BYTES_MAX and all trailers HTTP_CHUNK_TRAILERS_BYTES_MAX; the sum
 *          of the data is the caller's to bound.
 *
 * RFC 9112, section 7.1. Extensions and trailers are skipped. Strict: CRLF alone ends a line, no
 * blank behind the size, a size of at most 15 digits without its leading zeros.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

#define HTTP_CHUNK_TRAILERS_BYTES_MAX 4096
#define HTTP_CHUNK_EXTENSIONS_BYTES_MAX 16384 /* of all chunks: read for nothing */

/* Zeroed is the start. All members belong to the decoder. */
struct chunked {
    uint64_t data_missing; /* of the current chunk */
    uint32_t line_bytes;
    uint32_t trailer_bytes;
    uint32_t extension_bytes;
    uint8_t state;
    uint8_t digits;
};

/* Takes bytes off the front of `input` up to the end of the next piece of data, which `ret_data`
 * then borrows from the input; an empty piece means that the input is used up or the body has
 * ended. What stands behind the end stays in `input`: it is the next request.
 *
 *     do {
 *         code = chunked_feed(&chunked, &input, &data, &why);
 *         …
 *     } while (code == OK && data.length > 0);
 *
 * ERR_BAD_REQUEST: the connection must be closed. */
MUST_USE enum error_code chunked_feed(struct chunked *chunked, struct span *input,
                                      struct span *ret_data, struct error *why);

/* The last chunk and the trailers have been read. */
bool chunked_is_done(const struct chunked *chunked);

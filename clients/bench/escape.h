/* SPDX-License-Identifier: Apache-2.0 */
/* escape.h — texts and numbers in the clothes that a protocol wants: percent-encoded, JSON, digits.
 *
 * Place:   the protocols of clients/bench, for what they put.
 * Thread:  pure.
 * Bounds:  three bytes of output a byte (percent), six (JSON).
 */
#pragma once

#include "clients/bench/bytes.h"

void escape_put_text(struct bytes *output, const char *text);
void escape_put_number(struct bytes *output, uint64_t number);

/* For a path: `/` stays. */
void escape_put_path(struct bytes *output, const char *text);

/* For a value of a query or a form: all but letters, digits and `-._~` is encoded. */
void escape_put_value(struct bytes *output, const uint8_t *bytes, size_t length);

/* A JSON string, with its quotes. */
void escape_put_json(struct bytes *output, const char *text);

/* A channel or pattern in another's words: `separator` for `/`, `one` for `*`, `many` for `**`. */
void escape_put_pattern(struct bytes *output, const char *text, char separator, char one,
                        char many);

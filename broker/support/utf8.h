/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h — is it UTF-8? For bytes that are whole, and for text that comes in pieces.
 *
 * Place:   called on all text from the wire.
 * Thread:  pure.
 * Bounds:  none.
 *
 * Strict as RFC 3629: no surrogates, nothing above U+10FFFF, only shortest forms.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/span.h"

/* Between two pieces. Zeroed is the start. */
struct utf8_state {
    uint8_t missing; /* continuation bytes that the current character still lacks */
    uint8_t lowest;  /* of the next continuation byte */
    uint8_t highest;
};

/* Takes the next piece. False as soon as no continuation can make the text valid; the state is then
 * of no more use. */
bool utf8_feed(struct utf8_state *state, struct span piece);

/* No character is cut in two at this point. */
bool utf8_is_complete(const struct utf8_state *state);

/* Of bytes that are whole. */
bool utf8_is_valid(struct span text);

/* How many bytes a character has by its first; 1 for what is none. */
size_t utf8_character_length(uint8_t first);

/* The beginning of `text` that is whole characters of UTF-8, of at most so many bytes: where a text
 * is shortened for room. */
struct span utf8_cut(struct span text, size_t length_max);

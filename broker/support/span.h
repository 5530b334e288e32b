/* SPDX-License-Identifier: Apache-2.0 */
/* span.h — bytes that somebody else owns: a pointer and a length.
 *
 * Place:   the currency of every codec; made from buffers and messages.
 * Thread:  a value; as safe as the bytes behind it.
 * Bounds:  none of its own: a span is as long as what it points into.
 *
 * A span is not terminated by NUL, and an empty span may have a NULL pointer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *bytes;
    size_t length;
};

/* A span over a string literal. */
#define SPAN(literal) ((struct span){(const uint8_t *)(literal), sizeof(literal) - 1})

/* The same for a static table, where a compound literal is no constant. */
#define SPAN_ROW(literal)                                                                          \
    { (const uint8_t *)(literal), sizeof(literal) - 1 }

/* For printf's "%.*s". */
#define SPAN_PRINTF(span) (int)(span).length, (const char *)(span).bytes

static inline struct span span_of(const void *bytes, size_t length) {
    return (struct span){bytes, length};
}

/* A span over a NUL-terminated string; NULL gives the empty span. */
static inline struct span span_of_string(const char *string) {
    return string == NULL ? (struct span){0} : span_of(string, strlen(string));
}

bool span_is_equal(struct span left, struct span right);

/* ASCII case is folded, as for header names and schemes (RFC 9110, section 5.1). */
bool span_is_equal_nocase(struct span left, struct span right);

/* Less than, equal to or greater than 0, as memcmp(3); what the other begins with is less. */
int span_compare(struct span left, struct span right);

bool span_has_prefix(struct span span, struct span prefix);

/* ASCII, to be written beside one another: SPAN(SPAN_LOWER SPAN_DIGITS "-_"). */
#define SPAN_DIGITS "0123456789"
#define SPAN_LOWER "abcdefghijklmnopqrstuvwxyz"
#define SPAN_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ" SPAN_LOWER

/* Whether it has at least one byte, and none but those. */
bool span_consists_of(struct span span, struct span characters);

/* Without the ASCII blanks and tabs at both ends. */
struct span span_trim(struct span span);

/* Splits at the first `separator`: what stands before it is returned, `rest` keeps what follows.
 * Without a separator all is returned and `rest` becomes empty. */
struct span span_split(struct span *rest, uint8_t separator);

/* The number in decimal digits, which are written to the end of `digits`. */
#define SPAN_U64_DIGITS 20
struct span span_format_u64(uint64_t number, uint8_t digits[SPAN_U64_DIGITS]);

/* A decimal number of digits alone that fits 64 bits. False otherwise, with `ret_number`
 * untouched. */
bool span_parse_u64(struct span span, uint64_t *ret_number);

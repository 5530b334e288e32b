/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/span.h"

#include <strings.h>

bool span_is_equal(struct span left, struct span right) {
    return left.length == right.length &&
           (left.length == 0 || memcmp(left.bytes, right.bytes, left.length) == 0);
}

/* Tables of names are searched with it: nearly all that have the right length differ in the first
 * byte, also when its case is folded away. */
bool span_is_equal_nocase(struct span left, struct span right) {
    if (left.length != right.length || left.length == 0) {
        return left.length == right.length;
    }
    return ((left.bytes[0] ^ right.bytes[0]) & ~0x20) == 0 &&
           strncasecmp((const char *)left.bytes, (const char *)right.bytes, left.length) == 0;
}

int span_compare(struct span left, struct span right) {
    size_t common = left.length < right.length ? left.length : right.length;
    int order = common == 0 ? 0 : memcmp(left.bytes, right.bytes, common);
    return order != 0 ? order : (left.length > right.length) - (left.length < right.length);
}

bool span_has_prefix(struct span span, struct span prefix) {
    return span.length >= prefix.length &&
           span_is_equal(span_of(span.bytes, prefix.length), prefix);
}

bool span_consists_of(struct span span, struct span characters) {
    size_t known = 0;
    while (known < span.length &&
           memchr(characters.bytes, span.bytes[known], characters.length) != NULL) {
        known++;
    }
    return known > 0 && known == span.length;
}

static bool is_blank(uint8_t byte) {
    return byte == ' ' || byte == '\t';
}

struct span span_trim(struct span span) {
    while (span.length > 0 && is_blank(span.bytes[0])) {
        span.bytes++;
        span.length--;
    }
    while (span.length > 0 && is_blank(span.bytes[span.length - 1])) {
        span.length--;
    }
    return span;
}

struct span span_split(struct span *rest, uint8_t separator) {
    struct span whole = *rest;
    const uint8_t *found = whole.length == 0 ? NULL : memchr(whole.bytes, separator, whole.length);
    if (found == NULL) {
        *rest = span_of(whole.bytes == NULL ? NULL : whole.bytes + whole.length, 0);
        return whole;
    }
    size_t before = (size_t)(found - whole.bytes);
    *rest = span_of(found + 1, whole.length - before - 1);
    return span_of(whole.bytes, before);
}

struct span span_format_u64(uint64_t number, uint8_t digits[SPAN_U64_DIGITS]) {
    size_t at = SPAN_U64_DIGITS;
    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return span_of(digits + at, SPAN_U64_DIGITS - at);
}

bool span_parse_u64(struct span span, uint64_t *ret_number) {
    if (span.length == 0) {
        return false;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < span.length; i++) {
        uint8_t digit = (uint8_t)(span.bytes[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, digit, &number)) {
            return false;
        }
    }
    *ret_number = number;
    return true;
}

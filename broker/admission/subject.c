/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/subject.h"

#include "broker/support/hex.h"

/* How many bytes the character at `at` takes: an escape is one character (RFC 4514, 2.4). */
static size_t step_at(struct span text, size_t at) {
    return text.bytes[at] == '\\' && at + 1 < text.length ? 2 : 1;
}

static bool is_border(uint8_t byte) {
    return byte == ',' || byte == '+';
}

/* The classic walk with one place to return to: the last `*`, and how much it took. A border in the
 * subject ends what a `*` may take, and with it the place. */
bool subject_matches(struct span pattern, struct span subject) {
    size_t at = 0, in_pattern = 0;
    bool has_star = false;
    size_t star = 0, star_at = 0;
    while (at < subject.length) {
        if (in_pattern < pattern.length && pattern.bytes[in_pattern] == '*') {
            has_star = true;
            star = ++in_pattern;
            star_at = at;
            continue;
        }
        size_t step = step_at(subject, at);
        size_t pattern_step = in_pattern < pattern.length ? step_at(pattern, in_pattern) : 0;
        bool is_same = pattern_step == step &&
                       memcmp(pattern.bytes + in_pattern, subject.bytes + at, step) == 0;
        if (is_same) {
            has_star = has_star && !(step == 1 && is_border(subject.bytes[at]));
            at += step;
            in_pattern += step;
        } else if (has_star &&
                   !(step_at(subject, star_at) == 1 && is_border(subject.bytes[star_at]))) {
            star_at += step_at(subject, star_at);
            at = star_at;
            in_pattern = star;
        } else {
            return false;
        }
    }
    while (in_pattern < pattern.length && pattern.bytes[in_pattern] == '*') {
        in_pattern++;
    }
    return in_pattern == pattern.length;
}

/* Up to the next border that stands for itself; `rest` keeps what is behind it. */
static struct span next_part(struct span *rest) {
    size_t at = 0;
    while (at < rest->length && !is_border(rest->bytes[at])) {
        at += step_at(*rest, at);
    }
    struct span part = span_of(rest->bytes, at);
    size_t behind = at + (at < rest->length);
    *rest = span_of(rest->bytes + behind, rest->length - behind);
    return part;
}

struct span subject_common_name(struct span subject) {
    struct span rest = subject;
    while (rest.length > 0) {
        struct span value = next_part(&rest);
        struct span type = span_split(&value, '=');
        if (span_is_equal_nocase(span_trim(type), SPAN("CN"))) {
            return value;
        }
    }
    return (struct span){0};
}

bool subject_unescape(struct span value, uint8_t *ret_bytes, size_t *ret_length) {
    size_t length = 0;
    for (size_t at = 0; at < value.length; at++) {
        if (value.bytes[at] != '\\') {
            ret_bytes[length++] = value.bytes[at];
            continue;
        }
        if (++at == value.length) {
            return false;
        }
        int high = hex_digit(value.bytes[at]);
        int low = high >= 0 && at + 1 < value.length ? hex_digit(value.bytes[at + 1]) : -1;
        ret_bytes[length++] = low >= 0 ? (uint8_t)(high << 4 | low) : value.bytes[at];
        at += low >= 0;
    }
    *ret_length = length;
    return true;
}

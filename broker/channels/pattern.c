/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/pattern.h"

#include "broker/channels/name.h"
#include "broker/limits.h"

static const struct span ONE = {(const uint8_t *)"*", 1};
static const struct span REST = {(const uint8_t *)"**", 2};

/* The segments of a text, one after the other; a text without `/` is one segment. */
struct segments {
    struct span rest;
    bool is_at_end;
};

static bool next_segment(struct segments *segments, struct span *ret_segment) {
    if (segments->is_at_end) {
        return false;
    }
    struct span rest = segments->rest;
    *ret_segment = span_split(&segments->rest, '/');
    segments->is_at_end = ret_segment->length == rest.length;
    return true;
}

bool pattern_is_pattern(struct span text) {
    return text.length > 0 && memchr(text.bytes, '*', text.length) != NULL;
}

enum error_code pattern_check(struct span pattern, bool may_have_empty_segments,
                              struct error *why) {
    enum error_code code = channel_text_check(pattern, may_have_empty_segments, why);
    if (code != OK) {
        return code;
    }
    struct segments segments = {.rest = pattern};
    struct span segment;
    size_t count = 0;
    bool has_depth = pattern_is_pattern(pattern); /* a plain name is in no trie */
    while (next_segment(&segments, &segment)) {
        if (++count > PATTERN_SEGMENTS_MAX && has_depth) {
            return error_set(why, ERR_BAD_CHANNEL, "A pattern has at most %d segments",
                             PATTERN_SEGMENTS_MAX);
        }
        if (span_is_equal(segment, ONE)) {
            continue;
        }
        if (span_is_equal(segment, REST)) {
            if (!segments.is_at_end) {
                return error_set(why, ERR_BAD_CHANNEL, "`**` is the last segment of a pattern");
            }
            continue;
        }
        for (size_t i = 0; i < segment.length; i++) {
            if (segment.bytes[i] == '*') {
                return error_set(why, ERR_BAD_CHANNEL,
                                 "`*` and `**` are whole segments of a pattern");
            }
            if (segment.bytes[i] == '+' || segment.bytes[i] == '#') {
                return error_set(why, ERR_BAD_CHANNEL,
                                 "A pattern has no '%c'; its wildcards are `*` and `**`",
                                 segment.bytes[i]);
            }
        }
    }
    return OK;
}

bool pattern_matches(struct span pattern, struct span name) {
    if (channel_name_is_reserved(name) && pattern.length > 0 && pattern.bytes[0] == '*') {
        return false;
    }
    struct segments wanted = {.rest = pattern}, given = {.rest = name};
    struct span want, have;
    while (next_segment(&wanted, &want)) {
        if (span_is_equal(want, REST)) {
            return true;
        }
        if (!next_segment(&given, &have)) {
            return false;
        }
        if (!span_is_equal(want, ONE) && !span_is_equal(want, have)) {
            return false;
        }
    }
    return given.is_at_end;
}

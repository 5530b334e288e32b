/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/pattern.h"

#include "broker/channels/name.h"
#include "broker/channels/scope.h"
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

/* Both must have the same scope, or none. False: they do not. */
static bool take_scope(struct span *pattern, struct span *name) {
    struct span scope = span_of(name->bytes, scope_length(*name));
    if (scope.length != scope_length(*pattern) || !span_has_prefix(*pattern, scope)) {
        return false;
    }
    *pattern = span_of(pattern->bytes + scope.length, pattern->length - scope.length);
    *name = span_of(name->bytes + scope.length, name->length - scope.length);
    return true;
}

bool pattern_matches(struct span pattern, struct span name) {
    if (!take_scope(&pattern, &name)) {
        return false;
    }
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

/* Segment by segment, because `**` comes last in both. The name before it is one of those that it
 * stands for, but where that would be empty: `**` alone, and slash and `**`, stand for what `*` and
 * then `**` would there. */
bool pattern_covers(struct span pattern, struct span asked) {
    if (channel_name_is_reserved(asked) && pattern.length > 0 && pattern.bytes[0] == '*') {
        return false;
    }
    struct segments granted = {.rest = pattern}, wanted = {.rest = asked};
    struct span grant, want;
    bool has_no_name_before = span_is_equal(asked, REST) || span_is_equal(asked, SPAN("/**"));
    while (next_segment(&granted, &grant)) {
        if (span_is_equal(grant, REST)) {
            return true;
        }
        struct segments before = wanted;
        if (!next_segment(&wanted, &want)) {
            return false;
        }
        if (span_is_equal(want, REST)) {
            if (!has_no_name_before) {
                return false;
            }
            has_no_name_before = false;
            want = ONE;
            wanted = before;
        }
        if (!span_is_equal(grant, ONE) && !span_is_equal(grant, want)) {
            return false;
        }
    }
    return wanted.is_at_end;
}

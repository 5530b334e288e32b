/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/pattern.h"

#include "broker/channels/name.h"
#include "tests/fuzz/fuzz.h"

static size_t segment_length(struct span text) {
    size_t at = 0;
    while (at < text.length && text.bytes[at] != '/') {
        at++;
    }
    return at;
}

static struct span behind(struct span text, size_t length) {
    return span_of(text.bytes + length, text.length - length);
}

/* The rules of the contract as they are told, segment by segment and by recursion. `name` is NULL
 * behind its last segment. */
static bool is_match(struct span pattern, const struct span *name) {
    size_t wanted = segment_length(pattern);
    if (wanted == 2 && pattern.length == 2 && memcmp(pattern.bytes, "**", 2) == 0) {
        return true;
    }
    if (name == NULL) {
        return false;
    }
    size_t given = segment_length(*name);
    bool is_one = wanted == 1 && pattern.bytes[0] == '*';
    if (!is_one && !span_is_equal(span_of(pattern.bytes, wanted), span_of(name->bytes, given))) {
        return false;
    }
    bool is_pattern_at_end = wanted == pattern.length, is_name_at_end = given == name->length;
    if (is_pattern_at_end) {
        return is_name_at_end;
    }
    struct span rest = is_name_at_end ? (struct span){0} : behind(*name, given + 1);
    return is_match(behind(pattern, wanted + 1), is_name_at_end ? NULL : &rest);
}

/* Input: a pattern, a line end, a name. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span name = span_of(bytes, length);
    struct span pattern = span_split(&name, '\n');
    struct error why = {0};
    if (channel_name_check(name, true, &why) != OK) {
        CLAIM(why.code == ERR_BAD_CHANNEL && why.detail[0] != '\0');
        return 0;
    }
    CLAIM(pattern_check(name, true, NULL) == OK);
    CLAIM(pattern_matches(name, name));
    CLAIM(!pattern_is_pattern(name));
    CLAIM(pattern_matches(SPAN("**"), name) == !channel_name_is_reserved(name));
    if (pattern_check(pattern, true, NULL) == OK) {
        bool is_hidden = channel_name_is_reserved(name) && pattern.bytes[0] == '*';
        CLAIM(pattern_matches(pattern, name) == (!is_hidden && is_match(pattern, &name)));
        CLAIM(pattern_is_pattern(pattern) || channel_name_check(pattern, true, NULL) == OK);
    }
    return 0;
}

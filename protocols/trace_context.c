/* SPDX-License-Identifier: Apache-2.0 */
/* traceparent: version "-" trace-id "-" parent-id "-" trace-flags, of 2, 32, 16 and 2 hexadecimal
 * digits in small letters. Nothing follows in version 00; in a later one nothing, or "-" and what
 * is not known here (section 3.2.2). Version ff and ids of zeros alone are invalid. */
#include "protocols/trace_context.h"

#include "protocols/rest/request.h"

#define PARENT_BYTES 55
#define MEMBER_PART_BYTES_MAX 256 /* a key, and a value */

/* --- traceparent ---------------------------------------------------------------------------- */

static bool is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

static bool is_small_letter(uint8_t byte) {
    return byte >= 'a' && byte <= 'z';
}

static bool is_hexadecimal(struct span text) {
    for (size_t i = 0; i < text.length; i++) {
        if (!is_digit(text.bytes[i]) && !(text.bytes[i] >= 'a' && text.bytes[i] <= 'f')) {
            return false;
        }
    }
    return true;
}

static bool is_all_zeros(struct span text) {
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] != '0') {
            return false;
        }
    }
    return true;
}

static bool is_visible(struct span text) {
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] <= ' ' || text.bytes[i] > '~') {
            return false;
        }
    }
    return true;
}

bool trace_context_parse_parent(struct span text, struct span *ret_id) {
    if (text.length < PARENT_BYTES || text.length > TRACE_PARENT_BYTES_MAX) {
        return false;
    }
    struct span rest = span_of(text.bytes, PARENT_BYTES);
    struct span version = span_split(&rest, '-');
    struct span id = span_split(&rest, '-');
    struct span parent_id = span_split(&rest, '-');
    struct span flags = rest;
    bool has_lengths =
        version.length == 2 && id.length == 32 && parent_id.length == 16 && flags.length == 2;
    if (!has_lengths || !is_hexadecimal(version) || !is_hexadecimal(id) ||
        !is_hexadecimal(parent_id) || !is_hexadecimal(flags)) {
        return false;
    }
    if (span_is_equal(version, SPAN("ff")) || is_all_zeros(id) || is_all_zeros(parent_id)) {
        return false;
    }
    bool may_go_on = !span_is_equal(version, SPAN("00")) && text.length > PARENT_BYTES &&
                     text.bytes[PARENT_BYTES] == '-' && is_visible(text);
    if (text.length > PARENT_BYTES && !may_go_on) {
        return false;
    }
    *ret_id = id;
    return true;
}

/* Two of them say nothing: which one should it be? */
static struct span find_parent(const struct request_header *headers, size_t header_count,
                               struct span *ret_id) {
    struct span parent = {0};
    size_t count = 0;
    for (size_t i = 0; i < header_count; i++) {
        if (span_is_equal_nocase(headers[i].name, SPAN("traceparent"))) {
            parent = headers[i].value;
            count++;
        }
    }
    return count == 1 && trace_context_parse_parent(parent, ret_id) ? parent : (struct span){0};
}

/* --- tracestate ----------------------------------------------------------------------------- */

static bool is_key(struct span key) {
    if (key.length == 0 || key.length > MEMBER_PART_BYTES_MAX ||
        !(is_digit(key.bytes[0]) || is_small_letter(key.bytes[0]))) {
        return false;
    }
    for (size_t i = 0; i < key.length; i++) {
        uint8_t byte = key.bytes[i];
        if (!is_digit(byte) && !is_small_letter(byte) && memchr("_-*/@", byte, 5) == NULL) {
            return false;
        }
    }
    return true;
}

/* Blanks may stand inside; those at its end are gone with the member's. */
static bool is_value(struct span value) {
    if (value.length == 0 || value.length > MEMBER_PART_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < value.length; i++) {
        if (value.bytes[i] < ' ' || value.bytes[i] > '~' || value.bytes[i] == '=') {
            return false;
        }
    }
    return true;
}

struct state {
    struct trace_context *trace;
    size_t member_count;
    bool is_full; /* a member had no room: those behind it go, too */
};

static void keep_member(struct state *state, struct span member) {
    struct trace_context *trace = state->trace;
    size_t comma = trace->state_length > 0;
    state->is_full |= comma + member.length > sizeof(trace->state) - trace->state_length;
    if (state->is_full) {
        return;
    }
    if (comma > 0) {
        trace->state[trace->state_length++] = ',';
    }
    memcpy(trace->state + trace->state_length, member.bytes, member.length);
    trace->state_length += member.length;
}

/* False: the list is against the rules. Empty members are not. */
static bool read_members(struct state *state, struct span list) {
    while (list.length > 0) {
        struct span member = span_trim(span_split(&list, ','));
        if (member.length == 0) {
            continue;
        }
        struct span value = member;
        struct span key = span_split(&value, '=');
        if (!is_key(key) || !is_value(value) || ++state->member_count > TRACE_STATE_MEMBERS_MAX) {
            return false;
        }
        keep_member(state, member);
    }
    return true;
}

/* --- both ----------------------------------------------------------------------------------- */

void trace_context_read(const struct request_header *headers, size_t header_count,
                        struct trace_context *ret_trace) {
    struct state state = {.trace = ret_trace};
    ret_trace->state_length = 0;
    ret_trace->id = (struct span){0};
    ret_trace->parent = find_parent(headers, header_count, &ret_trace->id);
    if (ret_trace->parent.length == 0) {
        return;
    }
    for (size_t i = 0; i < header_count; i++) {
        if (span_is_equal_nocase(headers[i].name, SPAN("tracestate")) &&
            !read_members(&state, headers[i].value)) {
            ret_trace->state_length = 0;
            return;
        }
    }
}

struct span trace_context_find_id(const struct request_header *headers, size_t header_count) {
    struct span id = {0};
    return find_parent(headers, header_count, &id).length > 0 ? id : (struct span){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/utf8.h"

#define HIGH_BITS 0x8080808080808080u

/* RFC 3629, section 4: what may follow the first byte. */
static bool start_character(struct utf8_state *state, uint8_t byte) {
    *state = (struct utf8_state){.missing = 1, .lowest = 0x80, .highest = 0xBF};
    if (byte >= 0xC2 && byte <= 0xDF) {
        return true;
    }
    if (byte >= 0xE0 && byte <= 0xEF) {
        state->missing = 2;
        state->lowest = byte == 0xE0 ? 0xA0 : 0x80;  /* shortest form */
        state->highest = byte == 0xED ? 0x9F : 0xBF; /* no surrogates */
        return true;
    }
    if (byte >= 0xF0 && byte <= 0xF4) {
        state->missing = 3;
        state->lowest = byte == 0xF0 ? 0x90 : 0x80;
        state->highest = byte == 0xF4 ? 0x8F : 0xBF; /* U+10FFFF */
        return true;
    }
    return false;
}

bool utf8_feed(struct utf8_state *state, struct span piece) {
    const uint8_t *next = piece.bytes;
    size_t rest = piece.length;
    while (rest > 0) {
        uint64_t word;
        if (state->missing == 0 && rest >= sizeof(word)) {
            memcpy(&word, next, sizeof(word));
            if ((word & HIGH_BITS) == 0) {
                next += sizeof(word);
                rest -= sizeof(word);
                continue;
            }
        }
        uint8_t byte = *next++;
        rest--;
        if (state->missing > 0) {
            if (byte < state->lowest || byte > state->highest) {
                return false;
            }
            state->missing--;
            state->lowest = 0x80;
            state->highest = 0xBF;
        } else if (byte >= 0x80 && !start_character(state, byte)) {
            return false;
        }
    }
    return true;
}

bool utf8_is_complete(const struct utf8_state *state) {
    return state->missing == 0;
}

bool utf8_is_valid(struct span text) {
    struct utf8_state state = {0};
    return utf8_feed(&state, text) && utf8_is_complete(&state);
}

size_t utf8_character_length(uint8_t first) {
    return first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

struct span utf8_cut(struct span text, size_t length_max) {
    struct utf8_state state = {0};
    size_t whole = 0;
    for (size_t i = 0; i < text.length && i < length_max; i++) {
        if (!utf8_feed(&state, span_of(text.bytes + i, 1))) {
            break;
        }
        whole = utf8_is_complete(&state) ? i + 1 : whole;
    }
    return span_of(text.bytes, whole);
}

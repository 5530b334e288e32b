/* SPDX-License-Identifier: Apache-2.0 */
/* A stamp is 40 characters of six bits each, in the alphabet of base64url, the high bits first:
 *
 *     tdSmp | run: 6 | channel: 6 | lane: 4 | sequence: 8 | due_ns: 11
 *
 * The payload around it, of `length` bytes in all:
 *
 *     {"s":"<stamp>"}                  48
 *     {"s":"<stamp>"   }               49 to 54
 *     {"s":"<stamp>","f":"<filling>"}  55 and more
 *
 * The filling is drawn from the sequence, 16 letters evenly: where a server compresses, half of it
 * goes, as of real JSON; a row of one letter would vanish.
 */
#include "clients/bench/stamp.h"

#include <assert.h>
#include <string.h>

#define MARK "tdSmp"
#define MARK_BYTES (sizeof(MARK) - 1)
#define RUN_AT MARK_BYTES
#define CHANNEL_AT (RUN_AT + 6)
#define LANE_AT (CHANNEL_AT + 6)
#define SEQUENCE_AT (LANE_AT + 4)
#define DUE_AT (SEQUENCE_AT + 8)
static_assert(DUE_AT + 11 == STAMP_BYTES, "the fields fill the stamp");

#define HEAD "{\"s\":\""
#define TAIL "\"}"
#define FILLING_HEAD "\",\"f\":\""
#define HEAD_BYTES (sizeof(HEAD) - 1)
#define FILLING_BYTES_MIN (STAMP_PAYLOAD_BYTES_MIN + sizeof(FILLING_HEAD) - 1)
static_assert(HEAD_BYTES + STAMP_BYTES + sizeof(TAIL) - 1 == STAMP_PAYLOAD_BYTES_MIN,
              "the shortest payload is the stamp in its object");

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* What each byte stands for, below 64; NO: it is no letter. */
#define NO 0x80
#define NO_16 NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO
/* clang-format off */
static const uint8_t values[256] = {
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 62, NO, NO,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NO, NO, NO, NO, NO, NO,
    NO, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NO, NO, NO, NO, 63,
    NO, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NO, NO, NO, NO, NO,
    NO_16, NO_16, NO_16, NO_16, NO_16, NO_16, NO_16, NO_16,
};
/* clang-format on */

static void put_number(uint8_t *bytes, size_t count, uint64_t number) {
    for (size_t i = count; i > 0; i--) {
        bytes[i - 1] = (uint8_t)letters[number & 63];
        number >>= 6;
    }
}

/* What is no letter is seen in `bad`; what the number then is does not matter. */
static uint64_t take_number(const uint8_t *bytes, size_t count, unsigned *bad) {
    uint64_t number = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t value = values[bytes[i]];
        *bad |= value;
        number = number << 6 | value;
    }
    return number;
}

static void put_filling(uint8_t *bytes, size_t length, uint64_t state) {
    uint64_t drawn = 0;
    for (size_t i = 0; i < length; i++) {
        if (i % 16 == 0) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            drawn = state;
        }
        bytes[i] = (uint8_t)letters[drawn & 15];
        drawn >>= 4;
    }
}

void stamp_put_payload(const struct stamp *stamp, uint8_t *payload, size_t length) {
    memcpy(payload, HEAD MARK, HEAD_BYTES + MARK_BYTES);
    uint8_t *bytes = payload + HEAD_BYTES;
    put_number(bytes + RUN_AT, 6, stamp->run);
    put_number(bytes + CHANNEL_AT, 6, stamp->channel);
    put_number(bytes + LANE_AT, 4, stamp->lane);
    put_number(bytes + SEQUENCE_AT, 8, stamp->sequence);
    put_number(bytes + DUE_AT, 11, stamp->due_ns);
    uint8_t *at = bytes + STAMP_BYTES;
    uint8_t *end = payload + length;
    if (length >= FILLING_BYTES_MIN) {
        memcpy(at, FILLING_HEAD, sizeof(FILLING_HEAD) - 1);
        at += sizeof(FILLING_HEAD) - 1;
        put_filling(at, (size_t)(end - 2 - at), (stamp->sequence + 1) * 0x9e3779b97f4a7c15ull);
        memcpy(end - 2, TAIL, 2);
    } else {
        *at = '"';
        memset(at + 1, ' ', (size_t)(end - 1 - (at + 1)));
        end[-1] = '}';
    }
}

static bool take_stamp(const uint8_t *bytes, struct stamp *ret_stamp) {
    unsigned bad = 0;
    struct stamp stamp = {
        .run = (uint32_t)take_number(bytes + RUN_AT, 6, &bad),
        .channel = (uint32_t)take_number(bytes + CHANNEL_AT, 6, &bad),
        .lane = (uint32_t)take_number(bytes + LANE_AT, 4, &bad),
        .sequence = take_number(bytes + SEQUENCE_AT, 8, &bad),
        .due_ns = take_number(bytes + DUE_AT, 11, &bad),
    };
    if ((bad & NO) != 0) {
        return false;
    }
    *ret_stamp = stamp;
    return true;
}

bool stamp_find(const uint8_t *bytes, size_t length, size_t *hint, struct stamp *ret_stamp) {
    if (length < STAMP_BYTES) {
        return false;
    }
    size_t last = length - STAMP_BYTES;
    if (*hint <= last && memcmp(bytes + *hint, MARK, MARK_BYTES) == 0 &&
        take_stamp(bytes + *hint, ret_stamp)) {
        return true;
    }
    for (size_t at = 0; at <= last; at++) {
        const uint8_t *mark = memmem(bytes + at, last + MARK_BYTES - at, MARK, MARK_BYTES);
        if (mark == NULL) {
            return false;
        }
        at = (size_t)(mark - bytes);
        if (take_stamp(mark, ret_stamp)) {
            *hint = at;
            return true;
        }
    }
    return false;
}

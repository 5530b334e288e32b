/* SPDX-License-Identifier: Apache-2.0 */
/* stamp.h — what a message of the load says of itself: who sent it, which it is, when it was due.
 *
 * Place:   written by composer.c, read by receipt.c out of whatever a protocol wraps it in.
 * Thread:  pure.
 * Bounds:  STAMP_BYTES of letters, digits, - and _, so that it survives JSON and URLs untouched;
 *          the payload is a JSON object with the stamp in front and filling behind.
 *
 * The time is the intended one of the schedule, not that of sending: what a late publisher adds is
 * part of the latency (no coordinated omission).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAMP_BYTES 40
#define STAMP_PAYLOAD_BYTES_MIN (STAMP_BYTES + 8) /* {"s":"…"} */

/* What of a number is kept: a load has no more. */
#define STAMP_LANE_MAX ((1u << 24) - 1)
#define STAMP_SEQUENCE_MAX ((1ull << 48) - 1)

struct stamp {
    uint32_t run;      /* of this run of the load: what an older one left is foreign */
    uint32_t channel;  /* its number */
    uint32_t lane;     /* the publishing connection: one counts alone, in a row, on each channel */
    uint64_t sequence; /* from 0, of its channel and lane */
    uint64_t due_ns;   /* of the monotonic clock */
};

/* Writes a payload of `length` bytes, STAMP_PAYLOAD_BYTES_MIN at least. */
void stamp_put_payload(const struct stamp *stamp, uint8_t *payload, size_t length);

/* Finds the first stamp in `bytes`. `hint` is where the last one was found and is updated: nearly
 * always it is there again. False: there is none. */
bool stamp_find(const uint8_t *bytes, size_t length, size_t *hint, struct stamp *ret_stamp);

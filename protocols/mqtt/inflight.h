/* SPDX-License-Identifier: Apache-2.0 */
/* inflight.h — what was sent to a client with QoS 1 or 2 and is not acknowledged: the packet ids.
 *
 * Place:   a part of a session (session.h); written by outbound.c, retained.c and resend.c.
 * Thread:  its session's; pure but for memory.
 * Bounds:  as many as the owner puts: the client's receive maximum, of 24 bytes each, and as many
 *          that wait (so mqtt.receive_max ends at 32,767, or the ids would); at most as much again
 *          for what was taken away in the middle.
 *
 * An entry says where its message stands in the log, and no more: the message is read again when it
 * has to be sent again. Entries are in the order in which they were put.
 *
 *     QoS 1   WAITING -> SENT -> gone
 *     QoS 2   WAITING -> SENT -> RELEASED -> gone
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"

enum inflight_state {
    INFLIGHT_FREE,     /* was taken away: only its place in the array is left */
    INFLIGHT_WAITING,  /* it has its packet id, and is still to be sent */
    INFLIGHT_SENT,     /* the PUBLISH left */
    INFLIGHT_RELEASED, /* of QoS 2: the client has it; the PUBREL left or is about to */
};

struct inflight_entry {
    uint64_t position; /* of its message; of a shared subscription the token of the lease */
    uint32_t share;    /* the number of the shared subscription, which alone sends it again; 0 */
    uint16_t packet_id;
    uint8_t state;
    uint8_t qos;
    bool is_retained; /* it is the copy that a new subscription was given */
    bool is_told;     /* the journal knows of it */
    bool is_on_link;  /* it was sent since the client connected: it counts for the window */
    bool is_prepared; /* it is part of the run that is about to leave */
};

/* Zeroed, it is empty and owns nothing. */
struct inflight {
    struct inflight_entry *entries; /* [begin, end) are in use or FREE */
    uint32_t begin;
    uint32_t end;
    uint32_t capacity;
    uint32_t count; /* that are not FREE */
    uint16_t packet_id_last;
    bool has_wrapped; /* the ids came round to one that is still in use */
};

void inflight_finish(struct inflight *inflight);

/* Room for so many more; after it that many inflight_put() cannot fail. ERR_MEMORY. */
MUST_USE enum error_code inflight_reserve(struct inflight *inflight, size_t more);

/* A packet id that is not in use, which the next call gives again unless it was put. There is one:
 * fewer than 65,535 are in use. */
uint16_t inflight_next_id(struct inflight *inflight);

/* Puts one behind all others; room is reserved. Its id is what the ids go on from. */
struct inflight_entry *inflight_put(struct inflight *inflight, const struct inflight_entry *entry);

/* NULL: no entry has that id. */
struct inflight_entry *inflight_find(const struct inflight *inflight, uint16_t packet_id);

/* The entry after `entry` (NULL: the first) that is not FREE; NULL: there is no more. */
struct inflight_entry *inflight_next(const struct inflight *inflight,
                                     const struct inflight_entry *entry);

/* Takes it away; other entries stay where they are. */
void inflight_take(struct inflight *inflight, struct inflight_entry *entry);

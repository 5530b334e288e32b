/* SPDX-License-Identifier: Apache-2.0 */
/* carrier.h — units inside of something that cuts where it likes: a body, its chunks, frames.
 *
 * Place:   the protocols of clients/bench whose units do not end with what carries them: events,
 *          NATS over WebSocket, JSON in bodies.
 * Thread:  pure.
 * Bounds:  a unit of PROTOCOL_UNIT_BYTES_MAX; only one that goes over a border is copied.
 *
 * `link->left` says how many bytes of the body, chunk or frame are still to come.
 */
#pragma once

#include "clients/bench/opening.h"
#include "clients/bench/protocol_private.h"

/* What stands in a body: link->phase. */
enum carrier_phase {
    CARRIER_HEAD, /* of a request or an answer */
    CARRIER_CHUNK_FIRST,
    CARRIER_CHUNK, /* its line, with the end of the chunk before */
    CARRIER_BODY,  /* `left` bytes of it */
    CARRIER_END,   /* there is no more */
};

/* Takes one unit out of the `left` bytes (not 0) with `inner`, which sees them without borders.
 * `inner` must change nothing when it tells PROTOCOL_MORE. */
enum protocol_told carrier_take(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                struct bytes *output, struct protocol_unit *ret_unit,
                                protocol_take *inner);

/* Behind a head: sets phase, `left` and `is_chunked`. A request without a length has no body; an
 * answer without one goes on until the connection ends. */
void carrier_begin_body(struct protocol_link *link, const struct opening *opening);

/* The head of an answer to a reader, and the beginning of its body: READY with status 200, MORE
 * while it is cut, else REFUSED. */
enum protocol_told carrier_take_head(struct protocol_link *link, const uint8_t *bytes,
                                     size_t length, struct protocol_unit *ret_unit);

/* One unit of a body in whatever phase but CARRIER_HEAD. CARRIER_END is reached in the call that
 * took the last byte; what was cut then is forgotten. */
enum protocol_told carrier_take_body(struct protocol_link *link, const uint8_t *bytes,
                                     size_t length, struct bytes *output,
                                     struct protocol_unit *ret_unit, protocol_take *inner);

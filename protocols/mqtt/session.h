/* SPDX-License-Identifier: Apache-2.0 */
/* session.h — what lives from one connection of a client to the next: filters, place, packet ids.
 *
 * Place:   made or decoded by connect.c at the grant, changed by publications.c (received ids) and
 *          by outbound.c and its files (all else), encoded for the registry.
 * Thread:  its connection's worker; pure but for memory.
 * Bounds:  SELECTORS_MAX filters, mqtt.receive_max received ids and twice as many entries in
 *          flight. As bytes SESSION_STATE_BYTES_MAX, of which steps are SESSION_STEPS_BYTES_MAX.
 *
 * No message waits here: a session is one place in the log, and what is unacknowledged is read
 * there again. So a session that is away costs its filters.
 *
 * As bytes, it is a snapshot and the steps since, in the order in which they were made durable:
 * each step is appended by a command of the log, and a new snapshot replaces both. Steps are what
 * QoS 2 needs at once; for QoS 1 a snapshot now and then is enough, as a repeat is legal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"
#include "protocols/mqtt/filters.h"
#include "protocols/mqtt/inflight.h"

struct session {
    struct place place; /* all before it was sent, is in flight, or is for none of the filters */
    struct filters filters;
    struct inflight inflight;
    uint16_t *received; /* received_count ids of QoS 2 that the client has not released */
    uint16_t received_count;
    uint16_t received_capacity;
    uint32_t steps_bytes; /* of steps since the last snapshot, at least */
};

/* NULL: out of memory. */
MUST_USE struct session *session_create(void);

/* Accepts NULL. */
void session_destroy(struct session *session);

/* Groups know its client. */
static inline bool session_has_shares(const struct session *session) {
    return filters_count(&session->filters, FILTER_SHARED) > 0;
}

/* --- packet ids of QoS 2 that the client sent, in doubt until it releases them ---------------- */

bool session_has_received(const struct session *session, uint16_t packet_id);

/* Harmless twice. ERR_MEMORY. */
MUST_USE enum error_code session_note_received(struct session *session, uint16_t packet_id);
void session_note_released(struct session *session, uint16_t packet_id);
size_t session_received_count(const struct session *session);

/* Appends the snapshot. ERR_TOO_LARGE, ERR_MEMORY: nothing was added. */
MUST_USE enum error_code session_encode(const struct session *session, struct buffer *buffer);

/* --- steps ---------------------------------------------------------------------------------------
 *
 * Commands for the log, which make a step of the named client's session durable. The caller makes
 * the same change in `session` itself. NULL: out of memory. */

MUST_USE struct message *session_step_received(struct span client_id, uint16_t packet_id);
MUST_USE struct message *session_step_released(struct span client_id, uint16_t packet_id);

/* The client has these of QoS 2, and is told so by PUBREL. */
MUST_USE struct message *session_step_completed(struct session *session, struct span client_id,
                                                const uint16_t *packet_ids, size_t count);

/* The session is at its place now, and has those entries that were not told before. `place` may lie
 * ahead of session->place: it is where the session is once they left. */
MUST_USE struct message *session_step_sent(struct session *session, struct span client_id,
                                           const struct place *place);

/* The same of retained messages: those for that filter up to that channel are sent, none, or have
 * entries. */
MUST_USE struct message *session_step_swept(struct session *session, struct span client_id,
                                            struct span filter, uint64_t channel_id);

/* The log has taken the step of either kind that was just made: its entries are told. */
void session_note_told(struct session *session);

/* --- as bytes ------------------------------------------------------------------------------- */

/* A session as it was encoded, with its steps, of a client of that tenant. ERR_DATA_VERSION: by a
 * later version; ERR_CORRUPT; ERR_MEMORY. */
MUST_USE enum error_code session_decode(struct span state, struct span tenant,
                                        struct session **ret_session, struct error *why);

/* SPDX-License-Identifier: Apache-2.0 */
/* muster.h — what the operator asks of sessions: who is there, or the end of one.
 *
 * Place:   asked by protocols/operator/; answered by the log thread, whose registry they are in.
 * Thread:  the calls and on_answered: the asker's, whose mailbox `reply_to` is. The walk: the log
 *          thread's.
 * Bounds:  MUSTERS_MAX at a time, MUSTER_ROWS_MAX rows each. The log thread looks at
 *          SESSIONS_A_TURN sessions in a turn and goes on in its next one, behind the publishes
 *          that came meanwhile.
 *
 * A walk sees each session that is there from its beginning to its end once; one that comes or goes
 * meanwhile may be in the answer or not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/mailbox.h"
#include "broker/support/span.h"

struct log;
struct muster;

#define MUSTERS_MAX 8 /* at a time; further ones are told to come back */
#define MUSTER_ROWS_MAX 1000

struct muster_row {
    uint16_t client_id_length;
    uint8_t client_id[SCOPED_CLIENT_ID_BYTES_MAX];
    bool is_connected;
    uint64_t connection_id; /* of one that is */
    uint64_t away_since_ms; /* of log time, as is expires_ms; of one that is away … */
    uint64_t expires_ms;    /* … UINT64_MAX: never */
    uint64_t state_bytes;
    bool has_will; /* that waits for its delay */
};

/* What came back; lives until muster_destroy(). */
struct muster_answer {
    enum error_code result;         /* ERR_DRAINING; else OK */
    const struct muster_row **rows; /* in order of client id */
    size_t row_count;
    bool has_more;  /* behind the last row */
    bool was_found; /* of a dismissal */
};

typedef void muster_on_answered(void *context, struct muster *muster);

/* Asks for the first `limit` (1 to MUSTER_ROWS_MAX) sessions behind a client id (empty: all).
 * on_answered follows through `reply_to`, once. ERR_BUSY: MUSTERS_MAX are under way, or the log
 * thread's mailbox is full; ERR_DRAINING; ERR_MEMORY: on_answered will not be called. */
MUST_USE enum error_code muster_ask(struct log *log, struct span after, size_t limit,
                                    struct mailbox *reply_to, muster_on_answered *on_answered,
                                    void *context);

/* Likewise; ends the session, whose connection is told to go if there is one. */
MUST_USE enum error_code muster_dismiss(struct log *log, struct span client_id,
                                        struct mailbox *reply_to, muster_on_answered *on_answered,
                                        void *context);

/* From on_answered on. */
const struct muster_answer *muster_answer(const struct muster *muster);

/* Frees the answer. From on_answered on; accepts NULL. */
void muster_destroy(struct muster *muster);

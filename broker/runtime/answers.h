/* SPDX-License-Identifier: Apache-2.0 */
/* answers.h — the account of the publishes that are under way: room when they come, answers.
 *
 * Place:   the engine's (log.c); a publish is admitted once and answered once.
 * Thread:  answers_admit(), answers_turn_away() and the counts: any; else the log thread's.
 * Bounds:  MAILBOX_NODES_MAX publishes, PUBLISHES_WAITING_BYTES_MAX of them; one larger may pass
 *          alone.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/metrics/metrics.h"
#include "broker/runtime/log.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"

struct answers {
    struct metrics_shard *metrics; /* the log thread's */
    atomic_size_t waiting_bytes;   /* of publishes from submission to answer */
    atomic_size_t waiting_count;
    atomic_uint_fast64_t turned_away;
};

/* Reserves room until the answer. ERR_BUSY: there is none. */
MUST_USE enum error_code answers_admit(struct answers *answers, struct publish *publish);

/* Enough room is left that one publisher may have several under way: those who wait for each answer
 * find room, too. */
bool answers_are_relaxed(const struct answers *answers);

/* The admitted publish is not going to be answered: there was no room for its letter. */
void answers_turn_away(struct answers *answers, const struct publish *publish);

/* Hands the publish, which is in no list, over to its mailbox, and counts it. One without a mailbox
 * is the engine's own: its on_answered runs at once. `why` is for a result that is not OK. */
void answers_send(struct answers *answers, struct publish *publish, enum error_code result,
                  const struct error *why);

/* The same for each publish of a list, which becomes empty; a run of them to one mailbox wakes its
 * thread once. */
void answers_send_all(struct answers *answers, struct list *publishes, enum error_code result,
                      const struct error *why);

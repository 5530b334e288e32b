/* SPDX-License-Identifier: Apache-2.0 */
/* commit.h — messages that were ordered and written together, on their way to all workers.
 *
 * Place:   made by the log thread for each journal write, read by workers.
 * Thread:  filled by the log thread before it is shared, immutable after; the count is atomic.
 * Bounds:  COMMIT_MESSAGES_MAX and COMMIT_BYTES_MAX; one larger publish may pass alone.
 *
 * Messages stand in position order without a hole: position_first … position_last.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/macros.h"
#include "broker/support/message.h"

struct commit {
    atomic_uint reference_count;
    uint64_t position_first;
    uint64_t position_last;
    uint64_t time_ms;
    uint64_t submitted_us; /* of its oldest publish, on the monotonic clock; 0: the log's own */
    size_t bytes;
    size_t count;
    struct message *messages[]; /* references */
};

/* Empty, with room for `capacity` messages and one reference, the caller's. NULL: out of memory. */
MUST_USE struct commit *commit_create(size_t capacity);

/* When a publish of it was submitted, the oldest first; 0 for what the log does by itself. */
void commit_note_submitted(struct commit *commit, uint64_t submitted_us);

/* Adds the next message, taking a reference. Before the commit is shared. */
void commit_put(struct commit *commit, struct message *message);

/* One more reference; returns `commit`. */
struct commit *commit_ref(struct commit *commit);

/* One reference less; the last one unrefs the messages. Accepts NULL. */
void commit_unref(struct commit *commit);

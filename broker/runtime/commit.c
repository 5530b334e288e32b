/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/commit.h"

#include <stdlib.h>

#include "broker/support/invariant.h"

struct commit *commit_create(size_t capacity) {
    struct commit *commit = malloc(sizeof(*commit) + capacity * sizeof(struct message *));
    if (commit != NULL) {
        *commit = (struct commit){0};
        atomic_init(&commit->reference_count, 1);
    }
    return commit;
}

void commit_note_submitted(struct commit *commit, uint64_t submitted_us) {
    if (commit->submitted_us == 0) {
        commit->submitted_us = submitted_us;
    }
}

void commit_put(struct commit *commit, struct message *message) {
    INVARIANT(commit->count == 0 || message->place.position == commit->position_last + 1);
    commit->messages[commit->count++] = message_ref(message);
    commit->position_first = commit->messages[0]->place.position;
    commit->position_last = message->place.position;
    commit->bytes += message_size(message);
}

struct commit *commit_ref(struct commit *commit) {
    unsigned before = atomic_fetch_add_explicit(&commit->reference_count, 1, memory_order_relaxed);
    INVARIANT(before > 0);
    return commit;
}

void commit_unref(struct commit *commit) {
    if (commit == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&commit->reference_count, 1, memory_order_acq_rel);
    INVARIANT(before > 0);
    if (before > 1) {
        return;
    }
    for (size_t i = 0; i < commit->count; i++) {
        message_unref(commit->messages[i]);
    }
    free(commit);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/commit_letter.h"

#include <stdatomic.h>
#include <stdlib.h>

static void let_go(struct log_listener *listener, struct commit *commit) {
    atomic_fetch_sub(&listener->bytes_waiting, commit->bytes);
    commit_unref(commit);
}

void commit_letter_send(struct log_listener *listener, struct commit *commit,
                        void (*on_delivered)(struct letter *letter, void *consumer)) {
    struct commit_letter *letter = malloc(sizeof(*letter));
    if (letter == NULL ||
        atomic_load(&listener->mailbox->letter_count) >= listener->mailbox->letters_max) {
        free(letter);
        let_go(listener, commit);
        atomic_store(&listener->has_missed, true);
        return;
    }
    letter->letter.on_delivered = on_delivered;
    letter->listener = listener;
    letter->commit = commit;
    mailbox_put_answer_quietly(listener->mailbox, &letter->letter); /* the log nudges */
}

void commit_letter_end(struct commit_letter *letter) {
    let_go(letter->listener, letter->commit);
    free(letter);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* commit_letter.h — a commit's way from the log thread to the mailbox of one listener.
 *
 * Place:   of the log's listeners: the workers, and the sinks.
 * Thread:  sent on the log thread, delivered and ended on the listener's.
 * Bounds:  the mailbox's. Each is allocated, so that a commit can be in several mailboxes at once.
 */
#pragma once

#include "broker/runtime/commit.h"
#include "broker/runtime/log.h"
#include "broker/support/mailbox.h"

struct commit_letter {
    struct letter letter;
    struct log_listener *listener;
    struct commit *commit;
};

/* Takes the commit; the log nudges the listener. Without memory or room it is let go, and
 * listener->has_missed set. */
void commit_letter_send(struct log_listener *listener, struct commit *commit,
                        void (*on_delivered)(struct letter *letter, void *consumer));

/* The listener is through with it: lets the commit go, and frees. */
void commit_letter_end(struct commit_letter *letter);

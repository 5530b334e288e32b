/* SPDX-License-Identifier: Apache-2.0 */
/* sift.h — goes through the connections of all workers and ends those that may not stay.
 *
 * Place:   begun by revoking.c, and by a reload that changes who may do what; connections are
 *          dismissed through connection.h.
 * Thread:  sift_begin(), on_told and on_over: the beginner's, whose mailbox `reply_to` is.
 *          on_worker and must_go: each worker's, at the same time.
 * Bounds:  the beginner's number of them. A worker does SIFT_STEPS_MAX of work a turn, about half a
 *          millisecond, and goes on in its next turn, as survey.h does.
 *
 *     sift_create, sift_begin -> a letter to each worker -> on_worker -> slices of must_go
 *                                                 the last: on_told      the last: on_over
 *
 * A connection that is there from the beginning to the end is looked at once. One that comes, or
 * says who it is, behind the walk was asked for by what on_worker had changed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/mailbox.h"

struct broker;
struct identity;
struct worker;

#define SIFT_STEPS_MAX 512 /* a turn: connections looked at … */
#define SIFT_STEPS_GONE 16 /* … and what one that goes costs, with its goodbye */

struct sift_options {
    struct mailbox *reply_to;
    /* First, on each worker's thread. */
    void (*on_worker)(void *context, struct worker *worker);
    /* Whether a connection of that identity is ended. NULL: none is. */
    bool (*must_go)(void *context, const struct identity *identity);
    bool includes_nobody; /* … also asked, with NULL, of those that have no identity */
    enum close_reason reason;
    /* NULL: `reason`; else the reason of each by itself. */
    enum close_reason (*on_reason)(void *context, const struct identity *identity);
    /* on_worker has run everywhere. NULL: nobody wants to know. */
    void (*on_told)(void *context);
    /* All were looked at; the last call, and always behind on_told. */
    void (*on_over)(void *context, uint64_t gone_count);
    void *context;
};

struct sift;

/* One that has not begun. Its beginning takes no memory, so who must not fail there makes it
 * before. NULL: out of memory. */
struct sift *sift_create(struct broker *broker, const struct sift_options *options);

/* One that has not begun. Accepts NULL. */
void sift_destroy(struct sift *sift);

/* Takes the sift, which ends by itself. ERR_DRAINING: no callback follows. */
MUST_USE enum error_code sift_begin(struct sift *sift);

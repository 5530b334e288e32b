/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h — one position in the log and the feed that it follows: live, or reading the log.
 *
 * Place:   a stream (broker/runtime) has one and moves it as its socket takes frames.
 * Thread:  its worker's.
 * Bounds:  this struct; a reader holds no message.
 *
 *     BEHIND --reader_join_live(): the log has been read up to the tail--> LIVE
 *     LIVE --the tail let go of what it lacks, or a commit was missed--> BEHIND
 */
#pragma once

#include <stdbool.h>

#include "broker/channels/feed.h"

struct reader {
    struct list in_feed;
    struct feed *feed;
    struct place place; /* everything up to here was sent or did not match */
    uint64_t sequence;  /* the next entry of the feed's tail; while live */
    bool is_live;
    bool is_ahead; /* a page showed it commits that its worker has not seen when it went live */
};

/* Joins the feed's readers, behind. */
void reader_init(struct reader *reader, struct feed *feed);

/* Leaves the feed, which goes if this was its last reader. */
void reader_finish(struct reader *reader);

/* Goes live if the tail holds everything after the reader's place. */
MUST_USE bool reader_join_live(struct reader *reader);

/* Live, and the tail has something for it. */
bool reader_is_due(struct reader *reader);

/* The frames that a live reader lacks. ERR_AGAIN: the tail has let go of them; the reader is behind
 * now and goes on from the log. ERR_MEMORY. */
MUST_USE enum error_code reader_borrow_run(struct reader *reader, const struct framing *framing,
                                           struct frames *scratch, struct run *ret_run);

/* `count` frames of the run left. */
void reader_advance(struct reader *reader, size_t count);

/* The place for a heartbeat: of a live reader without anything to send, the head of its worker. */
void reader_get_place(const struct reader *reader, struct place *ret_place);

/* A commit was missed: every live reader of the worker goes behind, and each feed is touched. */
void readers_cut(struct feeds *feeds, uint64_t position);

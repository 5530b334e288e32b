/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h — one position in the log and the feeds that it follows: live, or reading the log.
 *
 * Place:   a stream or a watch (broker/runtime) has one and moves it as its socket takes frames.
 * Thread:  its worker's.
 * Bounds:  this struct, and a struct link for each of SELECTORS_MAX feeds; a reader holds no
 *          message.
 *
 *     BEHIND --reader_join_live(): the log has been read up to the tails--> LIVE
 *     LIVE --a tail let go of what it lacks, a message expired, reader_leave_live()--> BEHIND
 *
 * A reader of several feeds takes their messages in order of position; one that stands in two of
 * them (a channel and a pattern) comes once.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>

#include "broker/channels/feed.h"
#include "broker/limits.h"

struct reader;

/* A reader in one feed. */
struct link {
    struct list in_feed;
    struct feed *feed;
    struct reader *reader;
    uint64_t sequence; /* the next entry of the feed's tail; while live */
    uint64_t told;     /* how far losses were told: to this offset; of a pattern, this position */
};

#define READER_GATHERED UINT16_MAX /* of several links */
static_assert(SELECTORS_MAX < READER_GATHERED, "no link has that index");

/* In the order of use: what a fan-out touches of a thousand readers comes with few cache lines. */
struct reader {
    struct link one;
    struct link *links; /* link_count of them: `one`, or an array of its own */
    /* A feed of it has something new, or a commit was missed. At the end of the turn. */
    void (*on_touched)(struct reader *reader);
    uint16_t link_count;
    uint16_t current; /* the link of the run that was borrowed last; READER_GATHERED */
    bool is_live;
    bool is_ahead; /* a page showed it commits that its worker has not seen when it went live */
    struct place place; /* everything up to here was sent or did not match */
};

#define GATHER_FRAMES_MAX 512 /* of one write; of small messages it is full before */

/* Where a run is put together; one a worker. All members belong to the reader that borrowed last,
 * but for `scratch`, which whoever frames something may use meanwhile. */
struct gather {
    struct frames scratch; /* of one feed, where frames are not shared */
    struct frames frames;  /* of several feeds, in order of position */
    struct gathered {
        struct place place;
        bool is_message;
    } items[GATHER_FRAMES_MAX]; /* frames.count of them */
};

/* `bytes_kept`: memory of each that stays between two runs. */
void gather_init(struct gather *gather, size_t bytes_kept);
void gather_finish(struct gather *gather);

/* Joins the feeds of the selectors (checked, none twice), behind. ERR_MEMORY. */
MUST_USE enum error_code reader_init(struct reader *reader, struct feeds *feeds,
                                     const struct storage_selector *selectors,
                                     size_t selector_count,
                                     void (*on_touched)(struct reader *reader));

/* Leaves the feeds; those go of which it was the last reader. */
void reader_finish(struct reader *reader);

/* Goes live if the tails hold everything after the reader's place. */
MUST_USE bool reader_join_live(struct reader *reader);

/* Goes behind: the tails need not keep anything for it. */
void reader_leave_live(struct reader *reader);

/* A message came behind its place. False: it has all, or that is not known since the worker missed
 * commits. */
bool reader_lacks_newest(const struct reader *reader);

/* Live, and a tail has something for it. */
bool reader_is_due(struct reader *reader);

/* The frames that a live reader lacks, for about one write and `count_max` at most. Those of one
 * feed are shared, or encoded into gather->scratch; those of several are gathered. ERR_AGAIN: a
 * tail has let go of them, or the next message has expired; the reader is behind now and goes on
 * from the log. ERR_MEMORY. */
MUST_USE enum error_code reader_borrow_run(struct reader *reader, const struct framing *framing,
                                           uint64_t subscription, uint64_t count_max,
                                           struct gather *gather, struct run *ret_run);

/* How many of the first `count` frames of the run are messages: the others tell of deletes. */
size_t reader_count_messages(const struct reader *reader, const struct gather *gather,
                             size_t count);

/* What frame `index` of the run tells. */
struct gathered reader_get_item(const struct reader *reader, const struct gather *gather,
                                size_t index);

/* `count` frames of the run left. */
void reader_advance(struct reader *reader, const struct gather *gather, size_t count);

/* The place for a heartbeat: of a live reader without anything to send, the head of its worker. */
void reader_get_place(struct reader *reader, struct place *ret_place);

/* What the tails hold that a live reader lacks: entries of each feed, and their memory. */
void reader_get_lag(struct reader *reader, uint64_t *ret_messages, uint64_t *ret_bytes);

/* Whether the reader is to be told that gap, which a page has: false where an earlier page of the
 * same way through the log told it. True also notes that it is told now. */
MUST_USE bool reader_note_gap(struct reader *reader, const struct storage_gap *gap);

/* Calls on_touched of each reader of each touched feed. */
void readers_touch(struct feeds *feeds);

/* A commit was missed: every live reader of the worker goes behind, and each feed is touched. */
void readers_cut(struct feeds *feeds, uint64_t position);

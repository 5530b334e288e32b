/* SPDX-License-Identifier: Apache-2.0 */
/* feed.h — what the readers of a channel or pattern on one worker share: the tail and its frames.
 *
 * Place:   made when a first reader comes, filled from commits, let go with the last reader.
 * Thread:  its worker's.
 * Bounds:  see tail.h; for each framing that two readers or more use FRAMES_BYTES_MAX of frames,
 *          and FRAMES_ALL_BYTES_MAX (and one write more) of a worker's feeds together.
 *
 * Invariants: behind_count of the live_count live readers lack entries of the tail. When the last
 * of them has all, or one joins and none lacks any, the tail and the frames become empty: a quiet
 * feed costs this struct and nothing else. What comes while no reader is live stays, within the
 * bounds: it is where those that read the log meet the tail.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/channels/frames.h"
#include "broker/channels/framing.h"
#include "broker/channels/pace.h"
#include "broker/channels/tail.h"
#include "broker/channels/trie.h"
#include "broker/support/list.h"
#include "broker/support/map.h"

struct rules;

/* All feeds of a worker. */
struct feeds {
    struct map by_channel;
    struct map by_pattern;
    struct trie patterns; /* those of by_pattern */
    struct tails tails;
    struct list touched; /* feeds whose readers have to be looked at before the turn ends */
    struct pace pace;    /* feeds whose readers are looked at later, and the time of this turn */
    const struct rules *rules; /* NULL: none has a flush_interval, or nothing waits for it */
    size_t held_bytes_max;     /* that a feed lets wait; FLUSH_HELD_BYTES_MAX or less */
    size_t frames_bytes;       /* memory of all shared frames */
    uint64_t position;         /* of the last commit that this worker has seen … */
    uint64_t time_ms;          /* … and its time */
};

struct feed {
    struct map_node in_feeds;
    struct list in_touched; /* or in the pace, until due_ms */
    uint64_t due_ms;
    uint64_t touched_ms; /* when its readers were looked at last */
    struct feeds *feeds;
    struct list links; /* struct link, by in_feed: of live readers and those that catch up */
    size_t link_count;
    struct list reads; /* pages under way for readers of this feed alone; see rider.h */
    size_t live_count;
    size_t behind_count;
    struct tail tail;
    struct frames **shared; /* FRAMING_SLOTS of them; NULL until two readers came together */
    struct place newest;    /* of the newest message, once it is known; else position 0 … */
    struct trie_leaf leaf;  /* of a pattern's feed */
    bool has_come;          /* … exactly, for it came in a commit: no page told where it may be */
    bool is_pattern;
    uint16_t text_length;
    uint8_t text[];
};

/* ERR_MEMORY: feeds_finish() is harmless. */
MUST_USE enum error_code feeds_init(struct feeds *feeds, uint64_t position);

/* All feeds have been let go. */
void feeds_finish(struct feeds *feeds);

/* The feed of a channel or pattern that is read here, or NULL. */
struct feed *feeds_find(const struct feeds *feeds, const struct storage_selector *selector);

/* That feed, made if there is none; NULL without memory. Let go by feed_release(). */
struct feed *feeds_get(struct feeds *feeds, const struct storage_selector *selector);

/* How many readers here get what is published to that channel; one that reads it twice counts
 * twice. */
size_t feeds_count_readers(const struct feeds *feeds, struct span channel);

/* Frees the feed if it has no reader. */
void feed_release(struct feed *feed);

/* The channel or pattern, as long as the feed lives. */
struct storage_selector feed_selector(const struct feed *feed);

/* A turn begins at `now_ms` (monotonic): feeds that have waited for it are touched. What is put
 * from now on waits as `rules` say: a feed is touched at most once in the flush_interval of the
 * channel whose message came, at once after a pause, and at once where as much waits as may.
 * Nothing waits, and what does is touched, where `rules` is NULL or the tails are half full. */
void feeds_turn(struct feeds *feeds, const struct rules *rules, uint64_t now_ms);

/* Touches the feed: now, or `interval_ms` after the last time. */
void feed_touch(struct feed *feed, uint64_t interval_ms);

/* The touched feed that came first, taken out; NULL: there is none. */
struct feed *feeds_take_touched(struct feeds *feeds);

/* In how many milliseconds a feed that waits is due; 0: none does. */
uint64_t feeds_wait_ms(struct feeds *feeds);

/* Puts the messages of one commit (and its deletes) into the tails of the feeds that are read here,
 * and these feeds among the touched ones. Positions go on without a hole. */
void feeds_put(struct feeds *feeds, struct message *const *messages, size_t count,
               uint64_t position_last, uint64_t time_ms);

/* What a live reader wants next. */
struct feed_question {
    const struct framing *framing;
    uint64_t subscription;
    uint64_t sequence;  /* in the tail */
    uint64_t count_max; /* at least 1 */
};

/* The next frames. Shared ones where several read, else encoded into `scratch`. ERR_MEMORY. */
MUST_USE enum error_code feed_borrow_run(struct feed *feed, const struct feed_question *question,
                                         struct frames *scratch, struct run *ret_run);

/* A reader came to the tail, and lacks entries of it or none. */
void feed_on_joined(struct feed *feed, bool lacks_entries);

/* A live reader has taken all entries. */
void feed_on_caught_up(struct feed *feed);

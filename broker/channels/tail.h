/* SPDX-License-Identifier: Apache-2.0 */
/* tail.h — the newest messages of one feed on one worker, in order and without a hole.
 *
 * Place:   filled by the feed from commits, read by the readers of that feed.
 * Thread:  its worker's.
 * Bounds:  TAIL_BYTES_MAX a tail, and FLUSH_HELD_BYTES_MAX and a message more where its readers
 *          were not offered the oldest yet; TAILS_BYTES_MAX all tails of a worker: above it the
 *          tail that has been filled for longest is cut, because its readers are the slow ones.
 *          What goes is in the log.
 *
 * Invariants: all messages of the feed with a position above floor_position are here. Entries are
 * numbered by a sequence that never goes back: a reader that stands at `sequence` lacks exactly the
 * entries sequence … sequence_next - 1, and if sequence < sequence_first it has to read the log.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "broker/support/list.h"
#include "broker/support/message.h"

/* All tails of a worker. */
struct tails {
    size_t bytes;
    struct list filled; /* those with entries, the one that was empty longest ago first */
};

struct tail_entry {
    struct message *message;
    uint64_t bytes_before; /* of all that was ever put before it */
};

struct tail {
    struct list in_filled;
    struct tails *tails;
    struct tail_entry *entries; /* a ring of `capacity`, a power of two; NULL when empty */
    size_t capacity;
    uint64_t sequence_first;
    uint64_t sequence_next;
    uint64_t floor_position;
    size_t bytes;
    uint64_t bytes_put;  /* ever */
    uint64_t bytes_seen; /* … and that its readers were offered: tail_note_seen() */
    size_t mortal_count; /* entries with an expiry */
};

void tails_init(struct tails *tails);

void tail_init(struct tail *tail, uint64_t floor_position, struct tails *tails);

void tail_finish(struct tail *tail);

/* Adds the newest message, taking a reference; the oldest go where the bounds ask for it. Without
 * memory the tail is cut instead: its readers read the log. */
void tail_put(struct tail *tail, struct message *message);

/* What is in it was offered to its readers. What is put from now on may stay until it is, too. */
void tail_note_seen(struct tail *tail);

/* Lets go of the entries before `sequence`. */
void tail_drop_before(struct tail *tail, uint64_t sequence);

/* Lets go of all entries; what is above `floor_position` will be put from now on. */
void tail_cut(struct tail *tail, uint64_t floor_position);

/* The entry of that sequence, which is in the tail; lives until the next change of the tail. */
struct message *tail_borrow(const struct tail *tail, uint64_t sequence);

/* Memory of the entries from `sequence` on that are in the tail. */
uint64_t tail_bytes_from(const struct tail *tail, uint64_t sequence);

/* How many entries from `sequence` on, `count_max` at most, stand before the first that has expired
 * by `time_ms`. */
uint64_t tail_count_alive(const struct tail *tail, uint64_t sequence, uint64_t count_max,
                          uint64_t time_ms);

/* The sequence of the first entry above `position`, which is not below the floor. */
uint64_t tail_find_after(const struct tail *tail, uint64_t position);

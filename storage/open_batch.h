/* SPDX-License-Identifier: Apache-2.0 */
/* open_batch.h — the messages that are readable and not yet in LMDB.
 *
 * Place:   filled by storage_admit() and recovery, emptied by the fold, read by every read.
 * Thread:  any; one mutex. A view's piece stays alive while the view does, without the lock.
 * Bounds:  open_batch_bytes() is what the caller holds against options.open_batch_bytes_max; views
 *          keep a folded piece alive for one read more.
 *
 * The batch is at most two pieces (piece.h): one that is being folded and one that grows. When a
 * fold has committed, its piece leaves the batch as one pointer and dies with its last view.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "storage/index.h"

#define OPEN_BATCH_PIECES 2

struct piece;

struct open_batch {
    pthread_mutex_t lock;
    struct piece *folding;
    struct piece *growing;
    uint64_t hash_seed;                     /* drawn at random: names come from strangers */
    atomic_uint_fast64_t position_readable; /* written under the lock, read without for figures */
    uint64_t time_ms;                       /* of the newest readable record, or raised */
    atomic_size_t bytes;
    atomic_size_t messages;
};

/* Nothing is readable but what is folded: up to `position`, the newest at `time_ms`. */
MUST_USE enum error_code open_batch_init(struct open_batch *batch, uint64_t position,
                                         uint64_t time_ms);
void open_batch_finish(struct open_batch *batch);

/* Takes a reference of each; positions go on without a hole. */
void open_batch_admit(struct open_batch *batch, struct message *const *messages, size_t count);

/* The log's time: that of the newest readable record, unless it was raised since. */
uint64_t open_batch_get_time(struct open_batch *batch);

/* To `time_ms`, if that is later. What is admitted next must not be older. */
void open_batch_raise_time(struct open_batch *batch, uint64_t time_ms);

/* --- the fold --- */

/* The messages to fold, in order; the growing piece becomes the folding one unless an earlier fold
 * failed and left one. They live until open_batch_end_fold(). Zero: nothing to do. */
size_t open_batch_begin_fold(struct open_batch *batch, struct message *const **ret_messages);

/* After the commit: the folding piece leaves. Returns its bytes. */
uint64_t open_batch_end_fold(struct open_batch *batch);

/* --- reading --- */

/* One channel in one piece, as it was when the view was taken. */
struct batch_part {
    struct piece *piece;
    size_t entry;
    uint64_t offset_first;
    uint64_t offset_last; /* below offset_first: nothing */
    uint64_t position_first;
    uint64_t bytes;        /* counted bytes of these messages */
    uint64_t bytes_before; /* of the channel before them; the view's user sets it */
};

/* A piece as far as it had come. */
struct batch_extent {
    struct piece *piece; /* NULL: none */
    size_t message_count;
    size_t entry_count;
    size_t delete_count;
};

struct batch_view {
    struct open_batch *batch;
    struct batch_part parts[OPEN_BATCH_PIECES];
    struct batch_extent
        extents[OPEN_BATCH_PIECES]; /* of pieces with the channel, or with deletes */
    bool is_borrowed;               /* from a moment, which holds the pieces */
    uint64_t channel_id;            /* 0: the channel is not in the batch */
    uint64_t position_readable;
    uint64_t time_ms;
};

/* Takes a view of one channel, and calls `on_taken` under the same lock, so that a snapshot taken
 * there holds all that has left the batch. */
MUST_USE enum error_code open_batch_take_view(struct open_batch *batch, struct span channel,
                                              enum error_code (*on_taken)(void *context,
                                                                          struct error *why),
                                              void *context, struct batch_view *ret_view,
                                              struct error *why);

/* A view of nothing, for reads of LMDB alone. */
void open_batch_take_no_view(struct batch_view *ret_view);

void open_batch_release_view(struct batch_view *view);

/* A new reference of a message in the view. NULL: the view has no such offset. */
MUST_USE struct message *open_batch_take_message(const struct batch_view *view, uint64_t offset);

/* The newest message of the view with MESSAGE_RETAIN, as a new reference. NULL: it has none. */
MUST_USE struct message *open_batch_take_retained(const struct batch_view *view);

/* The position of an offset that is in the view, and its counted bytes. */
uint64_t open_batch_get_item(const struct batch_view *view, uint64_t offset, uint64_t *ret_bytes);

/* One message's figures. `offset` is in the view. */
struct batch_figures {
    uint64_t position;
    uint64_t time_ms;
    uint64_t bytes_before;
};

void open_batch_get_figures(const struct batch_view *view, uint64_t offset,
                            struct batch_figures *ret_figures);

/* The first range of deleted offsets that ends at or behind `offset`, of the deletes that were in
 * the batch when the view was taken; ranges that cover `offset` are told as one. False: none. */
MUST_USE bool open_batch_find_deleted(const struct batch_view *view, uint64_t channel_id,
                                      uint64_t offset, uint64_t *ret_from, uint64_t *ret_to);

/* The newest offset of a key (empty: of messages without one) in the view's pieces, or behind
 * them. False: none. The first call on a piece indexes it, in steps that let others in between. */
MUST_USE bool open_batch_find_key(const struct batch_view *view, uint64_t channel_id,
                                  struct span key, uint64_t *ret_offset);

/* The first offset of a part that reaches `value`; offset_last + 1 if none does. */
uint64_t open_batch_search(const struct batch_part *part, struct open_batch *batch,
                           enum index_metric metric, uint64_t value);

/* --- all channels at one moment --- */

/* What was readable: views of many channels that are taken from it fit together. */
struct batch_moment {
    struct open_batch *batch;
    struct batch_extent extents[OPEN_BATCH_PIECES];
    uint64_t position_readable;
    uint64_t time_ms;
};

/* Holds the pieces until the moment is released; `on_taken` as above. */
MUST_USE enum error_code open_batch_take_moment(
    struct open_batch *batch, enum error_code (*on_taken)(void *context, struct error *why),
    void *context, struct batch_moment *ret_moment, struct error *why);
void open_batch_release_moment(struct batch_moment *moment);

/* A view of one channel as it was then; lives as long as the moment. */
void open_batch_get_view(const struct batch_moment *moment, struct span channel,
                         struct batch_view *ret_view);

/* The position of the oldest record; position_readable + 1: there is none. */
uint64_t open_batch_position_first(const struct batch_moment *moment);

/* New references of records of all kinds from `position` on, at most `count`. 0: there is none. */
size_t open_batch_take_messages(const struct batch_moment *moment, uint64_t position,
                                struct message **ret_messages, size_t count);

/* A channel that has messages in the batch. */
struct batch_channel {
    struct span name; /* lives as long as the moment */
    uint64_t channel_id;
};

/* The next channels, each once, in no order; *cursor is 0 at first. 0: there are no more. */
size_t open_batch_list_channels(const struct batch_moment *moment, size_t *cursor,
                                struct batch_channel *ret_channels, size_t count);

/* The first position whose record is not older than time_ms; position_readable + 1: none. */
uint64_t open_batch_search_time(const struct batch_moment *moment, uint64_t time_ms);

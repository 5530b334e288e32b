/* SPDX-License-Identifier: Apache-2.0 */
/* view.h — one channel at one moment: LMDB and the open batch as one log without a seam.
 *
 * Place:   made for each read, and by the sweep over LMDB alone; asked by resolve, read, sweep.
 * Thread:  its maker's.
 * Bounds:  each question is one look-up or one search; nothing here grows.
 *
 * Offsets `physical_first` to `offset_last` are known to index or batch without a hole; those
 * before `first` are past their retention and no longer given out.
 */
#pragma once

#include "storage/moment.h"
#include "storage/storage.h"
#include "storage/store.h"

struct view {
    struct store *store;
    MDB_txn *txn;
    bool is_of_moment; /* which holds snapshot and batch */
    struct meta_row meta;
    bool has_row;           /* the channel is in LMDB … */
    struct channel_row row; /* … as this */
    struct batch_view batch;
    uint64_t channel_id;    /* 0: no message ever, or forgotten */
    uint64_t position_head; /* the last readable position of the whole log */
    uint64_t time_ms;       /* the log's time */
    uint64_t bytes_total;   /* counted bytes of the channel's messages, ever */
    uint64_t offset_last;
    uint64_t batch_first; /* offsets from here on are read from the batch */
    uint64_t physical_first;
    uint64_t first; /* the first that is kept; offset_last + 1: none */
};

/* Figures of one offset. */
struct figures {
    uint64_t position;
    uint64_t time_ms;
    uint64_t bytes_before;
};

/* A view for a read: batch and snapshot of one moment. Ended by view_finish(). */
MUST_USE enum error_code view_init(struct view *view, struct store *store, struct open_batch *batch,
                                   struct span channel, struct error *why);
void view_finish(struct view *view);

/* A view of one channel at a moment, as long as that lives; nothing to finish. `folded_id` is the
 * channel's id in LMDB, 0 if it is not there. */
MUST_USE enum error_code view_init_at(struct view *view, const struct moment *moment,
                                      struct span channel, uint64_t folded_id, struct error *why);

/* A view of LMDB alone inside a transaction, for the sweep; nothing to finish. */
void view_init_row(struct view *view, struct store *store, MDB_txn *txn,
                   const struct meta_row *meta, uint64_t channel_id, const struct channel_row *row);

/* Whether a message of `channel` may be admitted next: with the channel's id and its next offset. A
 * channel that nobody knows may begin at any. ERR_CORRUPT: not this one. */
MUST_USE enum error_code view_check_next(struct store *store, struct open_batch *batch,
                                         struct span channel, uint64_t channel_id, uint64_t offset,
                                         struct error *why);

/* Figures of an offset from physical_first through offset_last. */
MUST_USE enum error_code view_get_figures(const struct view *view, uint64_t offset,
                                          struct figures *ret_figures, struct error *why);

/* The position of the last offset before `first` that was given out; 0: there is none, or it is not
 * known any more. */
MUST_USE enum error_code view_get_lost_position(const struct view *view, uint64_t *ret_position,
                                                struct error *why);

/* The first offset from `low` (at least physical_first) through offset_last that reaches `value`;
 * offset_last + 1 if none does. */
MUST_USE enum error_code view_search(const struct view *view, enum index_metric metric,
                                     uint64_t value, uint64_t low, uint64_t *ret_offset,
                                     struct error *why);

/* The first range of deleted offsets that ends at or behind `offset`, folded or not; ranges that
 * touch may come one by one. *ret_from is UINT64_MAX if there is none. */
MUST_USE enum error_code view_find_deleted(const struct view *view, uint64_t offset,
                                           uint64_t *ret_from, uint64_t *ret_to, struct error *why);

/* The first offset from `first` on that is not deleted; offset_last + 1: none is kept. */
MUST_USE enum error_code view_find_kept(const struct view *view, uint64_t *ret_offset,
                                        struct error *why);

/* Why `offset`, which stands before `first`, is not there: GAP_DELETED or GAP_EXPIRED. */
MUST_USE enum error_code view_get_lost_reason(const struct view *view, uint64_t offset,
                                              enum gap_reason *ret_reason, struct error *why);

/* The newest offset of a key (empty: of messages without one). 0: none is known. */
MUST_USE enum error_code view_find_key(const struct view *view, struct span key,
                                       uint64_t *ret_offset, struct error *why);

/* Sets `first` from what is kept by count, age, bytes, trim and floor. */
MUST_USE enum error_code view_apply_retention(struct view *view, const struct retention *retention,
                                              struct error *why);

/* SPDX-License-Identifier: Apache-2.0 */
/* apply.h — the one function through which messages get into LMDB, live and after a crash.
 *
 * Place:   called by the fold, for what was admitted and for what recovery replays.
 * Thread:  the store thread.
 * Bounds:  APPLY_CHANNELS_MAX channels are gathered before their rows are written; the transaction
 *          is as large as the open batch.
 *
 * It uses no clock and no randomness: the same messages in the same order give the same rows.
 */
#pragma once

#include "storage/store.h"

#define APPLY_CHANNELS_MAX 4096

/* When a segment is closed. */
struct segment_limits {
    uint64_t messages_max;
    uint64_t bytes_max;
};

/* Segments by slot; entry 0 is unused. Kept beside LMDB by the store thread, written back with
 * segments_save(). */
struct segments {
    struct segment_row rows[STORE_SLOTS_MAX + 1];
    bool is_changed[STORE_SLOTS_MAX + 1];
    uint16_t open; /* slot of the open segment; 0: none yet */
};

MUST_USE enum error_code segments_load(struct segments *segments, const struct store *store,
                                       MDB_txn *txn, struct error *why);
MUST_USE enum error_code segments_save(struct segments *segments, const struct store *store,
                                       MDB_txn *txn, struct error *why);

/* How many slots a batch of messages may need open. */
unsigned segments_wanted(const struct segments *segments, const struct segment_limits *limits,
                         size_t messages, size_t bytes);

struct apply;

/* `segments` is changed along; reload it if the transaction is not committed. */
MUST_USE enum error_code apply_create(struct store *store, MDB_txn *txn, struct segments *segments,
                                      const struct segment_limits *limits,
                                      struct apply **ret_apply, struct error *why);

/* Applies the next message; one that LMDB has already is passed over. */
MUST_USE enum error_code apply_message(struct apply *apply, const struct message *message,
                                       struct error *why);

/* Writes what was gathered. Once, after the last message. */
MUST_USE enum error_code apply_finish(struct apply *apply, struct meta_row *ret_meta,
                                      struct error *why);

/* Frees; before the transaction ends. Accepts NULL. */
void apply_destroy(struct apply *apply);

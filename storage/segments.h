/* SPDX-License-Identifier: Apache-2.0 */
/* segments.h — the table of segments, held in memory by slot.
 *
 * Place:   filled by apply, emptied by sweep; loaded at opening and after a failed transaction.
 * Thread:  the store thread.
 * Bounds:  STORE_SLOTS_MAX rows.
 */
#pragma once

#include <stdbool.h>

#include "storage/store.h"

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

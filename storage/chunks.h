/* SPDX-License-Identifier: Apache-2.0 */
/* chunks.h — records in LMDB, cut into values that stay inside pages.
 *
 * Place:   written by apply, read by read, moved and deleted by sweep.
 * Thread:  that of the transaction handed in.
 * Bounds:  a record of RECORD_BODY_BYTES_MAX; a reader keeps one record in memory.
 *
 * The layout of keys and values stands at the top of rows.c.
 */
#pragma once

#include "broker/support/buffer.h"
#include "storage/record.h"
#include "storage/store.h"

#define CHUNKS_VALUE_BYTES 2000 /* two fill a page of 4 KiB; more would take overflow pages */

/* Where records of one channel are read from: a cursor that stays near the last one. */
struct chunks_reader {
    const struct store *store;
    MDB_txn *txn;
    MDB_cursor *cursor;
    uint16_t slot;
    struct buffer buffer; /* a record of several chunks is put together here */
};

void chunks_reader_init(struct chunks_reader *reader, const struct store *store, MDB_txn *txn);
void chunks_reader_finish(struct chunks_reader *reader);

/* Reads the record of a run's entry; its spans live until the next call. Of a deleted message it is
 * the stub, of the kind MESSAGE_DELETE. ERR_CORRUPT if it is not there. */
MUST_USE enum error_code chunks_read(struct chunks_reader *reader, uint16_t slot,
                                     uint64_t channel_id, const struct run_entry *entry,
                                     struct record *ret_record, struct error *why);

/* Appends a record's body to a segment through `cursor`; the position is above all in there. */
MUST_USE enum error_code chunks_append(MDB_cursor *cursor, uint64_t position, struct span body,
                                       struct error *why);

/* Copies one record, chunk by chunk, from a segment to `cold`. */
MUST_USE enum error_code chunks_copy_to_cold(const struct store *store, MDB_txn *txn, uint16_t slot,
                                             uint64_t channel_id, const struct run_entry *entry,
                                             struct error *why);

/* Makes a stub of one record and overwrites the rest of it with zeros, in place. `ret_chunks`: how
 * many values were written; 0 if it was a stub before, or is not there. */
MUST_USE enum error_code chunks_erase(const struct store *store, MDB_txn *txn, uint16_t slot,
                                      uint64_t channel_id, const struct run_entry *entry,
                                      size_t *ret_chunks, struct error *why);

/* Deletes a channel's records in `cold` from one offset through another. */
MUST_USE enum error_code chunks_delete_cold(const struct store *store, MDB_txn *txn,
                                            uint64_t channel_id, uint64_t offset_first,
                                            uint64_t offset_last, struct error *why);

/* SPDX-License-Identifier: Apache-2.0 */
/* store.h — the LMDB environment: its tables, its transactions, records cut into chunks.
 *
 * Place:   used by apply, sweep, index, view and storage.c; knows LMDB, rows and records.
 * Thread:  write transactions and slots: the store thread. Snapshots: any thread, from a pool.
 * Bounds:  the map (reserved at open, STORE_MAP_BYTES_MAX at most), STORE_SLOTS_MAX segments,
 *          STORE_READERS_MAX snapshots at a time.
 *
 * Flags are LMDB's defaults (each commit is synced; never MDB_NOSYNC or MDB_WRITEMAP) and
 * MDB_NOTLS, so that a snapshot may be handed from thread to thread. A segment is a named database
 * that is emptied and used again: its handle stays open for ever, because LMDB cannot close a
 * handle while a snapshot may use it.
 */
#pragma once

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "storage/rows.h"

#define STORE_SLOTS_MAX 1000  /* segments at a time; when all are in use, the last one grows */
#define STORE_READERS_MAX 126 /* LMDB's default */
#define STORE_MAP_BYTES_MAX (UINT64_C(4) << 40) /* of address space: the file grows with use */

struct snapshot {
    MDB_txn *txn;
    uint64_t begin_us;
};

struct store {
    MDB_env *env;
    atomic_bool has_panicked; /* LMDB takes nothing more: only a new process can go on */
    MDB_dbi meta;
    MDB_dbi generations;
    MDB_dbi names;
    MDB_dbi channels;
    MDB_dbi segments;
    MDB_dbi index;
    MDB_dbi cold;
    MDB_dbi deleted;
    MDB_dbi erasing;
    MDB_dbi keys;
    MDB_dbi retained;
    MDB_dbi repeats;
    MDB_dbi objects;
    atomic_uint slots[STORE_SLOTS_MAX + 1]; /* handles; from 1, slot 0 is the table `cold` */
    unsigned slot_count;                    /* handles that are open; the store thread's */
    pthread_mutex_t pool_lock;
    MDB_txn *pool[STORE_READERS_MAX]; /* reset snapshots */
    size_t pool_count;
    struct snapshot running[STORE_READERS_MAX]; /* those that are taken */
    size_t running_count;
};

/* Turns LMDB's code into ours; `what` names the attempt. */
enum error_code store_error(struct error *why, int lmdb_code, const char *what);

/* Opens the environment in `directory`, making it with log `log_id` if there is none. */
MUST_USE enum error_code store_open(struct store *store, const char *directory, uint64_t bytes_max,
                                    uint64_t log_id, struct error *why);

/* Closes all. No transaction may be running. */
void store_close(struct store *store);

/* --- transactions --- */

/* A write transaction: ended by store_end(), store_commit() or mdb_txn_abort(). */
MUST_USE enum error_code store_begin(struct store *store, MDB_txn **ret_txn, struct error *why);

/* Commits and syncs; the transaction is gone in either case. ERR_STORAGE_FULL, ERR_IO. */
MUST_USE enum error_code store_commit(MDB_txn *txn, struct error *why);

/* The same where what was done in it is OK; else aborts, and returns that. */
MUST_USE enum error_code store_end(MDB_txn *txn, enum error_code result, struct error *why);

/* A snapshot out of the pool; given back by store_release(). */
MUST_USE enum error_code store_take_snapshot(struct store *store, MDB_txn **ret_txn,
                                             struct error *why);

/* Accepts NULL. */
void store_release(struct store *store, MDB_txn *txn);

/* How many are taken, and the age of the oldest (0: none). Any thread. */
void store_get_snapshots(struct store *store, uint64_t *ret_count, uint64_t *ret_us_oldest);

/* --- rows --- */

MUST_USE enum error_code store_get_meta(const struct store *store, MDB_txn *txn,
                                        struct meta_row *ret_row, struct error *why);
MUST_USE enum error_code store_put_meta(const struct store *store, MDB_txn *txn,
                                        const struct meta_row *row, struct error *why);

/* ERR_NOT_FOUND leaves `why` alone. The row's name lives as long as the transaction. */
MUST_USE enum error_code store_get_channel(const struct store *store, MDB_txn *txn,
                                           uint64_t channel_id, struct channel_row *ret_row,
                                           struct error *why);
MUST_USE enum error_code store_put_channel(const struct store *store, MDB_txn *txn,
                                           uint64_t channel_id, const struct channel_row *row,
                                           struct error *why);

/* ERR_NOT_FOUND leaves `why` alone. */
MUST_USE enum error_code store_get_channel_id(const struct store *store, MDB_txn *txn,
                                              struct span name, uint64_t *ret_channel_id,
                                              struct error *why);

/* The first position of a generation. ERR_NOT_FOUND leaves `why` alone. */
MUST_USE enum error_code store_get_generation(const struct store *store, MDB_txn *txn,
                                              uint32_t generation, uint64_t *ret_position,
                                              struct error *why);
MUST_USE enum error_code store_put_generation(const struct store *store, MDB_txn *txn,
                                              uint32_t generation, uint64_t position,
                                              struct error *why);

/* Opens handles until there are `count` (as far as STORE_SLOTS_MAX), in transactions of its own. */
MUST_USE enum error_code store_open_slots(struct store *store, unsigned count, struct error *why);

static inline MDB_val store_val(struct span span) {
    return (MDB_val){.mv_size = span.length, .mv_data = (void *)(uintptr_t)span.bytes};
}

static inline struct span store_span(MDB_val value) {
    return span_of(value.mv_data, value.mv_size);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Both tables have the channel's id at the front of a key, so the rows of a channel are neighbours
 * and its own row is read once. A range of deletes that ends where retention stands is kept: it
 * says why a reader behind it has a gap. */
#include "storage/prune.h"

#include <string.h>

#include "broker/support/invariant.h"
#include "storage/bytes.h"

struct walk {
    const struct store *store;
    MDB_txn *txn;
    uint64_t channel_id; /* the one whose row was read; 0: none */
    bool is_forgotten;
    uint64_t trimmed_offset;
};

void prune_begin(struct prune *prune) {
    *prune = (struct prune){.is_running = true};
}

static enum error_code find_channel(struct walk *walk, uint64_t channel_id, struct error *why) {
    struct channel_row row;
    if (walk->channel_id == channel_id) {
        return OK;
    }
    enum error_code result = store_get_channel(walk->store, walk->txn, channel_id, &row, why);
    walk->channel_id = channel_id;
    walk->is_forgotten = result == ERR_NOT_FOUND;
    walk->trimmed_offset = result == OK ? row.trimmed_offset : 0;
    return result == ERR_NOT_FOUND ? OK : result;
}

/* The last offset that the row speaks of; both tables have it in front of their values. */
static bool is_past(const struct walk *walk, size_t table, uint64_t last) {
    return walk->is_forgotten ||
           (table == 0 ? last < walk->trimmed_offset : last <= walk->trimmed_offset);
}

static int seek(const struct prune *prune, MDB_cursor *cursor, MDB_val *key, MDB_val *value) {
    if (prune->key_length == 0) {
        return mdb_cursor_get(cursor, key, value, MDB_FIRST);
    }
    *key = (MDB_val){.mv_size = prune->key_length, .mv_data = (void *)(uintptr_t)prune->key};
    return mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
}

/* Walks until the table's end (MDB_NOTFOUND) or for `rows` rows (0). */
static int prune_table(struct prune *prune, struct walk *walk, MDB_cursor *cursor, size_t *rows,
                       bool *ret_changed) {
    MDB_val key = {0};
    MDB_val value = {0};
    int code = seek(prune, cursor, &key, &value);
    while (code == 0) {
        if (key.mv_size <= 8 || key.mv_size > sizeof(prune->key) || value.mv_size < 8) {
            return MDB_CORRUPTED;
        }
        if (*rows == 0) {
            prune->key_length = key.mv_size;
            memcpy(prune->key, key.mv_data, key.mv_size);
            return 0;
        }
        (*rows)--;
        if (find_channel(walk, bytes_get_big(key.mv_data, 8), NULL) != OK) {
            return MDB_CORRUPTED;
        }
        if (is_past(walk, prune->table, bytes_get_little(value.mv_data, 8))) {
            code = mdb_cursor_del(cursor, 0); /* MDB_NEXT is the row that took its place */
            *ret_changed = true;
        }
        if (code == 0) {
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
    }
    return code;
}

enum error_code prune_step(struct prune *prune, const struct store *store, MDB_txn *txn,
                           bool *ret_changed, struct error *why) {
    const MDB_dbi tables[] = {store->deleted, store->keys};
    struct walk walk = {.store = store, .txn = txn};
    size_t rows = PRUNE_ROWS_MAX;
    *ret_changed = false;
    while (prune->is_running && rows > 0) {
        INVARIANT(prune->table < ARRAY_COUNT(tables));
        MDB_cursor *cursor = NULL;
        int code = mdb_cursor_open(txn, tables[prune->table], &cursor);
        if (code == 0) {
            code = prune_table(prune, &walk, cursor, &rows, ret_changed);
            mdb_cursor_close(cursor);
        }
        if (code != 0 && code != MDB_NOTFOUND) {
            return store_error(why, code, "take old rows away");
        }
        if (code == MDB_NOTFOUND) {
            prune->table++;
            prune->key_length = 0;
            prune->is_running = prune->table < ARRAY_COUNT(tables);
        }
    }
    return OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/deleted.h"

#include "broker/support/invariant.h"
#include "storage/bytes.h"

static enum error_code read_row(uint64_t channel_id, MDB_val key, MDB_val value,
                                struct deleted_row *ret_row, struct error *why) {
    const uint8_t *bytes = key.mv_data;
    if (key.mv_size != KEY_INDEX_BYTES) {
        return error_set(why, ERR_CORRUPT, "a row of the table of deletes is damaged");
    }
    if (bytes_get_big(bytes, 8) != channel_id) {
        return ERR_NOT_FOUND;
    }
    return deleted_row_read(bytes_get_big(bytes + 8, 8), store_span(value), ret_row)
               ? OK
               : error_set(why, ERR_CORRUPT, "a row of the table of deletes is damaged");
}

/* The first range that begins at or behind `from`, or with `is_before` the last before that. */
static enum error_code seek(MDB_cursor *cursor, uint64_t channel_id, uint64_t from, bool is_before,
                            struct deleted_row *ret_row, struct error *why) {
    uint8_t wanted[KEY_INDEX_BYTES];
    key_write_index(channel_id, from, wanted);
    MDB_val key = {.mv_size = sizeof(wanted), .mv_data = wanted};
    MDB_val value = {0};
    int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (is_before) {
        code = mdb_cursor_get(cursor, &key, &value, code == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    }
    if (code == MDB_NOTFOUND) {
        return ERR_NOT_FOUND;
    }
    return code == 0 ? read_row(channel_id, key, value, ret_row, why)
                     : store_error(why, code, "search the table of deletes");
}

static enum error_code open_cursor(const struct store *store, MDB_txn *txn, MDB_cursor **ret_cursor,
                                   struct error *why) {
    int code = mdb_cursor_open(txn, store->deleted, ret_cursor);
    return code == 0 ? OK : store_error(why, code, "open the table of deletes");
}

enum error_code deleted_find(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                             uint64_t offset, uint64_t *ret_from, uint64_t *ret_to,
                             struct error *why) {
    struct deleted_row row;
    enum error_code result = deleted_find_next(store, txn, channel_id, offset, &row, why);
    if (result == OK && row.from > offset) {
        return ERR_NOT_FOUND;
    }
    if (result == OK) {
        *ret_from = row.from;
        *ret_to = row.to;
    }
    return result;
}

enum error_code deleted_find_next(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                  uint64_t offset, struct deleted_row *ret_row, struct error *why) {
    MDB_cursor *cursor = NULL;
    enum error_code result = open_cursor(store, txn, &cursor, why);
    if (result != OK) {
        return result;
    }
    result = seek(cursor, channel_id, offset, false, ret_row, why);
    if (result == ERR_NOT_FOUND || (result == OK && ret_row->from > offset)) {
        struct deleted_row before;
        enum error_code found = seek(cursor, channel_id, offset, true, &before, why);
        if (found == OK && before.to >= offset) {
            *ret_row = before;
            result = OK;
        } else if (found != OK && found != ERR_NOT_FOUND) {
            result = found;
        }
    }
    mdb_cursor_close(cursor);
    return result;
}

static enum error_code delete_range(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                    uint64_t from, struct error *why) {
    uint8_t bytes[KEY_INDEX_BYTES];
    key_write_index(channel_id, from, bytes);
    MDB_val key = {.mv_size = sizeof(bytes), .mv_data = bytes};
    int code = mdb_del(txn, store->deleted, &key, NULL);
    return code == 0 ? OK : store_error(why, code, "join deletes");
}

enum error_code deleted_put(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                            const struct deleted_row *row, struct error *why) {
    struct deleted_row joined = *row;
    struct deleted_row found;
    enum error_code result;
    INVARIANT(row->from > 0);
    INVARIANT(row->from <= row->to);
    while ((result = deleted_find_next(store, txn, channel_id, joined.from - 1, &found, why)) ==
               OK &&
           (found.from <= joined.to || found.from - joined.to == 1)) {
        joined.from = found.from < joined.from ? found.from : joined.from;
        joined.to = found.to > joined.to ? found.to : joined.to;
        joined.position = found.position > joined.position ? found.position : joined.position;
        result = delete_range(store, txn, channel_id, found.from, why);
        if (result != OK) {
            return result;
        }
    }
    if (result != OK && result != ERR_NOT_FOUND) {
        return result;
    }
    uint8_t key[KEY_INDEX_BYTES];
    uint8_t bytes[ROW_BYTES_MAX];
    key_write_index(channel_id, joined.from, key);
    MDB_val key_val = {.mv_size = sizeof(key), .mv_data = key};
    MDB_val value = {.mv_size = deleted_row_write(&joined, bytes), .mv_data = bytes};
    int code = mdb_put(txn, store->deleted, &key_val, &value, 0);
    return code == 0 ? OK : store_error(why, code, "write a delete");
}

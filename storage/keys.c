/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/keys.h"

#include "storage/bytes.h"

#define VALUE_BYTES 8

enum error_code keys_find(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                          struct span key, uint64_t *ret_offset, struct error *why) {
    uint8_t bytes[KEY_CONFLATED_BYTES_MAX];
    MDB_val wanted = {.mv_size = key_write_conflated(channel_id, key, bytes), .mv_data = bytes};
    MDB_val value = {0};
    int code = wanted.mv_size == 0 ? MDB_NOTFOUND : mdb_get(txn, store->keys, &wanted, &value);
    if (code == MDB_NOTFOUND) {
        return ERR_NOT_FOUND;
    }
    if (code != 0) {
        return store_error(why, code, "find a key");
    }
    if (value.mv_size != VALUE_BYTES) {
        return error_set(why, ERR_CORRUPT, "a row of the table of keys is damaged");
    }
    *ret_offset = bytes_get_little(value.mv_data, VALUE_BYTES);
    return OK;
}

enum error_code keys_put(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                         struct span key, uint64_t offset, struct error *why) {
    uint8_t bytes[KEY_CONFLATED_BYTES_MAX];
    uint8_t number[VALUE_BYTES];
    bytes_put_little(number, offset, sizeof(number));
    MDB_val written = {.mv_size = key_write_conflated(channel_id, key, bytes), .mv_data = bytes};
    MDB_val value = {.mv_size = sizeof(number), .mv_data = number};
    int code = written.mv_size == 0 ? 0 : mdb_put(txn, store->keys, &written, &value, 0);
    return code == 0 ? OK : store_error(why, code, "write a key");
}

enum error_code keys_remove(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                            struct span key, uint64_t offset, struct error *why) {
    uint64_t found = 0;
    enum error_code result = keys_find(store, txn, channel_id, key, &found, why);
    if (result != OK || found != offset) {
        return result == ERR_NOT_FOUND ? OK : result;
    }
    uint8_t bytes[KEY_CONFLATED_BYTES_MAX];
    MDB_val wanted = {.mv_size = key_write_conflated(channel_id, key, bytes), .mv_data = bytes};
    int code = mdb_del(txn, store->keys, &wanted, NULL);
    return code == 0 ? OK : store_error(why, code, "remove a key");
}

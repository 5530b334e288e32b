/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/each.h"

#include "storage/bytes.h"
#include "storage/objects.h"
#include "storage/record.h"
#include "storage/repeats.h"

uint64_t storage_counted_bytes(const struct message_fields *fields) {
    return record_counted_bytes(fields);
}

static enum error_code walk_channels(MDB_cursor *cursor, storage_on_channel *on_channel,
                                     void *context, struct error *why) {
    MDB_val key = {0};
    MDB_val value = {0};
    int code;
    while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        struct channel_row row;
        if (key.mv_size != 8 || !channel_row_read(store_span(value), &row)) {
            return error_set(why, ERR_CORRUPT, "a row of the table of channels is damaged");
        }
        on_channel(context, row.name, bytes_get_big(key.mv_data, 8), row.offset_last,
                   row.bytes_total - row.bytes_gone);
    }
    return code == MDB_NOTFOUND ? OK : store_error(why, code, "list its channels");
}

enum error_code each_channel(struct store *store, storage_on_channel *on_channel, void *context,
                             struct error *why) {
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    enum error_code result = store_take_snapshot(store, &txn, why);
    if (result != OK) {
        return result;
    }
    int code = mdb_cursor_open(txn, store->channels, &cursor);
    if (code == 0) {
        result = walk_channels(cursor, on_channel, context, why);
        mdb_cursor_close(cursor);
    } else {
        result = store_error(why, code, "list its channels");
    }
    store_release(store, txn);
    return result;
}

enum error_code each_repeat(struct store *store, storage_on_repeat *on_repeat, void *context,
                            struct error *why) {
    MDB_txn *txn = NULL;
    struct meta_row meta;
    enum error_code result = store_take_snapshot(store, &txn, why);
    if (result != OK) {
        return result;
    }
    result = store_get_meta(store, txn, &meta, why);
    if (result == OK) {
        result = repeats_each(store, txn, &meta, on_repeat, context, why);
    }
    store_release(store, txn);
    return result;
}

enum error_code each_object(struct store *store, enum storage_object_kind kind,
                            storage_on_object *on_object, void *context, struct error *why) {
    MDB_txn *txn = NULL;
    enum error_code result = store_take_snapshot(store, &txn, why);
    if (result == OK) {
        result = objects_each(store, txn, kind, on_object, context, why);
        store_release(store, txn);
    }
    return result;
}

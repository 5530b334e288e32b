/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/retained.h"

#include "storage/bytes.h"
#include "storage/chunks.h"

static int remove_from(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                       uint32_t chunk) {
    int code = 0;
    for (; code == 0 && chunk <= UINT16_MAX; chunk++) {
        uint8_t bytes[KEY_RETAINED_BYTES];
        key_write_retained(channel_id, (uint16_t)chunk, bytes);
        MDB_val key = {.mv_size = sizeof(bytes), .mv_data = bytes};
        code = mdb_del(txn, store->retained, &key, NULL);
    }
    return code == MDB_NOTFOUND ? 0 : code;
}

enum error_code retained_put(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                             struct span body, struct error *why) {
    uint8_t part[CHUNKS_VALUE_BYTES];
    size_t head = sizeof(uint32_t);
    uint32_t chunk = 0;
    int code = 0;
    bytes_put_little(part, body.length, head);
    for (size_t done = 0; code == 0 && done < body.length; chunk++, head = 0) {
        uint8_t bytes[KEY_RETAINED_BYTES];
        size_t length = body.length - done;
        if (length > sizeof(part) - head) {
            length = sizeof(part) - head;
        }
        memcpy(part + head, body.bytes + done, length);
        key_write_retained(channel_id, (uint16_t)chunk, bytes);
        MDB_val key = {.mv_size = sizeof(bytes), .mv_data = bytes};
        MDB_val value = {.mv_size = head + length, .mv_data = part};
        code = mdb_put(txn, store->retained, &key, &value, 0);
        done += length;
    }
    if (code == 0) {
        code = remove_from(store, txn, channel_id, chunk); /* what a longer one before had */
    }
    return code == 0 ? OK : store_error(why, code, "write a retained message");
}

enum error_code retained_remove(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                struct error *why) {
    uint8_t bytes[KEY_RETAINED_BYTES];
    key_write_retained(channel_id, 0, bytes);
    MDB_val key = {.mv_size = sizeof(bytes), .mv_data = bytes};
    MDB_val value = {0};
    int code = mdb_get(txn, store->retained, &key, &value);
    if (code == MDB_NOTFOUND) {
        return ERR_NOT_FOUND;
    }
    if (code == 0) {
        code = remove_from(store, txn, channel_id, 0);
    }
    return code == 0 ? OK : store_error(why, code, "remove a retained message");
}

/* Puts the chunks together. */
static enum error_code gather(MDB_cursor *cursor, uint64_t channel_id, struct buffer *buffer,
                              struct error *why) {
    uint8_t bytes[KEY_RETAINED_BYTES];
    key_write_retained(channel_id, 0, bytes);
    MDB_val key = {.mv_size = sizeof(bytes), .mv_data = bytes};
    MDB_val value = {0};
    int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_KEY);
    if (code == MDB_NOTFOUND) {
        return ERR_NOT_FOUND;
    }
    size_t head = sizeof(uint32_t);
    if (code != 0 || value.mv_size <= head) {
        return store_error(why, code == 0 ? MDB_CORRUPTED : code, "read a retained message");
    }
    size_t length = (size_t)bytes_get_little(value.mv_data, head);
    enum error_code result = OK;
    buffer_clear(buffer);
    for (; result == OK && code == 0; head = 0) {
        result = buffer_put(buffer, span_of((uint8_t *)value.mv_data + head, value.mv_size - head));
        if (result != OK || buffer->length >= length) {
            break;
        }
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    if (result != OK) {
        return error_set(why, result, "no memory for a retained message of %zu bytes", length);
    }
    return buffer->length == length
               ? OK
               : error_set(why, ERR_CORRUPT, "a retained message of %zu bytes is cut off", length);
}

enum error_code retained_get(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                             struct buffer *buffer, struct record *ret_record, struct error *why) {
    MDB_cursor *cursor = NULL;
    int code = mdb_cursor_open(txn, store->retained, &cursor);
    if (code != 0) {
        return store_error(why, code, "open the table of retained messages");
    }
    enum error_code result = gather(cursor, channel_id, buffer, why);
    mdb_cursor_close(cursor);
    if (result == OK && !record_read_body(buffer_borrow(buffer), ret_record)) {
        return error_set(why, ERR_CORRUPT, "the retained message of channel %llu is damaged",
                         (unsigned long long)channel_id);
    }
    return result;
}

enum error_code retained_next(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                              uint64_t *ret_channel_id, struct error *why) {
    MDB_cursor *cursor = NULL;
    uint8_t bytes[KEY_RETAINED_BYTES];
    key_write_retained(channel_id, 0, bytes);
    MDB_val key = {.mv_size = sizeof(bytes), .mv_data = bytes};
    MDB_val value = {0};
    int code = mdb_cursor_open(txn, store->retained, &cursor);
    if (code == 0) {
        code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        mdb_cursor_close(cursor);
    }
    if (code == 0 && key.mv_size != KEY_RETAINED_BYTES) {
        code = MDB_CORRUPTED;
    }
    if (code == MDB_NOTFOUND) {
        return ERR_NOT_FOUND;
    }
    if (code != 0) {
        return store_error(why, code, "walk its retained messages");
    }
    *ret_channel_id = bytes_get_big(key.mv_data, 8);
    return OK;
}

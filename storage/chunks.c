/* SPDX-License-Identifier: Apache-2.0 */
/* Records as chunks. LMDB puts a value above half a page on overflow pages of its own: they need
 * room in one piece, which ruins the reuse of freed pages, and one of them makes mdb_drop() walk
 * every leaf of a segment. So a record is cut into values that stay inside pages. The layout is
 * at the top of rows.c. */
#include "storage/chunks.h"

#include <errno.h>
#include <string.h>

#include "storage/bytes.h"

#define LENGTH_BYTES 4

/* The key of a chunk, in a segment or in `cold`. */
struct chunk_key {
    uint8_t bytes[KEY_COLD_BYTES];
    size_t length;
    uint16_t slot;
    uint64_t channel_id;
    const struct run_entry *entry;
};

static MDB_val chunk_key_write(struct chunk_key *key, uint16_t chunk) {
    if (key->slot == SLOT_COLD) {
        key_write_cold(key->channel_id, key->entry->offset, chunk, key->bytes);
        key->length = KEY_COLD_BYTES;
    } else {
        key_write_segment(key->entry->position, chunk, key->bytes);
        key->length = KEY_SEGMENT_BYTES;
    }
    return (MDB_val){.mv_size = key->length, .mv_data = key->bytes};
}

void chunks_reader_init(struct chunks_reader *reader, const struct store *store, MDB_txn *txn) {
    *reader = (struct chunks_reader){.store = store, .txn = txn};
    buffer_init(&reader->buffer, RECORD_BODY_BYTES_MAX);
}

void chunks_reader_finish(struct chunks_reader *reader) {
    if (reader->cursor != NULL) {
        mdb_cursor_close(reader->cursor);
    }
    buffer_finish(&reader->buffer);
}

static enum error_code open_cursor(struct chunks_reader *reader, uint16_t slot, struct error *why) {
    if (reader->cursor != NULL && reader->slot == slot) {
        return OK;
    }
    if (reader->cursor != NULL) {
        mdb_cursor_close(reader->cursor);
        reader->cursor = NULL;
    }
    unsigned dbi = slot > STORE_SLOTS_MAX ? 0 : atomic_load(&reader->store->slots[slot]);
    if (dbi == 0) {
        return error_set(why, ERR_CORRUPT, "segment slot %u does not exist", slot);
    }
    int code = mdb_cursor_open(reader->txn, dbi, &reader->cursor);
    if (code != 0) {
        reader->cursor = NULL;
        return store_error(why, code, "open a segment");
    }
    reader->slot = slot;
    return OK;
}

/* The next chunk is most often the next row. */
static int seek_chunk(struct chunks_reader *reader, struct chunk_key *key, uint16_t chunk,
                      MDB_val *ret_value) {
    MDB_val wanted = chunk_key_write(key, chunk);
    MDB_val found = {0};
    int code = mdb_cursor_get(reader->cursor, &found, ret_value, MDB_NEXT);
    if (code == 0 && found.mv_size == wanted.mv_size &&
        memcmp(found.mv_data, wanted.mv_data, wanted.mv_size) == 0) {
        return 0;
    }
    return mdb_cursor_get(reader->cursor, &wanted, ret_value, MDB_SET_KEY);
}

static enum error_code gather(struct chunks_reader *reader, struct chunk_key *key, MDB_val first,
                              size_t length, struct span *ret_body, struct error *why) {
    buffer_clear(&reader->buffer);
    enum error_code result = buffer_reserve(&reader->buffer, length);
    MDB_val value = {.mv_size = first.mv_size - LENGTH_BYTES,
                     .mv_data = (uint8_t *)first.mv_data + LENGTH_BYTES};
    for (uint32_t chunk = 1; result == OK; chunk++) {
        result = buffer_put(&reader->buffer, store_span(value));
        if (result != OK || reader->buffer.length >= length) {
            break;
        }
        int code =
            chunk > UINT16_MAX ? MDB_NOTFOUND : seek_chunk(reader, key, (uint16_t)chunk, &value);
        if (code != 0) {
            return store_error(why, code, "read all of a record");
        }
    }
    if (result != OK || reader->buffer.length != length) {
        return error_set(why, result == OK ? ERR_CORRUPT : result,
                         "a record of %zu bytes cannot be put together", length);
    }
    *ret_body = buffer_borrow(&reader->buffer);
    return OK;
}

enum error_code chunks_read(struct chunks_reader *reader, uint16_t slot, uint64_t channel_id,
                            const struct run_entry *entry, struct record *ret_record,
                            struct error *why) {
    enum error_code result = open_cursor(reader, slot, why);
    if (result != OK) {
        return result;
    }
    struct chunk_key key = {.slot = slot, .channel_id = channel_id, .entry = entry};
    MDB_val value = {0};
    int code = seek_chunk(reader, &key, 0, &value);
    if (code != 0) {
        return store_error(why, code, "find a record that its index names");
    }
    if (value.mv_size <= LENGTH_BYTES) {
        return error_set(why, ERR_CORRUPT, "a record in the store is cut off");
    }
    size_t length = (size_t)bytes_get_little(value.mv_data, LENGTH_BYTES);
    struct span body =
        span_of((uint8_t *)value.mv_data + LENGTH_BYTES, value.mv_size - LENGTH_BYTES);
    if (length < body.length) { /* a stub, and zeros */
        body.length = length;
    } else if (length > body.length) {
        result = gather(reader, &key, value, length, &body, why);
    }
    if (result != OK) {
        return result;
    }
    if (!record_read_body(body, ret_record) || ret_record->place.position != entry->position ||
        ret_record->place.offset != entry->offset) {
        return error_set(why, ERR_CORRUPT, "the record at position %llu is damaged",
                         (unsigned long long)entry->position);
    }
    return OK;
}

enum error_code chunks_append(MDB_cursor *cursor, uint64_t position, struct span body,
                              struct error *why) {
    uint8_t key[KEY_SEGMENT_BYTES];
    size_t done = 0;
    for (uint16_t chunk = 0; done < body.length; chunk++) {
        size_t head = chunk == 0 ? LENGTH_BYTES : 0;
        size_t part = body.length - done;
        if (part > CHUNKS_VALUE_BYTES - head) {
            part = CHUNKS_VALUE_BYTES - head;
        }
        key_write_segment(position, chunk, key);
        MDB_val key_val = {.mv_size = sizeof(key), .mv_data = key};
        MDB_val value = {.mv_size = head + part};
        int code = mdb_cursor_put(cursor, &key_val, &value, MDB_APPEND | MDB_RESERVE);
        if (code != 0) {
            return store_error(why, code, "append a record");
        }
        if (chunk == 0) {
            bytes_put_little(value.mv_data, body.length, LENGTH_BYTES);
        }
        memcpy((uint8_t *)value.mv_data + head, body.bytes + done, part);
        done += part;
    }
    return OK;
}

enum error_code chunks_copy_to_cold(const struct store *store, MDB_txn *txn, uint16_t slot,
                                    uint64_t channel_id, const struct run_entry *entry,
                                    struct error *why) {
    struct chunk_key from = {.slot = slot, .channel_id = channel_id, .entry = entry};
    struct chunk_key to = {.slot = SLOT_COLD, .channel_id = channel_id, .entry = entry};
    size_t length = LENGTH_BYTES + 1; /* until the first chunk says it */
    size_t done = 0;
    for (uint32_t chunk = 0; done < length && chunk <= UINT16_MAX; chunk++) {
        MDB_val from_key = chunk_key_write(&from, (uint16_t)chunk);
        MDB_val value = {0};
        int code = mdb_get(txn, atomic_load(&store->slots[slot]), &from_key, &value);
        if (code == 0 && chunk == 0) {
            if (value.mv_size <= LENGTH_BYTES) {
                return error_set(why, ERR_CORRUPT, "a record in the store is cut off");
            }
            length = LENGTH_BYTES + (size_t)bytes_get_little(value.mv_data, LENGTH_BYTES);
        }
        /* mdb_put may move the page that `value` lies on. */
        uint8_t copy[CHUNKS_VALUE_BYTES];
        if (code == 0 && value.mv_size > sizeof(copy)) {
            code = MDB_CORRUPTED;
        }
        if (code == 0 && value.mv_size > length) { /* a stub, without its zeros */
            value.mv_size = length;
        }
        if (code == 0) {
            memcpy(copy, value.mv_data, value.mv_size);
            done += value.mv_size;
            MDB_val to_key = chunk_key_write(&to, (uint16_t)chunk);
            MDB_val copied = {.mv_size = value.mv_size, .mv_data = copy};
            code = mdb_put(txn, store->cold, &to_key, &copied, 0);
        }
        if (code != 0) {
            return store_error(why, code, "move a record");
        }
    }
    return OK;
}

static bool is_stub(MDB_val first) {
    return first.mv_size > LENGTH_BYTES + 1 &&
           ((const uint8_t *)first.mv_data)[LENGTH_BYTES + 1] == MESSAGE_DELETE;
}

static bool make_stub(MDB_val first) {
    uint8_t *bytes = first.mv_data;
    const size_t stub = LENGTH_BYTES + RECORD_BODY_HEAD_BYTES;
    if (first.mv_size < stub) {
        return false;
    }
    bytes_put_little(bytes, RECORD_BODY_HEAD_BYTES, LENGTH_BYTES);
    record_make_stub(bytes + LENGTH_BYTES);
    memset(bytes + stub, 0, first.mv_size - stub);
    return true;
}

/* A value of the same length is written where the old one stands, in the transaction's own copy of
 * the page: MDB_RESERVE gives it, as it was. */
static int erase_chunks(MDB_cursor *cursor, struct chunk_key *key, size_t *ret_chunks) {
    int code = 0;
    for (uint32_t chunk = 0; code == 0 && chunk <= UINT16_MAX; chunk++) {
        MDB_val wanted = chunk_key_write(key, (uint16_t)chunk);
        MDB_val value = {0};
        code = mdb_cursor_get(cursor, &wanted, &value, MDB_SET_KEY);
        if (code == 0 && chunk == 0 && is_stub(value)) {
            return 0;
        }
        MDB_val written = {.mv_size = value.mv_size};
        if (code == 0) {
            wanted = chunk_key_write(key, (uint16_t)chunk);
            code = mdb_cursor_put(cursor, &wanted, &written, MDB_CURRENT | MDB_RESERVE);
        }
        if (code == 0 && chunk > 0) {
            memset(written.mv_data, 0, written.mv_size);
        } else if (code == 0 && !make_stub(written)) {
            return MDB_CORRUPTED;
        }
        *ret_chunks += code == 0 ? 1 : 0;
    }
    return code == MDB_NOTFOUND ? 0 : code;
}

enum error_code chunks_erase(const struct store *store, MDB_txn *txn, uint16_t slot,
                             uint64_t channel_id, const struct run_entry *entry, size_t *ret_chunks,
                             struct error *why) {
    struct chunk_key key = {.slot = slot, .channel_id = channel_id, .entry = entry};
    MDB_cursor *cursor = NULL;
    *ret_chunks = 0;
    int code = mdb_cursor_open(txn, atomic_load(&store->slots[slot]), &cursor);
    if (code == 0) {
        code = erase_chunks(cursor, &key, ret_chunks);
        mdb_cursor_close(cursor);
    }
    return code == 0 ? OK : store_error(why, code, "erase a record");
}

enum error_code chunks_delete_cold(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                   uint64_t offset_first, uint64_t offset_last, struct error *why) {
    MDB_cursor *cursor = NULL;
    int code = mdb_cursor_open(txn, store->cold, &cursor);
    if (code != 0) {
        return store_error(why, code, "open the cold table");
    }
    uint8_t first[KEY_COLD_BYTES];
    uint8_t last[KEY_COLD_BYTES];
    key_write_cold(channel_id, offset_first, 0, first);
    key_write_cold(channel_id, offset_last, UINT16_MAX, last);
    MDB_val key = {.mv_size = sizeof(first), .mv_data = first};
    MDB_val value = {0};
    code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (code == 0 && key.mv_size == sizeof(last) &&
           memcmp(key.mv_data, last, sizeof(last)) <= 0) {
        code = mdb_cursor_del(cursor, 0);
        if (code == 0) { /* the cursor stands on what followed */
            code = mdb_cursor_get(cursor, &key, &value, MDB_GET_CURRENT);
        }
        if (code == EINVAL || code == MDB_NOTFOUND) { /* it was the last row of its page */
            key = (MDB_val){.mv_size = sizeof(first), .mv_data = first};
            code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        }
    }
    mdb_cursor_close(cursor);
    return code == 0 || code == MDB_NOTFOUND ? OK : store_error(why, code, "delete old records");
}

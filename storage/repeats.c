/* SPDX-License-Identifier: Apache-2.0 */
/* A row, cut into values of CHUNKS_VALUE_BYTES under its position and the number of the part:
 *
 *    0  u32     length of all that follows, in all parts
 *    4  u8[64]  hash
 *   68  u64     time
 *   76  u32     generation
 *   80  u32     count of messages
 *   84          until that many are named, three varints: channel id, offset, how many offsets of
 *               the channel follow one another from there
 */
#include "storage/repeats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/limits.h"
#include "broker/support/buffer.h"
#include "storage/bytes.h"
#include "storage/chunks.h"

#define HASH_BYTES 64
#define LENGTH_BYTES 4
#define HEAD_BYTES (LENGTH_BYTES + HASH_BYTES + 16)
#define ROW_BYTES_TOTAL_MAX (HEAD_BYTES + (size_t)PUBLISH_MESSAGES_MAX * 3 * VARINT_BYTES_MAX)

struct repeats_publish {
    uint64_t position; /* of the first message; 0: none is gathered */
    uint32_t count;
    uint64_t channel_id; /* offsets that follow one another, not yet in `row` */
    uint64_t offset;
    uint64_t run;
    struct buffer row;
};

static enum error_code put_run(struct repeats_publish *publish) {
    uint8_t bytes[3 * VARINT_BYTES_MAX];
    uint8_t *at = bytes_put_varint(bytes, publish->channel_id);
    at = bytes_put_varint(bytes_put_varint(at, publish->offset), publish->run);
    return buffer_put(&publish->row, span_of(bytes, (size_t)(at - bytes)));
}

static enum error_code begin(struct repeats_publish *publish, const struct message *message) {
    uint8_t head[HEAD_BYTES] = {0};
    memcpy(head + LENGTH_BYTES, message->fields.idempotency_hash.bytes, HASH_BYTES);
    uint8_t *at = bytes_put_little(head + LENGTH_BYTES + HASH_BYTES, message->time_ms, 8);
    bytes_put_little(at, message->place.generation, 4);
    publish->position = message->place.position;
    publish->count = 0;
    publish->run = 0;
    buffer_clear(&publish->row);
    return buffer_put(&publish->row, span_of(head, sizeof(head)));
}

static enum error_code add_place(struct repeats_publish *publish, const struct place *place) {
    enum error_code result = OK;
    publish->count++;
    if (publish->run > 0 && publish->channel_id == place->channel_id &&
        publish->offset + publish->run == place->offset) {
        publish->run++;
        return OK;
    }
    if (publish->run > 0) {
        result = put_run(publish);
    }
    publish->channel_id = place->channel_id;
    publish->offset = place->offset;
    publish->run = 1;
    return result;
}

static enum error_code write_row(struct repeats_publish *publish, const struct store *store,
                                 MDB_txn *txn, struct error *why) {
    struct buffer *row = &publish->row;
    bytes_put_little(row->bytes, row->length - LENGTH_BYTES, LENGTH_BYTES);
    bytes_put_little(row->bytes + HEAD_BYTES - 4, publish->count, 4);
    size_t done = 0;
    int code = 0;
    for (uint16_t chunk = 0; code == 0 && done < row->length; chunk++) {
        uint8_t key[KEY_REPEAT_BYTES];
        size_t part =
            row->length - done < CHUNKS_VALUE_BYTES ? row->length - done : CHUNKS_VALUE_BYTES;
        key_write_repeat(publish->position, chunk, key);
        MDB_val key_val = {.mv_size = sizeof(key), .mv_data = key};
        MDB_val value = {.mv_size = part, .mv_data = row->bytes + done};
        code = mdb_put(txn, store->repeats, &key_val, &value, MDB_APPEND);
        done += part;
    }
    return code == 0 ? OK : store_error(why, code, "write a publish with a key");
}

static enum error_code make_publish(struct repeats_publish **publish) {
    struct repeats_publish *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return ERR_MEMORY;
    }
    buffer_init(&made->row, ROW_BYTES_TOTAL_MAX);
    *publish = made;
    return OK;
}

enum error_code repeats_add(struct repeats_publish **publish, const struct store *store,
                            MDB_txn *txn, const struct message *message, struct meta_row *meta,
                            struct error *why) {
    bool is_first = message->fields.idempotency_hash.length == HASH_BYTES;
    bool is_command = message->fields.kind == MESSAGE_COMMAND;
    if (!is_first && (*publish == NULL || (*publish)->position == 0)) {
        return OK;
    }
    enum error_code result = *publish == NULL ? make_publish(publish) : OK;
    if (result == OK && is_first) {
        result = begin(*publish, message);
    }
    if (result == OK && !is_command) {
        result = add_place(*publish, &message->place);
    }
    if (result == OK && message->group_rest == 0) {
        result = put_run(*publish);
    }
    if (result != OK) {
        return error_set(why, result, "no memory for a publish with a key");
    }
    if (message->group_rest > 0) {
        return OK;
    }
    result = write_row(*publish, store, txn, why);
    (*publish)->position = 0;
    meta->repeat_count++;
    return result;
}

void repeats_publish_destroy(struct repeats_publish *publish) {
    if (publish == NULL) {
        return;
    }
    buffer_finish(&publish->row);
    free(publish);
}

/* --- reading --- */

static bool is_too_old(uint64_t time_ms, const struct meta_row *meta) {
    return meta->time_ms > time_ms && meta->time_ms - time_ms > IDEMPOTENCY_AGE_MS;
}

/* False: these bytes are no first part of a row. */
static bool read_time(MDB_val key, MDB_val value, uint64_t *ret_time_ms) {
    const uint8_t *bytes = value.mv_data;
    if (key.mv_size != KEY_REPEAT_BYTES || value.mv_size < HEAD_BYTES) {
        return false;
    }
    *ret_time_ms = bytes_get_little(bytes + LENGTH_BYTES + HASH_BYTES, 8);
    return true;
}

static bool is_first_part(MDB_val key) {
    return key.mv_size == KEY_REPEAT_BYTES &&
           bytes_get_big((const uint8_t *)key.mv_data + 8, 2) == 0;
}

static int prune_rows(MDB_cursor *cursor, struct meta_row *meta) {
    MDB_val key = {0};
    MDB_val value = {0};
    int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (size_t i = 0; code == 0; i++) {
        uint64_t time_ms = 0;
        bool is_first = is_first_part(key);
        if (is_first && !read_time(key, value, &time_ms)) {
            return MDB_CORRUPTED;
        }
        bool is_kept = !is_too_old(time_ms, meta) && meta->repeat_count <= IDEMPOTENCY_KEYS_MAX;
        if (is_first && (is_kept || i >= REPEATS_PRUNED_MAX)) {
            return 0;
        }
        meta->repeat_count -= is_first && meta->repeat_count > 0 ? 1 : 0;
        code = mdb_cursor_del(cursor, 0);
        if (code == 0) {
            code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        }
    }
    return code == MDB_NOTFOUND ? 0 : code;
}

enum error_code repeats_prune(const struct store *store, MDB_txn *txn, struct meta_row *meta,
                              struct error *why) {
    MDB_cursor *cursor = NULL;
    if (meta->repeat_count == 0) {
        return OK;
    }
    int code = mdb_cursor_open(txn, store->repeats, &cursor);
    if (code == 0) {
        code = prune_rows(cursor, meta);
        mdb_cursor_close(cursor);
    }
    return code == 0 ? OK : store_error(why, code, "forget old publishes with a key");
}

/* Names each place; false: the row is damaged. */
static bool read_places(struct span row, size_t count, struct storage_repeat_place *places) {
    const uint8_t *at = row.bytes + HEAD_BYTES;
    const uint8_t *end = row.bytes + row.length;
    for (size_t done = 0; done < count;) {
        uint64_t channel_id = 0;
        uint64_t offset = 0;
        uint64_t run = 0;
        if (!bytes_get_varint(&at, end, &channel_id) || !bytes_get_varint(&at, end, &offset) ||
            !bytes_get_varint(&at, end, &run) || run > count - done) {
            return false;
        }
        for (uint64_t i = 0; i < run; i++) {
            places[done++] = (struct storage_repeat_place){channel_id, offset + i};
        }
        if (run == 0) {
            return false;
        }
    }
    return true;
}

static enum error_code tell(struct span row, uint64_t position, storage_on_repeat *on_repeat,
                            void *context, struct error *why) {
    const uint8_t *at = row.bytes + LENGTH_BYTES;
    struct storage_repeat repeat = {
        .hash = span_of(at, HASH_BYTES),
        .time_ms = bytes_get_little(at + HASH_BYTES, 8),
        .generation = (uint32_t)bytes_get_little(at + HASH_BYTES + 8, 4),
        .position_first = position,
        .count = (size_t)bytes_get_little(at + HASH_BYTES + 12, 4),
    };
    struct storage_repeat_place *places =
        repeat.count > PUBLISH_MESSAGES_MAX ? NULL : calloc(repeat.count + 1, sizeof(*places));
    bool is_good = places != NULL && read_places(row, repeat.count, places);
    if (is_good) {
        repeat.places = places;
        on_repeat(context, &repeat);
    }
    free(places);
    return is_good ? OK : error_set(why, ERR_CORRUPT, "a row of the table of repeats is damaged");
}

/* Puts the parts of the row together that the cursor stands on. */
static int gather(MDB_cursor *cursor, MDB_val value, struct buffer *row) {
    size_t length = LENGTH_BYTES + (size_t)bytes_get_little(value.mv_data, LENGTH_BYTES);
    int code = 0;
    buffer_clear(row);
    while (code == 0) {
        if (buffer_put(row, store_span(value)) != OK) {
            return ENOMEM;
        }
        if (row->length >= length) {
            return row->length == length ? 0 : MDB_CORRUPTED;
        }
        MDB_val key = {0};
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    return code;
}

enum error_code repeats_each(const struct store *store, MDB_txn *txn, const struct meta_row *meta,
                             storage_on_repeat *on_repeat, void *context, struct error *why) {
    MDB_cursor *cursor = NULL;
    MDB_val key = {0};
    MDB_val value = {0};
    struct buffer row;
    int code = mdb_cursor_open(txn, store->repeats, &cursor);
    if (code != 0) {
        return store_error(why, code, "open the table of repeats");
    }
    buffer_init(&row, ROW_BYTES_TOTAL_MAX);
    enum error_code result = OK;
    while (result == OK && (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        uint64_t time_ms = 0;
        if (!is_first_part(key)) {
            continue;
        }
        if (!read_time(key, value, &time_ms)) {
            code = MDB_CORRUPTED;
            break;
        }
        uint64_t position = bytes_get_big(key.mv_data, 8);
        if (is_too_old(time_ms, meta)) {
            continue;
        }
        code = gather(cursor, value, &row);
        if (code != 0) {
            break;
        }
        result = tell(buffer_borrow(&row), position, on_repeat, context, why);
    }
    buffer_finish(&row);
    mdb_cursor_close(cursor);
    return result != OK || code == MDB_NOTFOUND ? result
                                                : store_error(why, code, "read its repeats");
}

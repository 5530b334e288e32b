/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/segments.h"

#include <string.h>

#include "storage/bytes.h"

enum error_code segments_load(struct segments *segments, const struct store *store, MDB_txn *txn,
                              struct error *why) {
    memset(segments, 0, sizeof(*segments));
    MDB_cursor *cursor = NULL;
    MDB_val key = {0};
    MDB_val value = {0};
    int code = mdb_cursor_open(txn, store->segments, &cursor);
    if (code != 0) {
        return store_error(why, code, "read its segments");
    }
    enum error_code result = OK;
    while (result == OK && (code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        uint64_t slot = key.mv_size == 2 ? bytes_get_big(key.mv_data, 2) : 0;
        struct segment_row row;
        if (slot == 0 || slot > STORE_SLOTS_MAX || !segment_row_read(store_span(value), &row)) {
            result = error_set(why, ERR_CORRUPT, "a row of the table of segments is damaged");
            break;
        }
        segments->rows[slot] = row;
        if (row.state == SEGMENT_OPEN) {
            segments->open = (uint16_t)slot;
        }
    }
    mdb_cursor_close(cursor);
    if (result == OK && code != MDB_NOTFOUND) {
        result = store_error(why, code, "read its segments");
    }
    return result;
}

enum error_code segments_save(struct segments *segments, const struct store *store, MDB_txn *txn,
                              struct error *why) {
    for (unsigned slot = 1; slot <= STORE_SLOTS_MAX; slot++) {
        if (!segments->is_changed[slot]) {
            continue;
        }
        uint8_t key[2];
        uint8_t bytes[ROW_BYTES_MAX];
        bytes_put_big(key, slot, sizeof(key));
        MDB_val key_val = {.mv_size = sizeof(key), .mv_data = key};
        MDB_val value = {.mv_size = segment_row_write(&segments->rows[slot], bytes),
                         .mv_data = bytes};
        int code = mdb_put(txn, store->segments, &key_val, &value, 0);
        if (code != 0) {
            return store_error(why, code, "write its segments");
        }
        segments->is_changed[slot] = false;
    }
    return OK;
}

unsigned segments_wanted(const struct segments *segments, const struct segment_limits *limits,
                         size_t messages, size_t bytes) {
    uint64_t wanted = 2 + messages / limits->messages_max + bytes / limits->bytes_max;
    for (unsigned slot = 1; slot <= STORE_SLOTS_MAX; slot++) {
        wanted += segments->rows[slot].state == SEGMENT_FREE ? 0 : 1;
    }
    return wanted > STORE_SLOTS_MAX ? STORE_SLOTS_MAX : (unsigned)wanted;
}

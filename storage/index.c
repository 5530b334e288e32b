/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a channel are looked up by an offset in the middle of what is left, as in a binary
 * search over offsets: rows need not be counted, and each look-up discards a whole run. The first
 * run is asked before all others, because what retention asks is nearly always answered there. */
#include "storage/index.h"

#include <string.h>

#include "storage/bytes.h"

static enum error_code no_run(struct error *why, uint64_t channel_id, uint64_t offset) {
    return error_set(why, ERR_CORRUPT, "the index has no offset %llu of channel %llu",
                     (unsigned long long)offset, (unsigned long long)channel_id);
}

static int seek_run(MDB_cursor *cursor, uint64_t channel_id, uint64_t offset, MDB_val *ret_key,
                    MDB_val *ret_value) {
    uint8_t wanted[KEY_INDEX_BYTES];
    key_write_index(channel_id, offset, wanted);
    *ret_key = (MDB_val){.mv_size = sizeof(wanted), .mv_data = wanted};
    int code = mdb_cursor_get(cursor, ret_key, ret_value, MDB_SET_RANGE);
    if (code == 0 && ret_key->mv_size == sizeof(wanted) &&
        memcmp(ret_key->mv_data, wanted, sizeof(wanted)) == 0) {
        return 0;
    }
    if (code == 0) {
        return mdb_cursor_get(cursor, ret_key, ret_value, MDB_PREV);
    }
    return code == MDB_NOTFOUND ? mdb_cursor_get(cursor, ret_key, ret_value, MDB_LAST) : code;
}

enum error_code index_get_run(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                              uint64_t offset, struct run *ret_run, struct error *why) {
    MDB_cursor *cursor = NULL;
    MDB_val key = {0};
    MDB_val value = {0};
    int code = mdb_cursor_open(txn, store->index, &cursor);
    if (code == 0) {
        code = seek_run(cursor, channel_id, offset, &key, &value);
        mdb_cursor_close(cursor);
    }
    if (code == MDB_NOTFOUND) {
        return no_run(why, channel_id, offset);
    }
    if (code != 0) {
        return store_error(why, code, "search its index");
    }
    if (key.mv_size != KEY_INDEX_BYTES || bytes_get_big(key.mv_data, 8) != channel_id ||
        !run_read(bytes_get_big((uint8_t *)key.mv_data + 8, 8), store_span(value), ret_run) ||
        run_offset_last(ret_run) < offset) {
        return no_run(why, channel_id, offset);
    }
    return OK;
}

enum error_code index_get_entry(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                uint64_t offset, struct run *ret_run, struct run_entry *ret_entry,
                                struct error *why) {
    struct run run;
    enum error_code result = index_get_run(store, txn, channel_id, offset, &run, why);
    if (result != OK) {
        return result;
    }
    struct run_entry entry;
    run_rewind(&run, &entry);
    while (entry.offset < offset) {
        if (!run_next(&run, &entry)) {
            return no_run(why, channel_id, offset);
        }
    }
    if (ret_run != NULL) {
        *ret_run = run;
    }
    *ret_entry = entry;
    return OK;
}

struct bounds {
    uint64_t first;
    uint64_t last;
};

static struct bounds bounds_of(const struct run *run, enum index_metric metric) {
    switch (metric) {
    case INDEX_POSITION:
        return (struct bounds){run->position_first, run->position_last};
    case INDEX_TIME:
        return (struct bounds){run->time_first, run->time_last};
    case INDEX_BYTES_BEFORE:
        /* The last message's own figure is not in the head: the run's end is above it. */
        return (struct bounds){run->bytes_before, run->bytes_through};
    }
    return (struct bounds){0, 0};
}

static uint64_t metric_of(const struct run_entry *entry, enum index_metric metric) {
    switch (metric) {
    case INDEX_POSITION:
        return entry->position;
    case INDEX_TIME:
        return entry->time_ms;
    case INDEX_BYTES_BEFORE:
        return entry->bytes_before;
    }
    return 0;
}

/* The first offset of the run that reaches `value`, or the one behind its end. */
static uint64_t search_run(const struct run *run, enum index_metric metric, uint64_t value) {
    struct run_entry entry;
    run_rewind(run, &entry);
    while (run_next(run, &entry)) {
        if (metric_of(&entry, metric) >= value) {
            return entry.offset;
        }
    }
    return run_offset_last(run) + 1;
}

enum error_code index_search(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                             enum index_metric metric, uint64_t value, uint64_t low, uint64_t high,
                             uint64_t *ret_offset, struct error *why) {
    uint64_t from = low;
    uint64_t to = high + 1; /* the answer is in [from, to] */
    uint64_t middle = low;
    while (from < to) {
        struct run run;
        enum error_code result = index_get_run(store, txn, channel_id, middle, &run, why);
        if (result != OK) {
            return result;
        }
        struct bounds bounds = bounds_of(&run, metric);
        if (bounds.last < value) {
            from = run_offset_last(&run) + 1;
        } else if (bounds.first >= value && run.offset_first > from) {
            to = run.offset_first;
        } else {
            uint64_t found = search_run(&run, metric, value);
            if (found <= run_offset_last(&run)) {
                from = to = found < from ? from : found;
                break;
            }
            from = found;
        }
        middle = from + (to - from) / 2;
    }
    *ret_offset = from > high ? high + 1 : from;
    return OK;
}

enum error_code index_put_run(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                              struct run_builder *builder, struct error *why) {
    uint8_t key[KEY_INDEX_BYTES];
    key_write_index(channel_id, builder->run.offset_first, key);
    MDB_val key_val = {.mv_size = sizeof(key), .mv_data = key};
    MDB_val value = store_val(run_builder_borrow(builder));
    int code = mdb_put(txn, store->index, &key_val, &value, 0);
    return code == 0 ? OK : store_error(why, code, "write its index");
}

enum error_code index_delete_run(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                                 uint64_t offset_first, struct error *why) {
    uint8_t key[KEY_INDEX_BYTES];
    key_write_index(channel_id, offset_first, key);
    MDB_val key_val = {.mv_size = sizeof(key), .mv_data = key};
    int code = mdb_del(txn, store->index, &key_val, NULL);
    return code == 0 || code == MDB_NOTFOUND ? OK : store_error(why, code, "shrink its index");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Work is a row for each delete, channel and first offset -> last offset; a step takes from its
 * front and writes back what is left. A row for a first offset that is there already grows.
 *
 * A message that was moved to `cold` may stand in its segment as well until that is dropped, so
 * both are erased. */
#include "storage/erase.h"

#include "broker/support/invariant.h"
#include "storage/bytes.h"
#include "storage/chunks.h"
#include "storage/index.h"
#include "storage/keys.h"

struct work {
    uint64_t channel_id;
    uint64_t from;
    uint64_t to;
};

struct step {
    struct store *store;
    MDB_txn *txn;
    const struct segments *segments;
    struct chunks_reader reader;
    size_t units;
    bool has_erased;
};

static int put_work(const struct store *store, MDB_txn *txn, const struct work *work) {
    uint8_t key[KEY_INDEX_BYTES];
    uint8_t value[8];
    key_write_index(work->channel_id, work->from, key);
    bytes_put_little(value, work->to, sizeof(value));
    MDB_val key_val = {.mv_size = sizeof(key), .mv_data = key};
    MDB_val value_val = {.mv_size = sizeof(value), .mv_data = value};
    return mdb_put(txn, store->erasing, &key_val, &value_val, 0);
}

enum error_code erase_put(const struct store *store, MDB_txn *txn, uint64_t channel_id,
                          uint64_t from, uint64_t to, struct error *why) {
    struct work work = {channel_id, from, to};
    uint8_t bytes[KEY_INDEX_BYTES];
    key_write_index(channel_id, from, bytes);
    MDB_val key = {.mv_size = sizeof(bytes), .mv_data = bytes};
    MDB_val value = {0};
    int code = mdb_get(txn, store->erasing, &key, &value);
    if (code == 0 && value.mv_size == 8 && bytes_get_little(value.mv_data, 8) > to) {
        work.to = bytes_get_little(value.mv_data, 8);
    }
    if (code == 0 || code == MDB_NOTFOUND) {
        code = put_work(store, txn, &work);
    }
    return code == 0 ? OK : store_error(why, code, "note what is to be erased");
}

bool erase_has_work(const struct store *store, MDB_txn *txn, uint64_t channel_id) {
    MDB_cursor *cursor = NULL;
    uint8_t bytes[KEY_INDEX_BYTES];
    key_write_index(channel_id, 0, bytes);
    MDB_val key = {.mv_size = sizeof(bytes), .mv_data = bytes};
    MDB_val value = {0};
    int code = mdb_cursor_open(txn, store->erasing, &cursor);
    if (code == 0) {
        code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        mdb_cursor_close(cursor);
    }
    return code != MDB_NOTFOUND && (code != 0 || bytes_get_big(key.mv_data, 8) == channel_id);
}

/* ERR_NOT_FOUND: there is no work. */
static enum error_code take_work(struct step *step, struct work *ret_work, struct error *why) {
    MDB_cursor *cursor = NULL;
    MDB_val key = {0};
    MDB_val value = {0};
    int code = mdb_cursor_open(step->txn, step->store->erasing, &cursor);
    if (code == 0) {
        code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        if (code == 0 && (key.mv_size != KEY_INDEX_BYTES || value.mv_size != 8)) {
            code = MDB_CORRUPTED;
        }
        if (code == 0) {
            *ret_work = (struct work){.channel_id = bytes_get_big(key.mv_data, 8),
                                      .from = bytes_get_big((uint8_t *)key.mv_data + 8, 8),
                                      .to = bytes_get_little(value.mv_data, 8)};
            code = mdb_cursor_del(cursor, 0);
        }
        mdb_cursor_close(cursor);
    }
    if (code == MDB_NOTFOUND) {
        return ERR_NOT_FOUND;
    }
    return code == 0 ? OK : store_error(why, code, "find what is to be erased");
}

/* The segment that a position lies in; 0: none has it. */
static uint16_t find_segment(const struct segments *segments, uint64_t position) {
    for (unsigned slot = 1; slot <= STORE_SLOTS_MAX; slot++) {
        const struct segment_row *row = &segments->rows[slot];
        if (row->state != SEGMENT_FREE && position >= row->position_first &&
            position <= row->position_last) {
            return (uint16_t)slot;
        }
    }
    return 0;
}

/* The key names a message in the table of keys, so it goes too. */
static enum error_code erase_key(struct step *step, uint64_t channel_id, uint16_t slot,
                                 const struct run_entry *entry, struct error *why) {
    struct record record;
    uint8_t key[KEY_CONFLATED_BYTES_MAX];
    enum error_code result = chunks_read(&step->reader, slot, channel_id, entry, &record, why);
    if (result != OK || record.fields.key.length == 0 || record.fields.key.length > sizeof(key)) {
        return result;
    }
    struct span copied = span_of(key, record.fields.key.length);
    memcpy(key, record.fields.key.bytes, copied.length); /* its page may move */
    return keys_remove(step->store, step->txn, channel_id, copied, entry->offset, why);
}

static enum error_code erase_in(struct step *step, uint64_t channel_id, uint16_t slot,
                                const struct run_entry *entry, struct error *why) {
    size_t chunks = 0;
    enum error_code result =
        chunks_erase(step->store, step->txn, slot, channel_id, entry, &chunks, why);
    step->units += 1 + chunks;
    step->has_erased |= chunks > 0;
    return result;
}

static enum error_code erase_entry(struct step *step, uint64_t channel_id, uint16_t slot,
                                   const struct run_entry *entry, struct error *why) {
    uint16_t original = find_segment(step->segments, entry->position);
    enum error_code result = OK;
    if (slot != SLOT_COLD && slot != original) { /* went with its segment, to free pages */
        step->units++;
        step->has_erased = true;
        return OK;
    }
    result = erase_key(step, channel_id, slot, entry, why);
    if (result == OK) {
        result = erase_in(step, channel_id, slot, entry, why);
    }
    if (result == OK && slot == SLOT_COLD && original != 0) {
        result = erase_in(step, channel_id, original, entry, why);
    }
    return result;
}

/* Erases from work->from on, at most to the end of the run, and moves it behind what is done. */
static enum error_code erase_run(struct step *step, struct work *work, struct error *why) {
    struct run run;
    struct run_entry entry;
    uint8_t copy[ROW_BYTES_MAX];
    enum error_code result =
        index_get_run(step->store, step->txn, work->channel_id, work->from, &run, why);
    if (result != OK) {
        return result;
    }
    INVARIANT(run.entries.length <= sizeof(copy));
    memcpy(copy, run.entries.bytes, run.entries.length);
    run.entries.bytes = copy;
    run_rewind(&run, &entry);
    while (result == OK && step->units < ERASE_CHUNKS_MAX && run_next(&run, &entry) &&
           entry.offset <= work->to) {
        if (entry.offset >= work->from) {
            result = erase_entry(step, work->channel_id, run.slot, &entry, why);
            work->from = entry.offset + 1;
        }
    }
    return result;
}

/* Erases one delete, as far as the step's bound allows. */
static enum error_code do_work(struct step *step, struct work *work, struct error *why) {
    struct channel_row row;
    enum error_code result = store_get_channel(step->store, step->txn, work->channel_id, &row, why);
    if (result == ERR_NOT_FOUND) { /* forgotten */
        work->from = work->to + 1;
        return OK;
    }
    if (result == OK && work->to > row.offset_last) {
        work->to = row.offset_last;
    }
    if (result == OK && work->from <= row.trimmed_offset) {
        work->from = row.trimmed_offset + 1;
    }
    while (result == OK && work->from <= work->to && step->units < ERASE_CHUNKS_MAX) {
        uint64_t from = work->from;
        result = erase_run(step, work, why);
        if (result == OK && work->from == from) {
            result = error_set(why, ERR_CORRUPT, "a run of channel %llu is damaged",
                               (unsigned long long)work->channel_id);
        }
    }
    return result;
}

static enum error_code do_step(struct step *step, bool *ret_more, struct error *why) {
    struct work work;
    enum error_code result = OK;
    *ret_more = true;
    while (result == OK && step->units < ERASE_CHUNKS_MAX) {
        result = take_work(step, &work, why);
        if (result == ERR_NOT_FOUND) {
            *ret_more = false;
            return OK;
        }
        step->units++;
        if (result == OK) {
            result = do_work(step, &work, why);
        }
        if (result == OK && work.from <= work.to) {
            result = erase_put(step->store, step->txn, work.channel_id, work.from, work.to, why);
        }
    }
    return result;
}

static enum error_code note_scrub(struct step *step, struct error *why) {
    struct meta_row meta;
    enum error_code result = store_get_meta(step->store, step->txn, &meta, why);
    if (result != OK || meta.is_scrub_due) {
        return result;
    }
    meta.is_scrub_due = true;
    return store_put_meta(step->store, step->txn, &meta, why);
}

enum error_code erase_step(struct store *store, const struct segments *segments, bool *ret_more,
                           struct error *why) {
    struct step step = {.store = store, .segments = segments};
    enum error_code result = store_begin(store, &step.txn, why);
    *ret_more = false;
    if (result != OK) {
        return result;
    }
    chunks_reader_init(&step.reader, store, step.txn);
    result = do_step(&step, ret_more, why);
    chunks_reader_finish(&step.reader);
    if (result == OK && step.has_erased) {
        result = note_scrub(&step, why);
    }
    if (result != OK || step.units == 0) {
        mdb_txn_abort(step.txn);
        return result;
    }
    return store_commit(step.txn, why);
}

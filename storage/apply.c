/* SPDX-License-Identifier: Apache-2.0 */
/* Records go to the open segment at once, appended in order of position. What a message changes in
 * its channel (the row, the last run of the index) is gathered and written when APPLY_CHANNELS_MAX
 * channels have gathered or at the end, in order of channel id: a thousand interleaved channels
 * cost a thousand rows a fold, not one row a message. */
#include "storage/apply.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/support/buffer.h"
#include "broker/support/invariant.h"
#include "storage/bytes.h"
#include "storage/chunks.h"
#include "storage/deleted.h"
#include "storage/doomed.h"
#include "storage/erase.h"
#include "storage/index.h"
#include "storage/keys.h"
#include "storage/objects.h"
#include "storage/repeats.h"
#include "storage/retained.h"

#define TABLE_SIZE (APPLY_CHANNELS_MAX * 2) /* a power of two, at most half full */

/* What becomes of a channel's retained message. */
enum retain { RETAIN_AS_IT_IS, RETAIN_PUT, RETAIN_REMOVE };

/* A channel whose rows wait to be written. */
struct pending {
    uint64_t channel_id;
    struct channel_row row; /* its name is set from `name` when it is written */
    struct run_builder builder;
    bool has_run;
    enum retain retain;
    bool was_erased;                /* a deleted message was retained here, whatever replaces it */
    const struct message *retained; /* of RETAIN_PUT */
    size_t name_length;
    uint8_t name[KEY_NAME_BYTES_MAX];
};

struct apply {
    struct store *store;
    MDB_txn *txn;
    MDB_cursor *cursor; /* of the open segment */
    struct segments *segments;
    struct apply_options options;
    struct meta_row meta;
    struct buffer body;
    struct doomed *doomed;           /* of the messages that are being applied */
    struct keys_batch *keys;         /* NULL until a message has a key */
    struct repeats_publish *publish; /* NULL until one has an idempotency key */
    struct objects *objects;         /* NULL until a command comes */
    size_t pending_count;
    struct pending *pending;
    uint16_t table[TABLE_SIZE]; /* number + 1 of a pending channel, by id */
};

static_assert(APPLY_CHANNELS_MAX < UINT16_MAX, "numbers fit the table");

enum error_code apply_create(struct store *store, MDB_txn *txn, struct segments *segments,
                             const struct apply_options *options, struct apply **ret_apply,
                             struct error *why) {
    struct apply *apply = calloc(1, sizeof(*apply));
    struct pending *pending = malloc(APPLY_CHANNELS_MAX * sizeof(*pending));
    if (apply == NULL || pending == NULL) {
        free(apply);
        free(pending);
        return error_set(why, ERR_MEMORY, "no memory to fold");
    }
    apply->store = store;
    apply->txn = txn;
    apply->segments = segments;
    apply->options = *options;
    apply->pending = pending;
    buffer_init(&apply->body, RECORD_BODY_BYTES_MAX);
    enum error_code result = store_get_meta(store, txn, &apply->meta, why);
    if (result != OK) {
        apply_destroy(apply);
        return result;
    }
    *ret_apply = apply;
    return OK;
}

/* --- segments --- */

static bool is_full(const struct apply *apply, const struct segment_row *row) {
    return row->messages >= apply->options.limits.messages_max ||
           row->bytes >= apply->options.limits.bytes_max;
}

static uint16_t find_free_slot(const struct apply *apply) {
    for (unsigned slot = 1; slot <= apply->store->slot_count; slot++) {
        if (apply->segments->rows[slot].state == SEGMENT_FREE) {
            return (uint16_t)slot;
        }
    }
    return 0;
}

/* WEAKNESS: with STORE_SLOTS_MAX segments in use the last one grows without end, and its space
 * comes back late; cure: larger segments for a disk that large. */
static enum error_code choose_segment(struct apply *apply, uint64_t position, struct error *why) {
    struct segments *segments = apply->segments;
    uint16_t slot = segments->open;
    if (slot == 0 || is_full(apply, &segments->rows[slot])) {
        uint16_t next = find_free_slot(apply);
        INVARIANT(next != 0 || slot != 0);
        if (next != 0) {
            if (slot != 0) {
                segments->rows[slot].state = SEGMENT_CLOSED;
                segments->is_changed[slot] = true;
            }
            segments->rows[next] = (struct segment_row){.state = SEGMENT_OPEN,
                                                        .number = ++apply->meta.segments_opened,
                                                        .position_first = position};
            segments->open = next;
            if (apply->cursor != NULL) {
                mdb_cursor_close(apply->cursor);
                apply->cursor = NULL;
            }
        }
    }
    if (apply->cursor != NULL) {
        return OK;
    }
    int code = mdb_cursor_open(apply->txn, atomic_load(&apply->store->slots[segments->open]),
                               &apply->cursor);
    if (code != 0) {
        apply->cursor = NULL;
        return store_error(why, code, "open a segment");
    }
    return OK;
}

static enum error_code write_body(struct apply *apply, const struct message *message,
                                  size_t *ret_size, struct error *why) {
    size_t size = record_body_size(message, false);
    buffer_clear(&apply->body);
    enum error_code result = buffer_reserve(&apply->body, size);
    if (result != OK) {
        return error_set(why, result, "no memory for a record of %zu bytes", size);
    }
    record_write_body(message, false, apply->body.bytes);
    *ret_size = size;
    return OK;
}

/* A doomed message counts with all its bytes: segments are cut alike, however folds are. */
static enum error_code store_body(struct apply *apply, const struct message *message,
                                  bool is_doomed, struct error *why) {
    size_t size = 0;
    enum error_code result = write_body(apply, message, &size, why);
    if (result != OK) {
        return result;
    }
    struct span body = span_of(apply->body.bytes, size);
    if (is_doomed) {
        record_make_stub(apply->body.bytes);
        body.length = RECORD_BODY_HEAD_BYTES;
    }
    uint64_t position = message->place.position;
    result = choose_segment(apply, position, why);
    if (result == OK) {
        result = chunks_append(apply->cursor, position, body, why);
    }
    if (result != OK) {
        return result;
    }
    struct segment_row *row = &apply->segments->rows[apply->segments->open];
    row->position_last = position;
    row->messages++;
    row->live++;
    row->bytes += size;
    apply->segments->is_changed[apply->segments->open] = true;
    return OK;
}

/* --- channels --- */

static size_t probe(const struct apply *apply, uint64_t channel_id) {
    size_t at = (size_t)(channel_id * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (TABLE_SIZE - 1);
    while (apply->table[at] != 0 && apply->pending[apply->table[at] - 1].channel_id != channel_id) {
        at = (at + 1) & (TABLE_SIZE - 1);
    }
    return at;
}

/* A channel's first message makes the channel. */
static enum error_code make_channel(struct apply *apply, struct pending *pending,
                                    const struct message *message, struct error *why) {
    struct place place = message->place;
    struct span name = message->fields.channel;
    pending->row = (struct channel_row){.offset_last = place.offset - 1,
                                        .birth_position = place.position,
                                        .birth_offset = place.offset,
                                        .trimmed_offset = place.offset - 1};
    uint8_t key[KEY_NAME_BYTES_MAX];
    uint8_t value[8];
    bytes_put_little(value, place.channel_id, sizeof(value));
    MDB_val key_val = {.mv_size = key_write_name(name, key), .mv_data = key};
    MDB_val value_val = {.mv_size = sizeof(value), .mv_data = value};
    int code = mdb_put(apply->txn, apply->store->names, &key_val, &value_val, 0);
    if (code != 0) {
        return store_error(why, code, "write a channel's name");
    }
    if (place.channel_id >= apply->meta.channel_id_next) {
        apply->meta.channel_id_next = place.channel_id + 1;
    }
    return OK;
}

static enum error_code load_last_run(struct apply *apply, struct pending *pending,
                                     struct error *why) {
    struct run run;
    pending->has_run = false;
    if (pending->row.offset_last == pending->row.trimmed_offset) {
        return OK;
    }
    enum error_code result = index_get_run(apply->store, apply->txn, pending->channel_id,
                                           pending->row.offset_last, &run, why);
    const struct segments *segments = apply->segments;
    /* A dead run of the segment that had the slot before begins before this one. */
    if (result == OK && segments->open != 0 && run.slot == segments->open &&
        run.position_first >= segments->rows[segments->open].position_first) {
        run_builder_load(&pending->builder, &run);
        pending->has_run = true;
    }
    return result;
}

static enum error_code load_channel(struct apply *apply, struct pending *pending,
                                    const struct message *message, struct error *why) {
    pending->channel_id = message->place.channel_id;
    pending->has_run = false;
    pending->retain = RETAIN_AS_IT_IS;
    pending->was_erased = false;
    enum error_code result =
        store_get_channel(apply->store, apply->txn, pending->channel_id, &pending->row, why);
    if (result != OK && result != ERR_NOT_FOUND) {
        return result;
    }
    struct span name = result == OK ? pending->row.name : message->fields.channel;
    INVARIANT(name.length < sizeof(pending->name));
    memcpy(pending->name, name.bytes, name.length);
    pending->name_length = name.length;
    if (result == ERR_NOT_FOUND) {
        return make_channel(apply, pending, message, why);
    }
    return result == OK ? load_last_run(apply, pending, why) : result;
}

static enum error_code put_run(struct apply *apply, struct pending *pending, struct error *why) {
    if (!pending->has_run) {
        return OK;
    }
    return index_put_run(apply->store, apply->txn, pending->channel_id, &pending->builder, why);
}

static int compare_pending(const void *left, const void *right) {
    uint64_t left_id = (*(const struct pending *const *)left)->channel_id;
    uint64_t right_id = (*(const struct pending *const *)right)->channel_id;
    return left_id < right_id ? -1 : left_id > right_id;
}

static enum error_code put_retained(struct apply *apply, const struct pending *pending,
                                    struct error *why) {
    size_t size = 0;
    enum error_code result = OK;
    if (pending->retain == RETAIN_PUT) {
        result = write_body(apply, pending->retained, &size, why);
        apply->meta.is_scrub_due |= pending->was_erased;
        return result != OK ? result
                            : retained_put(apply->store, apply->txn, pending->channel_id,
                                           span_of(apply->body.bytes, size), why);
    }
    if (pending->retain != RETAIN_AS_IT_IS) {
        result = retained_remove(apply->store, apply->txn, pending->channel_id, why);
        apply->meta.is_scrub_due |= result == OK && pending->was_erased;
    }
    return result == ERR_NOT_FOUND ? OK : result;
}

static enum error_code flush(struct apply *apply, struct error *why) {
    struct pending *order[APPLY_CHANNELS_MAX];
    for (size_t i = 0; i < apply->pending_count; i++) {
        order[i] = &apply->pending[i];
    }
    qsort(order, apply->pending_count, sizeof(order[0]), compare_pending);
    enum error_code result = OK;
    for (size_t i = 0; result == OK && i < apply->pending_count; i++) {
        struct pending *pending = order[i];
        pending->row.name = span_of(pending->name, pending->name_length);
        result = put_run(apply, pending, why);
        if (result == OK) {
            result = store_put_channel(apply->store, apply->txn, pending->channel_id, &pending->row,
                                       why);
        }
        if (result == OK) {
            result = put_retained(apply, pending, why);
        }
    }
    apply->pending_count = 0;
    memset(apply->table, 0, sizeof(apply->table));
    return result;
}

static enum error_code find_channel(struct apply *apply, const struct message *message,
                                    struct pending **ret_pending, struct error *why) {
    size_t at = probe(apply, message->place.channel_id);
    if (apply->table[at] != 0) {
        *ret_pending = &apply->pending[apply->table[at] - 1];
        return OK;
    }
    if (apply->pending_count == APPLY_CHANNELS_MAX) {
        enum error_code flushed = flush(apply, why);
        if (flushed != OK) {
            return flushed;
        }
        at = probe(apply, message->place.channel_id);
    }
    struct pending *pending = &apply->pending[apply->pending_count];
    enum error_code result = load_channel(apply, pending, message, why);
    if (result == OK) {
        apply->table[at] = (uint16_t)++apply->pending_count;
        *ret_pending = pending;
    }
    return result;
}

static enum error_code index_message(struct apply *apply, struct pending *pending,
                                     const struct message *message, struct error *why) {
    struct channel_row *row = &pending->row;
    uint16_t slot = apply->segments->open;
    struct run_entry entry = {.offset = message->place.offset,
                              .position = message->place.position,
                              .time_ms = message->time_ms,
                              .bytes = record_counted_bytes(&message->fields),
                              .bytes_before = row->bytes_total};
    if (row->offset_last + 1 != entry.offset || row->time_last > entry.time_ms) {
        return error_set(why, ERR_CORRUPT, "offset %llu cannot follow offset %llu of channel %llu",
                         (unsigned long long)entry.offset, (unsigned long long)row->offset_last,
                         (unsigned long long)pending->channel_id);
    }
    bool is_added = pending->has_run && pending->builder.run.slot == slot &&
                    run_builder_add(&pending->builder, &entry);
    if (!is_added) {
        enum error_code result = put_run(apply, pending, why);
        if (result != OK) {
            return result;
        }
        run_builder_init(&pending->builder, slot);
        is_added = run_builder_add(&pending->builder, &entry);
        INVARIANT(is_added);
        pending->has_run = true;
    }
    row->offset_last = entry.offset;
    row->position_last = entry.position;
    row->time_last = entry.time_ms;
    row->bytes_total += entry.bytes;
    return OK;
}

/* --- kinds --- */

static enum error_code note_key(struct apply *apply, struct pending *pending,
                                const struct message *message, struct error *why) {
    if (message->fields.key.length == 0) {
        pending->row.keyless_last = message->place.offset;
        return OK;
    }
    enum error_code result =
        apply->keys == NULL ? keys_batch_create(apply->store, apply->txn, &apply->keys, why) : OK;
    return result != OK ? result
                        : keys_batch_put(apply->keys, pending->channel_id, message->fields.key,
                                         message->place.offset, why);
}

static void erase_retained(struct pending *pending) {
    pending->retain = RETAIN_REMOVE;
    pending->was_erased = true;
}

/* An empty payload takes the retained message away, as in MQTT (5.0, 3.3.1.3). */
static void note_retained(struct apply *apply, struct pending *pending,
                          const struct message *message, bool is_doomed) {
    const struct apply_options *options = &apply->options;
    bool is_asked = (message->fields.flags & MESSAGE_RETAIN) != 0;
    if (!is_asked && (options->on_retain_latest == NULL ||
                      !options->on_retain_latest(options->context,
                                                 span_of(pending->name, pending->name_length)))) {
        return;
    }
    if (is_doomed) {
        erase_retained(pending);
    } else if (is_asked && message->fields.payload.length == 0) {
        pending->retain = RETAIN_REMOVE;
    } else {
        pending->retain = RETAIN_PUT;
        pending->retained = message;
    }
}

static enum error_code apply_data(struct apply *apply, const struct message *message,
                                  struct error *why) {
    struct pending *pending = NULL;
    bool is_doomed = doomed_has(apply->doomed, message->place.channel_id, message->place.offset);
    enum error_code result = store_body(apply, message, is_doomed, why);
    if (result == OK) {
        result = find_channel(apply, message, &pending, why);
    }
    if (result == OK) {
        result = index_message(apply, pending, message, why);
    }
    if (result == OK && !is_doomed) {
        result = note_key(apply, pending, message, why);
    }
    if (result == OK) {
        note_retained(apply, pending, message, is_doomed);
        result = repeats_add(&apply->publish, apply->store, apply->txn, message, &apply->meta, why);
    }
    return result;
}

/* The channel of a record that only says something of one. ERR_NOT_FOUND: it is not there, and
 * nothing can be said of it. */
static enum error_code find_known_channel(struct apply *apply, const struct message *message,
                                          struct pending **ret_pending, struct error *why) {
    struct channel_row row;
    size_t at = probe(apply, message->place.channel_id);
    enum error_code result = OK;
    if (apply->table[at] == 0) {
        result = store_get_channel(apply->store, apply->txn, message->place.channel_id, &row, why);
    }
    return result == OK ? find_channel(apply, message, ret_pending, why) : result;
}

static enum error_code apply_trim(struct apply *apply, const struct message *message,
                                  struct error *why) {
    struct pending *pending = NULL;
    enum error_code result = find_known_channel(apply, message, &pending, why);
    if (result == OK && message->place.offset > pending->row.keep_from) {
        pending->row.keep_from = message->place.offset;
    }
    return result == ERR_NOT_FOUND ? OK : result;
}

/* The retained message outlives the index, so it is asked for its own offset. */
static enum error_code delete_retained(struct apply *apply, struct pending *pending, uint64_t from,
                                       uint64_t to, struct error *why) {
    uint64_t offset = 0;
    if (pending->retain == RETAIN_PUT) {
        offset = pending->retained->place.offset;
    } else if (pending->retain == RETAIN_AS_IT_IS) {
        struct record record;
        buffer_clear(&apply->body);
        enum error_code result =
            retained_get(apply->store, apply->txn, pending->channel_id, &apply->body, &record, why);
        if (result != OK) {
            return result == ERR_NOT_FOUND ? OK : result;
        }
        offset = record.place.offset;
    }
    if (offset >= from && offset <= to) {
        erase_retained(pending);
    }
    return OK;
}

/* What lies before the channel's first message needs no row; what begins there also raises it, so
 * that whole runs go with the next sweep. */
static enum error_code apply_delete(struct apply *apply, const struct message *message,
                                    struct error *why) {
    struct pending *pending = NULL;
    struct deleted_row deleted = {.position = message->place.position};
    if (!message_get_deleted(message, &deleted.from, &deleted.to) || deleted.from > deleted.to) {
        return OK;
    }
    enum error_code result = find_known_channel(apply, message, &pending, why);
    if (result != OK) {
        return result == ERR_NOT_FOUND ? OK : result;
    }
    struct channel_row *row = &pending->row;
    result = delete_retained(apply, pending, deleted.from, deleted.to, why);
    if (deleted.from <= row->trimmed_offset) {
        deleted.from = row->trimmed_offset + 1;
    }
    if (row->keyless_last >= deleted.from && row->keyless_last <= deleted.to) {
        row->keyless_last = 0;
    }
    if (result != OK || deleted.from > deleted.to) {
        return result;
    }
    result =
        erase_put(apply->store, apply->txn, pending->channel_id, deleted.from, deleted.to, why);
    if (result == OK) {
        result = deleted_put(apply->store, apply->txn, pending->channel_id, &deleted, why);
    }
    if (result == OK) {
        result = deleted_find(apply->store, apply->txn, pending->channel_id,
                              row->trimmed_offset + 1, &deleted.from, &deleted.to, why);
    }
    if (result == OK && deleted.to >= row->keep_from) {
        row->keep_from = deleted.to + 1;
    }
    return result == ERR_NOT_FOUND ? OK : result;
}

/* It stands in no segment. It may be the last of a publish that has an idempotency key. */
static enum error_code apply_command(struct apply *apply, const struct message *message,
                                     struct error *why) {
    enum error_code result = apply->objects == NULL
                                 ? objects_create(apply->store, apply->txn, &apply->objects, why)
                                 : OK;
    if (result == OK) {
        result = objects_apply(apply->objects, message, why);
    }
    return result == OK
               ? repeats_add(&apply->publish, apply->store, apply->txn, message, &apply->meta, why)
               : result;
}

static enum error_code apply_message(struct apply *apply, const struct message *message,
                                     struct error *why) {
    if (message->place.position <= apply->meta.position_folded) {
        return OK;
    }
    enum error_code result = OK;
    if (message->fields.kind == MESSAGE_DATA) {
        result = apply_data(apply, message, why);
    } else if (message->fields.kind == MESSAGE_TRIM) {
        result = apply_trim(apply, message, why);
    } else if (message->fields.kind == MESSAGE_DELETE) {
        result = apply_delete(apply, message, why);
    } else if (message->fields.kind == MESSAGE_COMMAND) {
        result = apply_command(apply, message, why);
    }
    if (result == OK) {
        apply->meta.position_folded = message->place.position;
        apply->meta.time_ms = message->time_ms;
    }
    return result;
}

enum error_code apply_messages(struct apply *apply, struct message *const *messages, size_t count,
                               struct error *why) {
    doomed_destroy(apply->doomed);
    enum error_code result = doomed_create(messages, count, &apply->doomed, why);
    for (size_t i = 0; result == OK && i < count; i++) {
        result = apply_message(apply, messages[i], why);
    }
    return result;
}

bool apply_has_deletes(const struct apply *apply) {
    return apply->doomed != NULL;
}

enum error_code apply_finish(struct apply *apply, struct meta_row *ret_meta, struct error *why) {
    enum error_code result = flush(apply, why);
    if (result == OK && apply->keys != NULL) {
        result = keys_batch_flush(apply->keys, why);
    }
    if (result == OK && apply->objects != NULL) {
        result = objects_flush(apply->objects, why);
    }
    if (result == OK) {
        result = repeats_prune(apply->store, apply->txn, &apply->meta, why);
    }
    if (result == OK) {
        result = segments_save(apply->segments, apply->store, apply->txn, why);
    }
    if (result == OK) {
        result = store_put_meta(apply->store, apply->txn, &apply->meta, why);
    }
    if (result == OK) {
        *ret_meta = apply->meta;
    }
    return result;
}

void apply_destroy(struct apply *apply) {
    if (apply == NULL) {
        return;
    }
    if (apply->cursor != NULL) {
        mdb_cursor_close(apply->cursor);
    }
    repeats_publish_destroy(apply->publish);
    keys_batch_destroy(apply->keys);
    objects_destroy(apply->objects);
    doomed_destroy(apply->doomed);
    buffer_finish(&apply->body);
    free(apply->pending);
    free(apply);
}

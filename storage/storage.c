/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, in order: lock and version, LMDB, the journal's rest through the same fold that runs
 * live, a new generation if the last end was not clean, an empty journal. Only then may anything be
 * appended. An end is clean if all that was appended is folded; the mark is taken away in the
 * transaction that opens, so that a killed process leaves none. */
#include "storage/storage.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statvfs.h>

#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "storage/apply.h"
#include "storage/data_directory.h"
#include "storage/each.h"
#include "storage/erasure.h"
#include "storage/journal.h"
#include "storage/open_batch.h"
#include "storage/parts.h"
#include "storage/recovery.h"
#include "storage/reserve.h"
#include "storage/sweep.h"
#include "storage/view.h"

#define SEGMENTS_PER_DISK 8 /* bytes_max is met by dropping a part, so a segment is a small part */

struct storage {
    struct storage_options options;
    struct segment_limits limits;
    struct data_directory directory;
    struct store store;
    struct open_batch batch;
    struct journal *journal;
    struct storage_state state; /* as at opening; never changed after */
    struct segments segments;   /* the store thread's, as is all to `reserve` */
    struct sweep sweep;
    struct erasure erasure;
    struct reserve reserve;
    bool is_stale;          /* `segments` may not be what LMDB says; the store thread's */
    atomic_bool has_failed; /* said in the log */
    atomic_bool is_full;    /* the reserve is in use: publishers wait until it is made again */
    atomic_uint_fast64_t position_folded;
    atomic_uint_fast64_t segment_count;
    atomic_uint_fast64_t channel_count;
    atomic_uint_fast64_t bytes_used;
    atomic_uint_fast64_t fold_count;
    struct storage_folded folded; /* by the last fold; the store thread's */
};

/* --- a failed disk --- */

/* After a call that did not succeed. Returns its result. */
static enum error_code note_failure(struct storage *storage, enum error_code result) {
    if (storage_has_failed(storage) && !atomic_exchange(&storage->has_failed, true)) {
        log_event(STORAGE_FAILED,
                  .part = atomic_load(&storage->store.has_panicked) ? "store" : "journal");
    }
    return result;
}

/* --- a full disk --- */

/* True: try again, as if for the first time: there is room now, for folds and retention alone. */
static bool give_up_reserve(struct storage *storage, struct error *why) {
    if (!storage->reserve.is_kept) {
        return false;
    }
    atomic_store(&storage->is_full, true); /* first, so that no publisher takes the room */
    log_event(DISK_FULL, .reserve_bytes = storage->reserve.bytes);
    if (why != NULL) {
        *why = (struct error){0};
    }
    return reserve_give_up(&storage->reserve);
}

static void keep_reserve(struct storage *storage) {
    bool is_full = !reserve_make(&storage->reserve);
    bool was_full = atomic_exchange(&storage->is_full, is_full);
    if (is_full && !was_full) {
        log_event(DISK_FULL, .reserve_bytes = storage->reserve.bytes);
    } else if (was_full && !is_full) {
        log_event(DISK_HAS_ROOM, .reserve_bytes = storage->reserve.bytes);
    }
}

/* --- folding --- */

static enum error_code fold_in(struct storage *storage, MDB_txn *txn,
                               struct message *const *messages, size_t count,
                               struct meta_row *ret_meta, struct error *why) {
    struct apply *apply = NULL;
    struct apply_options options = {.limits = storage->limits,
                                    .on_retain_latest = storage->options.on_retain_latest,
                                    .context = storage->options.context};
    enum error_code result =
        apply_create(&storage->store, txn, &storage->segments, &options, &apply, why);
    if (result == OK) {
        result = apply_messages(apply, messages, count, why);
    }
    if (result == OK && apply_has_deletes(apply)) {
        erasure_note_delete(&storage->erasure);
    }
    if (result == OK) {
        result = apply_finish(apply, ret_meta, why);
    }
    apply_destroy(apply);
    return result;
}

/* What is in memory about segments is as in LMDB again after a transaction that came to nothing.
 * Until that succeeds nothing is changed: with wrong counts, what is alive could be dropped. */
static enum error_code reload_segments(struct storage *storage, struct error *why) {
    MDB_txn *txn = NULL;
    enum error_code result = store_take_snapshot(&storage->store, &txn, why);
    if (result == OK) {
        result = segments_load(&storage->segments, &storage->store, txn, why);
        store_release(&storage->store, txn);
    }
    storage->is_stale = result != OK;
    return result;
}

static enum error_code undo(struct storage *storage, enum error_code result) {
    IGNORE_RESULT(reload_segments(storage, NULL)); /* is_stale says so, and the cause was told */
    return note_failure(storage, result);
}

static void count_tables(struct storage *storage) {
    MDB_txn *txn = NULL;
    MDB_stat stat = {0};
    uint64_t bytes = 0;
    uint64_t segments = 0;
    if (store_take_snapshot(&storage->store, &txn, NULL) != OK) {
        return; /* figures stay as they were */
    }
    if (sweep_measure(&storage->store, txn, &storage->segments, &bytes, NULL) == OK &&
        mdb_stat(txn, storage->store.channels, &stat) == 0) {
        for (unsigned slot = 1; slot <= storage->store.slot_count; slot++) {
            segments += storage->segments.rows[slot].state == SEGMENT_FREE ? 0 : 1;
        }
        atomic_store(&storage->bytes_used, bytes);
        atomic_store(&storage->channel_count, stat.ms_entries);
        atomic_store(&storage->segment_count, segments);
    }
    store_release(&storage->store, txn);
}

static enum error_code fold_messages(struct storage *storage, struct message *const *messages,
                                     size_t count, struct error *why) {
    unsigned slots = segments_wanted(&storage->segments, &storage->limits, count,
                                     atomic_load(&storage->batch.bytes));
    MDB_txn *txn = NULL;
    struct meta_row meta;
    enum error_code result = storage->is_stale ? reload_segments(storage, why) : OK;
    if (result == OK) {
        result = store_open_slots(&storage->store, slots, why);
    }
    if (result == OK) {
        result = store_begin(&storage->store, &txn, why);
    }
    if (result != OK) {
        return note_failure(storage, result);
    }
    result = store_end(txn, fold_in(storage, txn, messages, count, &meta, why), why);
    if (result != OK) {
        return undo(storage, result);
    }
    atomic_store(&storage->position_folded, meta.position_folded);
    return OK;
}

/* --- opening --- */

static enum error_code check_record(void *context, const struct message *message,
                                    struct error *why) {
    struct storage *storage = context;
    return message->fields.kind != MESSAGE_DATA
               ? OK
               : view_check_next(&storage->store, &storage->batch, message->fields.channel,
                                 message->place.channel_id, message->place.offset, why);
}

static enum error_code replay_message(void *context, struct message *message, struct error *why) {
    struct storage *storage = context;
    bool is_publish_whole = message->group_rest == 0; /* a fold holds all of it, or nothing */
    open_batch_admit(&storage->batch, &message, 1);
    message_unref(message);
    return is_publish_whole && storage_is_fold_due(storage) ? storage_fold(storage, why) : OK;
}

static enum error_code replay(struct storage *storage, const struct meta_row *meta,
                              struct error *why) {
    struct recovery_options options = {.directory = storage->directory.journal_path,
                                       .log_id = meta->log_id,
                                       .position_folded = meta->position_folded,
                                       .time_ms = meta->time_ms,
                                       .on_check = check_record,
                                       .on_message = replay_message,
                                       .context = storage};
    enum error_code result = recovery_replay(&options, why);
    return result == OK ? storage_fold(storage, why) : result;
}

/* Marks the log as open, and begins a generation if its last end was not clean. */
static enum error_code try_to_mark_open(struct storage *storage, struct error *why) {
    MDB_txn *txn = NULL;
    struct meta_row meta;
    enum error_code result = store_begin(&storage->store, &txn, why);
    if (result != OK) {
        return result;
    }
    result = store_get_meta(&storage->store, txn, &meta, why);
    bool was_clean = result == OK && meta.is_clean;
    if (result == OK && !was_clean) {
        meta.generation++;
        result = store_put_generation(&storage->store, txn, meta.generation,
                                      meta.position_folded + 1, why);
    }
    if (result == OK) {
        meta.is_clean = false;
        result = store_put_meta(&storage->store, txn, &meta, why);
    }
    if (result != OK) {
        mdb_txn_abort(txn);
        return result;
    }
    storage->state = (struct storage_state){.log_id = meta.log_id,
                                            .generation = meta.generation,
                                            .position_next = meta.position_folded + 1,
                                            .channel_id_next = meta.channel_id_next,
                                            .time_ms = meta.time_ms,
                                            .was_clean = was_clean};
    return store_commit(txn, why);
}

static enum error_code mark_open(struct storage *storage, struct error *why) {
    enum error_code result = try_to_mark_open(storage, why);
    return result == ERR_STORAGE_FULL && give_up_reserve(storage, why)
               ? try_to_mark_open(storage, why)
               : result;
}

static enum error_code load(struct storage *storage, struct meta_row *ret_meta, struct error *why) {
    MDB_txn *txn = NULL;
    enum error_code result = store_take_snapshot(&storage->store, &txn, why);
    if (result != OK) {
        return result;
    }
    result = store_get_meta(&storage->store, txn, ret_meta, why);
    if (result == OK) {
        result = segments_load(&storage->segments, &storage->store, txn, why);
    }
    store_release(&storage->store, txn);
    atomic_store(&storage->position_folded, ret_meta->position_folded);
    return result;
}

static enum error_code open_log(struct storage *storage, struct error *why) {
    struct meta_row meta = {0};
    enum error_code result = load(storage, &meta, why);
    if (result != OK) {
        return result;
    }
    result = open_batch_init(&storage->batch, meta.position_folded, meta.time_ms);
    if (result != OK) {
        return error_set(why, result, "no random number for the open batch");
    }
    const char *journal_path = storage->directory.journal_path;
    result = replay(storage, &meta, why);
    if (result == OK) {
        result = mark_open(storage, why);
    }
    storage->state.replayed_count = storage->state.position_next - 1 - meta.position_folded;
    if (result == OK) {
        result = recovery_clear(journal_path, why);
    }
    if (result == OK) {
        result = journal_create(journal_path, meta.log_id, storage->options.journal_file_bytes,
                                &storage->journal, why);
    }
    if (result != OK) {
        open_batch_finish(&storage->batch);
        return result;
    }
    keep_reserve(storage);
    count_tables(storage);
    return OK;
}

static enum error_code draw_log_id(uint64_t *ret_log_id, struct error *why) {
    do {
        if (getrandom(ret_log_id, sizeof(*ret_log_id), 0) != sizeof(*ret_log_id)) {
            return error_set(why, ERR_IO, "no random number for the log's id");
        }
    } while (*ret_log_id == 0);
    return OK;
}

enum error_code storage_open(const struct storage_options *options, struct storage **ret_storage,
                             struct error *why) {
    INVARIANT(options->on_retention != NULL);
    INVARIANT(options->segment_messages > 0);
    INVARIANT(options->segment_bytes > 0);
    uint64_t log_id = 0;
    enum error_code result = draw_log_id(&log_id, why);
    struct storage *storage = result == OK ? calloc(1, sizeof(*storage)) : NULL;
    if (storage == NULL) {
        return result == OK ? error_set(why, ERR_MEMORY, "no memory for the storage") : result;
    }
    storage->options = *options;
    erasure_init(&storage->erasure);
    uint64_t part = options->bytes_max / SEGMENTS_PER_DISK + 1;
    storage->limits.messages_max = options->segment_messages;
    storage->limits.bytes_max = options->segment_bytes < part ? options->segment_bytes : part;
    result = data_directory_open(&storage->directory, options->directory, why);
    if (result != OK) {
        free(storage);
        return result;
    }
    reserve_init(&storage->reserve, storage->directory.path,
                 options->fold_bytes + options->fold_bytes / 2);
    result = store_open(&storage->store, storage->directory.path, options->bytes_max, log_id, why);
    if (result != OK) {
        data_directory_close(&storage->directory);
        free(storage);
        return result;
    }
    result = open_log(storage, why);
    if (result != OK) {
        store_close(&storage->store);
        data_directory_close(&storage->directory);
        free(storage);
        return result;
    }
    *ret_storage = storage;
    return OK;
}

static enum error_code try_to_mark_clean(struct storage *storage, struct error *why) {
    MDB_txn *txn = NULL;
    struct meta_row meta;
    enum error_code result = store_begin(&storage->store, &txn, why);
    if (result != OK) {
        return result;
    }
    result = store_get_meta(&storage->store, txn, &meta, why);
    if (result == OK) {
        meta.is_clean = true;
        result = store_put_meta(&storage->store, txn, &meta, why);
    }
    return store_end(txn, result, why);
}

static enum error_code mark_clean(struct storage *storage, struct error *why) {
    enum error_code result = try_to_mark_clean(storage, why);
    return result == ERR_STORAGE_FULL && give_up_reserve(storage, why)
               ? try_to_mark_clean(storage, why)
               : result;
}

/* The journal goes before the mark is set: an end that is called clean has nothing to replay. */
static enum error_code end_cleanly(struct storage *storage, struct error *why) {
    enum error_code result = storage_fold(storage, why);
    if (result == OK) {
        result = storage_fold(storage, why); /* a fold that failed before may have left a piece */
    }
    uint64_t folded = atomic_load(&storage->position_folded);
    if (result == OK && journal_get_position(storage->journal) > folded) {
        result = error_set(why, ERR_BUSY, "messages were appended and not admitted");
    }
    if (result == OK) {
        result = journal_remove(storage->journal, folded, true, why);
    }
    return result == OK ? mark_clean(storage, why) : result;
}

void storage_close(struct storage *storage) {
    if (storage == NULL) {
        return;
    }
    struct error why = {0};
    if (end_cleanly(storage, &why) != OK) {
        log_event(STORAGE_END_UNCLEAN, .detail = why.detail);
    }
    sweep_finish(&storage->sweep);
    journal_destroy(storage->journal);
    open_batch_finish(&storage->batch);
    store_close(&storage->store);
    data_directory_close(&storage->directory);
    free(storage);
}

void storage_get_state(const struct storage *storage, struct storage_state *ret_state) {
    *ret_state = storage->state;
}

enum error_code storage_each_channel(struct storage *storage, storage_on_channel *on_channel,
                                     void *context, struct error *why) {
    return each_channel(&storage->store, on_channel, context, why);
}

enum error_code storage_each_repeat(struct storage *storage, storage_on_repeat *on_repeat,
                                    void *context, struct error *why) {
    return each_repeat(&storage->store, on_repeat, context, why);
}

enum error_code storage_each_object(struct storage *storage, enum storage_object_kind kind,
                                    storage_on_object *on_object, void *context,
                                    struct error *why) {
    return each_object(&storage->store, kind, on_object, context, why);
}

/* --- writing --- */

/* On a full disk only time goes on, a record a minute: what expires makes room. */
static bool is_refused(struct storage *storage, struct message *const *messages, size_t count) {
    if (count == 0 || !atomic_load(&storage->is_full)) {
        return false;
    }
    bool is_tick = count == 1 && messages[0]->fields.kind == MESSAGE_TICK;
    return !is_tick || messages[0]->time_ms - open_batch_get_time(&storage->batch) < SWEEP_REST_MS;
}

enum error_code storage_append(struct storage *storage, struct message *const *messages,
                               size_t count, struct error *why) {
    if (is_refused(storage, messages, count)) {
        return error_set(why, ERR_STORAGE_FULL, "the disk is full but for a reserve: make room");
    }
    enum error_code result = journal_append(storage->journal, messages, count, why);
    return result == OK ? OK : note_failure(storage, result);
}

void storage_admit(struct storage *storage, struct message *const *messages, size_t count) {
    open_batch_admit(&storage->batch, messages, count);
}

void storage_raise_time(struct storage *storage, uint64_t time_ms) {
    open_batch_raise_time(&storage->batch, time_ms);
}

bool storage_has_room(const struct storage *storage) {
    return atomic_load(&storage->batch.bytes) < storage->options.open_batch_bytes_max;
}

bool storage_is_fold_due(const struct storage *storage) {
    return atomic_load(&storage->batch.bytes) >= storage->options.fold_bytes;
}

bool storage_has_failed(const struct storage *storage) {
    return atomic_load(&storage->store.has_panicked) ||
           (storage->journal != NULL && journal_has_failed(storage->journal));
}

enum error_code storage_sync(struct storage *storage, struct error *why) {
    enum error_code result = journal_sync(storage->journal, why);
    return result == OK ? OK : note_failure(storage, result);
}

static void shorten_journal(struct storage *storage) {
    struct error detail = {0};
    if (storage->journal != NULL &&
        journal_remove(storage->journal, atomic_load(&storage->position_folded), false, &detail) !=
            OK) {
        /* The fold itself stands; a file that stays is passed over by the next start. */
        log_event(JOURNAL_NOT_REMOVED, .detail = detail.detail);
        IGNORE_RESULT(note_failure(storage, OK)); /* a file may stay; a failed sync is told */
    }
}

static enum error_code fold_piece(struct storage *storage, struct error *why) {
    struct message *const *messages = NULL;
    size_t count = open_batch_begin_fold(&storage->batch, &messages);
    storage->folded = (struct storage_folded){0};
    enum error_code result = count == 0 ? OK : fold_messages(storage, messages, count, why);
    if (count > 0 && result == OK) {
        storage->folded.messages = count;
        storage->folded.bytes = open_batch_end_fold(&storage->batch);
        count_tables(storage);
        atomic_fetch_add(&storage->fold_count, 1);
    }
    return result;
}

static enum error_code erase(struct storage *storage, bool *ret_more, struct error *why) {
    enum error_code result = storage->is_stale ? reload_segments(storage, why) : OK;
    *ret_more = false;
    if (result == OK) {
        result =
            erasure_step(&storage->erasure, &storage->store, &storage->segments, ret_more, why);
    }
    return note_failure(storage, result);
}

enum error_code storage_fold(struct storage *storage, struct error *why) {
    bool is_more = false;
    enum error_code result = fold_piece(storage, why);
    if (result == ERR_STORAGE_FULL && give_up_reserve(storage, why)) {
        result = fold_piece(storage, why);
    }
    if (result == OK) {
        shorten_journal(storage); /* also of nothing: an append that kept a file may have failed */
        IGNORE_RESULT(erase(storage, &is_more, NULL)); /* tried again, and told, by retention */
    }
    return result;
}

bool storage_holds_deleted(const struct storage *storage) {
    return storage->journal != NULL && journal_has_ended(storage->journal);
}

void storage_get_folded(const struct storage *storage, struct storage_folded *ret_folded) {
    *ret_folded = storage->folded;
}

static enum error_code sweep(struct storage *storage, bool *ret_more, struct error *why) {
    struct sweep_options options = {.bytes_max = storage->options.bytes_max,
                                    .time_ms = open_batch_get_time(&storage->batch),
                                    .on_retention = storage->options.on_retention,
                                    .on_counts = storage->options.on_counts,
                                    .context = storage->options.context};
    enum error_code result = storage->is_stale ? reload_segments(storage, why) : OK;
    if (result != OK) {
        return note_failure(storage, result);
    }
    result =
        sweep_step(&storage->sweep, &storage->store, &storage->segments, &options, ret_more, why);
    return result == OK ? OK : undo(storage, result);
}

enum error_code storage_retain(struct storage *storage, bool *ret_more, struct error *why) {
    bool is_more = false;
    *ret_more = false;
    sweep_finish(&storage->sweep); /* whatever fails now, what was told is not told again */
    enum error_code erased = erase(storage, &is_more, why);
    if (erased == OK && erasure_has_work(&storage->erasure)) { /* its index is not to go before */
        *ret_more = true;
        return OK;
    }
    enum error_code result = sweep(storage, ret_more, erased == OK ? why : NULL);
    *ret_more |= is_more;
    if (result == ERR_STORAGE_FULL && give_up_reserve(storage, why)) {
        return sweep(storage, ret_more, why);
    }
    keep_reserve(storage);
    count_tables(storage);
    return result == OK ? erased : result;
}

void storage_each_swept(struct storage *storage, storage_on_swept *on_swept, void *context) {
    for (const struct swept *at = storage->sweep.swept; at != NULL; at = at->next) {
        on_swept(context, &at->told);
    }
}

/* --- reading --- */

struct storage_parts storage_borrow_parts(struct storage *storage) {
    return (struct storage_parts){&storage->store, &storage->batch, &storage->options};
}

void storage_get_figures(struct storage *storage, struct storage_figures *ret_figures) {
    struct journal_figures journal;
    MDB_envinfo info = {0};
    MDB_stat stat = {0};
    struct statvfs disk = {0};
    journal_get_figures(storage->journal, &journal);
    IGNORE_RESULT(mdb_env_info(storage->store.env, &info)); /* fails on a NULL environment alone */
    IGNORE_RESULT(mdb_env_stat(storage->store.env, &stat)); /* likewise */
    /* WEAKNESS: a network file system that hangs holds up whoever asks; cure: let the store thread
     * ask, now and then. */
    IGNORE_RESULT(statvfs(storage->directory.path, &disk) != 0); /* then it stays at 0 */
    *ret_figures = (struct storage_figures){
        .journal_bytes = journal.bytes,
        .journal_file_count = journal.file_count,
        .lmdb_bytes_used = atomic_load(&storage->bytes_used),
        .lmdb_bytes_file = (info.me_last_pgno + 1) * stat.ms_psize,
        .open_batch_bytes = atomic_load(&storage->batch.bytes),
        .open_batch_messages = atomic_load(&storage->batch.messages),
        .segment_count = atomic_load(&storage->segment_count),
        .channel_count = atomic_load(&storage->channel_count),
        .position_folded = atomic_load(&storage->position_folded),
        .position_readable = atomic_load(&storage->batch.position_readable),
        .fold_count = atomic_load(&storage->fold_count),
        .bytes_max = storage->options.bytes_max,
        .open_batch_bytes_max = storage->options.open_batch_bytes_max,
        .disk_bytes_free = (uint64_t)disk.f_bavail * disk.f_frsize,
        .disk_bytes = (uint64_t)disk.f_blocks * disk.f_frsize,
    };
    store_get_snapshots(&storage->store, &ret_figures->snapshot_count,
                        &ret_figures->snapshot_us_oldest);
}

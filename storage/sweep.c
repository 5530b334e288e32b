/* SPDX-License-Identifier: Apache-2.0 */
/* A segment's `live` counts the messages that index runs still place there. A walk takes runs that
 * are past retention off the index; a segment with none left is emptied by mdb_drop(), which frees
 * its pages without reading its leaves, and its slot is used again.
 *
 * A segment of which at most half lives, and which hardly shrank since the last walk, is evacuated:
 * its survivors go to `cold` and their runs say so. One that shrinks by itself (all channels keep
 * messages for a day, say) is left alone: waiting costs nothing, moving would write it again.
 *
 * WEAKNESS: a segment of which more than half lives for ever keeps the space of its dead until the
 * disk's limit is near; cure: rewrite such segments too, oldest first, when bytes_max is near.
 *
 * WEAKNESS: retained messages and objects count for bytes_max and never go by it. Where they alone
 * pass it no history is kept, and at the end of LMDB's map publishes are refused; cure: refuse the
 * publish that would retain one more.
 *
 * When bytes_max is passed, the oldest closed segment goes at once, with survivors: the position
 * floor rises above it, and every read sees that in the same transaction. Runs and cold records
 * below the floor are cleared by the next walk. */
#include "storage/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "storage/bytes.h"
#include "storage/chunks.h"
#include "storage/erase.h"
#include "storage/index.h"
#include "storage/retained.h"
#include "storage/view.h"

struct step {
    struct sweep *sweep;
    struct store *store;
    MDB_txn *txn;
    struct segments *segments;
    const struct sweep_options *options;
    struct meta_row meta;
    uint64_t time_ms; /* the log's; never written: records that wait in the journal may be older */
    uint64_t units;
    uint64_t dropped_for_room; /* segments */
    bool is_changed;
};

/* --- whole segments --- */

enum error_code sweep_measure(struct store *store, MDB_txn *txn, const struct segments *segments,
                              uint64_t *ret_bytes, struct error *why) {
    const MDB_dbi tables[] = {store->index, store->channels, store->names,
                              store->cold,  store->retained, store->objects};
    uint64_t pages = 0;
    MDB_stat stat = {0};
    int code = 0;
    for (size_t i = 0; code == 0 && i < ARRAY_COUNT(tables); i++) {
        code = mdb_stat(txn, tables[i], &stat);
        pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    }
    for (unsigned slot = 1; code == 0 && slot <= store->slot_count; slot++) {
        if (segments->rows[slot].state != SEGMENT_FREE) {
            code = mdb_stat(txn, atomic_load(&store->slots[slot]), &stat);
            pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
        }
    }
    if (code != 0) {
        return store_error(why, code, "measure its tables");
    }
    *ret_bytes = pages * stat.ms_psize;
    return OK;
}

static enum error_code drop_segment(struct step *step, unsigned slot, struct error *why) {
    int code = mdb_drop(step->txn, atomic_load(&step->store->slots[slot]), 0);
    if (code != 0) {
        return store_error(why, code, "drop a segment");
    }
    if (slot == step->segments->open) {
        step->segments->open = 0;
        step->sweep->open_dropped_ms = step->time_ms;
    }
    uint64_t last = step->segments->rows[slot].position_last;
    if (last > step->meta.walk_floor) {
        step->meta.walk_floor = last;
    }
    step->segments->rows[slot] = (struct segment_row){0};
    step->sweep->is_evacuated[slot] = false;
    step->segments->is_changed[slot] = true;
    step->is_changed = true;
    return OK;
}

static unsigned find_oldest_closed(const struct segments *segments) {
    unsigned oldest = 0;
    for (unsigned slot = 1; slot <= STORE_SLOTS_MAX; slot++) {
        const struct segment_row *row = &segments->rows[slot];
        if (row->state == SEGMENT_CLOSED &&
            (oldest == 0 || row->number < segments->rows[oldest].number)) {
            oldest = slot;
        }
    }
    return oldest;
}

/* A silent log closes no segment. Not more often than a quiet log is walked: each new segment makes
 * a walk due. */
static bool may_drop_open(const struct step *step) {
    return step->time_ms - step->sweep->open_dropped_ms >= SWEEP_REST_MS;
}

static enum error_code drop_dead(struct step *step, struct error *why) {
    enum error_code result = OK;
    for (unsigned slot = 1; result == OK && slot <= STORE_SLOTS_MAX; slot++) {
        const struct segment_row *row = &step->segments->rows[slot];
        bool is_dead = row->state != SEGMENT_FREE && row->live == 0;
        if (is_dead && (row->state == SEGMENT_CLOSED || may_drop_open(step))) {
            result = drop_segment(step, slot, why);
        }
    }
    return result;
}

/* Sets *ret_dropped if a segment went because the disk's limit is passed. */
static enum error_code drop_for_room(struct step *step, bool *ret_dropped, struct error *why) {
    uint64_t bytes = 0;
    *ret_dropped = false;
    enum error_code result = sweep_measure(step->store, step->txn, step->segments, &bytes, why);
    unsigned oldest = find_oldest_closed(step->segments);
    if (result != OK || bytes <= step->options->bytes_max || oldest == 0) {
        return result;
    }
    uint64_t floor = step->segments->rows[oldest].position_last + 1;
    if (floor > step->meta.position_floor) {
        step->meta.position_floor = floor;
    }
    *ret_dropped = true;
    step->dropped_for_room++;
    return drop_segment(step, oldest, why);
}

/* --- runs --- */

/* A run leaves its segment. Runs of a segment that went for room are older than the one that has
 * the slot now, and do not count there. */
static void leave_segment(struct step *step, const struct run *run) {
    struct segment_row *row = &step->segments->rows[run->slot];
    if (run->slot == SLOT_COLD || row->state == SEGMENT_FREE ||
        run->position_first < row->position_first) {
        return;
    }
    INVARIANT(row->live >= run->count);
    row->live -= run->count;
    step->segments->is_changed[run->slot] = true;
}

static enum error_code forget_run(struct step *step, struct view *view, const struct run *run,
                                  struct error *why) {
    uint64_t last = run_offset_last(run);
    enum error_code result = OK;
    if (run->slot == SLOT_COLD) {
        result = chunks_delete_cold(step->store, step->txn, view->channel_id, run->offset_first,
                                    last, why);
        step->meta.cold_messages -=
            step->meta.cold_messages < run->count ? step->meta.cold_messages : run->count;
    }
    leave_segment(step, run);
    view->row.trimmed_offset = last;
    view->row.trimmed_position = run->position_last;
    view->row.trimmed_time = run->time_last;
    if (result == OK) {
        result = index_delete_run(step->store, step->txn, view->channel_id, run->offset_first, why);
    }
    step->is_changed = true;
    step->units += run->slot == SLOT_COLD ? run->count : 1;
    return result;
}

static enum error_code put_rest(struct step *step, const struct view *view,
                                struct run_builder *rest, struct error *why) {
    return rest->run.count == 0
               ? OK
               : index_put_run(step->store, step->txn, view->channel_id, rest, why);
}

/* Moves what is kept of a run to `cold`; what is not is trimmed with it. Where the step's bound is
 * reached inside the run, the rest stays in its segment as a run of its own, for the next step. */
static enum error_code evacuate_run(struct step *step, struct view *view, const struct run *run,
                                    struct error *why) {
    struct run_builder builder;
    struct run_builder rest;
    struct run_entry entry;
    uint8_t copy[ROW_BYTES_MAX];
    struct run kept = *run; /* its entries move when the table `cold` is written */
    INVARIANT(run->entries.length <= sizeof(copy));
    memcpy(copy, run->entries.bytes, run->entries.length);
    kept.entries.bytes = copy;
    run_builder_init(&builder, SLOT_COLD);
    run_builder_init(&rest, run->slot);
    run_rewind(&kept, &entry);
    enum error_code result = OK;
    while (result == OK && run_next(&kept, &entry)) {
        if (entry.offset < view->first) {
            view->row.trimmed_offset = entry.offset;
            view->row.trimmed_position = entry.position;
            view->row.trimmed_time = entry.time_ms;
            continue;
        }
        bool is_rest = builder.run.count > 0 && step->units >= SWEEP_UNITS_MAX;
        bool is_added = run_builder_add(is_rest ? &rest : &builder, &entry);
        INVARIANT(is_added);
        if (is_rest) {
            continue;
        }
        step->sweep->offset = entry.offset + 1;
        result =
            chunks_copy_to_cold(step->store, step->txn, run->slot, view->channel_id, &entry, why);
        step->units += 1 + entry.bytes / CHUNKS_VALUE_BYTES;
    }
    if (result == OK) {
        result = index_delete_run(step->store, step->txn, view->channel_id, kept.offset_first, why);
    }
    if (result == OK) {
        result = index_put_run(step->store, step->txn, view->channel_id, &builder, why);
    }
    if (result == OK) {
        result = put_rest(step, view, &rest, why);
    }
    kept.count = (uint16_t)(kept.count - rest.run.count);
    leave_segment(step, &kept);
    step->meta.cold_messages += builder.run.count;
    step->is_changed = true;
    return result;
}

static bool is_evacuated(const struct step *step, const struct run *run) {
    return run->slot != SLOT_COLD && step->sweep->is_evacuated[run->slot] &&
           run->position_first >= step->segments->rows[run->slot].position_first;
}

/* Takes off what is past retention: whole runs at the front. */
static enum error_code trim_runs(struct step *step, struct view *view, struct error *why) {
    enum error_code result = OK;
    while (result == OK && step->units < SWEEP_UNITS_MAX &&
           view->row.trimmed_offset + 1 < view->first) {
        struct run run;
        result = index_get_run(step->store, step->txn, view->channel_id,
                               view->row.trimmed_offset + 1, &run, why);
        if (result != OK || run_offset_last(&run) >= view->first) {
            break;
        }
        result = forget_run(step, view, &run, why);
    }
    return result;
}

/* Walks the runs that can lie in evacuated segments, from where the last step ended. */
static enum error_code evacuate_runs(struct step *step, struct view *view, struct error *why) {
    struct sweep *sweep = step->sweep;
    enum error_code result = OK;
    if (sweep->offset == 0) {
        result = index_search(step->store, step->txn, view->channel_id, INDEX_POSITION,
                              sweep->evacuated_first, view->row.trimmed_offset + 1,
                              view->offset_last, &sweep->offset, why);
    }
    while (result == OK && sweep->offset <= view->offset_last && step->units < SWEEP_UNITS_MAX) {
        struct run run;
        if (sweep->offset <= view->row.trimmed_offset) {
            sweep->offset = view->row.trimmed_offset + 1;
            continue;
        }
        result = index_get_run(step->store, step->txn, view->channel_id, sweep->offset, &run, why);
        if (result != OK) {
            break;
        }
        sweep->offset = run_offset_last(&run) + 1;
        step->units++;
        if (run.position_first > sweep->evacuated_last) {
            sweep->offset = view->offset_last + 1;
        } else if (is_evacuated(step, &run)) {
            result = evacuate_run(step, view, &run, why);
        }
    }
    return result;
}

/* Sets *ret_done when the channel needs no more in this walk. */
static enum error_code sweep_runs(struct step *step, struct view *view, bool *ret_done,
                                  struct error *why) {
    enum error_code result = trim_runs(step, view, why);
    *ret_done = step->units < SWEEP_UNITS_MAX;
    if (result == OK && *ret_done && step->sweep->evacuated_last > 0) {
        result = evacuate_runs(step, view, why);
        *ret_done = step->sweep->offset > view->offset_last;
    }
    return result;
}

/* --- channels --- */

/* False: there is no memory for it. */
static bool note_swept(struct sweep *sweep, const struct view *view, uint64_t bytes,
                       bool is_forgotten) {
    struct storage_swept told = {.name = view->row.name,
                                 .channel_id = view->channel_id,
                                 .offset_last = view->row.offset_last,
                                 .bytes = bytes,
                                 .is_forgotten = is_forgotten};
    return swept_put(&sweep->swept, &told);
}

static bool is_counted(const struct step *step, struct span name) {
    return step->options->on_counts != NULL &&
           step->options->on_counts(step->options->context, name);
}

/* What retention lets go of since it was told last; the row remembers that it was. Without memory
 * the next walk tells it. */
static enum error_code count_gone(struct step *step, struct view *view, struct error *why) {
    struct channel_row *row = &view->row;
    uint64_t gone = row->bytes_total;
    if (!is_counted(step, row->name)) {
        return OK;
    }
    if (view->first <= view->offset_last) {
        struct run_entry entry;
        enum error_code result = index_get_entry(step->store, step->txn, view->channel_id,
                                                 view->first, NULL, &entry, why);
        if (result != OK) {
            return result;
        }
        gone = entry.bytes_before;
    }
    if (gone > row->bytes_gone && note_swept(step->sweep, view, gone - row->bytes_gone, false)) {
        row->bytes_gone = gone;
        step->is_changed = true;
    }
    return OK;
}

static enum error_code forget_channel(struct step *step, const struct view *view,
                                      struct error *why) {
    uint8_t key[KEY_NAME_BYTES_MAX];
    uint8_t id[8];
    bytes_put_big(id, view->channel_id, sizeof(id));
    MDB_val name_key = {.mv_size = key_write_name(view->row.name, key), .mv_data = key};
    MDB_val id_key = {.mv_size = sizeof(id), .mv_data = id};
    int code = mdb_del(step->txn, step->store->names, &name_key, NULL);
    if (code == 0) {
        code = mdb_del(step->txn, step->store->channels, &id_key, NULL);
    }
    if (view->row.position_last > step->meta.forgotten_through) {
        step->meta.forgotten_through = view->row.position_last;
    }
    step->is_changed = true;
    if (code != 0 && code != MDB_NOTFOUND) {
        return store_error(why, code, "forget a channel");
    }
    uint64_t bytes =
        is_counted(step, view->row.name) ? view->row.bytes_total - view->row.bytes_gone : 0;
    IGNORE_RESULT(note_swept(step->sweep, view, bytes, true)); /* without memory it is not told */
    return OK;
}

/* One with a retained message is not: its name and id are needed. One that has expired goes. */
static enum error_code find_retained(struct step *step, uint64_t channel_id, bool *ret_has,
                                     struct error *why) {
    struct buffer body;
    struct record record;
    buffer_init(&body, RECORD_BODY_BYTES_MAX);
    enum error_code result = retained_get(step->store, step->txn, channel_id, &body, &record, why);
    *ret_has = result == OK && (record.expiry_ms == 0 || record.expiry_ms > step->time_ms);
    step->units += body.length / CHUNKS_VALUE_BYTES;
    buffer_finish(&body);
    if (result == OK && !*ret_has) {
        step->is_changed = true;
        return retained_remove(step->store, step->txn, channel_id, why);
    }
    return result == ERR_NOT_FOUND ? OK : result;
}

static bool is_forgotten(const struct view *view, const struct retention *retention) {
    uint64_t age_ms = retention->age_ms_max == RETENTION_UNLIMITED ? 0 : retention->age_ms_max;
    uint64_t silent_ms = view->time_ms - view->row.time_last;
    return view->row.trimmed_offset == view->offset_last && silent_ms > SWEEP_FORGET_MS &&
           silent_ms - SWEEP_FORGET_MS > age_ms;
}

static enum error_code sweep_channel(struct step *step, uint64_t channel_id,
                                     const struct channel_row *row, bool *ret_done,
                                     struct error *why) {
    struct view view;
    struct retention retention = {RETENTION_UNLIMITED, RETENTION_UNLIMITED, RETENTION_UNLIMITED};
    uint8_t name[KEY_NAME_BYTES_MAX];
    view_init_row(&view, step->store, step->txn, &step->meta, channel_id, row);
    view.time_ms = step->time_ms;
    INVARIANT(row->name.length <= sizeof(name));
    memcpy(name, row->name.bytes, row->name.length); /* the page may move under the row */
    view.row.name = span_of(name, row->name.length);
    if (erase_has_work(step->store, step->txn, channel_id)) {
        *ret_done = true; /* erasing failed before, and finds its records by the index */
        return OK;
    }
    step->options->on_retention(step->options->context, view.row.name, &retention);
    enum error_code result = view_apply_retention(&view, &retention, why);
    uint64_t trimmed = view.row.trimmed_offset;
    uint64_t gone = view.row.bytes_gone;
    if (result == OK) {
        result = sweep_runs(step, &view, ret_done, why);
    }
    if (result == OK) {
        result = count_gone(step, &view, why);
    }
    if (result != OK) {
        return result;
    }
    bool is_kept = !is_forgotten(&view, &retention);
    if (!is_kept) {
        result = find_retained(step, channel_id, &is_kept, why);
    }
    if (result == OK && !is_kept) {
        return forget_channel(step, &view, why);
    }
    bool is_same = view.row.trimmed_offset == trimmed && view.row.bytes_gone == gone;
    return result != OK || is_same
               ? result
               : store_put_channel(step->store, step->txn, channel_id, &view.row, why);
}

static enum error_code next_channel(struct step *step, uint64_t *ret_channel_id,
                                    struct channel_row *ret_row, struct error *why) {
    MDB_cursor *cursor = NULL;
    uint8_t id[8];
    bytes_put_big(id, step->sweep->channel_id, sizeof(id));
    MDB_val key = {.mv_size = sizeof(id), .mv_data = id};
    MDB_val value = {0};
    int code = mdb_cursor_open(step->txn, step->store->channels, &cursor);
    if (code == 0) {
        code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        mdb_cursor_close(cursor);
    }
    if (code == MDB_NOTFOUND) {
        return ERR_NOT_FOUND;
    }
    if (code != 0) {
        return store_error(why, code, "walk its channels");
    }
    if (key.mv_size != sizeof(id) || !channel_row_read(store_span(value), ret_row)) {
        return error_set(why, ERR_CORRUPT, "a row of the table of channels is damaged");
    }
    *ret_channel_id = bytes_get_big(key.mv_data, 8);
    return OK;
}

/* --- the walk --- */

static bool is_due(const struct step *step) {
    const struct sweep *sweep = step->sweep;
    return !sweep->has_walked || sweep->segments_opened != step->meta.segments_opened ||
           step->time_ms - sweep->time_ms >= SWEEP_REST_MS;
}

static void begin_walk(struct step *step) {
    struct sweep *sweep = step->sweep;
    sweep->is_walking = true;
    sweep->channel_id = 0;
    sweep->segments_opened = step->meta.segments_opened;
    sweep->time_ms = step->time_ms;
    sweep->offset = 0;
    sweep->evacuated_first = UINT64_MAX;
    sweep->evacuated_last = 0;
    for (unsigned slot = 1; slot <= STORE_SLOTS_MAX; slot++) {
        const struct segment_row *row = &step->segments->rows[slot];
        bool is_known = sweep->number_before[slot] == row->number;
        uint64_t lost = is_known ? sweep->live_before[slot] - row->live : row->messages;
        sweep->is_evacuated[slot] = row->state == SEGMENT_CLOSED && is_known &&
                                    row->live <= row->messages / SWEEP_LIVE_PART &&
                                    lost <= row->messages / SWEEP_SLACK_PART;
        if (sweep->is_evacuated[slot] && row->position_first < sweep->evacuated_first) {
            sweep->evacuated_first = row->position_first;
        }
        if (sweep->is_evacuated[slot] && row->position_last > sweep->evacuated_last) {
            sweep->evacuated_last = row->position_last;
        }
        sweep->live_before[slot] = row->live;
        sweep->number_before[slot] = row->state == SEGMENT_CLOSED ? row->number : 0;
    }
}

static enum error_code walk(struct step *step, struct error *why) {
    struct sweep *sweep = step->sweep;
    enum error_code result = OK;
    while (result == OK && step->units < SWEEP_UNITS_MAX) {
        uint64_t channel_id = 0;
        struct channel_row row;
        bool is_done = false;
        result = next_channel(step, &channel_id, &row, why);
        if (result == ERR_NOT_FOUND) {
            sweep->is_walking = false;
            sweep->has_walked = true;
            prune_begin(&sweep->prune);
            return OK;
        }
        if (result == OK) {
            step->units++;
            result = sweep_channel(step, channel_id, &row, &is_done, why);
            sweep->offset = is_done ? 0 : sweep->offset;
            sweep->channel_id = channel_id + (is_done ? 1 : 0);
        }
    }
    return result;
}

/* As many segments as the limit asks for: a step waits behind each fold, so one segment a step
 * would fall behind a fast publisher. Dropping one is a few milliseconds. */
static enum error_code drop_until_room(struct step *step, bool *ret_dropped, struct error *why) {
    bool has_dropped = true;
    enum error_code result = OK;
    *ret_dropped = false;
    for (unsigned i = 0; result == OK && has_dropped && i < SWEEP_DROPS_MAX; i++) {
        result = drop_for_room(step, &has_dropped, why);
        *ret_dropped |= has_dropped;
    }
    return result;
}

static enum error_code do_step(struct step *step, bool *ret_more, struct error *why) {
    bool has_dropped = false;
    enum error_code result = drop_until_room(step, &has_dropped, why);
    if (result == OK && !step->sweep->is_walking && (has_dropped || is_due(step))) {
        begin_walk(step);
    }
    struct prune *prune = &step->sweep->prune;
    if (result == OK && step->sweep->is_walking) {
        result = walk(step, why);
    }
    if (result == OK && !step->sweep->is_walking && prune->is_running) {
        bool has_pruned = false;
        result = prune_step(prune, step->store, step->txn, &has_pruned, why);
        step->is_changed |= has_pruned;
    }
    if (result == OK) {
        result = drop_dead(step, why);
    }
    *ret_more = has_dropped || step->sweep->is_walking || prune->is_running;
    return result;
}

void sweep_finish(struct sweep *sweep) {
    swept_finish(&sweep->swept);
}

enum error_code sweep_step(struct sweep *sweep, struct store *store, struct segments *segments,
                           const struct sweep_options *options, bool *ret_more, struct error *why) {
    struct step step = {.sweep = sweep, .store = store, .segments = segments, .options = options};
    bool is_more = false;
    sweep_finish(sweep);
    enum error_code result = store_begin(store, &step.txn, why);
    if (result != OK) {
        return result;
    }
    result = store_get_meta(store, step.txn, &step.meta, why);
    if (result == OK) {
        step.time_ms = options->time_ms > step.meta.time_ms ? options->time_ms : step.meta.time_ms;
        result = do_step(&step, &is_more, why);
    }
    if (result == OK && step.is_changed) {
        result = segments_save(segments, store, step.txn, why);
    }
    if (result == OK && step.is_changed) {
        result = store_put_meta(store, step.txn, &step.meta, why);
    }
    if (result != OK || !step.is_changed) {
        mdb_txn_abort(step.txn);
    } else {
        result = store_commit(step.txn, why);
    }
    if (result != OK) {
        sweep_finish(sweep);
        sweep->is_walking = false; /* begins again: what it did is undone */
        sweep->prune.is_running = false;
        sweep->has_walked = false;
        return result;
    }
    if (step.dropped_for_room > 0) {
        log_event(STORAGE_LIMIT_REACHED, .segments = step.dropped_for_room,
                  .position = step.meta.position_floor, .bytes_max = options->bytes_max);
    }
    *ret_more = is_more;
    return OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The seam. A fold commits, and only then takes its piece out of the batch, under the batch's lock.
 * The snapshot is taken under that lock too, so what has left the batch is in the snapshot; what is
 * in both is read from the batch. A piece is folded whole or not at all, so its messages are either
 * all counted in the row's figures or none of them is.
 *
 * Retention is computed here and nowhere else, from limits that are handed in: what is kept is the
 * same for every reader at every moment, and no row says it. */
#include "storage/view.h"

#include "broker/support/invariant.h"
#include "storage/deleted.h"
#include "storage/keys.h"

static enum error_code take_snapshot(void *context, struct error *why) {
    struct view *view = context;
    return store_take_snapshot(view->store, &view->txn, why);
}

static enum error_code load_row(struct view *view, uint64_t folded_id, struct error *why) {
    view->channel_id = folded_id == 0 ? view->batch.channel_id : folded_id;
    if (folded_id == 0) {
        return OK;
    }
    view->has_row = true;
    enum error_code result = store_get_channel(view->store, view->txn, folded_id, &view->row, why);
    return result == ERR_NOT_FOUND
               ? error_set(why, ERR_CORRUPT, "a channel's name leads to no channel")
               : result;
}

static enum error_code load_named_row(struct view *view, struct span channel, struct error *why) {
    uint64_t folded_id = 0;
    enum error_code result = store_get_channel_id(view->store, view->txn, channel, &folded_id, why);
    return result == OK || result == ERR_NOT_FOUND ? load_row(view, folded_id, why) : result;
}

/* Joins what the row says with what the batch has behind it. */
static void join(struct view *view) {
    uint64_t folded_last = view->has_row ? view->row.offset_last : 0;
    view->offset_last = folded_last;
    view->bytes_total = view->has_row ? view->row.bytes_total : 0;
    view->batch_first = 0;
    for (size_t i = 0; i < OPEN_BATCH_PIECES; i++) {
        struct batch_part *part = &view->batch.parts[i];
        if (part->piece == NULL) {
            continue;
        }
        if (view->batch_first == 0) {
            view->batch_first = part->offset_first;
        }
        if (part->offset_last > folded_last) {
            view->bytes_total += part->bytes;
            view->offset_last = part->offset_last;
        }
    }
    uint64_t end = view->bytes_total;
    for (size_t i = OPEN_BATCH_PIECES; i > 0; i--) {
        struct batch_part *part = &view->batch.parts[i - 1];
        if (part->piece != NULL) {
            end -= part->bytes;
            part->bytes_before = end;
        }
    }
    view->physical_first = view->has_row           ? view->row.trimmed_offset + 1
                           : view->batch_first > 0 ? view->batch_first
                                                   : 1;
    if (view->batch_first == 0) {
        view->batch_first = view->offset_last + 1;
    }
    if (view->batch_first < view->physical_first) { /* trimmed already while a piece is kept */
        view->batch_first = view->physical_first;
    }
    view->first = view->physical_first;
}

enum error_code view_init(struct view *view, struct store *store, struct open_batch *batch,
                          struct span channel, struct error *why) {
    *view = (struct view){.store = store};
    enum error_code result =
        open_batch_take_view(batch, channel, take_snapshot, view, &view->batch, why);
    if (result != OK) {
        return result;
    }
    result = store_get_meta(store, view->txn, &view->meta, why);
    if (result == OK) {
        result = load_named_row(view, channel, why);
    }
    if (result != OK) {
        view_finish(view);
        return result;
    }
    view->position_head = view->batch.position_readable;
    view->time_ms = view->batch.time_ms;
    join(view);
    return OK;
}

void view_finish(struct view *view) {
    if (view->is_of_moment) {
        return;
    }
    open_batch_release_view(&view->batch);
    store_release(view->store, view->txn);
    view->txn = NULL;
}

enum error_code view_init_at(struct view *view, const struct moment *moment, struct span channel,
                             uint64_t folded_id, struct error *why) {
    *view = (struct view){.store = moment->store,
                          .txn = moment->txn,
                          .is_of_moment = true,
                          .meta = moment->meta,
                          .position_head = moment->batch.position_readable,
                          .time_ms = moment->batch.time_ms};
    open_batch_get_view(&moment->batch, channel, &view->batch);
    enum error_code result = load_row(view, folded_id, why);
    if (result == OK) {
        join(view);
    }
    return result;
}

void view_init_row(struct view *view, struct store *store, MDB_txn *txn,
                   const struct meta_row *meta, uint64_t channel_id,
                   const struct channel_row *row) {
    *view = (struct view){.store = store,
                          .txn = txn,
                          .meta = *meta,
                          .has_row = true,
                          .row = *row,
                          .channel_id = channel_id,
                          .position_head = meta->position_folded,
                          .time_ms = meta->time_ms};
    open_batch_take_no_view(&view->batch);
    join(view);
}

static enum error_code take_nothing(void *context, struct error *why) {
    (void)context;
    (void)why;
    return OK;
}

/* Asks the batch alone first: recovery asks for each record. */
enum error_code view_check_next(struct store *store, struct open_batch *batch, struct span channel,
                                uint64_t channel_id, uint64_t offset, struct error *why) {
    struct view view = {0};
    enum error_code result =
        open_batch_take_view(batch, channel, take_nothing, NULL, &view.batch, why);
    if (result != OK) {
        return result;
    }
    if (view.batch.channel_id != 0) {
        join(&view);
        view.channel_id = view.batch.channel_id;
        open_batch_release_view(&view.batch);
    } else {
        open_batch_release_view(&view.batch);
        result = view_init(&view, store, batch, channel, why);
        if (result != OK) {
            return result;
        }
        view_finish(&view);
    }
    if (view.channel_id == 0 || (view.channel_id == channel_id && view.offset_last + 1 == offset)) {
        return OK;
    }
    return error_set(why, ERR_CORRUPT, "offset %llu cannot follow offset %llu",
                     (unsigned long long)offset, (unsigned long long)view.offset_last);
}

enum error_code view_get_figures(const struct view *view, uint64_t offset,
                                 struct figures *ret_figures, struct error *why) {
    INVARIANT(offset >= view->physical_first);
    INVARIANT(offset <= view->offset_last);
    if (offset >= view->batch_first) {
        struct batch_figures figures;
        open_batch_get_figures(&view->batch, offset, &figures);
        *ret_figures = (struct figures){figures.position, figures.time_ms, figures.bytes_before};
        return OK;
    }
    struct run_entry entry;
    enum error_code result =
        index_get_entry(view->store, view->txn, view->channel_id, offset, NULL, &entry, why);
    if (result == OK) {
        *ret_figures = (struct figures){entry.position, entry.time_ms, entry.bytes_before};
    }
    return result;
}

enum error_code view_get_lost_position(const struct view *view, uint64_t *ret_position,
                                       struct error *why) {
    struct figures figures;
    if (view->first <= view->physical_first) {
        *ret_position = view->has_row ? view->row.trimmed_position : 0;
        return OK;
    }
    enum error_code result = view_get_figures(view, view->first - 1, &figures, why);
    if (result == OK) {
        *ret_position = figures.position;
    }
    return result;
}

enum error_code view_search(const struct view *view, enum index_metric metric, uint64_t value,
                            uint64_t low, uint64_t *ret_offset, struct error *why) {
    uint64_t at = low;
    if (at < view->batch_first && at <= view->offset_last) {
        enum error_code result = index_search(view->store, view->txn, view->channel_id, metric,
                                              value, at, view->batch_first - 1, &at, why);
        if (result != OK || at < view->batch_first) {
            *ret_offset = at;
            return result;
        }
    }
    for (size_t i = 0; i < OPEN_BATCH_PIECES; i++) {
        const struct batch_part *part = &view->batch.parts[i];
        if (part->piece == NULL || part->offset_last < at) {
            continue;
        }
        uint64_t found = open_batch_search(part, view->batch.batch, metric, value);
        at = found > at ? found : at;
        if (at <= part->offset_last) {
            break;
        }
    }
    *ret_offset = at;
    return OK;
}

enum error_code view_find_deleted(const struct view *view, uint64_t offset, uint64_t *ret_from,
                                  uint64_t *ret_to, struct error *why) {
    struct deleted_row row;
    uint64_t from = UINT64_MAX;
    uint64_t to = 0;
    enum error_code result = ERR_NOT_FOUND;
    if (view->has_row) {
        result = deleted_find_next(view->store, view->txn, view->channel_id, offset, &row, why);
    }
    if (result == OK) {
        from = row.from;
        to = row.to;
    }
    uint64_t open_from = 0;
    uint64_t open_to = 0;
    if (open_batch_find_deleted(&view->batch, view->channel_id, offset, &open_from, &open_to)) {
        bool do_both_hold_it = from <= offset && open_from <= offset;
        if (do_both_hold_it ? open_to > to : open_from < from) {
            from = open_from;
            to = open_to;
        }
    }
    *ret_from = from;
    *ret_to = to;
    return result == ERR_NOT_FOUND ? OK : result;
}

enum error_code view_find_kept(const struct view *view, uint64_t *ret_offset, struct error *why) {
    uint64_t offset = view->first;
    uint64_t from = 0;
    uint64_t to = 0;
    enum error_code result = OK;
    while (offset <= view->offset_last &&
           (result = view_find_deleted(view, offset, &from, &to, why)) == OK && from <= offset) {
        offset = to + 1;
    }
    *ret_offset = offset;
    return result;
}

enum error_code view_get_lost_reason(const struct view *view, uint64_t offset,
                                     enum gap_reason *ret_reason, struct error *why) {
    uint64_t from = 0;
    uint64_t to = 0;
    enum error_code result = view_find_deleted(view, offset, &from, &to, why);
    *ret_reason = result == OK && from <= offset ? GAP_DELETED : GAP_EXPIRED;
    return result;
}

enum error_code view_find_key(const struct view *view, struct span key, uint64_t *ret_offset,
                              struct error *why) {
    *ret_offset = 0;
    if (open_batch_find_key(&view->batch, view->channel_id, key, ret_offset) || !view->has_row) {
        return OK;
    }
    if (key.length == 0) {
        *ret_offset = view->row.keyless_last;
        return OK;
    }
    enum error_code result =
        keys_find(view->store, view->txn, view->channel_id, key, ret_offset, why);
    return result == ERR_NOT_FOUND ? OK : result;
}

static enum error_code raise(struct view *view, enum index_metric metric, uint64_t value,
                             struct error *why) {
    return view_search(view, metric, value, view->first, &view->first, why);
}

enum error_code view_apply_retention(struct view *view, const struct retention *retention,
                                     struct error *why) {
    uint64_t last = view->offset_last;
    if (retention->messages_max == 0 || retention->age_ms_max == 0 || retention->bytes_max == 0) {
        view->first = last + 1;
        return OK;
    }
    if (last >= retention->messages_max && last - retention->messages_max + 1 > view->first) {
        view->first = last - retention->messages_max + 1;
    }
    if (view->has_row && view->row.keep_from > view->first) {
        view->first = view->row.keep_from > last ? last + 1 : view->row.keep_from;
    }
    enum error_code result = OK;
    if (view->meta.position_floor > 0) {
        result = raise(view, INDEX_POSITION, view->meta.position_floor, why);
    }
    if (result == OK && view->time_ms >= retention->age_ms_max) {
        result = raise(view, INDEX_TIME, view->time_ms - retention->age_ms_max + 1, why);
    }
    if (result == OK && view->bytes_total > retention->bytes_max) {
        result = raise(view, INDEX_BYTES_BEFORE, view->bytes_total - retention->bytes_max, why);
    }
    return result;
}

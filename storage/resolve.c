/* SPDX-License-Identifier: Apache-2.0 */
/* In the log, position decides; the offset that an id carries only makes a gap exact. With
 *
 *     gone through trimmed_offset | in the index, past retention | kept: first … offset_last
 *
 * a reader at position p has lost something if the last message before `first` stands behind p.
 * Up to trimmed_offset only that last message's position and time are still known: `from` is then
 * told if the id is of this channel, or if p is before the channel's birth; else it is 0. */
#include "storage/resolve.h"

#include "broker/support/invariant.h"

static void set_gap(struct resolved *resolved, enum gap_reason reason, uint64_t from, uint64_t to) {
    resolved->has_gap = true;
    resolved->gap = (struct gap){reason, from, to};
}

/* Whether offsets were given out and are no longer in the index. */
static bool has_trimmed(const struct view *view) {
    return view->has_row && view->row.trimmed_offset >= view->row.birth_offset;
}

static void resolve_offset(const struct view *view, uint64_t offset, struct resolved *resolved) {
    if (offset > view->offset_last) {
        set_gap(resolved, GAP_AHEAD, view->offset_last + 1, offset);
        resolved->after = view->offset_last;
    } else if (offset + 1 < view->first) {
        set_gap(resolved, GAP_EXPIRED, offset + 1, view->first - 1);
        resolved->after = view->first - 1;
    } else {
        resolved->after = offset;
    }
}

static enum error_code resolve_time(const struct view *view, uint64_t time_ms,
                                    struct resolved *resolved, struct error *why) {
    uint64_t at = 0;
    enum error_code result = view_search(view, INDEX_TIME, time_ms, view->physical_first, &at, why);
    if (result != OK) {
        return result;
    }
    bool is_trimmed =
        at == view->physical_first && has_trimmed(view) && view->row.trimmed_time >= time_ms;
    resolved->after = at < view->first ? view->first - 1 : at - 1;
    if (is_trimmed || at < view->first) {
        set_gap(resolved, GAP_EXPIRED, is_trimmed ? 0 : at, view->first - 1);
    }
    return OK;
}

/* The last offset at or before `position`, or trimmed_offset; the id's own offset is tried first,
 * because it is nearly always right. */
static enum error_code find_offset(const struct view *view, uint64_t position, uint64_t hint,
                                   uint64_t *ret_offset, struct error *why) {
    struct figures figures;
    enum error_code result = OK;
    if (hint >= view->physical_first && hint <= view->offset_last) {
        result = view_get_figures(view, hint, &figures, why);
        bool is_right = result == OK && figures.position <= position;
        if (is_right && hint < view->offset_last) {
            result = view_get_figures(view, hint + 1, &figures, why);
            is_right = result == OK && figures.position > position;
        }
        if (result != OK || is_right) {
            *ret_offset = hint;
            return result;
        }
    }
    uint64_t behind = 0;
    result = view_search(view, INDEX_POSITION, position + 1, view->physical_first, &behind, why);
    *ret_offset = behind - 1;
    return result;
}

/* An id of a channel that was forgotten can be an earlier life of this one. */
static enum error_code is_earlier_life(const struct view *view, const struct place *place,
                                       bool *ret_is, struct error *why) {
    *ret_is = false;
    if (place->channel_id == 0 || place->channel_id == view->channel_id ||
        place->channel_id >= view->meta.channel_id_next ||
        (view->has_row && place->position >= view->row.birth_position)) {
        return OK;
    }
    struct channel_row row;
    enum error_code result =
        store_get_channel(view->store, view->txn, place->channel_id, &row, why);
    *ret_is = result == ERR_NOT_FOUND;
    return result == ERR_NOT_FOUND ? OK : result;
}

static enum error_code resolve_position(const struct view *view, const struct place *place,
                                        struct resolved *resolved, struct error *why) {
    bool is_ours = view->channel_id != 0 && place->channel_id == view->channel_id;
    uint64_t at = 0;
    enum error_code result =
        find_offset(view, place->position, is_ours ? place->offset : 0, &at, why);
    bool is_earlier = false;
    if (result == OK) {
        result = is_earlier_life(view, place, &is_earlier, why);
    }
    if (result != OK) {
        return result;
    }
    bool has_lost_trimmed = at + 1 == view->physical_first &&
                            ((has_trimmed(view) && view->row.trimmed_position > place->position) ||
                             (is_ours && place->offset < at));
    if (at + 1 >= view->first && !has_lost_trimmed) {
        resolved->after = at;
        if (is_earlier) {
            set_gap(resolved, GAP_EXPIRED, 0, 0);
        }
        return OK;
    }
    uint64_t to = view->first - 1;
    uint64_t from = at + 1;
    if (is_ours && place->offset < to) {
        from = place->offset + 1;
    } else if (has_lost_trimmed) {
        bool is_unborn = place->position < view->row.birth_position && !is_earlier;
        from = is_unborn ? view->row.birth_offset : 0;
    }
    set_gap(resolved, GAP_EXPIRED, from, to);
    resolved->after = to;
    return OK;
}

static enum error_code resolve_place(const struct view *view, const struct place *place,
                                     struct resolved *resolved, struct error *why) {
    if ((place->log_id != 0 && place->log_id != view->meta.log_id) ||
        place->generation > view->meta.generation) {
        set_gap(resolved, GAP_EPOCH, 0, 0);
        resolved->after = view->first - 1;
        return OK;
    }
    uint64_t begin = 0;
    enum error_code result =
        resolve_lost_tail(view->store, view->txn, &view->meta, place, &begin, why);
    if (result != OK) {
        return result;
    }
    if (begin > 0) {
        result = find_offset(view, begin - 1, 0, &resolved->after, why);
        if (resolved->after + 1 < view->first) {
            resolved->after = view->first - 1;
        }
        set_gap(resolved, GAP_EPOCH, 0, 0);
        return result;
    }
    if (place->position > view->position_head) {
        bool is_known = place->channel_id == view->channel_id && view->channel_id != 0 &&
                        place->offset > view->offset_last;
        set_gap(resolved, GAP_AHEAD, is_known ? view->offset_last + 1 : 0,
                is_known ? place->offset : 0);
        resolved->after = view->offset_last;
        return OK;
    }
    return resolve_position(view, place, resolved, why);
}

static enum error_code resolve_before(const struct view *view, const struct storage_query *query,
                                      struct resolved *resolved, struct error *why) {
    const struct place *before = &query->before;
    resolved->before = view->offset_last + 1;
    if (!query->has_before) {
        return OK;
    }
    if (before->position == 0) {
        if (before->offset < resolved->before) {
            resolved->before = before->offset;
        }
        return OK;
    }
    if ((before->log_id != 0 && before->log_id != view->meta.log_id) ||
        before->position > view->position_head) {
        return OK; /* another log's place, or one ahead: nothing of this log is behind it */
    }
    uint64_t position = before->position;
    uint64_t begin = 0;
    enum error_code result =
        resolve_lost_tail(view->store, view->txn, &view->meta, before, &begin, why);
    if (result != OK) {
        return result;
    }
    if (begin > 0) {
        position = begin;
    }
    return view_search(view, INDEX_POSITION, position, view->physical_first, &resolved->before,
                       why);
}

static void resolve_newest(const struct view *view, const struct storage_query *query,
                           struct resolved *resolved) {
    uint64_t wanted = query->newest == 0 ? query->limit : query->newest;
    uint64_t end = resolved->before == 0 ? 0 : resolved->before - 1;
    resolved->after = end > wanted ? end - wanted : 0;
    if (resolved->after + 1 < view->first) {
        resolved->after = view->first - 1;
    }
}

static enum error_code resolve_start(const struct view *view, const struct storage_query *query,
                                     struct resolved *ret_resolved, struct error *why) {
    switch (query->start) {
    case STORAGE_EARLIEST:
        break;
    case STORAGE_NEWEST:
        resolve_newest(view, query, ret_resolved);
        break;
    case STORAGE_NOW:
        ret_resolved->after = view->offset_last;
        break;
    case STORAGE_AFTER_OFFSET:
        ret_resolved->tells_holes = true;
        resolve_offset(view, query->place.offset, ret_resolved);
        break;
    case STORAGE_DROP:
    case STORAGE_AFTER_PLACE:
        ret_resolved->tells_holes = true;
        return resolve_place(view, &query->place, ret_resolved, why);
    case STORAGE_AFTER_TIME:
        ret_resolved->tells_holes = true;
        return resolve_time(view, query->time_ms, ret_resolved, why);
    }
    INVARIANT(ret_resolved->after <= view->offset_last);
    return OK;
}

/* What was lost last gives the reason, as on a page. */
enum error_code resolve_query(const struct view *view, const struct storage_query *query,
                              struct resolved *ret_resolved, struct error *why) {
    *ret_resolved = (struct resolved){.after = view->first - 1};
    struct gap *gap = &ret_resolved->gap;
    enum error_code result = resolve_before(view, query, ret_resolved, why);
    if (result == OK) {
        result = resolve_start(view, query, ret_resolved, why);
    }
    if (result == OK && ret_resolved->has_gap && gap->reason == GAP_EXPIRED && gap->to != 0) {
        result = view_get_lost_reason(view, gap->to, &gap->reason, why);
    }
    return result;
}

enum error_code resolve_lost_tail(const struct store *store, MDB_txn *txn,
                                  const struct meta_row *meta, const struct place *place,
                                  uint64_t *ret_begin, struct error *why) {
    *ret_begin = 0;
    if (place->generation == 0 || place->generation >= meta->generation) {
        return OK;
    }
    uint64_t begin = 0;
    enum error_code result = store_get_generation(store, txn, place->generation + 1, &begin, why);
    if (result == OK && place->position >= begin) {
        *ret_begin = begin;
    }
    return result == ERR_NOT_FOUND ? OK : result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Two ways through the log, and the choice between them. A merge looks at each matching channel and
 * costs by channels; a walk looks at each record and costs by records, matching or not. What is
 * less: near the head the walk, always; else the merge, unless the patterns match more channels
 * than `channels_merged` and than a WALK_PART of the records ahead, or have more names to look at
 * than `names_looked`. A walk needs records in order of position, which those that outlived their
 * segment (`cold`) are not: up to meta.walk_floor there is only the merge, however many channels
 * match. Names without a pattern are always merged.
 *
 * What a channel lost behind the start is told with the page that begins there. As the start goes
 * on through other channels' messages, what the channel lost behind *that* is told again: the
 * cursor is one position, and says of no channel what was told. A reader knows what it was told
 * already by the last of what is lost (gap.to, lost_position). */
#include "storage/many.h"

#include <stdlib.h>

#include "storage/merge.h"
#include "storage/resolve.h"
#include "storage/strand.h"
#include "storage/walk.h"

#define WALK_PART 64                      /* records that are walked in the time of one channel */
#define FORGET_AGE_MS UINT64_C(604800000) /* no channel is forgotten before */

const struct many_limits MANY_LIMITS = {
    .near_records = 256,
    .channels_merged = 256,
    .names_looked = 4096,
    .walk_records = 20000,
    .walk_bytes = 16777216,
};

/* --- one channel --- */

enum error_code many_view(struct many *many, struct span name, uint64_t folded_id,
                          struct view *ret_view, bool *ret_is_beside, struct error *why) {
    const struct storage_query *query = &many->query;
    enum error_code result = view_init_at(ret_view, many->moment, name, folded_id, why);
    const struct channel_row *row = &ret_view->row;
    bool is_folded = ret_view->batch.channel_id == 0 && ret_view->has_row;
    *ret_is_beside =
        result == OK &&
        (ret_view->channel_id == 0 ||
         (is_folded && query->start == STORAGE_AFTER_PLACE &&
          row->position_last <= query->place.position) ||
         (is_folded && query->start == STORAGE_AFTER_TIME && row->time_last < query->time_ms));
    return result;
}

enum error_code many_keep(struct many *many, struct span name, struct view *view,
                          struct error *why) {
    struct retention retention = {RETENTION_UNLIMITED, RETENTION_UNLIMITED, RETENTION_UNLIMITED};
    many->options->on_retention(many->options->context, name, &retention);
    return view_apply_retention(view, &retention, why);
}

enum error_code many_resolve(struct many *many, struct span name, struct view *view,
                             struct resolved *ret_resolved, struct error *why) {
    struct storage_query query = many->query;
    if (query.place.channel_id != view->channel_id) {
        query.place.channel_id = 0; /* its offset counts in another channel */
    }
    if (query.start == STORAGE_NEWEST) {
        query.start = STORAGE_EARLIEST;
    }
    enum error_code result = many_keep(many, name, view, why);
    if (result == OK) {
        result = resolve_query(view, &query, ret_resolved, why);
    }
    if (result == OK && ret_resolved->has_gap) {
        uint64_t position = 0;
        result = view_get_lost_position(view, &position, why);
        return result != OK
                   ? result
                   : gaps_tell(&many->gaps, view, name, ret_resolved->gap, position, false, why);
    }
    return result;
}

static enum error_code tell_named(void *context, struct span name, uint64_t folded_id,
                                  struct error *why) {
    struct many *many = context;
    struct view view;
    struct resolved resolved;
    bool is_beside = false;
    enum error_code result = many_view(many, name, folded_id, &view, &is_beside, why);
    return result == OK && !is_beside ? many_resolve(many, name, &view, &resolved, why) : result;
}

enum error_code many_tell_named(struct many *many, struct error *why) {
    struct matching names = many->matching;
    names.pattern_count = 0;
    return many->gaps.is_quiet ? OK : matching_each(&names, tell_named, many, why);
}

static void move_on(struct many *many, const struct view *view, uint32_t generation,
                    uint64_t offset, uint64_t position) {
    many->end = (struct place){view->meta.log_id, generation, position, view->channel_id, offset};
}

enum error_code many_pass(struct many *many, const struct strand *strand, uint64_t from,
                          uint64_t to, uint64_t position, enum gap_reason reason,
                          struct error *why) {
    const struct view *view = strand->view;
    const struct place *place = &many->query.place;
    if (!builder_pass(&many->builder)) {
        return OK;
    }
    if (many->query.start == STORAGE_AFTER_PLACE && place->channel_id == view->channel_id &&
        place->offset >= from && place->offset < to) {
        from = place->offset + 1;
    }
    move_on(many, view, view->meta.generation, to, position);
    return gaps_tell(&many->gaps, view, strand->name, (struct gap){reason, from, to}, position,
                     false, why);
}

/* A message that is given out goes to the page with its reference. */
static enum error_code give(struct many *many, struct strand *strand, struct strand_record *record,
                            uint64_t bytes, struct error *why) {
    struct message *message = strand_make(strand, record);
    if (message != NULL) {
        move_on(many, strand->view, message->place.generation, message->place.offset,
                message->place.position);
    }
    return builder_put(&many->builder, message, bytes, why);
}

enum error_code many_take(struct many *many, struct strand *strand, uint64_t offset,
                          uint64_t position, uint64_t bytes, struct error *why) {
    struct strand_record record;
    enum strand_fate fate = STRAND_GIVEN;
    const struct strand_item item = {offset, position, bytes};
    bool is_conflated = many->query.is_conflated;
    bool is_back = many->query.start == STORAGE_NEWEST && many->query.newest == 0;
    if (!is_conflated && !builder_has_room(&many->builder, bytes)) {
        return OK;
    }
    enum error_code result = strand_read(strand, &many->reader, &item, &record, why);
    if (result == OK) {
        result = strand_judge(strand, &record, offset, is_conflated, &fate, why);
    }
    if (result == OK && fate == STRAND_GIVEN && builder_has_room(&many->builder, bytes)) {
        return give(many, strand, &record, bytes, why);
    }
    strand_drop(&record);
    if (result != OK || fate == STRAND_GIVEN) {
        return result;
    }
    if (fate == STRAND_CONFLATED) {
        if (builder_skip(&many->builder)) {
            move_on(many, strand->view, strand->view->meta.generation, offset, position);
        }
        return OK;
    }
    return is_back ? OK /* no step through the log: a hole between is passed over */
                   : many_pass(many, strand, offset, offset, position,
                               fate == STRAND_EXPIRED ? GAP_EXPIRED : GAP_DELETED, why);
}

/* --- where it begins --- */

static enum error_code resolve_many_before(struct many *many, struct error *why) {
    struct storage_query *query = &many->query;
    const struct moment *moment = many->moment;
    if (!query->has_before) {
        return OK;
    }
    uint64_t begin = 0;
    bool is_foreign = query->before.log_id != 0 && query->before.log_id != moment->meta.log_id;
    if (query->before.position == 0) {
        return error_set(why, ERR_BAD_SINCE, "an offset counts in one channel alone");
    }
    enum error_code result =
        resolve_lost_tail(moment->store, moment->txn, &moment->meta, &query->before, &begin, why);
    if (result == OK && begin > 0) {
        query->before.position = begin;
    }
    query->has_before = !is_foreign && query->before.position <= moment->batch.position_readable;
    query->before.generation = moment->meta.generation;
    return result;
}

/* A place of another log, of a lost tail, or ahead: told to each selector, and read from where this
 * log goes on. */
static enum error_code resolve_many_place(struct many *many, struct error *why) {
    const struct moment *moment = many->moment;
    struct place *place = &many->query.place;
    uint64_t begin = 0;
    bool is_foreign = (place->log_id != 0 && place->log_id != moment->meta.log_id) ||
                      place->generation > moment->meta.generation;
    enum error_code result = OK;
    if (!is_foreign) {
        result = resolve_lost_tail(moment->store, moment->txn, &moment->meta, place, &begin, why);
    }
    bool is_ahead = begin == 0 && place->position > moment->batch.position_readable;
    if (result == OK && (is_foreign || begin > 0 || is_ahead)) {
        result = gaps_tell_all(&many->gaps, is_ahead && !is_foreign ? GAP_AHEAD : GAP_EPOCH, 0,
                               false, why);
        *place = (struct place){.position = is_foreign  ? 0
                                            : begin > 0 ? begin - 1
                                                        : moment->batch.position_readable};
    }
    if (is_foreign) {
        many->query.start = many->query.start == STORAGE_DROP ? STORAGE_DROP : STORAGE_EARLIEST;
    }
    place->log_id = moment->meta.log_id;
    place->generation = moment->meta.generation;
    if (result == OK && !is_foreign && moment->meta.forgotten_through > place->position &&
        many->query.start == STORAGE_AFTER_PLACE) {
        result = gaps_tell_all(&many->gaps, GAP_EXPIRED, moment->meta.forgotten_through, true, why);
    }
    return result;
}

static enum error_code resolve_many(struct many *many, struct error *why) {
    const struct moment *moment = many->moment;
    enum error_code result = resolve_many_before(many, why);
    if (result != OK) {
        return result;
    }
    switch (many->query.start) {
    case STORAGE_AFTER_OFFSET:
        return error_set(why, ERR_BAD_SINCE, "an offset counts in one channel alone");
    case STORAGE_AFTER_PLACE:
    case STORAGE_DROP:
        return resolve_many_place(many, why);
    case STORAGE_AFTER_TIME:
        return moment->meta.forgotten_through > 0 &&
                       many->query.time_ms + FORGET_AGE_MS <= moment->batch.time_ms
                   ? gaps_tell_all(&many->gaps, GAP_EXPIRED, moment->meta.forgotten_through, true,
                                   why)
                   : OK;
    case STORAGE_EARLIEST:
    case STORAGE_NEWEST:
    case STORAGE_NOW:
        many->gaps.is_quiet = true;
        return OK;
    }
    return OK;
}

/* --- reading --- */

/* Channels that a pattern matches, until there are too many. */
struct counting {
    struct matching matching;
    size_t left;
};

static enum error_code count_channel(void *context, struct span name, uint64_t folded_id,
                                     struct error *why) {
    struct counting *counting = context;
    (void)name;
    (void)folded_id;
    (void)why;
    counting->matching.is_over = counting->left == 0;
    counting->left -= counting->left > 0 ? 1 : 0;
    return OK;
}

static enum error_code choose_walk(struct many *many, uint64_t position, bool *ret_is_walk,
                                   struct error *why) {
    uint64_t ahead = many->moment->batch.position_readable - position;
    *ret_is_walk = ahead <= many->limits->near_records;
    if (*ret_is_walk) {
        return OK;
    }
    size_t by_records = (size_t)(ahead / WALK_PART);
    size_t channels_max = many->limits->channels_merged;
    struct counting counting = {
        many->matching, channels_max > 0 && by_records > channels_max ? by_records : channels_max};
    counting.matching.looked_max = many->limits->names_looked;
    enum error_code result = matching_each(&counting.matching, count_channel, &counting, why);
    *ret_is_walk = counting.matching.is_over;
    return result;
}

/* What was passed over: for each selector what is kept between `place` and the head. */
static enum error_code drop_channel(void *context, struct span name, uint64_t folded_id,
                                    struct error *why) {
    struct many *many = context;
    struct view view;
    struct resolved resolved;
    struct storage_query query = many->query;
    enum error_code result = view_init_at(&view, many->moment, name, folded_id, why);
    if (result != OK || view.channel_id == 0 ||
        (view.has_row && view.batch.channel_id == 0 &&
         view.row.position_last <= query.place.position)) {
        return result;
    }
    query.place.channel_id = query.place.channel_id == view.channel_id ? view.channel_id : 0;
    result = many_keep(many, name, &view, why);
    if (result == OK) {
        result = resolve_query(&view, &query, &resolved, why);
    }
    if (result != OK || (!resolved.has_gap && resolved.after >= view.offset_last)) {
        return result;
    }
    struct gap gap = {GAP_DROPPED, resolved.has_gap ? resolved.gap.from : resolved.after + 1,
                      view.offset_last};
    if (resolved.after >= view.offset_last) {
        gap = resolved.gap; /* nothing is kept there: it has expired */
    }
    result = gaps_tell(&many->gaps, &view, name, gap, 0, false, why);
    many->matching.is_over = gaps_has_told_all(&many->gaps);
    return result;
}

static enum error_code read_messages(struct many *many, struct error *why) {
    uint64_t position = 0;
    bool is_walk = false;
    switch (many->query.start) {
    case STORAGE_NOW:
        return OK;
    case STORAGE_DROP:
        return matching_each(&many->matching, drop_channel, many, why);
    case STORAGE_NEWEST:
        return merge_read(many, why);
    case STORAGE_EARLIEST:
    case STORAGE_AFTER_OFFSET:
    case STORAGE_AFTER_PLACE:
    case STORAGE_AFTER_TIME:
        break;
    }
    if (many->builder.is_full) {
        many->is_cut = true;
        return OK;
    }
    enum error_code result = walk_find_start(many, &is_walk, &position, why);
    if (result == OK && is_walk && many->matching.pattern_count > 0) {
        result = choose_walk(many, position, &is_walk, why);
    } else {
        is_walk = false;
    }
    if (result != OK) {
        return result;
    }
    return is_walk ? walk_read(many, position, why) : merge_read(many, why);
}

/* --- the page --- */

static void fill_end(struct many *many, struct storage_page *page) {
    const struct moment *moment = many->moment;
    uint64_t head = moment->batch.position_readable;
    page->end = many->end;
    page->end.log_id = moment->meta.log_id;
    page->at_head = !many->is_cut && !many->query.has_before;
    if (page->at_head) {
        page->end.position = head;
    } else if (many->is_cut && many->position_walked > page->end.position) {
        page->end.position = many->position_walked;
    } else if (!many->is_cut) {
        page->end.position = many->query.before.position - 1;
    } else if (many->end.position == 0) {
        page->end = many->query.start == STORAGE_AFTER_PLACE ? many->query.place : page->end;
    }
    if (page->end.position != many->end.position || page->end.generation == 0) {
        page->end.generation = moment->meta.generation;
    }
}

static void fill_start(struct many *many, struct storage_page *page) {
    const struct storage_query *query = &many->query;
    bool is_direct =
        query->start == STORAGE_AFTER_PLACE && many->gaps.rows == NULL && many->builder.holes == 0;
    if (is_direct) {
        page->start = query->place;
    } else if (page->count == 0) {
        page->start = page->end;
    } else {
        page->start = (struct place){.log_id = many->moment->meta.log_id,
                                     .generation = many->moment->meta.generation,
                                     .position = page->messages[0]->place.position - 1};
    }
}

enum error_code many_init(struct many *many, const struct moment *moment,
                          const struct storage_options *options, const struct many_limits *limits,
                          const struct storage_query *query, struct error *why) {
    *many = (struct many){.moment = moment, .options = options, .limits = limits, .query = *query};
    enum error_code result = matching_init(&many->matching, moment, query->selectors,
                                           query->selector_count, options->on_match, why);
    if (result != OK) {
        return result;
    }
    many->gaps.matching = &many->matching;
    result = resolve_many(many, why);
    if (result != OK) {
        many_finish(many);
    }
    return result;
}

void many_finish(struct many *many) {
    free(many->gaps.rows);
    many->gaps.rows = NULL;
    matching_finish(&many->matching);
}

enum error_code many_read(const struct moment *moment, const struct storage_options *options,
                          const struct many_limits *limits, const struct storage_query *query,
                          struct storage_page *ret_page, struct error *why) {
    struct many many;
    *ret_page = (struct storage_page){0};
    enum error_code result = many_init(&many, moment, options, limits, query, why);
    if (result != OK) {
        return result;
    }
    builder_init(&many.builder, &many.query, ret_page);
    chunks_reader_init(&many.reader, moment->store, moment->txn);
    result = read_messages(&many, why);
    chunks_reader_finish(&many.reader);
    builder_finish(&many.builder);
    if (result == OK) {
        fill_end(&many, ret_page);
        fill_start(&many, ret_page);
        gaps_finish(&many.gaps, &query->place, ret_page);
    } else {
        storage_page_finish(ret_page);
    }
    many_finish(&many);
    return result;
}

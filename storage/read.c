/* SPDX-License-Identifier: Apache-2.0 */
/* Messages come from the index run by run, or from the batch; the page ends before the first hole
 * (a message whose own time to live is over, or that was deleted), so that what is missing always
 * stands at the front of a page, where it can be told. Holes at the front are passed over, `limit`
 * a page; a range of deletes is one of them.
 *
 * The newest `limit` messages are looked for from the end backwards: how many have expired is not
 * known before. They are no step of a walk through the log, so that holes between them are passed
 * over, NEWEST_LOOKED_MAX messages in all. */
#include "storage/read.h"

#include <string.h>

#include "storage/builder.h"
#include "storage/record.h"
#include "storage/resolve.h"
#include "storage/strand.h"

#define NEWEST_LOOKED_MAX 4096

/* A page of one channel in the making. */
struct channel_page {
    struct view *view;
    const struct storage_query *query;
    struct builder builder;
    struct strand strand;
    struct chunks_reader reader;
    uint64_t next;           /* the offset to look at */
    uint64_t hole_to;        /* the last offset passed over at the front; 0: none … */
    enum gap_reason hole_is; /* … for this reason */
};

static void pass(struct channel_page *making, uint64_t to, enum gap_reason reason) {
    if (builder_pass(&making->builder)) {
        making->hole_to = to;
        making->hole_is = reason;
        making->next = to + 1;
    }
}

/* Looks at the message at `next`: puts it in, leaves it out, passes over it, or ends the page. */
static enum error_code consider(struct channel_page *making, const struct strand_item *item,
                                struct error *why) {
    struct strand_record record;
    enum strand_fate fate = STRAND_GIVEN;
    bool is_conflated = making->query->is_conflated;
    /* Before the record is put together: a large one that does not fit is not read in vain. */
    if (!is_conflated && !builder_has_room(&making->builder, item->bytes)) {
        return OK;
    }
    enum error_code result = strand_read(&making->strand, &making->reader, item, &record, why);
    if (result == OK) {
        result = strand_judge(&making->strand, &record, item->offset, is_conflated, &fate, why);
    }
    if (result == OK && fate == STRAND_GIVEN && builder_has_room(&making->builder, item->bytes)) {
        making->next++;
        return builder_put(&making->builder, strand_make(&making->strand, &record), item->bytes,
                           why);
    }
    strand_drop(&record);
    if (result == OK && fate == STRAND_CONFLATED) {
        making->next += builder_skip(&making->builder) ? 1 : 0;
    } else if (result == OK && fate != STRAND_GIVEN) {
        pass(making, item->offset, fate == STRAND_EXPIRED ? GAP_EXPIRED : GAP_DELETED);
    }
    return result;
}

static enum error_code collect(struct channel_page *making, uint64_t before, struct error *why) {
    enum error_code result = OK;
    while (result == OK && !making->builder.is_full && making->next < before) {
        uint64_t from = 0;
        uint64_t to = 0;
        struct strand_item item;
        result = strand_find_deleted(&making->strand, making->next, &from, &to, why);
        if (result == OK && from <= making->next) {
            pass(making, to < before ? to : before - 1, GAP_DELETED);
            continue;
        }
        if (result == OK) {
            result = strand_get_item(&making->strand, making->next, &item, why);
        }
        if (result == OK) {
            result = consider(making, &item, why);
        }
    }
    return result;
}

/* One message or one range of deletes on the way back from `before`. */
static enum error_code step_back(struct channel_page *making, uint64_t *before, struct error *why) {
    uint64_t from = 0;
    uint64_t to = 0;
    struct strand_item item;
    struct strand_record record;
    enum strand_fate fate = STRAND_GIVEN;
    uint64_t offset = *before - 1;
    enum error_code result = view_find_deleted(making->view, offset, &from, &to, why);
    if (result != OK || from <= offset) {
        *before = from;
        return result;
    }
    result = strand_get_item(&making->strand, offset, &item, why);
    if (result == OK) {
        result = strand_read(&making->strand, &making->reader, &item, &record, why);
    }
    if (result != OK) {
        return result;
    }
    result =
        strand_judge(&making->strand, &record, offset, making->query->is_conflated, &fate, why);
    bool is_given = result == OK && fate == STRAND_GIVEN;
    if (is_given && builder_has_room(&making->builder, item.bytes)) {
        *before = offset;
        return builder_put(&making->builder, strand_make(&making->strand, &record), item.bytes,
                           why);
    }
    strand_drop(&record);
    if (fate != STRAND_CONFLATED || builder_skip(&making->builder)) {
        *before = is_given ? *before : offset;
    }
    return result;
}

static enum error_code collect_back(struct channel_page *making, struct resolved *resolved,
                                    struct error *why) {
    uint64_t before = resolved->before;
    enum error_code result = OK;
    for (size_t i = 0; result == OK && i < NEWEST_LOOKED_MAX && !making->builder.is_full &&
                       before > making->view->first;
         i++) {
        result = step_back(making, &before, why);
    }
    before = before < making->view->first ? making->view->first : before;
    builder_reverse(&making->builder);
    resolved->after = before - 1;
    making->next = resolved->before > before ? resolved->before : before;
    return result;
}

/* The exclusive place before `next`: a message with a higher position is at `next` or behind it. */
static enum error_code place_before(const struct view *view, uint64_t next, struct place *ret_place,
                                    struct error *why) {
    *ret_place = (struct place){.log_id = view->meta.log_id,
                                .generation = view->meta.generation,
                                .position = view->position_head,
                                .channel_id = view->channel_id,
                                .offset = next - 1};
    if (next > view->offset_last) {
        return OK;
    }
    struct figures figures;
    enum error_code result = view_get_figures(view, next, &figures, why);
    if (result == OK) {
        ret_place->position = figures.position - 1;
    }
    return result;
}

static bool is_loss(struct gap gap) {
    return gap.reason == GAP_EXPIRED || gap.reason == GAP_DELETED;
}

static void tell_holes(struct channel_page *making, const struct resolved *resolved) {
    struct storage_page *page = making->builder.page;
    page->has_gap = resolved->has_gap;
    page->gap = resolved->gap;
    if (making->hole_to == 0 || !resolved->tells_holes) {
        return;
    }
    if (!page->has_gap) {
        page->has_gap = true;
        page->gap = (struct gap){making->hole_is, resolved->after + 1, making->hole_to};
    } else if (is_loss(page->gap) && page->gap.to == resolved->after) {
        page->gap.to = making->hole_to;
        page->gap.reason = making->hole_is;
    }
}

/* The offsets that are kept: a channel whose oldest messages were deleted begins behind them. */
static enum error_code fill_kept(struct channel_page *making, struct error *why) {
    const struct view *view = making->view;
    struct storage_page *page = making->builder.page;
    uint64_t first = 0;
    enum error_code result = view_find_kept(view, &first, why);
    if (result == OK && first <= view->offset_last) {
        page->first = first;
        page->last = view->offset_last;
    }
    return result;
}

static enum error_code fill_places(struct channel_page *making, const struct resolved *resolved,
                                   struct error *why) {
    struct view *view = making->view;
    struct storage_page *page = making->builder.page;
    page->channel_id = view->channel_id;
    page->offset_last = view->offset_last;
    page->at_head = making->next > view->offset_last;
    uint64_t start = making->hole_to == 0 ? resolved->after + 1 : making->hole_to + 1;
    enum error_code result = fill_kept(making, why);
    if (result == OK) {
        result = place_before(view, start, &page->start, why);
    }
    if (result != OK) {
        return result;
    }
    if (page->count > 0 && !page->at_head && page->skipped_behind == 0) {
        page->end = page->messages[page->count - 1]->place;
        return OK;
    }
    return place_before(view, making->next, &page->end, why);
}

/* The dropping reader goes on at the head: all that stands between is told. */
static void drop(const struct view *view, struct resolved *resolved) {
    bool is_known = !resolved->has_gap || is_loss(resolved->gap);
    if (is_known && resolved->after < view->offset_last) {
        uint64_t from = resolved->has_gap ? resolved->gap.from : resolved->after + 1;
        resolved->has_gap = true;
        resolved->gap = (struct gap){GAP_DROPPED, from, view->offset_last};
    }
    resolved->after = view->offset_last;
    resolved->before = view->offset_last + 1;
    resolved->tells_holes = false;
}

enum error_code read_page(struct view *view, const struct storage_query *query,
                          struct storage_page *ret_page, struct error *why) {
    struct resolved resolved;
    struct channel_page making = {.view = view, .query = query};
    builder_init(&making.builder, query, ret_page);
    enum error_code result = resolve_query(view, query, &resolved, why);
    if (result != OK) {
        return result;
    }
    if (query->start == STORAGE_DROP) {
        drop(view, &resolved);
    }
    making.next = resolved.after + 1;
    strand_init(&making.strand, view, query->channel);
    chunks_reader_init(&making.reader, view->store, view->txn);
    result = query->start == STORAGE_NEWEST && query->newest == 0 && query->limit > 0
                 ? collect_back(&making, &resolved, why)
                 : collect(&making, resolved.before, why);
    chunks_reader_finish(&making.reader);
    builder_finish(&making.builder);
    if (result == OK) {
        tell_holes(&making, &resolved);
        result = fill_places(&making, &resolved, why);
    }
    if (result != OK) {
        storage_page_finish(ret_page);
    }
    return result;
}

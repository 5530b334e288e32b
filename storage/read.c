/* SPDX-License-Identifier: Apache-2.0 */
/* Messages come from the index run by run, or from the batch; the page ends before the first hole
 * (a message whose own time to live is over), so that what is missing always stands at the front of
 * a page, where it can be told. Expired ones at the front are passed over, `limit` a page. */
#include "storage/read.h"

#include <stdlib.h>
#include <string.h>

#include "broker/support/invariant.h"
#include "storage/chunks.h"
#include "storage/record.h"
#include "storage/resolve.h"

#define PAGE_CAPACITY_MIN 16

/* A page in the making. */
struct builder {
    struct view *view;
    const struct storage_query *query;
    struct storage_page *page;
    struct chunks_reader reader;
    struct run run; /* the one that `next` was last found in; count 0: none yet */
    struct run_entry entry;
    struct span channel;
    uint64_t next;    /* the offset to look at */
    uint64_t skipped; /* expired ones at the front */
    uint64_t counted_bytes;
    size_t capacity;
    bool is_full;
};

static enum error_code put(struct builder *builder, struct message *message, struct error *why) {
    struct storage_page *page = builder->page;
    if (page->count == builder->capacity) {
        size_t capacity = builder->capacity == 0 ? PAGE_CAPACITY_MIN : builder->capacity * 2;
        struct message **messages = realloc(page->messages, capacity * sizeof(struct message *));
        if (messages == NULL) {
            message_unref(message);
            return error_set(why, ERR_MEMORY, "no memory for a page");
        }
        page->messages = messages;
        builder->capacity = capacity;
    }
    page->messages[page->count++] = message;
    page->bytes += message_size(message);
    builder->is_full = page->count >= builder->query->limit;
    return OK;
}

/* Whether a message of so many bytes may still join; the first one always may. */
static bool has_room(struct builder *builder, uint64_t bytes) {
    bool has =
        builder->page->count == 0 || builder->counted_bytes + bytes <= builder->query->bytes_max;
    if (has) {
        builder->counted_bytes += bytes;
    }
    builder->is_full = !has;
    return has;
}

/* Takes a message in, or passes over an expired one, or ends the page. Takes the reference. */
static enum error_code consider(struct builder *builder, struct message *message,
                                struct error *why) {
    bool is_expired = message->expiry_ms != 0 && message->expiry_ms <= builder->view->time_ms;
    if (is_expired) {
        message_unref(message);
        builder->is_full = builder->page->count > 0 || builder->skipped >= builder->query->limit;
        if (!builder->is_full) {
            builder->skipped++;
            builder->next++;
        }
        return OK;
    }
    if (!has_room(builder, record_counted_bytes(&message->fields))) {
        message_unref(message);
        return OK;
    }
    builder->next++;
    return put(builder, message, why);
}

/* Stands the entry on `next`: mostly the one behind, else by the index. */
static enum error_code find_entry(struct builder *builder, struct error *why) {
    if (builder->run.count > 0 && builder->entry.offset + 1 == builder->next &&
        run_next(&builder->run, &builder->entry)) {
        return OK;
    }
    if (builder->run.count > 0 && builder->entry.offset == builder->next) {
        return OK;
    }
    return index_get_entry(builder->view->store, builder->view->txn, builder->view->channel_id,
                           builder->next, &builder->run, &builder->entry, why);
}

static enum error_code read_folded(struct builder *builder, struct error *why) {
    enum error_code result = find_entry(builder, why);
    if (result != OK) {
        return result;
    }
    /* Before the record is put together: a large one that does not fit is not read in vain. */
    if (builder->page->count > 0 &&
        builder->counted_bytes + builder->entry.bytes > builder->query->bytes_max) {
        builder->is_full = true;
        return OK;
    }
    struct record record;
    result = chunks_read(&builder->reader, builder->run.slot, builder->view->channel_id,
                         &builder->entry, &record, why);
    if (result != OK) {
        return result;
    }
    struct message *message =
        record_create_message(&record, builder->view->meta.log_id, builder->channel);
    if (message == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for a page");
    }
    return consider(builder, message, why);
}

static enum error_code read_open(struct builder *builder, struct error *why) {
    struct message *message = open_batch_take_message(&builder->view->batch, builder->next);
    if (message == NULL) {
        return error_set(why, ERR_CORRUPT, "the open batch lacks offset %llu",
                         (unsigned long long)builder->next);
    }
    return consider(builder, message, why);
}

static enum error_code collect(struct builder *builder, uint64_t before, struct error *why) {
    enum error_code result = OK;
    builder->is_full = builder->query->limit == 0;
    while (result == OK && !builder->is_full && builder->next < before) {
        result = builder->next < builder->view->batch_first ? read_folded(builder, why)
                                                            : read_open(builder, why);
    }
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

static void tell_holes(struct builder *builder, const struct resolved *resolved) {
    struct storage_page *page = builder->page;
    page->has_gap = resolved->has_gap;
    page->gap = resolved->gap;
    if (builder->skipped == 0 || !resolved->tells_holes) {
        return;
    }
    uint64_t to = resolved->after + builder->skipped;
    if (!page->has_gap) {
        page->has_gap = true;
        page->gap = (struct gap){GAP_EXPIRED, resolved->after + 1, to};
    } else if (page->gap.reason == GAP_EXPIRED && page->gap.to == resolved->after) {
        page->gap.to = to;
    }
}

static enum error_code fill_places(struct builder *builder, const struct resolved *resolved,
                                   struct error *why) {
    struct view *view = builder->view;
    struct storage_page *page = builder->page;
    page->channel_id = view->channel_id;
    page->offset_last = view->offset_last;
    if (view->first <= view->offset_last) {
        page->first = view->first;
        page->last = view->offset_last;
    }
    page->at_head = builder->next > view->offset_last;
    enum error_code result =
        place_before(view, resolved->after + builder->skipped + 1, &page->start, why);
    if (result != OK) {
        return result;
    }
    if (page->count > 0 && !page->at_head) {
        page->end = page->messages[page->count - 1]->place;
        return OK;
    }
    return place_before(view, builder->next, &page->end, why);
}

enum error_code read_page(struct view *view, const struct storage_query *query,
                          struct storage_page *ret_page, struct error *why) {
    struct resolved resolved;
    *ret_page = (struct storage_page){0};
    enum error_code result = resolve_query(view, query, &resolved, why);
    if (result != OK) {
        return result;
    }
    struct builder builder = {.view = view,
                              .query = query,
                              .page = ret_page,
                              .channel = query->channel,
                              .next = resolved.after + 1};
    chunks_reader_init(&builder.reader, view->store, view->txn);
    result = collect(&builder, resolved.before, why);
    chunks_reader_finish(&builder.reader);
    if (result == OK) {
        tell_holes(&builder, &resolved);
        result = fill_places(&builder, &resolved, why);
    }
    if (result != OK) {
        storage_page_finish(ret_page);
    }
    return result;
}

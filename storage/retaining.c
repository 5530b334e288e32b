/* SPDX-License-Identifier: Apache-2.0 */
/* First the channels that may have one, behind query.after_channel_id and each once; then each is
 * asked, in order of id. Where the selectors have few names to look at, those are the candidates.
 * Else the table of retained messages is walked from there on, a budget's worth, and with it go the
 * channels of the open batch up to the id that the walk has come to. */
#include "storage/retaining.h"

#include <stdlib.h>

#include "storage/builder.h"
#include "storage/matching.h"
#include "storage/record.h"
#include "storage/retained.h"
#include "storage/view.h"

#define BATCH_STEP 64 /* channels listed under the batch's lock at once */

const struct retaining_limits RETAINING_LIMITS = {
    .names_looked = 1024,
    .rows_looked = 4096,
    .candidates_max = 4096,
};

struct candidate {
    uint64_t channel_id;
    struct span name; /* lives as long as the moment and the query */
};

struct retaining {
    const struct moment *moment;
    const struct storage_options *options;
    const struct retaining_limits *limits;
    const struct storage_query *query;
    struct matching matching;
    struct candidate *candidates;
    size_t count;
    size_t allocated;
    uint64_t through; /* candidates are complete up to this id */
    struct builder builder;
    struct buffer body;
};

/* --- candidates --- */

static int compare_candidates(const void *left, const void *right) {
    uint64_t a = ((const struct candidate *)left)->channel_id;
    uint64_t b = ((const struct candidate *)right)->channel_id;
    return (a > b) - (a < b);
}

/* In order, each once, and no more than the limit. */
static void settle(struct retaining *retaining) {
    struct candidate *rows = retaining->candidates;
    size_t kept = 0;
    if (retaining->count > 1) {
        qsort(rows, retaining->count, sizeof(*rows), compare_candidates);
    }
    for (size_t i = 0; i < retaining->count; i++) {
        if (kept == 0 || rows[kept - 1].channel_id != rows[i].channel_id) {
            rows[kept++] = rows[i];
        }
    }
    if (kept > retaining->limits->candidates_max) {
        kept = retaining->limits->candidates_max;
        retaining->through = rows[kept - 1].channel_id;
    }
    retaining->count = kept;
}

static enum error_code add(struct retaining *retaining, uint64_t channel_id, struct span name,
                           struct error *why) {
    if (channel_id <= retaining->query->after_channel_id || channel_id > retaining->through) {
        return OK;
    }
    if (retaining->count >= 2 * retaining->limits->candidates_max) {
        settle(retaining);
    }
    if (retaining->count == retaining->allocated) {
        size_t wanted = retaining->allocated == 0 ? 16 : retaining->allocated * 2;
        struct candidate *grown = realloc(retaining->candidates, wanted * sizeof(*grown));
        if (grown == NULL) {
            return error_set(why, ERR_MEMORY, "no memory for a page of retained messages");
        }
        retaining->candidates = grown;
        retaining->allocated = wanted;
    }
    retaining->candidates[retaining->count++] = (struct candidate){channel_id, name};
    return OK;
}

static enum error_code add_named(void *context, struct span name, uint64_t folded_id,
                                 struct error *why) {
    struct retaining *retaining = context;
    struct batch_view view = {.channel_id = folded_id};
    if (folded_id == 0) {
        open_batch_get_view(&retaining->moment->batch, name, &view);
    }
    return add(retaining, view.channel_id, name, why);
}

/* One row of the table. */
static enum error_code add_row(struct retaining *retaining, uint64_t channel_id,
                               struct error *why) {
    const struct moment *moment = retaining->moment;
    struct channel_row row;
    enum error_code result = store_get_channel(moment->store, moment->txn, channel_id, &row, why);
    if (result != OK) {
        return result == ERR_NOT_FOUND ? OK : result;
    }
    return matching_has(&retaining->matching, row.name) ? add(retaining, channel_id, row.name, why)
                                                        : OK;
}

static enum error_code add_folded(struct retaining *retaining, struct error *why) {
    const struct moment *moment = retaining->moment;
    uint64_t channel_id = retaining->query->after_channel_id;
    enum error_code result = OK;
    size_t looked = 0;
    while (result == OK && channel_id < UINT64_MAX) {
        if (looked++ == retaining->limits->rows_looked ||
            retaining->count >= retaining->query->limit) {
            retaining->through = channel_id;
            return OK;
        }
        result = retained_next(moment->store, moment->txn, channel_id + 1, &channel_id, why);
        if (result == OK) {
            result = add_row(retaining, channel_id, why);
        }
    }
    return result == ERR_NOT_FOUND ? OK : result;
}

static enum error_code add_open(struct retaining *retaining, struct error *why) {
    struct batch_channel channels[BATCH_STEP];
    size_t cursor = 0;
    size_t listed = 0;
    enum error_code result = OK;
    while (result == OK && (listed = open_batch_list_channels(&retaining->moment->batch, &cursor,
                                                              channels, BATCH_STEP)) > 0) {
        for (size_t i = 0; result == OK && i < listed; i++) {
            if (channels[i].channel_id > retaining->query->after_channel_id &&
                channels[i].channel_id <= retaining->through &&
                matching_has(&retaining->matching, channels[i].name)) {
                result = add(retaining, channels[i].channel_id, channels[i].name, why);
            }
        }
    }
    return result;
}

static enum error_code find_candidates(struct retaining *retaining, struct error *why) {
    retaining->through = UINT64_MAX;
    retaining->matching.looked_max = retaining->limits->names_looked;
    enum error_code result = matching_each(&retaining->matching, add_named, retaining, why);
    if (result == OK && retaining->matching.is_cut) {
        retaining->count = 0;
        retaining->through = UINT64_MAX;
        result = add_folded(retaining, why);
        if (result == OK) {
            result = add_open(retaining, why);
        }
    }
    settle(retaining);
    return result;
}

/* --- messages --- */

/* The newest one in the open batch that counts, as a new reference; NULL: none. One that was
 * trimmed meanwhile is in the table as well. */
static struct message *take_open(const struct retaining *retaining, const struct view *view,
                                 struct span name) {
    const struct storage_options *options = retaining->options;
    if (view->batch.channel_id == 0) {
        return NULL;
    }
    bool is_latest =
        options->on_retain_latest != NULL && options->on_retain_latest(options->context, name);
    return is_latest ? open_batch_take_message(&view->batch, view->offset_last)
                     : open_batch_take_retained(&view->batch);
}

static enum error_code take_folded(struct retaining *retaining, const struct view *view,
                                   struct span name, struct message **ret_message,
                                   struct error *why) {
    const struct moment *moment = retaining->moment;
    struct record record;
    enum error_code result =
        retained_get(moment->store, moment->txn, view->channel_id, &retaining->body, &record, why);
    if (result != OK) {
        return result;
    }
    *ret_message = record_create_message(&record, moment->meta.log_id, name);
    return *ret_message == NULL ? error_set(why, ERR_MEMORY, "no memory for a retained message")
                                : OK;
}

/* Whether it still counts. */
static enum error_code judge(const struct view *view, const struct message *message, bool *ret_is,
                             struct error *why) {
    uint64_t from = 0;
    uint64_t to = 0;
    uint64_t offset = message->place.offset;
    bool is_empty =
        (message->fields.flags & MESSAGE_RETAIN) != 0 && message->fields.payload.length == 0;
    bool is_expired = message->expiry_ms != 0 && message->expiry_ms <= view->time_ms;
    enum error_code result = view_find_deleted(view, offset, &from, &to, why);
    *ret_is = !is_empty && !is_expired && (from > offset || to < offset);
    return result;
}

/* The candidate's, as a new reference; NULL: it has none. */
static enum error_code take_retained(struct retaining *retaining, const struct candidate *candidate,
                                     struct message **ret_message, struct error *why) {
    const struct moment *moment = retaining->moment;
    struct view view;
    uint64_t folded_id = 0;
    bool is_retained = false;
    *ret_message = NULL;
    enum error_code result =
        store_get_channel_id(moment->store, moment->txn, candidate->name, &folded_id, why);
    if (result == OK || result == ERR_NOT_FOUND) {
        result = view_init_at(&view, moment, candidate->name, folded_id, why);
    }
    if (result != OK || view.channel_id != candidate->channel_id) {
        return result;
    }
    struct message *message = take_open(retaining, &view, candidate->name);
    if (message == NULL) {
        result = take_folded(retaining, &view, candidate->name, &message, why);
    }
    if (result == OK) {
        result = judge(&view, message, &is_retained, why);
    }
    if (result == OK && is_retained) {
        *ret_message = message;
        return OK;
    }
    message_unref(message);
    return result == ERR_NOT_FOUND ? OK : result;
}

/* --- the page --- */

static enum error_code fill(struct retaining *retaining, struct storage_page *page,
                            struct error *why) {
    struct builder *builder = &retaining->builder;
    enum error_code result = OK;
    size_t at = 0;
    page->channel_id = retaining->query->after_channel_id;
    for (; result == OK && !builder->is_full && at < retaining->count; at++) {
        struct message *message = NULL;
        result = take_retained(retaining, &retaining->candidates[at], &message, why);
        if (message != NULL) {
            uint64_t bytes = record_counted_bytes(&message->fields);
            if (!builder_has_room(builder, bytes)) {
                message_unref(message);
                break;
            }
            result = builder_put(builder, message, bytes, why);
        }
        page->channel_id = retaining->candidates[at].channel_id;
    }
    if (result == OK && at == retaining->count && retaining->query->limit > 0) {
        page->at_head = retaining->through == UINT64_MAX;
        page->channel_id = page->at_head ? page->channel_id : retaining->through;
    }
    page->end = (struct place){.log_id = retaining->moment->meta.log_id,
                               .generation = retaining->moment->meta.generation,
                               .position = retaining->moment->batch.position_readable};
    page->start = page->end;
    return result;
}

enum error_code retaining_read(const struct moment *moment, const struct storage_options *options,
                               const struct retaining_limits *limits,
                               const struct storage_query *query, struct storage_page *ret_page,
                               struct error *why) {
    const struct storage_selector own = {.text = query->channel};
    bool has_selectors = query->selector_count > 0;
    struct retaining retaining = {
        .moment = moment, .options = options, .limits = limits, .query = query};
    *ret_page = (struct storage_page){0};
    enum error_code result =
        matching_init(&retaining.matching, moment, has_selectors ? query->selectors : &own,
                      has_selectors ? query->selector_count : 1, options->on_match, why);
    if (result != OK) {
        return result;
    }
    buffer_init(&retaining.body, RECORD_BODY_BYTES_MAX);
    builder_init(&retaining.builder, query, ret_page);
    result = find_candidates(&retaining, why);
    if (result == OK) {
        result = fill(&retaining, ret_page, why);
    }
    if (result != OK) {
        storage_page_finish(ret_page);
    }
    free(retaining.candidates);
    buffer_finish(&retaining.body);
    matching_finish(&retaining.matching);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* WEAKNESS: in the open batch a retained message is looked for from the newest one back, at most
 * through what a channel has there; cure: keep its number with the channel's entry. */
#include "storage/retaining.h"

#include "storage/matching.h"
#include "storage/parts.h"
#include "storage/record.h"
#include "storage/retained.h"
#include "storage/view.h"

struct retaining {
    const struct moment *moment;
    const struct storage_options *options;
    struct matching matching;
    struct buffer body;
    size_t left; /* messages that may still be given out */
    storage_on_message *on_message;
    void *context;
};

/* The newest one in the open batch that counts, as a new reference; NULL: none. */
static struct message *take_open(const struct retaining *retaining, const struct view *view,
                                 struct span name) {
    const struct storage_options *options = retaining->options;
    bool is_latest =
        options->on_retain_latest != NULL && options->on_retain_latest(options->context, name);
    for (uint64_t offset = view->offset_last; offset >= view->batch_first && offset > 0; offset--) {
        struct message *message = open_batch_take_message(&view->batch, offset);
        if (message == NULL || is_latest || (message->fields.flags & MESSAGE_RETAIN) != 0) {
            return message;
        }
        message_unref(message);
    }
    return NULL;
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

static enum error_code give_channel(void *context, struct span name, uint64_t folded_id,
                                    struct error *why) {
    struct retaining *retaining = context;
    struct view view;
    enum error_code result = view_init_at(&view, retaining->moment, name, folded_id, why);
    if (result != OK || view.channel_id == 0) {
        return result;
    }
    struct message *message = take_open(retaining, &view, name);
    if (message == NULL) {
        result = take_folded(retaining, &view, name, &message, why);
    }
    if (result != OK) {
        return result == ERR_NOT_FOUND ? OK : result;
    }
    bool is_retained = false;
    result = judge(&view, message, &is_retained, why);
    if (result == OK && is_retained) {
        retaining->left--;
        retaining->matching.is_over =
            !retaining->on_message(retaining->context, message) || retaining->left == 0;
    }
    message_unref(message);
    return result;
}

enum error_code retaining_each(const struct moment *moment, const struct storage_options *options,
                               const struct storage_query *query, size_t limit,
                               storage_on_message *on_message, void *context, struct error *why) {
    const struct storage_selector own = {.text = query->channel};
    bool has_selectors = query->selector_count > 0;
    struct retaining retaining = {.moment = moment,
                                  .options = options,
                                  .left = limit,
                                  .on_message = on_message,
                                  .context = context};
    if (limit == 0) {
        return OK;
    }
    enum error_code result =
        matching_init(&retaining.matching, moment, has_selectors ? query->selectors : &own,
                      has_selectors ? query->selector_count : 1, options->on_match, why);
    if (result != OK) {
        return result;
    }
    buffer_init(&retaining.body, RECORD_BODY_BYTES_MAX);
    retaining.matching.looked_max = RETAINING_NAMES_MAX;
    result = matching_each(&retaining.matching, give_channel, &retaining, why);
    buffer_finish(&retaining.body);
    matching_finish(&retaining.matching);
    return result;
}

enum error_code storage_each_retained(struct storage *storage, const struct storage_query *query,
                                      size_t limit, storage_on_message *on_message, void *context,
                                      struct error *why) {
    struct storage_parts parts = storage_borrow_parts(storage);
    struct moment moment;
    enum error_code result = moment_init(&moment, parts.store, parts.batch, why);
    if (result != OK) {
        return result;
    }
    result = retaining_each(&moment, parts.options, query, limit, on_message, context, why);
    moment_finish(&moment);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of storage.h that read: each takes a view or a moment, and gives it back before it
 * returns. */
#include "storage/many.h"
#include "storage/measure.h"
#include "storage/parts.h"
#include "storage/read.h"
#include "storage/retaining.h"

static enum error_code read_one(const struct storage_parts *parts,
                                const struct storage_query *query, struct storage_page *ret_page,
                                struct error *why) {
    struct view view;
    struct retention retention = {RETENTION_UNLIMITED, RETENTION_UNLIMITED, RETENTION_UNLIMITED};
    parts->options->on_retention(parts->options->context, query->channel, &retention);
    enum error_code result = view_init(&view, parts->store, parts->batch, query->channel, why);
    if (result != OK) {
        return result;
    }
    result = view_apply_retention(&view, &retention, why);
    if (result == OK) {
        result = read_page(&view, query, ret_page, why);
    }
    view_finish(&view);
    return result;
}

static enum error_code read_many(const struct storage_parts *parts,
                                 const struct storage_query *query, struct storage_page *ret_page,
                                 struct error *why) {
    struct moment moment;
    enum error_code result = moment_init(&moment, parts->store, parts->batch, why);
    if (result != OK) {
        return result;
    }
    result = query->is_retained
                 ? retaining_read(&moment, parts->options, &RETAINING_LIMITS, query, ret_page, why)
                 : many_read(&moment, parts->options, &MANY_LIMITS, query, ret_page, why);
    moment_finish(&moment);
    return result;
}

enum error_code storage_read(struct storage *storage, const struct storage_query *query,
                             struct storage_page *ret_page, struct error *why) {
    struct storage_parts parts = storage_borrow_parts(storage);
    return query->selector_count == 0 && !query->is_retained
               ? read_one(&parts, query, ret_page, why)
               : read_many(&parts, query, ret_page, why);
}

enum error_code storage_measure(struct storage *storage, const struct storage_query *query,
                                const struct place *place, uint64_t *ret_messages,
                                uint64_t *ret_bytes, bool *ret_is_exact, struct error *why) {
    struct storage_parts parts = storage_borrow_parts(storage);
    struct moment moment;
    enum error_code result = moment_init(&moment, parts.store, parts.batch, why);
    if (result != OK) {
        return result;
    }
    result = measure_behind(&moment, parts.options, query, place, ret_messages, ret_bytes,
                            ret_is_exact, why);
    moment_finish(&moment);
    return result;
}

enum error_code storage_list_channels(struct storage *storage, struct span pattern,
                                      struct span after, size_t limit, storage_on_row *on_row,
                                      void *context, struct error *why) {
    struct storage_parts parts = storage_borrow_parts(storage);
    struct moment moment;
    enum error_code result = moment_init(&moment, parts.store, parts.batch, why);
    if (result != OK) {
        return result;
    }
    result = measure_list(&moment, parts.options, pattern, after, limit, on_row, context, why);
    moment_finish(&moment);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The list is in order of name, which is the order of the table of names. Channels that are in the
 * open batch alone are in no order there: the `limit` smallest of them are picked first. */
#include "storage/measure.h"

#include <stdlib.h>
#include <string.h>

#include "storage/bytes.h"
#include "storage/many.h"
#include "storage/resolve.h"

#define BATCH_STEP 64

/* --- behind a place --- */

struct behind {
    struct many many;
    size_t channels;
    uint64_t messages;
    uint64_t bytes;
};

static enum error_code bytes_before(const struct view *view, uint64_t offset, uint64_t *ret_bytes,
                                    struct error *why) {
    struct figures figures;
    *ret_bytes = view->bytes_total;
    if (offset > view->offset_last) {
        return OK;
    }
    enum error_code result = view_get_figures(view, offset, &figures, why);
    if (result == OK) {
        *ret_bytes = figures.bytes_before;
    }
    return result;
}

/* Messages and bytes from one offset through the last, without what was deleted. */
static enum error_code sum_from(const struct view *view, uint64_t offset, uint64_t *ret_messages,
                                uint64_t *ret_bytes, struct error *why) {
    enum error_code result = OK;
    *ret_messages = 0;
    *ret_bytes = 0;
    while (result == OK && offset <= view->offset_last) {
        uint64_t from = 0;
        uint64_t to = 0;
        uint64_t low = 0;
        uint64_t high = 0;
        result = view_find_deleted(view, offset, &from, &to, why);
        uint64_t end = from <= view->offset_last ? from : view->offset_last + 1;
        if (result == OK && end > offset) {
            result = bytes_before(view, offset, &low, why);
            if (result == OK) {
                result = bytes_before(view, end, &high, why);
            }
            *ret_messages += end - offset;
            *ret_bytes += high - low;
        }
        offset = end > view->offset_last ? end : to + 1;
    }
    return result;
}

static enum error_code measure_channel(void *context, struct span name, uint64_t folded_id,
                                       struct error *why) {
    struct behind *behind = context;
    struct view view;
    struct resolved resolved;
    bool is_beside = false;
    uint64_t messages = 0;
    uint64_t bytes = 0;
    if (behind->channels++ >= STORAGE_MEASURE_CHANNELS_MAX) {
        behind->many.matching.is_over = true;
        return OK;
    }
    enum error_code result = many_view(&behind->many, name, folded_id, &view, &is_beside, why);
    if (result != OK || is_beside) {
        return result;
    }
    result = many_resolve(&behind->many, name, &view, &resolved, why);
    if (result == OK) {
        result = sum_from(&view, resolved.after + 1, &messages, &bytes, why);
    }
    behind->messages += messages;
    behind->bytes += bytes;
    return result;
}

enum error_code measure_behind(const struct moment *moment, const struct storage_options *options,
                               const struct storage_query *query, const struct place *place,
                               uint64_t *ret_messages, uint64_t *ret_bytes, bool *ret_is_exact,
                               struct error *why) {
    struct behind behind = {0};
    const struct storage_selector own = {.text = query->channel};
    const struct storage_query asked = {
        .selectors = query->selector_count > 0 ? query->selectors : &own,
        .selector_count = query->selector_count > 0 ? query->selector_count : 1,
        .start = STORAGE_AFTER_PLACE,
        .place = *place,
    };
    enum error_code result = many_init(&behind.many, moment, options, &MANY_LIMITS, &asked, why);
    if (result != OK) {
        return result;
    }
    behind.many.gaps.is_quiet = true;
    behind.many.matching.looked_max = MEASURE_NAMES_MAX;
    result = matching_each(&behind.many.matching, measure_channel, &behind, why);
    if (result == OK) {
        *ret_messages = behind.messages;
        *ret_bytes = behind.bytes;
        *ret_is_exact = !behind.many.matching.is_over;
    }
    many_finish(&behind.many);
    return result;
}

/* --- the list --- */

struct list {
    const struct moment *moment;
    const struct storage_options *options;
    struct span pattern;
    struct span after;
    size_t limit;
    size_t count; /* of rows given out */
    storage_on_row *on_row;
    void *context;
    struct span *open; /* names in the batch alone, in order */
    size_t open_count;
    size_t open_at;
    bool is_over;
};

static bool is_listed(const struct list *list, struct span name) {
    return span_compare(name, list->after) > 0 &&
           (list->pattern.length == 0 || list->options->on_match(list->pattern, name));
}

/* Keeps the names in order, and the `limit` smallest of them. */
static void insert(struct list *list, struct span name) {
    size_t from = 0;
    size_t to = list->open_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (span_compare(list->open[middle], name) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    if (from == list->limit) {
        return;
    }
    size_t kept = list->open_count < list->limit ? list->open_count : list->limit - 1;
    memmove(&list->open[from + 1], &list->open[from], (kept - from) * sizeof(*list->open));
    list->open[from] = name;
    list->open_count = kept + 1;
}

static enum error_code list_open(struct list *list, struct error *why) {
    const struct moment *moment = list->moment;
    struct batch_channel channels[BATCH_STEP];
    size_t cursor = 0;
    size_t count = 0;
    while ((count = open_batch_list_channels(&moment->batch, &cursor, channels, BATCH_STEP)) > 0) {
        for (size_t i = 0; i < count; i++) {
            uint64_t folded_id = 0;
            if (!is_listed(list, channels[i].name)) {
                continue;
            }
            enum error_code result =
                store_get_channel_id(moment->store, moment->txn, channels[i].name, &folded_id, why);
            if (result == ERR_NOT_FOUND) {
                insert(list, channels[i].name);
            } else if (result != OK) {
                return result;
            }
        }
    }
    return OK;
}

static enum error_code fill_row(const struct view *view, struct storage_channel *row,
                                struct error *why) {
    uint64_t first = 0;
    uint64_t messages = 0;
    uint64_t minute = 0;
    struct figures figures = {0};
    enum error_code result = view_find_kept(view, &first, why);
    if (result == OK && first <= view->offset_last) {
        row->first = first;
        row->last = view->offset_last;
        result = sum_from(view, first, &messages, &row->bytes, why);
    }
    row->time_last_ms = view->has_row ? view->row.time_last : 0;
    if (result == OK && view->physical_first <= view->offset_last) {
        result = view_get_figures(view, view->offset_last, &figures, why);
        row->time_last_ms = figures.time_ms;
    }
    if (result == OK && row->last != 0 && row->time_last_ms + MEASURE_MINUTE_MS > view->time_ms) {
        uint64_t since_ms =
            view->time_ms < MEASURE_MINUTE_MS ? 0 : view->time_ms - MEASURE_MINUTE_MS + 1;
        result = view_search(view, INDEX_TIME, since_ms, first, &minute, why);
        row->messages_last_minute = view->offset_last + 1 - minute;
    }
    return result;
}

static enum error_code give_row(struct list *list, struct span name, uint64_t folded_id,
                                struct error *why) {
    struct view view;
    struct retention retention = {RETENTION_UNLIMITED, RETENTION_UNLIMITED, RETENTION_UNLIMITED};
    list->options->on_retention(list->options->context, name, &retention);
    enum error_code result = view_init_at(&view, list->moment, name, folded_id, why);
    if (result == OK) {
        result = view_apply_retention(&view, &retention, why);
    }
    struct storage_channel row = {
        .name = name, .channel_id = view.channel_id, .offset_last = view.offset_last};
    if (result == OK) {
        result = fill_row(&view, &row, why);
    }
    if (result == OK) {
        list->is_over = !list->on_row(list->context, &row) || ++list->count >= list->limit;
    }
    return result;
}

/* Names of the batch that come before `name`; an empty one: all that are left. */
static enum error_code give_open(struct list *list, struct span name, struct error *why) {
    enum error_code result = OK;
    while (result == OK && !list->is_over && list->open_at < list->open_count &&
           (name.length == 0 || span_compare(list->open[list->open_at], name) < 0)) {
        result = give_row(list, list->open[list->open_at++], 0, why);
    }
    return result;
}

/* What each name that the pattern matches begins with: behind `a/` also `a` itself is one. */
static struct span prefix_of(struct span pattern) {
    size_t length = 0;
    while (length < pattern.length && pattern.bytes[length] != '*') {
        length++;
    }
    bool is_rest = pattern.length - length == 2;
    return span_of(pattern.bytes, is_rest && length > 0 ? length - 1 : length);
}

static enum error_code list_folded(struct list *list, MDB_cursor *cursor, struct error *why) {
    struct span prefix = prefix_of(list->pattern);
    struct span from = span_compare(list->after, prefix) > 0 ? list->after : prefix;
    uint8_t bytes[KEY_NAME_BYTES_MAX + 1] = {0}; /* as key_write_name() would */
    size_t length = from.length < KEY_NAME_BYTES_MAX ? from.length : KEY_NAME_BYTES_MAX - 1;
    if (length > 0) {
        memcpy(bytes + 1, from.bytes, length);
    }
    MDB_val key = {.mv_size = length + 1, .mv_data = bytes};
    MDB_val value = {0};
    int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    enum error_code result = OK;
    while (code == 0 && result == OK && !list->is_over) {
        struct span name = span_of((uint8_t *)key.mv_data + 1, key.mv_size - 1);
        if (!span_has_prefix(name, prefix)) {
            break;
        }
        if (is_listed(list, name)) {
            result = give_open(list, name, why);
            if (result == OK && !list->is_over) {
                result = give_row(list, name, bytes_get_little(value.mv_data, 8), why);
            }
        }
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    return code == 0 || code == MDB_NOTFOUND ? result : store_error(why, code, "list channels");
}

enum error_code measure_list(const struct moment *moment, const struct storage_options *options,
                             struct span pattern, struct span after, size_t limit,
                             storage_on_row *on_row, void *context, struct error *why) {
    struct list list = {.moment = moment,
                        .options = options,
                        .pattern = pattern,
                        .after = after,
                        .limit = limit,
                        .on_row = on_row,
                        .context = context,
                        .is_over = limit == 0};
    MDB_cursor *cursor = NULL;
    list.open = calloc(limit + 1, sizeof(*list.open));
    if (list.open == NULL) {
        return error_set(why, ERR_MEMORY, "no memory to list channels");
    }
    enum error_code result = list_open(&list, why);
    int code = result == OK ? mdb_cursor_open(moment->txn, moment->store->names, &cursor) : 0;
    if (code != 0) {
        result = store_error(why, code, "list channels");
    }
    if (result == OK) {
        result = list_folded(&list, cursor, why);
        mdb_cursor_close(cursor);
    }
    if (result == OK) {
        result = give_open(&list, (struct span){0}, why);
    }
    free(list.open);
    return result;
}

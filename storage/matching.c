/* SPDX-License-Identifier: Apache-2.0 */
/* For a pattern the table of names is walked from what stands before its first wildcard, as long as
 * names begin with that: "a/b*" is no pattern, so this is a prefix of whole segments. Behind `a/`
 * the wildcard `**` stands for `a` too, which is looked up by itself. Then come the channels that
 * are in the open batch alone. */
#include "storage/matching.h"

#include <stdlib.h>
#include <string.h>

#include "broker/support/invariant.h"
#include "storage/bytes.h"

#define BATCH_STEP 64 /* channels listed under the batch's lock at once */

static int compare_selectors(const void *left, const void *right) {
    struct span a = (*(const struct storage_selector *const *)left)->text;
    struct span b = (*(const struct storage_selector *const *)right)->text;
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common == 0 ? 0 : memcmp(a.bytes, b.bytes, common);
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

enum error_code matching_init(struct matching *matching, const struct moment *moment,
                              const struct storage_selector *selectors, size_t selector_count,
                              bool (*on_match)(struct span, struct span), struct error *why) {
    *matching = (struct matching){.moment = moment,
                                  .selectors = selectors,
                                  .selector_count = selector_count,
                                  .on_match = on_match,
                                  .looked_max = SIZE_MAX};
    matching->names = calloc(selector_count + 1, sizeof(*matching->names));
    if (matching->names == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for %zu selectors", selector_count);
    }
    for (size_t i = 0; i < selector_count; i++) {
        if (!selectors[i].is_pattern) {
            matching->names[matching->name_count++] = &selectors[i];
        }
    }
    matching->patterns = matching->names + matching->name_count;
    for (size_t i = 0; i < selector_count; i++) {
        if (selectors[i].is_pattern) {
            matching->patterns[matching->pattern_count++] = &selectors[i];
        }
    }
    qsort(matching->names, matching->name_count, sizeof(matching->names[0]), compare_selectors);
    return OK;
}

void matching_finish(struct matching *matching) {
    free(matching->names);
    matching->names = NULL;
}

static bool is_named(const struct matching *matching, struct span name) {
    const struct storage_selector wanted = {.text = name};
    const struct storage_selector *key = &wanted;
    return matching->name_count > 0 && bsearch(&key, matching->names, matching->name_count,
                                               sizeof(key), compare_selectors) != NULL;
}

static bool is_matched(const struct matching *matching, size_t pattern_count, struct span name) {
    for (size_t i = 0; i < pattern_count; i++) {
        if (matching->on_match(matching->patterns[i]->text, name)) {
            return true;
        }
    }
    return false;
}

bool matching_has(const struct matching *matching, struct span name) {
    return is_named(matching, name) || is_matched(matching, matching->pattern_count, name);
}

bool matching_selects(const struct matching *matching, const struct storage_selector *selector,
                      struct span name) {
    return selector->is_pattern ? matching->on_match(selector->text, name)
                                : span_is_equal(selector->text, name);
}

/* --- the walk --- */

struct visit {
    struct matching *matching;
    matching_on_channel *on_channel;
    void *context;
};

static enum error_code visit_names(struct visit *visit, struct error *why) {
    struct matching *matching = visit->matching;
    const struct moment *moment = matching->moment;
    enum error_code result = OK;
    for (size_t i = 0; result == OK && !matching->is_over && i < matching->name_count; i++) {
        struct span name = matching->names[i]->text;
        uint64_t folded_id = 0;
        if (i > 0 && span_is_equal(name, matching->names[i - 1]->text)) {
            continue;
        }
        result = store_get_channel_id(moment->store, moment->txn, name, &folded_id, why);
        if (result == OK || result == ERR_NOT_FOUND) {
            result = visit->on_channel(visit->context, name, folded_id, why);
        }
    }
    return result;
}

/* A name that the pattern of this number may be the first to name. */
static enum error_code visit_candidate(struct visit *visit, size_t number, struct span name,
                                       uint64_t folded_id, struct error *why) {
    struct matching *matching = visit->matching;
    if (matching->looked >= matching->looked_max) {
        matching->is_cut = true;
        matching->is_over = true;
        return OK;
    }
    matching->looked++;
    if (!matching->on_match(matching->patterns[number]->text, name) || is_named(matching, name) ||
        is_matched(matching, number, name)) {
        return OK;
    }
    return visit->on_channel(visit->context, name, folded_id, why);
}

/* Names that begin with `prefix`, in order. */
static enum error_code visit_range(struct visit *visit, size_t number, struct span prefix,
                                   MDB_cursor *cursor, struct error *why) {
    uint8_t from[KEY_NAME_BYTES_MAX + 1];
    size_t length = 1 + prefix.length; /* as key_write_name() would */
    INVARIANT(length <= sizeof(from));
    from[0] = 0;
    memcpy(from + 1, prefix.bytes, prefix.length);
    MDB_val key = {.mv_size = length, .mv_data = from};
    MDB_val value = {0};
    int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    enum error_code result = OK;
    while (code == 0 && result == OK && !visit->matching->is_over && key.mv_size >= length &&
           memcmp(key.mv_data, from, length) == 0) {
        struct span name = span_of((uint8_t *)key.mv_data + 1, key.mv_size - 1);
        if (value.mv_size != 8) {
            return error_set(why, ERR_CORRUPT, "a row of the table of names is damaged");
        }
        result = visit_candidate(visit, number, name, bytes_get_little(value.mv_data, 8), why);
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    return code == 0 || code == MDB_NOTFOUND ? result : store_error(why, code, "walk its names");
}

static enum error_code visit_pattern(struct visit *visit, size_t number, MDB_cursor *cursor,
                                     struct error *why) {
    const struct moment *moment = visit->matching->moment;
    struct span pattern = visit->matching->patterns[number]->text;
    size_t length = 0;
    while (length < pattern.length && pattern.bytes[length] != '*') {
        length++;
    }
    struct span prefix = span_of(pattern.bytes, length);
    enum error_code result = OK;
    if (length > 1 && pattern.length - length == 2) { /* "a/" and `**`: `a` itself */
        struct span parent = span_of(pattern.bytes, length - 1);
        uint64_t folded_id = 0;
        result = store_get_channel_id(moment->store, moment->txn, parent, &folded_id, why);
        if (result == OK) {
            /* The cursor's name lives as long as the moment; the pattern's own may not. */
            result = visit_candidate(visit, number, parent, folded_id, why);
        }
        result = result == ERR_NOT_FOUND ? OK : result;
    }
    return result == OK && !visit->matching->is_over
               ? visit_range(visit, number, prefix, cursor, why)
               : result;
}

static enum error_code visit_folded(struct visit *visit, struct error *why) {
    const struct moment *moment = visit->matching->moment;
    MDB_cursor *cursor = NULL;
    int code = mdb_cursor_open(moment->txn, moment->store->names, &cursor);
    if (code != 0) {
        return store_error(why, code, "walk its names");
    }
    enum error_code result = OK;
    for (size_t i = 0;
         result == OK && !visit->matching->is_over && i < visit->matching->pattern_count; i++) {
        result = visit_pattern(visit, i, cursor, why);
    }
    mdb_cursor_close(cursor);
    return result;
}

/* Channels that LMDB does not have. */
static enum error_code visit_open(struct visit *visit, struct error *why) {
    struct matching *matching = visit->matching;
    const struct moment *moment = matching->moment;
    struct batch_channel channels[BATCH_STEP];
    size_t cursor = 0;
    size_t count = 0;
    enum error_code result = OK;
    while (result == OK && !matching->is_over &&
           (count = open_batch_list_channels(&moment->batch, &cursor, channels, BATCH_STEP)) > 0) {
        for (size_t i = 0; result == OK && !matching->is_over && i < count; i++) {
            struct span name = channels[i].name;
            uint64_t folded_id = 0;
            if (is_named(matching, name) || !is_matched(matching, matching->pattern_count, name)) {
                continue;
            }
            result = store_get_channel_id(moment->store, moment->txn, name, &folded_id, why);
            if (result == ERR_NOT_FOUND) {
                matching->looked++;
                result = visit->on_channel(visit->context, name, 0, why);
            }
        }
    }
    return result;
}

enum error_code matching_each(struct matching *matching, matching_on_channel *on_channel,
                              void *context, struct error *why) {
    struct visit visit = {matching, on_channel, context};
    matching->looked = 0;
    matching->is_cut = false;
    matching->is_over = false;
    enum error_code result = visit_names(&visit, why);
    if (result == OK && !matching->is_over && matching->pattern_count > 0) {
        result = visit_folded(&visit, why);
    }
    if (result == OK && !matching->is_over && matching->pattern_count > 0) {
        result = visit_open(&visit, why);
    }
    return result;
}

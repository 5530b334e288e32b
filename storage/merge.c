/* SPDX-License-Identifier: Apache-2.0 */
/* A selection, not a merge of cursors: of all channels' messages behind the start, the `capacity`
 * with the smallest positions are kept in a heap with the largest on top (for the newest: the other
 * way round). A channel is looked at once, from its first message behind the start, for as long as
 * its messages are smaller than the top; so channels cost time, and only picks cost memory. Then
 * the picks are read in order. What was not picked makes the page end before the head.
 *
 * A range of deletes is one pick, at the position of its last offset: a reader that crosses that is
 * told the whole range, once, however many pages other channels fill between. */
#include "storage/merge.h"

#include <stdlib.h>

#include "storage/resolve.h"
#include "storage/strand.h"

#define NEWEST_EXTRA 256 /* picks more than asked for: some may have expired */

/* A channel that has picks. */
struct lane {
    struct view view;
    struct strand strand;
    size_t picks;
    struct lane *next; /* of the spare ones */
};

struct pick {
    uint64_t position;
    uint64_t offset;
    uint64_t bytes;
    uint64_t deleted_from; /* 0: a message; else deletes from here through `offset` */
    struct lane *lane;
};

struct merge {
    struct many *many;
    struct pick *picks;
    size_t count;
    size_t allocated;
    size_t capacity;
    uint64_t bytes;
    bool has_dropped;  /* picks let go: nothing beyond the top is wanted any more */
    bool is_backwards; /* the newest `limit` are wanted */
    bool is_newest;    /* the heap keeps the largest positions */
    struct lane *spare;
};

/* --- lanes --- */

static struct lane *take_lane(struct merge *merge) {
    struct lane *lane = merge->spare;
    if (lane == NULL) {
        return calloc(1, sizeof(*lane));
    }
    merge->spare = lane->next;
    return lane;
}

static void give_lane_back(struct merge *merge, struct lane *lane) {
    lane->next = merge->spare;
    merge->spare = lane;
}

/* --- the heap --- */

static bool is_above(const struct merge *merge, const struct pick *left, const struct pick *right) {
    return merge->is_newest ? left->position < right->position : left->position > right->position;
}

static void swap(struct pick *left, struct pick *right) {
    struct pick kept = *left;
    *left = *right;
    *right = kept;
}

static void sink(struct merge *merge, size_t count) {
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count) {
            return;
        }
        if (child + 1 < count && is_above(merge, &merge->picks[child + 1], &merge->picks[child])) {
            child++;
        }
        if (!is_above(merge, &merge->picks[child], &merge->picks[at])) {
            return;
        }
        swap(&merge->picks[child], &merge->picks[at]);
        at = child;
    }
}

static void rise(struct merge *merge) {
    size_t at = merge->count - 1;
    while (at > 0 && is_above(merge, &merge->picks[at], &merge->picks[(at - 1) / 2])) {
        swap(&merge->picks[at], &merge->picks[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

/* Lets the top go. `current` is the lane that is being looked at. */
static void drop_top(struct merge *merge, const struct lane *current) {
    struct lane *lane = merge->picks[0].lane;
    merge->bytes -= merge->picks[0].bytes;
    merge->picks[0] = merge->picks[--merge->count];
    sink(merge, merge->count);
    merge->many->is_cut = true;
    merge->has_dropped = true;
    if (--lane->picks == 0 && lane != current) {
        give_lane_back(merge, lane);
    }
}

/* Whether the picks without the top fill a page already: the top cannot be part of it. */
static bool is_overfull(const struct merge *merge) {
    if (merge->count > merge->capacity) {
        return true;
    }
    bool is_by_bytes = !merge->many->query.is_conflated && merge->is_newest == merge->is_backwards;
    return is_by_bytes && merge->count > 1 &&
           merge->bytes - merge->picks[0].bytes > merge->many->query.bytes_max;
}

static enum error_code push(struct merge *merge, struct pick pick, struct error *why) {
    if (merge->count == merge->allocated) {
        size_t wanted = merge->allocated == 0 ? 64 : merge->allocated * 2;
        struct pick *grown = realloc(merge->picks, wanted * sizeof(*grown));
        if (grown == NULL) {
            return error_set(why, ERR_MEMORY, "no memory to merge channels");
        }
        merge->picks = grown;
        merge->allocated = wanted;
    }
    merge->picks[merge->count++] = pick;
    merge->bytes += pick.bytes;
    pick.lane->picks++;
    rise(merge);
    while (is_overfull(merge)) {
        drop_top(merge, pick.lane);
    }
    return OK;
}

/* True: nothing at `position` or beyond can be picked any more. */
static bool is_hopeless(const struct merge *merge, uint64_t position) {
    bool is_filled = merge->count >= merge->capacity || merge->has_dropped;
    if (merge->count == 0 || !is_filled) {
        return merge->capacity == 0;
    }
    return merge->is_newest ? position < merge->picks[0].position
                            : position > merge->picks[0].position;
}

/* --- picking --- */

/* The pick at `offset`, or the range of deletes that holds it, from `low` to before `before`. */
static enum error_code make_pick(struct lane *lane, uint64_t offset, uint64_t low, uint64_t before,
                                 struct pick *ret_pick, struct error *why) {
    uint64_t from = 0;
    uint64_t to = 0;
    struct strand_item item = {0};
    enum error_code result = strand_find_deleted(&lane->strand, offset, &from, &to, why);
    bool is_deleted = result == OK && from <= offset;
    if (is_deleted) {
        from = from < low ? low : from;
        offset = to < before ? to : before - 1;
    }
    if (result == OK) {
        result = strand_get_item(&lane->strand, offset, &item, why);
    }
    *ret_pick = (struct pick){.position = item.position,
                              .offset = offset,
                              .bytes = is_deleted ? 0 : item.bytes,
                              .deleted_from = is_deleted ? from : 0,
                              .lane = lane};
    return result;
}

static enum error_code pick_forth(struct merge *merge, struct lane *lane,
                                  const struct resolved *resolved, struct error *why) {
    enum error_code result = OK;
    uint64_t offset = resolved->after + 1;
    while (result == OK && offset < resolved->before) {
        struct pick pick;
        result = make_pick(lane, offset, lane->view.first, resolved->before, &pick, why);
        if (result == OK && is_hopeless(merge, pick.position)) {
            merge->many->is_cut = true;
            break;
        }
        if (result == OK) {
            result = push(merge, pick, why);
        }
        offset = pick.offset + 1;
    }
    return result;
}

static enum error_code pick_back(struct merge *merge, struct lane *lane,
                                 const struct resolved *resolved, struct error *why) {
    enum error_code result = OK;
    uint64_t offset = resolved->before - 1;
    while (result == OK && offset > resolved->after) {
        struct pick pick;
        result = make_pick(lane, offset, resolved->after + 1, resolved->before, &pick, why);
        if (result == OK && is_hopeless(merge, pick.position)) {
            break;
        }
        if (result == OK) {
            result = push(merge, pick, why);
        }
        offset = (pick.deleted_from > 0 ? pick.deleted_from : offset) - 1;
    }
    return result;
}

/* A folded channel often says without a search that no message of its can be picked. */
static bool has_nothing(struct merge *merge, const struct view *view) {
    if (view->batch.channel_id != 0 || !view->has_row) {
        return false;
    }
    if (merge->is_newest) {
        return is_hopeless(merge, view->row.position_last);
    }
    bool is_unborn = is_hopeless(merge, view->row.birth_position);
    merge->many->is_cut = merge->many->is_cut || is_unborn;
    return is_unborn;
}

static enum error_code pick_from(struct merge *merge, struct lane *lane, struct span name,
                                 struct error *why) {
    struct resolved resolved;
    enum error_code result = many_resolve(merge->many, name, &lane->view, &resolved, why);
    if (result != OK) {
        return result;
    }
    strand_init(&lane->strand, &lane->view, name);
    return merge->is_newest ? pick_back(merge, lane, &resolved, why)
                            : pick_forth(merge, lane, &resolved, why);
}

static enum error_code look(void *context, struct span name, uint64_t folded_id,
                            struct error *why) {
    struct merge *merge = context;
    struct lane *lane = take_lane(merge);
    bool is_beside = false;
    if (lane == NULL) {
        return error_set(why, ERR_MEMORY, "no memory to merge channels");
    }
    lane->picks = 0;
    enum error_code result = many_view(merge->many, name, folded_id, &lane->view, &is_beside, why);
    if (result == OK && !is_beside && !has_nothing(merge, &lane->view)) {
        result = pick_from(merge, lane, name, why);
    }
    if (lane->picks == 0) {
        give_lane_back(merge, lane);
    }
    return result;
}

/* --- giving out --- */

static int compare_picks(const void *left, const void *right) {
    uint64_t a = ((const struct pick *)left)->position;
    uint64_t b = ((const struct pick *)right)->position;
    return (a > b) - (a < b);
}

static enum error_code take(struct many *many, const struct pick *pick, struct error *why) {
    struct strand *strand = &pick->lane->strand;
    return pick->deleted_from > 0
               ? many_pass(many, strand, pick->deleted_from, pick->offset, pick->position,
                           GAP_DELETED, why)
               : many_take(many, strand, pick->offset, pick->position, pick->bytes, why);
}

static enum error_code give(struct merge *merge, struct error *why) {
    struct many *many = merge->many;
    enum error_code result = OK;
    if (merge->count == 0) {
        return OK;
    }
    qsort(merge->picks, merge->count, sizeof(merge->picks[0]), compare_picks);
    for (size_t i = 0; result == OK && i < merge->count; i++) {
        if (many->builder.is_full) {
            many->is_cut = true;
            break;
        }
        size_t at = merge->is_backwards ? merge->count - 1 - i : i;
        if (merge->is_backwards && merge->picks[at].deleted_from > 0) {
            continue; /* no step through the log: a hole between is passed over */
        }
        result = take(many, &merge->picks[at], why);
        if (many->builder.is_full && many->end.position != merge->picks[at].position) {
            many->is_cut = true; /* this one ended the page */
        }
    }
    return result;
}

static void finish(struct merge *merge) {
    for (size_t i = 0; i < merge->count; i++) {
        struct lane *lane = merge->picks[i].lane;
        if (--lane->picks == 0) {
            give_lane_back(merge, lane);
        }
    }
    while (merge->spare != NULL) {
        struct lane *lane = take_lane(merge);
        free(lane);
    }
    free(merge->picks);
}

static size_t choose_capacity(const struct storage_query *query) {
    size_t wanted = query->limit;
    if (query->start == STORAGE_NEWEST) {
        wanted = query->newest == 0                ? wanted + NEWEST_EXTRA
                 : query->newest > MERGE_PICKS_MAX ? MERGE_PICKS_MAX
                                                   : (size_t)query->newest;
    }
    if (query->is_conflated && wanted < BUILDER_LOOKED_MAX) {
        wanted = query->start == STORAGE_NEWEST && query->newest > 0 ? wanted : BUILDER_LOOKED_MAX;
    }
    return wanted > MERGE_PICKS_MAX ? MERGE_PICKS_MAX : wanted;
}

enum error_code merge_read(struct many *many, struct error *why) {
    bool is_newest = many->query.start == STORAGE_NEWEST;
    struct merge merge = {.many = many,
                          .capacity = choose_capacity(&many->query),
                          .is_newest = is_newest,
                          .is_backwards = is_newest && many->query.newest == 0};
    enum error_code result = matching_each(&many->matching, look, &merge, why);
    if (is_newest) {
        many->is_cut = false; /* what is older than the newest is not behind the page */
    }
    if (result == OK) {
        result = give(&merge, why);
    }
    finish(&merge);
    if (merge.is_backwards) {
        many->is_cut = false;
        builder_reverse(&many->builder);
    }
    return result;
}

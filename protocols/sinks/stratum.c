/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/stratum.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/channels/pattern.h"
#include "broker/support/invariant.h"
#include "broker/support/seek.h"
#include "protocols/sinks/lane_key.h"

#define CAPACITY_MIN 8

static_assert(STRATUM_RANGES_MAX > SINK_WINDOW_MAX, "a window has room in an empty stratum");
static_assert(STRATUM_TEXTS_BYTES_MAX >= CONFIG_LIST_ITEMS_MAX * (SCOPED_BYTES_MAX + 1),
              "the texts of any sink fit");

/* --- the view --------------------------------------------------------------------------------- */

void stratum_finish(struct stratum *stratum) {
    free(stratum->texts);
    free(stratum->ranges);
    free(stratum->holds);
    *stratum = (struct stratum){0};
}

void stratum_clear(struct stratum *stratum) {
    free(stratum->ranges);
    free(stratum->holds);
    stratum->ranges = NULL;
    stratum->holds = NULL;
    stratum->range_count = stratum->range_capacity = stratum->range_count_crowded = 0;
    stratum->hold_count = 0;
    stratum->reach = 0;
}

static enum sink_order order_of(const struct stratum_view *view) {
    return view->mode == SINK_MODE_ORDERED ? view->order : SINK_ORDER_CHANNEL;
}

enum error_code stratum_set_view(struct stratum *stratum, const struct stratum_view *view) {
    if (view->texts.length > STRATUM_TEXTS_BYTES_MAX) {
        return ERR_TOO_LARGE;
    }
    char *texts = malloc(view->texts.length + 1);
    if (texts == NULL) {
        return ERR_MEMORY;
    }
    if (view->texts.length > 0) {
        memcpy(texts, view->texts.bytes, view->texts.length);
    }
    texts[view->texts.length] = '\0';
    free(stratum->texts);
    stratum->texts = texts;
    stratum->texts_length = view->texts.length;
    stratum->has_lanes = view->mode == SINK_MODE_ORDERED;
    stratum->order = order_of(view);
    return OK;
}

bool stratum_has_view(const struct stratum *stratum, const struct stratum_view *view) {
    return stratum->texts != NULL && stratum->has_lanes == (view->mode == SINK_MODE_ORDERED) &&
           stratum->order == order_of(view) &&
           span_is_equal(span_of(stratum->texts, stratum->texts_length), view->texts);
}

static bool fits(const struct stratum *stratum, struct span channel) {
    size_t at = 0;
    while (at < stratum->texts_length) {
        struct span text = span_of_string(stratum->texts + at);
        if (pattern_matches(text, channel)) {
            return true;
        }
        at += text.length + 1;
    }
    return stratum->texts == NULL;
}

/* --- what is known ---------------------------------------------------------------------------- */

/* The first range that does not end before `position`; mostly there is none. */
static size_t seek_range(const struct stratum *stratum, uint64_t position) {
    size_t count = stratum->range_count;
    if (count > 0 && stratum->ranges[count - 1].last < position) {
        return count;
    }
    return SEEK_ROW(stratum->ranges, count, struct stratum_range, last, position);
}

/* NULL: the lane is not held. */
static const struct stratum_hold *find_hold(const struct stratum_hold *holds, size_t count,
                                            uint64_t lane) {
    size_t index = SEEK_ROW(holds, count, struct stratum_hold, lane, lane);
    return index < count && holds[index].lane == lane ? &holds[index] : NULL;
}

bool stratum_is_empty(const struct stratum *stratum) {
    return stratum->range_count == 0 && stratum->reach == 0;
}

uint64_t stratum_last(const struct stratum *stratum) {
    uint64_t last = stratum->range_count == 0 ? 0 : stratum->ranges[stratum->range_count - 1].last;
    return last > stratum->reach ? last : stratum->reach;
}

static bool is_in_range(const struct stratum *stratum, uint64_t position) {
    size_t range = seek_range(stratum, position);
    return range < stratum->range_count && stratum->ranges[range].first <= position;
}

static bool is_in_reach(const struct stratum *stratum, const struct message *message) {
    if (message->place.position > stratum->reach) {
        return false;
    }
    uint64_t lane = lane_key_hash(stratum->order, message);
    const struct stratum_hold *hold = find_hold(stratum->holds, stratum->hold_count, lane);
    return hold == NULL || message->place.position < hold->first;
}

bool stratum_is_done(const struct stratum *stratum, const struct message *message) {
    uint64_t position = message->place.position;
    return (is_in_range(stratum, position) || is_in_reach(stratum, message)) &&
           fits(stratum, message->fields.channel);
}

/* --- ranges ----------------------------------------------------------------------------------- */

static void close_gap(struct stratum *stratum, size_t index, size_t removed) {
    struct stratum_range *at = stratum->ranges + index;
    memmove(at, at + removed, (stratum->range_count - index - removed) * sizeof(*at));
    stratum->range_count -= removed;
}

static enum error_code insert(struct stratum *stratum, size_t index,
                              const struct stratum_range *range, size_t ranges_max) {
    if (stratum->range_count >= ranges_max) {
        return ERR_FULL;
    }
    if (stratum->range_count == stratum->range_capacity) {
        size_t wanted = stratum->range_capacity == 0 ? CAPACITY_MIN : stratum->range_capacity * 2;
        struct stratum_range *grown = realloc(stratum->ranges, wanted * sizeof(*grown));
        if (grown == NULL) {
            return ERR_MEMORY;
        }
        stratum->ranges = grown;
        stratum->range_capacity = wanted;
    }
    struct stratum_range *at = stratum->ranges + index;
    memmove(at + 1, at, (stratum->range_count - index) * sizeof(*at));
    *at = *range;
    stratum->range_count++;
    return OK;
}

/* Lies between the ranges `right - 1` and `right`, and touches what nothing separates from it. */
static enum error_code put_between(struct stratum *stratum, size_t right, uint64_t position,
                                   uint64_t previous, size_t ranges_max) {
    struct stratum_range *before = right > 0 ? &stratum->ranges[right - 1] : NULL;
    struct stratum_range *behind = right < stratum->range_count ? &stratum->ranges[right] : NULL;
    bool joins_before = before != NULL && previous != 0 && before->last >= previous;
    bool joins_behind = behind != NULL && behind->before != 0 && behind->before <= position;
    if (joins_before && joins_behind) {
        before->last = behind->last;
        close_gap(stratum, right, 1);
    } else if (joins_before) {
        before->last = position;
    } else if (joins_behind) {
        behind->first = position;
        behind->before = previous;
    } else {
        const struct stratum_range alone = {position, position, previous};
        return insert(stratum, right, &alone, ranges_max);
    }
    return OK;
}

enum error_code stratum_put_done(struct stratum *stratum, uint64_t position, uint64_t previous,
                                 size_t ranges_max) {
    size_t right = seek_range(stratum, position);
    if (right < stratum->range_count && stratum->ranges[right].first <= position) {
        return OK;
    }
    return put_between(stratum, right, position, previous, ranges_max);
}

enum error_code stratum_put_range(struct stratum *stratum, const struct stratum_range *range) {
    size_t count = stratum->range_count;
    INVARIANT(range->last >= range->first);
    INVARIANT(count == 0 || range->first > stratum->ranges[count - 1].last);
    return insert(stratum, count, range, STRATUM_RANGES_MAX);
}

/* `before`: of the message before the rest of a range that `position` cuts. */
static void drop_ranges(struct stratum *stratum, uint64_t position, uint64_t before) {
    size_t dropped = seek_range(stratum, position + 1);
    if (dropped > 0) {
        close_gap(stratum, 0, dropped);
    }
    if (stratum->range_count > 0 && stratum->ranges[0].first <= position) {
        stratum->ranges[0].first = position + 1;
        stratum->ranges[0].before = before;
    }
}

/* --- holds ------------------------------------------------------------------------------------ */

enum error_code stratum_put_hold(struct stratum *stratum, const struct stratum_hold *hold) {
    size_t count = stratum->hold_count;
    INVARIANT(count == 0 || hold->lane > stratum->holds[count - 1].lane);
    if (count >= STRATUM_HOLDS_MAX) {
        return ERR_FULL;
    }
    struct stratum_hold *grown = realloc(stratum->holds, (count + 1) * sizeof(*grown));
    if (grown == NULL) {
        return ERR_MEMORY;
    }
    stratum->holds = grown;
    stratum->holds[stratum->hold_count++] = *hold;
    return OK;
}

static int compare(const void *left, const void *right) {
    const struct stratum_hold *one = left, *other = right;
    if (one->lane != other->lane) {
        return one->lane < other->lane ? -1 : 1;
    }
    return one->first < other->first ? -1 : one->first > other->first;
}

/* Lanes that share a hash are one, held where the first of them is. */
static size_t sort(struct stratum_hold *holds, size_t count) {
    size_t kept = 0;
    if (count > 0) {
        qsort(holds, count, sizeof(*holds), compare);
    }
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || holds[kept - 1].lane != holds[i].lane) {
            holds[kept++] = holds[i];
        }
    }
    return kept;
}

/* The lane, of which all is done up to `reach`, may still be held beyond it. */
static bool is_held_beyond(const struct stratum *stratum, uint64_t reach, size_t index,
                           const struct stratum_hold *holds, size_t count,
                           struct stratum_hold *ret_hold) {
    *ret_hold = stratum->holds[index];
    ret_hold->first = ret_hold->first > reach ? ret_hold->first : reach + 1;
    return ret_hold->first <= stratum->reach && find_hold(holds, count, ret_hold->lane) == NULL;
}

bool stratum_is_crowded(const struct stratum *stratum) {
    return stratum->range_count >= STRATUM_RANGES_CROWDED &&
           stratum->range_count >= stratum->range_count_crowded;
}

/* The log is read from the floor again, perhaps, and `reach` is how far that has come: what the
 * holds from before say of lanes beyond it stays. */
enum error_code stratum_condense(struct stratum *stratum, uint64_t reach,
                                 struct stratum_hold *holds, size_t count) {
    struct stratum_hold hold;
    INVARIANT(stratum->has_lanes);
    count = sort(holds, count);
    size_t whole = count;
    for (size_t i = 0; i < stratum->hold_count; i++) {
        whole += is_held_beyond(stratum, reach, i, holds, count, &hold);
    }
    struct stratum_hold *merged =
        whole > STRATUM_HOLDS_MAX ? NULL : malloc((whole + 1) * sizeof(*merged));
    stratum->range_count_crowded = stratum->range_count + STRATUM_RANGES_CROWDED;
    if (merged == NULL) {
        free(holds);
        return whole > STRATUM_HOLDS_MAX ? ERR_FULL : ERR_MEMORY;
    }
    if (count > 0) {
        memcpy(merged, holds, count * sizeof(*merged));
    }
    for (size_t i = 0, next = count; i < stratum->hold_count; i++) {
        if (is_held_beyond(stratum, reach, i, holds, count, &hold)) {
            merged[next++] = hold;
        }
    }
    free(holds);
    free(stratum->holds);
    stratum->holds = merged;
    stratum->hold_count = sort(merged, whole);
    stratum->reach = stratum->reach > reach ? stratum->reach : reach;
    drop_ranges(stratum, reach, 0);
    stratum->range_count_crowded = stratum->range_count + STRATUM_RANGES_CROWDED;
    return OK;
}

size_t stratum_memory_bytes(const struct stratum *stratum) {
    return stratum->texts_length + stratum->range_capacity * sizeof(struct stratum_range) +
           stratum->hold_count * sizeof(struct stratum_hold);
}

void stratum_move_floor(struct stratum *stratum, uint64_t position) {
    drop_ranges(stratum, position, position);
    if (stratum->reach <= position && stratum->reach != 0) {
        free(stratum->holds);
        stratum->holds = NULL;
        stratum->hold_count = 0;
        stratum->reach = 0;
    }
}

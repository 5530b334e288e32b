/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges in order of channel and first offset; those of a channel that overlap are joined, so that
 * the last one that begins at or before an offset is the only one that can hold it. */
#include "storage/doomed.h"

#include <stdlib.h>

#include "broker/support/invariant.h"

struct range {
    uint64_t channel_id;
    uint64_t from;
    uint64_t to;
};

struct doomed {
    size_t count;
    struct range ranges[];
};

static int compare_ranges(const void *left, const void *right) {
    const struct range *a = left;
    const struct range *b = right;
    if (a->channel_id != b->channel_id) {
        return a->channel_id < b->channel_id ? -1 : 1;
    }
    return a->from < b->from ? -1 : a->from > b->from;
}

static size_t count_deletes(struct message *const *messages, size_t count) {
    size_t deletes = 0;
    for (size_t i = 0; i < count; i++) {
        deletes += messages[i]->fields.kind == MESSAGE_DELETE ? 1 : 0;
    }
    return deletes;
}

static void join(struct doomed *doomed) {
    size_t kept = 0;
    for (size_t i = 0; i < doomed->count; i++) {
        const struct range *next = &doomed->ranges[i];
        struct range *last = kept == 0 ? NULL : &doomed->ranges[kept - 1];
        if (last == NULL || last->channel_id != next->channel_id || next->from > last->to) {
            doomed->ranges[kept++] = *next;
        } else if (next->to > last->to) {
            last->to = next->to;
        }
    }
    doomed->count = kept;
}

enum error_code doomed_create(struct message *const *messages, size_t count,
                              struct doomed **ret_doomed, struct error *why) {
    size_t capacity = count_deletes(messages, count);
    *ret_doomed = NULL;
    if (capacity == 0) {
        return OK;
    }
    struct doomed *doomed = malloc(sizeof(*doomed) + capacity * sizeof(doomed->ranges[0]));
    if (doomed == NULL) {
        return error_set(why, ERR_MEMORY, "no memory to fold deletes");
    }
    doomed->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct range range = {.channel_id = messages[i]->place.channel_id};
        if (message_get_deleted(messages[i], &range.from, &range.to) && range.from <= range.to) {
            INVARIANT(doomed->count < capacity);
            doomed->ranges[doomed->count++] = range;
        }
    }
    qsort(doomed->ranges, doomed->count, sizeof(doomed->ranges[0]), compare_ranges);
    join(doomed);
    *ret_doomed = doomed;
    return OK;
}

bool doomed_has(const struct doomed *doomed, uint64_t channel_id, uint64_t offset) {
    struct range wanted = {.channel_id = channel_id, .from = offset};
    size_t low = 0;
    size_t high = doomed == NULL ? 0 : doomed->count; /* the first that begins behind the offset */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_ranges(&doomed->ranges[middle], &wanted) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && doomed->ranges[low - 1].channel_id == channel_id &&
           doomed->ranges[low - 1].to >= offset;
}

void doomed_destroy(struct doomed *doomed) {
    free(doomed);
}

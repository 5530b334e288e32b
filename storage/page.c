/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "storage/storage.h"

size_t storage_selectors_size(const struct storage_selector *selectors, size_t count) {
    size_t size = count * sizeof(*selectors);
    for (size_t i = 0; i < count; i++) {
        size += selectors[i].text.length;
    }
    return size;
}

void storage_selectors_copy(struct storage_selector *ret_copy,
                            const struct storage_selector *selectors, size_t count) {
    uint8_t *text = (uint8_t *)&ret_copy[count];
    for (size_t i = 0; i < count; i++) {
        struct span original = selectors[i].text;
        if (original.length > 0) {
            memcpy(text, original.bytes, original.length);
        }
        ret_copy[i] = (struct storage_selector){.text = span_of(text, original.length),
                                                .is_pattern = selectors[i].is_pattern};
        text += original.length;
    }
}

void storage_page_finish(struct storage_page *page) {
    for (size_t i = 0; i < page->count; i++) {
        message_unref(page->messages[i]);
    }
    free(page->messages);
    free(page->skipped);
    free(page->gaps);
    *page = (struct storage_page){0};
}

size_t storage_page_find_after(const struct storage_page *page, uint64_t position) {
    size_t low = 0;
    size_t high = page->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (page->messages[middle]->place.position > position) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

bool storage_page_next_gap(const struct storage_page *page, const struct storage_query *query,
                           size_t *index, struct storage_gap *ret_gap) {
    size_t at = (*index)++;
    if (query->selector_count > 0) {
        if (at < page->gap_count) {
            *ret_gap = page->gaps[at];
        }
        return at < page->gap_count;
    }
    *ret_gap =
        (struct storage_gap){.gap = page->gap,
                             .selector = query->channel,
                             .resumed = page->start,
                             .first = page->first,
                             .last = page->last,
                             .is_outlived = page->gap.reason == GAP_EXPIRED && page->first > 0 &&
                                            page->gap.from >= page->first};
    return at == 0 && page->has_gap;
}

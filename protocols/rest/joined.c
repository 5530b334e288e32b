/* SPDX-License-Identifier: Apache-2.0 */
/* A page does not say why it ended: at a hole, where its bytes were full, or where a walk had its
 * share. The one behind it tells: it begins with a gap, or reading ends with it. */
#include "protocols/rest/joined.h"

#include <stdlib.h>
#include <string.h>

#include "broker/support/invariant.h"

static bool has_gap(const struct storage_page *page) {
    return page->has_gap || page->gap_count > 0;
}

static enum error_code add_gaps(struct storage_page *page, const struct storage_page *from,
                                const struct storage_query *query) {
    struct storage_gap gap;
    size_t index = 0;
    while (storage_page_next_gap(from, query, &index, &gap)) {
        struct storage_gap *gaps = realloc(page->gaps, (page->gap_count + 1) * sizeof(*gaps));
        if (gaps == NULL) {
            return ERR_MEMORY;
        }
        gaps[page->gap_count++] = gap;
        page->gaps = gaps;
    }
    return OK;
}

static enum error_code add_messages(struct storage_page *page, struct storage_page *behind) {
    size_t count = page->count + behind->count;
    struct message **messages = realloc(page->messages, count * sizeof(struct message *));
    if (messages == NULL) {
        return ERR_MEMORY;
    }
    if (behind->count > 0) {
        memcpy(&messages[page->count], behind->messages, behind->count * sizeof(struct message *));
    }
    page->messages = messages;
    page->count = count;
    behind->count = 0;
    return OK;
}

/* Leaves of `behind` what storage_page_finish() frees. */
static enum error_code join(struct storage_page *page, const struct storage_query *query,
                            struct storage_page *behind) {
    bool is_first_join = query->selector_count == 0 && page->gap_count == 0;
    enum error_code code = is_first_join ? add_gaps(page, page, query) : OK;
    INVARIANT(behind->skipped == NULL);
    if (code == OK) {
        code = add_gaps(page, behind, query);
    }
    if (code == OK) {
        code = add_messages(page, behind);
    }
    page->bytes += behind->bytes;
    page->end = behind->end;
    page->at_head = behind->at_head;
    page->first = behind->first;
    page->last = behind->last;
    page->offset_last = behind->offset_last;
    return code;
}

static bool may_go_on(const struct storage_query *query, const struct storage_page *page) {
    /* The newest messages are looked for backwards, over all holes. */
    bool is_of_newest = query->start == STORAGE_NEWEST && query->newest == 0;
    return !is_of_newest && page->count > 0 && !page->at_head && page->count < query->limit &&
           page->bytes < query->bytes_max;
}

enum error_code joined_read(struct storage *storage, const struct storage_query *query,
                            struct storage_page *ret_page, struct error *why) {
    struct storage_query rest = *query;
    enum error_code code = storage_read(storage, query, ret_page, why);
    bool goes_on = code == OK;
    INVARIANT(!query->is_conflated);
    rest.start = STORAGE_AFTER_PLACE;
    for (size_t i = 0; goes_on && i < JOINED_HOLES_MAX && may_go_on(query, ret_page); i++) {
        struct storage_page behind;
        rest.place = ret_page->end;
        rest.limit = query->limit - (uint32_t)ret_page->count;
        rest.bytes_max = query->bytes_max - (uint32_t)ret_page->bytes;
        code = storage_read(storage, &rest, &behind, why);
        if (code != OK) {
            break;
        }
        goes_on = has_gap(&behind) && ret_page->bytes + behind.bytes <= query->bytes_max;
        if (goes_on) {
            code = join(ret_page, query, &behind);
        }
        storage_page_finish(&behind);
        goes_on = goes_on && code == OK;
    }
    if (code != OK) {
        storage_page_finish(ret_page);
    }
    return code;
}

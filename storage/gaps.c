/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/gaps.h"

#include <stdlib.h>

static bool is_told(const struct storage_gap *row) {
    return row->selector.length > 0;
}

static enum error_code make_rows(struct gaps *gaps, struct error *why) {
    if (gaps->rows == NULL) {
        gaps->rows = calloc(gaps->matching->selector_count, sizeof(*gaps->rows));
    }
    return gaps->rows == NULL ? error_set(why, ERR_MEMORY, "no memory to tell gaps") : OK;
}

static void set(struct storage_gap *row, const struct storage_selector *selector, struct gap gap,
                bool is_outlived) {
    row->is_outlived = is_outlived && (row->is_outlived || !is_told(row));
    if (is_told(row) && row->gap.to != 0 && gap.to > row->gap.to &&
        (row->gap.reason == GAP_EXPIRED || row->gap.reason == GAP_DELETED)) {
        row->gap.to = gap.to;
        row->gap.reason = gap.reason;
    } else if (!is_told(row)) {
        row->gap = gap;
    }
    row->selector = selector->text;
    row->is_pattern = selector->is_pattern;
}

enum error_code gaps_tell(struct gaps *gaps, const struct view *view, struct span name,
                          struct gap gap, uint64_t position, bool is_for_patterns_alone,
                          struct error *why) {
    const struct matching *matching = gaps->matching;
    if (gaps->is_quiet) {
        return OK;
    }
    uint64_t first = 0;
    bool is_outlived = gap.reason == GAP_EXPIRED && gap.from > 0 && gap.from >= view->first;
    enum error_code result = make_rows(gaps, why);
    if (result == OK && !is_for_patterns_alone) {
        result = view_find_kept(view, &first, why);
    }
    for (size_t i = 0; result == OK && i < matching->selector_count; i++) {
        const struct storage_selector *selector = &matching->selectors[i];
        struct storage_gap *row = &gaps->rows[i];
        if ((is_for_patterns_alone && !selector->is_pattern) ||
            !matching_selects(matching, selector, name)) {
            continue;
        }
        if (selector->is_pattern) {
            set(row, selector, (struct gap){.reason = gap.reason}, is_outlived);
            row->lost_position = position > row->lost_position ? position : row->lost_position;
            continue;
        }
        set(row, selector, gap, is_outlived);
        if (first <= view->offset_last) {
            row->first = first;
            row->last = view->offset_last;
        }
    }
    return result;
}

enum error_code gaps_tell_all(struct gaps *gaps, enum gap_reason reason, uint64_t position,
                              bool is_for_patterns_alone, struct error *why) {
    const struct matching *matching = gaps->matching;
    if (gaps->is_quiet) {
        return OK;
    }
    enum error_code result = make_rows(gaps, why);
    for (size_t i = 0; result == OK && i < matching->selector_count; i++) {
        const struct storage_selector *selector = &matching->selectors[i];
        if (selector->is_pattern || !is_for_patterns_alone) {
            set(&gaps->rows[i], selector, (struct gap){.reason = reason}, false);
            gaps->rows[i].lost_position = position;
        }
    }
    return result;
}

bool gaps_has_told_all(const struct gaps *gaps) {
    if (gaps->rows == NULL) {
        return gaps->matching->selector_count == 0;
    }
    for (size_t i = 0; i < gaps->matching->selector_count; i++) {
        if (!is_told(&gaps->rows[i])) {
            return false;
        }
    }
    return true;
}

void gaps_finish(struct gaps *gaps, const struct place *after, struct storage_page *page) {
    size_t count = 0;
    for (size_t i = 0; gaps->rows != NULL && i < gaps->matching->selector_count; i++) {
        struct storage_gap *row = &gaps->rows[i];
        if (!is_told(row)) {
            continue;
        }
        row->after = row->is_pattern ? *after : row->after;
        row->resumed = page->start;
        gaps->rows[count++] = *row;
    }
    page->gaps = gaps->rows;
    page->gap_count = count;
    gaps->rows = NULL;
}

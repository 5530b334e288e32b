/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/builder.h"

#include <stdlib.h>

#define PAGE_CAPACITY_MIN 16

void builder_init(struct builder *builder, const struct storage_query *query,
                  struct storage_page *page) {
    *page = (struct storage_page){0};
    *builder = (struct builder){.query = query, .page = page, .is_full = query->limit == 0};
}

bool builder_has_room(struct builder *builder, uint64_t bytes) {
    bool has =
        builder->page->count == 0 || builder->counted_bytes + bytes <= builder->query->bytes_max;
    builder->is_full = builder->is_full || !has;
    return has;
}

static bool grow(struct builder *builder) {
    struct storage_page *page = builder->page;
    size_t capacity = builder->capacity == 0 ? PAGE_CAPACITY_MIN : builder->capacity * 2;
    struct message **messages = realloc(page->messages, capacity * sizeof(struct message *));
    if (messages == NULL) {
        return false;
    }
    page->messages = messages;
    if (builder->query->is_conflated) {
        uint32_t *skipped = realloc(page->skipped, capacity * sizeof(*skipped));
        if (skipped == NULL) {
            return false;
        }
        page->skipped = skipped;
    }
    builder->capacity = capacity;
    return true;
}

enum error_code builder_put(struct builder *builder, struct message *message, uint64_t bytes,
                            struct error *why) {
    struct storage_page *page = builder->page;
    if (message == NULL || (page->count == builder->capacity && !grow(builder))) {
        message_unref(message);
        return error_set(why, ERR_MEMORY, "no memory for a page");
    }
    if (builder->query->is_conflated) {
        page->skipped[page->count] = builder->skipped;
        builder->skipped = 0;
    }
    page->messages[page->count++] = message;
    page->bytes += message_size(message);
    builder->counted_bytes += bytes;
    builder->is_full = page->count >= builder->query->limit;
    return OK;
}

bool builder_skip(struct builder *builder) {
    if (builder->skipped_total >= BUILDER_LOOKED_MAX) {
        builder->is_full = true;
        return false;
    }
    builder->skipped++;
    builder->skipped_total++;
    return true;
}

bool builder_pass(struct builder *builder) {
    if (builder->page->count > 0 || builder->skipped > 0 ||
        builder->holes >= builder->query->limit) {
        builder->is_full = true;
        return false;
    }
    builder->holes++;
    return true;
}

/* What was left out before a message on the way back stands behind it on the way forth. */
void builder_reverse(struct builder *builder) {
    struct storage_page *page = builder->page;
    for (size_t i = 0; i < page->count / 2; i++) {
        size_t at = page->count - 1 - i;
        struct message *message = page->messages[i];
        page->messages[i] = page->messages[at];
        page->messages[at] = message;
        if (page->skipped != NULL) {
            uint32_t skipped = page->skipped[i];
            page->skipped[i] = page->skipped[at];
            page->skipped[at] = skipped;
        }
    }
    for (size_t i = 0; page->skipped != NULL && i < page->count; i++) {
        uint32_t behind = page->skipped[i];
        page->skipped[i] = builder->skipped;
        builder->skipped = behind;
    }
}

void builder_finish(struct builder *builder) {
    builder->page->skipped_behind = builder->skipped;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/filters.h"

#include <stdlib.h>
#include <string.h>

#include "broker/channels/pattern.h"
#include "broker/limits.h"
#include "broker/support/invariant.h"
#include "protocols/mqtt/topic.h"

#define CAPACITY_FIRST 4

void filters_finish(struct filters *filters) {
    for (uint32_t i = 0; i < filters->count; i++) {
        free(filters->list[i]);
    }
    free(filters->list);
    *filters = (struct filters){0};
}

/* --- one filter ----------------------------------------------------------------------------- */

/* Copies the filter as a pattern; returns its length. */
static size_t translate(struct span filter, uint8_t *ret_pattern) {
    size_t length = 0;
    for (size_t i = 0; i < filter.length; i++) {
        uint8_t byte = filter.bytes[i];
        ret_pattern[length++] = byte == '+' || byte == '#' ? '*' : byte;
        if (byte == '#') {
            ret_pattern[length++] = '*';
        }
    }
    return length;
}

static enum error_code check(struct span filter, struct span pattern, struct error *why) {
    if (memchr(filter.bytes, '*', filter.length) != NULL) {
        return error_set(why, ERR_BAD_CHANNEL, "No topic has a '*'");
    }
    return pattern_check(pattern, true, why);
}

enum error_code filter_create(struct span text, const struct filter_options *options,
                              struct filter **ret_filter, struct error *why) {
    struct span share = {0};
    struct span filter_part = {0};
    mqtt_filter_split(text, &share, &filter_part);
    INVARIANT(text.length <= UINT16_MAX);
    if (filter_part.length == 0 || filter_part.length > CHANNEL_NAME_BYTES_MAX) {
        return error_set(why, ERR_BAD_CHANNEL, "A topic filter has 1 to %d bytes",
                         CHANNEL_NAME_BYTES_MAX);
    }
    /* `#` is the last byte, if it is there: one more. */
    struct filter *filter = calloc(1, sizeof(*filter) + text.length + filter_part.length + 1);
    if (filter == NULL) {
        return error_set(why, ERR_MEMORY, "There was no memory for the subscription");
    }
    filter->options = *options;
    filter->text_length = (uint16_t)text.length;
    memcpy(filter->bytes, text.bytes, text.length);
    filter->pattern_length = (uint16_t)translate(filter_part, filter->bytes + text.length);
    enum error_code code = check(filter_part, filter_pattern(filter), why);
    if (code != OK) {
        free(filter);
        return code;
    }
    *ret_filter = filter;
    return OK;
}

/* --- all of them ---------------------------------------------------------------------------- */

static bool find_index(const struct filters *filters, struct span text, uint32_t *ret_index) {
    for (uint32_t i = 0; i < filters->count; i++) {
        if (span_is_equal(filter_text(filters->list[i]), text)) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

struct filter *filters_find(const struct filters *filters, struct span text) {
    uint32_t index = 0;
    return find_index(filters, text, &index) ? filters->list[index] : NULL;
}

static enum error_code reserve(struct filters *filters) {
    if (filters->count < filters->capacity) {
        return OK;
    }
    uint32_t capacity = filters->capacity == 0 ? CAPACITY_FIRST : filters->capacity * 2;
    struct filter **list = realloc(filters->list, capacity * sizeof(struct filter *));
    if (list == NULL) {
        return ERR_MEMORY;
    }
    filters->list = list;
    filters->capacity = capacity;
    return OK;
}

enum error_code filters_put(struct filters *filters, struct filter *filter) {
    uint32_t index = 0;
    if (find_index(filters, filter_text(filter), &index)) {
        free(filters->list[index]);
        filters->list[index] = filter;
        return OK;
    }
    if (filters->count >= SELECTORS_MAX) {
        return ERR_FULL;
    }
    enum error_code code = reserve(filters);
    if (code == OK) {
        filters->list[filters->count++] = filter;
    }
    return code;
}

bool filters_drop(struct filters *filters, struct span text) {
    uint32_t index = 0;
    if (!find_index(filters, text, &index)) {
        return false;
    }
    free(filters->list[index]);
    filters->count--;
    memmove(&filters->list[index], &filters->list[index + 1],
            (filters->count - index) * sizeof(struct filter *));
    return true;
}

size_t filters_count(const struct filters *filters, enum filter_kind kind) {
    size_t count = 0;
    for (uint32_t i = 0; i < filters->count; i++) {
        count += filters->list[i]->options.kind == kind;
    }
    return count;
}

/* --- choosing ------------------------------------------------------------------------------- */

static bool is_for(const struct filter *filter, const struct message *message,
                   struct span client_id) {
    const struct filter_options *options = &filter->options;
    if (options->kind != FILTER_LOG || message->place.position <= options->start ||
        !pattern_matches(filter_pattern(filter), message->fields.channel)) {
        return false;
    }
    return !options->is_no_local || !span_is_equal(message->fields.publisher, client_id);
}

void filters_choose(const struct filters *filters, const struct message *message,
                    struct span client_id, struct filters_choice *ret_choice,
                    const struct filter **ret_matching) {
    *ret_choice = (struct filters_choice){0};
    for (uint32_t i = 0; i < filters->count; i++) {
        const struct filter *filter = filters->list[i];
        if (!is_for(filter, message, client_id)) {
            continue;
        }
        if (ret_matching != NULL) {
            ret_matching[ret_choice->match_count] = filter;
        }
        ret_choice->match_count++;
        ret_choice->is_retained_as_published |= filter->options.is_retained_as_published;
        ret_choice->asks_offset |= filter->options.asks_offset;
        if (filter->options.qos > ret_choice->qos) {
            ret_choice->qos = filter->options.qos;
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/filters.h"

#include <stdlib.h>
#include <string.h>

#include "broker/channels/pattern.h"
#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/support/buffer.h"
#include "broker/support/invariant.h"
#include "protocols/mqtt/topic.h"

static struct filter **slots_of(struct filters *filters) {
    return filters->capacity > 1 ? filters->list : &filters->one;
}

void filters_finish(struct filters *filters) {
    for (uint32_t i = 0; i < filters->count; i++) {
        free(slots_of(filters)[i]);
    }
    if (filters->capacity > 1) {
        free(filters->list);
    }
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

static bool has_wildcard(struct span text) {
    return memchr(text.bytes, '+', text.length) != NULL ||
           memchr(text.bytes, '#', text.length) != NULL;
}

/* The scope, then the filter as a pattern. Returns the length. */
static size_t put_pattern(struct span filter, struct span scope, uint8_t *ret_pattern) {
    if (scope.length > 0) {
        memcpy(ret_pattern, scope.bytes, scope.length);
    }
    return scope.length + translate(filter, ret_pattern + scope.length);
}

/* `scope` stands before the pattern; empty: nothing does. */
static enum error_code create(struct span text, struct span filter_part, struct span scope,
                              struct filter **ret_filter, struct error *why) {
    /* `#` is the last byte, if it is there: one more. */
    bool is_same = filter_part.length == text.length && scope.length == 0 && !has_wildcard(text);
    size_t text_bytes = text.length + (is_same ? 0 : scope.length + filter_part.length + 1);
    struct filter *filter = calloc(1, offsetof(struct filter, bytes) + text_bytes);
    if (filter == NULL) {
        return error_set(why, ERR_MEMORY, "There was no memory for the subscription");
    }
    filter->text_length = (uint16_t)text.length;
    memcpy(filter->bytes, text.bytes, text.length);
    filter->pattern_length = (uint16_t)text.length;
    if (!is_same) {
        filter->pattern_start = (uint16_t)text.length;
        filter->pattern_length =
            (uint16_t)put_pattern(filter_part, scope, filter->bytes + text.length);
    }
    struct span pattern = filter_pattern(filter);
    struct span visible = span_of(pattern.bytes + scope.length, pattern.length - scope.length);
    enum error_code code = check(filter_part, visible, why);
    if (code != OK) {
        free(filter);
        return code;
    }
    *ret_filter = filter;
    return OK;
}

enum error_code filter_create(struct span text, struct span tenant,
                              const struct filter_options *options, struct filter **ret_filter,
                              struct error *why) {
    struct span share = {0};
    struct span filter_part = {0};
    struct buffer scope;
    mqtt_filter_split(text, &share, &filter_part);
    INVARIANT(text.length <= UINT16_MAX);
    if (filter_part.length == 0 || filter_part.length > CHANNEL_NAME_BYTES_MAX) {
        return error_set(why, ERR_BAD_CHANNEL, "A topic filter has 1 to %d bytes",
                         CHANNEL_NAME_BYTES_MAX);
    }
    bool is_scoped =
        tenant.length > 0 && (options->kind == FILTER_LOG || options->kind == FILTER_SHARED);
    buffer_init(&scope, SCOPED_BYTES_MAX);
    enum error_code code = is_scoped ? scope_put(&scope, tenant, (struct span){0}) : OK;
    if (code == OK) {
        code = create(text, filter_part, buffer_borrow(&scope), ret_filter, why);
    }
    buffer_finish(&scope);
    if (code == OK) {
        (*ret_filter)->options = *options;
    }
    return code;
}

/* --- all of them ---------------------------------------------------------------------------- */

static bool find_index(const struct filters *filters, struct span text, uint32_t *ret_index) {
    for (uint32_t i = 0; i < filters->count; i++) {
        if (span_is_equal(filter_text(filters_list(filters)[i]), text)) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

struct filter *filters_find(const struct filters *filters, struct span text) {
    uint32_t index = 0;
    return find_index(filters, text, &index) ? filters_list(filters)[index] : NULL;
}

static enum error_code reserve(struct filters *filters) {
    if (filters->count < filters->capacity) {
        return OK;
    }
    if (filters->capacity == 0) {
        filters->capacity = 1;
        return OK;
    }
    uint32_t capacity = filters->capacity * 2;
    struct filter **array = filters->capacity > 1 ? filters->list : NULL;
    struct filter **list = realloc(array, capacity * sizeof(struct filter *));
    if (list == NULL) {
        return ERR_MEMORY;
    }
    if (filters->capacity == 1) {
        list[0] = filters->one;
    }
    filters->list = list;
    filters->capacity = capacity;
    return OK;
}

enum error_code filters_put(struct filters *filters, struct filter *filter) {
    uint32_t index = 0;
    if (find_index(filters, filter_text(filter), &index)) {
        free(slots_of(filters)[index]);
        slots_of(filters)[index] = filter;
        return OK;
    }
    if (filters->count >= SELECTORS_MAX) {
        return ERR_FULL;
    }
    enum error_code code = reserve(filters);
    if (code == OK) {
        slots_of(filters)[filters->count++] = filter;
    }
    return code;
}

size_t filters_count_patterns(const struct filters *filters) {
    size_t count = 0;
    for (uint32_t i = 0; i < filters->count; i++) {
        count += pattern_is_pattern(filter_pattern(filters_list(filters)[i]));
    }
    return count;
}

bool filters_drop(struct filters *filters, struct span text) {
    uint32_t index = 0;
    if (!find_index(filters, text, &index)) {
        return false;
    }
    struct filter **slots = slots_of(filters);
    free(slots[index]);
    filters->count--;
    memmove(&slots[index], &slots[index + 1], (filters->count - index) * sizeof(struct filter *));
    return true;
}

bool filters_read(const struct filters *filters, struct span channel) {
    for (uint32_t i = 0; i < filters->count; i++) {
        const struct filter *filter = filters_list(filters)[i];
        if (filter->options.kind == FILTER_LOG &&
            pattern_matches(filter_pattern(filter), channel)) {
            return true;
        }
    }
    return false;
}

size_t filters_count(const struct filters *filters, enum filter_kind kind) {
    size_t count = 0;
    for (uint32_t i = 0; i < filters->count; i++) {
        count += filters_list(filters)[i]->options.kind == kind;
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
        const struct filter *filter = filters_list(filters)[i];
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

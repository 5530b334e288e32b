/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/selectors.h"

#include <stdlib.h>

#include "broker/channels/name.h"
#include "broker/channels/pattern.h"
#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/support/invariant.h"
#include "broker/support/percent.h"
#include "protocols/http/query.h"

size_t selectors_count_of_query(struct span query) {
    return query_count(query, "channel");
}

static enum error_code check(struct storage_selector *selector, bool may_have_empty_segments,
                             struct error *why) {
    selector->is_pattern = pattern_is_pattern(selector->text);
    enum error_code code = selector->is_pattern
                               ? pattern_check(selector->text, may_have_empty_segments, why)
                               : channel_name_check(selector->text, may_have_empty_segments, why);
    return error_blame(why, code, "channel");
}

enum error_code selectors_create_one(struct span text, bool may_have_empty_segments,
                                     struct storage_selector **ret_selectors, struct error *why) {
    struct storage_selector checked = {.text = text};
    enum error_code code = check(&checked, may_have_empty_segments, why);
    if (code != OK) {
        return code;
    }
    struct storage_selector *selector = malloc(sizeof(*selector) + text.length);
    if (selector == NULL) {
        return ERR_MEMORY;
    }
    uint8_t *bytes = (uint8_t *)(selector + 1);
    memcpy(bytes, text.bytes, text.length);
    *selector = checked;
    selector->text.bytes = bytes;
    *ret_selectors = selector;
    return OK;
}

static bool is_among(const struct storage_selector *selectors, size_t count, struct span text) {
    for (size_t i = 0; i < count; i++) {
        if (span_is_equal(selectors[i].text, text)) {
            return true;
        }
    }
    return false;
}

/* Decodes into `room`, which has the encoded text's length: a decoded one is never longer. */
static enum error_code decode(struct span encoded, uint8_t *room,
                              struct storage_selector *ret_selector, struct error *why) {
    size_t length = 0;
    while (encoded.length > 0) {
        if (!percent_take_byte(&encoded, PERCENT_QUERY, &room[length++])) {
            return error_set_field(why, ERR_BAD_CHANNEL, "channel",
                                   "an escape in the name is no two hexadecimal digits");
        }
    }
    *ret_selector = (struct storage_selector){.text = span_of(room, length)};
    return check(ret_selector, true, why);
}

static enum error_code fill(struct span query, struct storage_selector *selectors, uint8_t *room,
                            size_t *ret_count, struct error *why) {
    struct span name, value;
    size_t count = 0;
    while (query_next(&query, &name, &value)) {
        if (!query_name_is(name, "channel")) {
            continue;
        }
        enum error_code code = decode(value, room, &selectors[count], why);
        if (code != OK) {
            return code;
        }
        if (!is_among(selectors, count, selectors[count].text)) {
            room += selectors[count].text.length;
            count++;
        }
    }
    *ret_count = count;
    return OK;
}

enum error_code selectors_create_of_query(struct span query,
                                          struct storage_selector **ret_selectors,
                                          size_t *ret_count, struct error *why) {
    size_t count = selectors_count_of_query(query);
    *ret_selectors = NULL;
    *ret_count = 0;
    if (count == 0) {
        return OK;
    }
    if (count > SELECTORS_MAX) {
        return error_set_field(why, ERR_BAD_REQUEST, "channel", "at most %d channels are read",
                               SELECTORS_MAX);
    }
    struct storage_selector *selectors = malloc(count * sizeof(*selectors) + query.length);
    if (selectors == NULL) {
        return ERR_MEMORY;
    }
    enum error_code code = fill(query, selectors, (uint8_t *)(selectors + count), ret_count, why);
    if (code != OK) {
        free(selectors);
        return code;
    }
    INVARIANT(*ret_count > 0);
    *ret_selectors = selectors;
    return OK;
}

enum error_code selectors_scope(struct storage_selector **selectors, size_t count,
                                struct span tenant) {
    struct storage_selector *old = *selectors;
    struct storage_selector *scoped = NULL;
    struct buffer texts;
    enum error_code code = OK;
    size_t more = tenant.length == 0 ? 0 : tenant.length + 2; /* what scope_put() adds to each */
    buffer_init(&texts, count * SCOPED_BYTES_MAX);
    for (size_t i = 0; code == OK && i < count; i++) {
        code = scope_put(&texts, tenant, old[i].text);
    }
    if (code == OK) {
        scoped = malloc(count * sizeof(*scoped) + texts.length);
        code = scoped == NULL ? ERR_MEMORY : OK;
    }
    if (code == OK) {
        uint8_t *room = memcpy(scoped + count, texts.bytes, texts.length);
        for (size_t i = 0; i < count; i++) {
            size_t length = old[i].text.length + more;
            scoped[i] = old[i];
            scoped[i].text = span_of(room, length);
            room += length;
        }
        free(old);
        *selectors = scoped;
    }
    buffer_finish(&texts);
    return code;
}

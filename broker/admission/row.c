/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/row.h"

#include <stdlib.h>

#include "broker/admission/idempotency.h"
#include "broker/support/invariant.h"

enum error_code row_make_fingerprint(const struct config_scope *scope, const void *values,
                                     struct span kind, struct span beside,
                                     uint64_t *ret_fingerprint) {
    size_t part_count = 0;
    size_t room = scope->row_count * (CONFIG_LIST_ITEMS_MAX + 2);
    struct span *parts = malloc(room * sizeof(*parts));
    uint64_t counts[64];
    INVARIANT(scope->row_count <= ARRAY_COUNT(counts));
    if (parts == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < scope->row_count; i++) {
        const struct config_row *row = &scope->rows[i];
        const void *field = (const char *)values + row->offset;
        if (config_type_is_text(row->type)) {
            parts[part_count++] = span_of_string(*(char *const *)field);
        } else if (config_type_is_list(row->type)) {
            const struct config_list *list = field;
            counts[i] = list->is_given ? list->count + 1 : 0;
            parts[part_count++] = span_of(&counts[i], sizeof(counts[i]));
            for (size_t item = 0; item < list->count; item++) {
                parts[part_count++] = span_of_string(list->items[item]);
            }
        } else {
            INVARIANT(row->type == CONFIG_SWITCH); /* no row of these lists has another */
            parts[part_count++] = span_of(field, sizeof(bool));
        }
    }
    uint8_t hash[IDEMPOTENCY_HASH_BYTES];
    enum error_code code = idempotency_hash(kind, beside, parts, part_count, hash);
    free(parts);
    if (code == OK) {
        uint64_t halves[2];
        memcpy(&halves[0], hash, sizeof(halves[0]));
        memcpy(&halves[1], hash + IDEMPOTENCY_KEY_HASH_BYTES, sizeof(halves[1]));
        *ret_fingerprint = halves[0] ^ halves[1];
    }
    return code;
}

enum error_code row_make_rights(const struct config_list *const *lists, struct grants **ret_rights,
                                struct error *why) {
    struct grants *rights = grants_create();
    enum error_code code = rights == NULL ? error_set(why, ERR_MEMORY, "no memory for rights") : OK;
    for (size_t action = 0; code == OK && action < ACTION_COUNT; action++) {
        for (size_t i = 0; code == OK && i < lists[action]->count; i++) {
            code = grants_add(rights, (enum action)action, span_of_string(lists[action]->items[i]),
                              why);
        }
    }
    if (code != OK) {
        grants_destroy(rights);
        return code;
    }
    *ret_rights = rights;
    return OK;
}

unsigned row_given_of(const struct config_list *const *lists) {
    unsigned given = 0;
    for (size_t action = 0; action < ACTION_COUNT; action++) {
        given |= lists[action]->is_given ? 1u << action : 0;
    }
    return given;
}

enum error_code row_copy_text(const char *text, char **ret_copy) {
    *ret_copy = text == NULL ? NULL : strdup(text);
    return text != NULL && *ret_copy == NULL ? ERR_MEMORY : OK;
}

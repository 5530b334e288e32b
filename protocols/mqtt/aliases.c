/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/aliases.h"

#include <stdlib.h>
#include <string.h>

#include "broker/limits.h"
#include "broker/support/invariant.h"

struct alias {
    uint16_t length;
    uint8_t topic[];
};

struct aliases {
    uint32_t count;
    struct alias *list[]; /* alias 1 first; NULL: not set */
};

static enum error_code make_room(struct aliases **aliases, uint16_t alias) {
    uint32_t before = *aliases == NULL ? 0 : (*aliases)->count;
    if (alias <= before) {
        return OK;
    }
    struct aliases *larger =
        realloc(*aliases, sizeof(*larger) + (size_t)alias * sizeof(larger->list[0]));
    if (larger == NULL) {
        return ERR_MEMORY;
    }
    memset(&larger->list[before], 0, (alias - before) * sizeof(larger->list[0]));
    larger->count = alias;
    *aliases = larger;
    return OK;
}

enum error_code aliases_set(struct aliases **aliases, uint16_t alias, struct span topic) {
    size_t length =
        topic.length > CHANNEL_NAME_BYTES_MAX ? CHANNEL_NAME_BYTES_MAX + 1 : topic.length;
    INVARIANT(alias > 0);
    struct alias *set = malloc(sizeof(*set) + length);
    if (set == NULL || make_room(aliases, alias) != OK) {
        free(set);
        return ERR_MEMORY;
    }
    set->length = (uint16_t)length;
    memcpy(set->topic, topic.bytes, length);
    free((*aliases)->list[alias - 1]);
    (*aliases)->list[alias - 1] = set;
    return OK;
}

bool aliases_find(const struct aliases *aliases, uint16_t alias, struct span *ret_topic) {
    if (aliases == NULL || alias == 0 || alias > aliases->count ||
        aliases->list[alias - 1] == NULL) {
        return false;
    }
    const struct alias *found = aliases->list[alias - 1];
    *ret_topic = span_of(found->topic, found->length);
    return true;
}

void aliases_destroy(struct aliases *aliases) {
    for (uint32_t i = 0; aliases != NULL && i < aliases->count; i++) {
        free(aliases->list[i]);
    }
    free(aliases);
}

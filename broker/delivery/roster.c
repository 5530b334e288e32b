/* SPDX-License-Identifier: Apache-2.0 */
/* Stored (varints): how many; of each the length of its name, the name, how long it is kept, and
 * when it is not any more (0: it is here). */
#include "broker/delivery/roster.h"

#include <stdlib.h>

#include "broker/limits.h"
#include "broker/support/varint.h"

struct absence {
    struct map_node in_roster;
    uint64_t kept_ms;
    uint64_t until_ms; /* 0: it is here */
    uint8_t name[];
};

static struct absence *absence_of(struct map_node *node) {
    return CONTAINER_OF(node, struct absence, in_roster);
}

static uint64_t end_of(uint64_t kept_ms, uint64_t now_ms) {
    return kept_ms > ROSTER_FOR_EVER - now_ms ? ROSTER_FOR_EVER : now_ms + kept_ms;
}

enum error_code roster_init(struct roster *roster) {
    return map_init(&roster->by_name);
}

void roster_finish(struct roster *roster) {
    struct map_node *next;
    for (struct map_node *node = map_first(&roster->by_name); node != NULL; node = next) {
        next = map_next(&roster->by_name, node);
        map_remove(&roster->by_name, node);
        free(absence_of(node));
    }
    map_finish(&roster->by_name);
}

size_t roster_count(const struct roster *roster) {
    return map_count(&roster->by_name);
}

bool roster_has(const struct roster *roster, struct span name) {
    return map_find(&roster->by_name, name) != NULL;
}

enum error_code roster_put_here(struct roster *roster, struct span name, uint64_t kept_ms) {
    struct map_node *node = map_find(&roster->by_name, name);
    if (node != NULL) {
        absence_of(node)->kept_ms = kept_ms;
        absence_of(node)->until_ms = 0;
        return OK;
    }
    if (roster_count(roster) >= GROUP_KEPT_MAX) {
        return ERR_FULL;
    }
    struct absence *absence = calloc(1, sizeof(*absence) + name.length);
    if (absence == NULL) {
        return ERR_MEMORY;
    }
    absence->kept_ms = kept_ms;
    if (name.length > 0) {
        memcpy(absence->name, name.bytes, name.length);
    }
    map_put(&roster->by_name, &absence->in_roster, span_of(absence->name, name.length));
    return OK;
}

void roster_put_away(struct roster *roster, struct span name, uint64_t kept_ms, uint64_t now_ms) {
    struct map_node *node = map_find(&roster->by_name, name);
    if (node != NULL) {
        absence_of(node)->kept_ms = kept_ms;
        absence_of(node)->until_ms = end_of(kept_ms, now_ms);
    }
}

bool roster_remove(struct roster *roster, struct span name) {
    struct map_node *node = map_find(&roster->by_name, name);
    if (node == NULL) {
        return false;
    }
    map_remove(&roster->by_name, node);
    free(absence_of(node));
    return true;
}

size_t roster_expire(struct roster *roster, uint64_t now_ms, uint64_t *ret_next_ms) {
    size_t expired = 0;
    struct map_node *next;
    *ret_next_ms = ROSTER_FOR_EVER;
    for (struct map_node *node = map_first(&roster->by_name); node != NULL; node = next) {
        next = map_next(&roster->by_name, node);
        uint64_t until_ms = absence_of(node)->until_ms;
        if (until_ms == 0 || until_ms == ROSTER_FOR_EVER) {
            continue;
        }
        if (until_ms <= now_ms) {
            map_remove(&roster->by_name, node);
            free(absence_of(node));
            expired++;
        } else if (until_ms < *ret_next_ms) {
            *ret_next_ms = until_ms;
        }
    }
    return expired;
}

enum error_code roster_encode(const struct roster *roster, struct buffer *buffer) {
    enum error_code code = varint_put(buffer, roster_count(roster));
    for (struct map_node *node = map_first(&roster->by_name); code == OK && node != NULL;
         node = map_next(&roster->by_name, node)) {
        const struct absence *absence = absence_of(node);
        code = varint_put(buffer, node->key.length);
        code = code == OK ? buffer_put(buffer, node->key) : code;
        code = code == OK ? varint_put(buffer, absence->kept_ms) : code;
        code = code == OK ? varint_put(buffer, absence->until_ms) : code;
    }
    return code;
}

static enum error_code take_one(struct roster *roster, struct span *rest, uint64_t now_ms) {
    uint64_t length = 0;
    uint64_t kept_ms = 0;
    uint64_t until_ms = 0;
    if (!varint_take(rest, &length) || length > rest->length) {
        return ERR_CORRUPT;
    }
    struct span name = span_of(rest->bytes, (size_t)length);
    *rest = span_of(rest->bytes + length, rest->length - (size_t)length);
    if (!varint_take(rest, &kept_ms) || !varint_take(rest, &until_ms)) {
        return ERR_CORRUPT;
    }
    enum error_code code = roster_put_here(roster, name, kept_ms);
    if (code == OK) {
        absence_of(map_find(&roster->by_name, name))->until_ms =
            until_ms == 0 ? end_of(kept_ms, now_ms) : until_ms;
    }
    return code;
}

enum error_code roster_decode(struct roster *roster, struct span *rest, uint64_t now_ms) {
    uint64_t count = 0;
    enum error_code code = varint_take(rest, &count) ? OK : ERR_CORRUPT;
    for (uint64_t i = 0; code == OK && i < count; i++) {
        code = take_one(roster, rest, now_ms);
    }
    return code;
}

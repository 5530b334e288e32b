/* SPDX-License-Identifier: Apache-2.0 */
/* Stored (varints): how many; of each the length of its name, the name, how long it is kept, and
 * when it is not any more (0: it is here). */
#include "broker/delivery/roster.h"

#include <stdlib.h>

#include "broker/limits.h"
#include "broker/support/invariant.h"
#include "broker/support/list.h"
#include "broker/support/varint.h"

/* A name of an index, and all absences of that name; there while there is one. */
struct mention {
    struct map_node in_index;
    struct list absences;
    uint8_t name[];
};

struct absence {
    struct map_node in_roster;
    struct roster *roster;
    struct list in_mention; /* where the roster has an index, as is … */
    struct mention *mention;
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

/* NULL: out of memory. */
static struct mention *mention_of(struct roster_index *index, struct span name) {
    struct map_node *node = map_find(&index->by_name, name);
    if (node != NULL) {
        return CONTAINER_OF(node, struct mention, in_index);
    }
    struct mention *mention = malloc(sizeof(*mention) + name.length);
    if (mention != NULL) {
        list_init(&mention->absences);
        if (name.length > 0) {
            memcpy(mention->name, name.bytes, name.length);
        }
        map_put(&index->by_name, &mention->in_index, span_of(mention->name, name.length));
    }
    return mention;
}

static void drop(struct roster *roster, struct absence *absence) {
    struct mention *mention = absence->mention;
    map_remove(&roster->by_name, &absence->in_roster);
    list_remove(&absence->in_mention);
    free(absence);
    if (mention != NULL && list_is_empty(&mention->absences)) {
        map_remove(&roster->index->by_name, &mention->in_index);
        free(mention);
    }
}

enum error_code roster_index_init(struct roster_index *index) {
    return map_init(&index->by_name);
}

void roster_index_finish(struct roster_index *index) {
    INVARIANT(map_count(&index->by_name) == 0);
    map_finish(&index->by_name);
}

/* With the last absence the mention goes, so nothing of it is looked at behind that. */
void roster_index_each(const struct roster_index *index, struct span name,
                       roster_on_named *on_named) {
    struct map_node *node = map_find(&index->by_name, name);
    if (node == NULL) {
        return;
    }
    struct list *absences = &CONTAINER_OF(node, struct mention, in_index)->absences;
    bool is_last = false;
    for (struct list *next, *at = absences->next; !is_last; at = next) {
        next = at->next;
        is_last = next == absences;
        on_named(CONTAINER_OF(at, struct absence, in_mention)->roster, name);
    }
}

enum error_code roster_init(struct roster *roster, struct roster_index *index) {
    roster->index = index;
    return map_init(&roster->by_name);
}

void roster_finish(struct roster *roster) {
    struct map_node *next;
    for (struct map_node *node = map_first(&roster->by_name); node != NULL; node = next) {
        next = map_next(&roster->by_name, node);
        drop(roster, absence_of(node));
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
    struct mention *mention =
        absence == NULL || roster->index == NULL ? NULL : mention_of(roster->index, name);
    if (absence == NULL || (mention == NULL && roster->index != NULL)) {
        free(absence);
        return ERR_MEMORY;
    }
    absence->roster = roster;
    absence->mention = mention;
    list_init(&absence->in_mention);
    if (mention != NULL) {
        list_put_tail(&mention->absences, &absence->in_mention);
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
    drop(roster, absence_of(node));
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
            drop(roster, absence_of(node));
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

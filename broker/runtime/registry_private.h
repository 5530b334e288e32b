/* SPDX-License-Identifier: Apache-2.0 */
/* registry_private.h — the inside of the registry, for the few files that are one registry.
 *
 * Place:   registry.c (claims and what becomes of sessions), errands.c (what it publishes),
 *          learning.c (what is stored), muster.c (what the operator asks).
 * Thread:  the log thread's, but for what is atomic.
 * Bounds:  see registry.h.
 */
#pragma once

#include <stdatomic.h>

#include "broker/runtime/registry.h"
#include "broker/support/heap.h"
#include "broker/support/list.h"
#include "broker/support/map.h"
#include "storage/storage.h"

/* A session that is away: what a client that is connected need not pay for. */
struct absence {
    struct registry_entry *entry;
    struct heap_node in_dues; /* while it will be ended, or has a will */
    uint64_t expiry_ms;
    uint64_t released_ms; /* of log time */
    uint64_t will_due_ms;
    struct message *will; /* NULL: none */
    struct session_owner owner;
    uint8_t *state;
    size_t state_length;
};

/* A client id that somebody has, or that has a session which is away: one of `holder` and `absence`
 * is there, but for while it passes from one to the next. */
struct registry_entry {
    struct map_node in_map;
    struct list in_order;         /* of all, the oldest first */
    struct list waiting;          /* claims, the oldest first; none while nobody has it */
    struct session_claim *holder; /* NULL: it is away */
    struct absence *absence;      /* NULL: somebody has it */
    uint32_t granted_bytes;       /* of the state that its holder found */
    bool is_stored;               /* there may be an object of it */
    bool is_dismissed;            /* it ends when its holder releases it */
    bool has_shares;              /* or had: on_session_over is told */
    bool is_adopted;              /* stored as held: that its time runs is to be stored */
    uint16_t client_id_length;
    uint8_t client_id[];
};

struct registry {
    struct registry_options options;
    struct storage *storage;
    struct map entries;
    struct list order;
    struct heap dues;
    uint64_t time_ms;
    size_t held_count;
    size_t waiting_count;
    size_t state_bytes;   /* of those that are away, with their wills */
    size_t granted_bytes; /* of those that are held: they may come back as they went */
    struct list failed;   /* errands to be tried again, the oldest first … */
    size_t failed_bytes;
    uint64_t retry_ms;        /* … then, on the monotonic clock */
    struct list musters;      /* walks that are under way */
    atomic_uint muster_count; /* from question to answer */
    atomic_bool is_stopping;
};

/* --- registry.c --- */

static inline struct span registry_client_id(const struct registry_entry *entry) {
    return span_of(entry->client_id, entry->client_id_length);
}

/* For lines of the log: what its client calls it, and whose tenant's it is. */
static inline struct span registry_visible_id(const struct registry_entry *entry) {
    return scope_visible(registry_client_id(entry));
}

static inline struct span registry_tenant(const struct registry_entry *entry) {
    return scope_tenant(registry_client_id(entry));
}

/* NULL: there is none. */
struct registry_entry *registry_find(struct registry *registry, struct span client_id);

/* A new entry with nothing but its name. NULL: out of memory. */
struct registry_entry *registry_add(struct registry *registry, struct span client_id);

/* What was left becomes the entry's, as an absence; and a will (may be NULL) its. */
void registry_put_absence(struct registry *registry, struct registry_entry *entry,
                          struct absence *absence);
void registry_put_will(struct registry *registry, struct absence *absence, struct message *will);

/* Puts it where it will be found when something of it is due. */
void registry_wait_for_due(struct registry *registry, struct absence *absence);

/* sessions_bytes_max is passed. */
bool registry_is_too_much(const struct registry *registry);

/* UINT64_MAX where the sum is more. */
static inline uint64_t registry_add_times(uint64_t time_ms, uint64_t more_ms) {
    return more_ms > UINT64_MAX - time_ms ? UINT64_MAX : time_ms + more_ms;
}

/* When it will be ended if nobody claims it; UINT64_MAX: never. */
static inline uint64_t registry_expires_ms(const struct absence *absence) {
    return registry_add_times(absence->released_ms, absence->expiry_ms);
}

/* Ends it, or tells its holder, and it ends when that one releases. False: there is none. */
bool registry_dismiss(struct registry *registry, struct span client_id);

/* --- errands.c: publishes of the registry's own --- */

/* Takes the will (may be NULL) and stores the entry's state as it is now, in one publish. What
 * fails is tried again; without memory for it nothing happens. */
void errands_store(struct registry *registry, struct registry_entry *entry, struct message *will);

/* The same with a deletion of what is stored. */
void errands_delete(struct registry *registry, struct span client_id, struct message *will);

/* The will alone. */
void errands_publish(struct registry *registry, struct message *will);

/* Tries again what failed, once it is time. */
void errands_retry(struct registry *registry);

void errands_finish(struct registry *registry);

/* --- learning.c --- */

/* All sessions that are stored become entries that are away. */
MUST_USE enum error_code learning_run(struct registry *registry, struct error *why);

/* --- muster.c --- */

/* The entry goes: walks that would look at it next go on behind it. */
void musters_on_gone(struct registry *registry, const struct registry_entry *entry);

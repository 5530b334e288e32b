/* SPDX-License-Identifier: Apache-2.0 */
/* An entry is there while a connection has its client id or a session of it is away:
 *
 *     claim -> [held] -> release, expiry > 0 -> [away] -> expired, dismissed, claimed clean -> gone
 *                     -> release, expiry 0   -> gone
 *
 * Times are the log's. What is due (the end of an expiry, the end of a will's delay) stands in one
 * heap; a claim looks at its own entry first, so it never sees a session that has expired. */
#include "broker/runtime/registry.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/metrics/metrics.h"
#include "broker/runtime/log.h"
#include "broker/runtime/registry_private.h"
#include "broker/runtime/session_record.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"

/* A state that was stored may have grown by steps, and may be left as it was found. */
#define STATE_BYTES_MAX (STORAGE_OBJECT_BYTES_MAX - SESSION_RECORD_HEAD_BYTES - SESSION_OWNER_BYTES)

static_assert(SESSION_STATE_BYTES_MAX <= STATE_BYTES_MAX, "a snapshot can be stored");
static_assert(SCOPED_CLIENT_ID_BYTES_MAX <= STORAGE_OBJECT_NAME_BYTES_MAX,
              "a client id names an object");

/* --- entries -------------------------------------------------------------------------------- */

struct registry_entry *registry_find(struct registry *registry, struct span client_id) {
    struct map_node *node = map_find(&registry->entries, client_id);
    return node == NULL ? NULL : CONTAINER_OF(node, struct registry_entry, in_map);
}

struct registry_entry *registry_add(struct registry *registry, struct span client_id) {
    struct registry_entry *entry =
        calloc(1, offsetof(struct registry_entry, client_id) + client_id.length);
    if (entry == NULL || heap_reserve(&registry->dues, map_count(&registry->entries) + 1) != OK) {
        free(entry);
        return NULL;
    }
    entry->client_id_length = (uint16_t)client_id.length;
    memcpy(entry->client_id, client_id.bytes, client_id.length);
    map_put(&registry->entries, &entry->in_map, registry_client_id(entry));
    list_put_tail(&registry->order, &entry->in_order);
    list_init(&entry->waiting);
    return entry;
}

static size_t will_bytes(const struct message *will) {
    return will == NULL ? 0 : message_size(will);
}

void registry_put_absence(struct registry *registry, struct registry_entry *entry,
                          struct absence *absence) {
    INVARIANT(entry->holder == NULL);
    INVARIANT(entry->absence == NULL);
    absence->entry = entry;
    entry->absence = absence;
    registry->state_bytes += absence->state_length;
}

void registry_put_will(struct registry *registry, struct absence *absence, struct message *will) {
    absence->will = will;
    registry->state_bytes += will_bytes(will);
}

static struct message *take_will(struct registry *registry, struct absence *absence) {
    struct message *will = absence->will;
    registry->state_bytes -= will_bytes(will);
    absence->will = NULL;
    return will;
}

/* The entry is away no longer, with what is left of its absence. Harmless twice. */
static void drop_absence(struct registry *registry, struct registry_entry *entry) {
    struct absence *absence = entry->absence;
    if (absence == NULL) {
        return;
    }
    heap_remove(&registry->dues, &absence->in_dues);
    registry->state_bytes -= absence->state_length + will_bytes(absence->will);
    message_unref(absence->will);
    free(absence->state);
    free(absence);
    entry->absence = NULL;
}

bool registry_is_too_much(const struct registry *registry) {
    return registry->state_bytes + registry->granted_bytes > registry->options.sessions_bytes_max;
}

static void forget(struct registry *registry, struct registry_entry *entry) {
    INVARIANT(entry->holder == NULL);
    INVARIANT(list_is_empty(&entry->waiting));
    musters_on_gone(registry, entry);
    map_remove(&registry->entries, &entry->in_map);
    list_remove(&entry->in_order);
    drop_absence(registry, entry);
    free(entry);
}

void registry_wait_for_due(struct registry *registry, struct absence *absence) {
    uint64_t due_ms = registry_expires_ms(absence);
    if (absence->will != NULL && absence->will_due_ms < due_ms) {
        due_ms = absence->will_due_ms;
    }
    if (absence->entry->is_adopted) {
        due_ms = registry->time_ms;
    }
    if (due_ms == UINT64_MAX) {
        heap_remove(&registry->dues, &absence->in_dues);
    } else {
        heap_put(&registry->dues, &absence->in_dues, due_ms);
    }
}

/* The session is over: a will that waited (NULL: none) goes out now, and what is stored goes. */
static void end_session(struct registry *registry, struct registry_entry *entry,
                        struct message *will) {
    if (entry->is_stored && entry->has_shares && registry->options.on_session_over != NULL) {
        registry->options.on_session_over(registry->options.context, registry_client_id(entry));
    }
    if (entry->is_stored) {
        errands_delete(registry, registry_client_id(entry), will);
    } else if (will != NULL) {
        errands_publish(registry, will);
    }
    entry->is_stored = false;
    entry->has_shares = false;
}

/* The same of one that is away. */
static void end_absence(struct registry *registry, struct registry_entry *entry) {
    end_session(registry, entry, take_will(registry, entry->absence));
    drop_absence(registry, entry);
}

/* The same, where it has expired. False: it has not. */
static bool expire(struct registry *registry, struct registry_entry *entry) {
    const struct absence *absence = entry->absence;
    if (registry_expires_ms(absence) > registry->time_ms) {
        return false;
    }
    metrics_add(registry->options.metrics, METRIC_SESSIONS_EXPIRED, 1);
    log_event(SESSION_EXPIRED, .client_id = registry_visible_id(entry),
              .tenant = registry_tenant(entry),
              .away_ms = registry->time_ms - absence->released_ms);
    end_absence(registry, entry);
    return true;
}

/* Ends what has expired, publishes a will that is due. False: the entry is gone. */
static bool settle(struct registry *registry, struct registry_entry *entry) {
    struct absence *absence = entry->absence;
    INVARIANT(absence != NULL);
    if (expire(registry, entry)) {
        forget(registry, entry);
        return false;
    }
    bool is_will_due = absence->will != NULL && absence->will_due_ms <= registry->time_ms;
    if (is_will_due || entry->is_adopted) {
        entry->is_adopted = false;
        errands_store(registry, entry, is_will_due ? take_will(registry, absence) : NULL);
    }
    registry_wait_for_due(registry, absence);
    return true;
}

/* --- claims --------------------------------------------------------------------------------- */

static struct session_claim *claim_of(struct list *node) {
    return CONTAINER_OF(node, struct session_claim, in_waiting);
}

static void on_granted(struct letter *letter, void *consumer) {
    (void)consumer;
    struct session_claim *claim = CONTAINER_OF(letter, struct session_claim, letter);
    if (claim->result == OK) {
        claim->client_id = claim->entry->client_id;
    }
    claim->calls->on_granted(claim);
}

static void on_released(struct letter *letter, void *consumer) {
    (void)consumer;
    struct session_claim *claim = CONTAINER_OF(letter, struct session_claim, letter);
    claim->calls->on_released(claim);
}

static void on_noticed(struct letter *letter, void *consumer) {
    (void)consumer;
    struct session_claim *claim = CONTAINER_OF(letter, struct session_claim, notice);
    if (!claim->is_released) {
        claim->calls->on_taken_over(claim);
    }
}

static void answer(struct session_claim *claim,
                   void (*on_delivered)(struct letter *letter, void *consumer)) {
    claim->letter.on_delivered = on_delivered;
    mailbox_put_answer(claim->reply_to, &claim->letter);
}

static void decide(struct session_claim *claim, enum error_code result) {
    claim->result = (uint8_t)result;
    answer(claim, on_granted);
}

/* Once: who was told to go is going. */
static void tell(struct registry_entry *entry, bool is_dismissed) {
    struct session_claim *claim = entry->holder;
    if (!claim->is_told) {
        claim->is_told = true;
        claim->is_dismissed = is_dismissed;
        claim->notice.on_delivered = on_noticed;
        mailbox_put_answer(claim->reply_to, &claim->notice);
    }
}

static void take_over(struct registry *registry, struct registry_entry *entry) {
    if (!entry->holder->is_told) {
        metrics_add(registry->options.metrics, METRIC_SESSIONS_TAKEN_OVER, 1);
        log_event(SESSION_TAKEN_OVER, .client_id = registry_visible_id(entry),
                  .tenant = registry_tenant(entry));
    }
    tell(entry, false);
}

/* While nobody has it and no session is away, whoever waits may have the name. */
static bool is_admitted(const struct registry_entry *entry, const struct session_claim *claim) {
    const struct session_owner nobody = {0};
    const struct session_owner *owner = entry->holder != NULL    ? &entry->holder->owner
                                        : entry->absence != NULL ? &entry->absence->owner
                                                                 : &nobody;
    return claim->may_have_any || session_owner_admits(owner, &claim->owner);
}

static void refuse(const struct registry_entry *entry, struct session_claim *claim) {
    log_event(SESSION_NOT_THEIRS, .client_id = registry_visible_id(entry),
              .tenant = registry_tenant(entry), .connected = entry->holder != NULL);
    decide(claim, ERR_FORBIDDEN);
}

/* The entry's session, if it has one, becomes the claim's. */
static void grant(struct registry *registry, struct registry_entry *entry,
                  struct session_claim *claim) {
    INVARIANT(entry->holder == NULL);
    if (entry->absence != NULL && claim->is_clean) {
        end_absence(registry, entry);
    }
    struct absence *absence = entry->absence;
    claim->is_present = absence != NULL;
    claim->is_stored = entry->is_stored;
    claim->entry = entry;
    claim->expiry_ms = 0;
    claim->released_ms = registry->time_ms;
    claim->will = NULL;
    if (absence != NULL) {
        /* What is nobody's is the claimer's; what one finds who may have any stays whose it was. */
        if (!session_owner_is_nobody(&absence->owner)) {
            claim->owner = absence->owner;
        }
        claim->expiry_ms = absence->expiry_ms;
        claim->will = take_will(registry, absence);
        claim->will_due_ms = absence->will_due_ms;
        claim->released_ms = absence->released_ms;
        claim->state = absence->state;
        claim->state_length = (uint32_t)absence->state_length;
        entry->granted_bytes = claim->state_length;
        registry->granted_bytes += entry->granted_bytes;
        registry->state_bytes -= absence->state_length;
        absence->state = NULL;
        absence->state_length = 0;
        drop_absence(registry, entry);
    }
    entry->holder = claim;
    registry->held_count++;
    decide(claim, OK);
}

static enum error_code admit(struct registry *registry, struct session_claim *claim,
                             struct registry_entry **ret_entry) {
    struct span client_id = span_of(claim->client_id, claim->client_id_length);
    size_t count = map_count(&registry->entries);
    if (count >= registry->options.sessions_max || registry_is_too_much(registry)) {
        metrics_add(registry->options.metrics, METRIC_SESSIONS_REFUSED, 1);
        log_event(SESSIONS_FULL, .client_id = scope_visible(client_id),
                  .tenant = scope_tenant(client_id), .sessions = count,
                  .state_bytes = registry->state_bytes + registry->granted_bytes);
        return ERR_FULL;
    }
    *ret_entry = registry_add(registry, client_id);
    return *ret_entry == NULL ? ERR_MEMORY : OK;
}

static void on_claim(struct letter *letter, void *consumer) {
    struct session_claim *claim = CONTAINER_OF(letter, struct session_claim, letter);
    struct registry *registry = log_borrow_registry(consumer);
    if (atomic_load(&registry->is_stopping)) {
        decide(claim, ERR_DRAINING);
        return;
    }
    struct registry_entry *entry =
        registry_find(registry, span_of(claim->client_id, claim->client_id_length));
    if (entry != NULL && entry->holder == NULL && !settle(registry, entry)) {
        entry = NULL;
    }
    if (entry == NULL) {
        enum error_code code = admit(registry, claim, &entry);
        if (code == OK) {
            grant(registry, entry, claim);
        } else {
            decide(claim, code);
        }
    } else if (!is_admitted(entry, claim)) {
        refuse(entry, claim);
    } else if (entry->holder == NULL) {
        grant(registry, entry, claim);
    } else {
        list_put_tail(&entry->waiting, &claim->in_waiting);
        registry->waiting_count++;
        take_over(registry, entry);
    }
}

enum error_code registry_claim(struct log *log, struct session_claim *claim) {
    INVARIANT(claim->client_id_length > 0);
    INVARIANT(claim->client_id_length <= SCOPED_CLIENT_ID_BYTES_MAX);
    struct registry *registry = log_borrow_registry(log);
    if (atomic_load(&registry->is_stopping)) {
        return ERR_DRAINING;
    }
    claim->letter.on_delivered = on_claim;
    return mailbox_put(registry->options.mailbox, &claim->letter);
}

/* --- releases ------------------------------------------------------------------------------- */

/* The first of those who wait that may have it. What was nobody's when they came may be somebody's
 * since. */
static struct session_claim *take_next(struct registry *registry, struct registry_entry *entry) {
    struct list *node;
    while ((node = list_take_head(&entry->waiting)) != NULL) {
        struct session_claim *claim = claim_of(node);
        registry->waiting_count--;
        if (is_admitted(entry, claim)) {
            return claim;
        }
        refuse(entry, claim);
    }
    return NULL;
}

/* The next in line; or the entry goes, unless its session stays. */
static void hand_on(struct registry *registry, struct registry_entry *entry) {
    struct session_claim *next = take_next(registry, entry);
    if (next == NULL && entry->absence == NULL) {
        forget(registry, entry);
    } else if (next == NULL) {
        registry_wait_for_due(registry, entry->absence);
    } else {
        grant(registry, entry, next);
        if (!list_is_empty(&entry->waiting)) {
            take_over(registry, entry);
        }
    }
}

/* One that is known comes and goes with what it had, or little, however full it is. */
static bool has_room_for(const struct registry *registry, const struct absence *absence,
                         size_t granted_bytes) {
    return absence->state_length <= SESSION_BYTES_ALWAYS ||
           absence->state_length <= granted_bytes || !registry_is_too_much(registry);
}

/* The session stays, with what its holder leaves, if there is room. False: it is over. */
static bool take_back(struct registry *registry, struct registry_entry *entry,
                      struct session_claim *claim, size_t granted_bytes) {
    const char *detail = "there was no memory for it";
    struct absence *absence = malloc(sizeof(*absence));
    if (absence != NULL) {
        *absence = (struct absence){.expiry_ms = claim->expiry_ms,
                                    .released_ms = claim->released_ms,
                                    .will_due_ms = claim->will_due_ms,
                                    .owner = claim->owner,
                                    .state = claim->state,
                                    .state_length = claim->state_length};
        if (!claim->is_unopened) {
            absence->released_ms = registry->time_ms;
            absence->will_due_ms = registry_add_times(registry->time_ms, claim->will_delay_ms);
        }
        registry_put_absence(registry, entry, absence);
        claim->state = NULL;
        if (has_room_for(registry, absence, granted_bytes)) {
            registry_put_will(registry, absence, claim->will);
            return true;
        }
        detail = "sessions that are away take too much memory";
        drop_absence(registry, entry);
    }
    log_event(MQTT_SESSION_LOST, .client_id = registry_visible_id(entry),
              .tenant = registry_tenant(entry), .detail = detail);
    return false;
}

/* Its will does not wait where there is too much. */
static void store_left(struct registry *registry, struct registry_entry *entry) {
    struct absence *absence = entry->absence;
    bool is_will_due = absence->will != NULL && (absence->will_due_ms <= registry->time_ms ||
                                                 registry_is_too_much(registry));
    entry->is_stored = true;
    errands_store(registry, entry, is_will_due ? take_will(registry, absence) : NULL);
}

static void on_release(struct letter *letter, void *consumer) {
    struct session_claim *claim = CONTAINER_OF(letter, struct session_claim, letter);
    struct registry *registry = log_borrow_registry(consumer);
    struct registry_entry *entry = claim->entry;
    INVARIANT(entry->holder == claim);
    size_t granted_bytes = entry->granted_bytes;
    uint64_t expiry_ms = entry->is_dismissed ? 0 : claim->expiry_ms;
    entry->holder = NULL;
    registry->held_count--;
    entry->is_stored |= claim->is_stored;
    entry->has_shares |= claim->has_shares;
    entry->is_dismissed = false;
    entry->granted_bytes = 0;
    registry->granted_bytes -= granted_bytes;
    if (expiry_ms == 0 || !take_back(registry, entry, claim, granted_bytes)) {
        end_session(registry, entry, claim->will);
        free(claim->state);
        claim->state = NULL;
    } else if (!expire(registry, entry)) { /* under a claim that opened nothing */
        store_left(registry, entry);
    }
    answer(claim, on_released);
    hand_on(registry, entry);
}

void registry_release(struct log *log, struct session_claim *claim,
                      const struct session_release *release) {
    INVARIANT(!claim->is_released);
    INVARIANT(release->state_length <= STATE_BYTES_MAX);
    INVARIANT(release->will == NULL || release->will->place.position == 0);
    INVARIANT(release->will == NULL || !release->is_unopened);
    struct registry *registry = log_borrow_registry(log);
    claim->is_released = true;
    claim->state = release->state;
    claim->state_length = (uint32_t)release->state_length;
    claim->is_unopened = release->is_unopened;
    if (!release->is_unopened) { /* the sender was back in time */
        message_unref(claim->will);
        claim->will = release->will;
        claim->will_delay_ms = release->will_delay_ms;
    }
    claim->expiry_ms = release->expiry_ms;
    claim->has_shares = release->has_shares;
    if (atomic_load(&registry->is_stopping)) {
        free(claim->state);
        claim->state = NULL;
        message_unref(claim->will);
        answer(claim, on_released);
        return;
    }
    claim->letter.on_delivered = on_release;
    mailbox_put_answer(registry->options.mailbox, &claim->letter);
}

bool registry_dismiss(struct registry *registry, struct span client_id) {
    struct registry_entry *entry = registry_find(registry, client_id);
    if (entry == NULL || (entry->holder == NULL && !settle(registry, entry))) {
        return false;
    }
    log_event(SESSION_DISMISSED, .client_id = registry_visible_id(entry),
              .tenant = registry_tenant(entry), .connected = entry->holder != NULL);
    if (entry->holder != NULL) {
        entry->is_dismissed = true;
        tell(entry, true);
    } else {
        end_absence(registry, entry);
        forget(registry, entry);
    }
    return true;
}

/* --- beginning and end ---------------------------------------------------------------------- */

enum error_code registry_create(const struct registry_options *options, struct storage *storage,
                                struct registry **ret_registry, struct error *why) {
    struct registry *registry = calloc(1, sizeof(*registry));
    if (registry == NULL || map_init(&registry->entries) != OK) {
        free(registry);
        return error_set(why, ERR_MEMORY, "no memory for the registry of sessions");
    }
    registry->options = *options;
    registry->storage = storage;
    registry->time_ms = options->time_ms;
    list_init(&registry->order);
    list_init(&registry->failed);
    list_init(&registry->musters);
    enum error_code code = learning_run(registry, why);
    if (code != OK) {
        registry_destroy(registry);
        return code;
    }
    *ret_registry = registry;
    return OK;
}

void registry_destroy(struct registry *registry) {
    if (registry == NULL) {
        return;
    }
    INVARIANT(registry->waiting_count == 0);
    errands_finish(registry);
    LIST_EACH(&registry->order, node) {
        struct registry_entry *entry = CONTAINER_OF(node, struct registry_entry, in_order);
        drop_absence(registry, entry);
        free(entry);
    }
    heap_finish(&registry->dues);
    map_finish(&registry->entries);
    free(registry);
}

static bool is_any_due(const struct registry *registry) {
    const struct heap_node *first = heap_first(&registry->dues);
    return first != NULL && first->due <= registry->time_ms;
}

static void set_figures(struct registry *registry) {
    struct metrics_shard *metrics = registry->options.metrics;
    metrics_set(metrics, METRIC_SESSIONS_CONNECTED, registry->held_count);
    metrics_set(metrics, METRIC_SESSIONS_AWAY,
                map_count(&registry->entries) - registry->held_count);
    metrics_set(metrics, METRIC_SESSIONS_BYTES, registry->state_bytes);
    metrics_set(metrics, METRIC_SESSIONS_LIMIT, registry->options.sessions_max);
}

/* Publishers come first: a million sessions that expire together would fill the open batch, and
 * publishes wait for the fold (measured: 0.9 s; like this 0.2 s). Whoever claims one of them finds
 * it ended. */
static bool is_held_up(const struct registry *registry) {
    const struct registry_options *options = &registry->options;
    return !list_is_empty(options->publishes) || storage_is_fold_due(registry->storage) ||
           (options->is_over_busy != NULL && options->is_over_busy(options->context));
}

void registry_turn(struct registry *registry, uint64_t time_ms) {
    registry->time_ms = time_ms;
    set_figures(registry);
    if (is_held_up(registry) || atomic_load(&registry->is_stopping)) {
        return;
    }
    errands_retry(registry);
    size_t bytes = 0;
    for (size_t i = 0; i < SESSIONS_A_TURN && bytes < COMMIT_BYTES_MAX && is_any_due(registry);
         i++) {
        struct heap_node *first = heap_first(&registry->dues);
        struct absence *absence = CONTAINER_OF(first, struct absence, in_dues);
        bytes += absence->state_length; /* of which a copy is made if it is stored */
        IGNORE_RESULT(settle(registry, absence->entry));
    }
}

uint64_t registry_wait_ms(const struct registry *registry, uint64_t limit_ms) {
    const struct heap_node *first = heap_first(&registry->dues);
    if (first == NULL || first->due > registry_add_times(registry->time_ms, limit_ms)) {
        return limit_ms;
    }
    if (first->due <= registry->time_ms && !is_held_up(registry)) {
        return 0; /* there was more than for one turn */
    }
    /* The log's time may stand still (a clock that was set back): then this is no busy loop. */
    bool is_near = first->due < registry->time_ms + SESSIONS_BEAT_MS;
    return is_near ? SESSIONS_BEAT_MS : first->due - registry->time_ms;
}

void registry_stop(struct registry *registry) {
    atomic_store(&registry->is_stopping, true);
}

void registry_end(struct registry *registry) {
    LIST_EACH(&registry->order, node) {
        if (registry->waiting_count == 0) {
            return;
        }
        struct registry_entry *entry = CONTAINER_OF(node, struct registry_entry, in_order);
        for (struct list *waiting; (waiting = list_take_head(&entry->waiting)) != NULL;) {
            registry->waiting_count--;
            decide(claim_of(waiting), ERR_DRAINING);
        }
    }
}

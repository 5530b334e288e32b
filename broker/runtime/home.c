/* SPDX-License-Identifier: Apache-2.0 */
/* A group is there as long as it has members or names in its roster. A beat a second does what can
 * wait: storing, leases and absences that are over, trying again what failed, counting the lag.
 *
 * A member is told that it joined once the start is resolved and, if it may come back, the roster
 * with its name is stored. */
#include "broker/runtime/home.h"

#include <stdlib.h>

#include "broker/channels/scope.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/sharing_private.h"
#include "broker/support/clock.h"
#include "broker/support/hash.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"

/* --- groups --------------------------------------------------------------------------------- */

struct worker *home_worker(const struct broker *broker, struct span key) {
    static const struct hash_key same_for_all_workers = {{0, 0}};
    return broker->workers[hash_bytes(&same_for_all_workers, key) % broker->worker_count];
}

struct span home_key(const struct shared_group *shared) {
    return span_of(shared->key, shared->key_length);
}

static struct shared_group *find(const struct home *home, struct span key) {
    struct map_node *node = map_find(&home->groups, key);
    return node == NULL ? NULL : CONTAINER_OF(node, struct shared_group, in_home);
}

static void count_groups(struct home *home) {
    metrics_set(home->worker->metrics, METRIC_GROUPS, map_count(&home->groups));
}

static void on_beat(struct wheel_timer *timer);

/* ERR_FULL, ERR_MEMORY. */
static enum error_code create(struct home *home, struct span key,
                              struct shared_group **ret_shared) {
    if (map_count(&home->groups) >= GROUPS_MAX) {
        return ERR_FULL;
    }
    struct shared_group *shared = calloc(1, sizeof(*shared) + key.length);
    if (shared == NULL || roster_init(&shared->roster, &home->kept) != OK) {
        free(shared);
        return ERR_MEMORY;
    }
    if (group_create(&shared->group) != OK) {
        roster_finish(&shared->roster);
        free(shared);
        return ERR_MEMORY;
    }
    shared->home = home;
    list_init(&shared->members);
    shared->beat.on_due = on_beat;
    shared->key_length = key.length;
    memcpy(shared->key, key.bytes, key.length);
    map_put(&home->groups, &shared->in_home, home_key(shared));
    count_groups(home);
    *ret_shared = shared;
    return OK;
}

static void destroy(struct shared_group *shared) {
    INVARIANT(list_is_empty(&shared->members));
    INVARIANT(!shared->is_following);
    group_destroy(shared->group);
    roster_finish(&shared->roster);
    free((void *)(uintptr_t)shared->selector.text.bytes);
    free(shared);
}

bool home_release(struct shared_group *shared) {
    bool is_free = shared->is_over && !shared->is_reading && shared->stores_under_way == 0;
    if (is_free) {
        destroy(shared);
    }
    return is_free;
}

static void count_figures(struct shared_group *shared) {
    struct metrics_shard *metrics = shared->home->worker->metrics;
    struct group_figures figures;
    group_get_figures(shared->group, &figures);
    uint64_t lag = dealing_lag(shared);
    metrics_add(metrics, METRIC_GROUP_LEASES, figures.leased - shared->leased_counted);
    metrics_add(metrics, METRIC_GROUP_LAG, lag - shared->lag_counted);
    shared->leased_counted = figures.leased;
    shared->lag_counted = lag;
}

/* Out of the home, now or before; true. Or false: somebody is there, or may come back. */
static bool end_if_empty(struct shared_group *shared) {
    struct home *home = shared->home;
    if (shared->is_over) {
        return true;
    }
    if (!list_is_empty(&shared->members) || roster_count(&shared->roster) > 0) {
        return false;
    }
    if (shared->is_stored) {
        /* Not OK: the group comes back with the next start, and ends once it has nobody then. */
        IGNORE_RESULT(keeping_store(shared));
    }
    count_figures(shared);
    map_remove(&home->groups, &shared->in_home);
    wheel_disarm(&home->worker->wheel, &shared->beat);
    count_groups(home);
    shared->is_over = true;
    home_release(shared);
    return true;
}

/* --- the beat ------------------------------------------------------------------------------- */

static void mind_beat(struct shared_group *shared) {
    struct worker *worker = shared->home->worker;
    bool is_wanted = shared->is_dirty || shared->is_paused || shared->is_someone_away ||
                     shared->timed_count > 0 || shared->lag_counted > 0;
    if (is_wanted && !shared->is_over && !wheel_is_armed(&shared->beat)) {
        wheel_arm(&worker->wheel, &shared->beat, worker->now_ms + GROUP_STORE_INTERVAL_MS);
    }
}

static void on_beat(struct wheel_timer *timer) {
    struct shared_group *shared = CONTAINER_OF(timer, struct shared_group, beat);
    uint64_t next_ms = 0;
    shared->is_paused = false;
    if (shared->timed_count > 0) {
        group_expire(shared->group, shared->home->worker->now_ms, &next_ms);
    }
    if (shared->is_someone_away) {
        shared->is_dirty |= roster_expire(&shared->roster, clock_wall_ms(), &next_ms) > 0;
        shared->is_someone_away = next_ms != ROSTER_FOR_EVER;
    }
    if (end_if_empty(shared)) {
        return;
    }
    if (shared->is_dirty) {
        IGNORE_RESULT(keeping_store(shared)); /* it is as dirty as before: at the next beat */
    }
    dealing_go_on(shared);
    count_figures(shared);
    mind_beat(shared);
}

void home_touch(struct shared_group *shared) {
    shared->is_dirty |= shared->is_stored || roster_count(&shared->roster) > 0;
    home_note_news(shared);
}

void home_note_news(struct shared_group *shared) {
    count_figures(shared);
    mind_beat(shared);
}

void home_pause(struct shared_group *shared) {
    shared->is_paused = true;
    mind_beat(shared);
}

/* --- who is told ---------------------------------------------------------------------------- */

/* Nothing is given before. */
static void tell(struct sharing_member *member, enum error_code code) {
    if (code == OK) {
        group_set_credit(member->group->group, &member->seat, atomic_load(&member->credit));
    }
    member->is_told = true;
    member->result = code;
    member->joined.kind = NOTE_JOINED;
    lane_put(&member->down, &member->joined.parcel);
}

/* Somebody (else) of that name is there. */
static bool is_there(const struct shared_group *shared, struct span name) {
    LIST_EACH(&shared->members, node) {
        const struct sharing_member *member = CONTAINER_OF(node, struct sharing_member, in_group);
        if (span_is_equal(member->options.name, name)) {
            return true;
        }
    }
    return false;
}

/* Nobody of that name comes back; true. False: it is there, or was not missed. */
static bool forget(struct shared_group *shared, struct span name) {
    return roster_has(&shared->roster, name) && !is_there(shared, name) &&
           roster_remove(&shared->roster, name);
}

static void unseat(struct sharing_member *member) {
    struct shared_group *shared = member->group;
    group_leave(shared->group, &member->seat);
    list_remove(&member->in_group);
    shared->timed_count -= member->options.lease_ms > 0;
    metrics_sub(shared->home->worker->metrics, METRIC_GROUP_MEMBERS, 1);
    member->group = NULL;
    if (list_is_empty(&shared->members)) {
        dealing_unfollow(shared);
    }
}

/* It was taken in, but cannot be kept. */
static void evict(struct sharing_member *member, enum error_code code) {
    struct shared_group *shared = member->group;
    unseat(member);
    forget(shared, member->options.name);
    tell(member, code);
}

static bool is_kept(const struct sharing_member *member) {
    return member->options.kept_ms > 0;
}

bool home_on_resolved(struct shared_group *shared, enum error_code code) {
    bool has_kept = false;
    LIST_EACH(&shared->members, node) {
        struct sharing_member *member = CONTAINER_OF(node, struct sharing_member, in_group);
        if (code != OK) {
            evict(member, code);
        } else if (!is_kept(member)) {
            tell(member, OK);
        }
        has_kept |= code == OK && is_kept(member);
    }
    enum error_code stored = has_kept ? keeping_store(shared) : OK;
    if (stored != OK) {
        return home_on_stored(shared, UINT64_MAX, stored);
    }
    return !end_if_empty(shared);
}

bool home_on_stored(struct shared_group *shared, uint64_t number, enum error_code code) {
    LIST_EACH(&shared->members, node) {
        struct sharing_member *member = CONTAINER_OF(node, struct sharing_member, in_group);
        if (member->is_told || member->told_with > number) {
            continue;
        }
        if (code == OK) {
            tell(member, OK);
        } else {
            evict(member, code);
        }
    }
    if (end_if_empty(shared)) {
        return false;
    }
    dealing_go_on(shared);
    return true;
}

/* --- coming --------------------------------------------------------------------------------- */

/* What it reads is known with its first member; a group that was brought back has a place. */
static enum error_code begin(struct shared_group *shared, const struct sharing_options *options) {
    struct span text = options->selector.text;
    if (shared->selector.text.bytes == NULL) {
        uint8_t *copy = malloc(text.length + 1);
        if (copy == NULL) {
            return ERR_MEMORY;
        }
        memcpy(copy, text.bytes, text.length);
        shared->selector = (struct storage_selector){.text = span_of(copy, text.length),
                                                     .is_pattern = options->selector.is_pattern};
    }
    INVARIANT(span_is_equal(shared->selector.text, text));
    if (!shared->is_resolved) {
        shared->start = options->start;
        shared->is_resolved = options->start.start == STORAGE_AFTER_PLACE;
        if (shared->is_resolved) {
            group_set_place(shared->group, &options->start.place);
        }
    }
    return OK;
}

static enum error_code seat(struct shared_group *shared, struct sharing_member *member) {
    const struct sharing_options *options = &member->options;
    bool is_first = list_is_empty(&shared->members);
    const struct config *config = shared->home->worker->broker->config;
    enum error_code code = is_first ? begin(shared, options) : OK;
    if (code == OK && is_first) {
        code = dealing_follow(shared);
    }
    if (code == OK) {
        code = group_join(shared->group, &member->seat, 0, config->send_budget_bytes,
                          options->lease_ms);
    }
    if (code == OK && is_kept(member)) {
        code = roster_put_here(&shared->roster, options->name, options->kept_ms);
        if (code != OK) {
            group_leave(shared->group, &member->seat);
        }
    }
    if (code != OK) {
        if (is_first) {
            dealing_unfollow(shared);
        }
        return code;
    }
    if (!is_kept(member)) {
        forget(shared, options->name); /* it comes back as one that is not kept */
    }
    list_put_tail(&shared->members, &member->in_group);
    member->group = shared;
    shared->timed_count += options->lease_ms > 0;
    metrics_add(shared->home->worker->metrics, METRIC_GROUP_MEMBERS, 1);
    return OK;
}

/* A name that was missed is stored already; a new one is first. */
static enum error_code welcome(struct sharing_member *member, bool was_missed) {
    struct shared_group *shared = member->group;
    member->told_with = shared->store_number + 1;
    if (!shared->is_resolved) {
        return OK;
    }
    if (is_kept(member) && !was_missed) {
        return keeping_store(shared);
    }
    tell(member, OK);
    return OK;
}

static void on_join(struct sharing_member *member, struct note *note) {
    struct home *home = member->home->home;
    (void)note;
    struct shared_group *shared = find(home, member->options.group);
    enum error_code code = shared != NULL ? OK : create(home, member->options.group, &shared);
    if (code != OK) {
        tell(member, code);
        return;
    }
    bool was_missed = shared->is_stored && roster_has(&shared->roster, member->options.name);
    code = seat(shared, member);
    if (code != OK) {
        tell(member, code);
    } else {
        code = welcome(member, was_missed);
        if (code != OK) {
            evict(member, code);
        }
    }
    if (code != OK && end_if_empty(shared)) {
        return;
    }
    home_touch(shared);
    dealing_go_on(shared);
}

/* --- going ---------------------------------------------------------------------------------- */

static void note_absence(struct shared_group *shared, struct sharing_member *member) {
    struct span name = member->options.name;
    uint64_t kept_ms = member->left_for_ms;
    if (kept_ms == 0) {
        forget(shared, name);
    } else if (!is_there(shared, name) && roster_put_here(&shared->roster, name, kept_ms) == OK) {
        roster_put_away(&shared->roster, name, kept_ms, clock_wall_ms());
        shared->is_someone_away |= kept_ms != SHARING_KEPT_FOR_EVER;
    }
}

static void on_leave(struct sharing_member *member, struct note *note) {
    struct shared_group *shared = member->group;
    (void)note;
    if (shared != NULL) {
        unseat(member);
        note_absence(shared, member);
    }
    member->gone.kind = NOTE_GONE;
    lane_put(&member->down, &member->gone.parcel); /* from here on it is nobody's */
    if (shared != NULL && !end_if_empty(shared)) {
        home_touch(shared);
        dealing_go_on(shared);
    }
}

static void forget_in(struct roster *roster, struct span name) {
    struct shared_group *shared = CONTAINER_OF(roster, struct shared_group, roster);
    if (forget(shared, name) && !end_if_empty(shared)) {
        home_touch(shared);
    }
}

void home_forget(struct home *home, struct span key, struct span name) {
    if (key.length == 0) {
        roster_index_each(&home->kept, name, forget_in);
        return;
    }
    struct shared_group *shared = find(home, key);
    if (shared != NULL) {
        forget_in(&shared->roster, name);
    }
}

/* --- what members send ---------------------------------------------------------------------- */

static void on_credit(struct sharing_member *member, struct note *note) {
    (void)note;
    atomic_store(&member->is_credit_noted, false);
    if (member->group != NULL && member->is_told) {
        group_set_credit(member->group->group, &member->seat, atomic_load(&member->credit));
        dealing_go_on(member->group);
    }
}

/* A lease comes back, as done with or not. */
static void on_given(struct sharing_member *member, struct note *note) {
    struct given *given = CONTAINER_OF(note, struct given, note);
    struct shared_group *shared = member->group;
    enum note_kind kind = note->kind;
    uint64_t token = given->token;
    INVARIANT(given->message == NULL);
    free(given);
    if (shared == NULL) {
        return;
    }
    if (kind == NOTE_ACKNOWLEDGED) {
        group_acknowledge(shared->group, &member->seat, token);
    } else {
        group_reject(shared->group, &member->seat, token, kind == NOTE_REJECTED);
    }
    home_touch(shared);
    dealing_go_on(shared);
}

static void (*const on_note[])(struct sharing_member *member, struct note *note) = {
    [NOTE_JOIN] = on_join,      [NOTE_CREDIT] = on_credit,   [NOTE_ACKNOWLEDGED] = on_given,
    [NOTE_REJECTED] = on_given, [NOTE_NOT_TAKEN] = on_given, [NOTE_LEAVE] = on_leave,
};

void home_on_note(struct lane *lane, struct parcel *parcel) {
    struct sharing_member *member = CONTAINER_OF(lane, struct sharing_member, up);
    struct note *note = CONTAINER_OF(parcel, struct note, parcel);
    INVARIANT(note->kind <= NOTE_LEAVE);
    on_note[note->kind](member, note);
}

/* --- beginning and end ---------------------------------------------------------------------- */

enum error_code home_create(struct worker *worker, struct home **ret_home) {
    struct home *home = calloc(1, sizeof(*home));
    if (home == NULL || map_init(&home->groups) != OK) {
        free(home);
        return ERR_MEMORY;
    }
    if (roster_index_init(&home->kept) != OK) {
        map_finish(&home->groups);
        free(home);
        return ERR_MEMORY;
    }
    home->worker = worker;
    *ret_home = home;
    return OK;
}

void home_destroy(struct home *home) {
    struct map_node *next;
    if (home == NULL) {
        return;
    }
    for (struct map_node *node = map_first(&home->groups); node != NULL; node = next) {
        struct shared_group *shared = CONTAINER_OF(node, struct shared_group, in_home);
        next = map_next(&home->groups, node);
        INVARIANT(!shared->is_reading);
        wheel_disarm(&home->worker->wheel, &shared->beat);
        map_remove(&home->groups, node);
        destroy(shared);
    }
    map_finish(&home->groups);
    roster_index_finish(&home->kept);
    free(home->spare);
    free(home);
}

struct restoring {
    struct broker *broker;
    size_t count;
};

/* A state that cannot be read is left as it is: its members begin a new group. */
static void on_object(void *context, struct span key, struct span state) {
    struct restoring *restoring = context;
    struct home *home = home_worker(restoring->broker, key)->home;
    struct shared_group *shared = NULL;
    enum error_code code = create(home, key, &shared);
    if (code == OK) {
        code = keeping_load(shared, state);
        shared->is_stored = true;
        if (code != OK) {
            map_remove(&home->groups, &shared->in_home);
            count_groups(home);
            destroy(shared);
        }
    }
    if (code != OK) {
        struct span filter = key;
        struct span group = span_split(&filter, '/');
        log_event(GROUP_NOT_RESTORED, .group = group, .filter = scope_visible(filter),
                  .tenant = scope_tenant(filter), .code = error_row(code)->slug);
        return;
    }
    shared->is_resolved = true;
    shared->is_someone_away = true;
    shared->is_dirty = true; /* when those who were here are not missed any more */
    mind_beat(shared);
    restoring->count++;
}

enum error_code home_restore(struct broker *broker, struct error *why) {
    struct restoring restoring = {.broker = broker};
    enum error_code code =
        storage_each_object(broker->storage, STORAGE_OBJECT_GROUP, on_object, &restoring, why);
    if (code == OK && restoring.count > 0) {
        log_event(GROUPS_RESTORED, .groups = restoring.count);
    }
    return code;
}

void home_flush(struct home *home) {
    bool has_log = home->worker->broker->log != NULL; /* a start that fails comes here without */
    for (struct map_node *node = has_log ? map_first(&home->groups) : NULL; node != NULL;
         node = map_next(&home->groups, node)) {
        struct shared_group *shared = CONTAINER_OF(node, struct shared_group, in_home);
        if (shared->is_dirty) {
            IGNORE_RESULT(keeping_store(shared)); /* the log has ended: what was stored counts */
        }
    }
}

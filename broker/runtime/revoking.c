/* SPDX-License-Identifier: Apache-2.0 */
/* A revocation is an object of its own, named by its key. The log answers in the order in which it
 * was asked, so of two changes of one entry the later one counts everywhere.
 *
 * What the log has taken must come to every thread, and none of them could say that it has no
 * memory for it. So a change has all of it before it is stored: an entry for each set, the sift,
 * and room, for which entries that were taken out count until they are stored as gone. A worker
 * that is behind, or whose clock is, has no more entries than there is room for, because it is
 * told what ended with the change that deletes it. */
#include "broker/runtime/revoking.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/runtime/access.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/runtime/sift.h"
#include "broker/runtime/worker.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "storage/storage.h"

static_assert(REVOCATION_KEY_BYTES_MAX <= STORAGE_OBJECT_NAME_BYTES_MAX, "a key names an object");
static_assert(1 + REVOKING_ENDS_MAX <= PUBLISH_MESSAGES_MAX, "a change is one publish");

struct revoking {
    struct broker *broker;
    struct revocations *set;
    struct list changes; /* under_way of them */
    size_t under_way;
    size_t ended_count; /* of all changes: out of the set, and not stored as gone */
};

struct change {
    struct list in_revoking;
    struct revoking *revoking;
    struct revocation revocation; /* its spans point into `key` */
    bool is_lifted;
    struct publish publish;
    struct message *messages[1 + REVOKING_ENDS_MAX];
    struct revocation_entry *ended[1 + REVOKING_ENDS_MAX]; /* that it takes out, its own first */
    size_t ended_count;
    struct sift *sift; /* that has not begun; NULL: the change is stored */
    struct mailbox *reply_to;
    revoking_on_answered *on_answered;
    void *context;
    uint8_t key[REVOCATION_KEY_BYTES_MAX];
    atomic_size_t entry_count;          /* that nobody has taken: any of them is anybody's */
    struct revocation_entry *entries[]; /* one for each set; none where it is lifted */
};

static uint64_t now_s(void) {
    return clock_wall_ms() / 1000;
}

static bool has_ended(const struct revocation *revocation) {
    return revocation->until_s <= now_s();
}

/* --- objects --------------------------------------------------------------------------------- */

static void put_number(uint8_t *to, uint64_t number) {
    for (size_t i = 0; i < sizeof(number); i++) {
        to[i] = (uint8_t)(number >> (8 * i));
    }
}

static uint64_t get_number(const uint8_t *from) {
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(number); i++) {
        number |= (uint64_t)from[i] << (8 * i);
    }
    return number;
}

/* On the disk before it is answered. NULL: out of memory. */
static struct message *make_message(const struct revocation *revocation, bool is_lifted) {
    uint8_t key[REVOCATION_KEY_BYTES_MAX];
    uint8_t record[REVOCATION_RECORD_BYTES];
    put_number(record, revocation->revoked_s);
    put_number(record + 8, revocation->until_s);
    struct message *message = storage_object_message(
        STORAGE_OBJECT_REVOCATION, is_lifted ? STORAGE_OBJECT_DELETE : STORAGE_OBJECT_PUT,
        span_of(key, revocation_put_key(revocation, key)),
        span_of(record, is_lifted ? 0 : sizeof(record)));
    if (message != NULL) {
        message->fields.flags |= MESSAGE_FSYNC;
    }
    return message;
}

struct learning {
    struct revoking *revoking;
    enum error_code code;
};

/* An earlier process may have left more that has ended than there is room for: that is deleted
 * behind a later start. */
static enum error_code learn(struct revocations *set, const struct revocation *revocation) {
    struct revocation first;
    enum error_code code = revocations_put(set, revocation);
    if (code == ERR_FULL && has_ended(revocation)) {
        return OK;
    }
    if (code == ERR_FULL && revocations_first(set, &first) && has_ended(&first)) {
        revocations_lift(set, &first);
        code = revocations_put(set, revocation);
    }
    return code;
}

static void on_object(void *context, struct span name, struct span state) {
    struct learning *learning = context;
    struct revocation it;
    if (state.length < REVOCATION_RECORD_BYTES || !revocation_parse_key(name, &it)) {
        learning->code = learning->code == OK ? ERR_CORRUPT : learning->code;
        return;
    }
    it.revoked_s = get_number(state.bytes);
    it.until_s = get_number(state.bytes + 8);
    enum error_code code = learn(learning->revoking->set, &it);
    learning->code = learning->code == OK ? code : learning->code;
}

/* --- the threads ----------------------------------------------------------------------------- */

/* Each worker takes one at the same time as others. */
static struct revocation_entry *take_entry(struct change *change) {
    size_t count = atomic_fetch_sub(&change->entry_count, 1);
    INVARIANT(count > 0);
    return change->entries[count - 1];
}

static void tell_worker(void *context, struct worker *worker) {
    struct change *change = context;
    struct access *access = worker_access(worker);
    for (size_t i = 0; i < change->ended_count; i++) {
        struct revocation ended = revocation_entry_describe(change->ended[i]);
        access_lift_revocation(access, &ended);
    }
    if (change->is_lifted) {
        access_lift_revocation(access, &change->revocation);
    } else {
        access_put_revocation(access, take_entry(change));
    }
}

struct telling {
    struct access *access;
    enum error_code code;
};

static void tell_learned(void *context, const struct revocation *revocation) {
    struct telling *telling = context;
    if (telling->code != OK || has_ended(revocation)) {
        return;
    }
    struct revocation_entry *entry = revocation_entry_create(revocation);
    if (entry == NULL) {
        telling->code = ERR_MEMORY;
        return;
    }
    access_put_revocation(telling->access, entry);
}

static bool must_go(void *context, const struct identity *identity) {
    const struct change *change = context;
    return !change->is_lifted && revocation_is_of(&change->revocation, identity, now_s());
}

/* --- beginning and end ----------------------------------------------------------------------- */

enum error_code revoking_create(struct broker *broker, struct revoking **ret_revoking,
                                struct error *why) {
    struct revoking *revoking = calloc(1, sizeof(*revoking));
    struct learning learning = {.revoking = revoking};
    if (revoking == NULL || (revoking->set = revocations_create()) == NULL) {
        free(revoking);
        return error_set(why, ERR_MEMORY, "no memory for what is revoked");
    }
    revoking->broker = broker;
    list_init(&revoking->changes);
    enum error_code code =
        storage_each_object(broker->storage, STORAGE_OBJECT_REVOCATION, on_object, &learning, why);
    for (size_t i = 0; code == OK && learning.code == OK && i < broker->worker_count; i++) {
        struct telling telling = {.access = worker_access(broker->workers[i])};
        revocations_each(revoking->set, tell_learned, &telling);
        learning.code = telling.code;
    }
    if (code == OK && learning.code != OK) {
        code = error_set(why, learning.code, "what is revoked cannot be learned");
    }
    if (code != OK) {
        revoking_destroy(revoking);
        return code;
    }
    *ret_revoking = revoking;
    return OK;
}

void revoking_destroy(struct revoking *revoking) {
    if (revoking != NULL) {
        INVARIANT(revoking->under_way == 0);
        revocations_destroy(revoking->set);
        free(revoking);
    }
}

const struct revocations *revoking_borrow(const struct revoking *revoking) {
    return revoking->set;
}

/* --- a change -------------------------------------------------------------------------------- */

static void destroy(struct change *change) {
    for (size_t i = 0; i < change->publish.count; i++) {
        message_unref(change->messages[i]);
    }
    for (size_t i = 0; i < change->ended_count; i++) {
        revocation_entry_destroy(change->ended[i]);
    }
    for (size_t i = atomic_load(&change->entry_count); i > 0; i--) {
        revocation_entry_destroy(change->entries[i - 1]);
    }
    sift_destroy(change->sift);
    list_remove(&change->in_revoking);
    change->revoking->under_way--;
    free(change);
}

static void on_told(void *context) {
    struct change *change = context;
    change->on_answered(change->context, OK, NULL);
}

static void on_over(void *context, uint64_t gone_count) {
    struct change *change = context;
    const struct revocation *it = &change->revocation;
    if (change->is_lifted) {
        log_event(REVOCATION_LIFTED, .claim = revocation_kind_name(it->kind), .name = it->value,
                  .tenant = it->tenant);
    } else {
        log_event(REVOKED, .claim = revocation_kind_name(it->kind), .name = it->value,
                  .tenant = it->tenant, .connections = gone_count);
    }
    destroy(change);
}

static void keep(struct change *change) {
    struct revocations *set = change->revoking->set;
    if (change->is_lifted) {
        revocations_lift(set, &change->revocation);
    } else {
        revocations_put_entry(set, take_entry(change));
    }
    change->revoking->ended_count -= change->ended_count;
}

/* As the set and a key tell it. */
static bool is_same(const struct revocation *one, const struct revocation *other) {
    return one->kind == other->kind && span_is_equal(one->tenant, other->tenant) &&
           span_is_equal(one->value, other->value);
}

/* The oldest change under way of that entry; NULL: there is none. */
static struct change *find_change(struct revoking *revoking, const struct revocation *revocation) {
    LIST_EACH(&revoking->changes, node) {
        struct change *change = CONTAINER_OF(node, struct change, in_revoking);
        if (is_same(&change->revocation, revocation)) {
            return change;
        }
    }
    return NULL;
}

/* The first that has ended, unless a change under way may put it anew. */
static bool find_end(struct revoking *revoking, struct revocation *ret_ended) {
    return revocations_first(revoking->set, ret_ended) && has_ended(ret_ended) &&
           find_change(revoking, ret_ended) == NULL;
}

static void take_end(struct change *change, struct revocation_entry *ended) {
    change->ended[change->ended_count++] = ended;
    change->revoking->ended_count++;
}

static bool has_end(const struct change *change, const struct revocation *revocation) {
    for (size_t i = 0; i < change->ended_count; i++) {
        struct revocation ended = revocation_entry_describe(change->ended[i]);
        if (is_same(&ended, revocation)) {
            return true;
        }
    }
    return false;
}

/* What was not stored as gone goes with a later change: where one of the same entry is waiting for
 * the log, with that, which has told nobody yet. Nothing is left to go where one before this is
 * stored: it put the entry anew, or told its end. */
static void give_back(struct change *change) {
    struct revoking *revoking = change->revoking;
    list_remove(&change->in_revoking);
    revoking->ended_count -= change->ended_count;
    for (; change->ended_count > 0; change->ended_count--) {
        struct revocation_entry *entry = change->ended[change->ended_count - 1];
        struct revocation ended = revocation_entry_describe(entry);
        struct change *other = find_change(revoking, &ended);
        struct revocation anew;
        bool is_told = other != NULL && (other->sift == NULL || has_end(other, &ended));
        if (is_told || revocations_find(revoking->set, &ended, &anew)) {
            revocation_entry_destroy(entry);
        } else if (other != NULL) {
            take_end(other, entry);
        } else {
            revocations_put_entry(revoking->set, entry);
        }
    }
}

static void on_stored(struct publish *publish) {
    struct change *change = publish->context;
    enum error_code code = publish->result;
    struct error why = publish->why;
    if (code == OK) {
        struct sift *sift = change->sift;
        change->sift = NULL;
        keep(change);
        code = sift_begin(sift);
    } else {
        give_back(change);
    }
    if (code != OK) {
        change->on_answered(change->context, code, &why);
        destroy(change);
    }
}

/* The change first, then the ends of others. What is no longer in the set, or is being changed,
 * ends with no later change: its object may be put anew until then. */
static enum error_code make_messages(struct change *change) {
    struct revoking *revoking = change->revoking;
    struct revocation ended;
    change->messages[0] = make_message(&change->revocation, change->is_lifted);
    if (change->messages[0] == NULL) {
        return ERR_MEMORY;
    }
    change->publish.count = 1;
    if (revocations_find(revoking->set, &change->revocation, &ended) && has_ended(&ended)) {
        take_end(change, revocations_take(revoking->set, &ended));
    }
    while (change->publish.count <= REVOKING_ENDS_MAX && find_end(revoking, &ended)) {
        struct message *message = make_message(&ended, true);
        if (message == NULL) {
            return ERR_MEMORY;
        }
        change->messages[change->publish.count++] = message;
        take_end(change, revocations_take(revoking->set, &ended));
    }
    return OK;
}

/* An entry for each worker's set and the one here, and the walk that comes to all of them. */
static enum error_code make_ready(struct change *change) {
    struct broker *broker = change->revoking->broker;
    struct sift_options options = {.reply_to = change->reply_to,
                                   .on_worker = tell_worker,
                                   .must_go = must_go,
                                   .reason = CLOSE_REVOKED,
                                   .on_told = on_told,
                                   .on_over = on_over,
                                   .context = change};
    change->sift = sift_create(broker, &options);
    if (change->sift == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; !change->is_lifted && i <= broker->worker_count; i++) {
        change->entries[i] = revocation_entry_create(&change->revocation);
        if (change->entries[i] == NULL) {
            return ERR_MEMORY;
        }
        atomic_store(&change->entry_count, i + 1);
    }
    return make_messages(change);
}

/* Where something has ended, this change makes the room that it takes. */
static enum error_code check_room(const struct change *change, struct error *why) {
    const struct revoking *revoking = change->revoking;
    struct revocation known;
    size_t count = revocations_count(revoking->set) + revoking->ended_count + revoking->under_way;
    if (change->is_lifted || change->ended_count > 0 || count <= REVOCATIONS_MAX ||
        revocations_find(revoking->set, &change->revocation, &known)) {
        return OK;
    }
    return error_set(why, ERR_FULL, "%d revocations are kept at most", REVOCATIONS_MAX);
}

/* NULL: out of memory. */
static struct change *create(struct revoking *revoking, const struct revocation *revocation,
                             bool is_lifted) {
    size_t entry_count = 1 + revoking->broker->worker_count;
    struct change *change =
        calloc(1, sizeof(*change) + entry_count * sizeof(struct revocation_entry *));
    if (change == NULL) {
        return NULL;
    }
    revoking->under_way++;
    list_put_tail(&revoking->changes, &change->in_revoking);
    change->revoking = revoking;
    struct span key = span_of(change->key, revocation_put_key(revocation, change->key));
    bool is_key = revocation_parse_key(key, &change->revocation);
    INVARIANT(is_key);
    change->revocation.revoked_s = revocation->revoked_s;
    change->revocation.until_s = revocation->until_s;
    change->is_lifted = is_lifted;
    atomic_init(&change->entry_count, 0);
    return change;
}

enum error_code revoking_ask(struct revoking *revoking, const struct revocation *revocation,
                             bool is_lifted, struct mailbox *reply_to,
                             revoking_on_answered *on_answered, void *context, struct error *why) {
    if (revoking->under_way >= REVOKINGS_MAX) {
        return error_set(why, ERR_BUSY, "%d changes are under way", REVOKINGS_MAX);
    }
    struct change *change = create(revoking, revocation, is_lifted);
    if (change == NULL) {
        return ERR_MEMORY;
    }
    change->reply_to = reply_to;
    change->on_answered = on_answered;
    change->context = context;
    change->publish = (struct publish){.reply_to = reply_to,
                                       .on_answered = on_stored,
                                       .context = change,
                                       .counted_as = METRICS_PROTOCOL_OTHER,
                                       .messages = change->messages};
    enum error_code code = make_ready(change);
    code = code != OK ? code : check_room(change, why);
    code = code != OK ? code : log_submit(revoking->broker->log, &change->publish);
    if (code != OK) {
        give_back(change);
        destroy(change);
    }
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A member on its own worker. Its last note up is LEAVE, the last one down GONE: between the two
 * whatever comes is let go, and with GONE nobody knows of it any more. */
#include "broker/runtime/sharing.h"

#include <stdlib.h>

#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/runtime/sharing_private.h"
#include "broker/support/invariant.h"

/* A member gone before its leases: the home has taken them back. */
static void free_given(struct given *given) {
    message_unref(given->message);
    free(given);
}

static void send_up(struct sharing_member *member, struct note *note, enum note_kind kind) {
    note->kind = kind;
    lane_put(&member->up, &note->parcel);
}

/* --- what comes down ------------------------------------------------------------------------ */

static struct given *find(const struct sharing_member *member, uint64_t token) {
    LIST_EACH(&member->leases, node) { /* peers answer in order: it is the first, or nearly so */
        struct given *given = CONTAINER_OF(node, struct given, in_member);
        if (given->token >= token) {
            return given->token == token ? given : NULL;
        }
    }
    return NULL;
}

static bool send_back(struct sharing_member *member, uint64_t token, enum note_kind kind) {
    struct given *given = find(member, token);
    if (given == NULL) {
        return false;
    }
    list_remove(&given->in_member);
    if (given->until_ms <= worker_now_ms(member->options.worker)) {
        free_given(given); /* it ends at the home by itself */
        return false;
    }
    send_up(member, &given->note, kind);
    return true;
}

/* Leases that ended at the home, which began to count earlier. */
static void let_go_of_late(struct sharing_member *member) {
    uint64_t now_ms = worker_now_ms(member->options.worker);
    while (!list_is_empty(&member->leases)) {
        struct given *given = CONTAINER_OF(member->leases.next, struct given, in_member);
        if (given->until_ms > now_ms) {
            return;
        }
        list_remove(&given->in_member);
        free_given(given);
    }
}

static void on_given(struct sharing_member *member, struct note *note) {
    struct given *given = CONTAINER_OF(note, struct given, note);
    const struct sharing_options *options = &member->options;
    struct message *message = given->message;
    struct sharing_delivery delivery = {
        .message = message, .token = given->token, .count = given->count};
    if (member->is_left) {
        free_given(given);
        return;
    }
    given->message = NULL; /* what is acknowledged in the call belongs to the home at once */
    given->until_ms =
        options->lease_ms == 0 ? UINT64_MAX : worker_now_ms(options->worker) + options->lease_ms;
    let_go_of_late(member);
    list_put_tail(&member->leases, &given->in_member);
    bool is_taken = !member->is_refusing && options->on_message(options->context, &delivery);
    message_unref(message);
    if (member->is_left || is_taken) {
        return;
    }
    if (!member->is_refusing) {
        sharing_set_credit(member, 0);
        member->is_refusing = true;
    }
    send_back(member, delivery.token, NOTE_NOT_TAKEN);
}

static void on_joined(struct sharing_member *member, struct note *note) {
    (void)note;
    if (!member->is_left) {
        member->options.on_joined(member->options.context, member->result);
    }
}

static void on_gap(struct sharing_member *member, struct note *note) {
    struct told_gap *told = CONTAINER_OF(note, struct told_gap, note);
    if (!member->is_left) {
        member->options.on_gap(member->options.context, &told->gap);
    }
    free(told);
}

static void on_gone(struct sharing_member *member, struct note *note) {
    (void)note;
    INVARIANT(member->is_left);
    INVARIANT(list_is_empty(&member->leases));
    free(member);
}

static void (*const on_kind[])(struct sharing_member *member, struct note *note) = {
    [NOTE_JOINED] = on_joined,
    [NOTE_GIVEN] = on_given,
    [NOTE_GAP] = on_gap,
    [NOTE_GONE] = on_gone,
};

static void on_note(struct lane *lane, struct parcel *parcel) {
    struct sharing_member *member = CONTAINER_OF(lane, struct sharing_member, down);
    struct note *note = CONTAINER_OF(parcel, struct note, parcel);
    INVARIANT(note->kind >= NOTE_JOINED);
    on_kind[note->kind](member, note);
}

/* --- the calls ------------------------------------------------------------------------------ */

static struct span put_text(uint8_t **to, struct span text) {
    struct span copy = span_of(*to, text.length);
    if (text.length > 0) {
        memcpy(*to, text.bytes, text.length);
    }
    *to += text.length;
    return copy;
}

static struct span put_key(uint8_t **to, struct span group, struct span filter) {
    uint8_t *begin = *to;
    put_text(to, group);
    put_text(to, SPAN("/"));
    put_text(to, filter);
    return span_of(begin, (size_t)(*to - begin));
}

/* `now` is when the member came, not when somebody gets to it. */
static void pin_now(struct storage_query *start, const struct log *log) {
    if (start->start == STORAGE_NOW) {
        start->start = STORAGE_AFTER_PLACE;
        start->place = (struct place){.log_id = log_id(log),
                                      .generation = log_generation(log),
                                      .position = log_position_readable(log)};
    }
}

/* One allocation: the struct and its texts. */
static struct sharing_member *allocate(const struct sharing_options *options) {
    size_t bytes = options->group.length + options->filter.length + 1 +
                   options->selector.text.length + options->name.length;
    struct sharing_member *member = calloc(1, sizeof(*member) + bytes);
    if (member == NULL) {
        return NULL;
    }
    uint8_t *to = (uint8_t *)(member + 1);
    member->options = *options;
    member->options.group = put_key(&to, options->group, options->filter);
    member->options.filter = (struct span){0};
    member->options.selector.text = put_text(&to, options->selector.text);
    member->options.name = put_text(&to, options->name);
    member->options.start = (struct storage_query){.start = options->start.start,
                                                   .place = options->start.place,
                                                   .time_ms = options->start.time_ms,
                                                   .newest = options->start.newest};
    return member;
}

enum error_code sharing_join(const struct sharing_options *options,
                             struct sharing_member **ret_member) {
    INVARIANT(options->kept_ms == 0 || options->name.length > 0);
    OWNER_CHECK(options->worker);
    if (options->group.length + 1 + options->filter.length > GROUP_KEY_BYTES_MAX ||
        options->name.length > SCOPED_CLIENT_ID_BYTES_MAX) {
        return ERR_TOO_LARGE;
    }
    struct sharing_member *member = allocate(options);
    if (member == NULL) {
        return ERR_MEMORY;
    }
    struct broker *broker = options->worker->broker;
    pin_now(&member->options.start, broker->log);
    member->home = home_worker(broker, member->options.group);
    lane_init(&member->up, worker_mailbox(member->home), home_on_note);
    lane_init(&member->down, worker_mailbox(options->worker), on_note);
    list_init(&member->leases);
    list_init(&member->in_group);
    atomic_init(&member->credit, options->credit);
    send_up(member, &member->join, NOTE_JOIN);
    *ret_member = member;
    return OK;
}

void sharing_set_credit(struct sharing_member *member, uint32_t credit) {
    OWNER_CHECK(member->options.worker);
    INVARIANT(!member->is_left);
    member->is_refusing = false;
    if (atomic_load(&member->credit) == credit) {
        return;
    }
    atomic_store(&member->credit, credit);
    if (!atomic_exchange(&member->is_credit_noted, true)) {
        send_up(member, &member->credit_note, NOTE_CREDIT);
    }
}

bool sharing_acknowledge(struct sharing_member *member, uint64_t token) {
    OWNER_CHECK(member->options.worker);
    INVARIANT(!member->is_left);
    return send_back(member, token, NOTE_ACKNOWLEDGED);
}

bool sharing_reject(struct sharing_member *member, uint64_t token) {
    OWNER_CHECK(member->options.worker);
    INVARIANT(!member->is_left);
    return send_back(member, token, NOTE_REJECTED);
}

void sharing_leave(struct sharing_member *member) {
    sharing_leave_kept(member, 0);
}

void sharing_leave_kept(struct sharing_member *member, uint64_t kept_ms) {
    if (member == NULL) {
        return;
    }
    OWNER_CHECK(member->options.worker);
    INVARIANT(!member->is_left);
    INVARIANT(kept_ms == 0 || member->options.name.length > 0);
    member->is_left = true;
    member->left_for_ms = kept_ms;
    LIST_EACH(&member->leases, node) {
        list_remove(node);
        free_given(CONTAINER_OF(node, struct given, in_member));
    }
    send_up(member, &member->leave, NOTE_LEAVE);
}

/* --- forgetting ----------------------------------------------------------------------------- */

struct forgetting {
    struct letter letter;
    struct broker *broker;
    struct span key;
    struct span name;
};

static void on_forget(struct letter *letter, void *consumer) {
    struct forgetting *forgetting = CONTAINER_OF(letter, struct forgetting, letter);
    home_forget(((struct worker *)consumer)->home, forgetting->key, forgetting->name);
    atomic_fetch_sub(&forgetting->broker->forgetting_count, 1);
    free(forgetting);
}

/* NULL: out of memory. */
static struct forgetting *create_forgetting(struct broker *broker, size_t key_bytes,
                                            struct span name) {
    struct forgetting *forgetting = calloc(1, sizeof(*forgetting) + key_bytes + name.length);
    if (forgetting != NULL) {
        uint8_t *to = (uint8_t *)(forgetting + 1);
        forgetting->name = put_text(&to, name);
        forgetting->letter.on_delivered = on_forget;
        forgetting->broker = broker;
        atomic_fetch_add(&broker->forgetting_count, 1);
    }
    return forgetting;
}

enum error_code sharing_forget(struct broker *broker, struct span group, struct span filter,
                               struct span name) {
    struct forgetting *forgetting =
        create_forgetting(broker, group.length + 1 + filter.length, name);
    if (forgetting == NULL) {
        return ERR_MEMORY;
    }
    uint8_t *to = (uint8_t *)(forgetting + 1) + name.length;
    forgetting->key = put_key(&to, group, filter);
    mailbox_put_answer(worker_mailbox(home_worker(broker, forgetting->key)), &forgetting->letter);
    return OK;
}

enum error_code sharing_forget_everywhere(struct broker *broker, struct span name) {
    for (size_t i = 0; i < broker->worker_count; i++) {
        struct forgetting *forgetting = create_forgetting(broker, 0, name);
        if (forgetting == NULL) {
            return ERR_MEMORY;
        }
        mailbox_put_answer(worker_mailbox(broker->workers[i]), &forgetting->letter);
    }
    return OK;
}

bool sharing_is_forgetting(const struct broker *broker) {
    return atomic_load(&broker->forgetting_count) >= FORGETTINGS_MAX;
}

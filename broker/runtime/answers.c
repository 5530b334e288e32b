/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/answers.h"

#include "broker/limits.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"

static void give_back(struct answers *answers, const struct publish *publish) {
    atomic_fetch_sub_explicit(&answers->waiting_bytes, publish->bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&answers->waiting_count, 1, memory_order_relaxed);
}

enum error_code answers_admit(struct answers *answers, struct publish *publish) {
    publish->submitted_us = clock_monotonic_us();
    publish->bytes = 0;
    for (size_t i = 0; i < publish->count; i++) {
        publish->bytes += message_size(publish->messages[i]);
    }
    size_t bytes = atomic_fetch_add(&answers->waiting_bytes, publish->bytes);
    size_t count = atomic_fetch_add(&answers->waiting_count, 1);
    if (count >= MAILBOX_NODES_MAX ||
        (bytes > 0 && bytes + publish->bytes > PUBLISHES_WAITING_BYTES_MAX)) {
        answers_turn_away(answers, publish);
        return ERR_BUSY;
    }
    return OK;
}

bool answers_are_relaxed(const struct answers *answers) {
    size_t bytes = atomic_load_explicit(&answers->waiting_bytes, memory_order_relaxed);
    size_t count = atomic_load_explicit(&answers->waiting_count, memory_order_relaxed);
    return bytes < PUBLISHES_WAITING_BYTES_MAX / PUBLISHES_RELAXED_SHARE &&
           count < MAILBOX_NODES_MAX / PUBLISHES_RELAXED_SHARE;
}

void answers_turn_away(struct answers *answers, const struct publish *publish) {
    give_back(answers, publish);
    atomic_fetch_add_explicit(&answers->turned_away, 1, memory_order_relaxed);
}

/* What rules that ask for it are told of their channels. */
static void count_match(struct answers *answers, const struct message *message) {
    size_t match = message->fields.match;
    if (match > 0) {
        metrics_add_at(answers->metrics, METRIC_MATCH_MESSAGES, match - 1, 1);
        metrics_add_at(answers->metrics, METRIC_MATCH_BYTES, match - 1,
                       message->fields.payload.length);
    }
}

/* Commands are the broker's own: they ride with messages, or go alone. */
static size_t count_messages(const struct publish *publish) {
    size_t messages = 0;
    for (size_t i = 0; i < publish->count; i++) {
        messages += publish->messages[i]->fields.kind != MESSAGE_COMMAND;
    }
    return messages;
}

static void count_stored(struct answers *answers, const struct publish *publish, size_t messages) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < publish->count; i++) {
        if (publish->messages[i]->fields.kind != MESSAGE_COMMAND) {
            bytes += publish->messages[i]->fields.payload.length;
            count_match(answers, publish->messages[i]);
        }
    }
    metrics_add_at(answers->metrics, METRIC_PUBLISHED_MESSAGES, publish->counted_as, messages);
    metrics_add_at(answers->metrics, METRIC_PUBLISHED_BYTES, publish->counted_as, bytes);
}

/* Limits that the order has found. */
static void count_limit(struct answers *answers, const struct publish *publish,
                        enum error_code result) {
    enum metrics_limit limit = METRICS_LIMIT_CHANNELS;
    if (result != ERR_FULL && result != ERR_QUOTA) {
        return;
    }
    if (result == ERR_QUOTA) {
        const char *channels = metrics_limit_path(METRICS_LIMIT_TENANT_CHANNELS);
        limit = strcmp(publish->why.field, channels) == 0 ? METRICS_LIMIT_TENANT_CHANNELS
                                                          : METRICS_LIMIT_TENANT_STORED;
    }
    metrics_add_at(answers->metrics, METRIC_LIMITS_REFUSED,
                   METRICS_PAIR(METRIC_LIMITS_REFUSED, limit, publish->counted_as), 1);
}

static void count(struct answers *answers, const struct publish *publish, enum error_code result) {
    uint64_t took_us = clock_monotonic_us() - publish->submitted_us;
    size_t messages = count_messages(publish);
    if (messages == 0) {
        return;
    }
    metrics_add_at(answers->metrics, METRIC_PUBLISHES,
                   METRICS_PAIR(METRIC_PUBLISHES, publish->counted_as, result), 1);
    metrics_observe_at(answers->metrics, METRIC_PUBLISH, publish->counted_as, took_us);
    count_limit(answers, publish, result);
    if (publish->is_repeated) {
        metrics_add(answers->metrics, METRIC_PUBLISHES_REPEATED, 1);
    } else if (result == OK) {
        count_stored(answers, publish, messages);
    }
}

static void on_answer_delivered(struct letter *letter, void *consumer) {
    (void)consumer;
    struct publish *publish = CONTAINER_OF(letter, struct publish, letter);
    publish->on_answered(publish);
}

static void send_quietly(struct answers *answers, struct publish *publish, enum error_code result,
                         const struct error *why) {
    INVARIANT(result == OK || why != NULL);
    publish->result = result;
    if (result != OK) {
        publish->why = *why;
    }
    if (publish->reply_to == NULL) {
        publish->on_answered(publish);
        return;
    }
    count(answers, publish, result);
    give_back(answers, publish);
    publish->letter.on_delivered = on_answer_delivered;
    mailbox_put_answer_quietly(publish->reply_to, &publish->letter);
}

/* The publish is its maker's from the moment it is sent, so the mailbox is asked for before. */
void answers_send(struct answers *answers, struct publish *publish, enum error_code result,
                  const struct error *why) {
    struct mailbox *reply_to = publish->reply_to;
    send_quietly(answers, publish, result, why);
    if (reply_to != NULL) {
        mailbox_nudge(reply_to);
    }
}

void answers_send_all(struct answers *answers, struct list *publishes, enum error_code result,
                      const struct error *why) {
    struct mailbox *last = NULL;
    for (struct list *node; (node = list_take_head(publishes)) != NULL;) {
        struct publish *publish = CONTAINER_OF(node, struct publish, in_list);
        struct mailbox *reply_to = publish->reply_to;
        send_quietly(answers, publish, result, why);
        if (last != NULL && last != reply_to) {
            mailbox_nudge(last);
        }
        last = reply_to;
    }
    if (last != NULL) {
        mailbox_nudge(last);
    }
}

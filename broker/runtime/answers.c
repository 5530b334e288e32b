/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/answers.h"

#include "broker/limits.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"

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
        answers_give_back(answers, publish);
        return ERR_BUSY;
    }
    return OK;
}

void answers_give_back(struct answers *answers, const struct publish *publish) {
    atomic_fetch_sub_explicit(&answers->waiting_bytes, publish->bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&answers->waiting_count, 1, memory_order_relaxed);
}

static void count_stored(struct answers *answers, const struct publish *publish) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < publish->count; i++) {
        bytes += publish->messages[i]->fields.payload.length;
    }
    metrics_add_at(answers->metrics, METRIC_PUBLISHED_MESSAGES, publish->counted_as,
                   publish->count);
    metrics_add_at(answers->metrics, METRIC_PUBLISHED_BYTES, publish->counted_as, bytes);
}

static void count(struct answers *answers, const struct publish *publish, enum error_code result) {
    uint64_t took_us = clock_monotonic_us() - publish->submitted_us;
    metrics_add_at(answers->metrics, METRIC_PUBLISHES, result, 1);
    metrics_observe(answers->metrics, METRIC_PUBLISH_ANSWER, took_us);
    if (result != OK) {
        atomic_fetch_add_explicit(&answers->refused, 1, memory_order_relaxed);
    } else if (publish->is_repeated) {
        atomic_fetch_add_explicit(&answers->repeated, 1, memory_order_relaxed);
    } else {
        count_stored(answers, publish);
    }
}

static void on_answer_delivered(struct letter *letter, void *consumer) {
    (void)consumer;
    struct publish *publish = CONTAINER_OF(letter, struct publish, letter);
    publish->on_answered(publish);
}

void answers_send(struct answers *answers, struct publish *publish, enum error_code result,
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
    answers_give_back(answers, publish);
    publish->letter.on_delivered = on_answer_delivered;
    mailbox_put_answer(publish->reply_to, &publish->letter);
}

void answers_send_all(struct answers *answers, struct list *publishes, enum error_code result,
                      const struct error *why) {
    for (struct list *node; (node = list_take_head(publishes)) != NULL;) {
        answers_send(answers, CONTAINER_OF(node, struct publish, in_list), result, why);
    }
}

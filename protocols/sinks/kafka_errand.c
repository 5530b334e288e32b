/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/kafka_errand.h"

#include "broker/support/invariant.h"
#include "protocols/sinks/loop.h"

/* The thread has nothing more to do than to end, so joining it does not wait. */
static void deliver(struct letter *letter, void *consumer) {
    (void)consumer;
    struct kafka_errand *errand = CONTAINER_OF(letter, struct kafka_errand, letter);
    pthread_join(errand->thread, NULL);
    errand->is_under_way = false;
    errand->on_done(errand);
}

static void *run(void *context) {
    struct kafka_errand *errand = context;
    errand->call(errand);
    mailbox_put_answer(loop_mailbox(errand->loop), &errand->letter);
    return NULL;
}

bool kafka_errand_begin(struct kafka_errand *errand, struct loop *loop,
                        void (*call)(struct kafka_errand *errand),
                        void (*on_done)(struct kafka_errand *errand)) {
    INVARIANT(!errand->is_under_way);
    errand->letter.on_delivered = deliver;
    errand->loop = loop;
    errand->call = call;
    errand->on_done = on_done;
    atomic_store(&errand->is_cancelled, false);
    errand->is_under_way = true;
    errand->is_under_way = pthread_create(&errand->thread, NULL, run, errand) == 0;
    return errand->is_under_way;
}

void kafka_errand_cancel(struct kafka_errand *errand) {
    atomic_store(&errand->is_cancelled, true);
}

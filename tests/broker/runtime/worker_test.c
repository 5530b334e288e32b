/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/worker.h"

#include <stdatomic.h>

#include "broker/support/invariant.h"
#include "tests/broker/runtime/house.h"
#include "tests/unit.h"

/* Whether this thread put something that the log may not know of, and how often one slept so. */
static _Thread_local bool owes_nudge;
static atomic_uint slept_owing;

void __real_log_nudge(struct log *log);
void __wrap_log_nudge(struct log *log);
bool __real_mailbox_sleep(struct mailbox *mailbox);
bool __wrap_mailbox_sleep(struct mailbox *mailbox);

void __wrap_log_nudge(struct log *log) {
    owes_nudge = false;
    __real_log_nudge(log);
}

bool __wrap_mailbox_sleep(struct mailbox *mailbox) {
    atomic_fetch_add(&slept_owing, owes_nudge);
    return __real_mailbox_sleep(mailbox);
}

struct asked {
    struct house *house;
    struct publish publish;
    bool is_answered;
};

static void on_answered(struct publish *publish) {
    ((struct asked *)publish->context)->is_answered = true;
}

static void submit_quietly(void *context) {
    struct asked *asked = context;
    INVARIANT(log_submit_quietly(asked->house->broker.log, &asked->publish) == OK);
    owes_nudge = true;
}

static void publish_quietly(struct house *house, size_t worker) {
    struct message_fields fields = {
        .kind = MESSAGE_DATA, .channel = SPAN("a"), .payload = SPAN("1")};
    struct message *message = message_create(&fields);
    struct asked asked = {.house = house,
                          .publish = {.reply_to = &house->mailbox,
                                      .on_answered = on_answered,
                                      .context = &asked,
                                      .messages = &message,
                                      .count = 1}};
    house_call(house, worker, submit_quietly, &asked);
    while (!asked.is_answered) {
        mailbox_wait(&house->mailbox, -1);
        mailbox_deliver_all(&house->mailbox, NULL);
    }
    EXPECT_EQ(asked.publish.result, OK);
    message_unref(message);
}

TEST(a_worker_does_not_sleep_before_the_log_knows_what_its_turn_published) {
    static struct house house;
    house_init(&house, NULL);
    house_start(&house);
    for (size_t i = 0; i < 100; i++) {
        publish_quietly(&house, i % HOUSE_WORKERS);
    }
    house_stop(&house);
    house_finish(&house);
    EXPECT_EQ(slept_owing, 0);
}

UNIT_TESTS(UNIT(a_worker_does_not_sleep_before_the_log_knows_what_its_turn_published))

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/answers.h"

#include "broker/limits.h"
#include "tests/unit.h"

/* A publish of one message, and where its answer goes. */
struct asked {
    struct publish publish;
    struct message *message;
    struct mailbox mailbox;
    bool is_answered;
};

struct account {
    struct metrics *metrics;
    struct answers answers;
};

static void init(struct account *account) {
    *account = (struct account){0};
    EXPECT_EQ(metrics_create(1, &account->metrics), OK);
    account->answers.metrics = metrics_shard(account->metrics, METRICS_LOG);
}

static void on_answered(struct publish *publish) {
    struct asked *asked = publish->context;
    asked->is_answered = true;
}

static void make(struct asked *asked) {
    struct message_fields fields = {.kind = MESSAGE_DATA, .payload = SPAN("12345")};
    *asked = (struct asked){.message = message_create(&fields)};
    EXPECT_NOT_NULL(asked->message);
    EXPECT_EQ(mailbox_init(&asked->mailbox, 16), OK);
    asked->publish = (struct publish){.reply_to = &asked->mailbox,
                                      .on_answered = on_answered,
                                      .context = asked,
                                      .messages = &asked->message,
                                      .count = 1};
}

static void finish(struct asked *asked) {
    message_unref(asked->message);
    mailbox_finish(&asked->mailbox);
}

static uint64_t published(struct account *account) {
    return metrics_sum(account->metrics, METRIC_PUBLISHED_MESSAGES, METRICS_PROTOCOL_HTTP);
}

TEST(room_is_kept_from_admission_to_answer) {
    struct account account;
    struct asked asked;
    init(&account);
    make(&asked);
    EXPECT_EQ(answers_admit(&account.answers, &asked.publish), OK);
    EXPECT_EQ(account.answers.waiting_count, 1);
    EXPECT_EQ(account.answers.waiting_bytes, message_size(asked.message));
    answers_send(&account.answers, &asked.publish, OK, NULL);
    EXPECT_EQ(account.answers.waiting_count, 0);
    EXPECT_EQ(account.answers.waiting_bytes, 0);
    EXPECT_FALSE(asked.is_answered);
    mailbox_deliver_all(&asked.mailbox, NULL);
    EXPECT_TRUE(asked.is_answered);
    EXPECT_EQ(published(&account), 1);
    finish(&asked);
    metrics_destroy(account.metrics);
}

TEST(a_part_of_the_room_is_for_those_who_wait_for_each_answer) {
    struct answers answers = {0};
    EXPECT_TRUE(answers_are_relaxed(&answers));
    answers.waiting_bytes = PUBLISHES_WAITING_BYTES_MAX / PUBLISHES_RELAXED_SHARE;
    EXPECT_FALSE(answers_are_relaxed(&answers));
    answers.waiting_bytes = 0;
    answers.waiting_count = MAILBOX_NODES_MAX / PUBLISHES_RELAXED_SHARE;
    EXPECT_FALSE(answers_are_relaxed(&answers));
}

TEST(without_room_a_publish_is_told_and_leaves_no_trace) {
    struct account account;
    struct asked asked;
    init(&account);
    make(&asked);
    atomic_store(&account.answers.waiting_count, MAILBOX_NODES_MAX);
    EXPECT_EQ(answers_admit(&account.answers, &asked.publish), ERR_BUSY);
    EXPECT_EQ(account.answers.waiting_count, MAILBOX_NODES_MAX);
    EXPECT_EQ(account.answers.waiting_bytes, 0);
    atomic_store(&account.answers.waiting_count, 1);
    atomic_store(&account.answers.waiting_bytes, PUBLISHES_WAITING_BYTES_MAX);
    EXPECT_EQ(answers_admit(&account.answers, &asked.publish), ERR_BUSY);
    EXPECT_EQ(account.answers.waiting_bytes, PUBLISHES_WAITING_BYTES_MAX);
    EXPECT_EQ(account.answers.turned_away, 2);
    finish(&asked);
    metrics_destroy(account.metrics);
}

TEST(what_repeats_or_is_refused_published_nothing) {
    struct account account;
    struct asked repeated;
    struct asked refused;
    struct error why = {.code = ERR_FULL, .detail = "there is no room"};
    struct list both;
    init(&account);
    make(&repeated);
    make(&refused);
    list_init(&both);
    EXPECT_EQ(answers_admit(&account.answers, &repeated.publish), OK);
    EXPECT_EQ(answers_admit(&account.answers, &refused.publish), OK);
    repeated.publish.is_repeated = true;
    answers_send(&account.answers, &repeated.publish, OK, NULL);
    list_put_tail(&both, &refused.publish.in_list);
    answers_send_all(&account.answers, &both, ERR_FULL, &why);
    EXPECT_TRUE(list_is_empty(&both));
    EXPECT_EQ(refused.publish.result, ERR_FULL);
    EXPECT_STRING(refused.publish.why.detail, "there is no room");
    EXPECT_EQ(metrics_sum(account.metrics, METRIC_PUBLISHES_REPEATED, 0), 1);
    EXPECT_EQ(metrics_sum(account.metrics, METRIC_PUBLISHES,
                          METRICS_PAIR(METRIC_PUBLISHES, METRICS_PROTOCOL_HTTP, ERR_FULL)),
              1);
    EXPECT_EQ(published(&account), 0);
    mailbox_deliver_all(&repeated.mailbox, NULL);
    mailbox_deliver_all(&refused.mailbox, NULL);
    finish(&repeated);
    finish(&refused);
    metrics_destroy(account.metrics);
}

TEST(commands_are_no_messages_that_were_published) {
    struct message_fields fields = {.kind = MESSAGE_COMMAND, .payload = SPAN("12345")};
    struct account account;
    struct asked asked;
    init(&account);
    make(&asked);
    struct message *both[] = {asked.message, message_create(&fields)};
    asked.publish.messages = both;
    asked.publish.count = 2;
    EXPECT_EQ(answers_admit(&account.answers, &asked.publish), OK);
    answers_send(&account.answers, &asked.publish, OK, NULL);
    mailbox_deliver_all(&asked.mailbox, NULL);
    EXPECT_EQ(published(&account), 1);
    EXPECT_EQ(metrics_sum(account.metrics, METRIC_PUBLISHED_BYTES, METRICS_PROTOCOL_HTTP), 5);
    asked.publish.messages = both + 1;
    asked.publish.count = 1;
    EXPECT_EQ(answers_admit(&account.answers, &asked.publish), OK);
    answers_send(&account.answers, &asked.publish, OK, NULL);
    mailbox_deliver_all(&asked.mailbox, NULL);
    EXPECT_EQ(published(&account), 1);
    EXPECT_EQ(metrics_sum(account.metrics, METRIC_PUBLISHES,
                          METRICS_PAIR(METRIC_PUBLISHES, METRICS_PROTOCOL_HTTP, OK)),
              1);
    EXPECT_EQ(account.answers.waiting_count, 0);
    message_unref(both[1]);
    finish(&asked);
    metrics_destroy(account.metrics);
}

TEST(message_counts_for_the_pattern_of_its_rule) {
    struct account account;
    struct asked asked;
    init(&account);
    make(&asked);
    EXPECT_EQ(metrics_add_match(account.metrics, "a/*"), 0);
    EXPECT_EQ(metrics_add_match(account.metrics, "b/*"), 1);
    asked.message->fields.match = 2; /* series 1 */
    EXPECT_EQ(answers_admit(&account.answers, &asked.publish), OK);
    answers_send(&account.answers, &asked.publish, OK, NULL);
    EXPECT_EQ(metrics_sum(account.metrics, METRIC_MATCH_MESSAGES, 0), 0);
    EXPECT_EQ(metrics_sum(account.metrics, METRIC_MATCH_MESSAGES, 1), 1);
    EXPECT_EQ(metrics_sum(account.metrics, METRIC_MATCH_BYTES, 1), 5);
    mailbox_deliver_all(&asked.mailbox, NULL);
    finish(&asked);
    metrics_destroy(account.metrics);
}

TEST(the_engines_own_is_answered_at_once_and_counts_nowhere) {
    struct account account;
    struct asked asked;
    init(&account);
    make(&asked);
    asked.publish.reply_to = NULL;
    answers_send(&account.answers, &asked.publish, OK, NULL);
    EXPECT_TRUE(asked.is_answered);
    EXPECT_EQ(published(&account), 0);
    finish(&asked);
    metrics_destroy(account.metrics);
}

UNIT_TESTS(UNIT(room_is_kept_from_admission_to_answer),
           UNIT(a_part_of_the_room_is_for_those_who_wait_for_each_answer),
           UNIT(without_room_a_publish_is_told_and_leaves_no_trace),
           UNIT(what_repeats_or_is_refused_published_nothing),
           UNIT(commands_are_no_messages_that_were_published),
           UNIT(message_counts_for_the_pattern_of_its_rule),
           UNIT(the_engines_own_is_answered_at_once_and_counts_nowhere))

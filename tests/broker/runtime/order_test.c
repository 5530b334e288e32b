/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/order.h"

#include "broker/admission/accounts.h"
#include "tests/unit.h"

/* An order without a store: it begins at position 1. */
static void init(struct order *order) {
    *order = (struct order){.state = {.log_id = 9,
                                      .generation = 2,
                                      .position_next = 1,
                                      .channel_id_next = 1,
                                      .time_ms = 500},
                            .channels_max = 100};
    EXPECT_EQ(map_init(&order->channels), OK);
}

static struct message *message_of(const char *channel, enum message_kind kind) {
    struct message_fields fields = {.kind = kind, .channel = span_of_string(channel)};
    return message_create(&fields);
}

/* One message through order_prepare() and order_put(). */
static struct message *put_kind(struct order *order, struct commit *commit, const char *channel,
                                enum message_kind kind) {
    struct message *message = message_of(channel, kind);
    EXPECT_EQ(order_prepare(order, &message, 1, NULL), OK);
    order_put(order, message);
    commit_put(commit, message);
    message_unref(message); /* the commit holds it */
    return message;
}

static struct message *put(struct order *order, struct commit *commit, const char *channel) {
    return put_kind(order, commit, channel, MESSAGE_DATA);
}

TEST(offsets_are_dense_in_each_channel_and_positions_in_all) {
    struct order order;
    struct commit *commit = commit_create(3);
    init(&order);
    EXPECT_EQ(put(&order, commit, "a")->place.offset, 1);
    EXPECT_EQ(put(&order, commit, "b")->place.offset, 1);
    struct message *third = put(&order, commit, "a");
    EXPECT_EQ(third->place.offset, 2);
    EXPECT_EQ(third->place.position, 3);
    EXPECT_EQ(third->place.log_id, 9);
    EXPECT_EQ(third->place.generation, 2);
    EXPECT_EQ(third->time_ms, 500);
    EXPECT_EQ(order_channel_count(&order), 2);
    commit_unref(commit);
    order_finish(&order);
}

TEST(a_write_that_failed_leaves_no_trace) {
    struct order order;
    struct commit *stored = commit_create(1);
    struct commit *failed = commit_create(2);
    init(&order);
    put(&order, stored, "a");
    put(&order, failed, "a");
    put(&order, failed, "new");
    order_undo(&order, failed);
    EXPECT_EQ(order_channel_count(&order), 1);
    EXPECT_EQ(order.state.position_next, 2);
    struct commit *again = commit_create(1);
    EXPECT_EQ(put(&order, again, "a")->place.offset, 2);
    commit_unref(stored);
    commit_unref(failed);
    commit_unref(again);
    order_finish(&order);
}

TEST(a_channel_that_was_taken_back_can_be_had_again) {
    struct order order;
    struct commit *failed = commit_create(1);
    struct commit *again = commit_create(1);
    struct message *waiting = message_of("new", MESSAGE_DATA);
    init(&order);
    put(&order, failed, "new");
    order_undo(&order, failed);
    EXPECT_EQ(order_channel_count(&order), 0);
    EXPECT_EQ(order_prepare(&order, &waiting, 1, NULL), OK);
    order_unprepare(&order, &waiting, 1);
    EXPECT_EQ(order_channel_count(&order), 0);
    EXPECT_EQ(put(&order, again, "new")->place.offset, 1);
    message_unref(waiting);
    commit_unref(failed);
    commit_unref(again);
    order_finish(&order);
}

TEST(record_time_never_goes_back) {
    struct order order;
    init(&order);
    EXPECT_EQ(order_turn_clock(&order, 400), 500);
    EXPECT_EQ(order_turn_clock(&order, 600), 600);
    EXPECT_EQ(order_turn_clock(&order, 599), 600);
    order_finish(&order);
}

TEST(a_tick_takes_a_position_and_belongs_to_no_channel) {
    struct order order;
    init(&order);
    struct message *tick = message_of("", MESSAGE_TICK);
    EXPECT_EQ(order_prepare(&order, &tick, 1, NULL), OK);
    order_put(&order, tick);
    EXPECT_EQ(tick->place.position, 1);
    EXPECT_EQ(tick->place.channel_id, 0);
    EXPECT_EQ(order_channel_count(&order), 0);
    message_unref(tick);
    order_finish(&order);
}

TEST(a_command_takes_a_position_and_belongs_to_no_channel) {
    struct order order;
    struct commit *failed = commit_create(3);
    struct commit *again = commit_create(1);
    init(&order);
    struct message *command = put_kind(&order, failed, "", MESSAGE_COMMAND);
    EXPECT_EQ(command->place.position, 1);
    EXPECT_EQ(command->place.channel_id, 0);
    EXPECT_EQ(command->place.offset, 0);
    EXPECT_EQ(order_channel_count(&order), 0);
    EXPECT_EQ(put(&order, failed, "a")->place.position, 2);
    EXPECT_EQ(put_kind(&order, failed, "", MESSAGE_COMMAND)->place.position, 3);
    order_undo(&order, failed);
    EXPECT_EQ(order_channel_count(&order), 0);
    EXPECT_EQ(put(&order, again, "a")->place.position, 1);
    commit_unref(failed);
    commit_unref(again);
    order_finish(&order);
}

TEST(a_delete_takes_a_position_and_its_channels_last_offset) {
    struct order order;
    struct commit *commit = commit_create(3);
    init(&order);
    uint64_t channel_id = put(&order, commit, "a")->place.channel_id;
    struct message *delete = put_kind(&order, commit, "a", MESSAGE_DELETE);
    EXPECT_EQ(delete->place.position, 2);
    EXPECT_EQ(delete->place.channel_id, channel_id);
    EXPECT_EQ(delete->place.offset, 1);
    EXPECT_EQ(put(&order, commit, "a")->place.offset, 2);
    commit_unref(commit);
    order_finish(&order);
}

TEST(a_delete_in_a_channel_that_nobody_knows_finds_nothing) {
    struct order order;
    struct error why = {0};
    init(&order);
    struct message *messages[] = {message_of("new", MESSAGE_DATA),
                                  message_of("nobody", MESSAGE_DELETE)};
    EXPECT_EQ(order_prepare(&order, messages, 2, &why), ERR_NOT_FOUND);
    EXPECT_STRING(why.detail, "the channel has no message");
    EXPECT_EQ(order_channel_count(&order), 0); /* all or none */
    message_unref(messages[0]);
    message_unref(messages[1]);
    order_finish(&order);
}

TEST(a_delete_behind_the_first_message_of_the_same_round_finds_the_channel) {
    struct order order;
    init(&order);
    struct message *messages[] = {message_of("new", MESSAGE_DATA),
                                  message_of("new", MESSAGE_DELETE)};
    EXPECT_EQ(order_prepare(&order, messages, 1, NULL), OK);
    EXPECT_EQ(order_prepare(&order, messages + 1, 1, NULL), OK);
    order_put(&order, messages[0]);
    order_put(&order, messages[1]);
    EXPECT_EQ(messages[1]->place.offset, 1);
    message_unref(messages[0]);
    message_unref(messages[1]);
    order_finish(&order);
}

TEST(a_delete_whose_write_failed_leaves_the_offsets_alone) {
    struct order order;
    struct commit *stored = commit_create(2);
    struct commit *failed = commit_create(4);
    struct commit *again = commit_create(2);
    init(&order);
    put(&order, stored, "a");
    put(&order, stored, "a");
    put_kind(&order, failed, "a", MESSAGE_DELETE);
    put(&order, failed, "a");
    put(&order, failed, "new");
    put_kind(&order, failed, "new", MESSAGE_DELETE);
    order_undo(&order, failed);
    EXPECT_EQ(order_channel_count(&order), 1);
    EXPECT_EQ(order.state.position_next, 3);
    EXPECT_EQ(put(&order, again, "a")->place.offset, 3);
    EXPECT_EQ(put(&order, again, "new")->place.offset, 1);
    commit_unref(stored);
    commit_unref(failed);
    commit_unref(again);
    order_finish(&order);
}

TEST(a_channel_that_the_store_has_forgotten_begins_anew_under_a_new_id) {
    struct order order;
    struct commit *stored = commit_create(1);
    struct commit *again = commit_create(1);
    init(&order);
    struct place first = put(&order, stored, "a")->place;
    EXPECT_FALSE(order_forget(&order, SPAN("b"), first.channel_id, first.offset));
    EXPECT_FALSE(order_forget(&order, SPAN("a"), first.channel_id + 1, first.offset));
    EXPECT_TRUE(order_forget(&order, SPAN("a"), first.channel_id, first.offset));
    EXPECT_EQ(order_channel_count(&order), 0);
    struct message *message = put(&order, again, "a");
    EXPECT_EQ(message->place.offset, 1);
    EXPECT_TRUE(message->place.channel_id > first.channel_id);
    commit_unref(stored);
    commit_unref(again);
    order_finish(&order);
}

TEST(a_channel_that_had_a_message_since_the_store_forgot_it_goes_on) {
    struct order order;
    struct commit *commit = commit_create(2);
    init(&order);
    struct place first = put(&order, commit, "a")->place;
    struct place second = put(&order, commit, "a")->place;
    EXPECT_FALSE(order_forget(&order, SPAN("a"), first.channel_id, first.offset));
    EXPECT_EQ(second.channel_id, first.channel_id);
    EXPECT_EQ(order_channel_count(&order), 1);
    commit_unref(commit);
    order_finish(&order);
}

TEST(the_store_thread_tells_by_letter_what_it_forgot) {
    struct order order;
    struct mailbox mailbox;
    struct commit *commit = commit_create(1);
    init(&order);
    EXPECT_EQ(mailbox_init(&mailbox, 1), OK);
    struct place place = put(&order, commit, "a")->place;
    order_post_forgotten(&order, &mailbox, SPAN("a"), place.channel_id, place.offset);
    order_post_forgotten(&order, &mailbox, SPAN("full"), place.channel_id, place.offset);
    EXPECT_EQ(order_channel_count(&order), 1);
    EXPECT_EQ(mailbox_deliver_all(&mailbox, NULL), 1);
    EXPECT_EQ(order_channel_count(&order), 0);
    mailbox_finish(&mailbox);
    commit_unref(commit);
    order_finish(&order);
}

/* --- the limit of channels --- */

/* Else a sink's first dead letter would wait for a channel, and the sink for its dead letter. */
TEST(the_brokers_own_channels_are_counted_and_not_refused) {
    struct order order;
    static const char *const names[] = {"a", "b", "$dlq/s", "\1acme/$dlq/s"};
    init(&order);
    order.channels_max = 1;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct message *message = message_of(names[i], MESSAGE_DATA);
        EXPECT_EQ(order_prepare(&order, &message, 1, NULL), i % 2 == 0 ? OK : ERR_FULL);
        message_unref(message);
    }
    EXPECT_EQ(order_channel_count(&order), 2);
    order_finish(&order);
}

/* --- tenants --- */

#define ACME(name) "\1acme/" name

/* What acme may have. */
static void on_tenant(void *context, struct span tenant, struct quota *ret_quota) {
    (void)context;
    if (span_is_equal(tenant, SPAN("acme"))) {
        atomic_store(&ret_quota->channels, 2);
        atomic_store(&ret_quota->stored_bytes, 10);
    }
}

static struct account *init_tenants(struct order *order, struct accounts **ret_accounts) {
    const struct quota subjects = {0};
    struct account *acme = NULL;
    init(order);
    EXPECT_EQ(accounts_create(&subjects, ret_accounts), OK);
    accounts_set_on_tenant(*ret_accounts, on_tenant, NULL);
    order->accounts = *ret_accounts;
    EXPECT_EQ(accounts_find_tenant(*ret_accounts, SPAN("acme"), &acme), OK);
    return acme;
}

static struct message *payload_of(const char *channel, const char *payload) {
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .channel = span_of_string(channel),
                                    .payload = span_of_string(payload)};
    return message_create(&fields);
}

static enum error_code prepare(struct order *order, struct message *message) {
    struct error why = {0};
    enum error_code code = order_prepare(order, &message, 1, &why);
    EXPECT_EQ(code != OK, why.detail[0] != '\0');
    return code;
}

TEST(channels_of_a_tenant_are_counted_and_refused_above_its_quota) {
    struct order order;
    struct accounts *accounts;
    struct account *acme = init_tenants(&order, &accounts);
    static const char *const names[] = {ACME("a"), ACME("b"), ACME("c"), "c", "\1bolt/c"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct message *message = payload_of(names[i], "x");
        EXPECT_EQ(prepare(&order, message), i == 2 ? ERR_QUOTA : OK);
        if (i != 2) {
            order_put(&order, message);
        }
        message_unref(message);
    }
    EXPECT_EQ(acme->channels, 2);
    EXPECT_EQ(acme->stored_bytes, 2);
    EXPECT_EQ(acme->usage.refused, 1);
    EXPECT_TRUE(order_forget(&order, SPAN(ACME("a")), 1, 1));
    EXPECT_EQ(acme->channels, 1);
    order_finish(&order);
    accounts_destroy(accounts);
}

TEST(bytes_of_a_tenant_hold_to_the_byte_and_come_back_with_what_was_not_written) {
    struct order order;
    struct accounts *accounts;
    struct account *acme = init_tenants(&order, &accounts);
    struct commit *failed = commit_create(1);
    struct message *nine = payload_of(ACME("a"), "123456789");
    struct message *two = payload_of(ACME("b"), "12");
    struct message *one = payload_of(ACME("b"), "1");
    EXPECT_EQ(prepare(&order, nine), OK);
    EXPECT_EQ(prepare(&order, two), ERR_QUOTA);
    EXPECT_EQ(acme->channels, 1); /* the one that two would have made is gone */
    EXPECT_EQ(prepare(&order, one), OK);
    EXPECT_EQ(acme->stored_bytes, 10);
    order_unprepare(&order, &one, 1);
    EXPECT_EQ(acme->stored_bytes, 9);
    order_put(&order, nine);
    commit_put(failed, nine);
    order_undo(&order, failed);
    EXPECT_EQ(acme->stored_bytes, 0);
    EXPECT_EQ(acme->channels, 0);
    account_lose_bytes(acme, 5);
    EXPECT_EQ(acme->stored_bytes, 0);
    message_unref(nine);
    message_unref(two);
    message_unref(one);
    commit_unref(failed);
    order_finish(&order);
    accounts_destroy(accounts);
}

TEST(a_publish_that_is_refused_in_its_middle_counts_nothing) {
    struct order order;
    struct accounts *accounts;
    struct account *acme = init_tenants(&order, &accounts);
    struct message *messages[] = {payload_of(ACME("a"), "1"), payload_of(ACME("b"), "1"),
                                  payload_of(ACME("c"), "1")};
    EXPECT_EQ(order_prepare(&order, messages, 3, NULL), ERR_QUOTA);
    EXPECT_EQ(acme->channels, 0);
    EXPECT_EQ(acme->stored_bytes, 0);
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        message_unref(messages[i]);
    }
    order_finish(&order);
    accounts_destroy(accounts);
}

UNIT_TESTS(UNIT(channels_of_a_tenant_are_counted_and_refused_above_its_quota),
           UNIT(bytes_of_a_tenant_hold_to_the_byte_and_come_back_with_what_was_not_written),
           UNIT(a_publish_that_is_refused_in_its_middle_counts_nothing),
           UNIT(offsets_are_dense_in_each_channel_and_positions_in_all),
           UNIT(a_write_that_failed_leaves_no_trace),
           UNIT(a_channel_that_was_taken_back_can_be_had_again), UNIT(record_time_never_goes_back),
           UNIT(a_tick_takes_a_position_and_belongs_to_no_channel),
           UNIT(a_command_takes_a_position_and_belongs_to_no_channel),
           UNIT(a_delete_takes_a_position_and_its_channels_last_offset),
           UNIT(a_delete_in_a_channel_that_nobody_knows_finds_nothing),
           UNIT(a_delete_behind_the_first_message_of_the_same_round_finds_the_channel),
           UNIT(a_delete_whose_write_failed_leaves_the_offsets_alone),
           UNIT(a_channel_that_the_store_has_forgotten_begins_anew_under_a_new_id),
           UNIT(a_channel_that_had_a_message_since_the_store_forgot_it_goes_on),
           UNIT(the_store_thread_tells_by_letter_what_it_forgot),
           UNIT(the_brokers_own_channels_are_counted_and_not_refused))

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/commit_letter.h"

#include <poll.h>
#include <stdlib.h>

#include "tests/unit.h"

static struct {
    struct mailbox mailbox;
    struct log_listener listener;
    struct commit *commit;
    struct message *message;
    struct commit_letter *delivered;
    bool is_memory_short;
} world;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size) {
    return world.is_memory_short ? NULL : __real_malloc(size);
}

/* A commit of one message, and a listener with room for one letter. */
static int begin(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    EXPECT_EQ(mailbox_init(&world.mailbox, 1), OK);
    world.listener.mailbox = &world.mailbox;
    struct message_fields fields = {.kind = MESSAGE_DATA, .payload = SPAN("1")};
    world.message = message_create(&fields);
    message_order(world.message, &(struct place){.log_id = 1, .position = 1}, 1);
    world.commit = commit_create(1);
    commit_put(world.commit, world.message);
    return 0;
}

static int end(void **state) {
    (void)state;
    mailbox_finish(&world.mailbox);
    commit_unref(world.commit);
    EXPECT_EQ(world.message->reference_count, 1);
    message_unref(world.message);
    return 0;
}

static void on_delivered(struct letter *letter, void *consumer) {
    EXPECT_TRUE(consumer == &world);
    world.delivered = CONTAINER_OF(letter, struct commit_letter, letter);
}

/* As the log does it: counted, with a reference of its own. */
static void put(struct log_listener *listener) {
    atomic_fetch_add(&listener->bytes_waiting, world.commit->bytes);
    commit_letter_send(listener, commit_ref(world.commit), on_delivered);
}

static void deliver(struct log_listener *listener) {
    world.delivered = NULL;
    EXPECT_EQ(mailbox_deliver_all(listener->mailbox, &world), 1);
    EXPECT_TRUE(world.delivered->listener == listener);
    EXPECT_TRUE(world.delivered->commit == world.commit);
}

TEST(a_commit_waits_until_its_listener_is_through_with_it) {
    put(&world.listener);
    EXPECT_FALSE(world.listener.has_missed);
    deliver(&world.listener);
    EXPECT_EQ(world.listener.bytes_waiting, world.commit->bytes);
    EXPECT_EQ(world.commit->reference_count, 2);
    commit_letter_end(world.delivered);
    EXPECT_EQ(world.listener.bytes_waiting, 0);
    EXPECT_EQ(world.commit->reference_count, 1);
}

TEST(a_sleeping_listener_is_left_to_the_log_to_nudge) {
    struct pollfd woken = {.fd = world.mailbox.event_fd, .events = POLLIN};
    EXPECT_TRUE(mailbox_sleep(&world.mailbox));
    put(&world.listener);
    EXPECT_EQ(poll(&woken, 1, 0), 0);
    mailbox_nudge(&world.mailbox);
    EXPECT_EQ(poll(&woken, 1, 0), 1);
    mailbox_wake(&world.mailbox);
    deliver(&world.listener);
    commit_letter_end(world.delivered);
}

TEST(one_commit_is_in_several_mailboxes_at_once) {
    struct mailbox mailbox;
    struct log_listener other = {.mailbox = &mailbox};
    EXPECT_EQ(mailbox_init(&mailbox, 1), OK);
    put(&world.listener);
    put(&other);
    deliver(&world.listener);
    commit_letter_end(world.delivered);
    deliver(&other);
    EXPECT_EQ(other.bytes_waiting, world.commit->bytes);
    commit_letter_end(world.delivered);
    EXPECT_EQ(other.bytes_waiting, 0);
    mailbox_finish(&mailbox);
}

static void expect_missed(void) {
    EXPECT_TRUE(world.listener.has_missed);
    EXPECT_EQ(world.listener.bytes_waiting, 0);
    EXPECT_EQ(world.commit->reference_count, 1);
}

TEST(where_there_is_no_room_it_is_let_go_and_the_listener_has_missed_something) {
    struct letter other = {.on_delivered = on_delivered};
    mailbox_put_answer_quietly(&world.mailbox, &other);
    put(&world.listener);
    expect_missed();
    EXPECT_EQ(mailbox_deliver_all(&world.mailbox, &world), 1);
}

TEST(where_there_is_no_memory_it_is_let_go_and_the_listener_has_missed_something) {
    world.is_memory_short = true;
    put(&world.listener);
    world.is_memory_short = false;
    expect_missed();
    EXPECT_TRUE(mailbox_is_empty(&world.mailbox));
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(CLAIM(a_commit_waits_until_its_listener_is_through_with_it),
           CLAIM(a_sleeping_listener_is_left_to_the_log_to_nudge),
           CLAIM(one_commit_is_in_several_mailboxes_at_once),
           CLAIM(where_there_is_no_room_it_is_let_go_and_the_listener_has_missed_something),
           CLAIM(where_there_is_no_memory_it_is_let_go_and_the_listener_has_missed_something))

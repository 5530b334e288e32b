/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/mqtt/subscriber.h"

static void answer_all(void) {
    while (subscriber.submitted_count > 0) {
        subscriber_answer(OK);
    }
}

TEST(a_session_is_stored_when_it_is_granted) {
    outbound_start(&subscriber.mqtt);
    EXPECT_EQ(subscriber.submitted_count, 1);
    EXPECT_TRUE(subscriber.claim.is_stored);
}

TEST(a_session_that_ends_with_its_connection_is_not_stored) {
    outbound_start(&subscriber.mqtt);
    subscriber_subscribe("a", 0x21, NULL, NULL);
    EXPECT_EQ(subscriber_prepare("a", 101, "1"), 1);
    subscriber_leave(1);
    EXPECT_EQ(outbound_due_ms(&subscriber.mqtt), 0);
    EXPECT_EQ(subscriber.submitted_count, 0);
}

/* It has no steps that a snapshot would take the place of, however much it notes. */
TEST(a_session_that_ends_with_its_connection_waits_for_nothing) {
    outbound_start(&subscriber.mqtt);
    subscriber_subscribe("a", 0x21, NULL, NULL);
    subscriber.mqtt.session->steps_bytes = SESSION_STEPS_BYTES_MAX + 1;
    EXPECT_EQ(subscriber_prepare("a", 101, "1"), 1);
    subscriber_leave(1);
    EXPECT_EQ(outbound_due_ms(&subscriber.mqtt), 0);
}

/* The oldest command that was handed over is that step of the session. */
static bool is_step(enum storage_object_step step) {
    struct message *other =
        storage_object_message(STORAGE_OBJECT_SESSION, step, SPAN("me"), (struct span){0});
    size_t length = other->fields.payload.length;
    bool is_alike = subscriber.submitted[0]->fields.payload.length >= length &&
                    memcmp(subscriber.submitted[0]->fields.payload.bytes,
                           other->fields.payload.bytes, length) == 0;
    message_unref(other);
    return is_alike;
}

/* A kept session that is resumed not to be kept: killed, the broker must not find it again. */
TEST(what_is_stored_of_a_session_that_ends_with_its_connection_goes) {
    subscriber.claim.is_stored = true;
    outbound_start(&subscriber.mqtt);
    EXPECT_EQ(subscriber.submitted_count, 1);
    EXPECT_TRUE(is_step(STORAGE_OBJECT_DELETE));
    EXPECT_EQ(subscriber.hold_count, 1);
    subscriber_answer(OK);
    EXPECT_EQ(subscriber.hold_count, 0);
    EXPECT_EQ(subscriber.end_count, 0);
}

TEST(a_session_that_cannot_be_deleted_ends_the_connection) {
    subscriber.claim.is_stored = true;
    outbound_start(&subscriber.mqtt);
    subscriber_answer(ERR_IO);
    EXPECT_EQ(subscriber.hold_count, 0);
    EXPECT_EQ(subscriber.end_count, 1);
}

TEST(a_session_that_the_log_cannot_take_ends_the_connection) {
    subscriber.submit_result = ERR_MEMORY;
    outbound_start(&subscriber.mqtt);
    EXPECT_EQ(subscriber.end_count, 1);
}

TEST(nothing_is_taken_before_the_log_takes_the_session) {
    subscriber.submit_result = ERR_BUSY;
    outbound_start(&subscriber.mqtt);
    subscriber_tick();
    EXPECT_EQ(subscriber.hold_count, 1);
    EXPECT_EQ(subscriber.submitted_count, 0);
    subscriber.submit_result = OK;
    subscriber_tick();
    EXPECT_EQ(subscriber.hold_count, 0);
    EXPECT_EQ(subscriber.submitted_count, 1);
    EXPECT_TRUE(is_step(STORAGE_OBJECT_PUT));
}

TEST(a_session_that_the_log_cannot_take_later_either_ends_the_connection) {
    subscriber.submit_result = ERR_BUSY;
    outbound_start(&subscriber.mqtt);
    subscriber.submit_result = ERR_MEMORY;
    subscriber_tick();
    EXPECT_EQ(subscriber.end_count, 1);
    EXPECT_EQ(subscriber.hold_count, 0);
    EXPECT_EQ(outbound_due_ms(&subscriber.mqtt), 0);
}

TEST(what_changed_is_stored_once_however_often) {
    outbound_start(&subscriber.mqtt);
    subscriber_subscribe("a", 0x21, NULL, NULL);
    answer_all();
    for (uint64_t position = 101; position < 104; position++) {
        EXPECT_EQ(subscriber_prepare("a", position, "1"), 1);
        subscriber_leave(1);
    }
    EXPECT_EQ(subscriber.submitted_count, 0);
    subscriber_tick();
    EXPECT_EQ(subscriber.submitted_count, 1);
    EXPECT_EQ(outbound_due_ms(&subscriber.mqtt), 0);
}

TEST(a_snapshot_is_not_put_off_by_what_changes_meanwhile) {
    outbound_start(&subscriber.mqtt);
    answer_all();
    for (unsigned count = 1; count <= 3; count++) {
        uint64_t due_ms = fakes.now_ms + SESSION_SNAPSHOT_MS;
        for (; fakes.now_ms < due_ms; fakes.now_ms++) {
            outbound_note_step(&subscriber.mqtt);
            outbound_on_deadline(&subscriber.mqtt); /* of something else */
            EXPECT_EQ(outbound_due_ms(&subscriber.mqtt), due_ms);
        }
        EXPECT_EQ(subscriber.armed_ms, due_ms);
        subscriber_tick();
        EXPECT_EQ(subscriber.submitted_count, count);
    }
    answer_all();
}

TEST(what_is_urgent_comes_before_the_snapshot_and_is_not_put_off_either) {
    outbound_start(&subscriber.mqtt);
    answer_all();
    outbound_note_step(&subscriber.mqtt);
    subscriber.mqtt.session->steps_bytes = SESSION_STEPS_BYTES_MAX + 1;
    uint64_t due_ms = fakes.now_ms + SESSION_RETRY_MS;
    for (; fakes.now_ms < due_ms; fakes.now_ms++) {
        outbound_note_step(&subscriber.mqtt);
        EXPECT_EQ(subscriber.armed_ms, due_ms);
    }
    subscriber_tick();
    EXPECT_EQ(subscriber.submitted_count, 1);
    EXPECT_EQ(subscriber.mqtt.session->steps_bytes, 0);
    EXPECT_EQ(outbound_due_ms(&subscriber.mqtt), 0);
    answer_all();
}

TEST(what_could_not_be_stored_is_tried_again) {
    outbound_start(&subscriber.mqtt);
    answer_all();
    outbound_note_step(&subscriber.mqtt);
    subscriber.submit_result = ERR_BUSY;
    subscriber_tick();
    subscriber.submit_result = OK;
    subscriber_tick();
    EXPECT_EQ(subscriber.submitted_count, 1);
    subscriber_answer(ERR_IO);
    subscriber_tick();
    EXPECT_EQ(subscriber.submitted_count, 1);
}

UNIT_TESTS(KEPT(a_session_is_stored_when_it_is_granted),
           SUBSCRIBER(a_session_that_ends_with_its_connection_is_not_stored),
           SUBSCRIBER(a_session_that_ends_with_its_connection_waits_for_nothing),
           SUBSCRIBER(what_is_stored_of_a_session_that_ends_with_its_connection_goes),
           SUBSCRIBER(a_session_that_cannot_be_deleted_ends_the_connection),
           KEPT(a_session_that_the_log_cannot_take_ends_the_connection),
           KEPT(nothing_is_taken_before_the_log_takes_the_session),
           KEPT(a_session_that_the_log_cannot_take_later_either_ends_the_connection),
           KEPT(what_changed_is_stored_once_however_often),
           KEPT(a_snapshot_is_not_put_off_by_what_changes_meanwhile),
           KEPT(what_is_urgent_comes_before_the_snapshot_and_is_not_put_off_either),
           KEPT(what_could_not_be_stored_is_tried_again))

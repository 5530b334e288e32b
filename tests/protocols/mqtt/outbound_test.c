/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/outbound.h"

#include "tests/protocols/mqtt/subscriber.h"

#define NO_RETAINED 0x20

static uint64_t room(void) {
    return fakes.stream_options.window->get_room(fakes.stream_options.context);
}

static void subscribe(const char *filter, uint8_t qos) {
    subscriber_subscribe(filter, qos | NO_RETAINED, NULL, NULL);
    while (subscriber.submitted_count > 0) {
        subscriber_answer(OK);
    }
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_SUBACK);
}

TEST(plain_subscribers_share_frames_and_have_no_window) {
    subscribe("a", 0);
    EXPECT_NULL(fakes.stream_options.window);
    EXPECT_TRUE(fakes.stream_options.framing ==
                framing_shared(false, MQTT_VERSION_5, 0, false, false));
}

TEST(each_frame_of_a_run_gets_its_own_id) {
    subscribe("a", 1);
    EXPECT_EQ(room(), 3);
    EXPECT_EQ(subscriber_prepare("a", 101, "101"), 3);
    EXPECT_EQ(subscriber_id_of(0), 1);
    EXPECT_EQ(subscriber_id_of(1), 0);
    EXPECT_EQ(subscriber_id_of(2), 2);
    subscriber_leave(3);
    EXPECT_EQ(room(), 1);
}

TEST(what_did_not_leave_comes_again_with_its_id) {
    subscribe("a", 1);
    EXPECT_EQ(subscriber_prepare("a", 101, "111"), 3);
    subscriber_leave(1);
    EXPECT_EQ(room(), 2);
    EXPECT_EQ(subscriber_prepare("a", 102, "11"), 2);
    EXPECT_EQ(subscriber_id_of(0), 2);
    EXPECT_EQ(subscriber_id_of(1), 3);
    subscriber_leave(2);
    EXPECT_EQ(room(), 0);
}

TEST(an_id_of_a_message_that_is_gone_is_free) {
    subscribe("a", 1);
    EXPECT_EQ(subscriber_prepare("a", 101, "11"), 2);
    EXPECT_EQ(subscriber_prepare("a", 105, "1"), 1);
    EXPECT_EQ(subscriber.mqtt.session->inflight.count, 1);
    subscriber_leave(1);
    EXPECT_EQ(room(), 2);
}

/* [MQTT-4.3.3-1] */
TEST(no_qos_2_of_a_kept_session_leaves_before_the_journal_has_it) {
    subscribe("a", 2);
    EXPECT_EQ(subscriber_prepare("a", 101, "122"), 1);
    subscriber_leave(1);
    EXPECT_EQ(subscriber.submitted_count, 1);
    EXPECT_EQ(room(), 0);
    EXPECT_EQ(subscriber.mqtt.session->place.position, 103);
    subscriber_answer(OK);
    EXPECT_EQ(room(), 2);
    EXPECT_EQ(subscriber_prepare("a", 102, "22"), 2);
    EXPECT_EQ(subscriber_id_of(0), 2);
    subscriber_leave(2);
    EXPECT_EQ(subscriber.submitted_count, 0);
    EXPECT_EQ(room(), 0);
}

TEST(a_busy_log_is_asked_again) {
    subscribe("a", 2);
    subscriber.submit_result = ERR_BUSY;
    EXPECT_EQ(subscriber_prepare("a", 101, "2"), 0);
    EXPECT_EQ(room(), 0);
    subscriber.submit_result = OK;
    subscriber_tick();
    EXPECT_EQ(room(), 3);
    while (subscriber.submitted_count > 0) {
        subscriber_answer(OK);
    }
    EXPECT_EQ(subscriber_prepare("a", 101, "2"), 0);
    subscriber_answer(OK);
    EXPECT_EQ(subscriber_prepare("a", 101, "2"), 1);
}

/* What an earlier step told stays told: a snapshot that left it out would lose it. */
TEST(a_step_that_is_refused_takes_nothing_back) {
    subscribe("a", 2);
    EXPECT_EQ(subscriber_prepare("a", 101, "2"), 0);
    subscriber_answer(OK);
    subscriber.submit_result = ERR_BUSY;
    EXPECT_EQ(subscriber_prepare("a", 101, "22"), 1);
    EXPECT_TRUE(inflight_find(&subscriber.mqtt.session->inflight, 1)->is_told);
    EXPECT_FALSE(inflight_find(&subscriber.mqtt.session->inflight, 2)->is_told);
    EXPECT_EQ(subscriber.mqtt.session->place.position, 101);
}

/* It would wait for a PUBREC, and a PUBACK would come. */
TEST(a_message_whose_qos_has_changed_has_another_id) {
    subscribe("a", 2);
    EXPECT_EQ(subscriber_prepare("a", 101, "2"), 0);
    subscriber_answer(OK);
    subscribe("a", 1);
    EXPECT_EQ(subscriber_prepare("a", 101, "2"), 1);
    EXPECT_EQ(subscriber_id_of(0), 2);
    subscriber_leave(1);
    EXPECT_EQ(subscriber.mqtt.session->inflight.count, 1);
    EXPECT_EQ(outbound_on_puback(&subscriber.mqtt, 2, MQTT_REASON_SUCCESS), MQTT_REASON_SUCCESS);
}

TEST(filters_of_different_wishes_have_frames_of_their_own) {
    subscribe("a", 0);
    subscribe("b", 1);
    EXPECT_EQ(fakes.stream_options.framing->slot, FRAMING_OWN);
    EXPECT_EQ(fakes.stream_count, 1);
    subscriber_unsubscribe("a");
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_UNSUBACK);
    EXPECT_TRUE(fakes.stream_options.framing->slot != FRAMING_OWN);
}

TEST(frames_are_shared_once_the_reader_is_behind_all_starts) {
    subscribe("a", 1);
    subscriber.readable = 110;
    subscribe("b", 1);
    EXPECT_EQ(fakes.stream_options.framing->slot, FRAMING_OWN);
    EXPECT_EQ(subscriber_prepare("a", 109, "11"), 2);
    subscriber_leave(1);
    EXPECT_EQ(fakes.stream_options.framing->slot, FRAMING_OWN);
    EXPECT_EQ(subscriber_prepare("a", 110, "1"), 1);
    subscriber_leave(1);
    EXPECT_TRUE(fakes.stream_options.framing->slot != FRAMING_OWN);
}

UNIT_TESTS(SUBSCRIBER(plain_subscribers_share_frames_and_have_no_window),
           SUBSCRIBER(each_frame_of_a_run_gets_its_own_id),
           SUBSCRIBER(what_did_not_leave_comes_again_with_its_id),
           SUBSCRIBER(an_id_of_a_message_that_is_gone_is_free),
           KEPT(no_qos_2_of_a_kept_session_leaves_before_the_journal_has_it),
           KEPT(a_busy_log_is_asked_again), KEPT(a_step_that_is_refused_takes_nothing_back),
           KEPT(a_message_whose_qos_has_changed_has_another_id),
           SUBSCRIBER(filters_of_different_wishes_have_frames_of_their_own),
           SUBSCRIBER(frames_are_shared_once_the_reader_is_behind_all_starts))

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/mqtt/subscriber.h"

static uint8_t subscribe(const char *filter, uint8_t options) {
    uint8_t reason = 0;
    subscriber_subscribe(filter, options, NULL, NULL);
    EXPECT_EQ(subscriber_take_written(&reason), MQTT_SUBACK);
    EXPECT_EQ(subscriber.hold_count, 0);
    return reason;
}

TEST(each_kind_of_filter_has_its_reason) {
    EXPECT_EQ(subscribe("a/+", 0x22), MQTT_REASON_GRANTED_QOS_2);
    EXPECT_EQ(subscribe("$gap/#", 0x21), MQTT_REASON_GRANTED_QOS_1);
    EXPECT_EQ(subscribe("$mine", 0x20), MQTT_REASON_TOPIC_FILTER_INVALID);
    EXPECT_EQ(subscribe("a/*", 0x20), MQTT_REASON_TOPIC_FILTER_INVALID);
}

/* [MQTT-3.8.4-1] */
TEST(the_suback_of_a_kept_session_waits_for_the_journal) {
    subscriber_subscribe("a", 0x21, NULL, NULL);
    EXPECT_EQ(subscriber_take_written(NULL), 0);
    EXPECT_EQ(subscriber.hold_count, 1);
    EXPECT_EQ(fakes.stream_count, 0);
    subscriber_answer(OK);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_SUBACK);
    EXPECT_EQ(subscriber.hold_count, 0);
    EXPECT_EQ(fakes.stream_count, 1);
}

TEST(a_since_is_looked_up_in_the_log) {
    subscriber_subscribe("a", 0x21, "since", "-5");
    EXPECT_NOT_NULL(fakes.read);
    EXPECT_EQ(fakes.read->query.start, STORAGE_NEWEST);
    EXPECT_EQ(fakes.read->query.newest, 5);
    fakes.page.end.log_id = 7;
    fakes.page.start = (struct place){.log_id = 7, .generation = 1, .position = 60};
    fakes_answer_read(OK);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_SUBACK);
    EXPECT_EQ(fakes.stream_options.start.place.position, 60);
}

TEST(a_filter_that_goes_back_leaves_the_others_where_they_are) {
    struct filters *filters = &subscriber.mqtt.session->filters;
    subscribe("a", 0x21);
    subscriber_subscribe("b", 0x21, "since", "earliest");
    fakes.page.end.log_id = 7;
    fakes.page.start = (struct place){.log_id = 7, .generation = 1, .position = 20};
    fakes_answer_read(OK);
    EXPECT_EQ(filters_find(filters, SPAN("a"))->options.start, 100);
    EXPECT_EQ(filters_find(filters, SPAN("b"))->options.start, 20);
    EXPECT_EQ(fakes.stream_options.start.place.position, 20);
    EXPECT_EQ(fakes.stream_options.framing->slot, FRAMING_OWN);
}

/* None of it has left, and all of it comes again: else each SUBSCRIBE would add as many ids. */
TEST(what_waits_is_dropped_where_the_session_goes_back) {
    subscriber_subscribe("a", 0x22, NULL, NULL);
    subscriber_answer(OK);
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(subscriber_prepare("a", 101, "22"), 0);
        EXPECT_EQ(subscriber.mqtt.session->inflight.count, 2);
        subscriber_subscribe("a", 0x22, "since", "earliest");
        fakes.page.end.log_id = 7;
        fakes.page.start =
            (struct place){.log_id = 7, .generation = 1, .position = 20 - (uint64_t)round};
        fakes_answer_read(OK);
        while (subscriber.submitted_count > 0) {
            subscriber_answer(OK);
        }
        EXPECT_EQ(subscriber.mqtt.session->inflight.count, 0);
    }
}

TEST(a_connection_that_goes_leaves_no_lookup_behind) {
    subscriber_subscribe("a", 0x21, "since", "earliest");
    outbound_stop(&subscriber.mqtt);
    fakes_answer_read(OK);
    EXPECT_EQ(subscriber_take_written(NULL), 0);
}

/* [MQTT-3.11.3-2] */
TEST(unsubscribe_says_what_was_not_there) {
    uint8_t reason = 0;
    subscribe("a", 0x21);
    subscriber_unsubscribe("b");
    EXPECT_EQ(subscriber_take_written(&reason), MQTT_UNSUBACK);
    EXPECT_EQ(reason, MQTT_REASON_NO_SUBSCRIPTION_EXISTED);
    EXPECT_EQ(fakes.stream_count, 1);
    subscriber_unsubscribe("a");
    EXPECT_EQ(subscriber_take_written(&reason), MQTT_UNSUBACK);
    EXPECT_EQ(reason, MQTT_REASON_SUCCESS);
    EXPECT_EQ(fakes.stream_count, 0);
}

TEST(a_full_disk_ends_the_connection) {
    subscriber_subscribe("a", 0x21, NULL, NULL);
    subscriber_answer(ERR_STORAGE_FULL);
    EXPECT_EQ(subscriber.end_count, 1);
    EXPECT_EQ(subscriber.reason, MQTT_REASON_QUOTA_EXCEEDED);
}

TEST(a_connection_that_goes_before_the_suback_keeps_what_it_asked_for) {
    subscriber_subscribe("a", 0x21, NULL, NULL);
    outbound_stop(&subscriber.mqtt);
    EXPECT_NOT_NULL(filters_find(&subscriber.mqtt.session->filters, SPAN("a")));
}

TEST(a_connection_that_goes_before_the_suback_keeps_what_a_since_was_asked_for) {
    subscriber_subscribe("a", 0x21, "since", "earliest");
    fakes.page.end.log_id = 7;
    fakes.page.start = (struct place){.log_id = 7, .generation = 1, .position = 20};
    fakes_answer_read(OK);
    EXPECT_EQ(subscriber.submitted_count, 1);
    outbound_stop(&subscriber.mqtt);
    EXPECT_EQ(subscriber_take_written(NULL), 0);
    EXPECT_NOT_NULL(filters_find(&subscriber.mqtt.session->filters, SPAN("a")));
}

TEST(a_connection_that_goes_before_its_group_answers_leaves_it) {
    subscriber_subscribe("$share/g/a", 0x21, NULL, NULL);
    outbound_stop(&subscriber.mqtt);
    EXPECT_EQ(subscriber_take_written(NULL), 0);
    EXPECT_EQ(subscriber.leave_count, 1);
    EXPECT_NOT_NULL(filters_find(&subscriber.mqtt.session->filters, SPAN("$share/g/a")));
}

/* Else what comes in between is behind the place of the stream that follows, and was sent by none:
 * the one before did not know the filter. */
TEST(the_stream_stands_still_until_the_answer) {
    subscriber_subscribe("a", 0x21, NULL, NULL);
    subscriber_answer(OK);
    fakes.stream_place.position = 100;
    subscriber_subscribe("b", 0x21, NULL, NULL);
    EXPECT_EQ(fakes.stream_count, 0);
    fakes.stream_place.position = 105;
    EXPECT_EQ(outbound_reopen(subscriber.mqtt.outbound), OK);
    EXPECT_EQ(fakes.stream_count, 0);
    subscriber_answer(OK);
    EXPECT_EQ(fakes.stream_count, 1);
    EXPECT_EQ(fakes.stream_options.start.place.position, 100);
    subscriber_unsubscribe("b");
    EXPECT_EQ(fakes.stream_count, 0);
    subscriber_answer(OK);
    EXPECT_EQ(fakes.stream_count, 1);
}

UNIT_TESTS(KEPT(a_connection_that_goes_before_the_suback_keeps_what_it_asked_for),
           KEPT(a_connection_that_goes_before_the_suback_keeps_what_a_since_was_asked_for),
           KEPT(a_connection_that_goes_before_its_group_answers_leaves_it),
           SUBSCRIBER(each_kind_of_filter_has_its_reason),
           KEPT(the_suback_of_a_kept_session_waits_for_the_journal),
           SUBSCRIBER(a_since_is_looked_up_in_the_log),
           SUBSCRIBER(a_filter_that_goes_back_leaves_the_others_where_they_are),
           SUBSCRIBER(a_connection_that_goes_leaves_no_lookup_behind),
           SUBSCRIBER(unsubscribe_says_what_was_not_there), KEPT(a_full_disk_ends_the_connection),
           KEPT(what_waits_is_dropped_where_the_session_goes_back),
           KEPT(the_stream_stands_still_until_the_answer))

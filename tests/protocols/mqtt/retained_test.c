/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/protocols/mqtt/subscriber.h"

/* The page that comes next: retained messages of QoS 2 at these positions, on as many channels. */
static void set_page(size_t count, uint64_t position, bool at_head) {
    struct message **messages = calloc(count, sizeof(struct message *));
    for (size_t i = 0; i < count; i++) {
        messages[i] = subscriber_message("a/b", position + i, 2);
        messages[i]->place.channel_id = i + 1;
    }
    fakes.page = (struct storage_page){.messages = messages,
                                       .count = count,
                                       .at_head = at_head,
                                       .end.log_id = 7,
                                       .channel_id = count};
}

static unsigned count_written(void) {
    unsigned count = 0;
    while (subscriber_take_written(NULL) == MQTT_PUBLISH) {
        count++;
    }
    return count;
}

static void subscribe(uint8_t options) {
    subscriber_subscribe("a/#", options, NULL, NULL);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_SUBACK);
}

TEST(retained_messages_come_before_what_is_live) {
    subscribe(0);
    EXPECT_TRUE(fakes.read->query.is_retained);
    EXPECT_EQ(fakes.stream_count, 0);
    set_page(2, 50, true);
    fakes_answer_read(OK);
    EXPECT_EQ(count_written(), 2);
    EXPECT_EQ(fakes.stream_count, 1);
    EXPECT_EQ(fakes.stream_options.start.place.position, 100);
}

TEST(what_comes_by_the_stream_is_left_out) {
    subscribe(0);
    set_page(2, 100, true); /* the second one stands behind the SUBSCRIBE */
    fakes_answer_read(OK);
    EXPECT_EQ(count_written(), 1);
}

TEST(pages_go_on_behind_the_last_channel) {
    subscribe(0);
    set_page(2, 50, false);
    fakes_answer_read(OK);
    EXPECT_EQ(count_written(), 2);
    EXPECT_EQ(fakes.read->query.after_channel_id, 2);
    set_page(1, 60, true);
    fakes_answer_read(OK);
    EXPECT_EQ(count_written(), 1);
    EXPECT_NULL(fakes.read);
}

TEST(a_shut_window_holds_the_rest_back) {
    subscribe(1);
    set_page(5, 50, true);
    fakes_answer_read(OK);
    EXPECT_EQ(count_written(), 3);
    EXPECT_NULL(fakes.read);
    EXPECT_EQ(outbound_on_puback(&subscriber.mqtt, 1, MQTT_REASON_SUCCESS), MQTT_REASON_SUCCESS);
    EXPECT_EQ(fakes.read->query.after_channel_id, 3);
}

TEST(qos_2_of_a_kept_session_is_journaled_first) {
    subscriber_subscribe("a/#", 2, NULL, NULL);
    subscriber_answer(OK);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_SUBACK);
    set_page(2, 50, true);
    fakes_answer_read(OK);
    EXPECT_EQ(count_written(), 0);
    EXPECT_EQ(subscriber.submitted_count, 1);
    subscriber_answer(OK);
    set_page(2, 50, true);
    fakes_answer_read(OK);
    EXPECT_EQ(count_written(), 2);
    EXPECT_EQ(subscriber.submitted_count, 0);
    EXPECT_EQ(subscriber.mqtt.session->inflight.count, 2);
}

/* The session of a connection that went comes back with another. */
TEST(the_next_connection_goes_on_where_the_last_one_was) {
    subscriber_subscribe("a/#", 1, NULL, NULL);
    subscriber_answer(OK);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_SUBACK);
    set_page(5, 50, true);
    fakes_answer_read(OK);
    EXPECT_EQ(count_written(), 3);
    for (uint16_t packet_id = 1; packet_id <= 3; packet_id++) {
        EXPECT_EQ(outbound_on_puback(&subscriber.mqtt, packet_id, MQTT_REASON_SUCCESS),
                  MQTT_REASON_SUCCESS);
    }
    outbound_stop(&subscriber.mqtt);
    fakes_answer_read(OK);
    outbound_start(&subscriber.mqtt);
    EXPECT_TRUE(fakes.read->query.is_retained);
    EXPECT_EQ(fakes.read->query.after_channel_id, 3);
    EXPECT_EQ(fakes.stream_count, 0);
    set_page(2, 53, true);
    fakes_answer_read(OK);
    EXPECT_EQ(count_written(), 2);
    EXPECT_EQ(fakes.stream_count, 1);
    EXPECT_EQ(filters_list(&subscriber.mqtt.session->filters)[0]->options.retained_boundary, 0);
}

/* Else a copy of QoS 1 among them would be lost with the broker. */
TEST(a_step_ends_before_a_copy_that_it_does_not_tell) {
    subscriber_subscribe("a/#", 2, NULL, NULL);
    subscriber_answer(OK);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_SUBACK);
    set_page(3, 50, true);
    fakes.page.messages[1]->fields.qos = 1;
    fakes_answer_read(OK);
    const struct filter_options *options =
        &filters_list(&subscriber.mqtt.session->filters)[0]->options;
    EXPECT_EQ(options->retained_after, 1);
    EXPECT_EQ(subscriber.mqtt.session->inflight.count, 1);
}

TEST(a_filter_that_is_dropped_gets_no_more) {
    subscribe(0);
    subscriber_unsubscribe("a/#");
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_UNSUBACK);
    set_page(2, 50, true);
    fakes_answer_read(OK);
    EXPECT_EQ(count_written(), 0);
    EXPECT_EQ(fakes.stream_count, 0);
}

TEST(retain_handling_2_asks_for_nothing) {
    subscribe(0x20);
    EXPECT_NULL(fakes.read);
    EXPECT_EQ(fakes.stream_count, 1);
}

UNIT_TESTS(SUBSCRIBER(retained_messages_come_before_what_is_live),
           SUBSCRIBER(what_comes_by_the_stream_is_left_out),
           SUBSCRIBER(pages_go_on_behind_the_last_channel),
           SUBSCRIBER(a_shut_window_holds_the_rest_back),
           KEPT(qos_2_of_a_kept_session_is_journaled_first),
           KEPT(the_next_connection_goes_on_where_the_last_one_was),
           KEPT(a_step_ends_before_a_copy_that_it_does_not_tell),
           SUBSCRIBER(a_filter_that_is_dropped_gets_no_more),
           SUBSCRIBER(retain_handling_2_asks_for_nothing))

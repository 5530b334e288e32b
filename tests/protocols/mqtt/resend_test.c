/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/protocols/mqtt/subscriber.h"

/* A session that comes back: it had a filter, and these in flight. */
static void come_back_with(const uint64_t *positions, size_t count, uint64_t place, uint8_t qos,
                           enum inflight_state state) {
    struct session *session = subscriber.mqtt.session;
    struct filter *filter = NULL;
    struct filter_options options = {.kind = FILTER_LOG, .qos = 2};
    EXPECT_EQ(filter_create(SPAN("a"), (struct span){0}, &options, &filter, NULL), OK);
    EXPECT_EQ(filters_put(&session->filters, filter), OK);
    session->place = (struct place){.log_id = 7, .generation = 1, .position = place};
    EXPECT_EQ(inflight_reserve(&session->inflight, count), OK);
    for (size_t i = 0; i < count; i++) {
        struct inflight_entry entry = {.position = positions[i],
                                       .packet_id = inflight_next_id(&session->inflight),
                                       .state = state,
                                       .qos = qos,
                                       .is_told = true};
        inflight_put(&session->inflight, &entry);
    }
    outbound_start(&subscriber.mqtt);
    while (subscriber.submitted_count > 0) {
        subscriber_answer(OK);
    }
}

static void come_back(const uint64_t *positions, size_t count, uint64_t place) {
    come_back_with(positions, count, place, 1, INFLIGHT_SENT);
}

static void answer_page(const uint64_t *positions, size_t count, uint64_t end, bool at_head) {
    struct message **messages = calloc(count + 1, sizeof(struct message *));
    for (size_t i = 0; i < count; i++) {
        messages[i] = subscriber_message("a", positions[i], 2);
    }
    fakes.page = (struct storage_page){.messages = messages,
                                       .count = count,
                                       .at_head = at_head,
                                       .end = {.log_id = 7, .position = end}};
    fakes_answer_read(OK);
}

static void expect_again(uint16_t packet_id) {
    EXPECT_TRUE(subscriber.written.length > 6);
    EXPECT_EQ(subscriber.written.bytes[0], MQTT_PUBLISH << 4 | 8 | 2); /* DUP, QoS 1 */
    EXPECT_EQ(subscriber.written.bytes[5] << 8 | subscriber.written.bytes[6], packet_id);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_PUBLISH);
}

/* [MQTT-4.4.0-1] [MQTT-4.6.0-1] */
TEST(what_was_in_flight_comes_first_in_its_order) {
    come_back((const uint64_t[]){40, 42}, 2, 90);
    EXPECT_EQ(fakes.read->query.place.position, 39);
    EXPECT_EQ(fakes.stream_count, 0);
    answer_page((const uint64_t[]){40, 41, 42}, 3, 95, true);
    expect_again(1);
    expect_again(2);
    EXPECT_EQ(fakes.stream_count, 1);
    EXPECT_EQ(fakes.stream_options.start.place.position, 90);
}

TEST(what_is_not_kept_any_more_is_forgotten) {
    come_back((const uint64_t[]){40, 42}, 2, 90);
    answer_page((const uint64_t[]){42}, 1, 95, true);
    expect_again(2);
    EXPECT_EQ(subscriber.mqtt.session->inflight.count, 1);
}

TEST(another_page_is_asked_for_what_is_on_none) {
    come_back((const uint64_t[]){40, 80}, 2, 90);
    answer_page((const uint64_t[]){40}, 1, 50, false);
    expect_again(1);
    EXPECT_EQ(fakes.read->query.place.position, 79);
    answer_page((const uint64_t[]){80}, 1, 90, true);
    expect_again(2);
}

TEST(a_smaller_window_is_minded) {
    come_back((const uint64_t[]){40, 41, 42, 43}, 4, 90);
    answer_page((const uint64_t[]){40, 41, 42, 43}, 4, 95, true);
    for (uint16_t packet_id = 1; packet_id <= 3; packet_id++) {
        expect_again(packet_id);
    }
    EXPECT_NULL(fakes.read);
    EXPECT_EQ(outbound_on_puback(&subscriber.mqtt, 1, MQTT_REASON_SUCCESS), MQTT_REASON_SUCCESS);
    EXPECT_EQ(fakes.read->query.place.position, 42);
    answer_page((const uint64_t[]){43}, 1, 95, true);
    expect_again(4);
}

/* Its message is gone meanwhile, and so would be its entry. */
TEST(what_the_client_has_already_is_not_sent_again) {
    come_back_with((const uint64_t[]){40, 41}, 2, 90, 2, INFLIGHT_WAITING);
    EXPECT_EQ(outbound_on_pubrec(&subscriber.mqtt, 1, MQTT_REASON_SUCCESS), MQTT_REASON_SUCCESS);
    EXPECT_EQ(outbound_on_pubrec(&subscriber.mqtt, 2, MQTT_REASON_SUCCESS), MQTT_REASON_SUCCESS);
    answer_page((const uint64_t[]){40}, 1, 95, true);
    EXPECT_EQ(subscriber_take_written(NULL), 0);
    subscriber_answer(OK);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_PUBREL);
    subscriber_answer(OK);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_PUBREL);
    EXPECT_EQ(subscriber.mqtt.outbound->waiting_count, 0);
}

/* A filter that began earlier moved the place back, before they left. */
TEST(what_is_behind_the_place_comes_by_the_stream) {
    come_back_with((const uint64_t[]){40, 92}, 2, 90, 2, INFLIGHT_WAITING);
    answer_page((const uint64_t[]){40, 92}, 2, 95, true);
    EXPECT_TRUE(subscriber.written.length > 0);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_PUBLISH);
    EXPECT_EQ(subscriber_take_written(NULL), 0);
    EXPECT_EQ(fakes.stream_count, 1);
    EXPECT_EQ(subscriber_prepare("a", 92, "2"), 1);
    EXPECT_EQ(subscriber_id_of(0), 2);
    subscriber_leave(1);
    EXPECT_EQ(subscriber.mqtt.session->inflight.count, 2);
}

TEST(retained_messages_wait_until_all_was_sent_again) {
    come_back((const uint64_t[]){40}, 1, 90);
    subscriber_subscribe("b", 1, NULL, NULL);
    subscriber_answer(OK);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_SUBACK);
    EXPECT_FALSE(fakes.read->query.is_retained);
    answer_page((const uint64_t[]){40}, 1, 95, true);
    expect_again(1);
    EXPECT_TRUE(fakes.read->query.is_retained);
    answer_page(NULL, 0, 95, true);
    EXPECT_EQ(fakes.stream_count, 1);
}

UNIT_TESTS(KEPT(what_was_in_flight_comes_first_in_its_order),
           KEPT(what_is_not_kept_any_more_is_forgotten),
           KEPT(another_page_is_asked_for_what_is_on_none), KEPT(a_smaller_window_is_minded),
           KEPT(retained_messages_wait_until_all_was_sent_again),
           KEPT(what_is_behind_the_place_comes_by_the_stream),
           KEPT(what_the_client_has_already_is_not_sent_again))

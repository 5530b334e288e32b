/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/mqtt/subscriber.h"

#define QOS_2_NO_RETAINED 0x22

/* Subscribes, and sends one message of each digit. */
static void deliver(const char *qos) {
    subscriber_subscribe("a", QOS_2_NO_RETAINED, NULL, NULL);
    while (subscriber.submitted_count > 0) {
        subscriber_answer(OK);
    }
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_SUBACK);
    if (subscriber_prepare("a", 101, qos) < strlen(qos)) {
        subscriber_answer(OK);
        EXPECT_EQ(subscriber_prepare("a", 101, qos), strlen(qos));
    }
    subscriber_leave(strlen(qos));
}

static uint32_t in_flight(void) {
    return subscriber.mqtt.session->inflight.count;
}

TEST(a_puback_ends_qos_1) {
    deliver("1");
    EXPECT_EQ(outbound_on_puback(&subscriber.mqtt, 1, MQTT_REASON_SUCCESS), MQTT_REASON_SUCCESS);
    EXPECT_EQ(in_flight(), 0);
    EXPECT_EQ(outbound_on_puback(&subscriber.mqtt, 1, MQTT_REASON_SUCCESS), MQTT_REASON_SUCCESS);
}

TEST(how_long_nothing_was_acknowledged_is_known) {
    struct connection_client client = {0};
    deliver("12");
    fakes.now_ms += 5000;
    outbound_get_unacknowledged(&subscriber.mqtt, &client);
    EXPECT_EQ(client.unacknowledged, 2);
    EXPECT_EQ(client.unacknowledged_ms, 5000);
    EXPECT_FALSE(client.is_window_full);
    EXPECT_EQ(outbound_on_pubrec(&subscriber.mqtt, 2, MQTT_REASON_SUCCESS), MQTT_REASON_SUCCESS);
    outbound_get_unacknowledged(&subscriber.mqtt, &client);
    EXPECT_EQ(client.unacknowledged_ms, 0);
}

/* [MQTT-4.4.0-2] */
TEST(a_refusal_ends_a_message_too) {
    deliver("12");
    EXPECT_EQ(outbound_on_puback(&subscriber.mqtt, 1, MQTT_REASON_QUOTA_EXCEEDED),
              MQTT_REASON_SUCCESS);
    EXPECT_EQ(outbound_on_pubrec(&subscriber.mqtt, 2, MQTT_REASON_QUOTA_EXCEEDED),
              MQTT_REASON_SUCCESS);
    EXPECT_EQ(in_flight(), 0);
    EXPECT_EQ(subscriber_take_written(NULL), 0);
}

TEST(an_acknowledgement_of_the_other_qos_is_a_protocol_error) {
    deliver("12");
    EXPECT_EQ(outbound_on_puback(&subscriber.mqtt, 2, MQTT_REASON_SUCCESS),
              MQTT_REASON_PROTOCOL_ERROR);
    EXPECT_EQ(outbound_on_pubrec(&subscriber.mqtt, 1, MQTT_REASON_SUCCESS),
              MQTT_REASON_PROTOCOL_ERROR);
    EXPECT_EQ(outbound_on_pubcomp(&subscriber.mqtt, 2, MQTT_REASON_SUCCESS),
              MQTT_REASON_PROTOCOL_ERROR);
}

/* [MQTT-4.3.3-4] */
TEST(qos_2_takes_pubrec_pubrel_pubcomp) {
    deliver("2");
    EXPECT_EQ(outbound_on_pubrec(&subscriber.mqtt, 1, MQTT_REASON_SUCCESS), MQTT_REASON_SUCCESS);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_PUBREL);
    EXPECT_EQ(outbound_on_pubrec(&subscriber.mqtt, 1, MQTT_REASON_SUCCESS), MQTT_REASON_SUCCESS);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_PUBREL);
    EXPECT_EQ(outbound_on_pubcomp(&subscriber.mqtt, 1, MQTT_REASON_SUCCESS), MQTT_REASON_SUCCESS);
    EXPECT_EQ(in_flight(), 0);
}

TEST(of_a_kept_session_the_journal_knows_before_the_client) {
    deliver("222");
    for (uint16_t id = 1; id <= 3; id++) {
        EXPECT_EQ(outbound_on_pubrec(&subscriber.mqtt, id, MQTT_REASON_SUCCESS),
                  MQTT_REASON_SUCCESS);
    }
    EXPECT_EQ(subscriber.submitted_count, 1);
    EXPECT_EQ(subscriber_take_written(NULL), 0);
    subscriber_answer(OK);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_PUBREL);
    EXPECT_EQ(subscriber_take_written(NULL), 0);
    EXPECT_EQ(subscriber.submitted_count, 1); /* both others in one step */
    subscriber_answer(OK);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_PUBREL);
    EXPECT_EQ(subscriber_take_written(NULL), MQTT_PUBREL);
}

TEST(a_pubrec_of_nothing_is_told_so) {
    uint8_t reason = 0;
    EXPECT_EQ(outbound_on_pubrec(&subscriber.mqtt, 9, MQTT_REASON_SUCCESS), MQTT_REASON_SUCCESS);
    EXPECT_EQ(subscriber_take_written(&reason), MQTT_PUBREL);
    EXPECT_EQ(reason, MQTT_REASON_PACKET_IDENTIFIER_NOT_FOUND);
}

UNIT_TESTS(SUBSCRIBER(how_long_nothing_was_acknowledged_is_known), SUBSCRIBER(a_puback_ends_qos_1),
           SUBSCRIBER(a_refusal_ends_a_message_too),
           SUBSCRIBER(an_acknowledgement_of_the_other_qos_is_a_protocol_error),
           SUBSCRIBER(qos_2_takes_pubrec_pubrel_pubcomp),
           KEPT(of_a_kept_session_the_journal_knows_before_the_client),
           SUBSCRIBER(a_pubrec_of_nothing_is_told_so))

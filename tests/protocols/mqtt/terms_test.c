/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/id.h"
#include "tests/protocols/mqtt/subscriber.h"

/* The reason of the SUBACK. */
static uint8_t subscribe(const char *filter, const char *name, const char *value) {
    uint8_t reason = 0;
    subscriber_subscribe(filter, 0x20, name, value);
    if (fakes.read != NULL) {
        fakes.page.end.log_id = 7;
        fakes_answer_read(OK);
    }
    EXPECT_EQ(subscriber_take_written(&reason), MQTT_SUBACK);
    EXPECT_EQ(subscriber.hold_count, 0);
    return reason;
}

TEST(a_filter_is_asked_for_as_a_pattern) {
    gate_be(gate_make("alice", NULL));
    EXPECT_EQ(subscribe("a/+/#", NULL, NULL), MQTT_REASON_SUCCESS);
    EXPECT_STRING(gate.asked, "subscribe a/*/**");
}

TEST(a_shared_filter_is_asked_for_without_its_share) {
    gate_be(gate_make("alice", NULL));
    gate.forbidden = "subscribe a/**";
    EXPECT_EQ(subscribe("$share/g/a/#", NULL, NULL), MQTT_REASON_NOT_AUTHORIZED);
}

TEST(what_the_broker_tells_of_itself_needs_a_right) {
    gate_be(gate_make("alice", NULL));
    gate.forbidden = "subscribe $SYS/**";
    EXPECT_EQ(subscribe("$SYS/#", NULL, NULL), MQTT_REASON_NOT_AUTHORIZED);
    EXPECT_EQ(subscribe("$gap/#", NULL, NULL), MQTT_REASON_SUCCESS);
}

TEST(a_start_in_the_past_needs_the_right_to_history) {
    static const char *const pasts[] = {"earliest", "-5", "-10s", "2026-01-01T00:00:00Z", "7"};
    gate_be(gate_make("alice", NULL));
    gate.forbidden = "history a";
    for (size_t i = 0; i < ARRAY_COUNT(pasts); i++) {
        EXPECT_EQ(subscribe("a", "since", pasts[i]), MQTT_REASON_NOT_AUTHORIZED);
    }
}

TEST(now_and_an_id_do_not) {
    struct place place = {.log_id = 7, .generation = 1, .position = 60, .offset = 1};
    char id[ID_TEXT_BYTES_MAX + 1] = {0};
    id[id_format(&place, id)] = '\0';
    gate_be(gate_make("alice", NULL));
    gate.forbidden = "history a";
    EXPECT_EQ(subscribe("a", "since", "now"), MQTT_REASON_SUCCESS);
    EXPECT_EQ(subscribe("a", "since", id), MQTT_REASON_SUCCESS);
    EXPECT_EQ(gate.permit_count, 2);
}

TEST(the_suback_waits_for_the_application) {
    uint8_t reason = 0;
    gate_be(gate_make("alice", NULL));
    gate.is_slow = true;
    subscriber_subscribe("a", 0x21, "since", "earliest");
    EXPECT_STRING(gate.asked, "subscribe a");
    EXPECT_EQ(subscriber.hold_count, 1);
    gate_answer(OK);
    EXPECT_STRING(gate.asked, "history a");
    gate_answer(ERR_FORBIDDEN);
    EXPECT_EQ(subscriber_take_written(&reason), MQTT_SUBACK);
    EXPECT_EQ(reason, MQTT_REASON_NOT_AUTHORIZED);
    EXPECT_EQ(subscriber.hold_count, 0);
}

TEST(a_filter_reads_the_channels_of_its_tenant) {
    subscriber.tenant = SPAN("acme");
    EXPECT_EQ(subscribe("a/#", NULL, NULL), MQTT_REASON_SUCCESS);
    const struct filter *filter = filters_find(&subscriber.mqtt.session->filters, SPAN("a/#"));
    EXPECT_SPAN(filter_pattern(filter), "\001acme/a/**");
}

TEST(a_filter_that_says_nothing_of_lag_leaves_it_to_the_rule) {
    EXPECT_EQ(subscribe("a", NULL, NULL), MQTT_REASON_SUCCESS);
    EXPECT_EQ(subscribe("b", "on_lag", "catch_up"), MQTT_REASON_SUCCESS);
    const struct filters *filters = &subscriber.mqtt.session->filters;
    EXPECT_EQ(filters_find(filters, SPAN("a"))->options.on_lag, ON_LAG_AUTO);
    EXPECT_EQ(filters_find(filters, SPAN("b"))->options.on_lag, ON_LAG_CATCH_UP);
}

UNIT_TESTS(SUBSCRIBER(a_filter_is_asked_for_as_a_pattern),
           SUBSCRIBER(a_shared_filter_is_asked_for_without_its_share),
           SUBSCRIBER(what_the_broker_tells_of_itself_needs_a_right),
           SUBSCRIBER(a_start_in_the_past_needs_the_right_to_history),
           SUBSCRIBER(now_and_an_id_do_not), SUBSCRIBER(the_suback_waits_for_the_application),
           SUBSCRIBER(a_filter_reads_the_channels_of_its_tenant),
           SUBSCRIBER(a_filter_that_says_nothing_of_lag_leaves_it_to_the_rule))

/* SPDX-License-Identifier: Apache-2.0 */
/* SUBSCRIBE, UNSUBSCRIBE and their answers, of decode.h. */
#include "tests/protocols/mqtt/packets.h"

#define SUBSCRIBE 0x82
#define UNSUBSCRIBE 0xA2
#define SUBACK 0x90
#define UNSUBACK 0xB0

/* Figure 3.23 of 3.1.1: two filters of QoS 1 and 2. */
TEST(the_subscribe_of_the_older_specification_is_read) {
    const struct mqtt_request *request =
        &decoded(&from_client_311, SUBSCRIBE, "000A 0003 'a/b' 01 0003 'c/d' 02")->request;
    struct span rest = request->filters;
    struct mqtt_subscription subscription;
    EXPECT_EQ(request->packet_id, 10);
    EXPECT_EQ(request->filter_count, 2);
    EXPECT_TRUE(mqtt_subscription_next(&rest, &subscription));
    EXPECT_SPAN(subscription.filter, "a/b");
    EXPECT_EQ(subscription.qos, 1);
    EXPECT_TRUE(mqtt_subscription_next(&rest, &subscription));
    EXPECT_SPAN(subscription.pattern, "c/d");
    EXPECT_EQ(subscription.qos, 2);
    EXPECT_FALSE(mqtt_subscription_next(&rest, &subscription));
}

TEST(the_options_of_a_subscription_are_read) {
    const struct mqtt_request *request =
        &decoded(&from_client_5, SUBSCRIBE,
                 "000A 09 0B 07 26 0001 'k' 0001 'v' 0003 'a/b' 2E 000A '$share/g/#' 09")
             ->request;
    struct span rest = request->filters;
    struct mqtt_subscription subscription;
    EXPECT_EQ(request->properties.subscription_identifier, 7);
    EXPECT_EQ(request->properties.user_property_count, 1);
    EXPECT_EQ(request->filter_count, 2);
    EXPECT_TRUE(mqtt_subscription_next(&rest, &subscription));
    EXPECT_EQ(subscription.qos, 2);
    EXPECT_TRUE(subscription.is_no_local);
    EXPECT_TRUE(subscription.is_retained_as_published);
    EXPECT_EQ(subscription.retain_handling, 2);
    EXPECT_EQ(subscription.share.length, 0);
    EXPECT_TRUE(mqtt_subscription_next(&rest, &subscription));
    EXPECT_SPAN(subscription.share, "g");
    EXPECT_FALSE(subscription.is_no_local);
    EXPECT_EQ(subscription.retain_handling, 0);
}

TEST(the_unsubscribe_of_the_specification_is_read) {
    static const struct mqtt_dialect *const dialects[] = {&from_client_311, &from_client_5};
    static const char *const bodies[] = {"000A 0003 'a/b' 0003 'c/d'",
                                         "000A 00 0003 'a/b' 0003 'c/d'"};
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        const struct mqtt_request *request = &decoded(dialects[i], UNSUBSCRIBE, bodies[i])->request;
        struct span rest = request->filters, filter;
        EXPECT_EQ(request->filter_count, 2);
        EXPECT_TRUE(mqtt_filter_next(&rest, &filter));
        EXPECT_SPAN(filter, "a/b");
        EXPECT_TRUE(mqtt_filter_next(&rest, &filter));
        EXPECT_SPAN(filter, "c/d");
        EXPECT_FALSE(mqtt_filter_next(&rest, &filter));
    }
}

/* [MQTT-2.2.1-3] */
/* 3.1.1: [MQTT-2.3.1-1] */
TEST(the_packet_identifier_of_a_request_is_not_0) {
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0000 00 0001 'a' 00", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-2.2.1-3");
    EXPECT_REFUSED(from_client_5, UNSUBSCRIBE, "0000 00 0001 'a'", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-2.2.1-3");
    EXPECT_REFUSED(from_client_311, SUBSCRIBE, "0000 0001 'a' 00", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-2.3.1-1");
    EXPECT_REFUSED(from_client_311, UNSUBSCRIBE, "0000 0001 'a'", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-2.3.1-1");
}

/* [MQTT-3.8.3-2] */
/* 3.1.1: [MQTT-3.8.3-3] */
TEST(a_subscribe_has_a_filter) {
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001 00", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.8.3-2");
    EXPECT_REFUSED(from_client_311, SUBSCRIBE, "0001", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.8.3-3");
}

/* [MQTT-3.10.3-2] */
/* 3.1.1: [MQTT-3.10.3-2] */
TEST(an_unsubscribe_has_a_filter) {
    EXPECT_REFUSED(from_client_5, UNSUBSCRIBE, "0001 00", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-3.10.3-2");
    EXPECT_REFUSED(from_client_311, UNSUBSCRIBE, "0001", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-3.10.3-2");
}

/* [MQTT-3.8.3-1] */
/* 3.1.1: [MQTT-3.8.3-1] */
TEST(a_filter_to_subscribe_to_is_a_string) {
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001 00 0001 'a' 00 0001 FF 00",
                   MQTT_REASON_MALFORMED_PACKET, "MQTT-1.5.4-1");
    EXPECT_REFUSED(from_client_311, SUBSCRIBE, "0001 0001 80 00", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-1.5.3-1");
}

/* [MQTT-4.7.3-2] */
/* 3.1.1: [MQTT-4.7.3-2] */
TEST(a_filter_has_no_u_0000) {
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001 00 0003 'a' 00 'b' 00",
                   MQTT_REASON_MALFORMED_PACKET, "MQTT-1.5.4-2");
    EXPECT_REFUSED(from_client_311, UNSUBSCRIBE, "0001 0001 00", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-1.5.3-2");
}

/* [MQTT-3.10.3-1] */
/* 3.1.1: [MQTT-3.10.3-1] */
TEST(a_filter_to_unsubscribe_from_is_a_string) {
    EXPECT_REFUSED(from_client_5, UNSUBSCRIBE, "0001 00 0001 FF", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-1.5.4-1");
    EXPECT_REFUSED(from_client_311, UNSUBSCRIBE, "0001 0002 C0AF", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-1.5.3-1");
}

/* [MQTT-4.7.1-1] */
/* [MQTT-4.7.1-2] */
/* [MQTT-4.7.3-1] */
/* 3.1.1: [MQTT-4.7.1-2] */
/* 3.1.1: [MQTT-4.7.1-3] */
/* 3.1.1: [MQTT-4.7.3-1] */
TEST(a_filter_that_breaks_the_syntax_is_an_invalid_filter) {
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001 00 0003 '#/a' 00",
                   MQTT_REASON_TOPIC_FILTER_INVALID, "MQTT-4.7.1-1");
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001 00 0001 'a' 00 0002 'a+' 00",
                   MQTT_REASON_TOPIC_FILTER_INVALID, "MQTT-4.7.1-2");
    EXPECT_REFUSED(from_client_5, UNSUBSCRIBE, "0001 00 0000", MQTT_REASON_TOPIC_FILTER_INVALID,
                   "MQTT-4.7.3-1");
    EXPECT_REFUSED(from_client_311, SUBSCRIBE, "0001 0002 'a#' 00",
                   MQTT_REASON_TOPIC_FILTER_INVALID, "MQTT-4.7.1-2");
    EXPECT_REFUSED(from_client_311, UNSUBSCRIBE, "0001 0002 '++'", MQTT_REASON_TOPIC_FILTER_INVALID,
                   "MQTT-4.7.1-3");
}

/* [MQTT-4.8.2-1] */
/* [MQTT-4.8.2-2] */
TEST(a_share_that_breaks_the_syntax_is_an_invalid_filter) {
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001 00 0009 '$share//a' 00",
                   MQTT_REASON_TOPIC_FILTER_INVALID, "MQTT-4.8.2-1");
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001 00 0008 '$share/g' 00",
                   MQTT_REASON_TOPIC_FILTER_INVALID, "MQTT-4.8.2-2");
    EXPECT_REFUSED(from_client_5, UNSUBSCRIBE, "0001 00 000A '$share/+/a'",
                   MQTT_REASON_TOPIC_FILTER_INVALID, "MQTT-4.8.2-2");
}

/* [MQTT-3.8.3-5] */
/* 3.1.1: [MQTT-3.8.3-4] */
TEST(reserved_bits_of_the_options_are_0) {
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001 00 0001 'a' 40", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-3.8.3-5");
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001 00 0001 'a' 80", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-3.8.3-5");
    EXPECT_REFUSED(from_client_311, SUBSCRIBE, "0001 0001 'a' 04", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-3.8.3-4");
    EXPECT_REFUSED(from_client_311, SUBSCRIBE, "0001 0001 'a' 80", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-3.8.3-4");
}

/* 3.1.1: [MQTT-3.8.3-4] */
TEST(a_subscription_is_not_of_qos_3) {
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001 00 0001 'a' 03", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-4.13.1-1");
    EXPECT_REFUSED(from_client_311, SUBSCRIBE, "0001 0001 'a' 03", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-3.8.3-4");
}

TEST(a_retain_handling_of_3_is_a_protocol_error) {
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001 00 0001 'a' 30", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-4.13.1-1");
}

/* [MQTT-3.8.3-4] */
TEST(a_shared_subscription_is_not_without_what_is_local) {
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001 00 000A '$share/g/a' 04",
                   MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.8.3-4");
}

TEST(a_request_that_ends_within_an_entry_is_malformed) {
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001 00 0001 'a'", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-4.13.1-1");
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001 00 0001 'a' 00 00", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-4.13.1-1");
    EXPECT_REFUSED(from_client_311, UNSUBSCRIBE, "0001 0003 'a'", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-4.8.0-1");
    EXPECT_REFUSED(from_client_311, SUBSCRIBE, "00", MQTT_REASON_MALFORMED_PACKET, "MQTT-4.8.0-1");
    EXPECT_REFUSED(from_client_5, SUBSCRIBE, "0001", MQTT_REASON_MALFORMED_PACKET, "MQTT-4.13.1-1");
}

/* Figure 3.26 of 3.1.1. */
TEST(the_suback_of_the_specification_is_read) {
    const struct mqtt_grants *grants = &decoded(&from_server_311, SUBACK, "000A 00 02 80")->grants;
    EXPECT_EQ(grants->packet_id, 10);
    EXPECT_EQ(grants->reasons.length, 3);
    EXPECT_EQ(grants->reasons.bytes[2], 0x80);
    grants = &decoded(&from_server_5, SUBACK, "000A 04 1F 0001 'r' 00 02 A2")->grants;
    EXPECT_SPAN(grants->properties.reason_string, "r");
    EXPECT_EQ(grants->reasons.length, 3);
    EXPECT_EQ(grants->reasons.bytes[2], MQTT_REASON_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED);
}

TEST(an_unsuback_has_reasons_in_the_newer_version_alone) {
    EXPECT_EQ(decoded(&from_server_311, UNSUBACK, "000A")->grants.reasons.length, 0);
    EXPECT_EQ(decoded(&from_server_5, UNSUBACK, "000A 00 00 11")->grants.reasons.length, 2);
    EXPECT_REFUSED(from_server_5, UNSUBACK, "000A 00", MQTT_REASON_MALFORMED_PACKET,
                   "MQTT-4.13.1-1");
    EXPECT_REFUSED(from_server_311, SUBACK, "000A", MQTT_REASON_MALFORMED_PACKET, "MQTT-4.8.0-1");
}

/* [MQTT-3.9.3-2] */
/* [MQTT-3.11.3-2] */
/* 3.1.1: [MQTT-3.9.3-2] */
TEST(an_answer_has_a_reason_of_its_own_table) {
    EXPECT_REFUSED(from_server_5, SUBACK, "0001 00 00 03", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-3.9.3-2");
    EXPECT_REFUSED(from_server_5, UNSUBACK, "0001 00 01", MQTT_REASON_PROTOCOL_ERROR,
                   "MQTT-3.11.3-2");
    EXPECT_REFUSED(from_server_311, SUBACK, "0001 87", MQTT_REASON_PROTOCOL_ERROR, "MQTT-3.9.3-2");
}

/* [MQTT-2.2.1-6] */
/* 3.1.1: [MQTT-2.3.1-7] */
TEST(an_answer_to_nothing_is_refused) {
    EXPECT_REFUSED(from_server_5, SUBACK, "0000 00 00", MQTT_REASON_PROTOCOL_ERROR, "MQTT-2.2.1-5");
    EXPECT_REFUSED(from_server_311, UNSUBACK, "0000", MQTT_REASON_PROTOCOL_ERROR, "MQTT-2.3.1-6");
}

UNIT_TESTS(UNIT(the_subscribe_of_the_older_specification_is_read),
           UNIT(the_options_of_a_subscription_are_read),
           UNIT(the_unsubscribe_of_the_specification_is_read),
           UNIT(the_packet_identifier_of_a_request_is_not_0), UNIT(a_subscribe_has_a_filter),
           UNIT(an_unsubscribe_has_a_filter), UNIT(a_filter_to_subscribe_to_is_a_string),
           UNIT(a_filter_has_no_u_0000), UNIT(a_filter_to_unsubscribe_from_is_a_string),
           UNIT(a_filter_that_breaks_the_syntax_is_an_invalid_filter),
           UNIT(a_share_that_breaks_the_syntax_is_an_invalid_filter),
           UNIT(reserved_bits_of_the_options_are_0), UNIT(a_subscription_is_not_of_qos_3),
           UNIT(a_retain_handling_of_3_is_a_protocol_error),
           UNIT(a_shared_subscription_is_not_without_what_is_local),
           UNIT(a_request_that_ends_within_an_entry_is_malformed),
           UNIT(the_suback_of_the_specification_is_read),
           UNIT(an_unsuback_has_reasons_in_the_newer_version_alone),
           UNIT(an_answer_has_a_reason_of_its_own_table), UNIT(an_answer_to_nothing_is_refused))

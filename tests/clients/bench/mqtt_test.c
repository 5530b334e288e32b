/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "tests/clients/bench/replay.h"
#include "tests/unit.h"

#define CONNACK "\x20\x02\x00\x00"

static const char *const three[] = {"a/0", "b/*", "c/**"};
static const struct protocol_message message = {"a/0", (const uint8_t *)"{\"s\":1}", 7};

#define EXPECT_HELLO(protocol, link, text)                                                         \
    do {                                                                                           \
        struct bytes output;                                                                       \
        replay_hello(protocol, link, &output);                                                     \
        EXPECT_EQ(output.length, sizeof(text) - 1);                                                \
        assert_memory_equal(output.data, text, sizeof(text) - 1);                                  \
        bytes_finish(&output);                                                                     \
    } while (0)

TEST(a_reader_connects_and_subscribes) {
    struct protocol_link link = {.selectors = three, .selector_count = 3, .run = 0xab, .index = 7};
    EXPECT_HELLO("mqtt-qos1", link,
                 "\x10\x17\x00\x04MQTT\x04\x02\x00\x00\x00\x0b"
                 "bench-ab-r7"
                 "\x82\x14\x00\x01\x00\x03"
                 "a/0\x01\x00\x03"
                 "b/+\x01\x00\x03"
                 "c/#\x01");
}

TEST(a_publisher_connects_with_its_token) {
    struct protocol_link link = {.is_publisher = true, .run = 1, .token = "key"};
    EXPECT_HELLO("mqtt-qos0", link,
                 "\x10\x22\x00\x04MQTT\x04\xc2\x00\x00\x00\x0a"
                 "bench-1-p0\x00\x05"
                 "bench\x00\x03"
                 "key");
}

TEST(many_filters_go_in_several_packets) {
    const char *selectors[250];
    struct bytes output;
    for (size_t i = 0; i < 250; i++) {
        selectors[i] = "a";
    }
    struct protocol_link link = {.selectors = selectors, .selector_count = 250, .run = 1};
    replay_hello("mqtt-qos0", link, &output);
    EXPECT_EQ(output.length, 24 + 2 * (3 + 2 + 400) + 3 + 2 + 200);
    bytes_finish(&output);
    REPLAY("mqtt-qos0", link,
           CONNACK "\x90\x03\x00\x01\x00\x90\x03\x00\x02\x00\x90\x03\x00\x03\x00", "ready; ");
}

TEST(a_publish_has_an_id_when_it_is_answered) {
    struct protocol_link link = {.packet_id = 65534};
    REPLAY_PUBLISH("mqtt-qos0", &link, &message, 1,
                   "\x30\x0c\x00\x03"
                   "a/0{\"s\":1}");
    REPLAY_PUBLISH("mqtt-qos1", &link, &message, 1,
                   "\x32\x0e\x00\x03"
                   "a/0\xff\xff{\"s\":1}");
    REPLAY_PUBLISH("mqtt-qos1", &link, &message, 1,
                   "\x32\x0e\x00\x03"
                   "a/0\x00\x01{\"s\":1}");
}

TEST(a_length_has_as_many_bytes_as_it_needs) {
    static uint8_t payload[16384];
    struct protocol_link link = {0};
    struct bytes output = {0};
    struct protocol_message large = {"a", payload, sizeof(payload)};
    protocol_find("mqtt-qos0")->put_publish(&link, &large, 1, &output);
    EXPECT_EQ(output.length, 1 + 3 + 3 + sizeof(payload));
    assert_memory_equal(output.data,
                        "\x30\x83\x80\x01\x00\x01"
                        "a",
                        7);
    bytes_finish(&output);
}

TEST(messages_are_told_and_acknowledged) {
    struct protocol_link link = {.selectors = three, .selector_count = 3};
    static const char bytes[] = CONNACK "\x90\x05\x00\x01\x00\x01\x02"
                                        "\x30\x07\x00\x01"
                                        "aABCD"
                                        "\x32\x09\x00\x01"
                                        "a\x12\x34"
                                        "EFGH"
                                        "\xd0\x00"
                                        "\x3b\x05\x00\x01"
                                        "a\x00\x07"
                                        "\x30\x83\x00\x00\x01"
                                        "x";
    struct bytes output;
    replay_expect("mqtt-qos1", link, bytes, sizeof(bytes) - 1,
                  "ready; message ABCD; message EFGH; message ; message ; ", &output);
    EXPECT_EQ(output.length, 8);
    assert_memory_equal(output.data, "\x40\x02\x12\x34\x40\x02\x00\x07", 8);
    bytes_finish(&output);
}

TEST(answers_are_counted) {
    struct protocol_link link = {.is_publisher = true};
    REPLAY("mqtt-qos1", link, CONNACK "\x40\x02\x00\x01\x40\x02\x00\x02",
           "ready; answer; answer; ");
}

TEST(refusals_have_a_word) {
    struct protocol_link link = {.selectors = three, .selector_count = 1};
    REPLAY("mqtt-qos0", link, "\x20\x02\x00\x05", "refused: MQTT: not authorized; ");
    REPLAY("mqtt-qos0", link, "\x20\x02\x00\x87", "refused: MQTT: the CONNACK is not one; ");
    REPLAY("mqtt-qos0", link, "\x20\x01\x00", "refused: MQTT: the CONNACK is not one; ");
    REPLAY("mqtt-qos0", link, CONNACK "\x90\x03\x00\x01\x80",
           "refused: MQTT: a subscription was refused; ");
    REPLAY("mqtt-qos0", link, CONNACK "\x90\x03\x00\x01\x00\x90\x03\x00\x01\x00",
           "ready; refused: MQTT: a SUBACK for no SUBSCRIBE; ");
    REPLAY("mqtt-qos0", link, "\x30\xff\xff\xff\x7f",
           "refused: an MQTT packet is longer than the load takes; ");
    REPLAY("mqtt-qos0", link, "\x30\xff\xff\xff\xff\x01",
           "refused: an MQTT packet's length does not end; ");
    REPLAY("mqtt-qos0", link,
           "\x30\x03\x00\x09"
           "a",
           "refused: an MQTT PUBLISH is shorter than its topic; ");
    REPLAY("mqtt-qos0", link,
           "\x32\x03\x00\x01"
           "a",
           "refused: an MQTT PUBLISH is shorter than its topic; ");
    REPLAY("mqtt-qos0", link, "\x30\x01\x00",
           "refused: an MQTT PUBLISH is shorter than its topic; ");
}

UNIT_TESTS(UNIT(a_reader_connects_and_subscribes), UNIT(a_publisher_connects_with_its_token),
           UNIT(many_filters_go_in_several_packets), UNIT(a_publish_has_an_id_when_it_is_answered),
           UNIT(a_length_has_as_many_bytes_as_it_needs), UNIT(messages_are_told_and_acknowledged),
           UNIT(answers_are_counted), UNIT(refusals_have_a_word))

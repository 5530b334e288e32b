/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/framing.h"

#include <stdlib.h>

#include "protocols/mqtt/decode.h"
#include "protocols/websocket/frame.h"
#include "tests/unit.h"

static const struct mqtt_dialect V5 = {
    .version = MQTT_VERSION_5, .sender = MQTT_SERVER, .packet_bytes_max = UINT32_MAX};
static const struct mqtt_dialect V3 = {
    .version = MQTT_VERSION_3_1_1, .sender = MQTT_SERVER, .packet_bytes_max = UINT32_MAX};

static struct buffer frame;

static struct message *message_of(const struct message_fields *given) {
    struct message_fields fields = *given;
    fields.kind = MESSAGE_DATA;
    fields.payload_kind = PAYLOAD_TEXT;
    fields.channel = SPAN("a/b");
    fields.payload = SPAN("hello");
    struct message *message = message_create(&fields);
    EXPECT_NOT_NULL(message);
    struct place place = {.log_id = 1, .position = 5, .channel_id = 1, .offset = 3};
    message_order(message, &place, 1000);
    return message;
}

static struct mqtt_publish decode(const struct mqtt_dialect *dialect) {
    struct mqtt_frame packet;
    struct mqtt_publish publish;
    EXPECT_EQ(mqtt_frame_read(buffer_borrow(&frame), dialect, &packet, NULL, NULL), OK);
    EXPECT_TRUE(packet.is_whole);
    EXPECT_EQ(packet.packet_length, frame.length);
    EXPECT_EQ(mqtt_decode_publish(&packet, dialect, &publish, NULL, NULL), OK);
    return publish;
}

static void put(const struct framing *framing, const struct message *message,
                uint64_t subscription) {
    struct frame_options options = {.subscription = subscription, .context = framing->context};
    buffer_init(&frame, 65536);
    EXPECT_EQ(framing->put_message(&frame, message, &options), OK);
}

TEST(each_row_has_a_slot_of_its_own) {
    uint64_t seen = 0;
    for (int i = 0; i < 48; i++) {
        bool is_5 = (i & 8) != 0;
        const struct framing *framing =
            framing_shared((i & 1) != 0, is_5 ? MQTT_VERSION_5 : MQTT_VERSION_3_1_1,
                           (uint8_t)(i / 16), (i & 2) != 0, (i & 4) != 0);
        EXPECT_TRUE(framing->slot < FRAMING_SLOTS);
        seen |= UINT64_C(1) << framing->slot;
    }
    EXPECT_EQ(__builtin_popcountll(seen), MQTT_SLOT_COUNT);
}

/* [MQTT-3.3.5-1] [MQTT-3.8.4-8] */
TEST(the_qos_is_the_lower_of_publisher_and_subscriber) {
    for (uint8_t published = 0; published <= 2; published++) {
        for (uint8_t subscribed = 0; subscribed <= 2; subscribed++) {
            struct message *message =
                message_of(&(struct message_fields){.flags = MESSAGE_MQTT, .qos = published});
            put(framing_shared(false, MQTT_VERSION_5, subscribed, false, false), message, 0);
            EXPECT_EQ(decode(&V5).qos, published < subscribed ? published : subscribed);
            buffer_finish(&frame);
            message_unref(message);
        }
    }
}

TEST(a_message_of_another_protocol_has_the_subscribers_qos) {
    struct message *message = message_of(&(struct message_fields){0});
    put(framing_shared(false, MQTT_VERSION_3_1_1, 2, false, false), message, 0);
    EXPECT_EQ(decode(&V3).qos, 2);
    buffer_finish(&frame);
    message_unref(message);
}

TEST(a_shared_frame_takes_a_packet_id) {
    struct message *message = message_of(&(struct message_fields){0});
    for (int is_websocket = 0; is_websocket <= 1; is_websocket++) {
        struct published published;
        put(framing_shared(is_websocket, MQTT_VERSION_5, 1, false, false), message, 0);
        frame_open(frame.bytes, frame.length, is_websocket, &published);
        EXPECT_EQ(published.qos, 1);
        frame_set_packet_id(&published, 4242);
        if (is_websocket) {
            EXPECT_EQ(frame.bytes[0], 0x80 | FRAME_BINARY);
            buffer_drop_front(&frame, frame_header_length(frame.bytes));
        }
        struct mqtt_publish publish = decode(&V5);
        EXPECT_EQ(publish.packet_id, 4242);
        EXPECT_TRUE(span_is_equal(publish.topic, SPAN("a/b")));
        EXPECT_TRUE(span_is_equal(publish.payload, SPAN("hello")));
        buffer_finish(&frame);
    }
    message_unref(message);
}

/* [MQTT-3.3.4-3] [MQTT-3.3.4-4] */
TEST(the_number_of_a_reader_is_its_subscription_identifier) {
    struct message *message = message_of(&(struct message_fields){0});
    put(framing_shared(false, MQTT_VERSION_5, 0, false, false), message, 12);
    EXPECT_EQ(decode(&V5).properties.subscription_identifier, 12);
    buffer_finish(&frame);
    message_unref(message);
}

/* [MQTT-3.3.1-8] [MQTT-3.3.1-9] [MQTT-3.3.1-12] [MQTT-3.3.1-13] */
TEST(retain_is_as_published_only_where_that_was_asked_for) {
    struct message *message = message_of(&(struct message_fields){.flags = MESSAGE_RETAIN});
    put(framing_shared(false, MQTT_VERSION_5, 0, false, false), message, 0);
    EXPECT_FALSE(decode(&V5).is_retained);
    buffer_finish(&frame);
    put(framing_shared(false, MQTT_VERSION_5, 0, false, true), message, 0);
    EXPECT_TRUE(decode(&V5).is_retained);
    buffer_finish(&frame);
    message_unref(message);
}

TEST(offsets_are_user_properties_where_they_were_asked_for) {
    struct message *message = message_of(&(struct message_fields){0});
    put(framing_shared(false, MQTT_VERSION_5, 0, true, false), message, 0);
    struct mqtt_publish publish = decode(&V5);
    struct span name;
    struct span value;
    EXPECT_EQ(publish.properties.user_property_count, 2);
    EXPECT_TRUE(mqtt_user_property_next(&publish.properties.user_properties, &name, &value));
    EXPECT_TRUE(span_is_equal(name, SPAN("offset")));
    EXPECT_TRUE(span_is_equal(value, SPAN("3")));
    buffer_finish(&frame);
    message_unref(message);
}

/* [MQTT-3.1.2-24] [MQTT-3.1.2-25] */
TEST(what_is_too_large_for_the_client_makes_no_frame) {
    struct message *message = message_of(&(struct message_fields){0});
    struct publishing publishing = {.version = MQTT_VERSION_3_1_1, .packet_bytes_max = 12};
    buffer_init(&frame, 65536);
    EXPECT_EQ(publishing_put(&frame, message, &publishing), OK);
    EXPECT_EQ(frame.length, 12);
    publishing.packet_bytes_max = 11;
    EXPECT_EQ(publishing_put(&frame, message, &publishing), OK);
    EXPECT_EQ(frame.length, 12);
    buffer_finish(&frame);
    message_unref(message);
}

TEST(all_identifiers_and_the_alias_stand_in_a_frame) {
    struct message *message = message_of(&(struct message_fields){0});
    uint32_t identifiers[] = {1, 200};
    struct publishing publishing = {.version = MQTT_VERSION_5,
                                    .qos = 2,
                                    .packet_id = 7,
                                    .is_repeated = true,
                                    .topic_alias = 3,
                                    .leaves_topic_out = true,
                                    .skipped = 120,
                                    .identifiers = identifiers,
                                    .identifier_count = 2};
    buffer_init(&frame, 65536);
    EXPECT_EQ(publishing_put(&frame, message, &publishing), OK);
    struct mqtt_publish publish = decode(&V5);
    uint32_t identifier = 0;
    EXPECT_TRUE(publish.is_repeated);
    EXPECT_EQ(publish.packet_id, 7);
    EXPECT_EQ(publish.topic.length, 0);
    EXPECT_EQ(publish.properties.topic_alias, 3);
    struct span rest = publish.properties.subscription_identifiers;
    EXPECT_TRUE(mqtt_subscription_identifier_next(&rest, &identifier));
    EXPECT_EQ(identifier, 1);
    EXPECT_TRUE(mqtt_subscription_identifier_next(&rest, &identifier));
    EXPECT_EQ(identifier, 200);
    buffer_finish(&frame);
    message_unref(message);
}

TEST(a_gap_is_a_publish_on_a_topic_of_its_own) {
    struct storage_gap gap = {.gap = {GAP_EXPIRED, 1, 9}, .selector = SPAN("a/b")};
    const struct framing *framing = framing_shared(false, MQTT_VERSION_3_1_1, 1, false, false);
    struct frame_options options = {.context = framing->context};
    buffer_init(&frame, 65536);
    EXPECT_EQ(publishing_put_gap(&frame, &gap, false, &V5), OK);
    struct mqtt_publish publish = decode(&V5);
    EXPECT_EQ(publish.qos, 0);
    EXPECT_TRUE(span_is_equal(publish.topic, SPAN("$gap/a/b")));
    buffer_finish(&frame);
    gap.is_pattern = true;
    EXPECT_EQ(framing->put_gap(&frame, &gap, &options), OK);
    EXPECT_TRUE(span_is_equal(decode(&V3).topic, SPAN("$gap")));
    buffer_finish(&frame);
}

/* [MQTT-3.3.2-5] */
TEST(messages_whose_time_is_over_are_no_gap) {
    struct storage_gap gap = {
        .gap = {GAP_EXPIRED, 1, 9}, .selector = SPAN("a/b"), .is_outlived = true};
    buffer_init(&frame, 65536);
    EXPECT_EQ(publishing_put_gap(&frame, &gap, true, &V5), OK);
    EXPECT_EQ(frame.length, 0);
}

/* [MQTT-3.1.2-24] */
TEST(a_gap_too_large_for_the_client_makes_no_frame) {
    struct storage_gap gap = {.gap = {GAP_EXPIRED, 1, 9}, .selector = SPAN("a/b")};
    struct mqtt_dialect dialect = V5;
    buffer_init(&frame, 65536);
    EXPECT_EQ(publishing_put_gap(&frame, &gap, false, &dialect), OK);
    dialect.packet_bytes_max = (uint32_t)frame.length - 1;
    buffer_finish(&frame);
    buffer_init(&frame, 65536);
    EXPECT_EQ(publishing_put_gap(&frame, &gap, false, &dialect), OK);
    EXPECT_EQ(frame.length, 0);
}

UNIT_TESTS(UNIT(each_row_has_a_slot_of_its_own),
           UNIT(the_qos_is_the_lower_of_publisher_and_subscriber),
           UNIT(a_message_of_another_protocol_has_the_subscribers_qos),
           UNIT(a_shared_frame_takes_a_packet_id),
           UNIT(the_number_of_a_reader_is_its_subscription_identifier),
           UNIT(retain_is_as_published_only_where_that_was_asked_for),
           UNIT(offsets_are_user_properties_where_they_were_asked_for),
           UNIT(what_is_too_large_for_the_client_makes_no_frame),
           UNIT(all_identifiers_and_the_alias_stand_in_a_frame),
           UNIT(a_gap_is_a_publish_on_a_topic_of_its_own),
           UNIT(messages_whose_time_is_over_are_no_gap),
           UNIT(a_gap_too_large_for_the_client_makes_no_frame))

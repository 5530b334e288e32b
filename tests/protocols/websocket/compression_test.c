/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/compression.h"

#include "broker/channels/rules.h"
#include "broker/config/config.h"
#include "broker/runtime/worker.h"
#include "protocols/websocket/frame.h"
#include "protocols/websocket/framing.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

static struct compression *compression;
static struct buffer buffer;
static char payload[4096];

static int begin(void **state) {
    fakes_begin(state);
    buffer_init(&buffer, 65536);
    memset(payload, '7', sizeof(payload));
    enum error_code code = compression_open(connection_worker(fakes_connection()));
    compression = compression_borrow(connection_worker(fakes_connection()));
    return code == OK ? 0 : -1;
}

static int end(void **state) {
    buffer_finish(&buffer);
    return fakes_end(state);
}

/* Appends the frame of a message with that much of a payload. */
static enum error_code put(const struct framing *framing, size_t payload_length,
                           uint64_t subscription) {
    struct message_fields fields = {
        .kind = MESSAGE_DATA, .channel = SPAN("a"), .payload = span_of(payload, payload_length)};
    struct message *message = message_create(&fields);
    struct place place = {.log_id = 1, .generation = 1, .position = 1, .offset = 1};
    struct frame_options options = {.subscription = subscription, .context = framing->context};
    message_order(message, &place, 1700000000000);
    enum error_code code = framing->put_message(&buffer, message, &options);
    message_unref(message);
    return code;
}

/* What the one frame in the buffer says, expanded. */
static void expect_frame_holds(const char *text) {
    struct buffer plain;
    struct error why = {0};
    size_t header_length = frame_header_length(buffer.bytes);
    buffer_init(&plain, 65536);
    EXPECT_EQ(buffer.bytes[0], 0x80 | FRAME_TEXT_DEFLATED);
    EXPECT_EQ(deflate_expand(compression_codec(compression),
                             span_of(buffer.bytes + header_length, buffer.length - header_length),
                             &plain, &why),
              OK);
    EXPECT_TRUE(memmem(plain.bytes, plain.length, text, strlen(text)) != NULL);
    buffer_finish(&plain);
}

TEST(a_frame_of_some_length_is_compressed) {
    EXPECT_EQ(put(compression_framing(compression, false), 2000, 0), OK);
    EXPECT_TRUE(buffer.length < 300);
    expect_frame_holds("{\"channel\":\"a\",\"offset\":1");
}

TEST(a_frame_with_a_subscription_is_too) {
    EXPECT_EQ(put(compression_framing(compression, true), 2000, 7), OK);
    expect_frame_holds("{\"sub\":7,");
}

TEST(short_frames_go_out_as_they_are) {
    EXPECT_EQ(put(compression_framing(compression, false), 1, 0), OK);
    EXPECT_EQ(buffer.bytes[0], 0x81);
}

TEST(a_channel_whose_rule_forbids_it_is_not_compressed) {
    struct config config = *fakes.broker.config;
    const struct rules *rules = fakes.broker.rules;
    config.rule_default.deflate = false;
    fakes.broker.rules = rules_create(&config, NULL);
    EXPECT_EQ(put(compression_framing(compression, false), 2000, 0), OK);
    EXPECT_EQ(buffer.bytes[0], 0x81);
    rules_destroy((struct rules *)(uintptr_t)fakes.broker.rules);
    fakes.broker.rules = rules;
}

TEST(a_worker_has_one_and_each_kind_of_frame_its_slot) {
    EXPECT_EQ(compression_open(connection_worker(fakes_connection())), OK);
    EXPECT_TRUE(compression_borrow(connection_worker(fakes_connection())) == compression);
    EXPECT_EQ(compression_framing(compression, false)->slot, WEBSOCKET_SLOT_DEFLATED);
    EXPECT_EQ(compression_framing(compression, true)->slot, WEBSOCKET_SLOT_SUBSCRIBED_DEFLATED);
    EXPECT_EQ(websocket_framing.slot, WEBSOCKET_SLOT_PLAIN);
    EXPECT_EQ(websocket_framing_subscribed.slot, WEBSOCKET_SLOT_SUBSCRIBED);
}

#define COMPRESSION(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(COMPRESSION(a_frame_of_some_length_is_compressed),
           COMPRESSION(a_frame_with_a_subscription_is_too),
           COMPRESSION(short_frames_go_out_as_they_are),
           COMPRESSION(a_channel_whose_rule_forbids_it_is_not_compressed),
           COMPRESSION(a_worker_has_one_and_each_kind_of_frame_its_slot))

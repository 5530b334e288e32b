/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/subscriptions.h"

#include <stdio.h>

#include "broker/limits.h"
#include "protocols/rest/reading.h"
#include "protocols/rest/request.h"
#include "protocols/websocket/framing.h"
#include "protocols/websocket/websocket.h"
#include "protocols/websocket/websocket_private.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

static const struct place place_5 = {
    .log_id = 1, .generation = 1, .position = 5, .channel_id = 3, .offset = 2};

/* A socket on /stream whose URL named these. */
static void open_socket(struct storage_selector *selectors, size_t count) {
    struct request request = {.broker = &fakes.broker};
    struct reading reading = {.kind = READING_WEBSOCKET,
                              .selectors = selectors,
                              .selector_count = count,
                              .query.start = STORAGE_NOW,
                              .on_lag = ON_LAG_AUTO};
    struct websocket *websocket = NULL;
    request.reading = &reading;
    EXPECT_EQ(websocket_create(fakes_connection(), &request, &websocket), OK);
    fakes.protocol = &websocket_protocol;
    fakes.state = websocket;
    websocket_start(websocket);
}

static int begin(void **state) {
    fakes_begin(state);
    open_socket(NULL, 0);
    return 0;
}

static int begin_with_two(void **state) {
    struct storage_selector selectors[] = {{SPAN("a"), false}, {SPAN("b/**"), true}};
    fakes_begin(state);
    open_socket(selectors, ARRAY_COUNT(selectors));
    return 0;
}

static int end(void **state) {
    fakes_hang_up();
    return fakes_end(state);
}

/* Sends a command as one masked frame (with a mask of zeros); forgets what was sent before. */
static void say(const char *text) {
    uint8_t frame[1024] = {0x81, 0x80 | 126};
    size_t length = strlen(text);
    size_t payload_at = length < 126 ? 6 : 8;
    EXPECT_TRUE(length <= sizeof(frame) - 8);
    if (length < 126) {
        frame[1] = (uint8_t)(0x80 | length);
    } else {
        frame[2] = (uint8_t)(length >> 8);
        frame[3] = (uint8_t)length;
    }
    memcpy(frame + payload_at, text, length);
    fakes_forget_sent();
    fakes_receive_bytes(span_of(frame, payload_at + length));
}

static void start(unsigned stream, const struct place *place) {
    const struct stream_options *options = &fakes.streams[stream].options;
    options->on_started(options->context, place);
}

TEST(a_subscription_is_answered_when_its_start_is_known) {
    say("{\"subscribe\":\"tennis/*\",\"on_lag\":\"conflate\",\"limit\":7,\"ref\":1}");
    EXPECT_EQ(fakes.sent.length, 0);
    EXPECT_STRING(fakes.stream_channel, "tennis/*");
    EXPECT_EQ(fakes.stream_options.subscription, 1);
    EXPECT_EQ(fakes.stream_options.on_lag, ON_LAG_CONFLATE);
    EXPECT_EQ(fakes.stream_options.limit, 7);
    EXPECT_EQ(fakes.stream_options.start.start, STORAGE_NOW);
    EXPECT_EQ(fakes.stream_options.framing->slot, WEBSOCKET_SLOT_SUBSCRIBED);
    start(0, &place_5);
    EXPECT_TRUE(fakes_has_sent("{\"ref\":1,\"ok\":{\"sub\":1,\"at\":\"t1"));
}

TEST(a_start_that_is_a_gap_is_answered_without_a_place) {
    say("{\"subscribe\":\"a\",\"since\":3,\"ref\":\"x\"}");
    EXPECT_EQ(fakes.stream_options.start.start, STORAGE_AFTER_OFFSET);
    start(0, &(struct place){0});
    EXPECT_TRUE(fakes_has_sent("{\"ref\":\"x\",\"ok\":{\"sub\":1}}"));
}

TEST(a_subscription_without_ref_is_not_answered) {
    say("{\"subscribe\":\"a\"}");
    start(0, &place_5);
    EXPECT_EQ(fakes.sent.length, 0);
}

TEST(numbers_count_for_the_life_of_the_socket_and_one_channel_may_be_read_twice) {
    say("{\"subscribe\":\"a\",\"ref\":1}");
    say("{\"subscribe\":\"a\",\"ref\":2}");
    start(1, &place_5);
    EXPECT_TRUE(fakes_has_sent("{\"ref\":2,\"ok\":{\"sub\":2,"));
    say("{\"unsubscribe\":2,\"ref\":3}");
    EXPECT_TRUE(fakes_has_sent("{\"ref\":3,\"ok\":{}}"));
    EXPECT_EQ(fakes.stream_count, 1);
    say("{\"unsubscribe\":2,\"ref\":4}");
    EXPECT_TRUE(fakes_has_sent("{\"ref\":4,\"error\":{\"code\":\"not-found\""));
    say("{\"subscribe\":\"a\",\"ref\":5}");
    EXPECT_EQ(fakes.stream_options.subscription, 3);
}

TEST(a_subscription_that_ends_before_it_was_answered_is_answered_all_the_same) {
    say("{\"subscribe\":\"a\",\"ref\":1}");
    say("{\"unsubscribe\":1,\"ref\":2}");
    EXPECT_TRUE(fakes_has_sent("{\"ref\":1,\"ok\":{\"sub\":1}}"));
    EXPECT_TRUE(fakes_has_sent("{\"ref\":2,\"ok\":{}}"));
    EXPECT_EQ(fakes.stream_count, 0);
}

TEST(what_cannot_be_subscribed_to_names_its_field_and_takes_no_number) {
    static const struct {
        const char *command;
        const char *answer;
    } rows[] = {
        {"{\"subscribe\":\"a/#\",\"ref\":1}", "\"field\":\"subscribe\""},
        {"{\"subscribe\":\"a/**/b\",\"ref\":1}", "\"field\":\"subscribe\""},
        {"{\"subscribe\":\"a\",\"since\":\"soon\",\"ref\":1}", "\"field\":\"since\""},
        {"{\"subscribe\":\"a/*\",\"since\":3,\"ref\":1}", "\"field\":\"since\""},
        {"{\"subscribe\":\"a\",\"on_lag\":\"wait\",\"ref\":1}", "\"field\":\"on_lag\""},
        {"{\"subscribe\":\"a\",\"limit\":0,\"ref\":1}", "\"field\":\"limit\""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        say(rows[i].command);
        EXPECT_TRUE(fakes_has_sent("{\"ref\":1,\"error\":"));
        EXPECT_TRUE(fakes_has_sent(rows[i].answer));
    }
    EXPECT_EQ(fakes.stream_total, 0);
    say("{\"subscribe\":\"a\"}");
    EXPECT_EQ(fakes.stream_options.subscription, 1);
}

TEST(a_socket_has_so_many_subscriptions_and_no_more) {
    for (unsigned i = 0; i < SUBSCRIPTIONS_MAX; i++) {
        say("{\"subscribe\":\"a\"}");
    }
    EXPECT_EQ(fakes.stream_count, SUBSCRIPTIONS_MAX);
    say("{\"subscribe\":\"a\",\"ref\":1}");
    EXPECT_TRUE(fakes_has_sent("\"code\":\"too-many-requests\""));
    say("{\"unsubscribe\":500}");
    say("{\"subscribe\":\"a\",\"ref\":1}");
    EXPECT_EQ(fakes.stream_count, SUBSCRIPTIONS_MAX);
}

TEST(a_limit_that_is_reached_is_told_and_ends_the_subscription) {
    say("{\"subscribe\":\"a\",\"limit\":1,\"ref\":1}");
    start(0, &place_5);
    fakes_forget_sent();
    const struct stream_options *options = &fakes.streams[0].options;
    options->on_limit(options->context, &place_5);
    EXPECT_TRUE(fakes_has_sent("{\"sub\":1,\"done\":true,\"at\":\"t1"));
    EXPECT_EQ(fakes.stream_count, 0);
    say("{\"unsubscribe\":1,\"ref\":2}");
    EXPECT_TRUE(fakes_has_sent("\"code\":\"not-found\""));
    EXPECT_FALSE(fakes.is_closing);
}

TEST(a_reader_that_is_cut_off_for_its_lag_ends_the_socket_with_4008) {
    say("{\"subscribe\":\"a\",\"on_lag\":\"disconnect\"}");
    EXPECT_EQ(fakes.stream_options.on_lag, ON_LAG_DISCONNECT);
    fakes.stream_options.on_failed(fakes.stream_options.context, ERR_SLOW);
    EXPECT_EQ(fakes.reason, CLOSE_TOO_SLOW);
    EXPECT_TRUE(fakes_has_sent("\x0f\xa8")); /* 4008 */
}

TEST(what_the_url_names_is_subscribed_to_in_its_order_and_not_answered) {
    EXPECT_EQ(fakes.stream_count, 2);
    EXPECT_EQ(fakes.streams[0].options.subscription, 1);
    EXPECT_EQ(fakes.streams[1].options.subscription, 2);
    EXPECT_EQ(fakes.streams[1].options.on_lag, ON_LAG_CATCH_UP);
    start(0, &place_5);
    start(1, &place_5);
    EXPECT_EQ(fakes.sent.length, 0);
    say("{\"subscribe\":\"c\"}");
    EXPECT_EQ(fakes.stream_options.subscription, 3);
}

TEST(a_publish_names_its_channel_here) {
    say("{\"publish\":{\"data\":1},\"ref\":1}");
    EXPECT_TRUE(fakes_has_sent("\"field\":\"channel\""));
    say("{\"publish\":{\"channel\":\"x\",\"data\":1},\"ref\":2}");
    EXPECT_EQ(fakes.publish_count, 1);
    fakes_answer_publish(OK);
    EXPECT_TRUE(fakes_has_sent("{\"ref\":2,\"ok\":{\"offset\":1,\"id\":\"t1"));
}

TEST(those_served_longest_ago_are_served_first) {
    for (unsigned i = 0; i < 3; i++) {
        say("{\"subscribe\":\"a\"}");
        fakes.streams[i].place = place_5;
        start(i, &place_5);
    }
    fakes.streams[0].place.offset++;
    fakes.streams[1].place.offset++;
    fakes_drain_socket();
    EXPECT_TRUE(fakes.streams[2].writable_at < fakes.streams[1].writable_at);
    EXPECT_TRUE(fakes.streams[2].writable_at < fakes.streams[0].writable_at);
    /* Of two that always bring something each is the first every other time. */
    unsigned first_count = 0;
    for (unsigned i = 0; i < 10; i++) {
        fakes.streams[0].place.offset++;
        fakes.streams[1].place.offset++;
        fakes_drain_socket();
        first_count += fakes.streams[0].writable_at < fakes.streams[1].writable_at;
    }
    EXPECT_EQ(first_count, 5);
}

TEST(progress_is_told_for_each_subscription_of_which_nothing_came) {
    for (unsigned i = 0; i < 3; i++) {
        say("{\"subscribe\":\"a\"}");
        fakes.streams[i].place = place_5;
        start(i, &place_5);
        fakes.streams[i].place.position = 9;
    }
    fakes.streams[1].place.offset++; /* this one had a message */
    fakes_forget_sent();
    fakes_pass(HEARTBEAT_MS);
    EXPECT_TRUE(fakes_has_sent("{\"sub\":1,\"at\":\"t1"));
    EXPECT_FALSE(fakes_has_sent("{\"sub\":2,\"at\""));
    EXPECT_TRUE(fakes_has_sent("{\"sub\":3,\"at\":\"t1"));
    fakes_forget_sent();
    fakes_pass(HEARTBEAT_MS - 1);
    EXPECT_FALSE(fakes_has_sent("\"at\""));
    fakes_pass(1);
    EXPECT_FALSE(fakes_has_sent("\"at\"")); /* the log stood still */
}

#define SOCKET(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(SOCKET(a_subscription_is_answered_when_its_start_is_known),
           SOCKET(a_start_that_is_a_gap_is_answered_without_a_place),
           SOCKET(a_subscription_without_ref_is_not_answered),
           SOCKET(numbers_count_for_the_life_of_the_socket_and_one_channel_may_be_read_twice),
           SOCKET(a_subscription_that_ends_before_it_was_answered_is_answered_all_the_same),
           SOCKET(what_cannot_be_subscribed_to_names_its_field_and_takes_no_number),
           SOCKET(a_socket_has_so_many_subscriptions_and_no_more),
           SOCKET(a_limit_that_is_reached_is_told_and_ends_the_subscription),
           SOCKET(a_reader_that_is_cut_off_for_its_lag_ends_the_socket_with_4008),
           cmocka_unit_test_setup_teardown(
               what_the_url_names_is_subscribed_to_in_its_order_and_not_answered, begin_with_two,
               end),
           SOCKET(a_publish_names_its_channel_here),
           SOCKET(those_served_longest_ago_are_served_first),
           SOCKET(progress_is_told_for_each_subscription_of_which_nothing_came))

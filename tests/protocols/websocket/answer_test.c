/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/answer.h"

#include <stdio.h>

#include "broker/channels/id.h"
#include "tests/unit.h"

static const struct place place = {
    .log_id = 5, .generation = 1, .position = 9, .channel_id = 2, .offset = 3};
static struct buffer buffer;

static int begin(void **state) {
    (void)state;
    buffer_init(&buffer, 4096);
    return 0;
}

static int end(void **state) {
    (void)state;
    buffer_finish(&buffer);
    return 0;
}

/* `%s` in the text stands for the place's id. */
static void expect_text(const char *format_head, const char *format_tail) {
    char id[ID_TEXT_BYTES_MAX + 1] = {0};
    char expected[512];
    size_t length = id_format(&place, id);
    snprintf(expected, sizeof(expected), "%s%.*s%s", format_head, (int)length, id, format_tail);
    EXPECT_SPAN(buffer_borrow(&buffer), expected);
}

TEST(a_publish_is_answered_with_offset_and_id) {
    struct message message = {.place = place};
    EXPECT_EQ(answer_put_published(&buffer, SPAN("\"r\""), &message), OK);
    expect_text("{\"ref\":\"r\",\"ok\":{\"offset\":3,\"id\":\"", "\"}}");
}

TEST(a_subscription_is_answered_with_its_number_and_place) {
    EXPECT_EQ(answer_put_subscribed(&buffer, SPAN("1"), 7, &place), OK);
    expect_text("{\"ref\":1,\"ok\":{\"sub\":7,\"at\":\"", "\"}}");
}

TEST(a_place_that_only_the_gap_knows_is_left_out) {
    struct place nowhere = {0};
    EXPECT_EQ(answer_put_subscribed(&buffer, SPAN("1"), 7, &nowhere), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), "{\"ref\":1,\"ok\":{\"sub\":7}}");
}

TEST(an_end_has_nothing_to_say) {
    EXPECT_EQ(answer_put_done(&buffer, SPAN("3")), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), "{\"ref\":3,\"ok\":{}}");
}

TEST(an_error_is_told_with_its_reason_and_field) {
    struct error why = {0};
    enum error_code code = error_set_field(&why, ERR_FORBIDDEN, "channel", "not \"yours\"");
    EXPECT_EQ(answer_put_error(&buffer, SPAN("2"), code, &why), OK);
    EXPECT_SPAN(buffer_borrow(&buffer),
                "{\"ref\":2,\"error\":{\"code\":\"forbidden\",\"message\":\"not \\\"yours\\\"\","
                "\"field\":\"channel\"}}");
    buffer_clear(&buffer);
    EXPECT_EQ(answer_put_error(&buffer, (struct span){0}, ERR_BUSY, NULL), OK);
    EXPECT_SPAN(buffer_borrow(&buffer),
                "{\"error\":{\"code\":\"busy\",\"message\":\"The broker is busy\"}}");
}

TEST(progress_and_the_end_of_a_subscription_name_it) {
    EXPECT_EQ(answer_put_progress(&buffer, 2, &place), OK);
    expect_text("{\"sub\":2,\"at\":\"", "\"}");
    buffer_clear(&buffer);
    EXPECT_EQ(answer_put_progress(&buffer, 0, &place), OK);
    expect_text("{\"at\":\"", "\"}");
    buffer_clear(&buffer);
    EXPECT_EQ(answer_put_limit(&buffer, 2, &place), OK);
    expect_text("{\"sub\":2,\"done\":true,\"at\":\"", "\"}");
}

#define ANSWER(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(ANSWER(a_publish_is_answered_with_offset_and_id),
           ANSWER(a_subscription_is_answered_with_its_number_and_place),
           ANSWER(a_place_that_only_the_gap_knows_is_left_out), ANSWER(an_end_has_nothing_to_say),
           ANSWER(an_error_is_told_with_its_reason_and_field),
           ANSWER(progress_and_the_end_of_a_subscription_name_it))

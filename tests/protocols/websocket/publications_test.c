/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/publications.h"

#include "broker/runtime/log.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

static struct publications publications;
static unsigned answered_count;
static enum error_code answered_code;
static char answered_ref[16];

static void on_answered(void *context, struct span ref, enum error_code code,
                        const struct message *message, const struct error *why) {
    (void)context;
    (void)message;
    (void)why;
    answered_count++;
    answered_code = code;
    memset(answered_ref, 0, sizeof(answered_ref));
    memcpy(answered_ref, ref.bytes, ref.length);
}

static int begin(void **state) {
    fakes_begin(state);
    answered_count = 0;
    publications = (struct publications){.broker = &fakes.broker, .on_answered = on_answered};
    publications_init(&publications);
    return 0;
}

static enum error_code submit(const char *channel, struct span payload) {
    struct message_fields fields = {.channel = span_of_string(channel), .payload = payload};
    struct error why = {0};
    return publications_submit(&publications, &fields, SPAN("\"r\""), &why);
}

TEST(the_answer_carries_its_ref) {
    EXPECT_EQ(submit("a", SPAN("1")), OK);
    EXPECT_EQ(publications.count, 1);
    fakes_answer_publish(ERR_STORAGE_FULL);
    EXPECT_EQ(publications.count, 0);
    EXPECT_EQ(answered_count, 1);
    EXPECT_EQ(answered_code, ERR_STORAGE_FULL);
    EXPECT_STRING(answered_ref, "\"r\"");
}

TEST(the_rules_of_channels_and_sizes_hold_here_too) {
    static uint8_t large[1048577];
    EXPECT_EQ(submit("a/+", SPAN("1")), ERR_BAD_CHANNEL);
    EXPECT_EQ(submit("$broker", SPAN("1")), ERR_FORBIDDEN);
    EXPECT_EQ(submit("a//b", SPAN("1")), OK);
    fakes_answer_publish(OK);
    EXPECT_EQ(submit("a", span_of(large, sizeof(large))), ERR_TOO_LARGE);
    EXPECT_EQ(submit("a", span_of(large, sizeof(large) - 1)), OK);
    fakes_answer_publish(OK);
}

TEST(a_log_that_takes_nothing_leaves_nothing_behind) {
    fakes.submit_result = ERR_BUSY;
    EXPECT_EQ(submit("a", SPAN("1")), ERR_BUSY);
    EXPECT_EQ(publications.count, 0);
    EXPECT_EQ(answered_count, 0);
}

TEST(what_is_abandoned_ends_by_itself) {
    EXPECT_EQ(submit("a", SPAN("1")), OK);
    publications_abandon(&publications);
    fakes_answer_publish(OK);
    EXPECT_EQ(answered_count, 0);
}

#define PUBLICATIONS(name) cmocka_unit_test_setup_teardown(name, begin, fakes_end)

UNIT_TESTS(PUBLICATIONS(the_answer_carries_its_ref),
           PUBLICATIONS(the_rules_of_channels_and_sizes_hold_here_too),
           PUBLICATIONS(a_log_that_takes_nothing_leaves_nothing_behind),
           PUBLICATIONS(what_is_abandoned_ends_by_itself))

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/publications.h"

#include "broker/runtime/log.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

static struct publications *publications;
static unsigned answered_count;
static enum error_code answered_code;
static char answered_ref[16];

static unsigned turn_count;

static void on_answered(void *context, const struct publication_answer *answer,
                        struct buffer *out) {
    (void)context;
    answered_count++;
    answered_code = answer->code;
    EXPECT_EQ(buffer_put(out, answer->ref), OK);
    memset(answered_ref, 0, sizeof(answered_ref));
    memcpy(answered_ref, answer->ref.bytes, answer->ref.length);
}

static void on_all_answered(void *context, struct buffer *out) {
    (void)context;
    turn_count++;
    EXPECT_TRUE(out->length > 0);
}

static const struct publications_owner owner = {on_answered, on_all_answered};

static int begin(void **state) {
    fakes_begin(state);
    answered_count = 0;
    turn_count = 0;
    EXPECT_EQ(
        publications_create(connection_worker(fakes_connection()), &owner, NULL, &publications),
        OK);
    return 0;
}

static int end(void **state) {
    publications_destroy(publications);
    return fakes_end(state);
}

static enum error_code submit(const char *channel, struct span payload) {
    struct message_fields fields = {.channel = span_of_string(channel), .payload = payload};
    struct error why = {0};
    return publications_submit(publications, fakes_connection(), &fields, (struct span){0},
                               SPAN("\"r\""), &why);
}

/* The hash of a publish with that key; lives until it is answered. */
static struct span hash_of(const char *key, const struct message_fields *fields) {
    struct error why = {0};
    size_t waiting = fakes.publish_waiting;
    EXPECT_EQ(publications_submit(publications, fakes_connection(), fields, span_of_string(key),
                                  SPAN("1"), &why),
              OK);
    return fakes.publishes[waiting]->messages[0]->fields.idempotency_hash;
}

TEST(a_repeat_has_the_same_hash_and_another_body_another_one) {
    struct message_fields fields = {.channel = SPAN("a"), .payload = SPAN("1")};
    struct span first = hash_of("k", &fields);
    EXPECT_EQ(first.length, 64);
    EXPECT_TRUE(span_is_equal(first, hash_of("k", &fields)));
    EXPECT_FALSE(span_is_equal(first, hash_of("l", &fields)));
    EXPECT_EQ(hash_of("", &fields).length, 0);
    struct message_fields others[] = {fields, fields, fields, fields, fields, fields, fields};
    others[0].channel = SPAN("b");
    others[1].type = SPAN("text/plain");
    others[2].event = SPAN("e");
    others[3].key = SPAN("e");
    others[4].headers = SPAN("\1\0x\1\0y");
    others[5].ttl_ms = 1000;
    others[6].payload = SPAN("2");
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        struct span other = hash_of("k", &others[i]);
        EXPECT_TRUE(memcmp(first.bytes, other.bytes, 32) == 0); /* the key is the same … */
        EXPECT_FALSE(span_is_equal(first, other));              /* … the body is not */
    }
}

TEST(the_answer_carries_its_ref) {
    EXPECT_EQ(submit("a", SPAN("1")), OK);
    fakes_answer_publish(ERR_STORAGE_FULL);
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
    EXPECT_EQ(answered_count, 0);
}

TEST(the_answers_of_a_turn_are_told_together) {
    EXPECT_EQ(submit("a", SPAN("1")), OK);
    EXPECT_EQ(submit("a", SPAN("2")), OK);
    fakes_answer_all();
    EXPECT_EQ(answered_count, 2);
    EXPECT_EQ(turn_count, 1);
}

TEST(so_many_are_under_way_and_no_more) {
    EXPECT_FALSE(publications_is_full(NULL));
    for (int i = 0; i < PUBLICATIONS_MAX; i++) {
        EXPECT_FALSE(publications_is_full(publications));
        EXPECT_EQ(submit("a", SPAN("1")), OK);
    }
    EXPECT_TRUE(publications_is_full(publications));
    fakes_answer_publish(OK);
    EXPECT_FALSE(publications_is_full(publications));
    answered_count = 0;
    fakes_answer_all();
}

TEST(what_is_given_up_ends_by_itself) {
    EXPECT_EQ(submit("a", SPAN("1")), OK);
    publications_destroy(publications);
    publications = NULL;
    fakes_answer_publish(OK);
    EXPECT_EQ(answered_count, 0);
}

#define PUBLICATIONS(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(PUBLICATIONS(the_answer_carries_its_ref),
           PUBLICATIONS(the_rules_of_channels_and_sizes_hold_here_too),
           PUBLICATIONS(a_repeat_has_the_same_hash_and_another_body_another_one),
           PUBLICATIONS(a_log_that_takes_nothing_leaves_nothing_behind),
           PUBLICATIONS(the_answers_of_a_turn_are_told_together),
           PUBLICATIONS(so_many_are_under_way_and_no_more),
           PUBLICATIONS(what_is_given_up_ends_by_itself))

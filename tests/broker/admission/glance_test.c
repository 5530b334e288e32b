/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/glance.h"

#include "tests/unit.h"

static struct identity *somebody(const char *subject) {
    struct identity_facts facts = {.kind = IDENTITY_TOKEN, .subject = span_of_string(subject)};
    return identity_create(&facts, NULL, NULL);
}

TEST(a_text_is_known_until_its_end_and_no_longer) {
    struct glance *glance = glance_create();
    struct identity *alice = somebody("alice");
    EXPECT_NULL(glance_find(glance, SPAN("a.b.c"), 0));
    glance_put(glance, SPAN("a.b.c"), alice, 1000);
    EXPECT_TRUE(glance_find(glance, SPAN("a.b.c"), 999) == alice);
    EXPECT_NULL(glance_find(glance, SPAN("a.b.c"), 1000));
    EXPECT_EQ(atomic_load(&alice->reference_count), 1);
    identity_unref(alice);
    glance_destroy(glance);
}

TEST(no_other_text_is_taken_for_it) {
    struct glance *glance = glance_create();
    struct identity *alice = somebody("alice");
    glance_put(glance, SPAN("a.b.c"), alice, UINT64_MAX);
    EXPECT_NULL(glance_find(glance, SPAN("a.b.d"), 0));
    EXPECT_NULL(glance_find(glance, SPAN("a.b."), 0));
    EXPECT_NULL(glance_find(glance, SPAN("a.b.cc"), 0));
    EXPECT_NULL(glance_find(glance, SPAN(""), 0));
    identity_unref(alice);
    glance_destroy(glance);
}

static bool is_bob(const struct identity *identity, const void *context) {
    (void)context;
    return span_is_equal(identity->facts.subject, SPAN("bob"));
}

TEST(who_is_to_be_forgotten_is_forgotten_and_no_other) {
    struct glance *glance = glance_create();
    struct identity *alice = somebody("alice");
    struct identity *bob = somebody("bob");
    glance_put(glance, SPAN("of alice"), alice, UINT64_MAX);
    glance_put(glance, SPAN("of bob"), bob, UINT64_MAX);
    bool share_a_row = glance_find(glance, SPAN("of alice"), 0) == NULL;
    glance_forget(glance, is_bob, NULL);
    EXPECT_NULL(glance_find(glance, SPAN("of bob"), 0));
    EXPECT_TRUE(share_a_row || glance_find(glance, SPAN("of alice"), 0) == alice);
    glance_forget(glance, NULL, NULL);
    EXPECT_NULL(glance_find(glance, SPAN("of alice"), 0));
    EXPECT_EQ(atomic_load(&alice->reference_count), 1);
    EXPECT_EQ(atomic_load(&bob->reference_count), 1);
    identity_unref(alice);
    identity_unref(bob);
    glance_destroy(glance);
}

TEST(what_is_longer_than_a_row_is_not_kept) {
    static uint8_t text[GLANCE_TEXT_BYTES_MAX + 1];
    struct glance *glance = glance_create();
    struct identity *alice = somebody("alice");
    memset(text, 'a', sizeof(text));
    glance_put(glance, span_of(text, sizeof(text)), alice, UINT64_MAX);
    EXPECT_NULL(glance_find(glance, span_of(text, sizeof(text)), 0));
    glance_put(glance, span_of(text, sizeof(text) - 1), alice, UINT64_MAX);
    EXPECT_TRUE(glance_find(glance, span_of(text, sizeof(text) - 1), 0) == alice);
    identity_unref(alice);
    glance_destroy(glance);
}

UNIT_TESTS(UNIT(a_text_is_known_until_its_end_and_no_longer), UNIT(no_other_text_is_taken_for_it),
           UNIT(who_is_to_be_forgotten_is_forgotten_and_no_other),
           UNIT(what_is_longer_than_a_row_is_not_kept))

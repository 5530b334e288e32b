/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/revocations.h"

#include <stdio.h>

#include "tests/unit.h"

#define ISSUED_S 1000
#define NOW_S 2000

/* A token of alice, unless a test says otherwise; on the stack: it is only looked at. */
static struct identity token(struct span subject, struct span tenant, struct span token_id) {
    struct identity identity = {.facts = {.kind = IDENTITY_TOKEN,
                                          .subject = subject,
                                          .tenant = tenant,
                                          .token_id = token_id,
                                          .issued_s = ISSUED_S}};
    return identity;
}

static struct revocation revoke(enum revocation_kind kind, struct span value, struct span tenant) {
    struct revocation revocation = {
        .kind = kind, .value = value, .tenant = tenant, .revoked_s = ISSUED_S, .until_s = 9000};
    return revocation;
}

/* What the set says and what the one entry says are the same. */
static bool is_revoked_by(const struct revocation *revocation, const struct identity *identity) {
    struct revocations *set = revocations_create();
    EXPECT_NOT_NULL(set);
    EXPECT_FALSE(revocations_have(set, identity, NOW_S));
    EXPECT_EQ(revocations_put(set, revocation), OK);
    bool is_revoked = revocations_have(set, identity, NOW_S);
    EXPECT_EQ(revocation_is_of(revocation, identity, NOW_S), is_revoked);
    revocations_destroy(set);
    return is_revoked;
}

TEST(a_token_is_revoked_by_its_id_whenever_it_was_issued) {
    struct revocation one = revoke(REVOCATION_TOKEN, SPAN("t-1"), SPAN(""));
    struct identity its = token(SPAN("alice"), SPAN(""), SPAN("t-1"));
    struct identity other = token(SPAN("alice"), SPAN(""), SPAN("t-2"));
    struct identity without = token(SPAN("alice"), SPAN(""), SPAN(""));
    EXPECT_TRUE(is_revoked_by(&one, &its));
    EXPECT_FALSE(is_revoked_by(&one, &other));
    EXPECT_FALSE(is_revoked_by(&one, &without));
    its.facts.issued_s = ISSUED_S + 1;
    EXPECT_TRUE(is_revoked_by(&one, &its));
}

TEST(a_token_id_without_a_tenant_is_of_any_and_with_one_of_that) {
    struct identity its = token(SPAN("alice"), SPAN("acme"), SPAN("t-1"));
    struct revocation any = revoke(REVOCATION_TOKEN, SPAN("t-1"), SPAN(""));
    struct revocation acme = revoke(REVOCATION_TOKEN, SPAN("t-1"), SPAN("acme"));
    struct revocation bolt = revoke(REVOCATION_TOKEN, SPAN("t-1"), SPAN("bolt"));
    EXPECT_TRUE(is_revoked_by(&any, &its));
    EXPECT_TRUE(is_revoked_by(&acme, &its));
    EXPECT_FALSE(is_revoked_by(&bolt, &its));
}

TEST(a_subject_is_revoked_in_its_own_tenant_alone) {
    struct identity none = token(SPAN("alice"), SPAN(""), SPAN(""));
    struct identity acme = token(SPAN("alice"), SPAN("acme"), SPAN(""));
    struct revocation of_none = revoke(REVOCATION_SUBJECT, SPAN("alice"), SPAN(""));
    struct revocation of_acme = revoke(REVOCATION_SUBJECT, SPAN("alice"), SPAN("acme"));
    EXPECT_TRUE(is_revoked_by(&of_none, &none));
    EXPECT_FALSE(is_revoked_by(&of_none, &acme));
    EXPECT_TRUE(is_revoked_by(&of_acme, &acme));
    EXPECT_FALSE(is_revoked_by(&of_acme, &none));
}

TEST(a_tenant_is_revoked_with_all_its_subjects) {
    struct revocation acme = revoke(REVOCATION_TENANT, SPAN("acme"), SPAN("ignored"));
    struct identity alice = token(SPAN("alice"), SPAN("acme"), SPAN(""));
    struct identity nobody = token(SPAN(""), SPAN("acme"), SPAN(""));
    struct identity other = token(SPAN("alice"), SPAN("bolt"), SPAN(""));
    EXPECT_TRUE(is_revoked_by(&acme, &alice));
    EXPECT_TRUE(is_revoked_by(&acme, &nobody));
    EXPECT_FALSE(is_revoked_by(&acme, &other));
}

TEST(what_was_issued_after_a_subject_was_revoked_is_good) {
    struct revocation alice = revoke(REVOCATION_SUBJECT, SPAN("alice"), SPAN(""));
    struct identity its = token(SPAN("alice"), SPAN(""), SPAN(""));
    EXPECT_TRUE(is_revoked_by(&alice, &its));
    its.facts.issued_s = ISSUED_S + 1;
    EXPECT_FALSE(is_revoked_by(&alice, &its));
    its.facts.issued_s = 0;
    EXPECT_TRUE(is_revoked_by(&alice, &its)); /* it does not say when */
}

TEST(what_is_issued_in_the_future_was_issued_before_until_then) {
    struct revocations *set = revocations_create();
    struct revocation alice = revoke(REVOCATION_SUBJECT, SPAN("alice"), SPAN(""));
    struct identity its = token(SPAN("alice"), SPAN(""), SPAN(""));
    EXPECT_EQ(revocations_put(set, &alice), OK);
    for (uint64_t ahead_s = 1; ahead_s <= TOKEN_LEEWAY_S; ahead_s++) {
        its.facts.issued_s = ISSUED_S + ahead_s;
        EXPECT_TRUE(revocations_have(set, &its, ISSUED_S));
        EXPECT_TRUE(revocation_is_of(&alice, &its, ISSUED_S + ahead_s - 1));
        EXPECT_FALSE(revocations_have(set, &its, ISSUED_S + ahead_s));
        EXPECT_FALSE(revocation_is_of(&alice, &its, ISSUED_S + ahead_s));
    }
    its.facts.issued_s = ISSUED_S + TOKEN_LEEWAY_S + 1; /* no clock is that far ahead */
    EXPECT_FALSE(revocations_have(set, &its, ISSUED_S + 1));
    revocations_destroy(set);
}

TEST(keys_and_certificates_are_never_revoked_and_what_the_application_said_is) {
    struct revocation alice = revoke(REVOCATION_SUBJECT, SPAN("alice"), SPAN(""));
    struct identity its = token(SPAN("alice"), SPAN(""), SPAN(""));
    for (int kind = 0; kind < IDENTITY_KIND_COUNT; kind++) {
        its.facts.kind = (enum identity_kind)kind;
        EXPECT_EQ(is_revoked_by(&alice, &its),
                  kind == IDENTITY_TOKEN || kind == IDENTITY_APPLICATION);
    }
    EXPECT_FALSE(revocation_is_of(&alice, NULL, NOW_S));
}

TEST(a_later_one_takes_the_place_of_the_first) {
    struct revocations *set = revocations_create();
    struct revocation alice = revoke(REVOCATION_SUBJECT, SPAN("alice"), SPAN(""));
    struct identity later = token(SPAN("alice"), SPAN(""), SPAN(""));
    struct revocation found;
    later.facts.issued_s = ISSUED_S + 5;
    EXPECT_EQ(revocations_put(set, &alice), OK);
    EXPECT_FALSE(revocations_have(set, &later, NOW_S));
    alice.revoked_s = ISSUED_S + 5;
    alice.until_s = 9005;
    EXPECT_EQ(revocations_put(set, &alice), OK);
    EXPECT_EQ(revocations_count(set), 1);
    EXPECT_TRUE(revocations_have(set, &later, NOW_S));
    EXPECT_TRUE(revocations_find(set, &alice, &found));
    EXPECT_SPAN(found.value, "alice");
    EXPECT_EQ(found.revoked_s, ISSUED_S + 5);
    EXPECT_EQ(found.until_s, 9005);
    revocations_destroy(set);
}

TEST(entries_end_by_themselves_the_first_first) {
    struct revocations *set = revocations_create();
    struct revocation alice = revoke(REVOCATION_SUBJECT, SPAN("alice"), SPAN(""));
    struct revocation bob = revoke(REVOCATION_SUBJECT, SPAN("bob"), SPAN(""));
    struct revocation first;
    alice.until_s = 3000;
    bob.until_s = 2000;
    EXPECT_FALSE(revocations_first(set, &first));
    EXPECT_EQ(revocations_put(set, &alice), OK);
    EXPECT_EQ(revocations_put(set, &bob), OK);
    EXPECT_TRUE(revocations_first(set, &first));
    EXPECT_SPAN(first.value, "bob");
    revocations_expire(set, 1999);
    EXPECT_EQ(revocations_count(set), 2);
    revocations_expire(set, 2000);
    EXPECT_EQ(revocations_count(set), 1);
    EXPECT_FALSE(revocations_find(set, &bob, &first));
    EXPECT_TRUE(revocations_find(set, &alice, &first));
    revocations_expire(set, UINT64_MAX);
    EXPECT_EQ(revocations_count(set), 0);
    revocations_destroy(set);
}

TEST(what_is_lifted_is_good_again) {
    struct revocations *set = revocations_create();
    struct revocation alice = revoke(REVOCATION_SUBJECT, SPAN("alice"), SPAN("acme"));
    struct identity its = token(SPAN("alice"), SPAN("acme"), SPAN(""));
    EXPECT_FALSE(revocations_lift(set, &alice));
    EXPECT_EQ(revocations_put(set, &alice), OK);
    EXPECT_TRUE(revocations_have(set, &its, NOW_S));
    EXPECT_TRUE(revocations_lift(set, &alice));
    EXPECT_FALSE(revocations_have(set, &its, NOW_S));
    revocations_destroy(set);
}

TEST(the_set_has_a_bound_and_what_is_in_it_can_still_be_renewed) {
    struct revocations *set = revocations_create();
    char text[16];
    struct revocation it = {0};
    for (int i = 0; i < REVOCATIONS_MAX; i++) {
        int length = snprintf(text, sizeof(text), "t%d", i);
        it = revoke(REVOCATION_TOKEN, span_of(text, (size_t)length), SPAN(""));
        EXPECT_EQ(revocations_put(set, &it), OK);
    }
    EXPECT_EQ(revocations_put(set, &it), OK);
    it.value = SPAN("one more");
    EXPECT_EQ(revocations_put(set, &it), ERR_FULL);
    revocations_destroy(set);
    revocations_destroy(NULL);
}

TEST(an_entry_that_was_made_before_is_put_and_taken_out_and_put_again) {
    struct revocations *set = revocations_create();
    struct revocation alice = revoke(REVOCATION_SUBJECT, SPAN("alice"), SPAN("acme"));
    struct identity its = token(SPAN("alice"), SPAN("acme"), SPAN(""));
    struct revocation_entry *entry = revocation_entry_create(&alice);
    EXPECT_NULL(revocations_take(set, &alice));
    EXPECT_SPAN(revocation_entry_describe(entry).tenant, "acme");
    revocations_put_entry(set, entry);
    EXPECT_TRUE(revocations_have(set, &its, NOW_S));
    EXPECT_TRUE(revocations_take(set, &alice) == entry);
    EXPECT_FALSE(revocations_have(set, &its, NOW_S));
    EXPECT_EQ(revocation_entry_describe(entry).until_s, alice.until_s);
    EXPECT_EQ(revocation_entry_describe(entry).revoked_s, alice.revoked_s);
    revocations_put_entry(set, entry);
    revocations_put_entry(set, revocation_entry_create(&alice)); /* in the place of the first */
    EXPECT_EQ(revocations_count(set), 1);
    revocations_destroy(set);
    revocation_entry_destroy(revocation_entry_create(&alice));
    revocation_entry_destroy(NULL);
}

static void count_values(void *context, const struct revocation *revocation) {
    *(size_t *)context += revocation->value.length;
}

TEST(each_is_told) {
    struct revocations *set = revocations_create();
    struct revocation alice = revoke(REVOCATION_SUBJECT, SPAN("alice"), SPAN(""));
    struct revocation acme = revoke(REVOCATION_TENANT, SPAN("acme"), SPAN(""));
    size_t bytes = 0;
    EXPECT_EQ(revocations_put(set, &alice), OK);
    EXPECT_EQ(revocations_put(set, &acme), OK);
    revocations_each(set, count_values, &bytes);
    EXPECT_EQ(bytes, 9);
    revocations_destroy(set);
}

TEST(a_key_is_read_back_and_damaged_ones_are_refused) {
    uint8_t key[REVOCATION_KEY_BYTES_MAX];
    struct revocation alice = revoke(REVOCATION_SUBJECT, SPAN("alice"), SPAN("acme"));
    struct revocation back;
    size_t length = revocation_put_key(&alice, key);
    EXPECT_TRUE(revocation_parse_key(span_of(key, length), &back));
    EXPECT_EQ(back.kind, REVOCATION_SUBJECT);
    EXPECT_SPAN(back.value, "alice");
    EXPECT_SPAN(back.tenant, "acme");
    EXPECT_FALSE(revocation_parse_key(span_of(key, 1), &back));
    EXPECT_FALSE(revocation_parse_key(span_of(key, 5), &back));
    key[0] = REVOCATION_COUNT;
    EXPECT_FALSE(revocation_parse_key(span_of(key, length), &back));
    key[0] = REVOCATION_TENANT;
    key[1] = 0;
    EXPECT_FALSE(revocation_parse_key(span_of(key, REVOCATION_KEY_BYTES_MAX), &back));
}

UNIT_TESTS(UNIT(a_token_is_revoked_by_its_id_whenever_it_was_issued),
           UNIT(a_token_id_without_a_tenant_is_of_any_and_with_one_of_that),
           UNIT(a_subject_is_revoked_in_its_own_tenant_alone),
           UNIT(a_tenant_is_revoked_with_all_its_subjects),
           UNIT(what_was_issued_after_a_subject_was_revoked_is_good),
           UNIT(what_is_issued_in_the_future_was_issued_before_until_then),
           UNIT(keys_and_certificates_are_never_revoked_and_what_the_application_said_is),
           UNIT(a_later_one_takes_the_place_of_the_first),
           UNIT(entries_end_by_themselves_the_first_first), UNIT(what_is_lifted_is_good_again),
           UNIT(the_set_has_a_bound_and_what_is_in_it_can_still_be_renewed),
           UNIT(an_entry_that_was_made_before_is_put_and_taken_out_and_put_again),
           UNIT(each_is_told), UNIT(a_key_is_read_back_and_damaged_ones_are_refused))

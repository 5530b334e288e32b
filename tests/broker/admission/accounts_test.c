/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/accounts.h"

#include <stdio.h>

#include "tests/unit.h"

static struct accounts *create(void) {
    const struct quota quota = {.connections = 3,
                                .publish_rate = 10,
                                .publish_bytes = UINT64_MAX,
                                .channels = UINT64_MAX,
                                .stored_bytes = UINT64_MAX};
    struct accounts *accounts = NULL;
    EXPECT_EQ(accounts_create(&quota, &accounts), OK);
    return accounts;
}

static struct identity *enroll(struct accounts *accounts, enum identity_kind kind,
                               const char *subject, const char *tenant) {
    const struct identity_facts facts = {
        .kind = kind, .subject = span_of_string(subject), .tenant = span_of_string(tenant)};
    struct identity *identity = identity_create(&facts, NULL, NULL);
    EXPECT_NOT_NULL(identity);
    EXPECT_EQ(accounts_enroll(accounts, identity), OK);
    return identity;
}

TEST(identities_of_one_subject_share_its_account) {
    struct accounts *accounts = create();
    struct identity *one = enroll(accounts, IDENTITY_TOKEN, "alice", "acme");
    struct identity *same = enroll(accounts, IDENTITY_TOKEN, "alice", "acme");
    struct identity *other = enroll(accounts, IDENTITY_TOKEN, "bob", "acme");
    struct identity *abroad = enroll(accounts, IDENTITY_TOKEN, "alice", "other");
    struct identity *key = enroll(accounts, IDENTITY_KEY, "alice", "acme");
    EXPECT_TRUE(one->account == same->account);
    EXPECT_TRUE(one->account != other->account);
    EXPECT_TRUE(one->account != abroad->account);
    EXPECT_TRUE(one->account != key->account);
    EXPECT_TRUE(one->tenant_account == key->tenant_account);
    EXPECT_TRUE(one->tenant_account != abroad->tenant_account);
    EXPECT_EQ(atomic_load(&one->account->quota.connections), 3);
    EXPECT_EQ(atomic_load(&one->tenant_account->quota.connections), UINT64_MAX);
    struct identity *all[] = {one, same, other, abroad, key};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        identity_unref(all[i]);
    }
    accounts_destroy(accounts);
}

TEST(who_is_nobody_has_no_account) {
    struct accounts *accounts = create();
    struct identity *anonymous = enroll(accounts, IDENTITY_ANONYMOUS, "", "");
    EXPECT_NULL(anonymous->account);
    EXPECT_NULL(anonymous->tenant_account);
    EXPECT_EQ(accounts_count(accounts), 0);
    identity_unref(anonymous);
    accounts_destroy(accounts);
}

TEST(an_account_that_was_left_is_found_again_as_it_was) {
    struct accounts *accounts = create();
    struct identity *identity = enroll(accounts, IDENTITY_TOKEN, "alice", "");
    atomic_store(&identity->account->usage.refused, 7);
    identity_unref(identity);
    EXPECT_EQ(accounts_count(accounts), 1);
    identity = enroll(accounts, IDENTITY_TOKEN, "alice", "");
    EXPECT_EQ(atomic_load(&identity->account->usage.refused), 7);
    identity_unref(identity);
    accounts_destroy(accounts);
}

static void enroll_issued(struct accounts *accounts, const char *tenant, uint64_t issued_s) {
    const struct identity_facts facts = {.kind = IDENTITY_TOKEN,
                                         .subject = SPAN("alice"),
                                         .tenant = span_of_string(tenant),
                                         .issued_s = issued_s};
    struct identity *identity = identity_create(&facts, NULL, NULL);
    EXPECT_EQ(accounts_enroll(accounts, identity), OK);
    identity_unref(identity);
}

TEST(the_latest_issue_of_each_tenant_is_known) {
    struct accounts *accounts = create();
    EXPECT_EQ(accounts_latest_issue_s(accounts, SPAN("")), 0);
    EXPECT_EQ(accounts_latest_issue_s(accounts, SPAN("acme")), 0);
    enroll_issued(accounts, "", 7);
    enroll_issued(accounts, "acme", 9);
    enroll_issued(accounts, "acme", 8);
    EXPECT_EQ(accounts_latest_issue_s(accounts, SPAN("")), 7);
    EXPECT_EQ(accounts_latest_issue_s(accounts, SPAN("acme")), 9);
    EXPECT_EQ(accounts_latest_issue_s(accounts, SPAN("other")), 0);
    accounts_destroy(accounts);
}

TEST(accounts_that_nobody_holds_are_bounded_and_the_oldest_go) {
    struct accounts *accounts = create();
    struct identity *held = enroll(accounts, IDENTITY_TOKEN, "held", "");
    for (int i = 0; i < ACCOUNTS_IDLE_MAX + 10; i++) {
        char subject[16];
        snprintf(subject, sizeof(subject), "s%d", i);
        identity_unref(enroll(accounts, IDENTITY_TOKEN, subject, ""));
    }
    EXPECT_EQ(accounts_count(accounts), ACCOUNTS_IDLE_MAX + 1);
    EXPECT_EQ(atomic_load(&held->account->quota.connections), 3);
    identity_unref(held);
    accounts_destroy(accounts);
}

static void on_tenant(void *context, struct span tenant, struct quota *ret_quota) {
    EXPECT_TRUE(span_is_equal(tenant, SPAN("acme")));
    atomic_store(&ret_quota->connections, 5);
    (*(int *)context)++;
}

static void on_account(void *context, struct account *account) {
    EXPECT_TRUE(account->is_tenant);
    EXPECT_EQ(strcmp(account->name, "acme"), 0);
    (*(int *)context)++;
}

TEST(a_tenant_is_asked_for_once_and_stays) {
    struct accounts *accounts = create();
    int asked = 0;
    int walked = 0;
    struct account *account = NULL;
    accounts_set_on_tenant(accounts, on_tenant, &asked);
    struct identity *identity = enroll(accounts, IDENTITY_KEY, "backend", "acme");
    EXPECT_EQ(atomic_load(&identity->tenant_account->quota.connections), 5);
    EXPECT_EQ(accounts_find_tenant(accounts, SPAN("acme"), &account), OK);
    EXPECT_TRUE(account == identity->tenant_account);
    identity_unref(identity);
    EXPECT_EQ(accounts_find_tenant(accounts, SPAN("acme"), &account), OK);
    EXPECT_EQ(asked, 1);
    accounts_each_tenant(accounts, on_account, &walked);
    EXPECT_EQ(walked, 1);
    accounts_destroy(accounts);
}

TEST(connections_count_for_subject_and_tenant) {
    struct accounts *accounts = create();
    struct identity *identity = enroll(accounts, IDENTITY_KEY, "backend", "acme");
    struct account *full = NULL;
    EXPECT_TRUE(accounts_take_connection(identity, NULL, &full));
    EXPECT_TRUE(accounts_take_connection(identity, NULL, &full));
    EXPECT_TRUE(accounts_take_connection(NULL, NULL, &full));
    EXPECT_EQ(atomic_load(&identity->account->connections), 2);
    EXPECT_EQ(atomic_load(&identity->tenant_account->connections), 2);
    accounts_give_connection(identity);
    accounts_give_connection(identity);
    accounts_give_connection(NULL);
    EXPECT_EQ(atomic_load(&identity->account->connections), 0);
    identity_unref(identity);
    accounts_destroy(accounts);
}

TEST(a_connection_that_goes_on_with_another_token_is_not_two) {
    struct accounts *accounts = create();
    struct identity *before = enroll(accounts, IDENTITY_TOKEN, "alice", "acme");
    struct identity *after = enroll(accounts, IDENTITY_TOKEN, "alice", "acme");
    struct account *full = NULL;
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_TRUE(accounts_take_connection(before, NULL, &full));
    }
    EXPECT_TRUE(accounts_take_connection(after, before, &full));
    accounts_give_connection(before);
    EXPECT_EQ(atomic_load(&after->account->connections), 3);
    EXPECT_EQ(atomic_load(&after->account->usage.connections_peak), 3);
    EXPECT_EQ(atomic_load(&after->tenant_account->usage.connections_peak), 3);
    EXPECT_FALSE(accounts_take_connection(after, NULL, &full));
    EXPECT_TRUE(full == after->account);
    for (unsigned i = 0; i < 3; i++) {
        accounts_give_connection(after);
    }
    identity_unref(before);
    identity_unref(after);
    accounts_destroy(accounts);
}

UNIT_TESTS(UNIT(identities_of_one_subject_share_its_account), UNIT(who_is_nobody_has_no_account),
           UNIT(an_account_that_was_left_is_found_again_as_it_was),
           UNIT(the_latest_issue_of_each_tenant_is_known),
           UNIT(accounts_that_nobody_holds_are_bounded_and_the_oldest_go),
           UNIT(a_tenant_is_asked_for_once_and_stays),
           UNIT(connections_count_for_subject_and_tenant),
           UNIT(a_connection_that_goes_on_with_another_token_is_not_two))

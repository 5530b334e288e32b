/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/session_owner.h"

#include "broker/admission/identity.h"
#include "tests/unit.h"

static struct session_owner owner_of_kind(enum identity_kind kind, const char *subject,
                                          const char *tenant) {
    struct identity_facts facts = {
        .kind = kind, .subject = span_of_string(subject), .tenant = span_of_string(tenant)};
    struct identity *identity = identity_create(&facts, NULL, NULL);
    EXPECT_NOT_NULL(identity);
    struct session_owner owner = session_owner_of(identity);
    identity_unref(identity);
    return owner;
}

TEST(who_has_no_name_owns_nothing) {
    struct session_owner everyone = owner_of_kind(IDENTITY_EVERYONE, "", "");
    struct session_owner anonymous = owner_of_kind(IDENTITY_ANONYMOUS, "", "");
    struct session_owner none = session_owner_of(NULL);
    EXPECT_TRUE(session_owner_is_nobody(&everyone));
    EXPECT_TRUE(session_owner_is_nobody(&anonymous));
    EXPECT_TRUE(session_owner_is_nobody(&none));
}

TEST(what_is_nobodys_anyone_may_have_and_what_is_somebodys_only_they) {
    struct session_owner nobody = {0};
    struct session_owner alice = owner_of_kind(IDENTITY_TOKEN, "alice", "");
    struct session_owner bob = owner_of_kind(IDENTITY_TOKEN, "bob", "");
    EXPECT_FALSE(session_owner_is_nobody(&alice));
    EXPECT_TRUE(session_owner_admits(&nobody, &alice));
    EXPECT_TRUE(session_owner_admits(&nobody, &nobody));
    EXPECT_TRUE(session_owner_admits(&alice, &alice));
    EXPECT_FALSE(session_owner_admits(&alice, &bob));
    EXPECT_FALSE(session_owner_admits(&alice, &nobody));
}

TEST(one_name_of_two_kinds_or_tenants_is_two_owners) {
    struct session_owner token = owner_of_kind(IDENTITY_TOKEN, "alice", "");
    struct session_owner key = owner_of_kind(IDENTITY_KEY, "alice", "");
    struct session_owner acme = owner_of_kind(IDENTITY_TOKEN, "alice", "acme");
    EXPECT_FALSE(session_owner_admits(&token, &key));
    EXPECT_FALSE(session_owner_admits(&token, &acme));
}

UNIT_TESTS(UNIT(who_has_no_name_owns_nothing),
           UNIT(what_is_nobodys_anyone_may_have_and_what_is_somebodys_only_they),
           UNIT(one_name_of_two_kinds_or_tenants_is_two_owners))

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/identity.h"

#include <string.h>

#include "tests/unit.h"

static struct grants *grants_of(enum action action, const char *pattern) {
    struct grants *grants = grants_create();
    if (pattern != NULL) {
        EXPECT_EQ(grants_add(grants, action, span_of_string(pattern), NULL), OK);
    }
    return grants;
}

static struct identity *token_of(const char *own, const char *cap) {
    struct identity_facts facts = {.kind = IDENTITY_TOKEN,
                                   .subject = SPAN("alice"),
                                   .source = SPAN("auth.jwt[1]"),
                                   .line = 12};
    return identity_create(&facts, own == NULL ? NULL : grants_of(ACTION_PUBLISH, own),
                           cap == NULL ? NULL : grants_of(ACTION_PUBLISH, cap));
}

static bool may(const struct identity *identity, const char *text) {
    return identity_may(identity, ACTION_PUBLISH, span_of_string(text), NULL) == OK;
}

TEST(both_layers_must_allow) {
    struct identity *identity = token_of("chat/**", "*/7");
    EXPECT_TRUE(may(identity, "chat/7"));
    EXPECT_FALSE(may(identity, "chat/8"));
    EXPECT_FALSE(may(identity, "news/7"));
    EXPECT_FALSE(may(identity, "chat/**"));
    identity_unref(identity);
    identity = token_of("chat/**", NULL);
    EXPECT_TRUE(may(identity, "chat/8"));
    identity_unref(identity);
    identity = token_of(NULL, "chat/**");
    EXPECT_TRUE(may(identity, "chat/8"));
    EXPECT_FALSE(may(identity, "news/8"));
    identity_unref(identity);
}

TEST(everyone_may_do_everything) {
    struct identity *identity = identity_create_everyone();
    EXPECT_TRUE(may(identity, "a"));
    EXPECT_TRUE(may(identity, "**"));
    EXPECT_TRUE(may(identity, "$SYS/**"));
    EXPECT_TRUE(identity->is_operator);
    identity_unref(identity);
}

TEST(a_refusal_names_the_claim_or_the_row_with_its_line) {
    struct identity *identity = token_of("chat/*", "chat/**");
    struct error why = {0};
    EXPECT_EQ(identity_may(identity, ACTION_PUBLISH, SPAN("chat/7/x"), &why), ERR_FORBIDDEN);
    EXPECT_STRING(why.detail, "publish of `chat/7/x` is not allowed: claim tidings.publish has no "
                              "pattern that covers it");
    EXPECT_EQ(identity_may(identity, ACTION_PUBLISH, SPAN("news"), &why), ERR_FORBIDDEN);
    EXPECT_STRING(why.detail, "publish of `news` is not allowed: auth.jwt[1].publish (line 12) has "
                              "no pattern that covers it");
    EXPECT_EQ(identity_may(identity, ACTION_HISTORY, SPAN("news"), &why), ERR_FORBIDDEN);
    EXPECT_NOT_NULL(strstr(why.detail, "auth.jwt[1].history (line 12) allows nothing"));
    identity_unref(identity);
}

TEST(an_explanation_names_what_allows_too) {
    struct identity *identity = token_of(NULL, "chat/**");
    struct ruling ruling;
    identity_explain(identity, ACTION_PUBLISH, SPAN("chat/7"), &ruling);
    EXPECT_TRUE(ruling.is_allowed);
    EXPECT_STRING(ruling.rule, "auth.jwt[1].publish");
    EXPECT_STRING(ruling.reason,
                  "publish of `chat/7` is allowed by `chat/**` of auth.jwt[1].publish (line 12)");
    identity_unref(identity);
    identity = identity_create_everyone();
    identity_explain(identity, ACTION_DELETE, SPAN("a"), &ruling);
    EXPECT_TRUE(ruling.is_allowed);
    EXPECT_NOT_NULL(strstr(ruling.reason, "no credentials are configured"));
    identity_unref(identity);
}

TEST(long_channels_are_cut_at_whole_characters) {
    char name[301];
    for (size_t i = 0; i < 300; i += 2) {
        memcpy(name + i, "\xc3\xa9", 2);
    }
    name[299] = '\0';
    name[0] = 'a';
    name[1] = 'b';
    name[2] = 'c';
    memcpy(name + 3, "\xc3\xa9\xc3\xa9", 4);
    for (size_t i = 3; i + 1 < 299; i += 2) {
        memcpy(name + i, "\xc3\xa9", 2);
    }
    struct identity *identity = token_of("x", NULL);
    struct error why = {0};
    EXPECT_EQ(identity_may(identity, ACTION_PUBLISH, span_of_string(name), &why), ERR_FORBIDDEN);
    EXPECT_NULL(strstr(why.detail, "\xc3`"));
    EXPECT_NOT_NULL(strstr(why.detail, "claim tidings.publish"));
    identity_unref(identity);
}

TEST(labels_are_cut_and_safe_to_print) {
    char subject[300];
    memset(subject, 'x', sizeof(subject));
    memcpy(subject, "a\x1b[31m\n", 7);
    struct identity_facts facts = {.kind = IDENTITY_KEY, .subject = span_of(subject, 300)};
    struct identity *identity = identity_create(&facts, NULL, NULL);
    char label[IDENTITY_LABEL_BYTES];
    identity_format_label(identity, label);
    EXPECT_EQ(strlen(label), IDENTITY_LABEL_BYTES - 1);
    EXPECT_EQ(strncmp(label, "key a?[31m?x", 12), 0);
    identity_unref(identity);
    facts = (struct identity_facts){.kind = IDENTITY_ANONYMOUS};
    identity = identity_create(&facts, NULL, NULL);
    identity_format_label(identity, label);
    EXPECT_STRING(label, "anonymous");
    identity_unref(identity);
}

static void hash_of(const struct identity_facts *facts, uint8_t ret_hash[IDENTITY_HASH_BYTES]) {
    struct identity *identity = identity_create(facts, NULL, NULL);
    identity_hash(identity, ret_hash);
    identity_unref(identity);
}

TEST(a_hash_tells_kind_issuer_tenant_and_subject_apart) {
    static const struct identity_facts rows[] = {
        {.kind = IDENTITY_TOKEN, .subject = SPAN_ROW("ab")},
        {.kind = IDENTITY_KEY, .subject = SPAN_ROW("ab")},
        {.kind = IDENTITY_TOKEN, .subject = SPAN_ROW("b"), .issuer = SPAN_ROW("a")},
        {.kind = IDENTITY_TOKEN, .subject = SPAN_ROW("ab"), .tenant = SPAN_ROW("t")},
        {.kind = IDENTITY_TOKEN, .subject = SPAN_ROW("ab"), .issuer = SPAN_ROW("t")},
        {.kind = IDENTITY_ANONYMOUS},
    };
    uint8_t hashes[ARRAY_COUNT(rows)][IDENTITY_HASH_BYTES];
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        hash_of(&rows[i], hashes[i]);
        for (size_t j = 0; j < i; j++) {
            EXPECT_TRUE(memcmp(hashes[i], hashes[j], IDENTITY_HASH_BYTES) != 0);
        }
    }
    uint8_t hash[IDENTITY_HASH_BYTES];
    struct identity *everyone = identity_create_everyone();
    identity_hash(everyone, hash);
    EXPECT_EQ(memcmp(hash, hashes[5], sizeof(hash)), 0);
    identity_unref(everyone);
    struct identity_facts later = rows[0];
    later.token_id = SPAN("jti-2");
    later.expires_s = 5;
    hash_of(&later, hash);
    EXPECT_EQ(memcmp(hash, hashes[0], sizeof(hash)), 0);
}

TEST(facts_are_copied) {
    char subject[] = "alice";
    struct identity_facts facts = {.kind = IDENTITY_TOKEN, .subject = span_of_string(subject)};
    struct identity *identity = identity_create(&facts, NULL, NULL);
    subject[0] = 'x';
    EXPECT_SPAN(identity->facts.subject, "alice");
    EXPECT_TRUE(identity_ref(identity) == identity);
    identity_unref(identity);
    identity_unref(identity);
    identity_unref(NULL);
    EXPECT_NULL(identity_ref(NULL));
}

UNIT_TESTS(UNIT(both_layers_must_allow), UNIT(everyone_may_do_everything),
           UNIT(a_refusal_names_the_claim_or_the_row_with_its_line),
           UNIT(an_explanation_names_what_allows_too),
           UNIT(long_channels_are_cut_at_whole_characters), UNIT(labels_are_cut_and_safe_to_print),
           UNIT(a_hash_tells_kind_issuer_tenant_and_subject_apart), UNIT(facts_are_copied))

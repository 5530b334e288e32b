/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/consent_text.h"

#include "broker/limits.h"
#include "tests/unit.h"

static void expect_question(enum consent_kind kind, const struct identity *identity,
                            const struct credentials *credentials, struct span channel,
                            bool is_history, const char *expected) {
    struct buffer buffer;
    buffer_init(&buffer, CONSENT_BYTES_MAX);
    EXPECT_EQ(consent_put_question(&buffer, kind, identity, credentials, channel, is_history), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), expected);
    EXPECT_EQ(json_check(buffer_borrow(&buffer), NULL, NULL), OK);
    buffer_finish(&buffer);
}

static struct identity *alice(void) {
    struct identity_facts facts = {.kind = IDENTITY_TOKEN,
                                   .subject = SPAN("al\"ice"),
                                   .tenant = SPAN("acme"),
                                   .issuer = SPAN("https://id.example"),
                                   .token_id = SPAN("7")};
    return identity_create(&facts, NULL, NULL);
}

TEST(who_connects_is_told_with_credentials) {
    struct identity *identity = alice();
    const struct credentials credentials = {.bearer = SPAN("the.token.itself"),
                                            .peer = "192.0.2.1:40001",
                                            .protocol = "mqtt",
                                            .client_id = SPAN("phone")};
    expect_question(
        CONSENT_CONNECT, identity, &credentials, SPAN(""), false,
        "{\"action\":\"connect\",\"identity\":{\"kind\":\"token\",\"sub\":\"al\\\"ice\","
        "\"tenant\":\"acme\",\"issuer\":\"https://id.example\",\"jti\":\"7\"},"
        "\"peer\":\"192.0.2.1:40001\",\"protocol\":\"mqtt\",\"client_id\":\"phone\","
        "\"credentials\":{\"bearer\":\"the.token.itself\"}}");
    const struct credentials none = {.protocol = "http"};
    expect_question(CONSENT_CONNECT, NULL, &none, SPAN(""), false,
                    "{\"action\":\"connect\",\"identity\":null,\"protocol\":\"http\","
                    "\"credentials\":{}}");
    identity_unref(identity);
}

TEST(an_action_is_told_without_credentials) {
    struct identity *identity = alice();
    expect_question(CONSENT_SUBSCRIBE, identity, NULL, SPAN("chat/**"), true,
                    "{\"action\":\"subscribe\",\"identity\":{\"kind\":\"token\","
                    "\"sub\":\"al\\\"ice\",\"tenant\":\"acme\",\"issuer\":\"https://id.example\","
                    "\"jti\":\"7\"},\"channel\":\"chat/**\",\"history\":true}");
    identity_unref(identity);
}

TEST(an_answer_is_read) {
    struct consent_answer answer;
    EXPECT_EQ(consent_read_answer(SPAN("{\"allow\":true,\"sub\":\"bob\",\"tenant\":\"acme\","
                                       "\"expires_in\":60,\"cache\":0,\"new\":[],"
                                       "\"rights\":{\"publish\":[\"a\"]}}"),
                                  &answer, NULL),
              OK);
    EXPECT_TRUE(answer.is_allowed);
    EXPECT_SPAN(answer.subject, "bob");
    EXPECT_SPAN(answer.tenant, "acme");
    EXPECT_EQ(answer.expires_in_s, 60);
    EXPECT_TRUE(answer.has_cache);
    EXPECT_EQ(answer.cache_s, 0);
    EXPECT_NOT_NULL(answer.rights);
    consent_answer_finish(&answer);
    EXPECT_EQ(consent_read_answer(SPAN("{\"allow\":false,\"rights\":null}"), &answer, NULL), OK);
    EXPECT_FALSE(answer.is_allowed);
    EXPECT_FALSE(answer.has_cache);
    EXPECT_NULL(answer.rights);
    consent_answer_finish(&answer);
}

TEST(what_is_no_answer_is_refused) {
    static const struct {
        const char *text;
        const char *detail;
    } rows[] = {
        {"", "the answer is no JSON object"},
        {"{}", "`allow` of the answer is not true or false"},
        {"{\"allow\":1}", "`allow` of the answer is not true or false"},
        {"{\"allow\":true,\"allow\":true}", "the answer has the member `allow` twice"},
        {"{\"allow\":true,\"sub\":7}", "`sub`, `tenant` or `reason` of the answer is no text"},
        {"{\"allow\":true,\"sub\":\"\\u0001\"}", "`sub` of the answer: has a control character"},
        {"{\"allow\":true,\"tenant\":\"a/b\"}", "`tenant` of the answer is no name of a tenant"},
        {"{\"allow\":true,\"cache\":\"1\"}", "`cache` or `expires_in` is no number of seconds"},
        {"{\"allow\":true,\"rights\":{\"fly\":[]}}", "`rights`: `fly` is no right"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct consent_answer answer;
        struct error why = {0};
        EXPECT_EQ(consent_read_answer(span_of_string(rows[i].text), &answer, &why), ERR_BAD_JSON);
        EXPECT_STRING(why.detail, rows[i].detail);
    }
}

UNIT_TESTS(UNIT(who_connects_is_told_with_credentials), UNIT(an_action_is_told_without_credentials),
           UNIT(an_answer_is_read), UNIT(what_is_no_answer_is_refused))

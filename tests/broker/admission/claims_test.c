/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/claims.h"

#include <stdio.h>

#include "tests/unit.h"

#define NOW_S 1700000000

static enum error_code check(const char *text, const struct policy_issuer *row, struct error *why) {
    struct members claims;
    struct span issuer;
    EXPECT_EQ(members_read(span_of_string(text), "claims", &claims, NULL), OK);
    EXPECT_TRUE(members_take(&claims, "iss", &issuer));
    enum error_code code = claims_check(&claims, issuer, row, NOW_S, why);
    members_finish(&claims);
    return code;
}

static void expect_refused(const char *text, const struct policy_issuer *row,
                           enum error_code expected, const char *detail) {
    struct error why = {0};
    EXPECT_EQ(check(text, row, &why), expected);
    EXPECT_STRING(why.detail, detail);
}

TEST(times_have_a_minute_of_leeway_and_no_more) {
    const struct policy_issuer row = {0};
    EXPECT_EQ(check("{\"exp\":1700000001}", &row, NULL), OK);
    EXPECT_EQ(check("{\"exp\":1699999941}", &row, NULL), OK);
    EXPECT_EQ(check("{\"exp\":1699999941.9}", &row, NULL), OK);
    expect_refused("{\"exp\":1699999940}", &row, ERR_TOKEN_EXPIRED,
                   "claim exp: the token expired 60 s ago");
    EXPECT_EQ(check("{\"exp\":1800000000,\"nbf\":1700000060,\"iat\":1700000060}", &row, NULL), OK);
    expect_refused("{\"exp\":1800000000,\"nbf\":1700000061}", &row, ERR_UNAUTHORIZED,
                   "claim nbf: the token is good in 61 s only");
    expect_refused("{\"exp\":1800000000,\"iat\":1700000061}", &row, ERR_UNAUTHORIZED,
                   "claim iat: the token is good in 61 s only");
}

TEST(a_token_must_end) {
    const struct policy_issuer row = {0};
    expect_refused("{}", &row, ERR_UNAUTHORIZED, "claim exp: is missing; a token must end");
    const char *const wrong[] = {"{\"exp\":\"1800000000\"}",
                                 "{\"exp\":-1}",
                                 "{\"exp\":1e12}",
                                 "{\"exp\":null}",
                                 "{\"exp\":99999999999999999999}",
                                 "{\"exp\":1800000000000000}",
                                 "{\"exp\":1.5e9}"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        expect_refused(wrong[i], &row, ERR_UNAUTHORIZED,
                       "claim exp: is no time in seconds since 1970");
    }
}

TEST(the_issuer_must_be_the_rows) {
    const struct policy_issuer row = {.index = 3, .issuer = "https://id.example"};
    EXPECT_EQ(check("{\"iss\":\"https:\\/\\/id.example\",\"exp\":1800000000}", &row, NULL), OK);
    expect_refused("{\"iss\":\"https://id.example/\",\"exp\":1800000000}", &row, ERR_UNAUTHORIZED,
                   "claim iss: is not that of auth.jwt[3].issuer");
    expect_refused("{\"exp\":1800000000}", &row, ERR_UNAUTHORIZED,
                   "claim iss: is not that of auth.jwt[3].issuer");
}

TEST(the_audience_is_a_string_or_one_of_a_list) {
    const struct policy_issuer row = {.audience = "tidings"};
    EXPECT_EQ(check("{\"aud\":\"tidings\",\"exp\":1800000000}", &row, NULL), OK);
    EXPECT_EQ(check("{\"aud\":[\"other\",\"t\\u0069dings\"],\"exp\":1800000000}", &row, NULL), OK);
    const char *const wrong[] = {"{\"aud\":\"tidings2\",\"exp\":1800000000}",
                                 "{\"aud\":[],\"exp\":1800000000}",
                                 "{\"aud\":[[\"tidings\"]],\"exp\":1800000000}",
                                 "{\"aud\":{\"tidings\":\"tidings\"},\"exp\":1800000000}"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        expect_refused(wrong[i], &row, ERR_UNAUTHORIZED,
                       "claim aud: has not what auth.jwt[0].audience is");
    }
    expect_refused("{\"exp\":1800000000}", &row, ERR_UNAUTHORIZED,
                   "claim aud: is missing; auth.jwt[0].audience asks for it");
    const struct policy_issuer nobody = {0};
    expect_refused("{\"aud\":\"tidings\",\"exp\":1800000000}", &nobody, ERR_UNAUTHORIZED,
                   "claim aud: is for others, unless auth.jwt[0].audience is told");
}

static enum error_code read_facts(const char *text, const struct policy_issuer *row,
                                  char ret_texts[3][512], struct error *why) {
    struct members claims;
    struct identity_facts facts = {0};
    EXPECT_EQ(members_read(span_of_string(text), "claims", &claims, NULL), OK);
    enum error_code code = claims_read_facts(&claims, row, &facts, why);
    const struct span spans[] = {facts.subject, facts.tenant, facts.token_id};
    for (size_t i = 0; code == OK && i < 3; i++) {
        memcpy(ret_texts[i], spans[i].bytes == NULL ? (const void *)"" : spans[i].bytes,
               spans[i].length);
        ret_texts[i][spans[i].length] = '\0';
    }
    members_finish(&claims);
    return code;
}

TEST(the_tenant_is_the_rows_or_else_the_claims) {
    const struct policy_issuer free_row = {0};
    const struct policy_issuer row = {.tenant = "acme"};
    char texts[3][512];
    struct error why;
    EXPECT_EQ(read_facts("{\"sub\":\"alice\",\"tenant\":\"other\",\"jti\":\"7\"}", &free_row, texts,
                         NULL),
              OK);
    EXPECT_STRING(texts[0], "alice");
    EXPECT_STRING(texts[1], "other");
    EXPECT_STRING(texts[2], "7");
    EXPECT_EQ(read_facts("{}", &row, texts, NULL), OK);
    EXPECT_STRING(texts[1], "acme");
    EXPECT_EQ(read_facts("{\"tenant\":\"acme\"}", &row, texts, NULL), OK);
    EXPECT_EQ(read_facts("{\"tenant\":\"other\"}", &row, texts, &why), ERR_UNAUTHORIZED);
    EXPECT_STRING(why.detail, "claim tenant: is not that of auth.jwt[0].tenant");
    EXPECT_EQ(read_facts("{\"tenant\":\"a/b\"}", &free_row, texts, &why), ERR_UNAUTHORIZED);
    EXPECT_STRING(why.detail, "claim tenant: is no name of a tenant");
}

TEST(names_are_bounded_and_have_no_control_characters) {
    const struct policy_issuer row = {0};
    char texts[3][512];
    char text[512];
    struct error why;
    EXPECT_EQ(read_facts("{\"sub\":\"a\\u0000b\"}", &row, texts, &why), ERR_UNAUTHORIZED);
    EXPECT_STRING(why.detail, "claim sub: has a control character");
    EXPECT_EQ(read_facts("{\"jti\":1}", &row, texts, &why), ERR_UNAUTHORIZED);
    EXPECT_STRING(why.detail, "claim jti: is no string");
    snprintf(text, sizeof(text), "{\"sub\":\"%0257d\"}", 0);
    EXPECT_EQ(read_facts(text, &row, texts, &why), ERR_UNAUTHORIZED);
    EXPECT_STRING(why.detail, "claim sub: is longer than 256 bytes");
}

static void expect_no_rights(const char *text, const char *detail) {
    struct grants *grants = NULL;
    struct error why = {0};
    struct json_value value;
    EXPECT_EQ(json_parse(span_of_string(text), &value, NULL, NULL), OK);
    EXPECT_EQ(claims_read_rights(value, "claim tidings", &grants, &why), ERR_UNAUTHORIZED);
    EXPECT_STRING(why.detail, detail);
    EXPECT_NULL(grants);
}

TEST(a_fault_in_the_claim_of_rights_is_named) {
    expect_no_rights("[]", "claim tidings is no JSON object");
    expect_no_rights("{\"publsh\":[]}", "claim tidings: `publsh` is no right");
    expect_no_rights("{\"publish\":\"a\"}", "claim tidings.publish: is no list of patterns");
    expect_no_rights("{\"publish\":[1]}", "claim tidings.publish: a pattern is no string");
    expect_no_rights("{\"publish\":[],\"publish\":[]}",
                     "claim tidings has the member `publish` twice");
}

UNIT_TESTS(UNIT(times_have_a_minute_of_leeway_and_no_more), UNIT(a_token_must_end),
           UNIT(the_issuer_must_be_the_rows), UNIT(the_audience_is_a_string_or_one_of_a_list),
           UNIT(the_tenant_is_the_rows_or_else_the_claims),
           UNIT(names_are_bounded_and_have_no_control_characters),
           UNIT(a_fault_in_the_claim_of_rights_is_named))

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/revocations.h"

#include "tests/protocols/operator/asking.h"

/* POSTs a body; the caller destroys the request. */
static struct request *post(struct broker *broker, const char *body) {
    struct request *request = ask_with(broker, "POST", "/api/v1/revoke", "localhost:8081", body);
    EXPECT_EQ(api_body_bytes_max(request), REVOCATIONS_BODY_BYTES_MAX);
    return request;
}

static unsigned post_status(struct broker *broker, const char *body) {
    struct request *request = post(broker, body);
    unsigned status = request->reply.status;
    request_destroy(request);
    return status;
}

TEST(what_was_revoked_is_listed_in_order_of_kind_tenant_and_value) {
    struct broker *broker = fakes_create(NULL);
    expect_body(broker, "/api/v1/revoke", "{\"revocations\":[],\"next\":null}");
    EXPECT_EQ(post_status(broker, "{\"tenant\":\"acme\"}"), 200);
    EXPECT_EQ(post_status(broker, "{\"sub\":\"b\\u00e9\"}"), 200);
    EXPECT_EQ(post_status(broker, "{\"jti\":\"t\",\"tenant\":null}"), 200);
    expect_body(broker, "/api/v1/revoke",
                "{\"revocations\":[{\"jti\":\"t\",\"sub\":null,\"tenant\":null,\"revoked\":\"");
    expect_body(broker, "/api/v1/revoke", "{\"jti\":null,\"sub\":\"b\xc3\xa9\",\"tenant\":null,");
    expect_body(broker, "/api/v1/revoke", "{\"jti\":null,\"sub\":null,\"tenant\":\"acme\",");
    expect_body(broker, "/api/v1/revoke?limit=1", "\"next\":\"");
    fakes_destroy(broker);
}

TEST(what_cannot_be_kept_is_said) {
    struct broker *broker = fakes_create(NULL);
    EXPECT_EQ(post_status(broker, "{\"sub\":\"full\"}"), 503);
    fakes_destroy(broker);
}

TEST(bodies_that_mean_nothing_are_refused) {
    static const char *const bad[] = {"[]",
                                      "{}",
                                      "{\"sub\":7}",
                                      "{\"sub\":\"\"}",
                                      "{\"sub\":\"a\",\"jti\":\"b\"}",
                                      "{\"sub\":\"a\",\"else\":1}",
                                      "{\"tenant\":\"$\"}",
                                      "{\"sub\":\"a\",\"until\":0}",
                                      "{\"sub\":\"a\",\"expires_in\":1,\"expires_in\":1}"};
    struct broker *broker = fakes_create(NULL);
    EXPECT_EQ(post_status(broker, ""), 400);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(post_status(broker, bad[i]), 422);
    }
    fakes_destroy(broker);
}

TEST(one_is_lifted_by_what_it_was_given_with) {
    struct broker *broker = fakes_create(NULL);
    EXPECT_EQ(post_status(broker, "{\"sub\":\"a b\",\"tenant\":\"acme\"}"), 200);
    EXPECT_EQ(status_of(broker, "DELETE", "/api/v1/revoke?sub=a%20b"), 404);
    EXPECT_EQ(status_of(broker, "DELETE", "/api/v1/revoke?sub=a%20b&tenant=acme"), 204);
    EXPECT_EQ(status_of(broker, "DELETE", "/api/v1/revoke?sub=a%20b&tenant=acme"), 404);
    EXPECT_EQ(status_of(broker, "DELETE", "/api/v1/revoke"), 422);
    fakes_destroy(broker);
}

UNIT_TESTS(UNIT(what_was_revoked_is_listed_in_order_of_kind_tenant_and_value),
           UNIT(what_cannot_be_kept_is_said), UNIT(bodies_that_mean_nothing_are_refused),
           UNIT(one_is_lifted_by_what_it_was_given_with))

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/tenants.h"

#include "broker/admission/accounts.h"
#include "tests/protocols/operator/asking.h"

static struct account *add(struct broker *broker, const char *name) {
    struct account *account = NULL;
    EXPECT_EQ(accounts_find_tenant(broker->accounts, span_of_string(name), &account), OK);
    return account;
}

TEST(a_row_says_what_is_there_was_used_and_may_be) {
    struct broker *broker = fakes_create(NULL);
    struct account *acme = add(broker, "acme");
    atomic_store(&acme->channels, 1);
    atomic_store(&acme->stored_bytes, 2);
    atomic_store(&acme->usage.published_messages, 3);
    atomic_store(&acme->usage.delivered_bytes, 4);
    atomic_store(&acme->usage.since_ms, 1);
    atomic_store(&acme->quota.channels, 5);
    expect_body(broker, "/api/v1/tenants/acme",
                "{\"tenant\":\"acme\",\"connections\":0,\"connections_peak\":0,\"channels\":1,"
                "\"stored_bytes\":2,\"published_messages\":3,\"published_bytes\":0,"
                "\"delivered_messages\":0,\"delivered_bytes\":4,\"refused\":0,"
                "\"since\":\"1970-01-01T00:00:00.001Z\",\"quota\":{\"connections\":null,"
                "\"publish_rate\":null,\"publish_bytes\":null,\"channels\":5,"
                "\"stored_bytes\":null}}");
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/tenants/other"), 404);
    EXPECT_EQ(status_of(broker, "DELETE", "/api/v1/tenants/acme"), 405);
    fakes_destroy(broker);
}

TEST(pages_are_in_order_of_name_and_follow_each_other) {
    struct broker *broker = fakes_create(NULL);
    expect_body(broker, "/api/v1/tenants", "{\"tenants\":[],\"next\":null}");
    static const char *const names[] = {"d", "b", "a", "c"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        add(broker, names[i]);
    }
    expect_body(broker, "/api/v1/tenants?limit=1", "{\"tenants\":[{\"tenant\":\"a\",");
    expect_body(broker, "/api/v1/tenants?limit=1", "],\"next\":\"a\"}");
    expect_body(broker, "/api/v1/tenants?limit=2&after=a", "{\"tenants\":[{\"tenant\":\"b\",");
    expect_body(broker, "/api/v1/tenants?limit=2&after=a", "],\"next\":\"c\"}");
    expect_body(broker, "/api/v1/tenants?limit=2&after=c", "],\"next\":null}");
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/tenants?limit=0"), 400);
    fakes_destroy(broker);
}

UNIT_TESTS(UNIT(a_row_says_what_is_there_was_used_and_may_be),
           UNIT(pages_are_in_order_of_name_and_follow_each_other))

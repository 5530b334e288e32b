/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/connections.h"

#include "tests/protocols/operator/asking.h"

/* The fakes' connection 3 is behind by 40 messages, 2 by 30; in positions 2 is further. */
TEST(a_page_by_lag_is_sorted_by_messages) {
    struct broker *broker = fakes_create(NULL);
    expect_body(broker, "/api/v1/connections", "{\"connections\":[{\"id\":3,");
    expect_body(broker, "/api/v1/connections",
                "\"lag_messages\":40,\"lag_bytes\":1000,"
                "\"lag_exact\":true,\"lag_positions\":47,");
    expect_body(broker, "/api/v1/connections?sort=lag", "\"live\":true}]}],\"next\":null}");
    expect_body(broker, "/api/v1/connections?sort=age", "{\"connections\":[{\"id\":2,");
    fakes_destroy(broker);
}

TEST(a_page_ends_where_the_workers_order_ends) {
    struct broker *broker = fakes_create(NULL);
    expect_body(broker, "/api/v1/connections?limit=2", "],\"next\":\"47.3\"}");
    expect_body(broker, "/api/v1/connections?limit=1&after=50.9", "],\"next\":\"48.2\"}");
    fakes_destroy(broker);
}

TEST(a_query_that_means_nothing_is_refused) {
    static const char *const targets[] = {
        "/api/v1/connections?sort=name",   "/api/v1/connections?limit=1001",
        "/api/v1/connections?after=x",     "/api/v1/connections?channel=a/*",
        "/api/v1/connections?channel=%ff", "/api/v1/connections?limit=%zz",
    };
    struct broker *broker = fakes_create(NULL);
    for (size_t i = 0; i < ARRAY_COUNT(targets); i++) {
        EXPECT_EQ(status_of(broker, "GET", targets[i]), 400);
    }
    fakes_destroy(broker);
}

UNIT_TESTS(UNIT(a_page_by_lag_is_sorted_by_messages),
           UNIT(a_page_ends_where_the_workers_order_ends),
           UNIT(a_query_that_means_nothing_is_refused))

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/draining.h"

#include "tests/protocols/operator/asking.h"

TEST(a_drain_begins_and_ends) {
    struct broker *broker = fakes_create(NULL);
    atomic_store(&broker->connection_count, 7);
    expect_body(broker, "/api/v1/drain", "{\"draining\":false,\"connections\":7}");
    EXPECT_EQ(status_of(broker, "POST", "/api/v1/drain?over=10s"), 202);
    EXPECT_TRUE(atomic_load(&broker->is_draining));
    atomic_store(&broker->connection_count, 5);
    expect_body(broker, "/api/v1/drain",
                "{\"draining\":true,\"connections\":5,\"connections_at_begin\":7,");
    expect_body(broker, "/api/v1/drain", "\"over_ms\":10000}");
    EXPECT_EQ(status_of(broker, "DELETE", "/api/v1/drain"), 200);
    EXPECT_FALSE(atomic_load(&broker->is_draining));
    expect_body(broker, "/api/v1/drain", "{\"draining\":false,\"connections\":5}");
    fakes_destroy(broker);
}

TEST(another_time_may_be_given_while_it_drains) {
    struct broker *broker = fakes_create(NULL);
    atomic_store(&broker->connection_count, 7);
    EXPECT_EQ(status_of(broker, "POST", "/api/v1/drain"), 202);
    expect_body(broker, "/api/v1/drain", "\"over_ms\":30000}");
    atomic_store(&broker->connection_count, 3);
    EXPECT_EQ(status_of(broker, "POST", "/api/v1/drain?over=1h"), 202);
    expect_body(broker, "/api/v1/drain", "\"connections_at_begin\":7,");
    expect_body(broker, "/api/v1/drain", "\"over_ms\":3600000}");
    fakes_destroy(broker);
}

UNIT_TESTS(UNIT(a_drain_begins_and_ends), UNIT(another_time_may_be_given_while_it_drains))

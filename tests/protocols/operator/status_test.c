/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/status.h"

#include "tests/protocols/operator/asking.h"

TEST(a_broker_says_who_it_is) {
    struct config_address address = {.socket.ss_family = AF_INET};
    char data[] = "a \"b\"";
    struct broker *broker = fakes_create(&address);
    struct config config = *broker->config;
    config.data = data;
    broker->config = &config;
    broker->operator_port = 8081;
    broker->started_ms = 1769846709123;
    atomic_store(&broker->connection_count, 7);
    expect_body(broker, "/api/v1/status",
                "{\"version\":\"" TIDINGS_VERSION "\",\"started\":\"2026-01-");
    expect_body(broker, "/api/v1/status", "\"ready\":true,\"draining\":false,");
    expect_body(broker, "/api/v1/status",
                "\"operator\":\"0.0.0.0:8081\",\"mqtt\":\"off\",\"data\":\"a \\\"b\\\"\",");
    expect_body(broker, "/api/v1/status",
                "\"file\":null,\"workers\":2,\"connections\":7,\"position\":105}");
    fakes_destroy(broker);
}

TEST(a_broker_that_drains_is_not_ready) {
    struct broker *broker = fakes_create(NULL);
    atomic_store(&broker->is_draining, true);
    expect_body(broker, "/api/v1/status", "\"ready\":false,\"draining\":true,");
    fakes_destroy(broker);
}

UNIT_TESTS(UNIT(a_broker_says_who_it_is), UNIT(a_broker_that_drains_is_not_ready))

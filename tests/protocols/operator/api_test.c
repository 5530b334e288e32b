/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/api.h"

#include "tests/protocols/operator/asking.h"

TEST(what_is_below_api_is_the_administrations) {
    EXPECT_TRUE(api_has(SPAN("/api/v1/channels")));
    EXPECT_TRUE(api_has(SPAN("/api/")));
    EXPECT_FALSE(api_has(SPAN("/api")));
    EXPECT_FALSE(api_has(SPAN("/channels/api/")));
}

TEST(each_path_has_its_methods) {
    static const struct {
        const char *method;
        const char *path;
        unsigned status;
    } rows[] = {
        {"GET", "/api/v1/channels", 200},
        {"HEAD", "/api/v1/channels", 200},
        {"OPTIONS", "/api/v1/channels", 204},
        {"POST", "/api/v1/channels", 405},
        {"DELETE", "/api/v1/connections", 405},
        {"GET", "/api/v1/connections/1", 200},
        {"HEAD", "/api/v1/connections/1", 200},
        {"DELETE", "/api/v1/connections/1", 204},
        {"POST", "/api/v1/connections/1", 405},
        {"GET", "/api/v1/connections/2", 404},
        {"GET", "/api/v1/connections/0", 404},
        {"GET", "/api/v1/channels/a/1", 200},
        {"GET", "/api/v1/channels/b", 404},
        {"GET", "/api/v1/channels/a/*", 400},
        {"GET", "/api/v1/channels/%zz", 400},
        {"DELETE", "/api/v1/channels/a/1", 405},
        {"GET", "/api/v1", 200},
        {"GET", "/api/v1/status", 200},
        {"GET", "/api/v1/configuration", 200},
        {"GET", "/api/v1/configuration/check", 405},
        {"GET", "/api/v1/sinks", 200},
        {"PATCH", "/api/v1/sinks", 405},
        {"GET", "/api/v1/sinks/orders", 200},
        {"POST", "/api/v1/sinks/orders", 405},
        {"POST", "/api/v1/sinks/orders/pause", 200},
        {"GET", "/api/v1/sinks/orders/pause", 405},
        {"DELETE", "/api/v1/sinks/orders/pause", 405},
        {"GET", "/api/v1/sinks/orders/else", 404},
        {"GET", "/api/v1/sinks//pause", 404},
        {"GET", "/api/v1/sources", 200},
        {"GET", "/api/v1/drain", 200},
        {"POST", "/api/v1/drain?over=x", 400},
        {"POST", "/api/v1/drain?over=61m", 400},
        {"DELETE", "/api/v1/drain", 200},
        {"DELETE", "/api/v1/connections/2", 404},
        {"DELETE", "/api/v1/connections/", 404},
        {"DELETE", "/api/v1/connections/x", 404},
        {"GET", "/api/v1/", 404},
        {"GET", "/api/v2/channels", 404},
        {"GET", "/api/v1/channels/", 404},
    };
    struct broker *broker = fakes_create(NULL);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        EXPECT_EQ(status_of(broker, rows[i].method, rows[i].path), rows[i].status);
    }
    fakes_destroy(broker);
}

TEST(the_methods_of_a_path_are_those_of_its_rows) {
    struct broker *broker = fakes_create(NULL);
    struct request *request = ask(broker, "OPTIONS", "/api/v1/drain");
    struct span rest = buffer_borrow(&request->reply.headers);
    struct span name = {0};
    struct span value = {0};
    while (reply_next_header(&rest, &name, &value) && !span_is_equal(name, SPAN("Allow"))) {
    }
    EXPECT_SPAN(value, "GET, HEAD, POST, DELETE, OPTIONS");
    request_destroy(request);
    fakes_destroy(broker);
}

TEST(a_page_by_another_name_is_refused) {
    struct broker *broker = fakes_create(NULL);
    struct request *request = ask_as(broker, "DELETE", "/api/v1/connections/1", "evil.example");
    EXPECT_EQ(request->reply.status, 421);
    request_destroy(request);
    fakes_destroy(broker);
}

TEST(a_broker_that_goes_down_says_so) {
    struct broker *broker = fakes_create(NULL);
    atomic_store(&broker->is_stopping, true);
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/connections"), 503);
    EXPECT_EQ(status_of(broker, "GET", "/api/v1/channels"), 503);
    EXPECT_EQ(status_of(broker, "DELETE", "/api/v1/connections/1"), 503);
    EXPECT_EQ(status_of(broker, "POST", "/api/v1/drain"), 503);
    EXPECT_EQ(status_of(broker, "DELETE", "/api/v1/drain"), 503);
    fakes_destroy(broker);
}

UNIT_TESTS(UNIT(what_is_below_api_is_the_administrations), UNIT(each_path_has_its_methods),
           UNIT(the_methods_of_a_path_are_those_of_its_rows),
           UNIT(a_page_by_another_name_is_refused), UNIT(a_broker_that_goes_down_says_so))

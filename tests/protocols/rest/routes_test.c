/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/routes.h"

#include "tests/protocols/fakes.h"
#include "tests/unit.h"

/* Judges the head and, if it passes, answers; gives the status. */
TEST(what_is_not_in_the_table_is_404) {
    EXPECT_EQ(fakes_status_of("GET", "/nothing", NULL), 404);
    EXPECT_EQ(fakes_status_of("GET", "/channels", NULL), 404);
    EXPECT_EQ(fakes_status_of("GET", "/CHANNELS/a", NULL), 404);
    EXPECT_EQ(fakes_status_of("POST", "/nothing", NULL), 404);
    EXPECT_EQ(fakes_status_of("GET", "/demonstration", NULL), 404);
}

TEST(what_is_planned_is_501_and_says_so) {
    static const char *const paths[] = {"/presence", "/presence/a", "/groups/x", "/views", "/hub"};
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        EXPECT_EQ(fakes_status_of("GET", paths[i], NULL), 501);
    }
}

TEST(another_method_is_405_with_allow) {
    static const char *const methods[] = {"PUT", "PATCH", "get", "PROPFIND", "delete"};
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        struct request *request;
        EXPECT_EQ(fakes_ask(methods[i], "/channels/a", "Host: localhost", false, NULL, &request),
                  405);
        EXPECT_SPAN(fakes_reply_header(request, "Allow"), "GET, HEAD, POST, DELETE, OPTIONS");
        request_destroy(request);
    }
    EXPECT_EQ(fakes_status_of("POST", "/demo", NULL), 405);
}

TEST(options_come_from_the_table) {
    struct request *request;
    EXPECT_EQ(fakes_ask("OPTIONS", "/channels/a", "Host: localhost", false, NULL, &request), 204);
    EXPECT_SPAN(fakes_reply_header(request, "Allow"), "GET, HEAD, POST, DELETE, OPTIONS");
    request_destroy(request);
    EXPECT_EQ(fakes_ask("OPTIONS", "/demo", "Host: localhost", false, NULL, &request), 204);
    EXPECT_SPAN(fakes_reply_header(request, "Allow"), "GET, HEAD, OPTIONS");
    request_destroy(request);
    EXPECT_EQ(fakes_status_of("OPTIONS", "*", NULL), 204);
    EXPECT_EQ(fakes_status_of("OPTIONS", "/nothing", NULL), 404);
}

TEST(a_page_of_another_origin_gets_no_preflight) {
    struct request *request;
    EXPECT_EQ(fakes_ask("OPTIONS", "/channels/a",
                        "Host: localhost\nOrigin: https://evil.example\n"
                        "Access-Control-Request-Method: POST",
                        false, NULL, &request),
              403);
    EXPECT_EQ(fakes_reply_header(request, "Access-Control-Allow-Methods").length, 0);
    request_destroy(request);
}

TEST(a_host_that_is_not_served_is_421_on_both_ports) {
    struct request *request;
    EXPECT_EQ(fakes_ask("GET", "/demo", "Host: evil.example", false, NULL, &request), 421);
    request_destroy(request);
    EXPECT_EQ(fakes_ask("GET", "/channels/a", "Host: evil.example", true, NULL, &request), 421);
    request_destroy(request);
}

TEST(a_publish_needs_a_length_and_one_that_fits) {
    struct request *request;
    EXPECT_EQ(fakes_ask("POST", "/channels/a", "Host: localhost", false, NULL, &request), 411);
    request_destroy(request);
    EXPECT_EQ(fakes_ask("POST", "/channels/a", "Host: localhost\nContent-Length: 1048577", false,
                        NULL, &request),
              413);
    request_destroy(request);
    EXPECT_EQ(fakes_ask("POST", "/channels/a",
                        "Host: localhost\nContent-Length: 99999999999999999999", false, NULL,
                        &request),
              400);
    request_destroy(request);
    EXPECT_EQ(fakes_ask("GET", "/channels/a", "Host: localhost\nContent-Length: 1", false, NULL,
                        &request),
              413);
    request_destroy(request);
}

#define ROUTES(name) cmocka_unit_test_setup_teardown(name, fakes_begin, fakes_end)

UNIT_TESTS(ROUTES(what_is_not_in_the_table_is_404), ROUTES(what_is_planned_is_501_and_says_so),
           ROUTES(another_method_is_405_with_allow), ROUTES(options_come_from_the_table),
           ROUTES(a_page_of_another_origin_gets_no_preflight),
           ROUTES(a_host_that_is_not_served_is_421_on_both_ports),
           ROUTES(a_publish_needs_a_length_and_one_that_fits))

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/assets.h"

#include "protocols/rest/routes.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

static const struct static_asset rows[] = {
    {"/demo", "text/html", "\"1\"", {(const uint8_t *)"<p>", 3}},
    {"/demo/a.css", "text/css", NULL, {(const uint8_t *)"p{}", 3}},
    {"/", "text/html", "\"2\"", {(const uint8_t *)"<b>", 3}},
    {"/console/a.js", "text/javascript", NULL, {(const uint8_t *)"a()", 3}},
};
static const struct static_assets assets = {.rows = rows,
                                            .count = ARRAY_COUNT(rows),
                                            .content_security_policy = "default-src",
                                            .cache_control = "no-cache"};

/* Judges the head and, if it passes, answers; gives the status. */
TEST(the_demo_is_on_the_public_port_and_knows_its_tags) {
    struct request *request;
    EXPECT_EQ(fakes_ask("GET", "/demo", "Host: localhost", false, &assets, &request), 200);
    EXPECT_SPAN(reply_body(&request->reply), "<p>");
    EXPECT_SPAN(fakes_reply_header(request, "Content-Security-Policy"), "default-src");
    EXPECT_SPAN(fakes_reply_header(request, "X-Frame-Options"), "DENY");
    request_destroy(request);
    EXPECT_EQ(fakes_ask("GET", "/demo", "Host: localhost\nIf-None-Match: \"1\"", false, &assets,
                        &request),
              304);
    EXPECT_EQ(reply_body(&request->reply).length, 0);
    request_destroy(request);
    EXPECT_EQ(fakes_status_of("HEAD", "/demo/a.css", &assets), 200);
    EXPECT_EQ(fakes_status_of("GET", "/demo/none", &assets), 404);
    EXPECT_EQ(fakes_ask("GET", "/demo", "Host: localhost", true, &assets, &request), 404);
    request_destroy(request);
}

TEST(the_console_is_on_the_operators_port_alone) {
    struct request *request;
    EXPECT_EQ(fakes_ask("GET", "/", "Host: localhost", true, &assets, &request), 200);
    EXPECT_SPAN(reply_body(&request->reply), "<b>");
    EXPECT_SPAN(fakes_reply_header(request, "ETag"), "\"2\"");
    request_destroy(request);
    EXPECT_EQ(fakes_ask("GET", "/console/a.js", "Host: localhost", true, &assets, &request), 200);
    EXPECT_SPAN(fakes_reply_header(request, "Content-Type"), "text/javascript");
    request_destroy(request);
    EXPECT_EQ(fakes_ask("GET", "/console/none", "Host: localhost", true, &assets, &request), 404);
    request_destroy(request);
    EXPECT_EQ(fakes_ask("GET", "/", "Host: evil.example", true, &assets, &request), 421);
    request_destroy(request);
    EXPECT_EQ(fakes_status_of("GET", "/console/a.js", &assets), 404);
}

TEST(the_root_leads_to_the_demo) {
    struct request *request;
    EXPECT_EQ(fakes_ask("GET", "/", "Host: localhost", false, &assets, &request), 302);
    EXPECT_SPAN(fakes_reply_header(request, "Location"), "/demo");
    request_destroy(request);
    EXPECT_EQ(fakes_status_of("GET", "/demo/", &assets), 302);
}

TEST(without_files_there_is_nothing) {
    static const char *const paths[] = {"/", "/demo", "/demo/", "/demo/a.css"};
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        struct request *request = fakes_request("GET", paths[i], NULL, "Host: localhost");
        EXPECT_TRUE(routes_admit(request));
        routes_handle(request);
        EXPECT_EQ(request->reply.status, 404);
        request_destroy(request);
    }
}

#define ASSETS(name) cmocka_unit_test_setup_teardown(name, fakes_begin, fakes_end)

UNIT_TESTS(ASSETS(the_demo_is_on_the_public_port_and_knows_its_tags),
           ASSETS(the_console_is_on_the_operators_port_alone), ASSETS(the_root_leads_to_the_demo),
           ASSETS(without_files_there_is_nothing))

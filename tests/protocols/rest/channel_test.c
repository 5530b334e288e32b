/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/channel.h"

#include <stdio.h>

#include "protocols/rest/reading.h"
#include "protocols/rest/routes.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

static struct request *request;

static unsigned get(const char *path, const char *query, const char *headers) {
    char all[512];
    snprintf(all, sizeof(all), "Host: localhost%s%s", headers == NULL ? "" : "\n",
             headers == NULL ? "" : headers);
    request_destroy(request);
    request = fakes_request("GET", path, query, all);
    if (routes_admit(request)) {
        routes_handle(request);
        if (fakes.read != NULL) {
            fakes_answer_read(OK);
        }
    }
    return request->reply.status;
}

static int end(void **state) {
    request_destroy(request);
    request = NULL;
    return fakes_end(state);
}

TEST(a_name_is_the_decoded_rest_of_the_path) {
    EXPECT_EQ(get("/channels/a%20b/c", NULL, NULL), 200);
    EXPECT_SPAN(buffer_borrow(&request->channel), "a b/c");
    EXPECT_EQ(get("/channels/a%2Fb", NULL, NULL), 200);
    EXPECT_SPAN(buffer_borrow(&request->channel), "a/b");
}

TEST(a_name_against_the_rules_is_refused_and_named) {
    static const char *const paths[] = {"/channels/",    "/channels/a//b", "/channels//a",
                                        "/channels/a/",  "/channels/a%2",  "/channels/a%zz",
                                        "/channels/a+b", "/channels/%ff",  "/channels/a%00"};
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        EXPECT_EQ(get(paths[i], NULL, NULL), 400);
        EXPECT_NOT_NULL(
            memmem(request->reply.body.bytes, request->reply.body.length, "\"channel\"", 9));
    }
}

TEST(the_query_reaches_names_with_empty_segments) {
    EXPECT_EQ(get("/channels/", "channel=a%2F%2Fb", NULL), 200);
    EXPECT_SPAN(buffer_borrow(&request->channel), "a//b");
    EXPECT_EQ(get("/channels/", "channel=", NULL), 400);
    EXPECT_EQ(get("/channels/", "channel=a&channel=b", NULL), 400);
    EXPECT_EQ(get("/channels/", "channel=a%2F%2F*&channel=a%2F%2F*", NULL), 200);
}

TEST(a_channel_beside_the_path_is_refused) {
    EXPECT_EQ(get("/channels/a", "channel=b", NULL), 400);
    EXPECT_EQ(get("/channels/a", "channel=a", NULL), 400);
    EXPECT_EQ(get("/channels/a", "_=1", NULL), 200);
}

TEST(a_pattern_is_read_and_not_published_to) {
    EXPECT_EQ(get("/channels/a/*", NULL, NULL), 200);
    EXPECT_TRUE(request->reading->selectors[0].is_pattern);
    EXPECT_EQ(get("/channels/**", NULL, NULL), 200);
    EXPECT_EQ(get("/channels/a/**/b", NULL, NULL), 400);
    request_destroy(request);
    request = fakes_request("POST", "/channels/a/*", NULL, "Host: localhost\nContent-Length: 1");
    EXPECT_FALSE(routes_admit(request));
    EXPECT_EQ(request->reply.status, 400);
}

TEST(the_brokers_own_channels_take_no_publish) {
    request_destroy(request);
    request =
        fakes_request("POST", "/channels/$broker", NULL, "Host: localhost\nContent-Length: 1");
    EXPECT_FALSE(routes_admit(request));
    EXPECT_EQ(request->reply.status, 403);
}

TEST(one_of_several_channels_is_not_changed_in_silence) {
    static const char *const methods[] = {"POST", "DELETE"};
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        request_destroy(request);
        request = fakes_request(methods[i], "/channels/", "channel=a&channel=b",
                                "Host: localhost\nContent-Length: 0");
        EXPECT_FALSE(routes_admit(request));
        EXPECT_EQ(request->reply.status, 400);
    }
}

#define CHANNEL(name) cmocka_unit_test_setup_teardown(name, fakes_begin, end)

UNIT_TESTS(CHANNEL(a_name_is_the_decoded_rest_of_the_path),
           CHANNEL(a_name_against_the_rules_is_refused_and_named),
           CHANNEL(the_query_reaches_names_with_empty_segments),
           CHANNEL(a_channel_beside_the_path_is_refused),
           CHANNEL(a_pattern_is_read_and_not_published_to),
           CHANNEL(the_brokers_own_channels_take_no_publish),
           CHANNEL(one_of_several_channels_is_not_changed_in_silence))

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
}

TEST(a_pattern_is_for_a_later_version) {
    EXPECT_EQ(get("/channels/a/*", NULL, NULL), 501);
    EXPECT_EQ(get("/channels/**", NULL, NULL), 501);
}

TEST(accept_chooses_between_page_and_stream) {
    EXPECT_EQ(get("/channels/a", NULL, "Accept: text/event-stream"), 200);
    EXPECT_EQ(request->reply.kind, REPLY_EVENT_STREAM);
    EXPECT_SPAN(fakes_reply_header(request, "Content-Type"), "text/event-stream");
    EXPECT_EQ(get("/channels/a", NULL, "Accept: application/json"), 200);
    EXPECT_EQ(request->reply.kind, REPLY_WHOLE);
    EXPECT_EQ(get("/channels/a", NULL, "Accept: image/png"), 406);
}

TEST(where_no_stream_can_be_opened_one_is_406) {
    request_destroy(request);
    request =
        fakes_request("GET", "/channels/a", NULL, "Host: localhost\nAccept: text/event-stream");
    request->can_switch = false;
    EXPECT_FALSE(routes_admit(request));
    EXPECT_EQ(request->reply.status, 406);
}

TEST(a_bare_stream_that_begins_with_binary_is_406) {
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .payload_kind = PAYLOAD_BINARY,
                                    .channel = SPAN("a"),
                                    .payload = SPAN("x")};
    struct message *message = message_create(&fields);
    request_destroy(request);
    request = fakes_request("GET", "/channels/a", "envelope=none&since=0",
                            "Host: localhost\nAccept: text/event-stream");
    EXPECT_TRUE(routes_admit(request));
    routes_handle(request);
    EXPECT_EQ(fakes_replied(), 0);
    fakes.read->page = (struct storage_page){.messages = &message, .count = 1};
    fakes.read->on_read(fakes.read);
    fakes.read = NULL;
    EXPECT_EQ(request->reply.status, 406);
    message_unref(message);
    EXPECT_EQ(get("/channels/a", "envelope=none&since=0", "Accept: text/event-stream"), 200);
    EXPECT_EQ(request->reply.kind, REPLY_EVENT_STREAM);
}

TEST(an_upgrade_is_a_websocket_whatever_is_accepted) {
    request_destroy(request);
    request = fakes_request("GET", "/channels/a", "since=3",
                            "Host: localhost\nSec-WebSocket-Version: 13\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
    request->is_upgrade = true;
    EXPECT_TRUE(routes_admit(request));
    routes_handle(request);
    EXPECT_EQ(request->reply.kind, REPLY_WEBSOCKET);
    EXPECT_EQ(request->reply.status, 101);
    EXPECT_EQ(request->reading->query.place.offset, 3);
    EXPECT_SPAN(fakes_reply_header(request, "Sec-WebSocket-Accept"),
                "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(head_of_a_stream_is_its_head_alone) {
    request_destroy(request);
    request =
        fakes_request("HEAD", "/channels/a", NULL, "Host: localhost\nAccept: text/event-stream");
    EXPECT_TRUE(routes_admit(request));
    routes_handle(request);
    EXPECT_EQ(request->reply.kind, REPLY_WHOLE);
    EXPECT_TRUE(request->reply.has_no_length);
}

TEST(the_brokers_own_channels_take_no_publish) {
    request_destroy(request);
    request =
        fakes_request("POST", "/channels/$broker", NULL, "Host: localhost\nContent-Length: 1");
    EXPECT_FALSE(routes_admit(request));
    EXPECT_EQ(request->reply.status, 403);
}

#define CHANNEL(name) cmocka_unit_test_setup_teardown(name, fakes_begin, end)

UNIT_TESTS(CHANNEL(a_name_is_the_decoded_rest_of_the_path),
           CHANNEL(a_name_against_the_rules_is_refused_and_named),
           CHANNEL(the_query_reaches_names_with_empty_segments),
           CHANNEL(a_pattern_is_for_a_later_version),
           CHANNEL(accept_chooses_between_page_and_stream),
           CHANNEL(where_no_stream_can_be_opened_one_is_406),
           CHANNEL(a_bare_stream_that_begins_with_binary_is_406),
           CHANNEL(an_upgrade_is_a_websocket_whatever_is_accepted),
           CHANNEL(head_of_a_stream_is_its_head_alone),
           CHANNEL(the_brokers_own_channels_take_no_publish))

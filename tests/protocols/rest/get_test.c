/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/get.h"

#include <stdio.h>
#include <stdlib.h>

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
    fakes.read->page = (struct storage_page){.messages = malloc(sizeof(message)), .count = 1};
    fakes.read->page.messages[0] = message;
    fakes.read->on_read(fakes.read);
    fakes.read = NULL;
    EXPECT_EQ(request->reply.status, 406);
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

TEST(a_stream_reads_all_that_its_query_names) {
    EXPECT_EQ(get("/stream", "channel=a&channel=b%2F**&channel=a&channel=c%2F%2Fd", NULL), 200);
    EXPECT_EQ(request->reply.kind, REPLY_EVENT_STREAM);
    EXPECT_EQ(request->channel.length, 0);
    EXPECT_EQ(request->reading->selector_count, 3);
    EXPECT_SPAN(request->reading->selectors[0].text, "a");
    EXPECT_SPAN(request->reading->selectors[1].text, "b/**");
    EXPECT_TRUE(request->reading->selectors[1].is_pattern);
    EXPECT_SPAN(request->reading->selectors[2].text, "c//d");
    EXPECT_EQ(get("/stream", "channel=a", "Accept: application/json"), 200);
    EXPECT_EQ(request->reply.kind, REPLY_WHOLE);
}

TEST(a_stream_of_nothing_is_400_and_one_that_subscribes_later_is_not) {
    EXPECT_EQ(get("/stream", NULL, NULL), 400);
    EXPECT_EQ(get("/stream", "channel=", NULL), 400);
    EXPECT_EQ(get("/stream", "channel=a&since=3", NULL), 200);
    EXPECT_EQ(get("/stream", "channel=a&channel=b&since=3", NULL), 400);
    request_destroy(request);
    request = fakes_request("GET", "/stream", NULL,
                            "Host: localhost\nSec-WebSocket-Version: 13\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
    request->is_upgrade = true;
    EXPECT_TRUE(routes_admit(request));
    routes_handle(request);
    EXPECT_EQ(request->reply.kind, REPLY_WEBSOCKET);
    EXPECT_EQ(request->channel.length, 0);
    EXPECT_EQ(request->reading->selector_count, 0);
}

TEST(every_answer_says_what_it_varies_by) {
    EXPECT_EQ(get("/channels/a", NULL, NULL), 200);
    EXPECT_SPAN(fakes_reply_header(request, "Vary"), "Accept, Accept-Encoding, Authorization");
    EXPECT_EQ(get("/channels/a", NULL, "Accept: image/png"), 406);
    EXPECT_SPAN(fakes_reply_header(request, "Vary"), "Accept, Authorization");
    EXPECT_EQ(get("/channels/a", "since=x", NULL), 400);
    EXPECT_SPAN(fakes_reply_header(request, "Vary"), "Accept, Accept-Encoding, Authorization");
    EXPECT_EQ(get("/stream", "channel=a", NULL), 200);
    EXPECT_SPAN(fakes_reply_header(request, "Vary"), "Accept, Authorization");
}

#define GET(name) cmocka_unit_test_setup_teardown(name, fakes_begin, end)

UNIT_TESTS(GET(accept_chooses_between_page_and_stream),
           GET(where_no_stream_can_be_opened_one_is_406),
           GET(a_bare_stream_that_begins_with_binary_is_406),
           GET(an_upgrade_is_a_websocket_whatever_is_accepted),
           GET(head_of_a_stream_is_its_head_alone), GET(a_stream_reads_all_that_its_query_names),
           GET(a_stream_of_nothing_is_400_and_one_that_subscribes_later_is_not),
           GET(every_answer_says_what_it_varies_by))

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/page.h"

#include <stdio.h>

#include "broker/limits.h"
#include "protocols/rest/routes.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

static struct request *request;

static int end(void **state) {
    request_destroy(request);
    request = NULL;
    return fakes_end(state);
}

static void ask(const char *query, const char *headers) {
    request_destroy(request);
    request = fakes_request("GET", "/channels/a", query, headers);
    EXPECT_TRUE(routes_admit(request));
    routes_handle(request);
}

TEST(a_page_asks_for_a_bounded_read_of_its_channel) {
    ask("since=3&limit=7", "Host: localhost");
    EXPECT_SPAN(fakes.read->query.channel, "a");
    EXPECT_EQ(fakes.read->query.start, STORAGE_AFTER_OFFSET);
    EXPECT_EQ(fakes.read->query.limit, 7);
    EXPECT_EQ(fakes.read->query.bytes_max, PAGE_BYTES_MAX);
    fakes_answer_read(OK);
    EXPECT_EQ(request->reply.status, 200);
}

TEST(a_page_is_json_that_caches_keep_to_themselves) {
    ask(NULL, "Host: localhost");
    fakes_answer_read(OK);
    EXPECT_SPAN(fakes_reply_header(request, "Content-Type"), "application/json");
    EXPECT_SPAN(fakes_reply_header(request, "Cache-Control"), "private, no-cache");
    EXPECT_SPAN(fakes_reply_header(request, "Vary"), "Accept, Accept-Encoding, Authorization");
    EXPECT_TRUE(span_has_prefix(reply_body(&request->reply), SPAN("{\"messages\":[]")));
}

TEST(a_page_that_is_known_is_304_with_its_tag) {
    char headers[PAGE_TAG_BYTES + 64];
    ask(NULL, "Host: localhost");
    fakes_answer_read(OK);
    struct span tag = fakes_reply_header(request, "ETag");
    snprintf(headers, sizeof(headers), "Host: localhost\nIf-None-Match: \"x\", %.*s",
             SPAN_PRINTF(tag));
    ask(NULL, headers);
    fakes_answer_read(OK);
    EXPECT_EQ(request->reply.status, 304);
    EXPECT_EQ(reply_body(&request->reply).length, 0);
    EXPECT_TRUE(fakes_reply_header(request, "ETag").length > 0);
}

TEST(a_disk_that_fails_is_told_and_a_reader_that_left_is_not) {
    ask(NULL, "Host: localhost");
    fakes_answer_read(ERR_IO);
    EXPECT_EQ(request->reply.status, 500);
    ask(NULL, "Host: localhost");
    request_destroy(request);
    request = NULL;
    fakes_answer_read(OK);
    EXPECT_EQ(fakes_replied(), 1);
}

TEST(tags_are_compared_weakly_in_lists) {
    EXPECT_TRUE(page_tag_is_in(SPAN("\"a\""), SPAN("\"a\"")));
    EXPECT_TRUE(page_tag_is_in(SPAN("\"b\", W/\"a\""), SPAN("\"a\"")));
    EXPECT_TRUE(page_tag_is_in(SPAN("*"), SPAN("\"a\"")));
    EXPECT_FALSE(page_tag_is_in(SPAN("\"b\""), SPAN("\"a\"")));
    EXPECT_FALSE(page_tag_is_in(SPAN(""), SPAN("\"a\"")));
}

TEST(whatever_a_page_shows_changes_its_tag) {
    char tag[PAGE_TAG_BYTES], other[PAGE_TAG_BYTES];
    struct storage_page page = {.end = {.log_id = 1, .position = 9, .offset = 9}, .last = 9};
    page_format_tag(&page, tag);
    page.first = 2;
    page_format_tag(&page, other);
    EXPECT_TRUE(strcmp(tag, other) != 0);
    page.first = 0;
    page.end.position = 10;
    page_format_tag(&page, other);
    EXPECT_TRUE(strcmp(tag, other) != 0);
}

TEST(a_gap_and_the_way_back_are_in_the_page) {
    struct message_fields fields = {
        .kind = MESSAGE_DATA, .channel = SPAN("a"), .payload = SPAN("1")};
    struct message *message = message_create(&fields);
    struct place place = {
        .log_id = 1, .generation = 1, .position = 16, .channel_id = 1, .offset = 16};
    message_order(message, &place, 1700000000000);
    struct storage_page page = {.messages = &message,
                                .count = 1,
                                .at_head = true,
                                .has_gap = true,
                                .gap = {GAP_EXPIRED, 4, 15},
                                .first = 16,
                                .last = 16,
                                .start = place,
                                .end = place};
    struct storage_query query = {.channel = SPAN("a")};
    struct buffer buffer;
    buffer_init(&buffer, 4096);
    EXPECT_EQ(page_put(&buffer, &query, &page), OK);
    EXPECT_EQ(buffer_put(&buffer, SPAN("\0")), OK);
    const char *text = (const char *)buffer.bytes;
    EXPECT_NOT_NULL(strstr(text, "\"from\":4,\"to\":15,\"reason\":\"expired\""));
    EXPECT_NOT_NULL(strstr(text, "\"first\":16,\"last\":16"));
    EXPECT_NOT_NULL(strstr(text, "\"prev\":\"t1"));
    EXPECT_NOT_NULL(strstr(text, "\"next\":\"t1"));
    buffer_finish(&buffer);
    message_unref(message);
}

#define PAGE(name) cmocka_unit_test_setup_teardown(name, fakes_begin, end)

UNIT_TESTS(PAGE(a_page_asks_for_a_bounded_read_of_its_channel),
           PAGE(a_page_is_json_that_caches_keep_to_themselves),
           PAGE(a_page_that_is_known_is_304_with_its_tag),
           PAGE(a_disk_that_fails_is_told_and_a_reader_that_left_is_not),
           PAGE(tags_are_compared_weakly_in_lists), PAGE(whatever_a_page_shows_changes_its_tag),
           PAGE(a_gap_and_the_way_back_are_in_the_page))

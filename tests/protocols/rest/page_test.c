/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/page.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/support/clock.h"
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
    page_format_tag(&page, ENCODING_IDENTITY, tag);
    page.first = 2;
    page_format_tag(&page, ENCODING_IDENTITY, other);
    EXPECT_TRUE(strcmp(tag, other) != 0);
    page.first = 0;
    page.end.position = 10;
    page_format_tag(&page, ENCODING_IDENTITY, other);
    EXPECT_TRUE(strcmp(tag, other) != 0);
    page.end.position = 9;
    struct storage_gap gap = {.gap = {.reason = GAP_DELETED, .from = 1, .to = 2}};
    page.gaps = &gap;
    page.gap_count = 1;
    page_format_tag(&page, ENCODING_IDENTITY, other);
    EXPECT_TRUE(strcmp(tag, other) != 0);
    gap.gap.to = 3;
    page_format_tag(&page, ENCODING_IDENTITY, tag);
    EXPECT_TRUE(strcmp(tag, other) != 0);
}

TEST(each_coding_has_a_tag_of_its_own) {
    char tag[PAGE_TAG_BYTES];
    struct storage_page page = {.end = {.log_id = 1, .position = 9}};
    page_format_tag(&page, ENCODING_GZIP, tag);
    EXPECT_NOT_NULL(strstr(tag, "-gzip\""));
    EXPECT_EQ(tag[0], '"');
    page_format_tag(&page, ENCODING_IDENTITY, tag);
    EXPECT_TRUE(strstr(tag, "gzip") == NULL);
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

TEST(several_gaps_are_all_in_the_page) {
    struct storage_gap gaps[] = {
        {.gap = {GAP_EXPIRED, 1, 2}, .selector = SPAN("a"), .first = 3, .last = 4},
        {.gap = {GAP_EXPIRED, 0, 0}, .selector = SPAN("b/**"), .is_pattern = true}};
    struct storage_selector selectors[] = {{SPAN("a"), false}, {SPAN("b/**"), true}};
    struct storage_query query = {.selectors = selectors, .selector_count = 2};
    struct storage_page page = {.gaps = gaps, .gap_count = 2, .first = 7, .last = 9};
    struct buffer buffer;
    buffer_init(&buffer, 4096);
    page.end.log_id = page.start.log_id = gaps[0].resumed.log_id = gaps[1].resumed.log_id = 1;
    EXPECT_EQ(page_put(&buffer, &query, &page), OK);
    EXPECT_EQ(buffer_put(&buffer, SPAN("\0")), OK);
    const char *text = (const char *)buffer.bytes;
    EXPECT_NOT_NULL(strstr(text, "\"first\":null,\"last\":null,\"prev\""));
    EXPECT_NOT_NULL(strstr(text, "\"gap\":{\"channel\":\"a\",\"from\":1,\"to\":2"));
    EXPECT_NOT_NULL(strstr(text, "\"gaps\":[{\"channel\":\"a\""));
    EXPECT_NOT_NULL(strstr(text, "{\"pattern\":\"b/**\""));
    buffer_finish(&buffer);
}

/* --- waiting ---------------------------------------------------------------------------------- */

static struct message *message_of(size_t payload_bytes) {
    uint8_t *payload = malloc(payload_bytes);
    memset(payload, '1', payload_bytes);
    struct message_fields fields = {
        .kind = MESSAGE_DATA, .channel = SPAN("a"), .payload = span_of(payload, payload_bytes)};
    struct message *message = message_create(&fields);
    struct place place = {
        .log_id = 1, .generation = 1, .position = 7, .channel_id = 1, .offset = 7};
    EXPECT_NOT_NULL(message);
    message_order(message, &place, 1700000000000);
    free(payload);
    return message;
}

/* The next read finds one message. */
static void find_message(size_t payload_bytes) {
    fakes.page = (struct storage_page){
        .messages = malloc(sizeof(struct message *)), .count = 1, .at_head = true};
    fakes.page.messages[0] = message_of(payload_bytes);
    fakes.page.start.log_id = 1;
    fakes.page.end = fakes.page.messages[0]->place;
}

/* The next read finds nothing up to `position`. */
static void find_nothing(uint64_t position, bool at_head) {
    fakes.page = (struct storage_page){.at_head = at_head};
    fakes.page.start.log_id = 1;
    fakes.page.end = (struct place){.log_id = 1, .generation = 1, .position = position};
}

TEST(a_poll_waits_for_what_comes_and_reads_on_from_there) {
    uint64_t before_ms = clock_monotonic_ms();
    ask("since=3&wait=30s", "Host: localhost");
    find_nothing(5, true);
    fakes_answer_read(OK);
    uint64_t passed_ms = clock_monotonic_ms() - before_ms;
    EXPECT_EQ(fakes_replied(), 0);
    EXPECT_EQ(fakes.watch_options.place.position, 5);
    EXPECT_EQ(fakes.watch_options.selector_count, 1);
    EXPECT_SPAN(fakes.watch_options.selectors[0].text, "a");
    EXPECT_TRUE(fakes.watch_options.wait_ms + passed_ms >= 30000);
    EXPECT_TRUE(fakes.watch_options.wait_ms <= 30000);
    fakes_end_watch();
    EXPECT_EQ(fakes.read->query.start, STORAGE_AFTER_PLACE);
    EXPECT_EQ(fakes.read->query.place.position, 5);
    find_message(3);
    fakes_answer_read(OK);
    EXPECT_EQ(fakes_replied(), 1);
    EXPECT_EQ(request->reply.status, 200);
}

TEST(a_poll_that_has_something_to_say_says_it_at_once) {
    ask("since=3&wait=30s", "Host: localhost");
    find_message(3);
    fakes_answer_read(OK);
    EXPECT_EQ(fakes_replied(), 1);
    ask("since=3&wait=30s", "Host: localhost");
    find_nothing(5, true);
    fakes.page.has_gap = true;
    fakes_answer_read(OK);
    EXPECT_EQ(fakes_replied(), 2);
}

TEST(a_walk_that_is_not_over_goes_on_without_waiting) {
    ask("since=earliest", "Host: localhost");
    find_nothing(5, false);
    fakes_answer_read(OK);
    EXPECT_EQ(fakes_replied(), 0);
    EXPECT_EQ(fakes.read->query.place.position, 5);
    find_message(3);
    fakes_answer_read(OK);
    EXPECT_EQ(fakes_replied(), 1);
}

TEST(a_broker_that_goes_down_answers_polls_with_what_there_is) {
    ask("wait=30s", "Host: localhost");
    find_nothing(5, true);
    fakes_answer_read(OK);
    atomic_store(&fakes.broker.is_stopping, true);
    fakes_end_watch();
    find_nothing(6, true);
    fakes_answer_read(OK);
    EXPECT_EQ(request->reply.status, 200);
    EXPECT_TRUE(span_has_prefix(reply_body(&request->reply), SPAN("{\"messages\":[]")));
}

TEST(a_poll_that_is_hurried_is_answered_with_what_there_is) {
    ask("wait=30s", "Host: localhost");
    find_nothing(5, true);
    fakes_answer_read(OK);
    EXPECT_FALSE(fakes.is_watch_cancelled);
    request_hurry(request);
    EXPECT_TRUE(fakes.is_watch_cancelled);
    fakes_end_watch();
    find_nothing(6, true);
    fakes_answer_read(OK);
    EXPECT_EQ(request->reply.status, 200);
    EXPECT_TRUE(span_has_prefix(reply_body(&request->reply), SPAN("{\"messages\":[]")));
}

TEST(a_poll_whose_client_left_is_cancelled) {
    ask("wait=30s", "Host: localhost");
    fakes_answer_read(OK);
    EXPECT_FALSE(fakes.is_watch_cancelled);
    request_destroy(request);
    request = NULL;
    EXPECT_TRUE(fakes.is_watch_cancelled);
    fakes_end_watch();
    EXPECT_TRUE(fakes.read == NULL);
    EXPECT_EQ(fakes_replied(), 0);
}

TEST(too_many_polls_are_told_to_come_again) {
    ask("wait=30s", "Host: localhost");
    fakes.watch_result = ERR_BUSY;
    fakes_answer_read(OK);
    EXPECT_EQ(request->reply.status, 503);
    EXPECT_TRUE(fakes_reply_header(request, "Retry-After").length > 0);
}

/* --- codings ---------------------------------------------------------------------------------- */

TEST(a_large_page_is_coded_where_that_is_asked_for) {
    ask(NULL, "Host: localhost\nAccept-Encoding: gzip");
    find_message(5000);
    fakes_answer_read(OK);
    EXPECT_SPAN(fakes_reply_header(request, "Content-Encoding"), "gzip");
    struct span tag = fakes_reply_header(request, "ETag");
    EXPECT_NOT_NULL(memmem(tag.bytes, tag.length, "-gzip\"", 6));
    EXPECT_TRUE(reply_body(&request->reply).length < 1000);
    EXPECT_TRUE(span_has_prefix(reply_body(&request->reply), SPAN("\x1f\x8b")));
    ask(NULL, "Host: localhost");
    find_message(5000);
    fakes_answer_read(OK);
    EXPECT_EQ(fakes_reply_header(request, "Content-Encoding").length, 0);
    EXPECT_TRUE(reply_body(&request->reply).length > 5000);
}

TEST(a_small_page_is_coded_only_for_who_takes_nothing_else) {
    ask(NULL, "Host: localhost\nAccept-Encoding: gzip");
    fakes_answer_read(OK);
    EXPECT_EQ(fakes_reply_header(request, "Content-Encoding").length, 0);
    ask(NULL, "Host: localhost\nAccept-Encoding: gzip, identity;q=0");
    fakes_answer_read(OK);
    EXPECT_SPAN(fakes_reply_header(request, "Content-Encoding"), "gzip");
}

TEST(a_page_is_known_by_the_tag_of_either_coding) {
    char tag[PAGE_TAG_BYTES], headers[PAGE_TAG_BYTES + 64];
    ask(NULL, "Host: localhost\nAccept-Encoding: gzip");
    find_message(5000);
    fakes_answer_read(OK);
    struct span coded = fakes_reply_header(request, "ETag");
    snprintf(tag, sizeof(tag), "%.*s", SPAN_PRINTF(coded));
    snprintf(headers, sizeof(headers), "Host: localhost\nIf-None-Match: W/%s", tag);
    ask(NULL, headers);
    find_message(5000);
    fakes_answer_read(OK);
    EXPECT_EQ(request->reply.status, 304);
    EXPECT_SPAN(fakes_reply_header(request, "ETag"), tag);
    ask(NULL, "Host: localhost\nIf-None-Match: *");
    find_message(5000);
    fakes_answer_read(OK);
    EXPECT_EQ(request->reply.status, 304);
    EXPECT_EQ(fakes_reply_header(request, "Content-Encoding").length, 0);
    EXPECT_SPAN(fakes_reply_header(request, "Vary"), "Accept, Accept-Encoding, Authorization");
}

#define PAGE(name) cmocka_unit_test_setup_teardown(name, fakes_begin, end)

UNIT_TESTS(PAGE(a_page_asks_for_a_bounded_read_of_its_channel),
           PAGE(a_page_is_json_that_caches_keep_to_themselves),
           PAGE(a_page_that_is_known_is_304_with_its_tag),
           PAGE(a_disk_that_fails_is_told_and_a_reader_that_left_is_not),
           PAGE(tags_are_compared_weakly_in_lists), PAGE(whatever_a_page_shows_changes_its_tag),
           PAGE(each_coding_has_a_tag_of_its_own), PAGE(a_gap_and_the_way_back_are_in_the_page),
           PAGE(several_gaps_are_all_in_the_page),
           PAGE(a_poll_waits_for_what_comes_and_reads_on_from_there),
           PAGE(a_poll_that_has_something_to_say_says_it_at_once),
           PAGE(a_walk_that_is_not_over_goes_on_without_waiting),
           PAGE(a_broker_that_goes_down_answers_polls_with_what_there_is),
           PAGE(a_poll_that_is_hurried_is_answered_with_what_there_is),
           PAGE(a_poll_whose_client_left_is_cancelled), PAGE(too_many_polls_are_told_to_come_again),
           PAGE(a_large_page_is_coded_where_that_is_asked_for),
           PAGE(a_small_page_is_coded_only_for_who_takes_nothing_else),
           PAGE(a_page_is_known_by_the_tag_of_either_coding))

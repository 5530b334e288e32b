/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/request.h"

#include "broker/support/utf8.h"
#include "tests/unit.h"

static unsigned replied_count;
static unsigned finished_count;

static void on_replied(struct request *request) {
    (void)request;
    replied_count++;
}

static void on_state_finish(void *state) {
    (void)state;
    finished_count++;
}

static struct request *create(void) {
    struct request *request = request_create();
    request->on_replied = on_replied;
    request->on_state_finish = on_state_finish;
    replied_count = 0;
    finished_count = 0;
    return request;
}

static bool find_reply_header(const struct request *request, const char *name,
                              struct span *ret_value) {
    struct span rest = buffer_borrow(&request->reply.headers);
    struct span found;
    while (reply_next_header(&rest, &found, ret_value)) {
        if (span_is_equal(found, span_of_string(name))) {
            return true;
        }
    }
    return false;
}

TEST(an_answer_is_told_once_and_the_state_ends_with_the_request) {
    struct request *request = create();
    request_wait(request);
    EXPECT_TRUE(request_is_wanted(request));
    request_answer(request);
    EXPECT_EQ(replied_count, 1);
    EXPECT_EQ(finished_count, 0);
    request_destroy(request);
    EXPECT_EQ(finished_count, 1);
    request_destroy(NULL);
}

TEST(an_abandoned_request_ends_by_itself_and_tells_nobody) {
    struct request *request = create();
    request_wait(request);
    request_destroy(request);
    EXPECT_EQ(finished_count, 0);
    EXPECT_FALSE(request_is_wanted(request));
    request_answer(request);
    EXPECT_EQ(replied_count, 0);
    EXPECT_EQ(finished_count, 1);
}

TEST(a_header_is_found_whatever_its_case) {
    struct request *request = create();
    struct request_header headers[] = {{SPAN("X-One"), SPAN("1")}, {SPAN("x-ONE"), SPAN("2")}};
    struct span value = {0};
    request->headers = headers;
    request->header_count = 2;
    EXPECT_TRUE(request_find_header(request, "x-one", &value));
    EXPECT_SPAN(value, "1");
    EXPECT_FALSE(request_find_header(request, "X-Two", &value));
    request_destroy(request);
}

TEST(a_refusal_is_a_problem_and_keeps_only_what_is_not_of_the_content) {
    struct request *request = create();
    struct span value = {0};
    reply_add_header(&request->reply, "Allow", "GET");
    reply_add_header(&request->reply, "Access-Control-Allow-Origin", "https://example.org");
    reply_add_header(&request->reply, "Content-Type", "text/event-stream");
    reply_add_header(&request->reply, "ETag", "\"x\"");
    request->reply.kind = REPLY_EVENT_STREAM;
    request->reply.has_no_length = true;
    request_refuse_because(request, ERR_BAD_SINCE, "since", "%s", "nothing");
    EXPECT_EQ(request->reply.status, 400);
    EXPECT_EQ(request->reply.kind, REPLY_WHOLE);
    EXPECT_FALSE(request->reply.has_no_length);
    EXPECT_TRUE(find_reply_header(request, "Allow", &value));
    EXPECT_TRUE(find_reply_header(request, "Access-Control-Allow-Origin", &value));
    EXPECT_FALSE(find_reply_header(request, "ETag", &value));
    EXPECT_TRUE(find_reply_header(request, "Content-Type", &value));
    EXPECT_SPAN(value, "application/problem+json");
    char body[1024] = "";
    memcpy(body, request->reply.body.bytes, request->reply.body.length);
    EXPECT_NOT_NULL(strstr(body, "\"field\":\"since\""));
    EXPECT_NOT_NULL(strstr(body, "\"status\":400"));
    request_destroy(request);
}

TEST(a_refusal_is_of_whole_characters_wherever_its_text_was_cut) {
    char text[400];
    for (size_t i = 0; i + 3 < sizeof(text); i += 3) {
        memcpy(text + i, "\xE2\x82\xAC", 4);
    }
    for (size_t before = 0; before < 3; before++) {
        struct request *request = create();
        request_refuse_because(request, ERR_CONFIG, text + 3 - before, "%.*s%s", (int)before, "..",
                               text);
        EXPECT_TRUE(utf8_is_valid(buffer_borrow(&request->reply.body)));
        request_destroy(request);
    }
}

TEST(what_passes_tells_when_to_come_again) {
    static const enum error_code codes[] = {ERR_BUSY, ERR_DRAINING, ERR_STORAGE_FULL, ERR_RATE};
    for (size_t i = 0; i < ARRAY_COUNT(codes); i++) {
        struct request *request = create();
        struct span value = {0};
        request_refuse(request, codes[i], NULL);
        EXPECT_TRUE(find_reply_header(request, "Retry-After", &value));
        request_destroy(request);
    }
}

TEST(a_value_cannot_end_its_line) {
    struct request *request = create();
    struct span value = {0};
    reply_add_header(&request->reply, "X-Echo", "%s", "a\r\nSet-Cookie: b\x7f");
    EXPECT_TRUE(find_reply_header(request, "X-Echo", &value));
    EXPECT_SPAN(value, "a??Set-Cookie: b?");
    request_destroy(request);
}

TEST(headers_above_the_bound_make_it_a_500) {
    struct request *request = create();
    char text[8000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    request->reply.status = 200;
    for (int i = 0; i < 3; i++) {
        reply_add_header(&request->reply, "X-Long", "%s", text);
    }
    EXPECT_EQ(request->reply.status, 500);
    request_destroy(request);
}

UNIT_TESTS(UNIT(an_answer_is_told_once_and_the_state_ends_with_the_request),
           UNIT(an_abandoned_request_ends_by_itself_and_tells_nobody),
           UNIT(a_header_is_found_whatever_its_case),
           UNIT(a_refusal_is_a_problem_and_keeps_only_what_is_not_of_the_content),
           UNIT(a_refusal_is_of_whole_characters_wherever_its_text_was_cut),
           UNIT(what_passes_tells_when_to_come_again), UNIT(a_value_cannot_end_its_line),
           UNIT(headers_above_the_bound_make_it_a_500))

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/answer.h"

#include "tests/unit.h"

#define NOW_MS 1800000000000 /* Fri, 15 Jan 2027 08:00:00 GMT */

/* Feeds lines that end with "\n", as libcurl does; then the body. */
static struct answer read_answer(const char *head, const char *body) {
    struct answer answer;
    struct span rest = span_of_string(head);
    answer_init(&answer);
    while (rest.length > 0) {
        struct span line = span_split(&rest, '\n');
        line.length++;
        assert_true(answer_take_line(&answer, line, NOW_MS));
    }
    assert_true(answer_take_bytes(&answer, span_of_string(body)));
    return answer;
}

static struct verdict judge(const char *head, const char *body) {
    struct answer answer = read_answer(head, body);
    struct verdict verdict;
    answer_judge(&answer, &verdict);
    return verdict;
}

TEST(only_2xx_is_success) {
    static const struct {
        const char *head;
        unsigned status;
        enum outcome outcome;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", 200, OUTCOME_DELIVERED},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, OUTCOME_DELIVERED},
        {"HTTP/1.1 299 x\r\n\r\n", 299, OUTCOME_DELIVERED},
        {"HTTP/1.1 302 Found\r\nLocation: /secret\r\n\r\n", 302, OUTCOME_FAILED},
        {"HTTP/1.1 304 x\r\n\r\n", 304, OUTCOME_FAILED},
        {"HTTP/1.1 400 x\r\n\r\n", 400, OUTCOME_FAILED},
        {"HTTP/1.1 404\r\n\r\n", 404, OUTCOME_FAILED},
        {"HTTP/1.1 410 Gone\r\n\r\n", 410, OUTCOME_GONE},
        {"HTTP/1.1 413 x\r\n\r\n", 413, OUTCOME_FAILED},
        {"HTTP/1.1 429 x\r\n\r\n", 429, OUTCOME_THROTTLED},
        {"HTTP/1.1 500 x\r\n\r\n", 500, OUTCOME_FAILED},
        {"HTTP/1.1 501 x\r\n\r\n", 501, OUTCOME_FAILED},
        {"HTTP/1.1 502 x\r\n\r\n", 502, OUTCOME_THROTTLED},
        {"HTTP/1.0 503 x\r\n\r\n", 503, OUTCOME_THROTTLED},
        {"HTTP/1.1 504 x\r\n\r\n", 504, OUTCOME_THROTTLED},
        {"HTTP/1.1 505 x\r\n\r\n", 505, OUTCOME_FAILED},
        {"HTTP/1.1 999 x\r\n\r\n", 999, OUTCOME_FAILED},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct verdict verdict = judge(rows[i].head, "");
        EXPECT_EQ(verdict.status, rows[i].status);
        EXPECT_EQ(verdict.outcome, rows[i].outcome);
    }
}

TEST(an_interim_answer_is_none) {
    struct answer answer = read_answer("HTTP/1.1 100 Continue\r\nRetry-After: 7\r\n\r\n", "");
    EXPECT_FALSE(answer.is_complete);
    answer = read_answer("HTTP/1.1 103 Early Hints\r\nRetry-After: 7\r\n\r\n"
                         "HTTP/1.1 202 Accepted\r\nX: y\r\n\r\n",
                         "");
    EXPECT_TRUE(answer.is_complete);
    EXPECT_EQ(answer.status, 202);
    EXPECT_EQ(answer.retry_after_ms, 0);
}

TEST(a_head_that_was_cut_is_no_answer) {
    EXPECT_FALSE(read_answer("HTTP/1.1 200 OK\r\nX: y\r\n", "").is_complete);
    EXPECT_FALSE(read_answer("HTTP/1.1 ??? OK\r\n\r\n", "").is_complete);
}

TEST(a_trailer_says_nothing) {
    struct answer answer = read_answer("HTTP/1.1 503 x\r\n\r\nRetry-After: 7\r\n", "");
    EXPECT_EQ(answer.retry_after_ms, 0);
}

TEST(retry_after_is_seconds_or_a_date) {
    static const struct {
        const char *value;
        bool is_one;
        uint64_t wait_ms;
    } rows[] = {
        {" 120", true, 120000},
        {"0", true, 0},
        {"99999999999999999", true, 3153600000000},
        {"99999999999999999999", true, 3153600000000},
        {"Fri, 15 Jan 2027 08:01:00 GMT", true, 60000},
        {"Friday, 15-Jan-27 08:01:00 GMT", true, 60000},
        {"Fri Jan 15 08:01:00 2027", true, 60000},
        {"Thu, 01 Jan 1970 00:00:00 GMT", true, 0},
        {"-1", false, 0},
        {"1.5", false, 0},
        {"soon", false, 0},
        {"", false, 0},
        {"Fri, 15 Jan 2027 08:01:00 GMT and much more than any date in the world", false, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        uint64_t wait_ms = 0;
        bool is_one = answer_parse_retry_after(span_of_string(rows[i].value), NOW_MS, &wait_ms);
        if (is_one != rows[i].is_one || wait_ms != rows[i].wait_ms) {
            fail_msg("\"%s\": %d, %llu", rows[i].value, is_one, (unsigned long long)wait_ms);
        }
    }
    EXPECT_EQ(judge("HTTP/1.1 429 x\r\nretry-after:  3\r\n\r\n", "").retry_after_ms, 3000);
}

TEST(the_detail_is_one_printable_line) {
    EXPECT_STRING(judge("HTTP/1.1 500 x\r\n\r\n", " no\r\n\tdatabase\x01\x7f ").detail,
                  "no database");
    EXPECT_STRING(judge("HTTP/1.1 500 x\r\n\r\n", "gr\xc3\xbc\xc3\x9f").detail,
                  "gr\xc3\xbc\xc3\x9f");
    EXPECT_STRING(judge("HTTP/1.1 500 x\r\n\r\n", "a\xff\xfe").detail, "a??");
    EXPECT_STRING(judge("HTTP/1.1 301 x\r\n\r\n", "<html>").detail,
                  "it answers with a redirect, which is not followed");
}

TEST(a_detail_is_cut_between_characters) {
    char body[SINK_DETAIL_BYTES + 8];
    memset(body, 'a', sizeof(body));
    body[SINK_DETAIL_BYTES - 2] = '\xc3'; /* the last that fits is half of it */
    body[SINK_DETAIL_BYTES - 1] = '\xbc';
    body[sizeof(body) - 1] = '\0';
    struct verdict verdict = judge("HTTP/1.1 500 x\r\n\r\n", body);
    EXPECT_EQ(strlen(verdict.detail), SINK_DETAIL_BYTES - 2);
}

TEST(what_is_secret_is_blanked_out) {
    struct answer answer = read_answer("HTTP/1.1 400 x\r\n\r\n", "you sent Bearer s3cret, s3cret!");
    struct verdict verdict;
    answer_conceal(&answer, SPAN("s3cret"));
    answer_conceal(&answer, SPAN(""));
    answer_judge(&answer, &verdict);
    EXPECT_STRING(verdict.detail, "you sent Bearer ******, ******!");
}

TEST(reading_stops_at_the_ceilings) {
    static char block[ANSWER_BODY_BYTES_MAX];
    struct answer answer;
    answer_init(&answer);
    EXPECT_TRUE(answer_take_line(&answer, SPAN("HTTP/1.1 200 OK\r\n"), NOW_MS));
    EXPECT_TRUE(answer_take_line(&answer, SPAN("\r\n"), NOW_MS));
    memset(block, 'x', sizeof(block));
    EXPECT_TRUE(answer_take_bytes(&answer, span_of(block, sizeof(block))));
    EXPECT_FALSE(answer_take_bytes(&answer, SPAN("x")));
    answer_init(&answer);
    EXPECT_FALSE(answer_take_line(&answer, span_of(block, sizeof(block)), NOW_MS) &&
                 answer_take_line(&answer, SPAN("x: y\r\n"), NOW_MS));
}

UNIT_TESTS(UNIT(only_2xx_is_success), UNIT(an_interim_answer_is_none),
           UNIT(a_head_that_was_cut_is_no_answer), UNIT(a_trailer_says_nothing),
           UNIT(retry_after_is_seconds_or_a_date), UNIT(the_detail_is_one_printable_line),
           UNIT(a_detail_is_cut_between_characters), UNIT(what_is_secret_is_blanked_out),
           UNIT(reading_stops_at_the_ceilings))

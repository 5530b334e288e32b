/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/http.h"

#include <stdlib.h>

#include "clients/cli/client.h"
#include "tests/unit.h"

static void expect_url(const char *base, const char *channel, const char *query,
                       const char *expected) {
    char *url = http_channel_url(base, channel, query);
    EXPECT_STRING(url, expected);
    free(url);
}

TEST(names_are_percent_encoded_but_for_their_slashes) {
    expect_url("http://h:1", "tennis/court-1", NULL, "http://h:1/channels/tennis/court-1");
    expect_url("http://h:1//", "a b/ü?#%+", NULL, "http://h:1/channels/a%20b/%C3%BC%3F%23%25%2B");
    expect_url("http://h", "a/**", "since=-1", "http://h/channels/a/%2A%2A?since=-1");
    expect_url("http://h/under", "../x", NULL, "http://h/under/channels/../x");
    char first[] = "a//b", second[] = "c/**";
    char *const names[] = {first, second};
    char *url = http_stream_url("http://h/", names, 2, "since=-1");
    EXPECT_STRING(url, "http://h/stream?channel=a%2F%2Fb&channel=c%2F%2A%2A&since=-1");
    free(url);
    url = http_stream_url("http://h", names + 1, 1, NULL);
    EXPECT_STRING(url, "http://h/stream?channel=c%2F%2A%2A");
    free(url);
    url = http_page_url("http://h//", "/readyz");
    EXPECT_STRING(url, "http://h/readyz");
    free(url);
    char *encoded = http_encode("2026-01-31T08:05:09+01:00", false);
    EXPECT_STRING(encoded, "2026-01-31T08%3A05%3A09%2B01%3A00");
    free(encoded);
}

TEST(names_with_an_empty_segment_go_into_the_query) {
    expect_url("http://h", "a//b", NULL, "http://h/channels/?channel=a%2F%2Fb");
    expect_url("http://h/", "/a", "since=1", "http://h/channels/?channel=%2Fa&since=1");
    expect_url("http://h", "a/", NULL, "http://h/channels/?channel=a%2F");
    expect_url("http://h", "", NULL, "http://h/channels/?channel=");
}

TEST(faults_of_tls_are_told_apart) {
    EXPECT_TRUE(http_is_tls_fault(CURLE_PEER_FAILED_VERIFICATION));
    EXPECT_TRUE(http_is_tls_fault(CURLE_SSL_CONNECT_ERROR));
    EXPECT_FALSE(http_is_tls_fault(CURLE_COULDNT_CONNECT));
    EXPECT_FALSE(http_is_tls_fault(CURLE_OK));
}

static void expect_failure(CURLcode code, const char *detail, const char *expected) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    http_tell_failure(stream, "a", code, detail);
    fclose(stream);
    EXPECT_STRING(text, expected);
    free(text);
}

TEST(failures_are_told_in_the_words_of_libcurl) {
    expect_failure(CURLE_COULDNT_CONNECT, "no h:1\x1b", "tidings: a: no h:1?");
    expect_failure(CURLE_COULDNT_CONNECT, "", "tidings: a: Couldn't connect to server");
    expect_failure(CURLE_SSL_CONNECT_ERROR, "x",
                   "tidings: a: x (does the broker speak TLS there? else the URL begins with "
                   "http:)");
}

TEST(flag_wins_over_variable_over_default) {
    unsetenv(CLIENT_URL_VARIABLE);
    EXPECT_STRING(http_base_url(NULL), CLIENT_URL_DEFAULT);
    setenv(CLIENT_URL_VARIABLE, "http://v", 1);
    EXPECT_STRING(http_base_url(NULL), "http://v");
    EXPECT_STRING(http_base_url("http://f"), "http://f");
    setenv(CLIENT_URL_VARIABLE, "", 1);
    EXPECT_STRING(http_base_url(NULL), CLIENT_URL_DEFAULT);
}

TEST(backoff_doubles_up_to_its_ceiling_with_full_jitter) {
    EXPECT_EQ(http_backoff_ms(500, 30000, 0, 0), 0);
    EXPECT_EQ(http_backoff_ms(500, 30000, 0, 500), 500);
    EXPECT_EQ(http_backoff_ms(500, 30000, 0, 501), 0);
    EXPECT_EQ(http_backoff_ms(500, 30000, 3, 4000), 4000);
    EXPECT_EQ(http_backoff_ms(500, 30000, 4000000000U, 30000), 30000);
    EXPECT_EQ(http_backoff_ms(90000, 30000, 0, 30001), 0);
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        EXPECT_TRUE(http_backoff_ms(500, 30000, attempt, http_random()) <= 30000);
    }
}

TEST(waits_sum_up_to_what_is_told) {
    EXPECT_EQ(http_backoff_sum_ms(250, 15000, 0), 0);
    EXPECT_EQ(http_backoff_sum_ms(250, 15000, 3), 1750);
    EXPECT_EQ(http_backoff_sum_ms(250, 15000, 7), 30750);
}

TEST(the_wait_asked_for_is_never_cut_short_but_bounded) {
    EXPECT_EQ(http_retry_after_ms(2, 60000, 0), 2000);
    EXPECT_EQ(http_retry_after_ms(2, 60000, 1000), 3000);
    EXPECT_EQ(http_retry_after_ms(UINT64_MAX, 60000, 0), 60000);
}

TEST(headers_are_one_line) {
    struct curl_slist *headers = NULL;
    EXPECT_TRUE(http_add_header(&headers, "Tidings-Key", "a"));
    EXPECT_FALSE(http_add_header(&headers, "Tidings-Key", "a\r\nX: y"));
    EXPECT_STRING(headers->data, "Tidings-Key: a");
    EXPECT_NULL(headers->next);
    curl_slist_free_all(headers);
}

static void expect_problem(const char *body, const char *expected) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    http_tell_problem(stream, "a//b", 400, body, strlen(body));
    fclose(stream);
    EXPECT_STRING(text, expected);
    free(text);
}

TEST(problems_are_told_with_title_and_detail) {
    expect_problem("{\"title\":\"The channel name breaks the rules\",\"detail\":\"empty segment\"}",
                   "tidings: a//b: 400 The channel name breaks the rules: empty segment\n");
    expect_problem("{\"title\":\"\\u001b[31mred\"}", "tidings: a//b: 400 ?[31mred\n");
    expect_problem("{\"title\":\"no\",\"faults\":[{\"field\":\"a.b\",\"reason\":\"is \\u0007\"}]}",
                   "tidings: a//b: 400 no\n  a.b: is ?\n");
    expect_problem("<html>", "tidings: a//b: 400 and no word why\n");
    expect_problem("", "tidings: a//b: 400 and no word why\n");
    expect_problem("This port speaks TLS: the URL begins with https:\nmore",
                   "tidings: a//b: 400 This port speaks TLS: the URL begins with https:\n");
}

TEST(answers_are_cut_at_their_bound) {
    struct http_answer *answer = calloc(1, sizeof(*answer));
    char bytes[1000] = {0};
    for (size_t i = 0; i < 100; i++) {
        EXPECT_EQ(http_on_answer(bytes, 1, sizeof(bytes), answer), sizeof(bytes));
    }
    EXPECT_EQ(answer->length, HTTP_ANSWER_BYTES_MAX);
    free(answer);
}

UNIT_TESTS(UNIT(names_are_percent_encoded_but_for_their_slashes),
           UNIT(names_with_an_empty_segment_go_into_the_query), UNIT(faults_of_tls_are_told_apart),
           UNIT(failures_are_told_in_the_words_of_libcurl), UNIT(waits_sum_up_to_what_is_told),
           UNIT(flag_wins_over_variable_over_default),
           UNIT(backoff_doubles_up_to_its_ceiling_with_full_jitter),
           UNIT(the_wait_asked_for_is_never_cut_short_but_bounded), UNIT(headers_are_one_line),
           UNIT(problems_are_told_with_title_and_detail), UNIT(answers_are_cut_at_their_bound))

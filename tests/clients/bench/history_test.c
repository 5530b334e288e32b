/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/clients/bench/replay.h"
#include "tests/unit.h"

#define PAGE(length) "HTTP/1.1 200 OK\r\nContent-Length: " length "\r\n\r\n"
#define ASK(target) "GET /channels/" target " HTTP/1.1\r\nHost: localhost:80\r\n\r\n"

static const char *const two[] = {"a b", "c"};

static void expect_pages(size_t channels, const char *bytes, size_t length, const char *told,
                         const char *put) {
    struct protocol_link link = {.selectors = two, .selector_count = channels, .since = "0"};
    struct bytes output;
    replay_expect("history", link, bytes, length, told, &output);
    EXPECT_STRING(replay_text(&output), put);
    bytes_finish(&output);
}

#define EXPECT_PAGES(channels, text, told, put)                                                    \
    expect_pages(channels, text, sizeof(text) - 1, told, put)

TEST(it_begins_at_the_start_unless_told) {
    struct bytes output;
    replay_hello("history", (struct protocol_link){.selectors = two, .selector_count = 2}, &output);
    EXPECT_STRING(replay_text(&output), ASK("a%20b?limit=1000&since=earliest"));
    bytes_finish(&output);
}

TEST(each_page_asks_for_the_next_until_the_head) {
    EXPECT_PAGES(1,
                 PAGE("64") "{\"messages\":[{\"o\":1},{\"o\":\"}\\\"{\"}],\"next\":\"t+1\",\"at_"
                            "head\":false}" PAGE(
                                "42") "{\"messages\":[],\"next\":\"x\",\"at_head\":"
                                      "false}" PAGE("48") "{\"messages\":[{\"o\":3}],"
                                                          "\"next\":\"y\",\"at_head\":true}",
                 "ready; message {\"o\":1}; message {\"o\":\"}\\\"{\"}; message {\"o\":3}; end; ",
                 ASK("a%20b?limit=1000&since=t%2B1") ASK("a%20b?limit=1000&since=x"));
}

TEST(channels_are_read_one_after_the_other) {
    EXPECT_PAGES(2,
                 PAGE("48") "{\"messages\":[{\"o\":3}],\"next\":\"y\",\"at_head\":true}" PAGE(
                     "48") "{\"messages\":[{\"o\":4}],\"next\":\"y\",\"at_head\":true}",
                 "ready; message {\"o\":3}; message {\"o\":4}; end; ", ASK("c?limit=1000&since=0"));
}

TEST(a_page_may_come_in_chunks) {
    EXPECT_PAGES(1,
                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "5\r\n{\"mes\r\n14\r\nsages\":[{\"o\":3},{\"o\"\r\n2\r\n:4\r\n1\r\n}\r\n"
                 "d\r\n],\"next\":\"y\",\r\nf\r\n\"at_head\":true}\r\n0\r\n\r\n",
                 "ready; message {\"o\":3}; message {\"o\":4}; end; ", "");
}

TEST(refusals_have_a_word) {
    EXPECT_PAGES(1, "HTTP/1.1 404 Not Found\r\n\r\n",
                 "refused: the server answered 404 Not Found; ", "");
    EXPECT_PAGES(1, PAGE("0"), "refused: a page of history is empty; ", "");
    EXPECT_PAGES(1, PAGE("10") "{\"data\":1}", "ready; refused: what came is no page of history; ",
                 "");
    EXPECT_PAGES(1, PAGE("13") "{\"messages\":[", "ready; refused: a page of history ends early; ",
                 "");
    EXPECT_PAGES(1, PAGE("17") "{\"messages\":[17]}",
                 "ready; refused: a page of history has something that is no message; ", "");
    EXPECT_PAGES(1, PAGE("15") "{\"messages\":[]}",
                 "ready; refused: a page of history does not say where to go on; ", "");
}

UNIT_TESTS(UNIT(it_begins_at_the_start_unless_told),
           UNIT(each_page_asks_for_the_next_until_the_head),
           UNIT(channels_are_read_one_after_the_other), UNIT(a_page_may_come_in_chunks),
           UNIT(refusals_have_a_word))

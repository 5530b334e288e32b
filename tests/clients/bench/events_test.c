/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/clients/bench/replay.h"
#include "tests/unit.h"

#define ASK "Host: localhost:80\r\nAccept: text/event-stream\r\n\r\n"
#define OPEN "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static const char *const two[] = {"a b/0", "c/**"};

static void expect_hello(const char *protocol, size_t count, const char *since, const char *hello) {
    struct bytes output;
    struct protocol_link link = {.selectors = two, .selector_count = count, .since = since};
    replay_hello(protocol, link, &output);
    EXPECT_STRING(replay_text(&output), hello);
    bytes_finish(&output);
}

TEST(a_reader_asks_for_one_channel_or_several) {
    expect_hello("events", 1, NULL, "GET /channels/a%20b/0 HTTP/1.1\r\n" ASK);
    expect_hello("events", 1, "0", "GET /channels/a%20b/0?since=0 HTTP/1.1\r\n" ASK);
    expect_hello("events", 2, "0",
                 "GET /stream?channel=a%20b%2F0&channel=c%2F%2A%2A&since=0 HTTP/1.1\r\n" ASK);
    expect_hello("nchan-events", 1, NULL, "GET /a%20b/0 HTTP/1.1\r\n" ASK);
    expect_hello("mercure-events", 2, NULL,
                 "GET /.well-known/mercure?topic=a%20b%2F0&match=a%20b%2F0"
                 "&topic=c%2F%2A%2A&match=c%2F%2A%2A HTTP/1.1\r\n" ASK);
}

TEST(an_event_with_data_is_a_message) {
    REPLAY("events", (struct protocol_link){0},
           OPEN "retry: 1330\nid: t1\n\n"
                "id: t2\ndata: {\"s\":1}\n\n"
                ": heartbeat\n\n"
                "data:x\r\n\r\n"
                "data: a\ndata: b\nid: 1\n\n"
                "event: gap\ndata: {}\n\n"
                "\n"
                "id: t3\n\n"
                "data: last\n",
           "ready; message  {\"s\":1}; message x; message  a\ndata: b; ");
}

TEST(chunks_cut_where_they_like) {
    REPLAY("events", (struct protocol_link){0},
           CHUNKED "8\r\ndata: a\n\r\n"
                   "1\r\n\n\r\n"
                   "11\r\ndata: bc\n\ndata: d\r\n"
                   "3\r\ne\n\n\r\n"
                   "a;x\r\ndata: f\n\nd\r\n"
                   "1\r\na\r\n1\r\nt\r\n6\r\na: g\n\n\r\n"
                   "14\r\ndata: h\n\ndata: i\n\n:\n\r\n"
                   "1\r\n\n\r\n"
                   "0\r\n\r\n",
           "ready; message  a; message  bc; message  de; message  f; message  g; message  h; "
           "message  i; ");
}

TEST(a_stream_that_ends_is_told_with_what_follows) {
    REPLAY("events", (struct protocol_link){0}, CHUNKED "9\r\ndata: a\n\n\r\n0\r\n\r\nx",
           "ready; message  a; refused: the event stream ended; ");
    REPLAY("events", (struct protocol_link){0},
           "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ndata: a\n\nx",
           "ready; message  a; refused: the event stream ended; ");
}

TEST(what_is_no_stream_is_refused) {
    REPLAY("events", (struct protocol_link){0}, "HTTP/1.1 204 No Content\r\n\r\n",
           "refused: the server answered 204: there is nothing to read; ");
    REPLAY("events", (struct protocol_link){0}, "HTTP/1.1 418 Teapot\r\n\r\n",
           "refused: the server's answer has another status than was hoped for; ");
    REPLAY("events", (struct protocol_link){0}, "\x16\x03\x01 hello \r\n\r\n",
           "refused: the answer to a reader is no HTTP; ");
    REPLAY("events", (struct protocol_link){0}, CHUNKED "-1\r\n",
           "ready; refused: a chunk's line is not one; ");
}

UNIT_TESTS(UNIT(a_reader_asks_for_one_channel_or_several), UNIT(an_event_with_data_is_a_message),
           UNIT(chunks_cut_where_they_like), UNIT(a_stream_that_ends_is_told_with_what_follows),
           UNIT(what_is_no_stream_is_refused))

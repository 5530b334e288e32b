/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/clients/bench/replay.h"
#include "tests/unit.h"

static const char *const two[] = {"a/0", "b"};
static const char *const pattern[] = {"a/**"};

static void expect_hello(struct protocol_link link, const char *hello) {
    struct bytes output;
    replay_hello("redis", link, &output);
    EXPECT_STRING(replay_text(&output), hello);
    bytes_finish(&output);
}

TEST(a_reader_subscribes_and_a_publisher_pings) {
    expect_hello((struct protocol_link){.selectors = two, .selector_count = 2},
                 "*3\r\n$9\r\nSUBSCRIBE\r\n$3\r\na/0\r\n$1\r\nb\r\n");
    expect_hello((struct protocol_link){.selectors = pattern, .selector_count = 1},
                 "*2\r\n$10\r\nPSUBSCRIBE\r\n$3\r\na/*\r\n");
    expect_hello((struct protocol_link){.is_publisher = true, .token = "key"},
                 "*2\r\n$4\r\nAUTH\r\n$3\r\nkey\r\n*1\r\n$4\r\nPING\r\n");
}

TEST(a_publish_is_an_array) {
    static const struct protocol_message message = {"a/0", (const uint8_t *)"{\"s\":1}", 7};
    struct protocol_link link = {0};
    REPLAY_PUBLISH("redis", &link, &message, 1,
                   "*3\r\n$7\r\nPUBLISH\r\n$3\r\na/0\r\n$7\r\n{\"s\":1}\r\n");
}

TEST(pushes_are_messages) {
    REPLAY("redis", ((struct protocol_link){.selectors = two, .selector_count = 2}),
           "*3\r\n$9\r\nsubscribe\r\n$3\r\na/0\r\n:1\r\n"
           "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
           "*3\r\n$7\r\nmessage\r\n$3\r\na/0\r\n$4\r\n\r\n\r\n\r\n"
           "*3\r\n$7\r\nmessage\r\n$3\r\na/0\r\n$7\r\n{\"s\":1}\r\n"
           "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$0\r\n\r\n"
           "*2\r\n$4\r\npong\r\n$0\r\n\r\n",
           "ready; message \r\n\r\n; message {\"s\":1}; message ; ");
}

TEST(a_publisher_counts_answers) {
    REPLAY("redis", ((struct protocol_link){.is_publisher = true, .token = "key"}),
           "+OK\r\n+PONG\r\n:1\r\n:0\r\n-OOM no memory\r\n+PONG\r\n",
           "ready; answer; answer; refused answer: Redis answered: OOM no memory; ");
}

TEST(refusals_have_a_word) {
    struct protocol_link link = {.selectors = two, .selector_count = 2};
    REPLAY("redis", link, "-NOAUTH Authentication required.\r\n",
           "refused: Redis: -NOAUTH: it wants a password; ");
    REPLAY("redis", link, "-DENIED Redis is running in protected mode\r\n",
           "refused: Redis: -DENIED: it runs in protected mode; ");
    REPLAY("redis", link, "-ERR unknown command\r\n",
           "refused: Redis: the server refused the hello with an error; ");
    REPLAY("redis", link, "HTTP/1.1 400\r\n",
           "refused: Redis: the server says something unknown; ");
    REPLAY("redis", link, "*9\r\n", "refused: Redis: an array that is no push; ");
    REPLAY("redis", link, "*0\r\n", "refused: Redis: an array that is no push; ");
    REPLAY("redis", link, "*1\r\n$99999999\r\n",
           "refused: Redis: a length is none, or more than the load takes; ");
    REPLAY("redis", link, "*1\r\n$-1\r\n",
           "refused: Redis: a length is none, or more than the load takes; ");
    REPLAY("redis", link, "+\n", "refused: Redis: a line is too short, or ends wrongly; ");
}

UNIT_TESTS(UNIT(a_reader_subscribes_and_a_publisher_pings), UNIT(a_publish_is_an_array),
           UNIT(pushes_are_messages), UNIT(a_publisher_counts_answers), UNIT(refusals_have_a_word))

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/clients/bench/replay.h"

#include <stdlib.h>

#include "tests/unit.h"

struct run {
    const struct protocol *protocol;
    struct protocol_link link;
    struct bytes input;
    struct bytes output;
    struct bytes told;
    bool is_over;
};

static void note(struct run *run, enum protocol_told told, const struct protocol_unit *unit) {
    switch (told) {
    case PROTOCOL_READY:
        bytes_put_format(&run->told, "ready; ");
        break;
    case PROTOCOL_MESSAGE:
        bytes_put_format(&run->told, "message %.*s; ", (int)unit->payload_length,
                         (const char *)unit->payload);
        break;
    case PROTOCOL_ANSWER:
        EXPECT_EQ(unit->count, 1);
        if (unit->is_refused) {
            EXPECT_NOT_NULL(unit->why);
            bytes_put_format(&run->told, "refused answer: %s: %.*s; ", unit->why,
                             (int)unit->payload_length, (const char *)unit->payload);
        } else {
            bytes_put_format(&run->told, "answer; ");
        }
        break;
    case PROTOCOL_REFUSED:
        EXPECT_NOT_NULL(unit->why);
        bytes_put_format(&run->told, "refused: %s; ", unit->why);
        run->is_over = true;
        break;
    case PROTOCOL_END:
        bytes_put_format(&run->told, "end; ");
        break;
    case PROTOCOL_MORE:
    case PROTOCOL_NOTHING:
        break;
    }
}

/* Each call sees a copy that ends where it ends, so that reading behind it is found. */
static void take_all(struct run *run) {
    while (run->input.length > 0 && !run->is_over) {
        struct protocol_unit unit = {0};
        uint8_t *copy = malloc(run->input.length);
        EXPECT_NOT_NULL(copy);
        memcpy(copy, run->input.data, run->input.length);
        enum protocol_told told =
            run->protocol->take(&run->link, copy, run->input.length, &run->output, &unit);
        note(run, told, &unit);
        free(copy);
        if (told == PROTOCOL_MORE || told == PROTOCOL_REFUSED) {
            return;
        }
        EXPECT_TRUE(unit.length > 0);
        EXPECT_TRUE(unit.length <= run->input.length);
        bytes_drop(&run->input, unit.length);
    }
}

static void begin(struct run *run, const char *protocol, struct protocol_link link) {
    *run = (struct run){.protocol = protocol_find(protocol), .link = link};
    EXPECT_NOT_NULL(run->protocol);
    run->link.host = link.host == NULL ? "localhost:80" : link.host;
    run->link.path = link.path == NULL ? "" : link.path;
    if (run->protocol->put_hello != NULL) {
        run->protocol->put_hello(&run->link, &run->output);
    }
}

static void finish(struct run *run) {
    protocol_reset(&run->link);
    bytes_finish(&run->input);
    bytes_finish(&run->output);
    bytes_finish(&run->told);
}

void replay_hello(const char *protocol, struct protocol_link link, struct bytes *ret_output) {
    struct run run;
    begin(&run, protocol, link);
    *ret_output = run.output;
    run.output = (struct bytes){0};
    finish(&run);
}

/* `first` bytes at once, then `step` at a time. */
static void replay(struct run *run, const char *protocol, struct protocol_link link,
                   const void *bytes, size_t length, size_t first, size_t step) {
    begin(run, protocol, link);
    bytes_drop(&run->output, run->output.length);
    for (size_t from = 0; from < length;) {
        size_t wanted = from == 0 ? first : step;
        size_t piece = wanted < length - from ? wanted : length - from;
        bytes_put(&run->input, (const uint8_t *)bytes + from, piece);
        take_all(run);
        from += piece;
    }
}

static void expect_same(struct run *run, const char *protocol, struct protocol_link link,
                        const void *bytes, size_t length, size_t first, size_t step) {
    struct run other;
    replay(&other, protocol, link, bytes, length, first, step);
    EXPECT_STRING(replay_text(&other.told), replay_text(&run->told));
    EXPECT_EQ(other.output.length, run->output.length);
    if (run->output.length > 0) {
        assert_memory_equal(other.output.data, run->output.data, run->output.length);
    }
    finish(&other);
}

void replay_expect(const char *protocol, struct protocol_link link, const void *bytes,
                   size_t length, const char *told, struct bytes *ret_output) {
    struct run run;
    replay(&run, protocol, link, bytes, length, length, length);
    EXPECT_STRING(replay_text(&run.told), told);
    for (size_t cut = 1; cut < length; cut++) {
        expect_same(&run, protocol, link, bytes, length, cut, length);
    }
    expect_same(&run, protocol, link, bytes, length, 1, 1);
    if (ret_output != NULL) {
        *ret_output = run.output;
        run.output = (struct bytes){0};
    }
    finish(&run);
}

void replay_expect_publish(const char *protocol, struct protocol_link *link,
                           const struct protocol_message *messages, size_t count, const void *bytes,
                           size_t length) {
    struct bytes output = {0};
    link->host = link->host == NULL ? "localhost:80" : link->host;
    link->path = link->path == NULL ? "" : link->path;
    protocol_find(protocol)->put_publish(link, messages, count, &output);
    EXPECT_EQ(output.length, length);
    assert_memory_equal(output.data, bytes, length);
    bytes_finish(&output);
}

void replay_unmask(const struct bytes *bytes, struct bytes *ret_text) {
    *ret_text = (struct bytes){0};
    for (size_t at = 0; at < bytes->length;) {
        const uint8_t *frame = bytes->data + at;
        EXPECT_EQ(frame[0] & 0xf0, 0x80);
        EXPECT_EQ(frame[1] & 0x80, 0x80);
        size_t length = frame[1] & 0x7f, head = 2;
        for (size_t more = length == 127 ? 8 : length == 126 ? 2 : 0; more > 0; more--) {
            length = (head == 2 ? 0 : length << 8) | frame[head];
            head++;
        }
        bytes_put_format(ret_text, "%u ", frame[0] & 15);
        for (size_t i = 0; i < length; i++) {
            uint8_t byte = frame[head + 4 + i] ^ frame[head + i % 4];
            bytes_put(ret_text, &byte, 1);
        }
        bytes_put(ret_text, "\n", 1);
        at += head + 4 + length;
    }
}

const char *replay_text(struct bytes *bytes) {
    *bytes_reserve(bytes, 1) = '\0';
    return (const char *)bytes->data;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* NATS: lines of text, of which MSG is followed by a payload and a line end:
 *
 *     server  INFO {…}            MSG subject sid [reply] bytes\r\npayload\r\n     PING   -ERR '…'
 *     client  CONNECT {…}  SUB subject sid  PUB subject bytes\r\npayload\r\n  PING  PONG
 *
 * The PONG to our first PING tells that what was said before it is done. Over WebSocket the same
 * bytes go in binary frames, whose borders mean nothing. A channel is a subject with `.` for `/`.
 */
#include <string.h>

#include "clients/bench/carrier.h"
#include "clients/bench/escape.h"
#include "clients/bench/upgrade.h"

#define LINE_BYTES_MAX 65536u /* INFO of a large cluster */

enum phase { PHASE_HANDSHAKE, PHASE_FRAMES };

static size_t begin(const struct protocol_link *link, struct bytes *output) {
    return link->is_framed ? upgrade_begin_frame(output) : 0;
}

static void end(const struct protocol_link *link, size_t begun, struct bytes *output) {
    if (link->is_framed) {
        upgrade_end_frame(output, begun, link, UPGRADE_BINARY);
    }
}

static void put_subject(struct bytes *output, const char *channel) {
    escape_put_pattern(output, channel, '.', '*', '>');
}

static void put_commands(struct protocol_link *link, struct bytes *output) {
    size_t begun = begin(link, output);
    escape_put_text(output, "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\"");
    if (link->token != NULL) {
        escape_put_text(output, ",\"auth_token\":");
        escape_put_json(output, link->token);
    }
    escape_put_text(output, "}\r\n");
    for (size_t i = 0; i < link->selector_count && !link->is_publisher; i++) {
        escape_put_text(output, "SUB ");
        put_subject(output, link->selectors[i]);
        escape_put_text(output, " ");
        escape_put_number(output, i + 1);
        escape_put_text(output, "\r\n");
    }
    escape_put_text(output, "PING\r\n");
    end(link, begun, output);
}

void nats_put_hello(struct protocol_link *link, struct bytes *output) {
    put_commands(link, output);
}

void nats_websocket_put_hello(struct protocol_link *link, struct bytes *output) {
    link->is_framed = true;
    opening_put_start(output, link, "GET ");
    escape_put_text(output, "/");
    upgrade_put_request(output, link);
}

void nats_put_publish(struct protocol_link *link, const struct protocol_message *messages,
                      size_t count, struct bytes *output) {
    (void)count;
    size_t begun = begin(link, output);
    escape_put_text(output, "PUB ");
    put_subject(output, messages->channel);
    bytes_put(output, " ", 1);
    escape_put_number(output, messages->length);
    bytes_put(output, "\r\n", 2);
    bytes_put(output, messages->payload, messages->length);
    bytes_put(output, "\r\n", 2);
    end(link, begun, output);
}

/* --- what comes ------------------------------------------------------------------------------- */

/* The number at the end of `line`, whose last bytes are "\r\n". */
static bool read_last_number(const uint8_t *line, size_t length, uint64_t *ret_number) {
    size_t at = length - 2;
    uint64_t number = 0, place = 1;
    for (; at > 0 && line[at - 1] >= '0' && line[at - 1] <= '9'; at--) {
        if (place > PROTOCOL_UNIT_BYTES_MAX * 10ull) {
            return false;
        }
        number += place * (uint64_t)(line[at - 1] - '0');
        place *= 10;
    }
    *ret_number = number;
    return place > 1 && number <= PROTOCOL_UNIT_BYTES_MAX;
}

static enum protocol_told take_message(const uint8_t *bytes, size_t length, size_t line,
                                       struct protocol_unit *ret_unit) {
    uint64_t payload;
    if (line < 6 || !read_last_number(bytes, line, &payload)) {
        return protocol_refuse(ret_unit,
                               "NATS: a MSG's length is none, or more than the load takes");
    }
    if (length - line < payload + 2) {
        return PROTOCOL_MORE;
    }
    ret_unit->payload = bytes + line;
    ret_unit->payload_length = (size_t)payload;
    ret_unit->length = line + (size_t)payload + 2;
    return PROTOCOL_MESSAGE;
}

static const char *tell_error(const uint8_t *line, size_t length) {
    static const struct {
        const char *mark;
        const char *words;
    } known[] = {
        {"Slow Consumer", "NATS: -ERR Slow Consumer"},
        {"Authorization", "NATS: -ERR Authorization Violation"},
        {"Authentication", "NATS: -ERR Authentication Timeout"},
        {"Permissions", "NATS: -ERR Permissions Violation"},
        {"Maximum Payload", "NATS: -ERR Maximum Payload Violation"},
        {"maximum connections", "NATS: -ERR maximum connections exceeded"},
        {"Stale Connection", "NATS: -ERR Stale Connection"},
        {"Invalid", "NATS: -ERR Invalid subject or protocol"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (memmem(line, length, known[i].mark, strlen(known[i].mark)) != NULL) {
            return known[i].words;
        }
    }
    return "NATS: -ERR";
}

static bool begins(const uint8_t *line, size_t length, const char *word) {
    size_t known = strlen(word);
    return length >= known && memcmp(line, word, known) == 0;
}

static enum protocol_told take_line(struct protocol_link *link, const uint8_t *bytes, size_t line,
                                    struct bytes *output, struct protocol_unit *ret_unit) {
    ret_unit->length = line;
    if (begins(bytes, line, "PING")) {
        size_t begun = begin(link, output);
        escape_put_text(output, "PONG\r\n");
        end(link, begun, output);
        return PROTOCOL_NOTHING;
    }
    if (begins(bytes, line, "PONG")) {
        bool is_first = !link->is_open;
        link->is_open = true;
        return is_first ? PROTOCOL_READY : PROTOCOL_NOTHING;
    }
    if (begins(bytes, line, "-ERR")) {
        return protocol_refuse(ret_unit, tell_error(bytes, line));
    }
    return begins(bytes, line, "INFO ") || begins(bytes, line, "+OK")
               ? PROTOCOL_NOTHING
               : protocol_refuse(ret_unit, "NATS: the server says something unknown");
}

enum protocol_told nats_take(struct protocol_link *link, const uint8_t *bytes, size_t length,
                             struct bytes *output, struct protocol_unit *ret_unit) {
    const uint8_t *line_end = memchr(bytes, '\n', length);
    if (line_end == NULL) {
        return length < LINE_BYTES_MAX ? PROTOCOL_MORE
                                       : protocol_refuse(ret_unit, "NATS: a line does not end");
    }
    size_t line = (size_t)(line_end - bytes) + 1;
    return begins(bytes, line, "MSG ") ? take_message(bytes, length, line, ret_unit)
                                       : take_line(link, bytes, line, output, ret_unit);
}

/* A frame's head, or a control frame. */
static enum protocol_told take_frame(struct protocol_link *link, const uint8_t *bytes,
                                     size_t length, struct bytes *output,
                                     struct protocol_unit *ret_unit) {
    struct upgrade_frame frame;
    enum protocol_told told = upgrade_read_head(bytes, length, &frame, ret_unit);
    if (told == PROTOCOL_NOTHING && frame.opcode > UPGRADE_BINARY) {
        return upgrade_take_control(link, &frame, bytes, length, output, ret_unit);
    }
    if (told == PROTOCOL_NOTHING) {
        link->left = frame.payload_length;
        ret_unit->length = frame.head_length;
    }
    return told;
}

enum protocol_told nats_websocket_take(struct protocol_link *link, const uint8_t *bytes,
                                       size_t length, struct bytes *output,
                                       struct protocol_unit *ret_unit) {
    if (link->left > 0) {
        return carrier_take(link, bytes, length, output, ret_unit, nats_take);
    }
    if (link->phase == PHASE_FRAMES) {
        return take_frame(link, bytes, length, output, ret_unit);
    }
    enum protocol_told told = upgrade_take_answer(bytes, length, ret_unit);
    if (told == PROTOCOL_NOTHING) {
        link->phase = PHASE_FRAMES;
        put_commands(link, output);
    }
    return told;
}

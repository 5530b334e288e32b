/* SPDX-License-Identifier: Apache-2.0 */
/* Centrifugo's JSON protocol: a text frame has one reply or more, a line each.
 *
 *     → {"id":1,"connect":{"token":"…"}}      ← {"id":1,"connect":{"client":"…"}}
 *     → {"id":2,"subscribe":{"channel":"…"}}  ← {"id":2,"subscribe":{}}    or {"id":2,"error":{…}}
 *                                             ← {"push":{"channel":"…","pub":{"data":…}}}
 *     → {}                                    ← {}     a ping, and the pong to it
 */
#include <string.h>

#include "clients/bench/escape.h"
#include "clients/bench/opening.h"
#include "clients/bench/protocol_private.h"
#include "clients/bench/upgrade.h"

enum phase { PHASE_HANDSHAKE, PHASE_FRAMES };

void centrifugo_put_hello(struct protocol_link *link, struct bytes *output) {
    struct protocol_link open = *link;
    open.token = NULL; /* it goes into `connect` */
    opening_put_start(output, link, "GET ");
    escape_put_text(output, "/connection/websocket");
    upgrade_put_request(output, &open);
}

/* The load has one token: a JWT is the readers', what else there is the key of the HTTP API. */
static bool is_jwt(const char *token) {
    return token != NULL && strncmp(token, "ey", 2) == 0; /* `{"` in base64 */
}

static void put_commands(struct protocol_link *link, struct bytes *output) {
    size_t begin = upgrade_begin_frame(output);
    escape_put_text(output, "{\"id\":1,\"connect\":{");
    if (is_jwt(link->token)) {
        escape_put_text(output, "\"token\":");
        escape_put_json(output, link->token);
    }
    escape_put_text(output, "}}");
    for (size_t i = 0; i < link->selector_count; i++) {
        escape_put_text(output, "\n{\"id\":");
        escape_put_number(output, i + 2);
        escape_put_text(output, ",\"subscribe\":{\"channel\":");
        escape_put_json(output, link->selectors[i]);
        escape_put_text(output, "}}");
    }
    upgrade_end_frame(output, begin, link, UPGRADE_TEXT);
    link->awaited = 1 + (uint32_t)link->selector_count;
}

static bool has(const uint8_t *line, size_t length, const char *mark) {
    return memmem(line, length, mark, strlen(mark)) != NULL;
}

static enum protocol_told judge(struct protocol_link *link, const uint8_t *line, size_t length,
                                struct bytes *output, struct protocol_unit *ret_unit) {
    if (length == 2 && memcmp(line, "{}", 2) == 0) {
        size_t begin = upgrade_begin_frame(output);
        escape_put_text(output, "{}");
        upgrade_end_frame(output, begin, link, UPGRADE_TEXT);
        return PROTOCOL_NOTHING;
    }
    if (length > 7 && memcmp(line, "{\"push\"", 7) == 0) {
        ret_unit->payload = line;
        ret_unit->payload_length = length;
        return has(line, length, "\"pub\":") ? PROTOCOL_MESSAGE : PROTOCOL_NOTHING;
    }
    if (has(line, length, "\"error\":")) {
        return protocol_refuse(ret_unit,
                               "Centrifugo: the connection or a subscription was refused");
    }
    if (link->awaited == 0 || !has(line, length, "\"id\":")) {
        return PROTOCOL_NOTHING;
    }
    link->is_open = --link->awaited == 0;
    return link->is_open ? PROTOCOL_READY : PROTOCOL_NOTHING;
}

/* A reply ends with its line or with the frame. */
static enum protocol_told take_line(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                    struct bytes *output, struct protocol_unit *ret_unit) {
    size_t frame = link->left < length ? (size_t)link->left : length;
    const uint8_t *line_end = memchr(bytes, '\n', frame);
    if (line_end == NULL && frame < link->left) {
        return PROTOCOL_MORE;
    }
    size_t line = line_end == NULL ? frame : (size_t)(line_end - bytes);
    ret_unit->length = line + (line_end != NULL);
    link->left -= ret_unit->length;
    return judge(link, bytes, line, output, ret_unit);
}

static enum protocol_told take_frame(struct protocol_link *link, const uint8_t *bytes,
                                     size_t length, struct bytes *output,
                                     struct protocol_unit *ret_unit) {
    struct upgrade_frame frame;
    enum protocol_told told = upgrade_read_head(bytes, length, &frame, ret_unit);
    if (told != PROTOCOL_NOTHING) {
        return told;
    }
    if (frame.opcode > UPGRADE_BINARY) {
        return upgrade_take_control(link, &frame, bytes, length, output, ret_unit);
    }
    if (!frame.is_final || frame.opcode == UPGRADE_CONTINUATION) {
        return protocol_refuse(ret_unit, "Centrifugo: a message comes in parts");
    }
    link->left = frame.payload_length;
    ret_unit->length = frame.head_length;
    return PROTOCOL_NOTHING;
}

enum protocol_told centrifugo_take(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                   struct bytes *output, struct protocol_unit *ret_unit) {
    if (link->left > 0) {
        return take_line(link, bytes, length, output, ret_unit);
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

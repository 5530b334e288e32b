/* SPDX-License-Identifier: Apache-2.0 */
/* Of Tidings a text message is, by its first member:
 *
 *     {"channel":…             a message                  {"sub":1,"channel":…     on /stream
 *     {"ref":1,"ok":…          an answer                  {"ref":1,"error":…
 *     {"at":… {"gap":…         of the broker              {"sub":1,"at":… {"sub":1,"gap":…
 */
#include <string.h>

#include "clients/bench/escape.h"
#include "clients/bench/opening.h"
#include "clients/bench/protocol_private.h"
#include "clients/bench/upgrade.h"

enum phase { PHASE_HANDSHAKE, PHASE_FRAMES };

static void put_since(struct bytes *output, const struct protocol_link *link) {
    if (link->since != NULL) {
        escape_put_text(output, "?since=");
        escape_put_value(output, (const uint8_t *)link->since, strlen(link->since));
    }
}

/* A publisher has no channel of its own, and no messages come back to it on /stream. */
void websocket_put_hello(struct protocol_link *link, struct bytes *output) {
    opening_put_start(output, link, "GET ");
    if (link->is_publisher || link->selector_count == 0) {
        escape_put_text(output, "/stream");
    } else {
        escape_put_text(output, "/channels/");
        escape_put_path(output, link->selectors[0]);
        put_since(output, link);
    }
    upgrade_put_request(output, link);
}

void stream_put_hello(struct protocol_link *link, struct bytes *output) {
    opening_put_start(output, link, "GET ");
    escape_put_text(output, "/stream");
    upgrade_put_request(output, link);
}

void nchan_websocket_put_hello(struct protocol_link *link, struct bytes *output) {
    opening_put_start(output, link, "GET ");
    escape_put_text(output, "/");
    escape_put_path(output, link->selector_count > 0 ? link->selectors[0] : "");
    upgrade_put_request(output, link);
}

void websocket_put_publish(struct protocol_link *link, const struct protocol_message *messages,
                           size_t count, struct bytes *output) {
    (void)count;
    size_t begin = upgrade_begin_frame(output);
    escape_put_text(output, "{\"publish\":{\"channel\":");
    escape_put_json(output, messages->channel);
    escape_put_text(output, ",\"data\":");
    bytes_put(output, messages->payload, messages->length);
    escape_put_text(output, "},\"ref\":");
    escape_put_number(output, ++link->packet_id);
    bytes_put(output, "}", 1);
    upgrade_end_frame(output, begin, link, UPGRADE_TEXT);
}

static void put_subscribe(struct protocol_link *link, const char *selector, struct bytes *output) {
    size_t begin = upgrade_begin_frame(output);
    escape_put_text(output, "{\"subscribe\":");
    escape_put_json(output, selector);
    if (link->since != NULL) {
        escape_put_text(output, ",\"since\":");
        escape_put_json(output, link->since);
    }
    escape_put_text(output, ",\"ref\":");
    escape_put_number(output, ++link->packet_id);
    bytes_put(output, "}", 1);
    upgrade_end_frame(output, begin, link, UPGRADE_TEXT);
}

static enum protocol_told tell_ready(struct protocol_link *link) {
    link->is_open = true;
    return PROTOCOL_READY;
}

static enum protocol_told take_handshake(struct protocol_link *link, const uint8_t *bytes,
                                         size_t length, struct protocol_unit *ret_unit) {
    enum protocol_told told = upgrade_take_answer(bytes, length, ret_unit);
    if (told == PROTOCOL_NOTHING) {
        link->phase = PHASE_FRAMES;
    }
    return told;
}

/* `{"ref":` was seen. */
static enum protocol_told take_reply(struct protocol_link *link, struct protocol_unit *ret_unit) {
    static const char mark[] = ",\"error\":{";
    bool is_error =
        memmem(ret_unit->payload, ret_unit->payload_length, mark, sizeof(mark) - 1) != NULL;
    if (link->is_publisher) {
        ret_unit->count = 1;
        ret_unit->is_refused = is_error;
        ret_unit->why = "the server answered";
        return PROTOCOL_ANSWER;
    }
    if (is_error) {
        ret_unit->why = "a subscription was refused";
        return PROTOCOL_REFUSED;
    }
    if (link->awaited == 0) {
        return PROTOCOL_NOTHING;
    }
    return --link->awaited == 0 ? tell_ready(link) : PROTOCOL_NOTHING;
}

static enum protocol_told judge(struct protocol_link *link, struct protocol_unit *ret_unit) {
    const uint8_t *text = ret_unit->payload;
    if (ret_unit->payload_length < 8) { /* {"at":1} */
        return PROTOCOL_NOTHING;
    }
    if (text[2] == 'c') {
        return PROTOCOL_MESSAGE;
    }
    if (text[2] == 'r') {
        return take_reply(link, ret_unit);
    }
    if (text[2] != 's') {
        return PROTOCOL_NOTHING;
    }
    const uint8_t *comma = memchr(text, ',', ret_unit->payload_length - 2);
    return comma != NULL && comma[2] == 'c' ? PROTOCOL_MESSAGE : PROTOCOL_NOTHING;
}

enum protocol_told websocket_take(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                  struct bytes *output, struct protocol_unit *ret_unit) {
    if (link->phase == PHASE_FRAMES) {
        enum protocol_told told = upgrade_take(link, bytes, length, output, ret_unit);
        return told == PROTOCOL_MESSAGE ? judge(link, ret_unit) : told;
    }
    enum protocol_told told = take_handshake(link, bytes, length, ret_unit);
    return told == PROTOCOL_NOTHING ? tell_ready(link) : told;
}

enum protocol_told stream_take(struct protocol_link *link, const uint8_t *bytes, size_t length,
                               struct bytes *output, struct protocol_unit *ret_unit) {
    if (link->phase == PHASE_FRAMES) {
        return websocket_take(link, bytes, length, output, ret_unit);
    }
    enum protocol_told told = take_handshake(link, bytes, length, ret_unit);
    if (told != PROTOCOL_NOTHING) {
        return told;
    }
    for (size_t i = 0; i < link->selector_count; i++) {
        put_subscribe(link, link->selectors[i], output);
    }
    link->awaited = (uint32_t)link->selector_count;
    return link->awaited == 0 ? tell_ready(link) : PROTOCOL_NOTHING;
}

/* The payload is all there is in a message. */
enum protocol_told bare_websocket_take(struct protocol_link *link, const uint8_t *bytes,
                                       size_t length, struct bytes *output,
                                       struct protocol_unit *ret_unit) {
    if (link->phase == PHASE_FRAMES) {
        return upgrade_take(link, bytes, length, output, ret_unit);
    }
    enum protocol_told told = take_handshake(link, bytes, length, ret_unit);
    return told == PROTOCOL_NOTHING ? tell_ready(link) : told;
}

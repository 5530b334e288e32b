/* SPDX-License-Identifier: Apache-2.0 */
/* A reader that pulls: pages of history, the next request as soon as a page is over, to the head.
 *
 *     {"messages":[{…},{…}],"first":1,"last":9,"prev":"<id>","next":"<id>","at_head":true}
 *     ^ BEGIN      ^ MESSAGES           ^ TAIL, one unit
 *
 * Several selectors are read one after the other. `packet_id` is the part of the page that comes,
 * `awaited` the selector.
 */
#include <string.h>

#include "clients/bench/carrier.h"
#include "clients/bench/escape.h"
#include "clients/bench/items.h"

#define BEGIN_MARK "{\"messages\":["
#define NEXT_MARK "\"next\":\""
#define HEAD_MARK "\"at_head\":true"
#define ID_BYTES_MAX 128

enum part { PART_BEGIN, PART_MESSAGES, PART_TAIL };

static void put_request(const struct protocol_link *link, const uint8_t *since, size_t length,
                        struct bytes *output) {
    opening_put_start(output, link, "GET ");
    escape_put_text(output, "/channels/");
    escape_put_path(output, link->selectors[link->awaited]);
    escape_put_text(output, "?limit=1000&since=");
    escape_put_value(output, since, length);
    opening_put_fields(output, link, "");
}

static void put_first(const struct protocol_link *link, struct bytes *output) {
    const char *since = link->since != NULL ? link->since : "earliest";
    put_request(link, (const uint8_t *)since, strlen(since), output);
}

void history_put_hello(struct protocol_link *link, struct bytes *output) {
    link->awaited = 0;
    if (link->selector_count > 0) {
        put_first(link, output);
    }
}

/* `tail` is all behind the messages. */
static enum protocol_told finish_page(struct protocol_link *link, const uint8_t *tail,
                                      size_t length, struct bytes *output,
                                      struct protocol_unit *ret_unit) {
    const uint8_t *next = memmem(tail, length, NEXT_MARK, sizeof(NEXT_MARK) - 1);
    if (next == NULL) {
        return protocol_refuse(ret_unit, "a page of history does not say where to go on");
    }
    const uint8_t *id = next + sizeof(NEXT_MARK) - 1;
    size_t rest = length - (size_t)(id - tail);
    const uint8_t *quote = memchr(id, '"', rest);
    if (quote == NULL || quote - id > ID_BYTES_MAX) {
        return protocol_refuse(ret_unit, "a page of history says badly where to go on");
    }
    if (memmem(quote, rest - (size_t)(quote - id), HEAD_MARK, sizeof(HEAD_MARK) - 1) == NULL) {
        put_request(link, id, (size_t)(quote - id), output);
        return PROTOCOL_NOTHING;
    }
    if (++link->awaited < link->selector_count) {
        put_first(link, output);
        return PROTOCOL_NOTHING;
    }
    link->awaited = 0;
    return PROTOCOL_END;
}

static enum protocol_told take_begin(struct protocol_link *link, const uint8_t *bytes,
                                     size_t length, struct protocol_unit *ret_unit) {
    size_t mark = sizeof(BEGIN_MARK) - 1;
    if (memcmp(bytes, BEGIN_MARK, length < mark ? length : mark) != 0) {
        return protocol_refuse(ret_unit, "what came is no page of history");
    }
    if (length < mark) {
        return PROTOCOL_MORE;
    }
    link->packet_id = PART_MESSAGES;
    ret_unit->length = mark;
    return PROTOCOL_NOTHING;
}

static enum protocol_told take_tail(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                    struct bytes *output, struct protocol_unit *ret_unit) {
    size_t end = items_find_end(bytes, length, 1);
    if (end == 0) {
        return PROTOCOL_MORE;
    }
    link->packet_id = PART_BEGIN;
    ret_unit->length = end;
    return finish_page(link, bytes, end, output, ret_unit);
}

static enum protocol_told take_part(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                    struct bytes *output, struct protocol_unit *ret_unit) {
    if (link->packet_id == PART_BEGIN) {
        return take_begin(link, bytes, length, ret_unit);
    }
    if (link->packet_id == PART_TAIL) {
        return take_tail(link, bytes, length, output, ret_unit);
    }
    size_t skipped = bytes[0] == ',';
    if (bytes[0] == ']') {
        link->packet_id = PART_TAIL;
        ret_unit->length = 1;
        return PROTOCOL_NOTHING;
    }
    if (length == skipped) {
        return PROTOCOL_MORE;
    }
    if (bytes[skipped] != '{') {
        return protocol_refuse(ret_unit, "a page of history has something that is no message");
    }
    size_t end = items_find_end(bytes + skipped, length - skipped, 0);
    if (end == 0) {
        return PROTOCOL_MORE;
    }
    ret_unit->payload = bytes + skipped;
    ret_unit->payload_length = end;
    ret_unit->length = skipped + end;
    return PROTOCOL_MESSAGE;
}

static enum protocol_told take_head(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                    struct protocol_unit *ret_unit) {
    enum protocol_told told = carrier_take_head(link, bytes, length, ret_unit);
    if (told != PROTOCOL_READY) {
        return told;
    }
    if (link->phase == CARRIER_END) {
        return protocol_refuse(ret_unit, "a page of history is empty");
    }
    bool is_first = !link->is_open;
    link->is_open = true;
    return is_first ? PROTOCOL_READY : PROTOCOL_NOTHING;
}

enum protocol_told history_take(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                struct bytes *output, struct protocol_unit *ret_unit) {
    if (link->phase == CARRIER_HEAD) {
        return take_head(link, bytes, length, ret_unit);
    }
    enum protocol_told told = carrier_take_body(link, bytes, length, output, ret_unit, take_part);
    if (link->phase == CARRIER_END) {
        link->phase = CARRIER_HEAD;
        if (link->packet_id != PART_BEGIN) {
            return protocol_refuse(ret_unit, "a page of history ends early");
        }
    }
    return told;
}

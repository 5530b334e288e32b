/* SPDX-License-Identifier: Apache-2.0 */
/* A receiver of webhooks: each JSON object at the top of a body, or in an array there, or in a line
 * of its own, is a message. Each request is answered 204 when it is over.
 */
#include <string.h>

#include "clients/bench/carrier.h"
#include "clients/bench/escape.h"
#include "clients/bench/items.h"

/* What stands between objects is skipped: brackets of an array, commas, line ends. */
static enum protocol_told take_item(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                    struct bytes *output, struct protocol_unit *ret_unit) {
    (void)link;
    (void)output;
    const uint8_t *begin = memchr(bytes, '{', length);
    if (begin == NULL) {
        ret_unit->length = length;
        return PROTOCOL_NOTHING;
    }
    size_t skipped = (size_t)(begin - bytes);
    size_t end = items_find_end(begin, length - skipped, 0);
    if (end == 0) {
        return PROTOCOL_MORE;
    }
    ret_unit->payload = begin;
    ret_unit->payload_length = end;
    ret_unit->length = skipped + end;
    return PROTOCOL_MESSAGE;
}

static enum protocol_told take_head(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                    struct bytes *output, struct protocol_unit *ret_unit) {
    struct opening opening;
    enum opening_state state = opening_read(bytes, length, &opening);
    if (state == OPENING_CUT) {
        return PROTOCOL_MORE;
    }
    if (state == OPENING_BAD || opening.status != 0) {
        return protocol_refuse(ret_unit, "what came is no HTTP request");
    }
    if (opening.is_expecting) {
        escape_put_text(output, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    carrier_begin_body(link, &opening);
    ret_unit->length = opening.length;
    return PROTOCOL_NOTHING;
}

enum protocol_told webhook_take(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                struct bytes *output, struct protocol_unit *ret_unit) {
    enum protocol_told told =
        link->phase == CARRIER_HEAD
            ? take_head(link, bytes, length, output, ret_unit)
            : carrier_take_body(link, bytes, length, output, ret_unit, take_item);
    if (link->phase == CARRIER_END && told != PROTOCOL_REFUSED) {
        link->phase = CARRIER_HEAD;
        escape_put_text(output, "HTTP/1.1 204 No Content\r\n\r\n");
    }
    return told;
}

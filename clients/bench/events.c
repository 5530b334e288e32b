/* SPDX-License-Identifier: Apache-2.0 */
/* An event stream (HTML, section 9.2), in a body with chunks or without. An event is a message when
 * it has data and no name: the load publishes none with a name, so that what has one (`gap`,
 * `close`) is the server's own. Lines that end with CR alone, which no server sends, are not known.
 */
#include <string.h>

#include "clients/bench/carrier.h"
#include "clients/bench/escape.h"

#define DATA_BYTES 5 /* "data:" */

static void put_request(struct bytes *output, const struct protocol_link *link) {
    opening_put_fields(output, link, "Accept: text/event-stream\r\n");
}

static void put_parameter(struct bytes *output, const char *name, const char *value) {
    escape_put_text(output, name);
    escape_put_value(output, (const uint8_t *)value, strlen(value));
}

void events_put_hello(struct protocol_link *link, struct bytes *output) {
    bool is_one = link->selector_count == 1;
    opening_put_start(output, link, "GET ");
    if (is_one) {
        escape_put_text(output, "/channels/");
        escape_put_path(output, link->selectors[0]);
    } else {
        escape_put_text(output, "/stream");
    }
    for (size_t i = 0; i < link->selector_count && !is_one; i++) {
        put_parameter(output, i == 0 ? "?channel=" : "&channel=", link->selectors[i]);
    }
    if (link->since != NULL) {
        put_parameter(output, is_one ? "?since=" : "&since=", link->since);
    }
    put_request(output, link);
}

void nchan_events_put_hello(struct protocol_link *link, struct bytes *output) {
    opening_put_start(output, link, "GET ");
    escape_put_text(output, "/");
    escape_put_path(output, link->selector_count > 0 ? link->selectors[0] : "");
    put_request(output, link);
}

/* Up to Mercure 0.x a reader asks for a `topic`, from 1.0 on for a `match`; each passes over the
 * other. */
void mercure_events_put_hello(struct protocol_link *link, struct bytes *output) {
    opening_put_start(output, link, "GET ");
    escape_put_text(output, "/.well-known/mercure");
    for (size_t i = 0; i < link->selector_count; i++) {
        put_parameter(output, i == 0 ? "?topic=" : "&topic=", link->selectors[i]);
        put_parameter(output, "&match=", link->selectors[i]);
    }
    put_request(output, link);
}

/* The lines up to an empty one. */
static enum protocol_told take_event(struct protocol_link *link, const uint8_t *bytes,
                                     size_t length, struct bytes *output,
                                     struct protocol_unit *ret_unit) {
    const uint8_t *end = bytes + length, *data = NULL, *data_end = NULL;
    bool is_named = false;
    (void)link;
    (void)output;
    for (const uint8_t *line = bytes, *line_end; line < end; line = line_end + 1) {
        line_end = memchr(line, '\n', (size_t)(end - line));
        if (line_end == NULL) {
            return PROTOCOL_MORE;
        }
        size_t line_length = (size_t)(line_end - line);
        line_length -= line_length > 0 && line_end[-1] == '\r';
        if (line_length == 0) {
            ret_unit->length = (size_t)(line_end + 1 - bytes);
            ret_unit->payload = data;
            ret_unit->payload_length = data == NULL ? 0 : (size_t)(data_end - data);
            return data != NULL && !is_named ? PROTOCOL_MESSAGE : PROTOCOL_NOTHING;
        }
        if (line_length > DATA_BYTES && memcmp(line, "data:", DATA_BYTES) == 0) {
            data = data == NULL ? line + DATA_BYTES : data;
            data_end = line + line_length;
        } else if (line_length > 6 && memcmp(line, "event:", 6) == 0) {
            is_named = true;
        }
    }
    return PROTOCOL_MORE;
}

static enum protocol_told take_head(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                    struct protocol_unit *ret_unit) {
    enum protocol_told told = carrier_take_head(link, bytes, length, ret_unit);
    link->is_open = told == PROTOCOL_READY;
    return told;
}

enum protocol_told events_take(struct protocol_link *link, const uint8_t *bytes, size_t length,
                               struct bytes *output, struct protocol_unit *ret_unit) {
    if (link->phase == CARRIER_HEAD) {
        return take_head(link, bytes, length, ret_unit);
    }
    if (link->phase == CARRIER_END) {
        ret_unit->why = "the event stream ended";
        return PROTOCOL_REFUSED;
    }
    return carrier_take_body(link, bytes, length, output, ret_unit, take_event);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/framing.h"

#include "protocols/envelope.h"
#include "protocols/websocket/frame.h"

static enum error_code put_message(struct buffer *buffer, const struct message *message) {
    size_t start = 0;
    size_t length_before = buffer->length;
    enum error_code code = frame_begin(buffer, &start);
    if (code == OK) {
        code = envelope_put(buffer, message, NULL);
    }
    if (code != OK) {
        buffer->length = length_before;
        return code;
    }
    frame_end(buffer, start, FRAME_TEXT);
    return OK;
}

/* {"gap":{…}} */
static enum error_code put_gap(struct buffer *buffer, struct span channel,
                               const struct storage_page *page) {
    struct envelope_gap gap = {.channel = channel,
                               .gap = page->gap,
                               .resumed = page->start,
                               .first = page->first,
                               .last = page->last};
    size_t start = 0;
    size_t length_before = buffer->length;
    enum error_code code = frame_begin(buffer, &start);
    if (code == OK) {
        code = buffer_put(buffer, SPAN("{\"gap\":"));
    }
    if (code == OK) {
        code = envelope_put_gap(buffer, &gap);
    }
    if (code == OK) {
        code = buffer_put(buffer, SPAN("}"));
    }
    if (code != OK) {
        buffer->length = length_before;
        return code;
    }
    frame_end(buffer, start, FRAME_TEXT);
    return OK;
}

const struct framing websocket_framing = {
    .name = "websocket", .slot = 0, .put_message = put_message, .put_gap = put_gap};

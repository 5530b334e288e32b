/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/framing.h"

#include "protocols/envelope.h"
#include "protocols/websocket/frame.h"

static enum error_code put_message(struct buffer *buffer, const struct message *message,
                                   const struct frame_options *options) {
    struct envelope_options own = {.subscription = options->subscription,
                                   .skipped = options->skipped};
    size_t start = 0;
    size_t length_before = buffer->length;
    enum error_code code = frame_begin(buffer, &start);
    if (code == OK) {
        code = envelope_put(buffer, message, &own);
    }
    if (code != OK) {
        buffer->length = length_before;
        return code;
    }
    frame_end(buffer, start, FRAME_TEXT);
    return OK;
}

/* {"gap":{…}} or {"sub":1,"gap":{…}} */
static enum error_code put_gap(struct buffer *buffer, const struct storage_gap *gap,
                               const struct frame_options *options) {
    size_t start = 0;
    size_t length_before = buffer->length;
    enum error_code code = frame_begin(buffer, &start);
    if (code == OK) {
        code = options->subscription == 0
                   ? buffer_put(buffer, SPAN("{\"gap\":"))
                   : buffer_printf(buffer, "{\"sub\":%llu,\"gap\":",
                                   (unsigned long long)options->subscription);
    }
    if (code == OK) {
        code = envelope_put_gap(buffer, gap);
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

const struct framing websocket_framing = {.name = "websocket",
                                          .slot = WEBSOCKET_SLOT_PLAIN,
                                          .put_message = put_message,
                                          .put_gap = put_gap};

const struct framing websocket_framing_subscribed = {.name = "websocket",
                                                     .slot = WEBSOCKET_SLOT_SUBSCRIBED,
                                                     .put_message = put_message,
                                                     .put_gap = put_gap};

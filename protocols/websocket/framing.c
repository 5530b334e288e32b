/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/framing.h"

#include <string.h>

#include "broker/support/invariant.h"
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

/* The number stands in front: {"sub":1,… becomes {"sub":27,… */
static enum error_code put_renumbered(struct buffer *buffer, struct span frame,
                                      uint64_t subscription) {
    static const struct span before = {(const uint8_t *)"{\"sub\":", 7};
    size_t header_length = frame_header_length(frame.bytes);
    struct span payload = span_of(frame.bytes + header_length, frame.length - header_length);
    INVARIANT(span_has_prefix(payload, before));
    const uint8_t *comma = memchr(payload.bytes, ',', payload.length);
    INVARIANT(comma != NULL);
    struct span behind = span_of(comma, (size_t)(payload.bytes + payload.length - comma));
    uint8_t digits[SPAN_U64_DIGITS];
    struct span number = span_format_u64(subscription, digits);
    size_t length_before = buffer->length;
    enum error_code code =
        frame_put_header(buffer, FRAME_TEXT, before.length + number.length + behind.length);
    if (code == OK) {
        code = buffer_put(buffer, before);
    }
    if (code == OK) {
        code = buffer_put(buffer, number);
    }
    if (code == OK) {
        code = buffer_put(buffer, behind);
    }
    if (code != OK) {
        buffer->length = length_before;
    }
    return code;
}

const struct framing websocket_framing = {.name = "websocket",
                                          .slot = WEBSOCKET_SLOT_PLAIN,
                                          .put_message = put_message,
                                          .put_gap = put_gap};

const struct framing websocket_framing_subscribed = {.name = "websocket",
                                                     .slot = WEBSOCKET_SLOT_SUBSCRIBED,
                                                     .put_message = put_message,
                                                     .put_gap = put_gap,
                                                     .put_renumbered = put_renumbered};

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/compression.h"

#include <stdlib.h>

#include "broker/channels/rules.h"
#include "broker/limits.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "protocols/websocket/frame.h"
#include "protocols/websocket/framing.h"

#define PACKED_BYTES_KEPT 65536

struct compression {
    const struct broker *broker;
    struct deflate *codec;
    struct buffer packed;
    struct framing framing;
    struct framing framing_subscribed;
};

/* --- frames ----------------------------------------------------------------------------------- */

/* Replaces a frame (the last thing in the buffer) by its compressed self, if that is smaller: so
 * there is room for it. */
static void pack(struct compression *compression, struct buffer *buffer, size_t start) {
    size_t header_length = frame_header_length(buffer->bytes + start);
    size_t payload_at = start + header_length;
    INVARIANT(buffer->length >= payload_at);
    struct span payload = span_of(buffer->bytes + payload_at, buffer->length - payload_at);
    struct buffer *packed = &compression->packed;
    buffer_clear(packed);
    if (payload.length >= COMPRESSION_BYTES_MIN &&
        deflate_pack(compression->codec, payload, packed) == OK &&
        packed->length < payload.length) {
        buffer->length = start;
        INVARIANT(frame_put(buffer, FRAME_TEXT_DEFLATED, buffer_borrow(packed)) == OK);
    }
    if (packed->capacity > PACKED_BYTES_KEPT) {
        buffer_finish(packed);
    }
}

static enum error_code put_message(struct buffer *buffer, const struct message *message,
                                   const struct frame_options *options) {
    struct compression *compression = options->context;
    size_t start = buffer->length;
    enum error_code code = websocket_framing.put_message(buffer, message, options);
    if (code == OK && rules_find(compression->broker->rules, message->fields.channel)->deflate) {
        pack(compression, buffer, start);
    }
    return code;
}

/* --- the worker's ----------------------------------------------------------------------------- */

static void destroy(void *state) {
    struct compression *compression = state;
    deflate_destroy(compression->codec);
    buffer_finish(&compression->packed);
    free(compression);
}

static struct framing framing_of(struct compression *compression, uint8_t slot) {
    struct framing framing = websocket_framing;
    framing.slot = slot;
    framing.put_message = put_message;
    framing.context = compression;
    return framing;
}

enum error_code compression_open(struct worker *worker) {
    if (compression_borrow(worker) != NULL) {
        return OK;
    }
    struct compression *compression = calloc(1, sizeof(*compression));
    if (compression == NULL || deflate_create(&compression->codec) != OK) {
        free(compression);
        return ERR_MEMORY;
    }
    compression->broker = worker_broker(worker);
    buffer_init(&compression->packed, FRAME_BYTES_MAX);
    compression->framing = framing_of(compression, WEBSOCKET_SLOT_DEFLATED);
    compression->framing_subscribed = framing_of(compression, WEBSOCKET_SLOT_SUBSCRIBED_DEFLATED);
    worker_set_protocol_state(worker, compression, destroy);
    return OK;
}

struct compression *compression_borrow(const struct worker *worker) {
    return worker_borrow_protocol_state(worker);
}

const struct framing *compression_framing(const struct compression *compression,
                                          bool has_subscriptions) {
    return has_subscriptions ? &compression->framing_subscribed : &compression->framing;
}

struct deflate *compression_codec(struct compression *compression) {
    return compression->codec;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/transport.h"

#include <stdlib.h>

#include "broker/limits.h"
#include "protocols/mqtt/mqtt_private.h"
#include "protocols/websocket/frame.h"

struct socket_frames {
    struct frame_decoder decoder;
};

enum error_code transport_use_frames(struct mqtt *mqtt) {
    mqtt->frames = malloc(sizeof(*mqtt->frames));
    if (mqtt->frames == NULL) {
        return ERR_MEMORY;
    }
    /* Nothing of a message is gathered, so its length is nobody's burden. */
    frame_decoder_init(&mqtt->frames->decoder, INT64_MAX, false);
    return OK;
}

void transport_finish(struct mqtt *mqtt) {
    transport_drop(mqtt);
    free(mqtt->frames);
    mqtt->frames = NULL;
}

/* NULL: out of memory. */
static struct buffer *borrow_output(struct mqtt *mqtt) {
    if (mqtt->output == NULL) {
        mqtt->output = malloc(sizeof(*mqtt->output));
        if (mqtt->output != NULL) {
            buffer_init(mqtt->output, FRAME_BYTES_MAX);
        }
    }
    return mqtt->output;
}

/* --- in --------------------------------------------------------------------------------------- */

static void answer_ping(struct mqtt *mqtt, struct span payload) {
    struct buffer *output = borrow_output(mqtt);
    if (output != NULL && frame_put(output, FRAME_PONG, payload) == OK) {
        mqtt_ask_flush(mqtt);
    }
}

/* True: MQTT came. */
static bool take_event(struct mqtt *mqtt, const struct frame_event *event) {
    switch (event->kind) {
    case FRAME_DATA:
        if (event->opcode == FRAME_BINARY) {
            return true;
        }
        mqtt_end(mqtt, MQTT_REASON_PROTOCOL_ERROR, CLOSE_UNSUPPORTED,
                 "MQTT comes in binary frames"); /* [MQTT-6.0.0-1] */
        return false;
    case FRAME_PINGED:
        answer_ping(mqtt, event->bytes);
        return false;
    case FRAME_CLOSED:
        mqtt->is_peer_done = true;
        return false;
    case FRAME_NOTHING:
    case FRAME_PONGED:
        break;
    }
    return false;
}

bool transport_next(struct mqtt *mqtt, struct span *input, struct span *ret_piece) {
    if (mqtt->frames == NULL) {
        *ret_piece = *input;
        *input = (struct span){0};
        return ret_piece->length > 0;
    }
    struct frame_event event = {.kind = FRAME_PONGED};
    uint8_t *bytes = (uint8_t *)(uintptr_t)input->bytes;
    while (!mqtt->is_closed && event.kind != FRAME_NOTHING) {
        struct error why = {0};
        enum error_code code =
            frame_decode(&mqtt->frames->decoder, &bytes, &input->length, &event, &why);
        input->bytes = bytes;
        if (code != OK) {
            mqtt_end(mqtt, MQTT_REASON_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR, why.detail);
            return false;
        }
        if (take_event(mqtt, &event)) {
            *ret_piece = event.bytes;
            return true;
        }
    }
    return false;
}

/* --- out -------------------------------------------------------------------------------------- */

enum error_code transport_put(struct mqtt *mqtt, struct span packet) {
    struct buffer *output = borrow_output(mqtt);
    if (output == NULL) {
        return ERR_MEMORY;
    }
    return mqtt->frames == NULL ? buffer_put(output, packet)
                                : frame_put(output, FRAME_BINARY, packet);
}

enum error_code transport_put_close(struct mqtt *mqtt, enum close_reason reason) {
    const struct close_row *row = close_row(reason);
    if (mqtt->frames == NULL) {
        return OK;
    }
    struct buffer *output = borrow_output(mqtt);
    return output == NULL
               ? ERR_MEMORY
               : frame_put_close(output, row->websocket_close, span_of_string(row->text));
}

bool transport_has_output(const struct mqtt *mqtt) {
    return mqtt->output != NULL && mqtt->output->length > 0;
}

void transport_flush(struct mqtt *mqtt) {
    if (transport_has_output(mqtt)) {
        connection_write(mqtt->connection, buffer_borrow(mqtt->output));
    }
    transport_drop(mqtt);
}

void transport_drop(struct mqtt *mqtt) {
    if (mqtt->output != NULL) {
        buffer_finish(mqtt->output);
        free(mqtt->output);
        mqtt->output = NULL;
    }
}

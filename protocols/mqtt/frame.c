/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/frame.h"

#include "protocols/mqtt/wire.h"

#define FLAG_BITS 0x0F
#define QOS_BITS 0x06
#define DUP_BIT 0x08

/* Types whose flags have a statement of their own. */
static const enum mqtt_fault flag_faults[MQTT_TYPE_COUNT] = {
    [MQTT_PUBREL] = MQTT_FAULT_FLAGS_PUBREL,
    [MQTT_SUBSCRIBE] = MQTT_FAULT_FLAGS_SUBSCRIBE,
    [MQTT_UNSUBSCRIBE] = MQTT_FAULT_FLAGS_UNSUBSCRIBE,
    [MQTT_DISCONNECT] = MQTT_FAULT_FLAGS_DISCONNECT,
    [MQTT_AUTH] = MQTT_FAULT_FLAGS_AUTH,
};

static enum mqtt_fault check_flags(const struct mqtt_type_row *row, enum mqtt_type type,
                                   uint8_t flags) {
    if (row->flags == MQTT_FLAGS_FREE) {
        if ((flags & QOS_BITS) == QOS_BITS) {
            return MQTT_FAULT_PUBLISH_QOS;
        }
        bool is_repeated = (flags & DUP_BIT) != 0;
        return is_repeated && (flags & QOS_BITS) == 0 ? MQTT_FAULT_PUBLISH_DUP : MQTT_FAULT_NONE;
    }
    if (flags == row->flags) {
        return MQTT_FAULT_NONE;
    }
    return flag_faults[type] != MQTT_FAULT_NONE ? flag_faults[type] : MQTT_FAULT_FLAGS;
}

static enum mqtt_fault check_first_byte(uint8_t byte, const struct mqtt_dialect *dialect,
                                        struct mqtt_frame *frame) {
    uint8_t type = byte >> 4;
    const struct mqtt_type_row *row = mqtt_type_row(type);
    if (dialect->version == MQTT_VERSION_NONE && type != MQTT_CONNECT) {
        return MQTT_FAULT_CONNECT_MISSING;
    }
    if (row == NULL) {
        return MQTT_FAULT_TYPE_RESERVED;
    }
    uint8_t senders = dialect->version == MQTT_VERSION_3_1_1 ? row->senders_311 : row->senders_5;
    if ((senders & dialect->sender) == 0) {
        return senders == MQTT_NOBODY ? MQTT_FAULT_TYPE_RESERVED : MQTT_FAULT_SENDER;
    }
    frame->type = (enum mqtt_type)type;
    frame->flags = byte & FLAG_BITS;
    return check_flags(row, frame->type, frame->flags);
}

static enum mqtt_fault check_length(uint32_t body_length, const struct mqtt_dialect *dialect,
                                    const struct mqtt_frame *frame) {
    const struct mqtt_type_row *row = mqtt_type_row((uint8_t)frame->type);
    bool is_311 = dialect->version == MQTT_VERSION_3_1_1;
    if (dialect->version == MQTT_VERSION_5 && !frame->is_shortest) {
        return MQTT_FAULT_LENGTH_NOT_SHORTEST;
    }
    if (body_length > (is_311 ? row->body_bytes_max_311 : row->body_bytes_max_5)) {
        return MQTT_FAULT_BODY_LONG;
    }
    return frame->packet_length > dialect->packet_bytes_max ? MQTT_FAULT_PACKET_TOO_LARGE
                                                            : MQTT_FAULT_NONE;
}

static enum mqtt_fault read_frame(struct span input, const struct mqtt_dialect *dialect,
                                  struct mqtt_frame *frame) {
    struct mqtt_reader reader = mqtt_reader_of(input);
    uint8_t first;
    if (!mqtt_take_u8(&reader, &first)) {
        return MQTT_FAULT_NONE;
    }
    enum mqtt_fault fault = check_first_byte(first, dialect, frame);
    if (fault != MQTT_FAULT_NONE) {
        return fault;
    }
    uint32_t body_length = 0;
    enum mqtt_varint_state state = mqtt_take_varint(&reader, &body_length, &frame->is_shortest);
    if (state != MQTT_VARINT_WHOLE) {
        return state == MQTT_VARINT_CUT ? MQTT_FAULT_NONE : MQTT_FAULT_LENGTH_ENDLESS;
    }
    frame->packet_length = (size_t)(reader.next - input.bytes) + body_length;
    frame->is_whole = mqtt_take_bytes(&reader, body_length, &frame->body);
    return check_length(body_length, dialect, frame);
}

enum error_code mqtt_frame_read(struct span input, const struct mqtt_dialect *dialect,
                                struct mqtt_frame *ret_frame, struct mqtt_refusal *ret_refusal,
                                struct error *why) {
    *ret_frame = (struct mqtt_frame){0};
    return mqtt_fault_tell(read_frame(input, dialect, ret_frame), dialect->version, ret_refusal,
                           why);
}

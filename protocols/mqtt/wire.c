/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/wire.h"

#include "broker/support/invariant.h"
#include "broker/support/utf8.h"
#include "protocols/mqtt/protocol.h"

#define CONTINUATION_BIT 0x80
#define VALUE_BITS 0x7F

bool mqtt_take_u8(struct mqtt_reader *reader, uint8_t *ret_value) {
    if (reader->next == reader->end) {
        return false;
    }
    *ret_value = *reader->next++;
    return true;
}

bool mqtt_take_u16(struct mqtt_reader *reader, uint16_t *ret_value) {
    if (mqtt_left(reader) < 2) {
        return false;
    }
    *ret_value = (uint16_t)(reader->next[0] << 8 | reader->next[1]);
    reader->next += 2;
    return true;
}

bool mqtt_take_u32(struct mqtt_reader *reader, uint32_t *ret_value) {
    if (mqtt_left(reader) < 4) {
        return false;
    }
    const uint8_t *bytes = reader->next;
    *ret_value =
        (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    reader->next += 4;
    return true;
}

bool mqtt_take_bytes(struct mqtt_reader *reader, size_t count, struct span *ret_bytes) {
    if (mqtt_left(reader) < count) {
        return false;
    }
    *ret_bytes = span_of(reader->next, count);
    if (count > 0) {
        reader->next += count;
    }
    return true;
}

bool mqtt_take_binary(struct mqtt_reader *reader, struct span *ret_bytes) {
    struct mqtt_reader inside = *reader;
    uint16_t length;
    if (!mqtt_take_u16(&inside, &length) || !mqtt_take_bytes(&inside, length, ret_bytes)) {
        return false;
    }
    *reader = inside;
    return true;
}

enum mqtt_varint_state mqtt_take_varint(struct mqtt_reader *reader, uint32_t *ret_value,
                                        bool *ret_is_shortest) {
    size_t left = mqtt_left(reader);
    uint32_t value = 0;
    for (size_t i = 0; i < MQTT_VARINT_BYTES_MAX; i++) {
        if (i == left) {
            return MQTT_VARINT_CUT;
        }
        uint8_t byte = reader->next[i];
        value |= (uint32_t)(byte & VALUE_BITS) << (7 * i);
        if ((byte & CONTINUATION_BIT) == 0) {
            reader->next += i + 1;
            *ret_value = value;
            *ret_is_shortest = i == 0 || byte != 0;
            return MQTT_VARINT_WHOLE;
        }
    }
    return MQTT_VARINT_ENDLESS;
}

enum mqtt_fault mqtt_string_check(struct span string) {
    if (string.length == 0) {
        return MQTT_FAULT_NONE;
    }
    if (memchr(string.bytes, 0, string.length) != NULL) {
        return MQTT_FAULT_NUL;
    }
    return utf8_is_valid(string) ? MQTT_FAULT_NONE : MQTT_FAULT_UTF8;
}

size_t mqtt_varint_size(uint32_t value) {
    INVARIANT(value <= MQTT_LENGTH_MAX);
    return 1 + (value > 0x7F) + (value > 0x3FFF) + (value > 0x1FFFFF);
}

void mqtt_put_u8(struct buffer *buffer, uint8_t value) {
    INVARIANT(buffer->length < buffer->capacity);
    buffer->bytes[buffer->length++] = value;
}

void mqtt_put_u16(struct buffer *buffer, uint16_t value) {
    mqtt_put_u8(buffer, (uint8_t)(value >> 8));
    mqtt_put_u8(buffer, (uint8_t)value);
}

void mqtt_put_u32(struct buffer *buffer, uint32_t value) {
    mqtt_put_u16(buffer, (uint16_t)(value >> 16));
    mqtt_put_u16(buffer, (uint16_t)value);
}

void mqtt_put_varint(struct buffer *buffer, uint32_t value) {
    INVARIANT(value <= MQTT_LENGTH_MAX);
    while (value > VALUE_BITS) {
        mqtt_put_u8(buffer, (uint8_t)(value | CONTINUATION_BIT));
        value >>= 7;
    }
    mqtt_put_u8(buffer, (uint8_t)value);
}

void mqtt_put_bytes(struct buffer *buffer, struct span bytes) {
    INVARIANT(bytes.length <= buffer->capacity - buffer->length);
    if (bytes.length > 0) {
        memcpy(buffer->bytes + buffer->length, bytes.bytes, bytes.length);
        buffer->length += bytes.length;
    }
}

void mqtt_put_binary(struct buffer *buffer, struct span bytes) {
    INVARIANT(bytes.length <= MQTT_STRING_BYTES_MAX);
    mqtt_put_u16(buffer, (uint16_t)bytes.length);
    mqtt_put_bytes(buffer, bytes);
}

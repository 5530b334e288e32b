/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h — MQTT's data types (section 1.5 of 5.0): taken off the front of bytes, put into a buffer.
 *
 * Place:   the decoders and encoders of protocols/mqtt.
 * Thread:  pure.
 * Bounds:  never reads beyond the reader's end; strings and binary data are 65,535 bytes at most by
 *          their two bytes of length, variable byte integers MQTT_LENGTH_MAX.
 *
 * Numbers are big-endian. A variable byte integer has seven bits a byte, the lowest first; the
 * highest bit says that another byte follows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/span.h"
#include "protocols/mqtt/fault.h"

#define MQTT_STRING_BYTES_MAX 65535
#define MQTT_VARINT_BYTES_MAX 4

/* What is left to read. */
struct mqtt_reader {
    const uint8_t *next;
    const uint8_t *end;
};

static inline struct mqtt_reader mqtt_reader_of(struct span bytes) {
    return (struct mqtt_reader){bytes.bytes,
                                bytes.bytes == NULL ? NULL : bytes.bytes + bytes.length};
}

static inline size_t mqtt_left(const struct mqtt_reader *reader) {
    return (size_t)(reader->end - reader->next);
}

static inline struct span mqtt_rest(const struct mqtt_reader *reader) {
    return span_of(reader->next, mqtt_left(reader));
}

/* False: it does not have that many bytes; nothing was taken. */
bool mqtt_take_u8(struct mqtt_reader *reader, uint8_t *ret_value);
bool mqtt_take_u16(struct mqtt_reader *reader, uint16_t *ret_value);
bool mqtt_take_u32(struct mqtt_reader *reader, uint32_t *ret_value);
bool mqtt_take_bytes(struct mqtt_reader *reader, size_t count, struct span *ret_bytes);

/* Two bytes of length, then as many bytes. */
bool mqtt_take_binary(struct mqtt_reader *reader, struct span *ret_bytes);

enum mqtt_varint_state { MQTT_VARINT_WHOLE, MQTT_VARINT_CUT, MQTT_VARINT_ENDLESS };

/* `ret_is_shortest`: no shorter encoding gives this value [MQTT-1.5.5-1]. Sets results, and takes
 * bytes, only where it is WHOLE. */
enum mqtt_varint_state mqtt_take_varint(struct mqtt_reader *reader, uint32_t *ret_value,
                                        bool *ret_is_shortest);

/* UTF-8 without U+0000: NONE, UTF8, NUL. */
enum mqtt_fault mqtt_string_check(struct span string);

/* How many bytes a value takes, 1 to 4. */
size_t mqtt_varint_size(uint32_t value);

/* Append to a buffer in which the room is reserved, so that an encoder checks once, and not once a
 * field. Values are within their bounds: whoever computes the room has looked. */
void mqtt_put_u8(struct buffer *buffer, uint8_t value);
void mqtt_put_u16(struct buffer *buffer, uint16_t value);
void mqtt_put_u32(struct buffer *buffer, uint32_t value);
void mqtt_put_varint(struct buffer *buffer, uint32_t value);
void mqtt_put_bytes(struct buffer *buffer, struct span bytes);
void mqtt_put_binary(struct buffer *buffer, struct span bytes);

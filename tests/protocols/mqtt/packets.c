/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/mqtt/packets.h"

#include <ctype.h>
#include <stdlib.h>

#include "broker/support/invariant.h"
#include "protocols/mqtt/wire.h"

const struct mqtt_dialect from_client_311 = {MQTT_VERSION_3_1_1, MQTT_CLIENT, PACKET_BYTES_MAX};
const struct mqtt_dialect from_server_311 = {MQTT_VERSION_3_1_1, MQTT_SERVER, PACKET_BYTES_MAX};
const struct mqtt_dialect from_client_5 = {MQTT_VERSION_5, MQTT_CLIENT, PACKET_BYTES_MAX};
const struct mqtt_dialect from_server_5 = {MQTT_VERSION_5, MQTT_SERVER, PACKET_BYTES_MAX};
const struct mqtt_dialect from_stranger = {MQTT_VERSION_NONE, MQTT_CLIENT, PACKET_BYTES_MAX};

struct span bytes_copy(struct span bytes) {
    static uint8_t *kept[PACKETS_KEPT];
    static size_t next;
    free(kept[next]);
    kept[next] = malloc(bytes.length);
    if (bytes.length > 0) {
        memcpy(kept[next], bytes.bytes, bytes.length);
    }
    struct span copy = span_of(kept[next], bytes.length);
    next = (next + 1) % PACKETS_KEPT;
    return copy;
}

static uint8_t hex_digit(char digit) {
    INVARIANT(isxdigit((unsigned char)digit));
    return (uint8_t)(isdigit((unsigned char)digit) ? digit - '0'
                                                   : tolower((unsigned char)digit) - 'a' + 10);
}

static void put_notation(struct buffer *buffer, const char *notation) {
    bool is_text = false;
    for (const char *at = notation; *at != '\0'; at++) {
        if (*at == '\'') {
            is_text = !is_text;
        } else if (is_text) {
            EXPECT_EQ(buffer_put_byte(buffer, (uint8_t)*at), OK);
        } else if (*at != ' ') {
            uint8_t high = hex_digit(at[0]), low = hex_digit(at[1]);
            EXPECT_EQ(buffer_put_byte(buffer, (uint8_t)(high << 4 | low)), OK);
            at++;
        }
    }
}

struct span bytes_of(const char *notation) {
    struct buffer buffer;
    buffer_init(&buffer, PACKET_BYTES_MAX);
    put_notation(&buffer, notation);
    struct span copy = bytes_copy(buffer_borrow(&buffer));
    buffer_finish(&buffer);
    return copy;
}

static void put_packet(struct buffer *buffer, uint8_t first, struct span body) {
    EXPECT_EQ(buffer_reserve(buffer, 1 + MQTT_VARINT_BYTES_MAX), OK);
    mqtt_put_u8(buffer, first);
    mqtt_put_varint(buffer, (uint32_t)body.length);
    EXPECT_EQ(buffer_put(buffer, body), OK);
}

struct span packet_of(uint8_t first, const char *body) {
    struct buffer buffer;
    buffer_init(&buffer, PACKET_BYTES_MAX);
    put_packet(&buffer, first, bytes_of(body));
    struct span copy = bytes_copy(buffer_borrow(&buffer));
    buffer_finish(&buffer);
    return copy;
}

enum error_code read_packet(struct span bytes, const struct mqtt_dialect *dialect,
                            struct mqtt_packet *ret_packet, struct mqtt_refusal *ret_refusal,
                            struct error *why) {
    struct mqtt_frame frame;
    enum error_code code = mqtt_frame_read(bytes, dialect, &frame, ret_refusal, why);
    if (code != OK) {
        return code;
    }
    EXPECT_TRUE(frame.is_whole);
    EXPECT_EQ(frame.packet_length, bytes.length);
    return mqtt_decode(&frame, dialect, ret_packet, ret_refusal, why);
}

static struct span exact_copy(struct span bytes) {
    uint8_t *copy = malloc(bytes.length);
    if (bytes.length > 0) {
        memcpy(copy, bytes.bytes, bytes.length);
    }
    return span_of(copy, bytes.length);
}

/* A part of a packet is neither whole nor read beyond; nor is one that ends within its body. */
static void expect_parts_are_safe(struct span packet, const struct mqtt_dialect *dialect) {
    struct mqtt_frame frame;
    struct mqtt_packet ignored;
    struct buffer shorter;
    for (size_t length = 0; length < packet.length; length++) {
        struct span part = exact_copy(span_of(packet.bytes, length));
        EXPECT_EQ(mqtt_frame_read(part, dialect, &frame, NULL, NULL), OK);
        EXPECT_FALSE(frame.is_whole);
        free((void *)(uintptr_t)part.bytes);
    }
    EXPECT_EQ(mqtt_frame_read(packet, dialect, &frame, NULL, NULL), OK);
    buffer_init(&shorter, PACKET_BYTES_MAX);
    for (size_t length = 0; length < frame.body.length; length++) {
        buffer_clear(&shorter);
        put_packet(&shorter, packet.bytes[0], span_of(frame.body.bytes, length));
        struct span part = exact_copy(buffer_borrow(&shorter));
        /* A part may be a packet of its own. */
        IGNORE_RESULT(read_packet(part, dialect, &ignored, NULL, NULL));
        free((void *)(uintptr_t)part.bytes);
    }
    buffer_finish(&shorter);
}

struct span encoded(const struct mqtt_dialect *dialect, const struct mqtt_packet *packet) {
    struct buffer buffer;
    buffer_init(&buffer, PACKET_BYTES_MAX);
    EXPECT_EQ(mqtt_encode(&buffer, dialect, packet), OK);
    struct span copy = bytes_copy(buffer_borrow(&buffer));
    buffer_finish(&buffer);
    return copy;
}

const struct mqtt_packet *decoded(const struct mqtt_dialect *dialect, uint8_t first,
                                  const char *body) {
    static struct mqtt_packet packet;
    struct mqtt_packet again;
    struct error why = {.detail = "nothing"};
    struct mqtt_dialect known = *dialect;
    struct span bytes = packet_of(first, body);
    expect_parts_are_safe(bytes, dialect);
    if (read_packet(bytes, dialect, &packet, NULL, &why) != OK) {
        fail_msg("refused: %s", why.detail);
    }
    known.version = packet.type == MQTT_CONNECT ? packet.connect.version : known.version;
    struct span once = encoded(&known, &packet);
    EXPECT_EQ(read_packet(once, dialect, &again, NULL, NULL), OK);
    expect_bytes(encoded(&known, &again), once);
    EXPECT_TRUE(once.length <= bytes.length);
    return &packet;
}

struct mqtt_refusal refused(const struct mqtt_dialect *dialect, uint8_t first, const char *body) {
    struct mqtt_packet packet;
    struct mqtt_refusal refusal = {0};
    struct error why = {0};
    EXPECT_TRUE(read_packet(packet_of(first, body), dialect, &packet, &refusal, &why) != OK);
    EXPECT_TRUE(refusal.fault != MQTT_FAULT_NONE);
    EXPECT_EQ(why.code, mqtt_fault_row(refusal.fault)->error);
    EXPECT_STRING(why.detail, mqtt_fault_row(refusal.fault)->text);
    return refusal;
}

void expect_bytes(struct span actual, struct span expected) {
    EXPECT_EQ(actual.length, expected.length);
    assert_memory_equal(actual.bytes, expected.bytes, expected.length);
}

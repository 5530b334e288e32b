/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/mqtt.h"

#include <string.h>

#define LENGTH_BYTES_MAX 4

static size_t put_length(uint8_t *bytes, size_t length) {
    size_t count = 0;
    do {
        bytes[count] = (uint8_t)((length & 0x7f) | (length > 0x7f ? 0x80 : 0));
        length >>= 7;
        count++;
    } while (length > 0);
    return count;
}

static size_t put_string(uint8_t *bytes, const char *text) {
    size_t length = strlen(text);
    bytes[0] = (uint8_t)(length >> 8);
    bytes[1] = (uint8_t)length;
    memcpy(bytes + 2, text, length);
    return 2 + length;
}

size_t mqtt_put_connect(uint8_t *bytes) {
    static const uint8_t connect[] = {0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 0};
    memcpy(bytes, connect, sizeof(connect));
    return sizeof(connect);
}

size_t mqtt_put_subscribe(uint8_t *bytes, const char *topic, uint8_t qos) {
    size_t used = 1;
    bytes[0] = 0x82;
    used += put_length(bytes + used, 2 + 2 + strlen(topic) + 1);
    bytes[used++] = 0;
    bytes[used++] = 1;
    used += put_string(bytes + used, topic);
    bytes[used++] = qos;
    return used;
}

size_t mqtt_put_publish(uint8_t *bytes, const char *topic, uint8_t qos, uint16_t id,
                        uint32_t payload_bytes) {
    size_t used = 1;
    bytes[0] = (uint8_t)(0x30 | qos << 1);
    used += put_length(bytes + used, 2 + strlen(topic) + (qos > 0 ? 2 : 0) + payload_bytes);
    used += put_string(bytes + used, topic);
    if (qos > 0) {
        bytes[used++] = (uint8_t)(id >> 8);
        bytes[used++] = (uint8_t)id;
    }
    return used;
}

size_t mqtt_put_puback(uint8_t *bytes, uint16_t id) {
    bytes[0] = 0x40;
    bytes[1] = 2;
    bytes[2] = (uint8_t)(id >> 8);
    bytes[3] = (uint8_t)id;
    return 4;
}

int mqtt_read(const uint8_t *bytes, size_t length, struct mqtt_packet *ret_packet) {
    size_t rest = 0;
    size_t at = 1;
    do {
        if (at >= length || at > LENGTH_BYTES_MAX) {
            return 0;
        }
        rest |= (size_t)(bytes[at] & 0x7f) << (7 * (at - 1));
    } while ((bytes[at++] & 0x80) != 0);
    *ret_packet =
        (struct mqtt_packet){.type = bytes[0] >> 4, .qos = bytes[0] >> 1 & 3, .length = at + rest};
    if (ret_packet->type != MQTT_PUBLISH) {
        return 1;
    }
    if (length < at + 2) {
        return 0;
    }
    at += 2 + ((size_t)bytes[at] << 8 | bytes[at + 1]);
    if (ret_packet->qos > 0) {
        if (length < at + 2) {
            return 0;
        }
        ret_packet->id = (uint16_t)(bytes[at] << 8 | bytes[at + 1]);
        at += 2;
    }
    ret_packet->payload_from = at;
    return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt.h — the few packets of MQTT 3.1.1 that a load needs.
 *
 * Place:   readers.c and publisher.c.
 * Thread:  pure.
 * Bounds:  MQTT_HEAD_BYTES_MAX for what is put, but for a payload.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MQTT_HEAD_BYTES_MAX 512

enum { MQTT_CONNACK = 2, MQTT_PUBLISH = 3, MQTT_PUBACK = 4, MQTT_SUBACK = 9 };

struct mqtt_packet {
    uint8_t type;
    uint8_t qos;
    uint16_t id;         /* of a PUBLISH with QoS 1 */
    size_t length;       /* with its header */
    size_t payload_from; /* of a PUBLISH */
};

/* Each returns how many bytes it wrote. The client id is empty: a clean session. */
size_t mqtt_put_connect(uint8_t *bytes);
size_t mqtt_put_subscribe(uint8_t *bytes, const char *topic, uint8_t qos);
size_t mqtt_put_publish(uint8_t *bytes, const char *topic, uint8_t qos, uint16_t id,
                        uint32_t payload_bytes); /* all but the payload */
size_t mqtt_put_puback(uint8_t *bytes, uint16_t id);

/* Reads the beginning of a packet from a server. 0: it is cut. */
int mqtt_read(const uint8_t *bytes, size_t length, struct mqtt_packet *ret_packet);

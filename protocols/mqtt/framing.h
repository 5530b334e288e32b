/* SPDX-License-Identifier: Apache-2.0 */
/* framing.h — a message of the log as the PUBLISH that a subscriber gets.
 *
 * Place:   rows for streams whose frames are shared (outbound.c chooses one); one PUBLISH at a time
 *          for own.c, retained.c, resend.c and shared.c.
 * Thread:  constant, pure but for the clock where a message expires.
 * Bounds:  the message and its properties; a packet that the client's maximum does not allow is
 *          not made.
 *
 * Shared frames of QoS 1 and 2 have no packet id yet: whoever sends one copies it and writes
 * an id into it (frame_open). Over WebSocket each packet is one binary frame.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/channels/framing.h"
#include "broker/limits.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "protocols/mqtt/protocol.h"

#define MQTT_SLOT_FIRST 6 /* of broker/channels/framing.h; MQTT_SLOT_COUNT from there on */
#define MQTT_SLOT_COUNT 30

/* A gap: the channel's name in the topic, and in its JSON, where an escape has six bytes. */
#define PUBLISHING_GAP_BYTES_MAX (7 * CHANNEL_NAME_BYTES_MAX + 512)

/* How a message is sent to one subscriber, or to all that share its frames. */
struct publishing {
    bool is_websocket;
    bool is_retained;              /* RETAIN, whatever the message says … */
    bool is_retained_as_published; /* … or as it says */
    bool is_repeated;              /* DUP */
    bool asks_offset;              /* offset and id as user properties */
    bool leaves_topic_out;         /* the client knows the alias */
    uint8_t version;               /* enum mqtt_version */
    uint8_t qos;                   /* of the subscription: what the message allows of it is sent */
    uint16_t packet_id;            /* 0: written by frame_set_packet_id() */
    uint16_t topic_alias;          /* 0: none */
    uint32_t packet_bytes_max;     /* 0: whatever fits */
    uint64_t skipped;              /* messages that conflation left out before this one */
    const uint32_t *identifiers;   /* identifier_count of them */
    size_t identifier_count;
};

/* The QoS that a message is sent with to a subscription of that QoS. */
uint8_t publishing_qos(const struct message *message, uint8_t qos);

/* Appends one frame. OK with nothing appended: it is too large for the client, and taken for
 * delivered [MQTT-3.1.2-25]. ERR_TOO_LARGE, ERR_MEMORY: nothing was added. */
MUST_USE enum error_code publishing_put(struct buffer *buffer, const struct message *message,
                                        const struct publishing *publishing);

/* A gap as a PUBLISH of QoS 0 on `$gap/<channel>`, of a pattern on `$gap`. Messages whose own
 * time is over are not delivered, and no more is said of them [MQTT-3.3.2-5]: OK with nothing
 * appended, as where it is too large for the client [MQTT-3.1.2-24]. */
MUST_USE enum error_code publishing_put_gap(struct buffer *buffer, const struct storage_gap *gap,
                                            bool is_websocket, const struct mqtt_dialect *dialect);

/* The row for subscribers of that transport, version (3.1.1 has neither offsets nor retain as
 * published) and QoS. Frames carry the reader's number as subscription identifier. */
const struct framing *framing_shared(bool is_websocket, enum mqtt_version version, uint8_t qos,
                                     bool asks_offset, bool is_retained_as_published);

/* A frame that was put, looked into. */
struct published {
    uint8_t *head; /* the packet's first byte */
    uint8_t qos;
    uint8_t *packet_id; /* its two bytes; NULL in QoS 0 */
};
void frame_open(uint8_t *frame, size_t length, bool is_websocket, struct published *ret_published);

/* Writes the id into an opened frame of QoS 1 or 2. */
void frame_set_packet_id(const struct published *published, uint16_t packet_id);

/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_link.h — this broker as a client of another MQTT broker: one connection, MQTT 5 or 3.1.1.
 *
 * Place:   mqtt_sink.c and mqtt_source.c, one each; on dial.h and the codecs of protocols/mqtt.
 * Thread:  the sinks thread's.
 * Bounds:  MQTT_LINK_PACKET_BYTES_MAX of what comes in; what waits to be sent is bounded by who
 *          sends: mqtt_link_has_room().
 *
 * It says CONNECT, keeps the connection alive, and frames; what a message means is for its owner.
 * A PUBLISH is acknowledged when the owner says so and not before: that is why no client library
 * does this (Paho's acknowledges whatever it hands over). MQTT 5 is tried first, and 3.1.1 where
 * the other broker says that it does not speak it, or hangs up on it MQTT_LINK_SILENCES times.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "protocols/mqtt/packet.h"
#include "protocols/sinks/driver.h"

#define MQTT_LINK_SILENCES 3

struct mqtt_link;

/* What an owner is told; NULL: it does not care. Any of them may stop or destroy the link. */
struct mqtt_link_events {
    void (*on_up)(void *context, bool is_session_present);

    /* False: not now. Nothing is read any more until mqtt_link_resume(), then it comes again. */
    bool (*on_publish)(void *context, const struct mqtt_publish *publish);
    void (*on_acknowledged)(void *context, uint16_t packet_id, uint8_t reason, struct span text);
    void (*on_granted)(void *context, struct span reasons);

    /* All that was put has been handed to the system. */
    void (*on_sent)(void *context);

    /* After start, once: it could not come up, or is no more. */
    void (*on_down)(void *context, const struct verdict *verdict);
};

/* Borrowed until destroy. */
struct mqtt_link_options {
    const char *url;
    const char *client_id;
    const char *username;      /* NULL: none */
    const char *password;      /* likewise */
    const char *authorities;   /* a file of PEM; NULL: the system's */
    uint32_t session_expiry_s; /* 0: a clean session; else it is kept there for so long */
    uint16_t receive_maximum;  /* publishes that wait for their acknowledgement */
    const struct mqtt_link_events *events;
    void *context;
};

/* ERR_MEMORY. */
MUST_USE enum error_code mqtt_link_create(struct loop *loop,
                                          const struct mqtt_link_options *options,
                                          struct mqtt_link **ret_link);
void mqtt_link_destroy(struct mqtt_link *link); /* in any state. Accepts NULL */

/* on_up or on_down follows, not before it returns. Of one that is down. */
void mqtt_link_start(struct mqtt_link *link);

/* Says goodbye where it is up, and closes. No event follows. Harmless where it is down. */
void mqtt_link_stop(struct mqtt_link *link);

bool mqtt_link_is_up(const struct mqtt_link *link);

/* Of one that is up: what was agreed on. */
enum mqtt_version mqtt_link_version(const struct mqtt_link *link);
uint16_t mqtt_link_receive_maximum(const struct mqtt_link *link); /* the other broker's */
bool mqtt_link_has_retain(const struct mqtt_link *link);

/* Not so much waits to be sent that more would have to be kept here. */
bool mqtt_link_has_room(const struct mqtt_link *link);

/* Of one that is up; they leave together at the end of the turn. ERR_TOO_LARGE: the other broker
 * does not take so large a packet. ERR_MEMORY. */
MUST_USE enum error_code mqtt_link_publish(struct mqtt_link *link,
                                           const struct mqtt_publish *publish);

/* ERR_FULL: it sends and sends, and reads none of them. ERR_MEMORY. */
MUST_USE enum error_code mqtt_link_acknowledge(struct mqtt_link *link, uint16_t packet_id);

/* `filters` of mqtt_subscription_put(). */
MUST_USE enum error_code mqtt_link_subscribe(struct mqtt_link *link, struct span filters,
                                             uint32_t filter_count);

/* There is room for what on_publish did not take. */
void mqtt_link_resume(struct mqtt_link *link);

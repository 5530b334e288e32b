/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_peer.h — another MQTT broker on the loop of the test: it takes one connection at a time, and
 * does as it is told.
 *
 * Place:   of tests of what speaks to another broker.
 * Thread:  the test's.
 * Bounds:  MQTT_PEER_ITEMS_MAX publishes and acknowledgements are noted.
 */
#pragma once

#include "protocols/mqtt/packet.h"
#include "protocols/sinks/loop.h"

#define MQTT_PEER_ITEMS_MAX 4096

struct mqtt_peer {
    struct loop *loop;
    char url[64];
    struct loop_watch door;
    struct loop_watch watch;
    uint8_t bytes[262144];
    size_t length;
    struct mqtt_dialect in, out;

    /* How it behaves. */
    bool is_old;         /* knows 3.1.1 alone, and says so */
    bool is_mute;        /* hangs up on a CONNECT */
    bool is_holding;     /* acknowledges nothing */
    bool is_ungranting;  /* answers no SUBSCRIBE */
    bool has_session;    /* says that it has one */
    uint8_t refusal;     /* of a CONNECT; 0: none */
    uint8_t reason;      /* of each PUBACK … */
    const char *only_of; /* … or only of those with this payload */
    uint8_t granted;     /* in a SUBACK */
    size_t hang_up_at;   /* at the nth publish of a connection; 0: never */
    uint16_t receive_maximum;
    uint32_t packet_bytes_max;
    bool has_keep_alive; /* tells the client to keep it alive by … */
    uint16_t keep_alive_s;

    /* What it has seen. */
    size_t connects;
    size_t clients; /* connected now */
    enum mqtt_version version;
    char client_id[256];
    char user[64], password[64];
    bool is_clean;
    size_t subscriptions;
    size_t ping_count;
    bool is_no_local;
    size_t publishes_here; /* of this connection */
    size_t unanswered_max;
    size_t unanswered;
    size_t publish_count;
    struct mqtt_peer_publish {
        char topic[64];
        char payload[64];
        char via[320];
        char id[64];
        char type[64];
        uint16_t packet_id;
        uint8_t qos;
        bool is_retained;
    } publishes[MQTT_PEER_ITEMS_MAX];
    size_t ack_count;
    uint16_t acks[MQTT_PEER_ITEMS_MAX];
    bool has_goodbye; /* the last connection ended with a DISCONNECT */
    void (*on_change)(struct mqtt_peer *peer);
};

void mqtt_peer_init(struct mqtt_peer *peer, struct loop *loop);
void mqtt_peer_finish(struct mqtt_peer *peer);

void mqtt_peer_hang_up(struct mqtt_peer *peer);

/* All that is unanswered, in the order in which it came. */
void mqtt_peer_acknowledge(struct mqtt_peer *peer);

/* Sends one to the client. `id`: its `tidings-id`, `via` likewise; NULL: none. */
struct mqtt_peer_message {
    const char *topic;
    const char *payload;
    uint16_t packet_id; /* 0: QoS 0 */
    bool is_repeated;
    bool is_retained;
    const char *id;
    const char *via;
};
void mqtt_peer_send(struct mqtt_peer *peer, const struct mqtt_peer_message *message);

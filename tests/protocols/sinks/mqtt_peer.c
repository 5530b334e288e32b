/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/sinks/mqtt_peer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocols/mqtt/decode.h"
#include "protocols/mqtt/encode.h"
#include "protocols/mqtt/frame.h"
#include "tests/unit.h"

static void note(char *to, size_t size, struct span text) {
    snprintf(to, size, "%.*s", SPAN_PRINTF(text));
}

static void send_buffer(struct mqtt_peer *peer, struct buffer *buffer) {
    if (peer->clients > 0) {
        ssize_t sent = send(peer->watch.fd, buffer->bytes, buffer->length, MSG_NOSIGNAL);
        assert_int_equal(sent, buffer->length);
    }
    buffer_finish(buffer);
}

void mqtt_peer_hang_up(struct mqtt_peer *peer) {
    if (peer->clients > 0) {
        int fd = peer->watch.fd;
        loop_unwatch(peer->loop, &peer->watch);
        close(fd);
        peer->clients = 0;
        peer->length = 0;
    }
}

/* --- what comes ------------------------------------------------------------------------------ */

static void greet(struct mqtt_peer *peer, const struct mqtt_connect *connect) {
    struct buffer buffer;
    struct mqtt_connack connack = {.is_session_present = peer->has_session && peer->refusal == 0,
                                   .reason = (enum mqtt_reason)peer->refusal};
    peer->connects++;
    peer->version = connect->version;
    peer->is_clean = connect->is_clean;
    peer->has_goodbye = false;
    peer->publishes_here = peer->unanswered = 0;
    note(peer->client_id, sizeof(peer->client_id), connect->client_id);
    note(peer->user, sizeof(peer->user), connect->user_name);
    note(peer->password, sizeof(peer->password), connect->password);
    buffer_init(&buffer, 1000);
    peer->in = (struct mqtt_dialect){connect->version, MQTT_CLIENT, UINT32_MAX};
    peer->out = (struct mqtt_dialect){connect->version, MQTT_SERVER, UINT32_MAX};
    if (peer->is_old && connect->version == MQTT_VERSION_5) {
        EXPECT_EQ(buffer_put(&buffer, span_of("\x20\x02\x00\x01", 4)), OK);
        send_buffer(peer, &buffer);
        mqtt_peer_hang_up(peer);
        return;
    }
    if (peer->receive_maximum != 0 && connect->version == MQTT_VERSION_5) {
        mqtt_set_receive_maximum(&connack.properties, peer->receive_maximum);
    }
    if (peer->packet_bytes_max != 0 && connect->version == MQTT_VERSION_5) {
        mqtt_set_maximum_packet_size(&connack.properties, peer->packet_bytes_max);
    }
    if (peer->has_keep_alive && connect->version == MQTT_VERSION_5) {
        mqtt_set_server_keep_alive(&connack.properties, peer->keep_alive_s);
    }
    EXPECT_EQ(mqtt_encode_connack(&buffer, &peer->out, &connack), OK);
    send_buffer(peer, &buffer);
}

static void acknowledge(struct mqtt_peer *peer, const struct mqtt_peer_publish *publish) {
    struct buffer buffer;
    bool is_meant = peer->only_of == NULL || strcmp(peer->only_of, publish->payload) == 0;
    struct mqtt_ack ack = {.packet_id = publish->packet_id,
                           .reason = (enum mqtt_reason)(is_meant ? peer->reason : 0)};
    if (publish->qos == 0) {
        return;
    }
    buffer_init(&buffer, 1000);
    EXPECT_EQ(mqtt_encode_ack(&buffer, &peer->out, MQTT_PUBACK, &ack), OK);
    send_buffer(peer, &buffer);
    peer->unanswered--;
}

static void take_publish(struct mqtt_peer *peer, const struct mqtt_publish *publish) {
    struct mqtt_peer_publish *noted = &peer->publishes[peer->publish_count++];
    struct span rest = publish->properties.user_properties, name, value;
    assert_true(peer->publish_count < MQTT_PEER_ITEMS_MAX);
    *noted = (struct mqtt_peer_publish){
        .packet_id = publish->packet_id, .qos = publish->qos, .is_retained = publish->is_retained};
    note(noted->topic, sizeof(noted->topic), publish->topic);
    note(noted->payload, sizeof(noted->payload), publish->payload);
    note(noted->type, sizeof(noted->type), publish->properties.content_type);
    while (mqtt_user_property_next(&rest, &name, &value)) {
        if (span_is_equal(name, SPAN("tidings-via"))) {
            note(noted->via, sizeof(noted->via), value);
        } else if (span_is_equal(name, SPAN("tidings-id"))) {
            note(noted->id, sizeof(noted->id), value);
        }
    }
    peer->unanswered += publish->qos;
    if (peer->unanswered > peer->unanswered_max) {
        peer->unanswered_max = peer->unanswered;
    }
    if (++peer->publishes_here == peer->hang_up_at) {
        mqtt_peer_hang_up(peer);
    } else if (!peer->is_holding) {
        acknowledge(peer, noted);
    }
}

static void take_request(struct mqtt_peer *peer, const struct mqtt_request *request) {
    struct buffer buffer;
    struct mqtt_subscription subscription;
    struct span rest = request->filters;
    uint8_t reasons[16];
    while (mqtt_subscription_next(&rest, &subscription)) {
        peer->is_no_local = subscription.is_no_local;
    }
    peer->subscriptions++;
    if (peer->is_ungranting) {
        return;
    }
    memset(reasons, peer->granted, sizeof(reasons));
    struct mqtt_grants grants = {.packet_id = request->packet_id,
                                 .reasons = span_of(reasons, request->filter_count)};
    buffer_init(&buffer, 1000);
    EXPECT_EQ(mqtt_encode_grants(&buffer, &peer->out, MQTT_SUBACK, &grants), OK);
    send_buffer(peer, &buffer);
}

static void take_packet(struct mqtt_peer *peer, const struct mqtt_packet *packet) {
    struct buffer buffer;
    switch ((int)packet->type) {
    case MQTT_CONNECT:
        if (peer->is_mute) {
            peer->connects++;
            mqtt_peer_hang_up(peer);
        } else {
            greet(peer, &packet->connect);
        }
        break;
    case MQTT_PUBLISH:
        take_publish(peer, &packet->publish);
        break;
    case MQTT_PUBACK:
        peer->acks[peer->ack_count++] = packet->ack.packet_id;
        break;
    case MQTT_SUBSCRIBE:
        take_request(peer, &packet->request);
        break;
    case MQTT_PINGREQ:
        peer->ping_count++;
        buffer_init(&buffer, 1000);
        EXPECT_EQ(mqtt_encode_ping(&buffer, MQTT_PINGRESP), OK);
        send_buffer(peer, &buffer);
        break;
    case MQTT_DISCONNECT:
        peer->has_goodbye = true;
        break;
    default:
        fail_msg("a client sends packet type %d", packet->type);
    }
}

static void take_frames(struct mqtt_peer *peer) {
    size_t taken = 0;
    while (peer->clients > 0) {
        struct mqtt_frame frame;
        struct mqtt_packet packet;
        struct span rest = span_of(peer->bytes + taken, peer->length - taken);
        EXPECT_EQ(mqtt_frame_read(rest, &peer->in, &frame, NULL, NULL), OK);
        if (!frame.is_whole) {
            break;
        }
        EXPECT_EQ(mqtt_decode(&frame, &peer->in, &packet, NULL, NULL), OK);
        taken += frame.packet_length;
        take_packet(peer, &packet);
    }
    if (peer->clients > 0) {
        memmove(peer->bytes, peer->bytes + taken, peer->length - taken);
        peer->length -= taken;
    }
}

static void on_ready(struct loop_watch *watch, uint32_t events) {
    struct mqtt_peer *peer = CONTAINER_OF(watch, struct mqtt_peer, watch);
    (void)events;
    ssize_t count =
        recv(watch->fd, peer->bytes + peer->length, sizeof(peer->bytes) - peer->length, 0);
    if (count <= 0) {
        mqtt_peer_hang_up(peer);
    } else {
        peer->length += (size_t)count;
        take_frames(peer);
    }
    if (peer->on_change != NULL) {
        peer->on_change(peer);
    }
}

static void on_knock(struct loop_watch *watch, uint32_t events) {
    struct mqtt_peer *peer = CONTAINER_OF(watch, struct mqtt_peer, door);
    (void)events;
    int fd = accept(watch->fd, NULL, NULL);
    assert_true(fd >= 0);
    mqtt_peer_hang_up(peer);
    peer->in = (struct mqtt_dialect){MQTT_VERSION_NONE, MQTT_CLIENT, UINT32_MAX};
    peer->clients = 1;
    EXPECT_EQ(loop_watch(peer->loop, &peer->watch, fd, EPOLLIN), OK);
}

/* --- what it is told ------------------------------------------------------------------------- */

void mqtt_peer_init(struct mqtt_peer *peer, struct loop *loop) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    memset(peer, 0, sizeof(*peer));
    peer->loop = loop;
    peer->door.on_ready = on_knock;
    peer->watch.on_ready = on_ready;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 10), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(peer->url, sizeof(peer->url), "mqtt://127.0.0.1:%u", ntohs(address.sin_port));
    EXPECT_EQ(loop_watch(loop, &peer->door, fd, EPOLLIN), OK);
}

void mqtt_peer_finish(struct mqtt_peer *peer) {
    int fd = peer->door.fd;
    mqtt_peer_hang_up(peer);
    loop_unwatch(peer->loop, &peer->door);
    close(fd);
}

void mqtt_peer_acknowledge(struct mqtt_peer *peer) {
    for (size_t i = peer->publish_count - peer->unanswered; i < peer->publish_count; i++) {
        acknowledge(peer, &peer->publishes[i]);
    }
}

static void put_property(struct buffer *buffer, const char *name, const char *value) {
    if (value != NULL) {
        EXPECT_EQ(mqtt_user_property_put(buffer, span_of_string(name), span_of_string(value)), OK);
    }
}

void mqtt_peer_send(struct mqtt_peer *peer, const struct mqtt_peer_message *message) {
    struct buffer buffer, properties;
    struct mqtt_publish publish = {.topic = span_of_string(message->topic),
                                   .payload = span_of_string(message->payload),
                                   .packet_id = message->packet_id,
                                   .qos = message->packet_id != 0,
                                   .is_repeated = message->is_repeated,
                                   .is_retained = message->is_retained};
    buffer_init(&buffer, 100000);
    buffer_init(&properties, 10000);
    put_property(&properties, "tidings-id", message->id);
    put_property(&properties, "tidings-via", message->via);
    if (properties.length > 0) {
        mqtt_set_user_properties(&publish.properties, buffer_borrow(&properties));
    }
    EXPECT_EQ(mqtt_encode_publish(&buffer, &peer->out, &publish), OK);
    send_buffer(peer, &buffer);
    buffer_finish(&properties);
}

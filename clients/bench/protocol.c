/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/protocol.h"

#include <string.h>

#include "clients/bench/protocol_private.h"

#define BATCH_MAX 10000 /* Tidings' limit of a publish */
#define HTTP .scheme = "http", .port = 80, .secure_scheme = "https", .secure_port = 443
#define MQTT .scheme = "mqtt", .port = 1883, .secure_scheme = "mqtts", .secure_port = 8883

static enum protocol_told ignore(struct protocol_link *link, const uint8_t *bytes, size_t length,
                                 struct bytes *output, struct protocol_unit *ret_unit) {
    (void)link;
    (void)bytes;
    (void)output;
    ret_unit->length = length;
    return PROTOCOL_NOTHING;
}

static const struct protocol rows[] = {
    {.name = "rest",
     .summary = "POST /channels/CHANNEL on a connection that stays",
     HTTP,
     .is_answered = true,
     .batch_max = 1,
     .put_publish = rest_put_publish,
     .take = post_take},
    {.name = "ndjson",
     .summary = "POST /channels/CHANNEL with a message a line",
     HTTP,
     .is_answered = true,
     .batch_max = BATCH_MAX,
     .put_publish = ndjson_put_publish,
     .take = post_take},
    {.name = "publish",
     .summary = "POST /publish with a JSON array, for any channels",
     HTTP,
     .is_answered = true,
     .batch_max = BATCH_MAX,
     .is_mixed = true,
     .put_publish = publish_put_publish,
     .take = post_take},
    {.name = "websocket",
     .summary = "A WebSocket: published on /stream, read at /channels/CHANNEL",
     HTTP,
     .is_answered = true,
     .batch_max = 1,
     .selectors_max = 1,
     .put_hello = websocket_put_hello,
     .put_publish = websocket_put_publish,
     .take = websocket_take,
     .can_read = true},
    {.name = "stream",
     .summary = "A WebSocket at /stream with a subscription a channel",
     HTTP,
     .put_hello = stream_put_hello,
     .take = stream_take,
     .can_read = true},
    {.name = "events",
     .summary = "Server-Sent Events from /channels/CHANNEL, several from /stream",
     HTTP,
     .put_hello = events_put_hello,
     .take = events_take,
     .can_read = true},
    {.name = "mqtt-qos0",
     .summary = "MQTT 3.1.1, at most once",
     MQTT,
     .batch_max = 1,
     .put_hello = mqtt_qos0_put_hello,
     .put_publish = mqtt_qos0_put_publish,
     .take = mqtt_take,
     .can_read = true},
    {.name = "mqtt-qos1",
     .summary = "MQTT 3.1.1, at least once",
     MQTT,
     .is_answered = true,
     .batch_max = 1,
     .put_hello = mqtt_qos1_put_hello,
     .put_publish = mqtt_qos1_put_publish,
     .take = mqtt_take,
     .can_read = true},
    {.name = "history",
     .summary = "Pages of history, the next as soon as one is over, to the head",
     HTTP,
     .put_hello = history_put_hello,
     .take = history_take,
     .can_read = true},
    {.name = "connection",
     .summary = "A connection on which nothing is said; with https:// its handshake",
     HTTP,
     .selectors_max = 1,
     .take = ignore,
     .can_read = true},
    {.name = "webhook",
     .summary = "Webhooks that a server sends to --listen; of Tidings, by a sink",
     HTTP,
     .is_listening = true,
     .take = webhook_take,
     .can_read = true},
    {.name = "nats",
     .summary = "NATS core; a channel's / is a subject's .",
     .scheme = "nats",
     .port = 4222,
     .batch_max = 1,
     .put_hello = nats_put_hello,
     .put_publish = nats_put_publish,
     .take = nats_take,
     .can_read = true},
    {.name = "nats-websocket",
     .summary = "The same over WebSocket",
     HTTP,
     .batch_max = 1,
     .put_hello = nats_websocket_put_hello,
     .put_publish = nats_put_publish,
     .take = nats_websocket_take,
     .can_read = true},
    {.name = "redis",
     .summary = "Redis PUBLISH and SUBSCRIBE",
     .scheme = "redis",
     .port = 6379,
     .is_answered = true,
     .batch_max = 1,
     .put_hello = redis_put_hello,
     .put_publish = redis_put_publish,
     .take = redis_take,
     .can_read = true},
    {.name = "nchan-rest",
     .summary = "nchan: POST URL/CHANNEL",
     HTTP,
     .is_answered = true,
     .batch_max = 1,
     .put_publish = nchan_put_publish,
     .take = post_take},
    {.name = "nchan-websocket",
     .summary = "nchan: a WebSocket at URL/CHANNEL",
     HTTP,
     .selectors_max = 1,
     .put_hello = nchan_websocket_put_hello,
     .take = bare_websocket_take,
     .can_read = true},
    {.name = "nchan-events",
     .summary = "nchan: Server-Sent Events from URL/CHANNEL",
     HTTP,
     .selectors_max = 1,
     .put_hello = nchan_events_put_hello,
     .take = events_take,
     .can_read = true},
    {.name = "centrifugo-rest",
     .summary = "Centrifugo: POST /api/publish, batches to /api/batch",
     HTTP,
     .is_answered = true,
     .batch_max = BATCH_MAX,
     .is_mixed = true,
     .put_publish = centrifugo_put_publish,
     .take = centrifugo_take_answer},
    {.name = "centrifugo-websocket",
     .summary = "Centrifugo: JSON at /connection/websocket",
     HTTP,
     .put_hello = centrifugo_put_hello,
     .take = centrifugo_take,
     .can_read = true},
    {.name = "mercure-rest",
     .summary = "Mercure: POST /.well-known/mercure",
     HTTP,
     .is_answered = true,
     .batch_max = 1,
     .put_publish = mercure_put_publish,
     .take = post_take},
    {.name = "mercure-events",
     .summary = "Mercure: Server-Sent Events from /.well-known/mercure",
     HTTP,
     .put_hello = mercure_events_put_hello,
     .take = events_take,
     .can_read = true},
};

const struct protocol *protocol_find(const char *name) {
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

const struct protocol *protocol_at(size_t index) {
    return index < sizeof(rows) / sizeof(rows[0]) ? &rows[index] : NULL;
}

void protocol_reset(struct protocol_link *link) {
    bytes_finish(&link->held);
    bytes_finish(&link->said);
    *link = (struct protocol_link){.host = link->host,
                                   .path = link->path,
                                   .token = link->token,
                                   .since = link->since,
                                   .selectors = link->selectors,
                                   .selector_count = link->selector_count,
                                   .is_publisher = link->is_publisher,
                                   .index = link->index,
                                   .run = link->run};
}

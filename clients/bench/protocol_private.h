/* SPDX-License-Identifier: Apache-2.0 */
/* protocol_private.h — the functions of the protocols, as the rows of protocol.c name them.
 *
 * Place:   protocol.c; each is defined in the file of its protocol, where its bytes are laid out.
 * Thread:  pure, as protocol.h says.
 * Bounds:  those of protocol.h.
 */
#pragma once

#include "clients/bench/protocol.h"

typedef enum protocol_told protocol_take(struct protocol_link *link, const uint8_t *bytes,
                                         size_t length, struct bytes *output,
                                         struct protocol_unit *ret_unit);

#define PROTOCOL_PUT_HELLO(name) void name(struct protocol_link *link, struct bytes *output)
#define PROTOCOL_PUT_PUBLISH(name)                                                                 \
    void name(struct protocol_link *link, const struct protocol_message *messages, size_t count,   \
              struct bytes *output)
#define PROTOCOL_TAKE(name)                                                                        \
    enum protocol_told name(struct protocol_link *link, const uint8_t *bytes, size_t length,       \
                            struct bytes *output, struct protocol_unit *ret_unit)

/* post.c: an HTTP request a publish */
PROTOCOL_PUT_PUBLISH(rest_put_publish);
PROTOCOL_PUT_PUBLISH(ndjson_put_publish);
PROTOCOL_PUT_PUBLISH(publish_put_publish);
PROTOCOL_PUT_PUBLISH(nchan_put_publish);
PROTOCOL_PUT_PUBLISH(centrifugo_put_publish);
PROTOCOL_PUT_PUBLISH(mercure_put_publish);
PROTOCOL_TAKE(post_take);
PROTOCOL_TAKE(centrifugo_take_answer);

/* websocket.c */
PROTOCOL_PUT_HELLO(websocket_put_hello);
PROTOCOL_PUT_HELLO(stream_put_hello);
PROTOCOL_PUT_HELLO(nchan_websocket_put_hello);
PROTOCOL_PUT_PUBLISH(websocket_put_publish);
PROTOCOL_TAKE(websocket_take);
PROTOCOL_TAKE(stream_take);
PROTOCOL_TAKE(bare_websocket_take);

/* events.c */
PROTOCOL_PUT_HELLO(events_put_hello);
PROTOCOL_PUT_HELLO(nchan_events_put_hello);
PROTOCOL_PUT_HELLO(mercure_events_put_hello);
PROTOCOL_TAKE(events_take);

/* mqtt.c */
PROTOCOL_PUT_HELLO(mqtt_qos0_put_hello);
PROTOCOL_PUT_HELLO(mqtt_qos1_put_hello);
PROTOCOL_PUT_PUBLISH(mqtt_qos0_put_publish);
PROTOCOL_PUT_PUBLISH(mqtt_qos1_put_publish);
PROTOCOL_TAKE(mqtt_take);

/* nats.c */
PROTOCOL_PUT_HELLO(nats_put_hello);
PROTOCOL_PUT_HELLO(nats_websocket_put_hello);
PROTOCOL_PUT_PUBLISH(nats_put_publish);
PROTOCOL_TAKE(nats_take);
PROTOCOL_TAKE(nats_websocket_take);

/* redis.c */
PROTOCOL_PUT_HELLO(redis_put_hello);
PROTOCOL_PUT_PUBLISH(redis_put_publish);
PROTOCOL_TAKE(redis_take);

/* centrifugo.c */
PROTOCOL_PUT_HELLO(centrifugo_put_hello);
PROTOCOL_TAKE(centrifugo_take);

/* history.c */
PROTOCOL_PUT_HELLO(history_put_hello);
PROTOCOL_TAKE(history_take);

/* webhook.c */
PROTOCOL_TAKE(webhook_take);

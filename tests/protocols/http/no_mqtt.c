/* SPDX-License-Identifier: Apache-2.0 */
/* The WebSocket that speaks MQTT, as far as tests of HTTP see it: nothing behind it is linked. */
#include "protocols/mqtt/mqtt.h"

struct mqtt {
    bool is_started;
};

static struct mqtt mqtt;

static void on_bytes(struct connection *connection, void *state, struct span bytes) {
    (void)state;
    connection_write(connection, bytes); /* an echo */
}

static void on_closed(struct connection *connection, void *state, enum close_reason reason) {
    (void)connection;
    (void)state;
    (void)reason;
}

const struct protocol mqtt_protocol = {
    .name = "mqtt", .on_bytes = on_bytes, .on_closed = on_closed};

enum error_code mqtt_create_websocket(struct connection *connection, struct mqtt **ret_mqtt) {
    (void)connection;
    *ret_mqtt = &mqtt;
    return OK;
}

void mqtt_start(struct mqtt *started) {
    started->is_started = true;
}

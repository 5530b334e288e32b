/* SPDX-License-Identifier: Apache-2.0 */
/* Each worker listens on a socket of its own at the address of each port (SO_REUSEPORT), and the
 * kernel spreads connections over them. Options set on the listening socket are inherited by the
 * accepted ones, so that accepting costs one system call here: TCP_NODELAY, because frames are
 * coalesced by us, and SO_SNDBUF, because what the kernel holds unsent is the reader's send
 * budget. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/config/config.h"
#include "broker/config/exposure.h"
#include "broker/metrics/metrics.h"
#include "broker/metrics/thread.h"
#include "broker/runtime/budget.h"
#include "broker/runtime/worker_private.h"
#include "broker/support/logger.h"

#define BACKLOG 4096
#define ACCEPTS_A_TURN 64 /* then readers get their turn: a storm of connects stops nobody */
#define PAUSE_MS 200      /* without descriptors: until some connection has ended */

/* What is known of a port; the offsets are those of its address in struct config, and of the port
 * that was really taken in struct broker. */
static const struct port_row {
    const char *flag;
    size_t address_at;
    size_t number_at;
} port_rows[PORT_COUNT] = {
    [PORT_PUBLIC] = {"--listen takes another ADDRESS:PORT", offsetof(struct config, public_listen),
                     offsetof(struct broker, public_port)},
    [PORT_MQTT] = {"--mqtt takes another ADDRESS:PORT, or off",
                   offsetof(struct config, mqtt_listen), offsetof(struct broker, mqtt_port)},
    [PORT_MQTT_TLS] = {"mqtt.tls_listen takes another ADDRESS:PORT, or off",
                       offsetof(struct config, mqtt_tls_listen),
                       offsetof(struct broker, mqtt_tls_port)},
};

static uint16_t *number_of(struct broker *broker, enum port port) {
    return (void *)((char *)broker + port_rows[port].number_at);
}

/* The address with the port that was really taken. */
static struct config_address address_of(struct broker *broker, enum port port) {
    const void *configured = (const char *)broker->config + port_rows[port].address_at;
    struct config_address address = *(const struct config_address *)configured;
    uint16_t number = *number_of(broker, port);
    if (number != 0) {
        exposure_set_port(&address, number);
    }
    return address;
}

/* --- accepting ------------------------------------------------------------------------------- */

static void pause_listening(struct door *door) {
    struct worker *worker = door->worker;
    metrics_add(worker->metrics, METRIC_ACCEPT_PAUSES, 1);
    uv_poll_stop(&door->poll);
    wheel_arm(&worker->wheel, &door->again, worker->now_ms + PAUSE_MS);
}

static bool is_full(const struct worker *worker) {
    struct broker *broker = worker->broker;
    return atomic_load(&broker->connection_count) >= broker->config->connections_max;
}

/* Memory is short: whoever comes is told so, where that can be said without listening. */
static void turn_away(struct door *door, int fd) {
    struct span refusal = door->entrance->refusal;
    metrics_add_at(door->worker->metrics, METRIC_LIMITS_REFUSED,
                   METRICS_PAIR(METRIC_LIMITS_REFUSED, METRICS_LIMIT_MEMORY,
                                metrics_find_protocol(door->entrance->first_protocol->name)),
                   1);
    if (refusal.length > 0) {
        /* It fits an empty socket whole, or the peer is gone. */
        IGNORE_RESULT(send(fd, refusal.bytes, refusal.length, MSG_NOSIGNAL) < 0);
        IGNORE_RESULT(shutdown(fd, SHUT_WR) != 0);
    }
    close(fd);
}

/* False: nothing waits any more, or accepting pauses. */
static bool accept_one(struct door *door) {
    struct worker *worker = door->worker;
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    if (is_full(worker) && worker->opening_count == 0) {
        metrics_add_at(worker->metrics, METRIC_LIMITS_REFUSED,
                       METRICS_PAIR(METRIC_LIMITS_REFUSED, METRICS_LIMIT_CONNECTIONS,
                                    metrics_find_protocol(door->entrance->first_protocol->name)),
                       1);
        log_event(CONNECTIONS_FULL, .connections = worker->broker->config->connections_max);
        pause_listening(door);
        return false;
    }
    int fd = accept4(door->fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_event(ACCEPT_PAUSED, .error = strerrorname_np(errno),
                      .connections = worker->connection_count);
            pause_listening(door);
        }
        return errno == ECONNABORTED || errno == EINTR;
    }
    if (budget_level(worker->broker->budget) >= BUDGET_CONNECTIONS) {
        turn_away(door, fd);
        return true;
    }
    enum error_code code = connection_create(worker, door->entrance, fd, &address);
    if (code != OK) {
        enum close_reason reason = code == ERR_RATE ? CLOSE_TOO_MANY : CLOSE_MEMORY;
        metrics_add_at(worker->metrics, METRIC_CONNECTIONS_CLOSED,
                       METRICS_PAIR(METRIC_CONNECTIONS_CLOSED, METRICS_PROTOCOL_OTHER, reason), 1);
        log_event(CONNECTION_REFUSED, .reason = close_row(reason)->name);
    }
    return true;
}

/* An accept4() that finds nobody costs what one that finds somebody does: the kernel makes the
 * socket first. So one that comes alone is accepted alone, and more are looked for only where the
 * port was asked for in the turn before, too. */
static void on_acceptable(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct door *door = poll->data;
    struct worker *worker = door->worker;
    bool is_storm = worker->turn == door->turn_last + 1;
    int accepts_max = is_storm ? ACCEPTS_A_TURN : 1;
    door->turn_last = worker->turn;
    thread_wake(worker->metrics);
    for (int i = 0; i < accepts_max && accept_one(door); i++) {
    }
}

static void on_listen_again(struct wheel_timer *timer) {
    struct door *door = CONTAINER_OF(timer, struct door, again);
    if (door->fd >= 0) {
        uv_poll_start(&door->poll, UV_READABLE, on_acceptable);
    }
}

/* --- listening ------------------------------------------------------------------------------- */

static bool set_option(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static void note_port(struct door *door) {
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    if (getsockname(door->fd, (struct sockaddr *)&address, &length) == 0) {
        *number_of(door->worker->broker, door->port) =
            ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                : ((struct sockaddr_in *)&address)->sin_port);
    }
}

/* The first worker binds alone: a second broker at this address must not get half of the
 * connections. Its socket shares the port only once it has it. */
static bool bind_to(const struct door *door, const struct config_address *address) {
    int budget = (int)door->worker->broker->config->send_budget_bytes;
    bool is_first = door->worker->index == 0;
    return set_option(door->fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
           (is_first || set_option(door->fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
           set_option(door->fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
           set_option(door->fd, SOL_SOCKET, SO_SNDBUF, budget) &&
           bind(door->fd, (const struct sockaddr *)&address->socket, address->length) == 0 &&
           (!is_first || set_option(door->fd, SOL_SOCKET, SO_REUSEPORT, 1));
}

static enum error_code cannot_listen(const struct door *door, const char *address,
                                     struct error *why) {
    bool is_taken = errno == EADDRINUSE;
    return error_set(why, ERR_IO, "cannot listen on %s: %s%s%s", address, strerrordesc_np(errno),
                     is_taken ? "; is another broker running? " : "",
                     is_taken ? port_rows[door->port].flag : "");
}

static enum error_code bind_door(struct door *door, struct error *why) {
    struct config_address address = address_of(door->worker->broker, door->port);
    char text[EXPOSURE_ADDRESS_BYTES];
    if (exposure_is_off(&address)) {
        return OK;
    }
    exposure_format_address(&address, text);
    door->fd = socket(address.socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (door->fd < 0) {
        return error_set(why, ERR_IO, "no socket for %s: %s", text, strerrordesc_np(errno));
    }
    if (!bind_to(door, &address)) {
        return cannot_listen(door, text, why);
    }
    note_port(door);
    return OK;
}

/* Listening is where a second broker shows that was bound in the same moment, too. */
static enum error_code open_door(struct door *door, struct error *why) {
    struct config_address address = address_of(door->worker->broker, door->port);
    char text[EXPOSURE_ADDRESS_BYTES];
    if (door->fd < 0) {
        return OK;
    }
    exposure_format_address(&address, text);
    if (listen(door->fd, BACKLOG) != 0) {
        return cannot_listen(door, text, why);
    }
    if (uv_poll_init(&door->worker->loop, &door->poll, door->fd) != 0) {
        return error_set(why, ERR_IO, "cannot watch %s", text);
    }
    door->poll.data = door;
    return uv_poll_start(&door->poll, UV_READABLE, on_acceptable) == 0
               ? OK
               : error_set(why, ERR_IO, "cannot watch %s", text);
}

static void close_door(struct door *door) {
    if (door->fd < 0) {
        return;
    }
    wheel_disarm(&door->worker->wheel, &door->again);
    if (door->poll.data != NULL && !uv_is_closing((uv_handle_t *)&door->poll)) {
        uv_poll_stop(&door->poll);
        uv_close((uv_handle_t *)&door->poll, NULL);
    }
    close(door->fd);
    door->fd = -1;
}

void acceptor_init(struct worker *worker, const struct entrance *entrances) {
    for (int port = 0; port < PORT_COUNT; port++) {
        worker->doors[port] = (struct door){.worker = worker,
                                            .port = (enum port)port,
                                            .entrance = &entrances[port],
                                            .fd = -1,
                                            .again.on_due = on_listen_again};
    }
}

enum error_code acceptor_bind(struct worker *worker, struct error *why) {
    enum error_code code = OK;
    for (int port = 0; code == OK && port < PORT_COUNT; port++) {
        code = bind_door(&worker->doors[port], why);
    }
    return code;
}

enum error_code acceptor_open(struct worker *worker, struct error *why) {
    enum error_code code = OK;
    for (int port = 0; code == OK && port < PORT_COUNT; port++) {
        code = open_door(&worker->doors[port], why);
    }
    if (code != OK) {
        acceptor_close(worker);
    }
    return code;
}

void acceptor_close(struct worker *worker) {
    for (int port = 0; port < PORT_COUNT; port++) {
        close_door(&worker->doors[port]);
    }
}

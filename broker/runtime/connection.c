/* SPDX-License-Identifier: Apache-2.0 */
/* libwebsockets carries the socket (its role for raw sockets): readiness, reading, and TLS where a
 * vhost has it. Bytes are sent straight to the descriptor, because lws_write() would copy to the
 * heap whatever the socket does not take, for each slow reader; so a stalled reader keeps at most
 * the rest of one frame here. WEAKNESS: with TLS the direct way is closed; cure: lws_write() of at
 * most one TLS record when connection_send() finds a TLS vhost.
 *
 * No connection is freed under its caller's feet: closing dooms it, and the worker buries the
 * doomed before the loop blocks. Only libwebsockets ends one in between, when the peer is gone, and
 * then from its own callback with none of ours below it. */
#include "broker/runtime/connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libwebsockets.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "broker/admission/addresses.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/metrics/thread.h"
#include "broker/runtime/worker_private.h"
#include "broker/support/logger.h"

#define PEER_BYTES_MAX (INET6_ADDRSTRLEN + sizeof("[]:65535"))

enum connection_phase {
    CONNECTION_OPEN,
    CONNECTION_FLUSHING,  /* closing: what is kept goes out first */
    CONNECTION_LINGERING, /* the write side is shut; the peer may still read and go */
    CONNECTION_DOOMED,    /* in worker->doomed */
};

struct connection {
    struct list in_worker;
    struct list in_doomed;
    struct list streams;
    struct worker *worker;
    struct lws *wsi;
    int fd;
    enum connection_phase phase;
    enum close_reason close_reason;
    bool is_full; /* the socket refused bytes; cleared by a WRITEABLE callback */
    bool is_paused;
    enum metrics_protocol counted_as;
    const struct protocol *protocol;
    void *state;
    uint64_t id;
    uint64_t opened_ms;
    uint64_t bytes_sent;
    uint64_t sent_ms;
    struct buffer kept;
    size_t kept_sent; /* bytes at its front that have left */
    struct wheel_timer deadline;
    struct address_key address;
    bool is_counted; /* among the connections of its address */
    bool is_told;    /* to go: by connections_tell() */
    char peer[PEER_BYTES_MAX];
};

/* --- plain questions ------------------------------------------------------------------------ */

void connection_set_protocol(struct connection *connection, const struct protocol *protocol,
                             void *state) {
    struct metrics_shard *metrics = connection->worker->metrics;
    OWNER_CHECK(connection->worker);
    metrics_sub_at(metrics, METRIC_CONNECTIONS_OPEN, connection->counted_as, 1);
    connection->counted_as = metrics_find_protocol(protocol->name);
    metrics_add_at(metrics, METRIC_CONNECTIONS_OPEN, connection->counted_as, 1);
    connection->protocol = protocol;
    connection->state = state;
}

struct worker *connection_worker(const struct connection *connection) {
    return connection->worker;
}

uint64_t connection_id(const struct connection *connection) {
    return connection->id;
}

uint64_t connection_opened_ms(const struct connection *connection) {
    return connection->opened_ms;
}

uint64_t connection_bytes_sent(const struct connection *connection) {
    return connection->bytes_sent;
}

uint64_t connection_sent_ms(const struct connection *connection) {
    return connection->sent_ms;
}

const char *connection_protocol_name(const struct connection *connection) {
    return connection->protocol->name;
}

struct list *connection_streams(struct connection *connection) {
    return &connection->streams;
}

const char *connection_peer(const struct connection *connection) {
    return connection->peer;
}

void connection_get_client(const struct connection *connection,
                           struct connection_client *ret_client) {
    *ret_client = (struct connection_client){0};
    if (connection->protocol->get_client != NULL) {
        connection->protocol->get_client(connection->state, ret_client);
    }
}

bool connection_is_closing(const struct connection *connection) {
    return connection->phase != CONNECTION_OPEN;
}

bool connection_is_blocked(const struct connection *connection) {
    return connection->is_full || connection->kept.length > 0 ||
           connection->phase != CONNECTION_OPEN;
}

size_t connection_unsent_bytes(const struct connection *connection) {
    int unsent = 0;
    if (ioctl(connection->fd, SIOCOUTQ, &unsent) != 0 || unsent < 0) {
        unsent = 0; /* not a TCP socket, or gone: nothing that could be told */
    }
    return connection->kept.length + (size_t)unsent;
}

/* --- sending -------------------------------------------------------------------------------- */

void connection_want_writable(struct connection *connection) {
    if (connection->phase <= CONNECTION_FLUSHING) {
        lws_callback_on_writable(connection->wsi);
    }
}

/* One system call. What a broken socket does not take is never taken. */
static size_t send_some(struct connection *connection, struct span bytes) {
    ssize_t sent = send(connection->fd, bytes.bytes, bytes.length, MSG_NOSIGNAL);
    metrics_add_at(connection->worker->metrics, METRIC_WRITES, connection->counted_as, 1);
    if (sent < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
            connection_abort(connection, CLOSE_PEER_GONE);
            return 0;
        }
        sent = 0;
    }
    connection->bytes_sent += (uint64_t)sent;
    connection->sent_ms = connection->worker->now_ms;
    metrics_add_at(connection->worker->metrics, METRIC_SENT_BYTES, connection->counted_as,
                   (uint64_t)sent);
    if ((size_t)sent < bytes.length) {
        connection->is_full = true;
        connection_want_writable(connection);
    }
    return (size_t)sent;
}

size_t connection_send(struct connection *connection, struct span bytes) {
    OWNER_CHECK(connection->worker);
    if (connection_is_blocked(connection) || bytes.length == 0) {
        return 0;
    }
    return send_some(connection, bytes);
}

void connection_keep(struct connection *connection, struct span rest) {
    INVARIANT(connection->kept.length == 0);
    if (connection->phase != CONNECTION_OPEN) {
        return;
    }
    if (buffer_put(&connection->kept, rest) != OK) {
        connection_abort(connection, CLOSE_MEMORY);
        return;
    }
    connection->is_full = true;
    connection_want_writable(connection);
}

void connection_write(struct connection *connection, struct span bytes) {
    OWNER_CHECK(connection->worker);
    if (connection->phase != CONNECTION_OPEN) {
        return;
    }
    size_t sent = connection_send(connection, bytes);
    if (sent < bytes.length && connection->phase == CONNECTION_OPEN &&
        buffer_put(&connection->kept, span_of(bytes.bytes + sent, bytes.length - sent)) != OK) {
        connection_abort(connection, CLOSE_MEMORY);
    }
}

/* --- reading and timers --------------------------------------------------------------------- */

void connection_pause_reading(struct connection *connection) {
    if (!connection->is_paused) {
        connection->is_paused = true;
        lws_rx_flow_control(connection->wsi, 0);
    }
}

void connection_resume_reading(struct connection *connection) {
    if (connection->is_paused) {
        connection->is_paused = false;
        lws_rx_flow_control(connection->wsi, 1);
    }
}

void connection_set_deadline(struct connection *connection, uint64_t due_ms) {
    if (connection->phase != CONNECTION_OPEN) {
        return; /* the deadline is the end's */
    }
    if (due_ms == 0) {
        wheel_disarm(&connection->worker->wheel, &connection->deadline);
    } else {
        wheel_arm(&connection->worker->wheel, &connection->deadline, due_ms);
    }
}

static void on_deadline(struct wheel_timer *timer) {
    struct connection *connection = CONTAINER_OF(timer, struct connection, deadline);
    if (connection->phase == CONNECTION_OPEN) {
        connection->protocol->on_deadline(connection, connection->state);
    } else {
        connection_abort(connection, connection->close_reason);
    }
}

/* --- the end -------------------------------------------------------------------------------- */

/* The write side is shut, and what still comes is thrown away: a close with unread input would be a
 * reset, which can destroy the last answer on its way (RFC 9112, section 9.6). */
static void linger(struct connection *connection) {
    connection->phase = CONNECTION_LINGERING;
    IGNORE_RESULT(shutdown(connection->fd, SHUT_WR) != 0); /* the peer may be gone already */
    connection_resume_reading(connection);
}

/* It is still open: what the socket has not sent can be told. */
static void set_reason(struct connection *connection, enum close_reason reason) {
    connection->close_reason = reason;
    if (reason == CLOSE_STALLED) {
        struct connection_client client;
        connection_get_client(connection, &client);
        log_event(CONNECTION_STALLED, .peer = connection->peer, .client_id = client.client_id,
                  .protocol = connection->protocol->name,
                  .unsent_bytes = connection_unsent_bytes(connection));
    }
}

void connection_close(struct connection *connection, enum close_reason reason) {
    OWNER_CHECK(connection->worker);
    if (connection->phase != CONNECTION_OPEN) {
        return;
    }
    set_reason(connection, reason);
    connection->phase = CONNECTION_FLUSHING;
    wheel_arm(&connection->worker->wheel, &connection->deadline,
              connection->worker->now_ms + CLOSE_TIMEOUT_MS);
    if (connection->kept.length == 0) {
        linger(connection);
    }
}

void connection_abort(struct connection *connection, enum close_reason reason) {
    OWNER_CHECK(connection->worker);
    if (connection->phase == CONNECTION_DOOMED) {
        return;
    }
    if (connection->phase == CONNECTION_OPEN) {
        set_reason(connection, reason);
    }
    connection->phase = CONNECTION_DOOMED;
    list_put_tail(&connection->worker->doomed, &connection->in_doomed);
}

void connection_dismiss(struct connection *connection, enum close_reason reason) {
    OWNER_CHECK(connection->worker);
    if (connection->phase == CONNECTION_OPEN && connection->protocol->on_dismissed != NULL) {
        connection->protocol->on_dismissed(connection, connection->state, reason);
    } else {
        connection_close(connection, reason);
    }
}

void connections_bury(struct worker *worker) {
    struct list *node;
    while ((node = list_take_head(&worker->doomed)) != NULL) {
        struct connection *connection = CONTAINER_OF(node, struct connection, in_doomed);
        lws_set_timeout(connection->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
    }
}

void connections_drain(struct worker *worker) {
    LIST_EACH(&worker->connections, node) {
        struct connection *connection = CONTAINER_OF(node, struct connection, in_worker);
        if (connection->phase == CONNECTION_OPEN) {
            connection->protocol->on_drain(connection, connection->state);
        }
    }
}

void connections_tell(struct worker *worker, size_t count) {
    while (count > 0) {
        struct connection *connection = connections_next(worker, worker->told_last);
        if (connection == NULL) {
            return;
        }
        connection->is_told = true;
        worker->told_last = connection;
        worker->told_count++;
        if (connection->phase == CONNECTION_OPEN) {
            connection->protocol->on_drain(connection, connection->state);
            count--;
        }
    }
}

void connections_abort_all(struct worker *worker, enum close_reason reason) {
    LIST_EACH(&worker->connections, node) {
        connection_abort(CONTAINER_OF(node, struct connection, in_worker), reason);
    }
}

struct connection *connections_next(struct worker *worker, const struct connection *connection) {
    struct list *node = connection == NULL ? worker->connections.next : connection->in_worker.next;
    return node == &worker->connections ? NULL : CONTAINER_OF(node, struct connection, in_worker);
}

static void forget_told(struct connection *connection) {
    struct worker *worker = connection->worker;
    worker->told_count -= connection->is_told;
    if (worker->told_last == connection) {
        struct list *older = connection->in_worker.previous;
        worker->told_last = older == &worker->connections
                                ? NULL
                                : CONTAINER_OF(older, struct connection, in_worker);
    }
}

static void uncount_address(struct connection *connection) {
    if (connection->is_counted) {
        addresses_give(connection->worker->broker->addresses, &connection->address);
    }
}

/* The only place where a connection ends: libwebsockets has closed the socket. */
static void destroy(struct connection *connection) {
    struct worker *worker = connection->worker;
    if (connection->phase == CONNECTION_OPEN) {
        connection->close_reason = CLOSE_PEER_GONE;
    }
    connection->phase = CONNECTION_DOOMED;
    metrics_sub_at(worker->metrics, METRIC_CONNECTIONS_OPEN, connection->counted_as, 1);
    metrics_add_at(
        worker->metrics, METRIC_CONNECTIONS_CLOSED,
        METRICS_PAIR(METRIC_CONNECTIONS_CLOSED, connection->counted_as, connection->close_reason),
        1);
    struct connection_client client;
    connection_get_client(connection, &client);
    log_event(
        CONNECTION_CLOSED, .peer = connection->peer, .client_id = client.client_id,
        .protocol = connection->protocol->name, .reason = close_row(connection->close_reason)->name,
        .sent_bytes = connection->bytes_sent, .open_ms = worker->now_ms - connection->opened_ms);
    connection->protocol->on_closed(connection, connection->state, connection->close_reason);
    INVARIANT(list_is_empty(&connection->streams)); /* their protocol has ended them */
    wheel_disarm(&worker->wheel, &connection->deadline);
    surveys_on_gone(worker, connection);
    census_on_gone(worker, connection);
    forget_told(connection);
    list_remove(&connection->in_worker);
    list_remove(&connection->in_doomed);
    buffer_finish(&connection->kept);
    worker->connection_count--;
    atomic_fetch_sub(&worker->broker->connection_count, 1);
    uncount_address(connection);
    free(connection);
}

/* --- the beginning -------------------------------------------------------------------------- */

static void format_peer(struct connection *connection, const struct sockaddr_storage *address) {
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *ipv6 = (const void *)address;
        inet_ntop(AF_INET6, &ipv6->sin6_addr, host, sizeof(host));
        snprintf(connection->peer, PEER_BYTES_MAX, "[%s]:%u", host, ntohs(ipv6->sin6_port));
    } else {
        const struct sockaddr_in *ipv4 = (const void *)address;
        inet_ntop(AF_INET, &ipv4->sin_addr, host, sizeof(host));
        snprintf(connection->peer, PEER_BYTES_MAX, "%s:%u", host, ntohs(ipv4->sin_port));
    }
}

/* Not connected to anything yet. NULL: out of memory. */
static struct connection *allocate(struct worker *worker, int fd,
                                   const struct sockaddr_storage *address) {
    struct connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL) {
        return NULL;
    }
    connection->worker = worker;
    connection->fd = fd;
    connection->id = atomic_fetch_add(&worker->broker->connection_id_next, 1);
    connection->opened_ms = worker->now_ms;
    connection->sent_ms = worker->now_ms;
    connection->deadline.on_due = on_deadline;
    connection->address = address_key_of(address);
    list_init(&connection->in_doomed);
    list_init(&connection->streams);
    buffer_init(&connection->kept, SIZE_MAX / 2); /* bounded by what is written: see connection.h */
    format_peer(connection, address);
    return connection;
}

/* libwebsockets takes the socket over; it closes it when that fails. */
static bool adopt(struct connection *connection) {
    lws_adopt_desc_t adoption = {.vh = connection->worker->vhost,
                                 .type = LWS_ADOPT_SOCKET,
                                 .fd.sockfd = connection->fd,
                                 .vh_prot_name = "tidings",
                                 .opaque = connection};
    connection->wsi = lws_adopt_descriptor_vhost_via_info(&adoption);
    return connection->wsi != NULL;
}

static void begin(struct connection *connection, const struct entrance *entrance) {
    struct worker *worker = connection->worker;
    list_put_tail(&worker->connections, &connection->in_worker);
    worker->connection_count++;
    atomic_fetch_add(&worker->broker->connection_count, 1);
    connection->protocol = entrance->first_protocol;
    connection->counted_as = metrics_find_protocol(connection->protocol->name);
    metrics_add(worker->metrics, METRIC_CONNECTIONS_ACCEPTED, 1);
    metrics_add_at(worker->metrics, METRIC_CONNECTIONS_OPEN, connection->counted_as, 1);
    connection->state = entrance->on_accepted(connection);
    if (connection->state == NULL) {
        connection_abort(connection, CLOSE_MEMORY);
    }
}

/* Proxies stand for many clients, so they are not held to the limit of one. */
static bool is_proxy(const struct broker *broker, const struct sockaddr_storage *address) {
    const struct config_list *proxies = &broker->config->public_trusted_proxies;
    for (size_t i = 0; i < proxies->count; i++) {
        if (address_is_in_network(address, proxies->items[i])) {
            return true;
        }
    }
    return false;
}

/* Counts the connection under its address. False: there are too many. */
static bool count_address(struct connection *connection, const struct sockaddr_storage *address) {
    struct broker *broker = connection->worker->broker;
    if (broker->addresses == NULL || is_proxy(broker, address)) {
        return true;
    }
    connection->is_counted = addresses_take(broker->addresses, &connection->address,
                                            broker->config->connections_per_address_max);
    return connection->is_counted;
}

enum error_code connection_create(struct worker *worker, const struct entrance *entrance, int fd,
                                  const struct sockaddr_storage *address) {
    struct connection *connection = allocate(worker, fd, address);
    if (connection == NULL) {
        close(fd);
        return ERR_MEMORY;
    }
    if (!count_address(connection, address)) {
        metrics_add_at(
            worker->metrics, METRIC_CONNECTIONS_CLOSED,
            METRICS_PAIR(METRIC_CONNECTIONS_CLOSED, METRICS_PROTOCOL_OTHER, CLOSE_TOO_MANY), 1);
        log_event(CONNECTION_REFUSED, .reason = close_row(CLOSE_TOO_MANY)->name,
                  .peer = connection->peer);
        close(fd);
        free(connection);
        return ERR_RATE;
    }
    if (!adopt(connection)) {
        uncount_address(connection);
        free(connection);
        return ERR_MEMORY;
    }
    begin(connection, entrance);
    return OK;
}

/* --- what libwebsockets calls --------------------------------------------------------------- */

static void on_readable(struct connection *connection, struct span bytes) {
    if (connection->phase == CONNECTION_OPEN) {
        metrics_add_at(connection->worker->metrics, METRIC_RECEIVED_BYTES, connection->counted_as,
                       bytes.length);
        connection->protocol->on_bytes(connection, connection->state, bytes);
    }
}

static void on_socket_writable(struct connection *connection) {
    connection->is_full = false;
    if (connection->kept.length > 0) {
        struct span kept = buffer_borrow(&connection->kept);
        size_t before = connection->kept_sent;
        connection->kept_sent +=
            send_some(connection, span_of(kept.bytes + before, kept.length - before));
        if (connection->kept_sent < kept.length) {
            return; /* nothing is moved: a large frame leaves in many pieces */
        }
        connection->kept_sent = 0;
        buffer_finish(&connection->kept);
    }
    if (connection->phase == CONNECTION_FLUSHING) {
        linger(connection);
    } else if (connection->phase == CONNECTION_OPEN && !connection->is_full) {
        connection->protocol->on_writable(connection, connection->state);
    }
}

int connection_on_lws(struct lws *wsi, int reason, void *user, void *in, size_t length) {
    (void)user;
    struct connection *connection = lws_get_opaque_user_data(wsi);
    if (connection == NULL || connection->wsi == NULL) {
        return 0; /* while it is being adopted, and for the vhost's own callbacks */
    }
    thread_wake(connection->worker->metrics); /* inside the poll that the loop sleeps in */
    if (reason == LWS_CALLBACK_RAW_RX) {
        on_readable(connection, span_of(in, length));
    } else if (reason == LWS_CALLBACK_RAW_WRITEABLE) {
        on_socket_writable(connection);
    } else if (reason == LWS_CALLBACK_RAW_CLOSE) {
        lws_set_opaque_user_data(wsi, NULL);
        destroy(connection);
    }
    return 0;
}

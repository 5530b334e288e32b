/* SPDX-License-Identifier: Apache-2.0 */
/* What the socket does not take stays the caller's, but for the rest of a frame that was cut: so a
 * stalled reader keeps at most that here.
 *
 * No connection is freed under its caller's feet: closing dooms it, and the worker buries the
 * doomed before the loop blocks. */
#include "broker/runtime/connection.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/metrics/thread.h"
#include "broker/runtime/access.h"
#include "broker/runtime/budget.h"
#include "broker/runtime/kept.h"
#include "broker/runtime/tenure.h"
#include "broker/runtime/throttle.h"
#include "broker/runtime/tunnel.h"
#include "broker/runtime/worker_private.h"
#include "broker/support/logger.h"

enum connection_phase {
    CONNECTION_OPEN,
    CONNECTION_FLUSHING,  /* closing: what is kept goes out first */
    CONNECTION_LINGERING, /* the write side is shut; the peer may still read and go */
    CONNECTION_DOOMED,    /* in worker->doomed */
};

/* In the order of use: a send touches nothing behind `counted_as`. */
struct connection {
    struct worker *worker;
    struct socket socket;
    struct kept *kept; /* NULL: nothing */
    uint64_t bytes_sent;
    uint64_t sent_ms;
    uint8_t phase;        /* enum connection_phase */
    uint8_t close_reason; /* enum close_reason */
    uint8_t counted_as;   /* enum metrics_protocol */
    bool is_told;         /* to go: by connections_tell() */
    bool is_opening;      /* in worker->opening */
    struct dues dues;
    const struct protocol *protocol;
    void *state;
    struct tenure *tenure; /* NULL: nobody has said who it is */
    struct list streams;
    struct list in_worker;
    struct list in_stage; /* worker->opening, none, or worker->doomed */
    uint64_t id;
    uint64_t opened_ms;
    struct wheel_timer deadline;
    char peer[];
};

static_assert(CLOSE_REASON_COUNT <= UINT8_MAX, "a reason fits a byte");
static_assert(offsetof(struct connection, counted_as) < CONNECTION_HOT_BYTES, "fetched ahead");

/* --- plain questions ------------------------------------------------------------------------ */

void connection_set_protocol(struct connection *connection, const struct protocol *protocol,
                             void *state) {
    struct metrics_shard *metrics = connection->worker->metrics;
    OWNER_CHECK(connection->worker);
    metrics_sub_at(metrics, METRIC_CONNECTIONS_OPEN, connection->counted_as, 1);
    connection->counted_as = (uint8_t)metrics_find_protocol(protocol->name);
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

enum error_code connection_admit(struct connection *connection, struct identity *identity,
                                 struct error *why) {
    struct tenure *tenure = NULL;
    OWNER_CHECK(connection->worker);
    enum error_code code =
        identity == NULL ? OK : tenure_create(connection, identity, &tenure, why);
    if (code != OK) {
        return code;
    }
    tenure_destroy(connection->tenure);
    connection->tenure = tenure;
    streams_note_identity(connection);
    enum close_reason reason; /* of one made before a revocation or reload, set behind its walk */
    if (identity != NULL && access_must_go(connection->worker->access, identity, &reason)) {
        tenure_end(tenure, reason);
    }
    return OK;
}

struct identity *connection_identity(const struct connection *connection) {
    return tenure_identity(connection->tenure);
}

struct dues *connection_dues(struct connection *connection) {
    return &connection->dues;
}

bool connection_is_secure(const struct connection *connection) {
    return connection->socket.tunnel != NULL;
}

struct span connection_certificate(const struct connection *connection, uint64_t *ret_ends_s) {
    return tunnel_subject(connection->socket.tunnel, ret_ends_s);
}

void connection_settle(struct connection *connection) {
    if (connection->is_opening) {
        connection->is_opening = false;
        list_remove(&connection->in_stage);
        connection->worker->opening_count--;
    }
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
    return connection->socket.is_full || connection->kept != NULL ||
           connection->phase != CONNECTION_OPEN;
}

size_t connection_kept_bytes(const struct connection *connection) {
    return kept_rest(connection->kept).length;
}

size_t connection_unsent_bytes(const struct connection *connection) {
    int unsent = 0;
    if (ioctl(connection->socket.fd, SIOCOUTQ, &unsent) != 0 || unsent < 0) {
        unsent = 0; /* not a TCP socket, or gone: nothing that could be told */
    }
    return connection_kept_bytes(connection) + socket_kept_bytes(&connection->socket) +
           (size_t)unsent;
}

/* --- sending -------------------------------------------------------------------------------- */

void connection_want_writable(struct connection *connection) {
    if (connection->phase <= CONNECTION_FLUSHING) {
        socket_want_writable(&connection->worker->sockets, &connection->socket);
    }
}

/* One system call. What a broken socket does not take is never taken. */
static size_t send_some(struct connection *connection, struct span bytes) {
    struct worker *worker = connection->worker;
    size_t sent = 0;
    enum error_code code = socket_send(&worker->sockets, &connection->socket, bytes, &sent);
    metrics_add_at(worker->metrics, METRIC_WRITES, connection->counted_as, 1);
    if (code != OK) {
        connection_abort(connection, CLOSE_PEER_GONE);
        return 0;
    }
    connection->bytes_sent += sent;
    connection->sent_ms = worker->now_ms;
    metrics_add_at(worker->metrics, METRIC_SENT_BYTES, connection->counted_as, sent);
    return sent;
}

size_t connection_send(struct connection *connection, struct span bytes) {
    OWNER_CHECK(connection->worker);
    if (connection_is_blocked(connection) || bytes.length == 0) {
        return 0;
    }
    return send_some(connection, bytes);
}

/* A large message may leave a rest for each of thousands of readers in one turn: those for whom
 * there is no memory are let go, and may resume from their last id. False: so is this one. */
static bool may_keep(struct connection *connection, size_t length) {
    const struct broker *broker = connection->worker->broker;
    bool may = budget_pledge(broker->budget, length);
    if (!may) {
        metrics_add_at(connection->worker->metrics, METRIC_MEMORY_SHED, connection->counted_as, 1);
        throttle_note(connection, METRICS_LIMIT_MEMORY, broker->config->memory_max);
        connection_abort(connection, CLOSE_MEMORY);
    }
    return may;
}

static void keep(struct connection *connection, struct span rest) {
    if (may_keep(connection, rest.length) && kept_put(&connection->kept, rest) != OK) {
        connection_abort(connection, CLOSE_MEMORY);
    }
}

void connection_keep(struct connection *connection, struct span rest) {
    INVARIANT(connection->kept == NULL);
    if (connection->phase == CONNECTION_OPEN) {
        keep(connection, rest);
        connection_want_writable(connection);
    }
}

void connection_write(struct connection *connection, struct span bytes) {
    OWNER_CHECK(connection->worker);
    if (connection->phase != CONNECTION_OPEN) {
        return;
    }
    size_t sent = connection_send(connection, bytes);
    if (sent < bytes.length && connection->phase == CONNECTION_OPEN) {
        keep(connection, span_of(bytes.bytes + sent, bytes.length - sent));
    }
}

void connection_give(struct connection *connection, struct buffer *bytes) {
    struct span whole = buffer_borrow(bytes);
    if (connection->kept != NULL) {
        connection_write(connection, whole); /* behind it */
    } else if (connection->phase == CONNECTION_OPEN) {
        size_t sent = connection_send(connection, whole);
        if (sent < whole.length && connection->phase == CONNECTION_OPEN &&
            may_keep(connection, whole.length - sent) &&
            kept_create(bytes, sent, &connection->kept) != OK) {
            connection_abort(connection, CLOSE_MEMORY);
        }
    }
    buffer_finish(bytes);
}

/* --- reading and timers --------------------------------------------------------------------- */

void connection_pause_reading(struct connection *connection) {
    socket_pause(&connection->socket);
}

void connection_resume_reading(struct connection *connection) {
    socket_resume(&connection->worker->sockets, &connection->socket);
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
    socket_shut(&connection->socket);
    connection_resume_reading(connection);
    if (connection->socket.has_ended) {
        connection_abort(connection, connection->close_reason);
    }
}

/* It is still open: what the socket has not sent can be told. */
static void set_reason(struct connection *connection, enum close_reason reason) {
    connection->close_reason = (uint8_t)reason;
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
    if (connection->kept == NULL && socket_kept_bytes(&connection->socket) == 0) {
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
    connection_settle(connection);
    list_put_tail(&connection->worker->doomed, &connection->in_stage);
}

void connection_dismiss(struct connection *connection, enum close_reason reason) {
    OWNER_CHECK(connection->worker);
    if (connection->phase == CONNECTION_OPEN && connection->protocol->on_dismissed != NULL) {
        connection->protocol->on_dismissed(connection, connection->state, reason);
    } else {
        connection_close(connection, reason);
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

/* The only place where a connection ends. It counts as open until its place is another's. */
static void destroy(struct connection *connection) {
    struct worker *worker = connection->worker;
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
    sifts_on_gone(worker, connection);
    census_on_gone(worker, connection);
    forget_told(connection);
    list_remove(&connection->in_worker);
    socket_close(&connection->socket);
    kept_destroy(connection->kept);
    connection->kept = NULL;
    worker->connection_count--;
    atomic_fetch_sub(&worker->broker->connection_count, 1);
    throttle_leave(worker, &connection->dues);
    tenure_destroy(connection->tenure);
    metrics_sub_at(worker->metrics, METRIC_CONNECTIONS_OPEN, connection->counted_as, 1);
    free(connection);
}

void connections_bury(struct worker *worker) {
    struct list *node;
    while ((node = list_take_head(&worker->doomed)) != NULL) {
        destroy(CONTAINER_OF(node, struct connection, in_stage));
    }
}

/* --- the beginning -------------------------------------------------------------------------- */

/* Not connected to anything yet. NULL: out of memory. */
static struct connection *allocate(struct worker *worker, const struct sockaddr_storage *address) {
    char peer[ADDRESS_PEER_BYTES];
    address_format_peer(address, peer);
    size_t peer_size = strlen(peer) + 1;
    struct connection *connection = calloc(1, sizeof(*connection) + peer_size);
    if (connection == NULL) {
        return NULL;
    }
    connection->worker = worker;
    connection->id = atomic_fetch_add(&worker->broker->connection_id_next, 1);
    connection->opened_ms = worker->now_ms;
    connection->sent_ms = worker->now_ms;
    connection->deadline.on_due = on_deadline;
    list_init(&connection->in_stage);
    list_init(&connection->streams);
    memcpy(connection->peer, peer, peer_size);
    return connection;
}

static void begin(struct connection *connection, const struct entrance *entrance) {
    struct worker *worker = connection->worker;
    list_put_tail(&worker->connections, &connection->in_worker);
    connection->is_opening = true;
    list_put_tail(&worker->opening, &connection->in_stage);
    worker->opening_count++;
    worker->connection_count++;
    atomic_fetch_add(&worker->broker->connection_count, 1);
    connection->protocol = entrance->first_protocol;
    connection->counted_as = (uint8_t)metrics_find_protocol(connection->protocol->name);
    metrics_add(worker->metrics, METRIC_CONNECTIONS_ACCEPTED, 1);
    metrics_add_at(worker->metrics, METRIC_CONNECTIONS_OPEN, connection->counted_as, 1);
    connection->state = entrance->on_accepted(connection);
    if (connection->state == NULL) {
        connection_abort(connection, CLOSE_MEMORY);
    }
}

/* Half of all connections may be such that have said nothing yet: of a worker its share. Where all
 * are taken, the one of them that has been silent longest makes room for who comes. */
static void make_room(struct worker *worker) {
    const struct broker *broker = worker->broker;
    uint64_t connections_max = broker->config->connections_max;
    uint64_t share = connections_max / OPENING_SHARE / broker->config->workers;
    bool is_full = atomic_load(&broker->connection_count) >= connections_max;
    if (worker->opening_count >= (is_full ? 1 : share > OPENING_MIN ? share : OPENING_MIN)) {
        struct connection *oldest = CONTAINER_OF(worker->opening.next, struct connection, in_stage);
        throttle_note(oldest, METRICS_LIMIT_OPENING, connections_max);
        connection_abort(oldest, CLOSE_TOO_MANY);
    }
}

/* It owns `fd`, also on failure. */
static enum error_code open_socket(struct connection *connection, const struct entrance *entrance,
                                   int fd) {
    struct worker *worker = connection->worker;
    if (socket_open(&worker->sockets, &connection->socket, fd) != OK) {
        close(fd);
        return ERR_MEMORY;
    }
    if (entrance->tls != NULL &&
        socket_secure(&connection->socket, entrance->tls, entrance->alpn, worker->metrics) != OK) {
        socket_close(&connection->socket);
        return ERR_MEMORY;
    }
    return OK;
}

enum error_code connection_create(struct worker *worker, const struct entrance *entrance, int fd,
                                  const struct sockaddr_storage *address) {
    struct dues dues;
    enum error_code code = throttle_enter(worker, address, &dues);
    struct connection *connection = code == OK ? allocate(worker, address) : NULL;
    if (connection == NULL) {
        close(fd);
    }
    if (connection == NULL || open_socket(connection, entrance, fd) != OK) {
        throttle_leave(worker, &dues);
        free(connection);
        return code == OK ? ERR_MEMORY : code;
    }
    connection->dues = dues;
    make_room(worker);
    begin(connection, entrance);
    return OK;
}

/* --- what happens on the socket ------------------------------------------------------------- */

static struct connection *connection_of(struct socket *socket) {
    return CONTAINER_OF(socket, struct connection, socket);
}

static void on_woken(struct sockets *sockets) {
    thread_wake(CONTAINER_OF(sockets, struct worker, sockets)->metrics);
}

static void on_bytes(struct socket *socket, struct span bytes) {
    struct connection *connection = connection_of(socket);
    if (connection->phase == CONNECTION_OPEN) {
        metrics_add_at(connection->worker->metrics, METRIC_RECEIVED_BYTES, connection->counted_as,
                       bytes.length);
        connection->protocol->on_bytes(connection, connection->state, bytes);
    }
}

/* False: some is left. */
static bool send_kept(struct connection *connection) {
    kept_drop(connection->kept, send_some(connection, kept_rest(connection->kept)));
    if (connection_kept_bytes(connection) > 0) {
        return false;
    }
    kept_destroy(connection->kept);
    connection->kept = NULL;
    return true;
}

static void on_writable(struct socket *socket) {
    struct connection *connection = connection_of(socket);
    if (connection->phase > CONNECTION_FLUSHING ||
        (connection->kept != NULL && !send_kept(connection))) {
        return;
    }
    if (connection->phase == CONNECTION_FLUSHING && socket_kept_bytes(socket) == 0) {
        linger(connection); /* else the last record is not out yet: this is called again */
    } else if (connection->phase == CONNECTION_OPEN) {
        connection->protocol->on_writable(connection, connection->state);
    }
}

/* Who is being answered for the last time may have shut his own side first: it is still his. */
static void on_ended(struct socket *socket) {
    struct connection *connection = connection_of(socket);
    if (connection->phase != CONNECTION_FLUSHING) {
        connection_abort(connection, CLOSE_PEER_GONE);
    }
}

static void on_broken(struct socket *socket) {
    connection_abort(connection_of(socket), CLOSE_PEER_GONE);
}

static void on_refused(struct socket *socket, const char *reason) {
    struct connection *connection = connection_of(socket);
    log_event(TLS_REFUSED, .peer = connection->peer, .reason = reason);
    connection_close(connection, CLOSE_TLS);
}

const struct socket_calls connection_socket_calls = {.on_woken = on_woken,
                                                     .on_refused = on_refused,
                                                     .on_bytes = on_bytes,
                                                     .on_writable = on_writable,
                                                     .on_ended = on_ended,
                                                     .on_broken = on_broken};

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/broker/runtime/inn.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/runtime/access.h"
#include "broker/runtime/tenure.h"
#include "broker/runtime/throttle.h"
#include "broker/runtime/tunnel.h"

struct inn inn;

/* --- in front of broker/runtime --------------------------------------------------------------- */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size) {
    return inn.is_memory_short ? NULL : __real_calloc(count, size);
}

static struct guest *guest_of(const struct socket *socket) {
    size_t index = 0;
    while (inn.guests[index].socket != socket) {
        index++;
        EXPECT_TRUE(index < inn.guest_count);
    }
    return &inn.guests[index];
}

enum error_code socket_open(struct sockets *sockets, struct socket *socket, int fd) {
    EXPECT_TRUE(sockets == &inn.worker.sockets);
    if (inn.is_socket_refused) {
        return ERR_MEMORY;
    }
    socket->fd = fd;
    inn.guests[inn.guest_count++].socket = socket;
    inn.socket_count++;
    return OK;
}

enum error_code socket_secure(struct socket *socket, struct tls *tls, const char *protocol,
                              struct metrics_shard *metrics) {
    (void)socket;
    (void)tls;
    (void)protocol;
    (void)metrics;
    return ERR_MEMORY;
}

void socket_close(struct socket *socket) {
    EXPECT_EQ(close(socket->fd), 0);
    guest_of(socket)->socket = NULL; /* another one's may have its memory next */
    inn.socket_count--;
}

void socket_shut(struct socket *socket) {
    guest_of(socket)->is_shut = true;
}

size_t socket_kept_bytes(const struct socket *socket) {
    return guest_of(socket)->kept;
}

enum error_code socket_send(struct sockets *sockets, struct socket *socket, struct span bytes,
                            size_t *ret_sent) {
    (void)sockets;
    struct guest *guest = guest_of(socket);
    EXPECT_FALSE(guest->is_shut);
    if (guest->is_broken) {
        return ERR_IO;
    }
    *ret_sent = bytes.length < guest->room ? bytes.length : guest->room;
    socket->is_full = *ret_sent < bytes.length;
    if (guest == inn.guests) {
        EXPECT_TRUE(guest->sent + *ret_sent <= SENT_MAX);
        memcpy(inn.sent + guest->sent, bytes.bytes, *ret_sent);
    }
    guest->room -= *ret_sent;
    guest->sent += *ret_sent;
    return OK;
}

void socket_want_writable(struct sockets *sockets, struct socket *socket) {
    (void)sockets;
    guest_of(socket)->is_wanted = true;
}

void socket_pause(struct socket *socket) {
    socket->is_paused = true;
}

void socket_resume(struct sockets *sockets, struct socket *socket) {
    (void)sockets;
    socket->is_paused = false;
}

struct span tunnel_subject(struct tunnel *tunnel, uint64_t *ret_ends_s) {
    EXPECT_NULL(tunnel);
    *ret_ends_s = 0;
    return (struct span){0};
}

struct tenure {
    struct identity *identity;
    bool has_ended;
};

enum error_code tenure_create(struct connection *connection, struct identity *identity,
                              struct tenure **ret_tenure, struct error *why) {
    (void)connection;
    (void)why;
    struct tenure *tenure = calloc(1, sizeof(*tenure));
    if (tenure == NULL) {
        return ERR_MEMORY;
    }
    tenure->identity = identity;
    *ret_tenure = tenure;
    return OK;
}

void tenure_end(struct tenure *tenure, enum close_reason reason) {
    EXPECT_EQ(reason, CLOSE_REVOKED);
    tenure->has_ended = true;
    inn.gone_count++;
}

struct identity *tenure_identity(const struct tenure *tenure) {
    return tenure == NULL ? NULL : tenure->identity;
}

void tenure_destroy(struct tenure *tenure) {
    free(tenure);
}

bool access_must_go(struct access *access, const struct identity *identity,
                    enum close_reason *ret_reason) {
    (void)access;
    (void)identity;
    *ret_reason = CLOSE_REVOKED;
    return inn.must_go;
}

enum error_code throttle_enter(struct worker *worker, const struct sockaddr_storage *address,
                               struct dues *ret_dues) {
    (void)worker;
    (void)address;
    *ret_dues = (struct dues){.is_counted = inn.entering == OK};
    inn.entered_count += ret_dues->is_counted;
    return inn.entering;
}

void throttle_leave(struct worker *worker, const struct dues *dues) {
    (void)worker;
    inn.entered_count -= dues->is_counted;
}

void throttle_note(const struct connection *connection, enum metrics_limit limit, uint64_t value) {
    (void)connection;
    (void)value;
    inn.limit = limit;
    inn.limit_count++;
}

void streams_note_identity(struct connection *connection) {
    (void)connection;
}

void surveys_on_gone(struct worker *worker, const struct connection *connection) {
    (void)worker;
    (void)connection;
    inn.gone_count++;
}

void sifts_on_gone(struct worker *worker, const struct connection *connection) {
    (void)worker;
    (void)connection;
    inn.gone_count++;
}

void census_on_gone(struct worker *worker, const struct connection *connection) {
    (void)worker;
    (void)connection;
    inn.gone_count++;
}

/* --- the protocol ----------------------------------------------------------------------------- */

static void on_bytes(struct connection *connection, void *state, struct span bytes) {
    struct guest *guest = state;
    EXPECT_TRUE(guest->connection == connection);
    guest->bytes_count += bytes.length;
}

static void on_writable(struct connection *connection, void *state) {
    EXPECT_EQ(connection_kept_bytes(connection), 0);
    ((struct guest *)state)->writable_count++;
}

static void on_deadline(struct connection *connection, void *state) {
    (void)connection;
    ((struct guest *)state)->deadline_count++;
}

static void on_drain(struct connection *connection, void *state) {
    (void)connection;
    ((struct guest *)state)->drain_count++;
}

static void on_dismissed(struct connection *connection, void *state, enum close_reason reason) {
    struct guest *guest = state;
    guest->dismissed_count++;
    guest->reason = reason;
    connection_close(connection, reason);
}

static void on_closed(struct connection *connection, void *state, enum close_reason reason) {
    struct guest *guest = state == NULL ? inn.guests : state;
    EXPECT_TRUE(guest->connection == connection);
    guest->closed_count++;
    guest->reason = reason;
}

static const struct protocol polite = {.name = "http",
                                       .on_bytes = on_bytes,
                                       .on_writable = on_writable,
                                       .on_deadline = on_deadline,
                                       .on_drain = on_drain,
                                       .on_dismissed = on_dismissed,
                                       .on_closed = on_closed};
const struct protocol guest_wordless = {.name = "sse",
                                        .on_bytes = on_bytes,
                                        .on_writable = on_writable,
                                        .on_deadline = on_deadline,
                                        .on_drain = on_drain,
                                        .on_closed = on_closed};

static void *on_accepted(struct connection *connection) {
    struct guest *guest = &inn.guests[inn.guest_count - 1];
    guest->connection = connection;
    return inn.is_guest_refused ? NULL : guest;
}

static const struct entrance entrance = {.first_protocol = &polite, .on_accepted = on_accepted};

/* --- what a test does ------------------------------------------------------------------------- */

int inn_begin(void **state) {
    (void)state;
    memset(&inn, 0, sizeof(inn));
    struct worker *worker = &inn.worker;
    inn.config.connections_max = GUESTS_MAX;
    inn.config.workers = 1;
    inn.broker.config = &inn.config;
    inn.broker.budget = &inn.budget;
    inn.budget.limit_bytes = UINT64_MAX;
    atomic_store(&inn.broker.connection_id_next, 1);
    EXPECT_EQ(metrics_create(1, &inn.broker.metrics), OK);
    worker->broker = &inn.broker;
    worker->metrics = metrics_shard(inn.broker.metrics, METRICS_WORKERS);
    worker->now_ms = NOW_MS;
    owner_claim(&worker->owner);
    wheel_init(&worker->wheel, NOW_MS);
    list_init(&worker->connections);
    list_init(&worker->opening);
    list_init(&worker->doomed);
    return 0;
}

int inn_end(void **state) {
    (void)state;
    struct worker *worker = &inn.worker;
    connections_abort_all(worker, CLOSE_DRAINING);
    connections_bury(worker);
    for (size_t i = 0; i < inn.guest_count; i++) {
        EXPECT_EQ(inn.guests[i].closed_count, inn.guests[i].connection != NULL);
    }
    EXPECT_EQ(worker->connection_count + worker->opening_count, 0);
    EXPECT_EQ(inn.entered_count + inn.socket_count, 0);
    EXPECT_EQ(inn.broker.connection_count, 0);
    EXPECT_EQ(metrics_sum(inn.broker.metrics, METRIC_CONNECTIONS_OPEN, METRICS_PROTOCOL_HTTP), 0);
    EXPECT_EQ(metrics_sum(inn.broker.metrics, METRIC_CONNECTIONS_OPEN, METRICS_PROTOCOL_SSE), 0);
    EXPECT_EQ(worker->wheel.timer_count, 0);
    wheel_finish(&worker->wheel);
    metrics_destroy(inn.broker.metrics);
    return 0;
}

enum error_code inn_try(void) {
    struct sockaddr_storage address = {.ss_family = AF_INET};
    int fd = eventfd(0, 0);
    enum error_code code = connection_create(&inn.worker, &entrance, fd, &address);
    EXPECT_EQ(fcntl(fd, F_GETFD) >= 0, code == OK);
    return code;
}

struct guest *inn_come(void) {
    EXPECT_EQ(inn_try(), OK);
    return &inn.guests[inn.guest_count - 1];
}

void guest_make_room(struct guest *guest, size_t room) {
    guest->room += room;
    guest->socket->is_full = false;
    connection_socket_calls.on_writable(guest->socket);
}

void inn_pass(uint64_t ms) {
    inn.worker.now_ms += ms;
    wheel_turn(&inn.worker.wheel, inn.worker.now_ms);
}

void guest_say(struct guest *guest, const char *text) {
    connection_write(guest->connection, span_of_string(text));
}

void guest_expect_closed(const struct guest *guest, enum close_reason reason) {
    EXPECT_EQ(guest->closed_count, 0); /* never under the caller */
    connections_bury(&inn.worker);
    EXPECT_EQ(guest->closed_count, 1);
    EXPECT_EQ(guest->reason, reason);
}

void guest_expect_open(const struct guest *guest) {
    connections_bury(&inn.worker);
    EXPECT_EQ(guest->closed_count, 0);
}

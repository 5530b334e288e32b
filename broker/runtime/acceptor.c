/* SPDX-License-Identifier: Apache-2.0 */
/* Each worker listens on a socket of its own at the same address (SO_REUSEPORT), and the kernel
 * spreads connections over them. Options set on the listening socket are inherited by the accepted
 * ones, so that accepting costs one system call here: TCP_NODELAY, because frames are coalesced by
 * us, and SO_SNDBUF, because what the kernel holds unsent is the reader's send budget. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/config/config.h"
#include "broker/config/exposure.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/metrics/thread.h"
#include "broker/runtime/worker_private.h"
#include "broker/support/logger.h"

#define BACKLOG 4096
#define ACCEPTS_A_TURN 64 /* then readers get their turn: a storm of connects stops nobody */
#define PAUSE_MS 200      /* without descriptors: until some connection has ended */

static void pause_listening(struct worker *worker) {
    metrics_add(worker->metrics, METRIC_ACCEPT_PAUSES, 1);
    uv_poll_stop(&worker->listen_poll);
    wheel_arm(&worker->wheel, &worker->listen_again, worker->now_ms + PAUSE_MS);
}

static bool is_full(const struct worker *worker) {
    struct broker *broker = worker->broker;
    return atomic_load(&broker->connection_count) >= broker->config->connections_max;
}

/* False: nothing waits any more, or accepting pauses. */
static bool accept_one(struct worker *worker) {
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    if (is_full(worker)) {
        log_event(CONNECTIONS_FULL, .connections = worker->broker->config->connections_max);
        pause_listening(worker);
        return false;
    }
    int fd = accept4(worker->listen_fd, (struct sockaddr *)&address, &length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_event(ACCEPT_PAUSED, .error = strerrorname_np(errno),
                      .connections = worker->connection_count);
            pause_listening(worker);
        }
        return errno == ECONNABORTED || errno == EINTR;
    }
    enum error_code code = connection_create(worker, fd, &address);
    if (code == ERR_MEMORY) {
        log_event(CONNECTION_REFUSED, .reason = close_row(CLOSE_MEMORY)->name);
    }
    return true;
}

static void on_acceptable(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct worker *worker = poll->data;
    thread_wake(worker->metrics);
    for (int i = 0; i < ACCEPTS_A_TURN && accept_one(worker); i++) {
    }
}

static void on_listen_again(struct wheel_timer *timer) {
    struct worker *worker = CONTAINER_OF(timer, struct worker, listen_again);
    if (worker->listen_fd >= 0) {
        uv_poll_start(&worker->listen_poll, UV_READABLE, on_acceptable);
    }
}

static bool set_option(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* The public address with the port that was really taken. */
static void address_of(const struct broker *broker, struct config_address *ret_address) {
    *ret_address = broker->config->public_listen;
    if (broker->public_port != 0) {
        exposure_set_port(ret_address, broker->public_port);
    }
}

static void note_port(struct worker *worker) {
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    if (getsockname(worker->listen_fd, (struct sockaddr *)&address, &length) == 0) {
        worker->broker->public_port =
            ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                : ((struct sockaddr_in *)&address)->sin_port);
    }
}

enum error_code acceptor_open(struct worker *worker, struct error *why) {
    struct config_address address;
    char text[EXPOSURE_ADDRESS_BYTES];
    address_of(worker->broker, &address);
    exposure_format_address(&address, text);
    int fd = socket(address.socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return error_set(why, ERR_IO, "no socket for %s: %s", text, strerrordesc_np(errno));
    }
    worker->listen_fd = fd;
    int budget = (int)worker->broker->config->send_budget_bytes;
    /* The first worker binds alone: a second broker at this address must not get half of the
     * connections. Its socket shares the port only once it has it. */
    bool is_first = worker->index == 0;
    bool is_ready = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
                    (is_first || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
                    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
                    set_option(fd, SOL_SOCKET, SO_SNDBUF, budget) &&
                    bind(fd, (struct sockaddr *)&address.socket, address.length) == 0 &&
                    (!is_first || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
                    listen(fd, BACKLOG) == 0;
    if (!is_ready) {
        error_set(why, ERR_IO, "cannot listen on %s: %s", text, strerrordesc_np(errno));
        acceptor_close(worker);
        return ERR_IO;
    }
    note_port(worker);
    worker->listen_again.on_due = on_listen_again;
    worker->listen_poll.data = worker;
    if (uv_poll_init(&worker->loop, &worker->listen_poll, fd) != 0 ||
        uv_poll_start(&worker->listen_poll, UV_READABLE, on_acceptable) != 0) {
        acceptor_close(worker);
        return error_set(why, ERR_IO, "cannot watch %s", text);
    }
    return OK;
}

void acceptor_close(struct worker *worker) {
    if (worker->listen_fd < 0) {
        return;
    }
    wheel_disarm(&worker->wheel, &worker->listen_again);
    if (worker->listen_poll.data != NULL && !uv_is_closing((uv_handle_t *)&worker->listen_poll)) {
        uv_poll_stop(&worker->listen_poll);
        uv_close((uv_handle_t *)&worker->listen_poll, NULL);
    }
    close(worker->listen_fd);
    worker->listen_fd = -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd's own thread could not take letters, and one that is woken for each answer pays an
 * eventfd write and a list walk a request. So the loop is ours: it polls the daemon's epoll
 * descriptor and the mailbox's eventfd, delivers all letters (each resumes its connection) and then
 * runs the daemon once for the whole batch. */
#include "protocols/operator/operator.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/config/config.h"
#include "broker/config/exposure.h"
#include "broker/runtime/broker.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/operator/call.h"

#define TURN_MS_MAX 1000 /* deadlines are looked at so often when nothing else happens */

static_assert(DRAIN_TIMEOUT_MS + OPERATOR_STOP_MS < 2000, "SIGTERM ends the process in 2 s");
static_assert(OPERATOR_CONNECTION_BYTES >= 3 * HTTP_HEAD_BYTES_MAX,
              "the head, what libmicrohttpd keeps of each header, and the reply's head");

struct operator{
    struct switchboard switchboard;
    struct MHD_Daemon *daemon;
    int listen_socket; /* until the daemon has it */
    int epoll_socket;
    uint16_t port;
    pthread_t thread;
    bool is_started;
    struct letter stop;
    atomic_bool is_stopping;
};

/* --- starting -------------------------------------------------------------------------------- */

static enum error_code read_port(struct operator* operator, struct error * why) {
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    if (getsockname(operator->listen_socket, (struct sockaddr *)&address, &length) != 0) {
        return error_set(why, ERR_IO, "the operator's port is not known: %s",
                         strerrordesc_np(errno));
    }
    operator->port = ntohs(address.ss_family == AF_INET6
                               ? ((const struct sockaddr_in6 *)(const void *)&address)->sin6_port
                               : ((const struct sockaddr_in *)(const void *)&address)->sin_port);
    return OK;
}

/* No SO_REUSEPORT: a second broker must not silently take half of the connections. */
static enum error_code listen_at(struct operator* operator, const struct config_address * address,
                                 struct error *why) {
    char text[EXPOSURE_ADDRESS_BYTES];
    int on = 1;
    exposure_format_address(address, text);
    operator->listen_socket =
        socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (operator->listen_socket<0) {
        return error_set(why, ERR_IO, "no socket for the operator's port %s: %s", text,
                         strerrordesc_np(errno));
    }
    setsockopt(operator->listen_socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(operator->listen_socket, (const struct sockaddr *)&address->socket, address->length) !=
            0 ||
        listen(operator->listen_socket, OPERATOR_BACKLOG) != 0) {
        const char *hint = errno == EADDRINUSE ? "; is another broker running? --operator takes "
                                                 "another ADDRESS:PORT"
                                               : "";
        return error_set(why, ERR_IO, "cannot listen at the operator's port %s: %s%s", text,
                         strerrordesc_np(errno), hint);
    }
    return read_port(operator, why);
}

/* The target is decoded by the routes, once. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text) {
    (void)context;
    (void)connection;
    return strlen(text);
}

static enum error_code start_daemon(struct operator* operator, struct error * why) {
    struct switchboard *switchboard = &operator->switchboard;
    operator->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, call_on_access, switchboard,
        MHD_OPTION_LISTEN_SOCKET, operator->listen_socket,                       /* */
        MHD_OPTION_URI_LOG_CALLBACK, call_on_target, switchboard,                /* */
        MHD_OPTION_NOTIFY_COMPLETED, call_on_completed, switchboard,             /* */
        MHD_OPTION_NOTIFY_CONNECTION, call_on_connection, switchboard,           /* */
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,                       /* */
        MHD_OPTION_STRICT_FOR_CLIENT, 1,                                         /* */
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)OPERATOR_CONNECTIONS_MAX,         /* */
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)OPERATOR_CONNECTION_BYTES,   /* */
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(KEEP_ALIVE_TIMEOUT_MS / 1000), /* */
        MHD_OPTION_END);
    if (operator->daemon == NULL) {
        return error_set(why, ERR_MEMORY, "libmicrohttpd does not start");
    }
    operator->listen_socket = - 1;
    operator->epoll_socket = MHD_get_daemon_info(operator->daemon, MHD_DAEMON_INFO_EPOLL_FD)
        ->epoll_fd;
    return OK;
}

enum error_code operator_create(struct broker *broker, struct operator** ret_operator,
                                struct error *why) {
    struct operator* operator= calloc(1, sizeof(*operator));
    if (operator== NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the operator's port");
    }
    struct switchboard *switchboard = &operator->switchboard;
    operator->listen_socket = - 1;
    switchboard->broker = broker;
    switchboard->shard = metrics_shard(broker->metrics, METRICS_OPERATOR);
    list_init(&switchboard->calls);
    wheel_init(&switchboard->wheel, clock_monotonic_ms());
    enum error_code code = mailbox_init(&switchboard->mailbox, MAILBOX_NODES_MAX);
    if (code != OK) {
        free(operator);
        return error_set(why, code, "no eventfd for the operator's port");
    }
    code = listen_at(operator, & broker->config->operator_listen, why);
    if (code == OK) {
        code = start_daemon(operator, why);
    }
    if (code != OK) {
        operator_destroy(operator);
        return code;
    }
    *ret_operator = operator;
    return OK;
}

/* --- the thread ------------------------------------------------------------------------------ */

/* How long the thread may sleep: what libmicrohttpd wants, and no longer than TURN_MS_MAX. */
static int sleep_ms(struct operator* operator, int sleep_ms_max) {
    MHD_UNSIGNED_LONG_LONG wanted_ms;
    if (MHD_get_timeout(operator->daemon, &wanted_ms) == MHD_YES &&
        wanted_ms < (unsigned)sleep_ms_max) {
        return (int)wanted_ms;
    }
    return sleep_ms_max;
}

static void turn(struct operator* operator, int sleep_ms_max) {
    struct mailbox *mailbox = &operator->switchboard.mailbox;
    int timeout_ms = sleep_ms(operator, sleep_ms_max);
    if (timeout_ms > 0 && mailbox_sleep(mailbox)) {
        struct pollfd wanted[] = {{.fd = operator->epoll_socket, .events = POLLIN},
                                  {.fd = mailbox->event_fd, .events = POLLIN}};
        IGNORE_RESULT(poll(wanted, ARRAY_COUNT(wanted), timeout_ms) < 0); /* a signal: go on */
        mailbox_wake(mailbox);
    }
    mailbox_deliver_all(mailbox, operator);
    wheel_turn(&operator->switchboard.wheel, clock_monotonic_ms());
    MHD_run(operator->daemon);
    metrics_add(operator->switchboard.shard, METRIC_TURNS, 1);
}

/* Ends the listening at once, and the calls in their own time or when it is over. */
static void finish_calls(struct operator* operator) {
    struct switchboard *switchboard = &operator->switchboard;
    uint64_t until_ms = clock_monotonic_ms() + OPERATOR_STOP_MS;
    int listen_socket = MHD_quiesce_daemon(operator->daemon);
    if (listen_socket >= 0) {
        close(listen_socket);
    }
    switchboard->is_stopping = true;
    for (;;) {
        uint64_t now_ms = clock_monotonic_ms();
        if (list_is_empty(&switchboard->calls) || now_ms >= until_ms) {
            break;
        }
        turn(operator, (int)(until_ms - now_ms));
    }
    call_abandon_all(switchboard);
}

static void *operator_thread(void *argument) {
    struct operator* operator= argument;
    while (!atomic_load(&operator->is_stopping)) {
        turn(operator, TURN_MS_MAX);
    }
    finish_calls(operator);
    return NULL;
}

enum error_code operator_start(struct operator* operator, struct error * why) {
    INVARIANT(!operator->is_started);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* signals are main's */
    int failure = pthread_create(&operator->thread, NULL, operator_thread, operator);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0) {
        return error_set(why, ERR_MEMORY, "the operator's thread does not start");
    }
    operator->is_started = true;
    return OK;
}

uint16_t operator_port(const struct operator* operator) {
    return operator->port;
}

/* --- the end --------------------------------------------------------------------------------- */

static void on_stop(struct letter *letter, void *consumer) {
    (void)letter;
    (void)consumer; /* waking up was all that it is for */
}

void operator_stop(struct operator* operator) {
    if (operator== NULL) {
        return;
    }
    if (operator->is_started) {
        operator->stop.on_delivered = on_stop;
        atomic_store(&operator->is_stopping, true);
        mailbox_put_answer(&operator->switchboard.mailbox, &operator->stop);
        pthread_join(operator->thread, NULL);
        operator->is_started = false;
    }
    if (operator->daemon != NULL) {
        MHD_stop_daemon(operator->daemon);
        operator->daemon = NULL;
    }
    INVARIANT(list_is_empty(&operator->switchboard.calls));
}

void operator_destroy(struct operator* operator) {
    if (operator== NULL) {
        return;
    }
    operator_stop(operator);
    while (mailbox_deliver_all(&operator->switchboard.mailbox, operator) > 0) {
        /* answers to calls that were given up */
    }
    if (operator->listen_socket >= 0) {
        close(operator->listen_socket);
    }
    mailbox_finish(&operator->switchboard.mailbox);
    wheel_finish(&operator->switchboard.wheel);
    free(operator);
}

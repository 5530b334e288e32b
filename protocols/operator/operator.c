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
#include "broker/metrics/thread.h"
#include "broker/runtime/broker.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/operator/call.h"
#include "protocols/operator/certificate.h"

/* As the workers' ports have it: tls.h. */
#define TLS_PRIORITIES                                                                             \
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA:+AES-128-GCM:+AES-256-GCM:"            \
    "+CHACHA20-POLY1305:+AEAD:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+SIGN-ALL:"          \
    "+COMP-NULL:+CTYPE-X509:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1"
#define TURN_MS_MAX 1000 /* deadlines are looked at so often when nothing else happens */

static_assert(DRAIN_TIMEOUT_MS + OPERATOR_STOP_MS < 2000, "SIGTERM ends the process in 2 s");
static_assert(OPERATOR_CONNECTION_BYTES >= 3 * HTTP_HEAD_BYTES_MAX,
              "the head, what libmicrohttpd keeps of each header, and the reply's head");

struct operator_server {
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

static enum error_code read_port(struct operator_server *server, struct error *why) {
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    if (getsockname(server->listen_socket, (struct sockaddr *)&address, &length) != 0) {
        return error_set(why, ERR_IO, "the operator's port is not known: %s",
                         strerrordesc_np(errno));
    }
    server->port = ntohs(address.ss_family == AF_INET6
                             ? ((const struct sockaddr_in6 *)(const void *)&address)->sin6_port
                             : ((const struct sockaddr_in *)(const void *)&address)->sin_port);
    return OK;
}

static enum error_code cannot_listen(const char *address, struct error *why) {
    const char *hint = errno == EADDRINUSE ? "; is another broker running? --operator takes "
                                             "another ADDRESS:PORT"
                                           : "";
    return error_set(why, ERR_IO, "cannot listen at the operator's port %s: %s%s", address,
                     strerrordesc_np(errno), hint);
}

/* No SO_REUSEPORT: a second broker must not silently take half of the connections. */
static enum error_code bind_to(struct operator_server *server, const struct config_address *address,
                               struct error *why) {
    char text[EXPOSURE_ADDRESS_BYTES];
    int on = 1;
    exposure_format_address(address, text);
    server->listen_socket =
        socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listen_socket < 0) {
        return error_set(why, ERR_IO, "no socket for the operator's port %s: %s", text,
                         strerrordesc_np(errno));
    }
    setsockopt(server->listen_socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(server->listen_socket, (const struct sockaddr *)&address->socket, address->length) !=
        0) {
        return cannot_listen(text, why);
    }
    return read_port(server, why);
}

/* The target is decoded by the routes, once. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text) {
    (void)context;
    (void)connection;
    return strlen(text);
}

static enum error_code start_daemon(struct operator_server *server, struct error *why) {
    struct switchboard *switchboard = &server->switchboard;
    struct certificate *certificate = switchboard->certificate;
    bool is_secure = certificate != NULL;
    struct MHD_OptionItem secure[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0,
         is_secure ? (void *)(uintptr_t)certificate_chain_text(certificate) : NULL},
        {MHD_OPTION_HTTPS_MEM_KEY, 0,
         is_secure ? (void *)(uintptr_t)certificate_key_text(certificate) : NULL},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (is_secure ? MHD_USE_TLS : 0U), 0, NULL, NULL,
        call_on_access, switchboard, MHD_OPTION_LISTEN_SOCKET, server->listen_socket, /* */
        MHD_OPTION_URI_LOG_CALLBACK, call_on_target, switchboard,                     /* */
        MHD_OPTION_NOTIFY_COMPLETED, call_on_completed, switchboard,                  /* */
        MHD_OPTION_NOTIFY_CONNECTION, call_on_connection, switchboard,                /* */
        MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,                            /* */
        MHD_OPTION_STRICT_FOR_CLIENT, 1,                                              /* */
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)OPERATOR_CONNECTIONS_MAX,              /* */
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)OPERATOR_CONNECTION_BYTES,        /* */
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(KEEP_ALIVE_TIMEOUT_MS / 1000),      /* */
        MHD_OPTION_ARRAY, is_secure ? secure : none,                                  /* */
        MHD_OPTION_END);
    if (server->daemon == NULL) {
        return error_set(why, ERR_MEMORY, "libmicrohttpd does not start");
    }
    server->listen_socket = -1;
    server->epoll_socket = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return OK;
}

enum error_code operator_create(struct broker *broker, struct operator_server **ret_operator,
                                struct error *why) {
    struct operator_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the operator's port");
    }
    struct switchboard *switchboard = &server->switchboard;
    server->listen_socket = -1;
    switchboard->broker = broker;
    switchboard->shard = metrics_shard(broker->metrics, METRICS_OPERATOR);
    list_init(&switchboard->calls);
    wheel_init(&switchboard->wheel, clock_monotonic_ms());
    enum error_code code = mailbox_init(&switchboard->mailbox, MAILBOX_NODES_MAX);
    if (code != OK) {
        free(server);
        return error_set(why, code, "no eventfd for the operator's port");
    }
    code = bind_to(server, &broker->config->operator_listen, why);
    if (code == OK && broker->config->operator_tls_certificate != NULL) {
        code = certificate_create(broker->config->operator_tls_certificate,
                                  broker->config->operator_tls_key, &switchboard->certificate, why);
    }
    if (code != OK) {
        operator_destroy(server);
        return code;
    }
    broker->operator_port = server->port;
    *ret_operator = server;
    return OK;
}

/* --- the thread ------------------------------------------------------------------------------ */

/* How long the thread may sleep: what libmicrohttpd wants, and no longer than TURN_MS_MAX. */
static int sleep_ms(struct operator_server *server, int sleep_ms_max) {
    MHD_UNSIGNED_LONG_LONG wanted_ms;
    if (MHD_get_timeout(server->daemon, &wanted_ms) == MHD_YES &&
        wanted_ms < (unsigned)sleep_ms_max) {
        return (int)wanted_ms;
    }
    return sleep_ms_max;
}

static void turn(struct operator_server *server, int sleep_ms_max) {
    struct mailbox *mailbox = &server->switchboard.mailbox;
    int timeout_ms = sleep_ms(server, sleep_ms_max);
    thread_sleep(server->switchboard.shard);
    if (timeout_ms > 0 && mailbox_sleep(mailbox)) {
        struct pollfd wanted[] = {{.fd = server->epoll_socket, .events = POLLIN},
                                  {.fd = mailbox->event_fd, .events = POLLIN}};
        IGNORE_RESULT(poll(wanted, ARRAY_COUNT(wanted), timeout_ms) < 0); /* a signal: go on */
        mailbox_wake(mailbox);
    }
    thread_wake(server->switchboard.shard);
    metrics_add(server->switchboard.shard, METRIC_LETTERS, mailbox_deliver_all(mailbox, server));
    wheel_turn(&server->switchboard.wheel, clock_monotonic_ms());
    MHD_run(server->daemon);
}

/* Ends the listening at once, and the calls in their own time or when it is over. */
static void finish_calls(struct operator_server *server) {
    struct switchboard *switchboard = &server->switchboard;
    uint64_t until_ms = clock_monotonic_ms() + OPERATOR_STOP_MS;
    int listen_socket = MHD_quiesce_daemon(server->daemon);
    if (listen_socket >= 0) {
        close(listen_socket);
    }
    switchboard->is_stopping = true;
    for (;;) {
        uint64_t now_ms = clock_monotonic_ms();
        if (list_is_empty(&switchboard->calls) || now_ms >= until_ms) {
            break;
        }
        turn(server, (int)(until_ms - now_ms));
    }
    call_abandon_all(switchboard);
}

static void *operator_thread(void *argument) {
    struct operator_server *server = argument;
    thread_begin(server->switchboard.shard);
    while (!atomic_load(&server->is_stopping)) {
        turn(server, TURN_MS_MAX);
    }
    finish_calls(server);
    return NULL;
}

static enum error_code begin_listening(struct operator_server *server, struct error *why) {
    char text[EXPOSURE_ADDRESS_BYTES];
    exposure_format_address(&server->switchboard.broker->config->operator_listen, text);
    return listen(server->listen_socket, OPERATOR_BACKLOG) == 0 ? start_daemon(server, why)
                                                                : cannot_listen(text, why);
}

enum error_code operator_start(struct operator_server *server, struct error *why) {
    INVARIANT(!server->is_started);
    enum error_code code = begin_listening(server, why);
    if (code != OK) {
        return code;
    }
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* signals are main's */
    int failure = pthread_create(&server->thread, NULL, operator_thread, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure != 0) {
        return error_set(why, ERR_MEMORY, "the operator's thread does not start");
    }
    server->is_started = true;
    return OK;
}

enum error_code operator_reload(struct operator_server *server, struct error *why) {
    struct certificate *certificate = server->switchboard.certificate;
    return certificate == NULL ? OK : certificate_reload(certificate, why);
}

uint16_t operator_port(const struct operator_server *server) {
    return server->port;
}

/* --- the end --------------------------------------------------------------------------------- */

static void on_stop(struct letter *letter, void *consumer) {
    (void)letter;
    (void)consumer; /* waking up was all that it is for */
}

void operator_stop(struct operator_server *server) {
    if (server == NULL) {
        return;
    }
    if (server->is_started) {
        server->stop.on_delivered = on_stop;
        atomic_store(&server->is_stopping, true);
        mailbox_put_answer(&server->switchboard.mailbox, &server->stop);
        pthread_join(server->thread, NULL);
        server->is_started = false;
    }
    if (server->daemon != NULL) {
        MHD_stop_daemon(server->daemon);
        server->daemon = NULL;
    }
    INVARIANT(list_is_empty(&server->switchboard.calls));
}

void operator_destroy(struct operator_server *server) {
    if (server == NULL) {
        return;
    }
    operator_stop(server);
    while (mailbox_deliver_all(&server->switchboard.mailbox, server) > 0) {
        /* answers to calls that were given up */
    }
    if (server->listen_socket >= 0) {
        close(server->listen_socket);
    }
    certificate_destroy(server->switchboard.certificate);
    mailbox_finish(&server->switchboard.mailbox);
    wheel_finish(&server->switchboard.wheel);
    free(server);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clients/cli/client.h"
#include "clients/cli/http.h"
#include "clients/cli/options.h"
#include "clients/cli/output.h"
#include "clients/cli/receipt.h"
#include "clients/cli/verify.h"

#define ADDRESS_DEFAULT "127.0.0.1"
#define ADDRESS_BYTES 64
#define BODY_BYTES_MAX 67108864 /* the broker's largest message is 16 MiB, and base64 adds to it */
#define BODY_BYTES_FIRST 4096
#define CONNECTIONS_MAX 1024U
#define IDS_KEPT 1024 /* of which a repeat is recognised */
#define DELAY_MS_MAX 600000
#define TURN_MS_MAX 1000
#define STATUS_MIN 200
#define STATUS_MAX 599
#define PORT_MAX 65535

enum { WEBHOOK, SECRET, STATUS, FAIL, DELAY, JSON };
static const struct option_row rows[] = {
    [WEBHOOK] = {"--webhook", "[ADDRESS:]PORT",
                 "Where to listen; loopback unless told; port 0 takes a free one"},
    [SECRET] = {"--secret", "SECRET", "What requests are signed with (unless told: a fresh one)"},
    [STATUS] = {"--status", "NUMBER", "What a good request is answered (unless told: 200)"},
    [FAIL] = {"--fail", "COUNT", "Answer 500 to so many requests first"},
    [DELAY] = {"--delay", "MS", "Answer so many milliseconds later"},
    [JSON] = {"--json", NULL, "A line of JSON a request, with the whole body"},
};

static const struct options_table table = {
    .usage = "tidings listen --webhook [ADDRESS:]PORT [flags]",
    .about = "A receiver of webhooks for trying things out. It verifies signatures (Standard\n"
             "Webhooks), writes a line a request, and answers 200, or 401 where the signature is\n"
             "wrong. What the broker's configuration needs for it is written on standard error.\n",
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
};

/* One request, from its head until its answer has left. */
struct request {
    struct listener *listener;
    struct MHD_Connection *connection;
    char *body;
    size_t length;
    size_t capacity;
    bool is_too_large;
    bool is_judged;
    unsigned status;
    uint64_t due_ms; /* while it is suspended … */
    struct request *next;
};

struct listener {
    char address[ADDRESS_BYTES];
    const char *port; /* borrowed from the words */
    struct MHD_Daemon *daemon;
    struct verify_secret secret;
    unsigned status;
    unsigned long fail_count;
    uint64_t delay_ms;
    bool is_json;
    bool is_broken;          /* standard output takes no more */
    struct request *waiting; /* … in the order in which they are due */
    char *ids[IDS_KEPT];     /* that were answered with success; the oldest is replaced */
    size_t id_next;
};

/* --- judging --------------------------------------------------------------------------------- */

static bool is_known(const struct listener *listener, const char *id) {
    for (size_t i = 0; id != NULL && i < IDS_KEPT; i++) {
        if (listener->ids[i] != NULL && strcmp(listener->ids[i], id) == 0) {
            return true;
        }
    }
    return false;
}

static void remember(struct listener *listener, const char *id) {
    free(listener->ids[listener->id_next]);
    listener->ids[listener->id_next] = strdup(id); /* without memory: a repeat is not told */
    listener->id_next = (listener->id_next + 1) % IDS_KEPT;
}

static unsigned choose_status(struct listener *listener, const struct request *request,
                              enum verify_verdict verdict) {
    if (request->is_too_large) {
        return MHD_HTTP_CONTENT_TOO_LARGE;
    }
    if (verdict != VERIFY_GOOD) {
        return MHD_HTTP_UNAUTHORIZED;
    }
    if (listener->fail_count > 0) {
        listener->fail_count--;
        return MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
    return listener->status;
}

static const char *header_of(const struct request *request, const char *name) {
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static int64_t wall_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Writes the line. */
static void judge(struct request *request) {
    struct listener *listener = request->listener;
    struct receipt receipt = {
        .claim = {.id = header_of(request, "webhook-id"),
                  .timestamp = header_of(request, "webhook-timestamp"),
                  .signature = header_of(request, "webhook-signature"),
                  .body = request->body == NULL ? "" : request->body,
                  .body_length = request->length},
        .media_type = header_of(request, MHD_HTTP_HEADER_CONTENT_TYPE),
        .channel = header_of(request, "tidings-channel"),
        .offset = header_of(request, "tidings-offset"),
        .received_ms = wall_ms(),
    };
    receipt.verdict = verify_claim(&listener->secret, &receipt.claim, receipt.received_ms / 1000);
    receipt.status = choose_status(listener, request, receipt.verdict);
    receipt.is_repeat = is_known(listener, receipt.claim.id);
    if (receipt.status / 100 == 2 && !receipt.is_repeat) {
        remember(listener, receipt.claim.id);
    }
    bool is_written = listener->is_json ? receipt_write_json(stdout, &receipt)
                                        : receipt_write_line(stdout, &receipt);
    listener->is_broken |= !is_written;
    request->status = receipt.status;
    request->is_judged = true;
}

/* --- libmicrohttpd's calls ------------------------------------------------------------------- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status,
                              const char *text) {
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        return MHD_NO;
    }
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* What is too large is read to its end and dropped, so that the sender gets its answer. */
static enum MHD_Result take_body(struct request *request, const char *bytes, size_t length) {
    if (length > BODY_BYTES_MAX - request->length) {
        request->is_too_large = true;
    }
    if (request->is_too_large) {
        return MHD_YES;
    }
    size_t capacity = request->capacity == 0 ? BODY_BYTES_FIRST : request->capacity;
    while (capacity < request->length + length) {
        capacity *= 2;
    }
    if (capacity != request->capacity) {
        char *larger = realloc(request->body, capacity);
        if (larger == NULL) {
            return MHD_NO;
        }
        request->body = larger;
        request->capacity = capacity;
    }
    memcpy(request->body + request->length, bytes, length);
    request->length += length;
    return MHD_YES;
}

static void suspend(struct request *request) {
    struct request **last = &request->listener->waiting;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = request;
    request->due_ms = http_now_ms() + request->listener->delay_ms;
    MHD_suspend_connection(request->connection);
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_length, void **state) {
    struct request *request = *state;
    (void)url;
    (void)version;
    if (request == NULL) {
        request = calloc(1, sizeof(*request));
        if (request == NULL) {
            return MHD_NO;
        }
        request->listener = context;
        request->connection = connection;
        *state = request;
        return MHD_YES;
    }
    if (*upload_length > 0) {
        size_t length = *upload_length;
        *upload_length = 0;
        return take_body(request, upload, length);
    }
    if (strcmp(method, "POST") != 0) {
        return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "webhooks come by POST\n");
    }
    if (!request->is_judged) {
        judge(request);
        if (request->listener->delay_ms > 0) {
            suspend(request);
            return MHD_YES;
        }
    }
    return answer(connection, request->status, "");
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code) {
    struct request *request = *state;
    (void)context;
    (void)connection;
    (void)code;
    if (request != NULL) {
        free(request->body);
        free(request);
        *state = NULL;
    }
}

/* --- life ------------------------------------------------------------------------------------ */

/* Those that are due now, or all. A suspended connection is not looked at, and so not closed. */
static void resume(struct listener *listener, bool is_all) {
    while (listener->waiting != NULL && (is_all || listener->waiting->due_ms <= http_now_ms())) {
        struct request *request = listener->waiting;
        listener->waiting = request->next;
        request->next = NULL;
        MHD_resume_connection(request->connection);
    }
}

static int wait_ms(const struct listener *listener) {
    MHD_UNSIGNED_LONG_LONG wanted_ms;
    uint64_t least_ms = TURN_MS_MAX;
    if (MHD_get_timeout(listener->daemon, &wanted_ms) == MHD_YES && wanted_ms < least_ms) {
        least_ms = wanted_ms;
    }
    if (listener->waiting != NULL) {
        uint64_t now_ms = http_now_ms();
        uint64_t due_ms = listener->waiting->due_ms;
        uint64_t until_ms = due_ms > now_ms ? due_ms - now_ms : 0;
        least_ms = until_ms < least_ms ? until_ms : least_ms;
    }
    return (int)least_ms;
}

/* Until a signal comes. False: standard output was closed. */
static bool serve(struct listener *listener, int signals_fd) {
    int epoll_fd = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    struct pollfd wanted[] = {{.fd = signals_fd, .events = POLLIN},
                              {.fd = epoll_fd, .events = POLLIN}};
    while (wanted[0].revents == 0 && !listener->is_broken) {
        if (poll(wanted, sizeof(wanted) / sizeof(wanted[0]), wait_ms(listener)) < 0) {
            wanted[0].revents = 0; /* EINTR: SIGSTOP and SIGCONT */
        }
        resume(listener, false);
        MHD_run(listener->daemon);
    }
    return !listener->is_broken;
}

/* False: it is not a number from `least` to `most`. */
static bool read_number(const char *text, unsigned long least, unsigned long most,
                        unsigned long *ret_number) {
    char *end = NULL;
    unsigned long number = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
    bool is_good = end != NULL && *end == '\0' && number >= least && number <= most;
    *ret_number = is_good ? number : *ret_number;
    return is_good;
}

/* "[ADDRESS:]PORT" as its parts. False: it is none. */
static bool split_address(const char *text, char ret_address[ADDRESS_BYTES],
                          const char **ret_port) {
    const char *colon = strrchr(text, ':');
    const char *host = colon == NULL ? "" : text;
    size_t length = colon == NULL ? 0 : (size_t)(colon - text);
    *ret_port = colon == NULL ? text : colon + 1;
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    }
    if (length == 0) {
        host = ADDRESS_DEFAULT;
        length = strlen(host);
    }
    unsigned long port = 0;
    if (length >= ADDRESS_BYTES || !read_number(*ret_port, 0, PORT_MAX, &port)) {
        return false;
    }
    memcpy(ret_address, host, length);
    ret_address[length] = '\0';
    return true;
}

/* A socket that listens. -1: it was complained about. */
static int open_socket(const char *address, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int on = 1;
    int fault = getaddrinfo(address, port, &hints, &found);
    if (fault != 0) {
        fprintf(stderr, "tidings: listen: %s: %s\n", address, gai_strerror(fault));
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    }
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
        fprintf(stderr, "tidings: listen: %s, port %s: %s\n", address, port,
                strerrordesc_np(errno));
        if (fd >= 0) {
            close(fd);
        }
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

/* What to paste. `secret` is repeated only if it was made here. */
static void introduce(int fd, const char *secret, bool is_made) {
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof(name);
    char host[INET6_ADDRSTRLEN] = "";
    char port[8] = "";
    getsockname(fd, (struct sockaddr *)&name, &length);
    getnameinfo((struct sockaddr *)&name, length, host, sizeof(host), port, sizeof(port),
                NI_NUMERICHOST | NI_NUMERICSERV);
    bool is_six = name.ss_family == AF_INET6;
    bool is_anywhere = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    const char *shown = is_anywhere ? ADDRESS_DEFAULT : host;
    bool is_bracketed = is_six && !is_anywhere;
    fprintf(stderr, "listening at http://%s%s%s:%s/\n", is_bracketed ? "[" : "", shown,
            is_bracketed ? "]" : "", port);
    fprintf(stderr, "In the broker's configuration (SIGHUP reads it again):\n\n");
    fprintf(stderr, "egress: { allow: [\"%s/%s\"] }\nsinks:\n  - name: try\n", shown,
            is_bracketed ? "128" : "32");
    fprintf(stderr, "    channels: [\"**\"]\n    webhook:\n      url: \"http://%s%s%s:%s/\"\n",
            is_bracketed ? "[" : "", shown, is_bracketed ? "]" : "", port);
    fprintf(stderr, "      secret: \"%s\"\n\n", is_made ? secret : "(the one of --secret)");
    fflush(stderr);
}

/* The calls come without a path's escapes and dot segments mattering: any path is taken. */
static struct MHD_Daemon *start_daemon(struct listener *listener, int fd) {
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access,
                            listener, MHD_OPTION_LISTEN_SOCKET, fd, /* */
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
                            MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_END);
}

static bool listen_until_told(struct listener *listener, const char *secret, bool is_made) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    int signals_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    int fd = open_socket(listener->address, listener->port);
    bool is_good = fd >= 0 && signals_fd >= 0;
    listener->daemon = is_good ? start_daemon(listener, fd) : NULL;
    if (is_good && listener->daemon == NULL) {
        fputs("tidings: listen: the server does not start\n", stderr);
        close(fd);
    }
    is_good = listener->daemon != NULL;
    if (is_good) {
        introduce(fd, secret, is_made);
        is_good = serve(listener, signals_fd);
        resume(listener, true);
        MHD_run(
            listener->daemon); /* takes them up again; stopping with one suspended is an abort */
        MHD_stop_daemon(listener->daemon);
    }
    if (signals_fd >= 0) {
        close(signals_fd);
    }
    for (size_t i = 0; i < IDS_KEPT; i++) {
        free(listener->ids[i]);
    }
    return is_good;
}

/* NULL, or what is wrong. */
static const char *read_options(const struct options *options, struct listener *ret_listener) {
    const char *const *values = options->values;
    unsigned long status = 200;
    unsigned long delay_ms = 0;
    if (values[WEBHOOK] == NULL) {
        return "--webhook is missing";
    }
    if (!split_address(values[WEBHOOK], ret_listener->address, &ret_listener->port)) {
        return "--webhook is [ADDRESS:]PORT, as 9000 or 0.0.0.0:9000";
    }
    if (values[STATUS] != NULL && !read_number(values[STATUS], STATUS_MIN, STATUS_MAX, &status)) {
        return "--status is a number from 200 to 599";
    }
    if (values[FAIL] != NULL && !read_number(values[FAIL], 0, 1000000, &ret_listener->fail_count)) {
        return "--fail is a number up to 1000000";
    }
    if (values[DELAY] != NULL && !read_number(values[DELAY], 0, DELAY_MS_MAX, &delay_ms)) {
        return "--delay is a number of milliseconds up to 600000";
    }
    if (values[SECRET] != NULL && !verify_parse_secret(values[SECRET], &ret_listener->secret)) {
        return "--secret is whsec_ and base64 of 24 to 64 bytes";
    }
    ret_listener->status = (unsigned)status;
    ret_listener->delay_ms = delay_ms;
    ret_listener->is_json = values[JSON] != NULL;
    return NULL;
}

int client_listen(int count, char *const *words) {
    struct options options;
    char made[VERIFY_SECRET_TEXT_BYTES] = "";
    int leave = CLIENT_OK;
    if (!options_parse(&table, count, words, &options, &leave)) {
        return leave;
    }
    struct listener *listener = calloc(1, sizeof(*listener)); /* 8 KiB of ids */
    const char *wrong = listener == NULL ? "out of memory" : read_options(&options, listener);
    const char *secret = options.values[SECRET];
    if (wrong != NULL) {
        fprintf(stderr, "tidings: %s\nUsage: %s\n", wrong, table.usage);
        leave = CLIENT_USAGE;
    } else if (!output_is_open() ||
               (secret == NULL &&
                (!verify_make_secret(made) || !verify_parse_secret(made, &listener->secret)))) {
        leave = CLIENT_FAILED;
    } else {
        leave = listen_until_told(listener, made, secret == NULL) ? CLIENT_OK : CLIENT_FAILED;
    }
    free(listener);
    options_finish(&options);
    return leave;
}

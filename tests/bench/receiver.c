/* SPDX-License-Identifier: Apache-2.0 */
/* The least that a receiver of webhooks can do: one epoll loop that answers 200 to each request, so
 * that what is measured is the sender. It verifies nothing and keeps nothing but two counts, which
 * it prints when it is ended:
 *
 *     receiver [PORT]     prints the port, serves until SIGTERM, prints "requests bytes"
 *
 * A request is a head of HEAD_BYTES_MAX at most and a body of Content-Length. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_BYTES_MAX 8192
#define READ_BYTES 262144
#define EVENTS_MAX 256
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

struct connection {
    int fd;
    uint64_t body_left;
    size_t head_length;
    char head[HEAD_BYTES_MAX + 1]; /* the beginning of one that is not whole */
};

struct receiver {
    int epoll_fd;
    int listen_fd;
    int signals_fd;
    uint64_t request_count;
    uint64_t byte_count;
    char bytes[READ_BYTES];
};

static void fail(const char *what) {
    fprintf(stderr, "receiver: %s: %s\n", what, strerrordesc_np(errno));
    exit(1);
}

static void watch(struct receiver *receiver, int fd, void *data) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = data};
    if (epoll_ctl(receiver->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        fail("epoll_ctl");
    }
}

static void take_connection(struct receiver *receiver) {
    int on = 1;
    int fd = accept4(receiver->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    struct connection *connection = fd < 0 ? NULL : calloc(1, sizeof(*connection));
    if (connection == NULL) {
        fail("accept");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->fd = fd;
    watch(receiver, fd, connection);
}

static uint64_t body_length(const char *head) {
    const char *field = strcasestr(head, "\r\ncontent-length:");
    return field == NULL ? 0 : strtoull(field + strlen("\r\ncontent-length:"), NULL, 10);
}

/* Takes what belongs to a head. Returns how many bytes that was. */
static size_t take_head(struct connection *connection, const char *bytes, size_t length,
                        bool *ret_is_whole) {
    size_t before = connection->head_length;
    size_t room = HEAD_BYTES_MAX - before;
    size_t taken = length < room ? length : room;
    memcpy(connection->head + before, bytes, taken);
    connection->head[before + taken] = '\0';
    const char *end = strstr(connection->head, "\r\n\r\n");
    *ret_is_whole = end != NULL;
    if (end == NULL) {
        if (taken == room) {
            fprintf(stderr, "receiver: a head is too long\n");
            exit(1);
        }
        connection->head_length += taken;
        return taken;
    }
    size_t whole = (size_t)(end - connection->head) + 4;
    connection->body_left = body_length(connection->head);
    connection->head_length = 0;
    return whole - before;
}

/* Returns how many requests ended in those bytes. */
static unsigned take_bytes(struct connection *connection, const char *bytes, size_t length) {
    unsigned ended = 0;
    while (length > 0) {
        bool is_whole = true;
        size_t taken = 0;
        if (connection->body_left > 0) {
            taken = length < connection->body_left ? length : (size_t)connection->body_left;
            connection->body_left -= taken;
        } else {
            taken = take_head(connection, bytes, length, &is_whole);
        }
        ended += is_whole && connection->body_left == 0;
        bytes += taken;
        length -= taken;
    }
    return ended;
}

static void take_requests(struct receiver *receiver, struct connection *connection) {
    ssize_t length = recv(connection->fd, receiver->bytes, READ_BYTES, MSG_DONTWAIT);
    if (length < 0 && errno == EAGAIN) {
        return;
    }
    bool is_open = length > 0;
    unsigned ended = is_open ? take_bytes(connection, receiver->bytes, (size_t)length) : 0;
    receiver->request_count += ended;
    receiver->byte_count += is_open ? (uint64_t)length : 0;
    for (unsigned i = 0; i < ended && is_open; i++) {
        is_open = send(connection->fd, ANSWER, strlen(ANSWER), MSG_NOSIGNAL) > 0;
    }
    if (!is_open) {
        close(connection->fd);
        free(connection);
    }
}

static void open_port(struct receiver *receiver, uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    receiver->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receiver->listen_fd < 0 ||
        bind(receiver->listen_fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(receiver->listen_fd, SOMAXCONN) != 0 ||
        getsockname(receiver->listen_fd, (struct sockaddr *)&address, &length) != 0) {
        fail("listen");
    }
    printf("%u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
}

static void serve(struct receiver *receiver) {
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int count = epoll_wait(receiver->epoll_fd, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            void *data = events[i].data.ptr;
            if (data == &receiver->signals_fd) {
                return;
            }
            if (data == &receiver->listen_fd) {
                take_connection(receiver);
            } else {
                take_requests(receiver, data);
            }
        }
    }
}

int main(int argc, char **argv) {
    static struct receiver receiver; /* too large for the stack */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    receiver.signals_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    receiver.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    open_port(&receiver, argc > 1 ? (uint16_t)strtoul(argv[1], NULL, 10) : 0);
    watch(&receiver, receiver.signals_fd, &receiver.signals_fd);
    watch(&receiver, receiver.listen_fd, &receiver.listen_fd);
    serve(&receiver);
    printf("%llu %llu\n", (unsigned long long)receiver.request_count,
           (unsigned long long)receiver.byte_count);
    return 0;
}

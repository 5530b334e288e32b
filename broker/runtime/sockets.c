/* SPDX-License-Identifier: Apache-2.0 */
/* Events are edges: a socket is put into the set once, and what the kernel told is remembered until
 * a system call finds that it is used up. So pausing, resuming and going on cost none; the obvious
 * way, levels, changes the set each time, and a request whose answer has to be waited for pauses
 * its connection. Only a socket that was found full asks for something: to be told that it takes
 * bytes again. The kernel looks at that moment, so room that came meanwhile is not missed.
 *
 * The set is ours: a uv_poll_t for each socket takes 160 bytes, five system calls to begin (it
 * tries the descriptor first) and one to end, and three whenever reading pauses and goes on: 5.5,
 * 5 and 3.8 us where this was measured at 1.9, 5 and 0.06.
 *
 * A read that does not fill the buffer has emptied the socket: the next byte is a new edge
 * (epoll(7), question 9). Not so where the end was there before the read (EPOLLRDHUP tells it), nor
 * at the mark of urgent data, where a read stops (EPOLLPRI): reading goes on until nothing is left.
 * The urgent byte itself is passed over: no protocol here knows any.
 *
 * A handshake takes some 0.3 ms, a hundred times what a request does. So no event begins one: they
 * queue, and each turn works off a slice, between which all who are connected get theirs. */
#include "broker/runtime/sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/limits.h"
#include "broker/runtime/tunnel.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/macros.h"

#define EVENTS_MAX 64 /* of one system call: the clock is looked at between two */
#define INPUT_EVENTS (EPOLLIN | EPOLLPRI | EPOLLRDHUP)
#define BROKEN_EVENTS (EPOLLERR | EPOLLHUP)

static void put_ready(struct sockets *sockets, struct socket *socket) {
    if (list_is_empty(&socket->in_ready)) {
        list_put_tail(&sockets->ready, &socket->in_ready);
    }
}

ssize_t socket_receive(struct socket *socket, void *bytes, size_t room) {
    ssize_t count = socket->has_input ? recv(socket->fd, bytes, room, 0) : SOCKET_NOTHING;
    if (count > 0) {
        socket->has_input = (size_t)count == room || socket->is_ending || socket->is_urgent;
        return count;
    }
    if (!socket->has_input || (count < 0 && errno == EINTR)) {
        return SOCKET_NOTHING;
    }
    socket->has_input = false;
    if (count < 0 && errno == EAGAIN) {
        socket->is_urgent = false;
        return SOCKET_NOTHING;
    }
    return count == 0 ? 0 : SOCKET_BROKEN;
}

/* Each time anew, so that the kernel looks whether there is room by now. Asking costs nothing once
 * there is: an event of input then tells of room as well. */
static enum error_code ask_for_room(const struct sockets *sockets, struct socket *socket) {
    struct epoll_event event = {.events = INPUT_EVENTS | EPOLLOUT | EPOLLET, .data.ptr = socket};
    socket->is_full = true;
    socket->is_wanted = true;
    return epoll_ctl(sockets->epoll_fd, EPOLL_CTL_MOD, socket->fd, &event) == 0 ? OK : ERR_IO;
}

/* What was sealed and stays here waits for room: also what reading made us answer. */
static void mind_kept(const struct sockets *sockets, struct socket *socket) {
    if (socket_kept_bytes(socket) > 0 && ask_for_room(sockets, socket) != OK) {
        sockets->calls->on_broken(socket);
    }
}

static enum error_code take_bytes(struct sockets *sockets, struct socket *socket,
                                  size_t *ret_length) {
    if (socket->tunnel != NULL) {
        enum error_code code =
            tunnel_read(socket->tunnel, sockets->bytes, READ_BYTES_MAX, ret_length);
        if (!socket->is_full) { /* else it is asked already; each time anew tells input anew, too */
            mind_kept(sockets, socket);
        }
        socket->has_input =
            socket->has_input && code != ERR_DRAINING; /* behind it nothing counts */
        return code;
    }
    ssize_t count = socket_receive(socket, sockets->bytes, READ_BYTES_MAX);
    *ret_length = count > 0 ? (size_t)count : 0;
    return count > 0                 ? OK
           : count == SOCKET_NOTHING ? ERR_AGAIN
           : count == 0              ? ERR_DRAINING
                                     : ERR_IO;
}

/* One read: whoever sends without end has the others wait for no more than one buffer. */
static void read_some(struct sockets *sockets, struct socket *socket) {
    size_t length = 0;
    enum error_code code = take_bytes(sockets, socket, &length);
    if (code == OK) {
        sockets->calls->on_bytes(socket, span_of(sockets->bytes, length));
    } else if (code == ERR_DRAINING) {
        socket->has_ended = true;
        sockets->calls->on_ended(socket);
    } else if (code != ERR_AGAIN) {
        sockets->calls->on_broken(socket);
    }
}

static bool has_input(const struct socket *socket) {
    return socket->has_input || (socket->tunnel != NULL && tunnel_has_input(socket->tunnel));
}

static bool has_work(const struct socket *socket) {
    return (has_input(socket) && !socket->is_paused) || (socket->is_wanted && !socket->is_full);
}

/* Room first: who waits for it has paused reading. */
static void serve(struct sockets *sockets, struct socket *socket) {
    if (socket->is_wanted && !socket->is_full) {
        socket->is_wanted = false;
        sockets->calls->on_writable(socket);
    }
    if (has_input(socket) && !socket->is_paused) {
        read_some(sockets, socket);
    }
    if (has_work(socket)) {
        put_ready(sockets, socket);
    }
}

/* --- handshakes ------------------------------------------------------------------------------ */

static bool is_shaking(const struct socket *socket) {
    return socket->tunnel != NULL && !tunnel_is_open(socket->tunnel);
}

static void put_shaking(struct sockets *sockets, struct socket *socket) {
    if (list_is_empty(&socket->in_ready)) {
        list_put_tail(&sockets->shaking, &socket->in_ready);
    }
}

/* The socket goes on without TLS, for its end. */
static void drop_tunnel(struct socket *socket) {
    tunnel_destroy(socket->tunnel);
    socket->tunnel = NULL;
}

static void shake(struct sockets *sockets, struct socket *socket) {
    const char *reason = NULL;
    enum error_code code = tunnel_shake(socket->tunnel, &reason);
    if (code == OK || code == ERR_AGAIN) {
        socket->is_full = code == ERR_AGAIN;
        mind_kept(sockets, socket);
    }
    if (code == OK) {
        put_ready(sockets, socket);
    } else if (code == ERR_AGAIN && socket->has_input) {
        put_shaking(sockets, socket);
    } else if (code == ERR_PROTOCOL) {
        drop_tunnel(socket);
        sockets->calls->on_refused(socket, reason);
    } else if (code != ERR_AGAIN) {
        sockets->calls->on_broken(socket);
    }
}

/* --- events ---------------------------------------------------------------------------------- */

/* There is room again; what is kept goes first. */
static void note_room(struct sockets *sockets, struct socket *socket) {
    socket->is_full = is_shaking(socket);
    if (socket->tunnel == NULL) {
        return;
    }
    if (tunnel_flush(socket->tunnel) != OK) {
        sockets->calls->on_broken(socket);
    }
    mind_kept(sockets, socket);
}

static void take_event(struct sockets *sockets, struct socket *socket, uint32_t events) {
    if ((events & BROKEN_EVENTS) != 0 && socket->is_paused) {
        sockets->calls->on_broken(socket); /* nobody would read what is left, nor answer it */
        return;
    }
    socket->is_ending = socket->is_ending || (events & (EPOLLRDHUP | BROKEN_EVENTS)) != 0;
    socket->is_urgent = socket->is_urgent || (events & EPOLLPRI) != 0;
    socket->has_input = socket->has_input || (events & (INPUT_EVENTS | BROKEN_EVENTS)) != 0;
    if (socket->is_full && (events & (EPOLLOUT | BROKEN_EVENTS)) != 0) {
        note_room(sockets, socket);
    }
    if (is_shaking(socket)) {
        put_shaking(sockets, socket);
    } else {
        serve(sockets, socket);
    }
}

/* What is left when the time is over comes with the next turn: libuv looks at the set by level. */
static void on_set_readable(uv_poll_t *poll, int status, int happened) {
    (void)status;
    (void)happened;
    struct sockets *sockets = CONTAINER_OF(poll, struct sockets, poll);
    uint64_t until_us = clock_monotonic_us() + SOCKETS_SLICE_US;
    struct epoll_event events[EVENTS_MAX];
    int count;
    sockets->calls->on_woken(sockets);
    do {
        count = epoll_wait(sockets->epoll_fd, events, EVENTS_MAX, 0);
        for (int i = 0; i < count; i++) {
            take_event(sockets, events[i].data.ptr, events[i].events);
        }
    } while (count == EVENTS_MAX && clock_monotonic_us() < until_us);
}

enum error_code sockets_init(struct sockets *sockets, uv_loop_t *loop,
                             const struct socket_calls *calls) {
    sockets->calls = calls;
    list_init(&sockets->ready);
    list_init(&sockets->shaking);
    sockets->bytes = malloc(READ_BYTES_MAX);
    sockets->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (sockets->bytes == NULL || sockets->epoll_fd < 0 ||
        uv_poll_init(loop, &sockets->poll, sockets->epoll_fd) != 0) {
        return ERR_MEMORY; /* the process ends: what was opened so far goes with it */
    }
    INVARIANT(uv_poll_start(&sockets->poll, UV_READABLE, on_set_readable) == 0);
    return OK;
}

void sockets_finish(struct sockets *sockets) {
    INVARIANT(list_is_empty(&sockets->ready));
    INVARIANT(list_is_empty(&sockets->shaking));
    uv_close((uv_handle_t *)&sockets->poll, NULL);
    close(sockets->epoll_fd);
    free(sockets->bytes);
}

void sockets_serve_ready(struct sockets *sockets) {
    if (list_is_empty(&sockets->ready)) {
        return;
    }
    uint64_t until_us = clock_monotonic_us() + SOCKETS_SLICE_US;
    struct list *last = sockets->ready.previous; /* who comes behind it meanwhile has been served */
    struct list *node;
    do {
        node = list_take_head(&sockets->ready);
        serve(sockets, CONTAINER_OF(node, struct socket, in_ready));
    } while (node != last && clock_monotonic_us() < until_us);
}

/* At least one; who comes back meanwhile waits for the next turn. */
void sockets_serve_shaking(struct sockets *sockets) {
    if (list_is_empty(&sockets->shaking)) {
        return;
    }
    uint64_t until_us = clock_monotonic_us() + HANDSHAKES_SLICE_US;
    struct list *last = sockets->shaking.previous;
    struct list *node;
    do {
        node = list_take_head(&sockets->shaking);
        shake(sockets, CONTAINER_OF(node, struct socket, in_ready));
    } while (node != last && clock_monotonic_us() < until_us);
}

bool sockets_have_ready(const struct sockets *sockets) {
    return !list_is_empty(&sockets->ready) || !list_is_empty(&sockets->shaking);
}

enum error_code socket_open(struct sockets *sockets, struct socket *socket, int fd) {
    struct epoll_event event = {.events = INPUT_EVENTS | EPOLLET, .data.ptr = socket};
    if (epoll_ctl(sockets->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        return ERR_MEMORY;
    }
    *socket = (struct socket){.fd = fd};
    list_init(&socket->in_ready);
    return OK;
}

enum error_code socket_secure(struct socket *socket, struct tls *tls, const char *protocol,
                              struct metrics_shard *metrics) {
    socket->tunnel = tunnel_create(tls, protocol, socket, metrics);
    socket->is_full = socket->tunnel != NULL;
    return socket->tunnel == NULL ? ERR_MEMORY : OK;
}

/* No other descriptor stands for this socket, so that the kernel takes it out of the set. */
void socket_close(struct socket *socket) {
    list_remove(&socket->in_ready);
    drop_tunnel(socket);
    close(socket->fd);
    socket->fd = -1;
}

void socket_shut(struct socket *socket) {
    if (is_shaking(socket)) {
        list_remove(&socket->in_ready); /* it is no handshake any more */
    }
    if (socket->tunnel != NULL) {
        tunnel_finish(socket->tunnel);
        drop_tunnel(socket);
    }
    IGNORE_RESULT(shutdown(socket->fd, SHUT_WR) != 0); /* it may be broken already */
}

size_t socket_kept_bytes(const struct socket *socket) {
    return socket->tunnel == NULL ? 0 : tunnel_kept_bytes(socket->tunnel);
}

static enum error_code send_sealed(struct sockets *sockets, struct socket *socket,
                                   struct span bytes, size_t *ret_sent) {
    *ret_sent = 0;
    if (is_shaking(socket)) {
        socket->is_wanted = true;
        return OK;
    }
    enum error_code code = tunnel_send(socket->tunnel, bytes, ret_sent);
    return code == OK && socket_kept_bytes(socket) > 0 ? ask_for_room(sockets, socket) : code;
}

enum error_code socket_send(struct sockets *sockets, struct socket *socket, struct span bytes,
                            size_t *ret_sent) {
    if (socket->tunnel != NULL) {
        return send_sealed(sockets, socket, bytes, ret_sent);
    }
    ssize_t sent = send(socket->fd, bytes.bytes, bytes.length, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
        return ERR_IO;
    }
    *ret_sent = sent < 0 ? 0 : (size_t)sent;
    return *ret_sent < bytes.length ? ask_for_room(sockets, socket) : OK;
}

void socket_want_writable(struct sockets *sockets, struct socket *socket) {
    socket->is_wanted = true;
    if (!socket->is_full) {
        put_ready(sockets, socket);
    }
}

void socket_pause(struct socket *socket) {
    socket->is_paused = true;
}

void socket_resume(struct sockets *sockets, struct socket *socket) {
    socket->is_paused = false;
    if (has_input(socket) && !is_shaking(socket)) {
        put_ready(sockets, socket);
    }
}

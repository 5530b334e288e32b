/* SPDX-License-Identifier: Apache-2.0 */
/* sockets.h — the accepted sockets of a worker: which have bytes for us, which take bytes again.
 *
 * Place:   a worker has one set, below one handle of its loop; a connection has one socket in it.
 * Thread:  the worker's.
 * Bounds:  one epoll set and one buffer of READ_BYTES_MAX; SOCKETS_SLICE_US a turn, and of
 *          handshakes HANDSHAKES_SLICE_US: what is beyond that waits for the next turn.
 *
 * Reading and sending happen here alone, so this is where TLS goes in between: tunnel.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/span.h"

struct metrics_shard;
struct sockets;
struct tls;
struct tunnel;

#define READ_BYTES_MAX 65536 /* one read of a socket; one buffer a worker */

/* Embedded in what the socket belongs to, who may read the members. */
struct socket {
    struct list in_ready; /* it has work for this turn or the next that no event will tell */
    int fd;
    bool has_input; /* bytes or their end wait in the kernel, as far as it has told */
    bool is_ending; /* the end waits behind them: no further event tells it */
    bool is_urgent; /* a mark is among them: a read may stop at it, short of what is there */
    bool has_ended; /* … and was met: the peer sends nothing more */
    bool is_paused;
    bool is_full;          /* it refused bytes, and has not said that it takes some again */
    bool is_wanted;        /* on_writable is owed */
    struct tunnel *tunnel; /* NULL: bytes pass as they are */
};

/* What happens on a socket. None of these may close a socket, be it this one or another. */
struct socket_calls {
    void (*on_woken)(struct sockets *sockets);                  /* the loop slept; others follow */
    void (*on_bytes)(struct socket *socket, struct span bytes); /* not empty; may be written to */
    void (*on_writable)(struct socket *socket);
    void (*on_ended)(struct socket *socket);  /* has_ended */
    void (*on_broken)(struct socket *socket); /* it brings and takes nothing any more */
    /* The handshake failed, and the peer was told; only the end is left. */
    void (*on_refused)(struct socket *socket, const char *reason);
};

/* All members belong to the set. */
struct sockets {
    const struct socket_calls *calls;
    int epoll_fd; /* -1: there is none */
    uv_poll_t poll;
    struct list ready;
    struct list shaking; /* hands: what has come of their handshakes is not looked at yet */
    uint8_t *bytes;
};

/* For tunnel.h: one read. The number of bytes, 0 at the end, or one of these. */
#define SOCKET_NOTHING (-1) /* nothing has come */
#define SOCKET_BROKEN (-2)
ssize_t socket_receive(struct socket *socket, void *bytes, size_t room);

/* `calls` is borrowed. ERR_MEMORY. */
MUST_USE enum error_code sockets_init(struct sockets *sockets, uv_loop_t *loop,
                                      const struct socket_calls *calls);

/* Closes the handle too, which takes a turn of the loop. No socket is open any more. */
void sockets_finish(struct sockets *sockets);

/* Serves those whose work no event tells, for a slice. */
void sockets_serve_ready(struct sockets *sockets);

/* Goes on with the handshakes of those for whom something has come, for a slice. Behind all else
 * that a turn has to do: nobody who is connected waits for more than one slice of it. */
void sockets_serve_shaking(struct sockets *sockets);

/* Whether some of either are left, or came to it, for the next turn. */
bool sockets_have_ready(const struct sockets *sockets);

/* Begins to watch `fd`, which does not block; it belongs to the socket from now on, but not on
 * failure. ERR_MEMORY. */
MUST_USE enum error_code socket_open(struct sockets *sockets, struct socket *socket, int fd);

/* What passes is TLS of `tls`, with `protocol` (tls_open()) inside, from the first byte on: until
 * the handshake is over the socket is full. All is borrowed. ERR_MEMORY. */
MUST_USE enum error_code socket_secure(struct socket *socket, struct tls *tls, const char *protocol,
                                       struct metrics_shard *metrics);

/* Closes the descriptor; no call follows. Not from within one of the calls. */
void socket_close(struct socket *socket);

/* Nothing is sent any more, and what comes is thrown away: the peer is told. */
void socket_shut(struct socket *socket);

/* Sealed, and not taken by the kernel yet: on_writable follows when it was. */
size_t socket_kept_bytes(const struct socket *socket);

/* Sends what it takes now, with one system call (of TLS: one for each 16 KiB). What is left:
 * on_writable follows when it takes bytes again. ERR_IO: it is broken and never takes any. */
MUST_USE enum error_code socket_send(struct sockets *sockets, struct socket *socket,
                                     struct span bytes, size_t *ret_sent);

/* on_writable follows: at once where the socket is not full. */
void socket_want_writable(struct sockets *sockets, struct socket *socket);

void socket_pause(struct socket *socket);
void socket_resume(struct sockets *sockets, struct socket *socket);

/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel.h — TLS on one socket: records opened and sealed between the kernel and its connection.
 *
 * Place:   between sockets.h, which calls it, and OpenSSL; reads through socket_receive().
 * Thread:  the worker's.
 * Bounds:  what the kernel did not take of one record, or of a handshake; TUNNEL_REST_BYTES_MAX.
 *          Until the first byte comes nothing of OpenSSL's is made: who only connects costs little.
 *
 * A record that was begun is always finished: what the kernel does not take of it is kept here,
 * sealed. The obvious way lets OpenSSL keep it and asks for the same bytes again; but a reader that
 * could not be sent a message may have fallen back to the log by then, and has others.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct metrics_shard;
struct socket;
struct tls;
struct tunnel;

#define TUNNEL_REST_BYTES_MAX                                                                      \
    65536 /* a peer that makes us answer records and reads none is ended */

/* What the handshake was good for: a value of the label `outcome`, in that order. */
enum tunnel_outcome {
    TUNNEL_FULL,      /* open; the peer was met for the first time */
    TUNNEL_RESUMED,   /* open; with a ticket */
    TUNNEL_REFUSED,   /* the two do not fit, or it was no TLS */
    TUNNEL_CLEAR,     /* HTTP without TLS: told so */
    TUNNEL_ABANDONED, /* the peer went, or took too long */
    TUNNEL_OUTCOME_COUNT,
};

/* What a BIO does with the socket: set into tls_method() once. False: out of memory. */
MUST_USE bool tunnel_set_method(BIO_METHOD *method);

/* All of it is borrowed and outlives the tunnel; the socket is open. NULL: out of memory. */
struct tunnel *tunnel_create(struct tls *tls, const char *protocol, struct socket *socket,
                             struct metrics_shard *metrics);

/* Frees, without a word to the peer. Accepts NULL. */
void tunnel_destroy(struct tunnel *tunnel);

/* The handshake is over: bytes pass. */
bool tunnel_is_open(const struct tunnel *tunnel);

/* One step of the handshake, with what has come. OK: open now. ERR_AGAIN: more has to come.
 * ERR_PROTOCOL: it failed; the peer was told, and `ret_reason` (static, or borrowed from OpenSSL)
 * says why. ERR_IO, ERR_MEMORY. */
MUST_USE enum error_code tunnel_shake(struct tunnel *tunnel, const char **ret_reason);

/* Opens what has come, at most `room` bytes. OK: `ret_length` are there, and more may be:
 * tunnel_has_input(). ERR_AGAIN: nothing now. ERR_DRAINING: the peer sends nothing more. ERR_IO:
 * broken. */
MUST_USE enum error_code tunnel_read(struct tunnel *tunnel, uint8_t *bytes, size_t room,
                                     size_t *ret_length);

/* The last tunnel_read() did not come to the end of what was there. */
bool tunnel_has_input(const struct tunnel *tunnel);

/* Seals and sends record by record until the kernel takes no more. All of `ret_sent` leaves, now or
 * with tunnel_flush(). Nothing while something is kept. ERR_IO: broken. */
MUST_USE enum error_code tunnel_send(struct tunnel *tunnel, struct span bytes, size_t *ret_sent);

/* Sends what is kept, as far as the kernel takes it. ERR_IO. */
MUST_USE enum error_code tunnel_flush(struct tunnel *tunnel);

/* Sealed and not taken by the kernel. */
size_t tunnel_kept_bytes(const struct tunnel *tunnel);

/* Tells the peer that nothing more follows (close_notify), as far as the kernel takes it. */
void tunnel_finish(struct tunnel *tunnel);

/* The subject of the client's certificate, which was verified, as RFC 4514 writes it; empty: it
 * showed none. Lives as long as the tunnel. With the certificate's end (notAfter), in seconds since
 * 1970; 0: there is none. Accepts NULL. */
struct span tunnel_subject(struct tunnel *tunnel, uint64_t *ret_ends_s);

/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's own BIO for sockets asks the kernel each time, also where the last read has shown that
 * nothing is left; this one remembers that as the socket does, so that a record costs one system
 * call, and takes whatever is sealed. A call may read no more than READ_BYTES_MAX of what has come,
 * so that records which carry nothing (key updates) do not keep the others waiting. */
#include "broker/runtime/tunnel.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "broker/metrics/metrics.h"
#include "broker/runtime/sockets.h"
#include "broker/runtime/tls.h"
#include "broker/support/buffer.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"

#define NO_TLS_ANSWER                                                                              \
    "HTTP/1.1 400 Bad Request\r\n"                                                                 \
    "Content-Type: text/plain; charset=utf-8\r\n"                                                  \
    "Content-Length: 49\r\n"                                                                       \
    "Connection: close\r\n"                                                                        \
    "\r\n"                                                                                         \
    "This port speaks TLS: the URL begins with https:\n"

struct tunnel {
    struct tls *tls;
    const char *protocol;
    struct socket *socket;
    struct metrics_shard *metrics;
    SSL *ssl;           /* NULL: nothing has come yet */
    struct buffer rest; /* sealed, and not taken by the kernel … */
    size_t rest_sent;   /* … but for so much at its front */
    size_t budget;      /* bytes that this call may still read */
    uint64_t begun_us;  /* when the first byte came */
    char *subject;      /* NULL: not asked for yet */
    bool is_open;
    bool is_counted; /* the handshake's outcome */
    bool has_input;
    bool has_ended; /* the kernel told the end */
    bool is_broken;
};

static_assert(TUNNEL_OUTCOME_COUNT == (int)METRICS_HANDSHAKE_COUNT, "an outcome is its label's");
static_assert(TUNNEL_ABANDONED == (int)METRICS_HANDSHAKE_ABANDONED, "same order");

/* --- the BIO --------------------------------------------------------------------------------- */

static int on_read(BIO *io, char *bytes, int room) {
    struct tunnel *tunnel = BIO_get_data(io);
    size_t wanted = (size_t)room < tunnel->budget ? (size_t)room : tunnel->budget;
    BIO_clear_retry_flags(io);
    ssize_t count = wanted == 0 ? SOCKET_NOTHING : socket_receive(tunnel->socket, bytes, wanted);
    if (count > 0) {
        tunnel->budget -= (size_t)count;
        return (int)count;
    }
    if (count == SOCKET_NOTHING) {
        BIO_set_retry_read(io);
        return -1;
    }
    tunnel->has_ended = count == 0;
    tunnel->is_broken = count < 0;
    return (int)count;
}

static size_t send_now(const struct tunnel *tunnel, const void *bytes, size_t length,
                       bool *ret_is_broken) {
    ssize_t sent = send(tunnel->socket->fd, bytes, length, MSG_NOSIGNAL);
    *ret_is_broken = sent < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS;
    return sent < 0 ? 0 : (size_t)sent;
}

/* All is taken, by the kernel or into `rest`. */
static int on_write(BIO *io, const char *bytes, int length) {
    struct tunnel *tunnel = BIO_get_data(io);
    size_t sent = 0;
    BIO_clear_retry_flags(io);
    if (tunnel->rest.length == 0) {
        sent = send_now(tunnel, bytes, (size_t)length, &tunnel->is_broken);
    }
    if (!tunnel->is_broken && sent < (size_t)length &&
        buffer_put(&tunnel->rest, span_of(bytes + sent, (size_t)length - sent)) != OK) {
        tunnel->is_broken = true;
    }
    return tunnel->is_broken ? -1 : length;
}

static long on_control(BIO *io, int command, long number, void *pointer) {
    const struct tunnel *tunnel = BIO_get_data(io);
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_EOF ? tunnel->has_ended : command == BIO_CTRL_FLUSH;
}

bool tunnel_set_method(BIO_METHOD *method) {
    return BIO_meth_set_read(method, on_read) == 1 && BIO_meth_set_write(method, on_write) == 1 &&
           BIO_meth_set_ctrl(method, on_control) == 1;
}

/* --- its life -------------------------------------------------------------------------------- */

struct tunnel *tunnel_create(struct tls *tls, const char *protocol, struct socket *socket,
                             struct metrics_shard *metrics) {
    struct tunnel *tunnel = calloc(1, sizeof(*tunnel));
    if (tunnel == NULL) {
        return NULL;
    }
    tunnel->tls = tls;
    tunnel->protocol = protocol;
    tunnel->socket = socket;
    tunnel->metrics = metrics;
    buffer_init(&tunnel->rest, TUNNEL_REST_BYTES_MAX);
    return tunnel;
}

static enum error_code begin(struct tunnel *tunnel) {
    BIO *io = BIO_new(tls_method(tunnel->tls));
    if (io == NULL) {
        return ERR_MEMORY;
    }
    BIO_set_data(io, tunnel);
    BIO_set_init(io, 1);
    tunnel->begun_us = clock_monotonic_us();
    tunnel->ssl = tls_open(tunnel->tls, io, tunnel->protocol);
    return tunnel->ssl == NULL ? ERR_MEMORY : OK;
}

static void count(struct tunnel *tunnel, enum tunnel_outcome outcome) {
    enum metrics_tls version = METRICS_TLS_NONE;
    if (tunnel->is_counted) {
        return;
    }
    tunnel->is_counted = true;
    if (tunnel->is_open) {
        version = SSL_version(tunnel->ssl) == TLS1_3_VERSION ? METRICS_TLS_1_3 : METRICS_TLS_1_2;
    }
    metrics_add_at(tunnel->metrics, METRIC_TLS_HANDSHAKES,
                   METRICS_PAIR(METRIC_TLS_HANDSHAKES, outcome, version), 1);
}

void tunnel_destroy(struct tunnel *tunnel) {
    if (tunnel != NULL) {
        count(tunnel, TUNNEL_ABANDONED);
        SSL_free(tunnel->ssl); /* with the BIO */
        buffer_finish(&tunnel->rest);
        free(tunnel->subject);
        free(tunnel);
    }
}

bool tunnel_is_open(const struct tunnel *tunnel) {
    return tunnel->is_open;
}

/* --- the handshake --------------------------------------------------------------------------- */

static enum error_code refuse(struct tunnel *tunnel, const char **ret_reason) {
    unsigned long failure = ERR_peek_error();
    const char *reason = ERR_reason_error_string(failure);
    bool is_clear =
        ERR_GET_LIB(failure) == ERR_LIB_SSL && ERR_GET_REASON(failure) == SSL_R_HTTP_REQUEST;
    if (is_clear) {
        bool is_broken; /* told or not, it is over */
        IGNORE_RESULT(send_now(tunnel, NO_TLS_ANSWER, strlen(NO_TLS_ANSWER), &is_broken) == 0);
    }
    count(tunnel, is_clear ? TUNNEL_CLEAR : TUNNEL_REFUSED);
    *ret_reason = reason == NULL ? "not told" : reason;
    return ERR_PROTOCOL;
}

enum error_code tunnel_shake(struct tunnel *tunnel, const char **ret_reason) {
    INVARIANT(!tunnel->is_open);
    if (tunnel->ssl == NULL && begin(tunnel) != OK) {
        return ERR_MEMORY;
    }
    ERR_clear_error();
    tunnel->budget = READ_BYTES_MAX;
    int result = SSL_do_handshake(tunnel->ssl);
    if (result == 1) {
        tunnel->is_open = true;
        tunnel->has_input = true; /* the first request may have come with the last of it */
        count(tunnel, SSL_session_reused(tunnel->ssl) ? TUNNEL_RESUMED : TUNNEL_FULL);
        metrics_observe(tunnel->metrics, METRIC_TLS_HANDSHAKE,
                        clock_monotonic_us() - tunnel->begun_us);
        return OK;
    }
    if (tunnel->is_broken || tunnel->has_ended) {
        return ERR_IO;
    }
    return SSL_get_error(tunnel->ssl, result) == SSL_ERROR_WANT_READ ? ERR_AGAIN
                                                                     : refuse(tunnel, ret_reason);
}

/* --- bytes ------------------------------------------------------------------------------------ */

static enum error_code judge(struct tunnel *tunnel) {
    switch (SSL_get_error(tunnel->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
        return tunnel->is_broken ? ERR_IO : ERR_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return ERR_DRAINING;
    default:
        tunnel->is_broken = true;
        return ERR_IO;
    }
}

enum error_code tunnel_read(struct tunnel *tunnel, uint8_t *bytes, size_t room,
                            size_t *ret_length) {
    size_t length = 0;
    enum error_code code = tunnel->is_broken ? ERR_IO : OK;
    tunnel->budget = room;
    while (code == OK && length < room) {
        size_t taken;
        ERR_clear_error();
        if (SSL_read_ex(tunnel->ssl, bytes + length, room - length, &taken) == 1) {
            length += taken;
        } else {
            code = judge(tunnel);
        }
    }
    /* An end that is behind bytes is told by the next call; one that was told is not asked for. */
    tunnel->has_input = code != ERR_AGAIN && length > 0;
    *ret_length = length;
    return length > 0 ? OK : code;
}

bool tunnel_has_input(const struct tunnel *tunnel) {
    return tunnel->has_input;
}

/* A record at a time: OpenSSL lets its buffer go behind each. */
enum error_code tunnel_send(struct tunnel *tunnel, struct span bytes, size_t *ret_sent) {
    size_t sent = 0;
    if (tunnel->is_broken) {
        return ERR_IO;
    }
    while (sent < bytes.length && tunnel->rest.length == 0) {
        size_t left = bytes.length - sent;
        size_t record = left < SSL3_RT_MAX_PLAIN_LENGTH ? left : SSL3_RT_MAX_PLAIN_LENGTH;
        size_t taken;
        ERR_clear_error();
        if (SSL_write_ex(tunnel->ssl, bytes.bytes + sent, record, &taken) != 1) {
            tunnel->is_broken = true;
            return ERR_IO;
        }
        sent += taken;
    }
    *ret_sent = sent;
    return OK;
}

enum error_code tunnel_flush(struct tunnel *tunnel) {
    size_t left = tunnel_kept_bytes(tunnel);
    if (tunnel->is_broken || left == 0) {
        return tunnel->is_broken ? ERR_IO : OK;
    }
    tunnel->rest_sent +=
        send_now(tunnel, tunnel->rest.bytes + tunnel->rest_sent, left, &tunnel->is_broken);
    if (tunnel->rest_sent == tunnel->rest.length) {
        buffer_finish(&tunnel->rest);
        tunnel->rest_sent = 0;
    }
    return tunnel->is_broken ? ERR_IO : OK;
}

size_t tunnel_kept_bytes(const struct tunnel *tunnel) {
    return tunnel->rest.length - tunnel->rest_sent;
}

void tunnel_finish(struct tunnel *tunnel) {
    if (tunnel->is_open && !tunnel->is_broken) {
        ERR_clear_error();
        IGNORE_RESULT(SSL_shutdown(tunnel->ssl) < 0); /* the end of the socket follows anyway */
    }
}

/* --- who is there ----------------------------------------------------------------------------- */

static char *format_subject(const SSL *ssl) {
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    BIO *text = certificate == NULL ? NULL : BIO_new(BIO_s_mem());
    char *bytes = NULL;
    char *copy = NULL;
    if (text != NULL && X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0,
                                           XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        long length = BIO_get_mem_data(text, &bytes);
        copy = length > 0 ? strndup(bytes, (size_t)length) : NULL;
    }
    BIO_free(text);
    return copy;
}

static uint64_t end_of(const SSL *ssl) {
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    struct tm end;
    return certificate != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1
               ? (uint64_t)timegm(&end)
               : 0;
}

struct span tunnel_subject(struct tunnel *tunnel, uint64_t *ret_ends_s) {
    *ret_ends_s = 0;
    if (tunnel == NULL || !tunnel->is_open) {
        return (struct span){0};
    }
    if (tunnel->subject == NULL) {
        tunnel->subject = format_subject(tunnel->ssl);
    }
    *ret_ends_s = end_of(tunnel->ssl);
    return tunnel->subject == NULL ? (struct span){0} : span_of_string(tunnel->subject);
}

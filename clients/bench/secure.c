/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/secure.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct secure {
    SSL_CTX *context;
};

static const char *last_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason != NULL ? reason : "it is not told why";
}

static bool trust(SSL_CTX *context, const char *authorities, bool is_insecure) {
    if (is_insecure) {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
        return true;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return authorities != NULL ? SSL_CTX_load_verify_file(context, authorities) == 1
                               : SSL_CTX_set_default_verify_paths(context) == 1;
}

struct secure *secure_create(const char *authorities, bool is_insecure) {
    struct secure *secure = calloc(1, sizeof(*secure));
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (secure == NULL || context == NULL) {
        fputs("tidings: bench: out of memory\n", stderr);
        goto fail;
    }
    if (!trust(context, authorities, is_insecure)) {
        fprintf(stderr, "tidings: bench: %s: %s\n", authorities == NULL ? "TLS" : authorities,
                last_reason());
        goto fail;
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    /* What is cut goes on from wherever it lies then, as bytes do that are sent in the clear. */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    secure->context = context;
    return secure;
fail:
    SSL_CTX_free(context);
    free(secure);
    return NULL;
}

void secure_destroy(struct secure *secure) {
    if (secure != NULL) {
        SSL_CTX_free(secure->context);
        free(secure);
    }
}

static bool is_address(const char *name) {
    struct in6_addr address; /* the larger one */
    return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

/* Whose certificate is wanted; only a name is told before (RFC 6066, section 3). */
static bool name_server(SSL *ssl, const char *name) {
    if (is_address(name)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    }
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct ssl_st *secure_begin(const struct secure *secure, int file, const char *name) {
    SSL *ssl = SSL_new(secure->context);
    if (ssl == NULL || SSL_set_fd(ssl, file) != 1 || !name_server(ssl, name)) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

void secure_end(struct ssl_st *session) {
    SSL_free(session);
}

static enum secure_state state_of(SSL *ssl, int result) {
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_NONE:
        return SECURE_DONE;
    case SSL_ERROR_WANT_READ:
        return SECURE_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return SECURE_WANTS_WRITE;
    default:
        return SECURE_FAILED;
    }
}

/* Where nobody is asked who signed, OpenSSL looks all the same, and that is no reason. */
static const char *tell_failure(const SSL *ssl) {
    bool is_asked = SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE;
    long verdict = is_asked ? SSL_get_verify_result(ssl) : X509_V_OK;
    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        return "the server's certificate is for another name";
    }
    if (verdict != X509_V_OK) {
        return "the server's certificate is not trusted (--ca)";
    }
    unsigned long error = ERR_peek_last_error();
    if (error == 0) {
        return "the server closed the connection in the TLS handshake";
    }
    const char *reason = ERR_reason_error_string(error);
    bool is_clear =
        ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER;
    return is_clear || reason == NULL ? "the server does not speak TLS here" : reason;
}

enum secure_state secure_shake(struct ssl_st *session, const char **ret_why) {
    ERR_clear_error();
    enum secure_state state = state_of(session, SSL_do_handshake(session));
    if (state == SECURE_FAILED) {
        *ret_why = tell_failure(session);
    }
    return state;
}

enum secure_state secure_read(struct ssl_st *session, void *bytes, size_t size, size_t *ret_count) {
    ERR_clear_error();
    return state_of(session, SSL_read_ex(session, bytes, size, ret_count));
}

enum secure_state secure_write(struct ssl_st *session, const void *bytes, size_t length,
                               size_t *ret_count) {
    ERR_clear_error();
    return state_of(session, SSL_write_ex(session, bytes, length, ret_count));
}

/* An end that was read with the last bytes, too: it is told by the next read. */
bool secure_has_more(const struct ssl_st *session) {
    return SSL_pending(session) > 0 || (SSL_get_shutdown(session) & SSL_RECEIVED_SHUTDOWN) != 0;
}

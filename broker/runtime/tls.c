/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "broker/config/exposure.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/resumption.h"
#include "broker/runtime/tunnel.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"

/* Mozilla's "intermediate" (ssl-config.mozilla.org, version 5.7), in the client's order. */
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define CIPHERS_1_2                                                                                \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"     \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS "X25519:P-256:P-384"
#define OPTIONS (SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF)
#define MODES                                                                                      \
    (SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS)

struct tls {
    const struct config *config;
    struct metrics_shard *metrics;
    struct resumption *resumption;
    BIO_METHOD *method;
    pthread_mutex_t lock; /* for `context` */
    SSL_CTX *context;
};

/* One certificate with its key, and what the configuration calls them. */
struct pair {
    const char *certificate_key; /* of the configuration: "public.tls.certificate" */
    const char *certificate;
    const char *key_key;
    const char *key;
};

static struct pair public_pair(const struct config *config) {
    return (struct pair){"public.tls.certificate", config->public_tls_certificate, "public.tls.key",
                         config->public_tls_key};
}

static struct pair operator_pair(const struct config *config) {
    return (struct pair){"operator.tls.certificate", config->operator_tls_certificate,
                         "operator.tls.key", config->operator_tls_key};
}

/* --- one context ----------------------------------------------------------------------------- */

/* What OpenSSL complains of first is the cause; what follows is who passed it on. */
static const char *last_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    return reason == NULL ? "OpenSSL does not say why" : reason;
}

static enum error_code cannot_use(struct error *why, const char *key, const char *file,
                                  const char *what) {
    return error_set_field(why, ERR_CONFIG, key, "%s %s: %s", file, what, last_reason());
}

/* The system says more of a file that is not there than OpenSSL does. */
static enum error_code check_readable(const char *key, const char *file, struct error *why) {
    FILE *opened = fopen(file, "rbe");
    if (opened == NULL) {
        return error_set_field(why, ERR_CONFIG, key, "%s cannot be read: %s", file,
                               strerrordesc_np(errno));
    }
    fclose(opened);
    return OK;
}

/* Nobody is there to be asked for the password of a key. */
static int on_password(char *text, int room, int is_writing, void *context) {
    (void)text;
    (void)room;
    (void)is_writing;
    (void)context;
    return -1;
}

static enum error_code load_pair(SSL_CTX *context, const struct pair *pair, struct error *why) {
    enum error_code code = check_readable(pair->certificate_key, pair->certificate, why);
    if (code == OK) {
        code = check_readable(pair->key_key, pair->key, why);
    }
    if (code != OK) {
        return code;
    }
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(context, on_password);
    if (SSL_CTX_use_certificate_chain_file(context, pair->certificate) != 1) {
        return cannot_use(why, pair->certificate_key, pair->certificate, "holds no certificate");
    }
    if (SSL_CTX_use_PrivateKey_file(context, pair->key, SSL_FILETYPE_PEM) != 1) {
        return cannot_use(why, pair->key_key, pair->key, "holds no key for the certificate");
    }
    if (SSL_CTX_check_private_key(context) != 1) {
        return cannot_use(why, pair->key_key, pair->key, "does not fit the certificate");
    }
    return OK;
}

static bool is_word(const char *text, const char *word) {
    return strcmp(text, word) == 0;
}

/* Clients may show a certificate, or must. */
static bool wants_clients(const struct config *config) {
    return !is_word(config->public_tls_client_certificates, "off");
}

static enum error_code load_clients(SSL_CTX *context, const struct config *config,
                                    struct error *why) {
    static const unsigned char scope[] = "tidings";
    const char *key = "public.tls.client_ca";
    const char *file = config->public_tls_client_ca;
    if (!wants_clients(config)) {
        return OK;
    }
    enum error_code code = check_readable(key, file, why);
    if (code != OK) {
        return code;
    }
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(file);
    if (names == NULL || SSL_CTX_load_verify_file(context, file) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return cannot_use(why, key, file, "holds no certificates");
    }
    SSL_CTX_set_client_CA_list(context, names);
    bool is_required = is_word(config->public_tls_client_certificates, "required");
    SSL_CTX_set_verify(context,
                       SSL_VERIFY_PEER | (is_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    SSL_CTX_set_verify_depth(context, TLS_CHAIN_DEPTH_MAX);
    SSL_CTX_set_session_id_context(context, scope, sizeof(scope) - 1);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET); /* each is verified each time */
    return SSL_CTX_set_num_tickets(context, 0) == 1 ? OK : ERR_MEMORY;
}

static int on_alpn(SSL *ssl, const unsigned char **ret_chosen, unsigned char *ret_length,
                   const unsigned char *offered, unsigned offered_length, void *context) {
    (void)context;
    const unsigned char *spoken = SSL_get_app_data(ssl);
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, ret_length, spoken, 1U + spoken[0], offered,
                              offered_length) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301, section 3.2: it would not understand us */
    }
    *ret_chosen = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* One ticket a handshake is enough: each resumption brings the next. */
static bool set_rules(SSL_CTX *context) {
    SSL_CTX_set_options(context, OPTIONS);
    SSL_CTX_set_mode(context, MODES);
    SSL_CTX_set_read_ahead(context, 1); /* header and record in one system call */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, NULL);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(context, CIPHERS_1_3) == 1 &&
           SSL_CTX_set_cipher_list(context, CIPHERS_1_2) == 1 &&
           SSL_CTX_set1_groups_list(context, GROUPS) == 1 &&
           SSL_CTX_set_max_early_data(context, 0) == 1 && SSL_CTX_set_num_tickets(context, 1) == 1;
}

static enum error_code build(const struct config *config, struct resumption *resumption,
                             SSL_CTX **ret_context, struct error *why) {
    struct pair pair = public_pair(config);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || !set_rules(context) || resumption_serve(resumption, context) != OK) {
        SSL_CTX_free(context);
        return error_set(why, ERR_MEMORY, "OpenSSL does not start: %s", last_reason());
    }
    enum error_code code = load_pair(context, &pair, why);
    if (code == OK) {
        code = load_clients(context, config, why);
    }
    if (code != OK) {
        SSL_CTX_free(context);
        return code;
    }
    *ret_context = context;
    return OK;
}

/* --- what the configuration says -------------------------------------------------------------- */

static bool is_given(const char *text) {
    return text != NULL && text[0] != '\0';
}

static bool check_file(const struct config *config, struct config_faults *faults, const char *key,
                       const char *file) {
    struct error why = {0};
    bool is_readable = check_readable(key, file, &why) == OK;
    if (!is_readable) {
        config_faults_add_key(faults, config, key, NULL, "%s", why.detail);
    }
    return is_readable;
}

/* Half a pair is none. What was given and refused is no second fault. */
static void check_half(const struct config *config, const struct pair *pair,
                       struct config_faults *faults) {
    if (!is_given(pair->key) && !config_faults_has(faults, pair->key_key)) {
        config_faults_add_key(faults, config, pair->key_key, pair->certificate_key,
                              "is missing: the certificate needs its key");
    } else if (!is_given(pair->certificate) && !config_faults_has(faults, pair->certificate_key)) {
        config_faults_add_key(faults, config, pair->certificate_key, pair->key_key,
                              "is missing: the key needs its certificate");
    }
}

/* Each file is looked at, and both together where both can be read. */
static void check_pair(const struct config *config, const struct pair *pair,
                       struct config_faults *faults) {
    bool has_certificate = is_given(pair->certificate);
    bool has_key = is_given(pair->key);
    if (has_certificate != has_key) {
        check_half(config, pair, faults);
    }
    bool is_certificate_there =
        has_certificate && check_file(config, faults, pair->certificate_key, pair->certificate);
    bool is_key_there = has_key && check_file(config, faults, pair->key_key, pair->key);
    if (is_certificate_there && is_key_there) {
        SSL_CTX *context = SSL_CTX_new(TLS_server_method());
        struct error why = {0};
        if (context != NULL && load_pair(context, pair, &why) != OK) {
            config_faults_add_key(faults, config, why.field, NULL, "%s", why.detail);
        }
        SSL_CTX_free(context);
    }
}

static void check_client_ca(const struct config *config, struct config_faults *faults) {
    const char *key = "public.tls.client_ca";
    if (!is_given(config->public_tls_client_ca)) {
        if (!config_faults_has(faults, key)) {
            config_faults_add_key(faults, config, key, "public.tls.client_certificates",
                                  "is missing: without it no client's certificate can be verified");
        }
    } else if (is_given(config->public_tls_certificate)) {
        SSL_CTX *context = SSL_CTX_new(TLS_server_method());
        struct error why = {0};
        if (context != NULL && load_clients(context, config, &why) != OK) {
            config_faults_add_key(faults, config, key, NULL, "%s", why.detail);
        }
        SSL_CTX_free(context);
    }
}

static void check_clients(const struct config *config, struct config_faults *faults) {
    const char *wanted = config->public_tls_client_certificates;
    if (is_word(wanted, "optional") || is_word(wanted, "required")) {
        check_client_ca(config, faults);
    } else if (!is_word(wanted, "off")) {
        config_faults_add_key(faults, config, "public.tls.client_certificates", NULL,
                              "is not off, optional or required");
    }
}

void tls_check(const struct config *config, struct config_faults *faults) {
    struct pair pair = public_pair(config);
    struct pair other = operator_pair(config);
    check_clients(config, faults);
    check_pair(config, &pair, faults);
    if (!is_given(pair.certificate) && !config_faults_has(faults, pair.certificate_key) &&
        !exposure_is_off(&config->mqtt_tls_listen)) {
        config_faults_add_key(faults, config, "mqtt.tls_listen", NULL,
                              "needs public.tls.certificate and public.tls.key, which it shares");
    }
    check_pair(config, &other, faults);
}

/* --- what works and should not stay ----------------------------------------------------------- */

static uint64_t expiry_ms(const X509 *certificate) {
    struct tm parts;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) {
        return 0;
    }
    time_t time_s = timegm(&parts);
    return time_s < 0 ? 0 : (uint64_t)time_s * 1000;
}

static void warn_of_key(const char *file) {
    struct stat status;
    if (stat(file, &status) == 0 && (status.st_mode & (S_IWGRP | S_IRWXO)) != 0) {
        log_event(TLS_KEY_EXPOSED, .file = file);
    }
}

static void tell(const struct tls *tls, const SSL_CTX *context) {
    X509 *certificate = SSL_CTX_get0_certificate(context);
    char expires[CLOCK_RFC3339_BYTES];
    char subject[SUBJECT_BYTES_MAX];
    uint64_t time_ms = expiry_ms(certificate);
    clock_format_rfc3339(time_ms, expires);
    X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof(subject));
    metrics_set(tls->metrics, METRIC_TLS_CERTIFICATE_EXPIRES, time_ms);
    log_event(TLS_CERTIFICATE_LOADED, .file = tls->config->public_tls_certificate,
              .subject = subject, .expires = expires);
    if (time_ms <= clock_wall_ms()) {
        log_event(TLS_CERTIFICATE_EXPIRED, .file = tls->config->public_tls_certificate,
                  .expires = expires);
    }
    warn_of_key(tls->config->public_tls_key);
}

/* --- its life --------------------------------------------------------------------------------- */

enum error_code tls_create(const struct config *config, struct metrics_shard *metrics,
                           struct tls **ret_tls, struct error *why) {
    struct tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for TLS");
    }
    tls->config = config;
    tls->metrics = metrics;
    INVARIANT(pthread_mutex_init(&tls->lock, NULL) == 0);
    tls->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    tls->resumption = resumption_create(clock_monotonic_ms());
    enum error_code code = OK;
    if (tls->method == NULL || tls->resumption == NULL || !tunnel_set_method(tls->method)) {
        code = error_set(why, ERR_MEMORY, "OpenSSL does not start: %s", last_reason());
    }
    if (code == OK) {
        code = build(config, tls->resumption, &tls->context, why);
    }
    if (code != OK) {
        tls_destroy(tls);
        return code;
    }
    tell(tls, tls->context);
    *ret_tls = tls;
    return OK;
}

enum error_code tls_reload(struct tls *tls, struct error *why) {
    SSL_CTX *context = NULL;
    enum error_code code = build(tls->config, tls->resumption, &context, why);
    if (code != OK) {
        return code;
    }
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *before = tls->context;
    tls->context = context;
    pthread_mutex_unlock(&tls->lock);
    tell(tls, context);
    SSL_CTX_free(before); /* its connections have references of their own */
    return OK;
}

void tls_destroy(struct tls *tls) {
    if (tls != NULL) {
        SSL_CTX_free(tls->context);
        BIO_meth_free(tls->method);
        resumption_destroy(tls->resumption);
        pthread_mutex_destroy(&tls->lock);
        free(tls);
    }
}

SSL *tls_open(struct tls *tls, BIO *io, const char *protocol) {
    pthread_mutex_lock(&tls->lock);
    SSL *ssl = SSL_new(tls->context);
    pthread_mutex_unlock(&tls->lock);
    if (ssl == NULL || SSL_set_app_data(ssl, (void *)(uintptr_t)protocol) != 1) {
        SSL_free(ssl);
        BIO_free(io);
        return NULL;
    }
    SSL_set_bio(ssl, io, io);
    SSL_set_accept_state(ssl);
    return ssl;
}

const BIO_METHOD *tls_method(const struct tls *tls) {
    return tls->method;
}

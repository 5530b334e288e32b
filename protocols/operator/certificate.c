/* SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd takes its certificate once, at the start, and its callback for another one is not
 * told whose daemon asks. But it makes a session before it says that somebody has connected, so
 * that credentials of our own can be put into each. */
#include "protocols/operator/certificate.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was read once, and what GnuTLS made of it. */
struct edition {
    gnutls_datum_t chain; /* NUL behind it, which the size leaves out */
    gnutls_datum_t key;
    gnutls_certificate_credentials_t credentials;
    struct edition *older;
};

struct certificate {
    const char *chain_file;
    const char *key_file;
    _Atomic(struct edition *) newest;
    size_t count;
};

static void wipe(gnutls_datum_t *text) {
    if (text->data != NULL) {
        gnutls_memset(text->data, 0, text->size);
        free(text->data);
    }
}

static void destroy(struct edition *edition) {
    if (edition->credentials != NULL) {
        gnutls_certificate_free_credentials(edition->credentials);
    }
    wipe(&edition->chain);
    wipe(&edition->key);
    free(edition);
}

static enum error_code read_file(const char *name, gnutls_datum_t *ret_text, struct error *why) {
    FILE *file = fopen(name, "rbe");
    if (file == NULL) {
        return error_set(why, ERR_CONFIG, "%s cannot be read: %s", name, strerrordesc_np(errno));
    }
    ret_text->data = calloc(1, CERTIFICATE_BYTES_MAX + 1);
    size_t length =
        ret_text->data == NULL ? 0 : fread(ret_text->data, 1, CERTIFICATE_BYTES_MAX, file);
    bool is_read = ret_text->data != NULL && !ferror(file) && length < CERTIFICATE_BYTES_MAX;
    ret_text->size = (unsigned)length;
    fclose(file);
    return is_read ? OK : error_set(why, ERR_CONFIG, "%s cannot be read, or is too large", name);
}

static enum error_code make(const struct certificate *certificate, struct edition *edition,
                            struct error *why) {
    enum error_code code = read_file(certificate->chain_file, &edition->chain, why);
    if (code == OK) {
        code = read_file(certificate->key_file, &edition->key, why);
    }
    if (code != OK) {
        return code;
    }
    if (gnutls_certificate_allocate_credentials(&edition->credentials) != GNUTLS_E_SUCCESS) {
        return error_set(why, ERR_MEMORY, "no memory for the operator's certificate");
    }
    int result = gnutls_certificate_set_x509_key_mem(edition->credentials, &edition->chain,
                                                     &edition->key, GNUTLS_X509_FMT_PEM);
    return result == GNUTLS_E_SUCCESS
               ? OK
               : error_set(why, ERR_CONFIG, "%s and %s: %s", certificate->chain_file,
                           certificate->key_file, gnutls_strerror(result));
}

static bool is_equal(const struct edition *left, const struct edition *right) {
    return left->chain.size == right->chain.size && left->key.size == right->key.size &&
           memcmp(left->chain.data, right->chain.data, left->chain.size) == 0 &&
           gnutls_memcmp(left->key.data, right->key.data, left->key.size) == 0;
}

static enum error_code read_newest(struct certificate *certificate, struct error *why) {
    struct edition *newest = atomic_load(&certificate->newest);
    struct edition *edition = calloc(1, sizeof(*edition));
    if (edition == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the operator's certificate");
    }
    enum error_code code = make(certificate, edition, why);
    bool is_known = code == OK && newest != NULL && is_equal(edition, newest);
    if (code == OK && !is_known && certificate->count == CERTIFICATES_MAX) {
        code = error_set(why, ERR_FULL, "so many certificates that a restart is needed");
    }
    if (code != OK || is_known) {
        destroy(edition);
        return code;
    }
    edition->older = newest;
    certificate->count++;
    atomic_store(&certificate->newest, edition);
    return OK;
}

enum error_code certificate_create(const char *chain_file, const char *key_file,
                                   struct certificate **ret_certificate, struct error *why) {
    struct certificate *certificate = calloc(1, sizeof(*certificate));
    if (certificate == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the operator's certificate");
    }
    certificate->chain_file = chain_file;
    certificate->key_file = key_file;
    enum error_code code = read_newest(certificate, why);
    if (code != OK) {
        certificate_destroy(certificate);
        return code;
    }
    *ret_certificate = certificate;
    return OK;
}

void certificate_destroy(struct certificate *certificate) {
    if (certificate == NULL) {
        return;
    }
    struct edition *older;
    for (struct edition *edition = atomic_load(&certificate->newest); edition != NULL;
         edition = older) {
        older = edition->older;
        destroy(edition);
    }
    free(certificate);
}

enum error_code certificate_reload(struct certificate *certificate, struct error *why) {
    return read_newest(certificate, why);
}

void certificate_apply(struct certificate *certificate, gnutls_session_t session) {
    struct edition *newest = atomic_load(&certificate->newest);
    /* Without memory the session shows what the daemon began with. */
    IGNORE_RESULT(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, newest->credentials) !=
                  GNUTLS_E_SUCCESS);
}

const char *certificate_chain_text(const struct certificate *certificate) {
    return (const char *)atomic_load(&certificate->newest)->chain.data;
}

const char *certificate_key_text(const struct certificate *certificate) {
    return (const char *)atomic_load(&certificate->newest)->key.data;
}

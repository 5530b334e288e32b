/* SPDX-License-Identifier: Apache-2.0 */
/* certificate.h — the certificate of the operator's port, for libmicrohttpd's TLS (GnuTLS).
 *
 * Place:   made by operator.c where `operator.tls` is configured; put into each session before its
 *          handshake.
 * Thread:  made, read again and destroyed on main; certificate_apply() on the operator's.
 * Bounds:  CERTIFICATE_BYTES_MAX a file; one for each reload that brought another than before, at
 *          most CERTIFICATES_MAX, because sessions that are open may still look at theirs.
 */
#pragma once

#include <gnutls/gnutls.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct certificate;

#define CERTIFICATE_BYTES_MAX 1048576 /* a chain and a key of some kilobytes each */
#define CERTIFICATES_MAX 1000

/* Both files are PEM; the names are borrowed. ERR_CONFIG: the detail names the file; ERR_MEMORY. */
MUST_USE enum error_code certificate_create(const char *chain_file, const char *key_file,
                                            struct certificate **ret_certificate,
                                            struct error *why);

/* No session is left. Accepts NULL. */
void certificate_destroy(struct certificate *certificate);

/* Reads the files again; sessions that begin from now on get what they hold. Not OK: nothing has
 * changed. Also ERR_FULL. */
MUST_USE enum error_code certificate_reload(struct certificate *certificate, struct error *why);

/* The session, whose handshake has not begun, shows this certificate. */
void certificate_apply(struct certificate *certificate, gnutls_session_t session);

/* What libmicrohttpd wants to be told when it starts: both end with NUL. */
const char *certificate_chain_text(const struct certificate *certificate);
const char *certificate_key_text(const struct certificate *certificate);

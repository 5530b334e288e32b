/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h — what TLS connections begin with: certificate, key and rules, read again at a reload.
 *
 * Place:   made by main of `public.tls`; tunnel.h takes the context in force for each connection.
 * Thread:  made, read again and destroyed on main; tls_open() on any thread. The context in force
 *          is behind a lock; one that was replaced lives as long as its connections.
 * Bounds:  one context in force, and those that open connections still have.
 *
 * TLS 1.2 and 1.3 with the ciphers and groups of Mozilla's intermediate profile (version 5.7; but
 * without finite-field DHE, which lets a client make the server work without working itself); no
 * compression, no renegotiation, no early data, no session cache. A certificate of a client is
 * verified against public.tls.client_ca alone; certificate revocation lists and OCSP are not
 * looked at: a certificate that is not to be let in any more is taken out of auth.certificates, or
 * expires. Where clients may show one, nothing is resumed, so that each is verified each time.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/config/config.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"

struct metrics_shard;
struct tls;

/* Adds a fault for each file of TLS keys that cannot be used; for config_sources. */
void tls_check(const struct config *config, struct config_faults *faults);

/* Reads the files that `config`, which is borrowed, names. Warns of what works and should not stay.
 * ERR_CONFIG: the detail names the key and the file; ERR_MEMORY. */
MUST_USE enum error_code tls_create(const struct config *config, struct metrics_shard *metrics,
                                    struct tls **ret_tls, struct error *why);

/* Reads the same files again. Not OK: what was in force stays. */
MUST_USE enum error_code tls_reload(struct tls *tls, struct error *why);

/* No connection is left. Accepts NULL. */
void tls_destroy(struct tls *tls);

/* A connection that awaits its handshake, with `io` on both ends, which it owns from now on. What
 * may be spoken inside is `protocol`, in the form of ALPN: a length byte and a name. NULL: out of
 * memory, and `io` is freed. */
SSL *tls_open(struct tls *tls, BIO *io, const char *protocol);

/* Of BIOs whose calls are tunnel.h's; made once, because OpenSSL gives each method a number. */
const BIO_METHOD *tls_method(const struct tls *tls);

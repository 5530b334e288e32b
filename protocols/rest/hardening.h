/* SPDX-License-Identifier: Apache-2.0 */
/* hardening.h — what every answer tells a browser, whatever else it holds: one table.
 *
 * Place:   put by the adapters, protocols/http/reply.c and protocols/operator/call.c, so that no
 *          refusal lacks it.
 * Thread:  constants.
 * Bounds:  HARDENING_BYTES.
 *
 * The version of the server is not among it: there is no Server header at all.
 */
#pragma once

/* X(name, value): types are as they are told; no address is passed on, which may hold a ticket; a
 * page of another site may embed nothing (what it may fetch is a matter of CORS). */
#define HARDENING_TABLE(X)                                                                         \
    X("X-Content-Type-Options", "nosniff")                                                         \
    X("Referrer-Policy", "no-referrer")                                                            \
    X("Cross-Origin-Resource-Policy", "same-origin")

/* … and where the answer comes over TLS: the browser does not ask this host in clear again. */
#define HARDENING_OF_TLS_NAME "Strict-Transport-Security"
#define HARDENING_OF_TLS_VALUE "max-age=31536000"

/* All of it as lines of a head. */
#define HARDENING_LINE(name, value) name ": " value "\r\n"
#define HARDENING_LINES HARDENING_TABLE(HARDENING_LINE)
#define HARDENING_LINES_OF_TLS HARDENING_LINE(HARDENING_OF_TLS_NAME, HARDENING_OF_TLS_VALUE)
#define HARDENING_BYTES (sizeof(HARDENING_LINES) + sizeof(HARDENING_LINES_OF_TLS))

/* SPDX-License-Identifier: Apache-2.0 */
/* operator.h — the operator's port: libmicrohttpd on a thread of its own.
 *
 * Place:   made by main; serves its own pages (pages.h) and the routes of protocols/rest/.
 * Thread:  a call names its own below. It answers while workers and disk are saturated: what waits
 *          for the log or a read is suspended, and the thread goes on.
 * Bounds:  OPERATOR_CONNECTIONS_MAX connections of OPERATOR_CONNECTION_BYTES each, further ones are
 *          closed at once; BODIES_BYTES_MAX of bodies; a deadline for head, body and next request.
 *
 * The life of it: create (binds), start (listens, answers), stop, destroy. Stop it after the
 * workers and before the log; destroy it after the log and the read threads have ended, because
 * answers to calls that were given up still come back to its mailbox.
 */
#pragma once

#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct broker;
struct operator_server;

#define OPERATOR_CONNECTIONS_MAX 512    /* operators, probes and the pools of back ends */
#define OPERATOR_CONNECTION_BYTES 65536 /* a head of 16 KiB and a reply's, with their tables */
#define OPERATOR_BACKLOG 128            /* connections that the kernel keeps for us */
#define OPERATOR_STOP_MS 400            /* for answers under way; the rest is cut off */

/* Takes config->operator_listen, without listening yet, and reads the certificate; port 0 takes a
 * free one. `broker` is borrowed: its metrics and config are there already, and its operator_port
 * is set. ERR_IO: the detail names the address that is taken or not ours; ERR_CONFIG: a file;
 * ERR_MEMORY. */
MUST_USE enum error_code operator_create(struct broker *broker,
                                         struct operator_server **ret_operator, struct error *why);

/* Listens and starts the thread. ERR_IO, ERR_MEMORY. */
MUST_USE enum error_code operator_start(struct operator_server *server, struct error *why);

/* Reads the certificate again, where there is one; new connections get it. On main. Not OK: the old
 * one stays. */
MUST_USE enum error_code operator_reload(struct operator_server *server, struct error *why);

/* The real port. Any thread. */
uint16_t operator_port(const struct operator_server *server);

/* Takes no more connections, answers what is under way for at most OPERATOR_STOP_MS, ends the
 * thread. The caller is another thread. Harmless twice, and before operator_start(); accepts
 * NULL. */
void operator_stop(struct operator_server *server);

/* Frees; stopped before. Accepts NULL. */
void operator_destroy(struct operator_server *server);

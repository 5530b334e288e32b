/* SPDX-License-Identifier: Apache-2.0 */
/* dial.h — a connection to somewhere else as a stream of bytes: the name is looked up, TCP and TLS
 * are made by libcurl, and nothing blocks.
 *
 * Place:   of mqtt_link.c, one a connection.
 * Thread:  the sinks thread's.
 * Bounds:  one connection; libcurl's memory for it is there from create to destroy.
 *
 * libcurl's CONNECT_ONLY does the part of a connection that is not of a protocol, with the same
 * resolver, addresses tried side by side, and certificates as webhooks have.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct dial;
struct loop;

struct dial_options {
    const char *url;         /* mqtt://HOST[:PORT] or mqtts://HOST[:PORT] */
    const char *authorities; /* a file of PEM; NULL: those that the system believes */
    uint64_t timeout_ms;     /* for name, TCP and TLS in all */
    void *context;

    /* Each may destroy the dial. One of the first two comes, once, never before create returned. */
    void (*on_connected)(void *context);
    void (*on_failed)(void *context, const char *detail);
    void (*on_ready)(void *context); /* as dial_want() asked */
};

/* What such a URL is to libcurl, with the port. ERR_CONFIG: it is no such URL. ERR_TOO_LARGE. */
#define DIAL_URL_BYTES 512
MUST_USE enum error_code dial_parse_url(const char *url, char ret_url[DIAL_URL_BYTES]);

/* Begins at once. ERR_MEMORY, ERR_CONFIG. The options' strings are not needed any more. */
MUST_USE enum error_code dial_create(struct loop *loop, const struct dial_options *options,
                                     struct dial **ret_dial);

/* Ends the connection, whatever its state. Accepts NULL. */
void dial_destroy(struct dial *dial);

/* Of a connected one: what on_ready is to come for. */
void dial_want(struct dial *dial, bool has_want_read, bool has_want_write);

/* ERR_AGAIN: nothing now; ERR_IO: the connection has ended. What was not sent is sent again from
 * the same address and with the same length: TLS wants it so. Read until ERR_AGAIN: TLS may have
 * more than the socket tells of. */
MUST_USE enum error_code dial_send(struct dial *dial, struct span bytes, size_t *ret_sent);
MUST_USE enum error_code dial_receive(struct dial *dial, uint8_t *bytes, size_t size,
                                      size_t *ret_received);

/* SPDX-License-Identifier: Apache-2.0 */
/* client.h — a blocking client for tests: raw bytes out, all that comes back in.
 *
 * Place:   tests of the operator's port.
 * Thread:  the caller's.
 * Bounds:  CLIENT_SECONDS_MAX a call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/buffer.h"

#define CLIENT_SECONDS_MAX 60

/* A connection to 127.0.0.1, or with `six` to ::1; -1: it was refused. */
int client_connect(uint16_t port, bool six);

void client_send(int socket, const char *text);

/* Appends until the peer ends the connection. False: it did not in time. */
bool client_read_to_end(int socket, struct buffer *ret_text);

/* Appends until one whole reply with its Content-Length (or an empty body) is there. */
bool client_read_reply(int socket, struct buffer *ret_text);

/* Sends one request, reads the reply, closes. The text ends with a NUL behind its length. */
void client_ask(uint16_t port, const char *request, struct buffer *ret_text);

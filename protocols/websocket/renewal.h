/* SPDX-License-Identifier: Apache-2.0 */
/* renewal.h — {"auth":"<token>"}: the same client goes on with another token, in place.
 *
 * Place:   called by protocols/websocket/websocket.c.
 * Thread:  its worker's.
 * Bounds:  none of its own.
 *
 * The token must be of the same client: of its tenant, subject, kind and issuer. Else, or where it
 * is no good, the socket goes on with the one it has, until that ends. What the new one does not
 * allow any more ends at once: the socket on one channel, or subscriptions one by one.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct command;
struct petition;
struct websocket;

/* Answers where it was taken. ERR_AGAIN: the petition is under way. ERR_UNAUTHORIZED and its kin,
 * ERR_FORBIDDEN: it was not, and the caller says so. */
MUST_USE enum error_code renewal_obey(struct websocket *websocket, const struct command *command,
                                      struct petition *petition, struct error *why);

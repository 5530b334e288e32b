/* SPDX-License-Identifier: Apache-2.0 */
/* ticket.h — POST /token: something for a URL that is worth nothing a minute later, or used once.
 *
 * Place:   a row of routes.c; a browser's WebSocket and EventSource send no header of their own.
 * Thread:  the request's.
 * Bounds:  TICKETS_MAX in the process.
 *
 *     {"ticket":"…","expires_in":60}
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

/* No body is wanted. */
MUST_USE enum error_code ticket_admit(struct request *request, struct error *why);

void ticket_handle(struct request *request);

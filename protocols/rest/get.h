/* SPDX-License-Identifier: Apache-2.0 */
/* get.h — reading over HTTP: what a GET of channels asks for, and in which form it is answered.
 *
 * Place:   called by channel.c for its own URL, a row of routes.c for /stream; hands on to page.c,
 *          or to the adapter (streams).
 * Thread:  the request's.
 * Bounds:  none of its own.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

/* Makes the request's reading of the one channel or pattern that stands in request->channel, or,
 * since its empty segments have no other way in, in the query. */
MUST_USE enum error_code get_admit_channel(struct request *request, bool is_of_query,
                                           struct error *why);

/* Makes it of the `channel` pairs of the query; a WebSocket needs none. */
MUST_USE enum error_code get_admit_stream(struct request *request, struct error *why);

/* Answers the reading that was admitted. */
void get_handle(struct request *request);

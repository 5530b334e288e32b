/* SPDX-License-Identifier: Apache-2.0 */
/* channel.h — the resource that is a channel: published to, read as a page or as a stream, deleted
 * from.
 *
 * Place:   a row of routes.c; hands on to publish.c, page.c, or the adapter (streams).
 * Thread:  the request's.
 * Bounds:  none of its own.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

/* The name (in the path, or in ?channel= where it has empty segments), and what the head tells of
 * the rest. */
MUST_USE enum error_code channel_admit(struct request *request, struct error *why);

void channel_handle(struct request *request);

/* SPDX-License-Identifier: Apache-2.0 */
/* routes.h — which resource a path is, what may be done with it, and who answers: one table.
 *
 * Place:   called by the adapters of request.h; calls the resources of protocols/rest/.
 * Thread:  the request's.
 * Bounds:  none of its own.
 *
 * From a row come 404, 405 with Allow, OPTIONS and HEAD.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/macros.h"
#include "broker/support/span.h"

struct request;

/* Judges the head: Host and Origin, resource, method, channel name, declared length and type. True:
 * the body is wanted, `body_bytes_max` of it at most (0: none; a body is then refused or ignored as
 * the adapter likes). False: the reply is ready and the body is not wanted. */
MUST_USE bool routes_admit(struct request *request);

/* Answers an admitted request whose body is there; on_replied follows, perhaps before it returns. */
void routes_handle(struct request *request);

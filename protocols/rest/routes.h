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
#include <stddef.h>

#include "broker/metrics/metrics.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct request;

enum method_bit {
    METHOD_GET = 1 << 0,
    METHOD_HEAD = 1 << 1,
    METHOD_POST = 1 << 2,
    METHOD_OPTIONS = 1 << 3,
    METHOD_DELETE = 1 << 4,
};

enum route_port { ROUTE_BOTH, ROUTE_PUBLIC, ROUTE_OPERATOR };

/* One resource. */
struct route {
    const char *path;
    bool is_prefix; /* all that begins with `path` */
    enum route_port port;
    enum metrics_route counted_as; /* where it is no channel */
    unsigned methods;              /* of enum method_bit; OPTIONS goes without saying */
    /* Judges the head. Not OK: the request was refused. NULL: nothing to judge, no body taken. */
    enum error_code (*on_admit)(struct request *request, struct error *why);
    void (*on_request)(struct request *request);
    const char *reserved_for; /* no handlers: 501 with this detail */
};

/* Judges the head: Host and Origin, resource, method, channel name, declared length and type. True:
 * go on; the body may have `request->body_bytes_max` bytes (0: there may be none). False: the reply
 * is ready and the body is not wanted. */
MUST_USE bool routes_admit(struct request *request);

/* Answers an admitted request whose body is there; on_replied follows, perhaps before it
 * returns. */
void routes_handle(struct request *request);

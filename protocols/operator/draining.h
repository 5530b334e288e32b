/* SPDX-License-Identifier: Apache-2.0 */
/* draining.h — /api/v1/drain: out of service, how far it is, and back again.
 *
 * Place:   called by api.c; broker/runtime/drain.h does it.
 * Thread:  the operator's.
 * Bounds:  those of drain.h.
 *
 *     {"draining":true,"connections":7,"connections_at_begin":90,"begun":"…","over_ms":30000}
 *     {"draining":false,"connections":90}
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

/* POST with `over`, a duration: 202. ERR_BAD_REQUEST, ERR_DRAINING: the process ends anyway. */
MUST_USE enum error_code draining_begin(struct request *request, struct error *why);

MUST_USE enum error_code draining_show(struct request *request, struct error *why);

/* DELETE: in service again. ERR_DRAINING. */
MUST_USE enum error_code draining_end(struct request *request, struct error *why);

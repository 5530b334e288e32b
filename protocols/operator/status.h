/* SPDX-License-Identifier: Apache-2.0 */
/* status.h — /api/v1/status: which broker this is, where it listens, and whether it is in service.
 *
 * Place:   called by api.c. Figures are at /metrics.
 * Thread:  the operator's.
 * Bounds:  one object.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

/* {"version","started","uptime_s","pid","ready","draining","public","operator","data","file",
 *  "workers","connections","position"} */
MUST_USE enum error_code status_show(struct request *request, struct error *why);

/* SPDX-License-Identifier: Apache-2.0 */
/* tenants.h — /api/v1/tenants: what each tenant has, has used and may have.
 *
 * Place:   resources of api.c; read the accounts, which broker/runtime/tenants.h keeps.
 * Thread:  the operator's.
 * Bounds:  LISTING_ROWS_MAX rows. A page looks at all tenants: TENANTS_MAX take a few milliseconds.
 *
 *     {"tenant":"acme","connections":3,"connections_peak":9,"channels":12,"stored_bytes":4711,
 *      "published_messages":100,"published_bytes":2000,"delivered_messages":900,
 *      "delivered_bytes":18000,"refused":0,"since":"…","quota":{"connections":100,…}}
 *
 * A quota that is not limited is null. Counters are of all processes since `since`; a process that
 * was killed lost at most what it counted in its last USAGE_INTERVAL_MS.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

/* GET: ?limit=, ?after= (a tenant). */
MUST_USE enum error_code tenants_list(struct request *request, struct error *why);

/* GET /api/v1/tenants/{tenant}: its row, or 404 where nobody has come by that name. */
MUST_USE enum error_code tenants_show(struct request *request, struct error *why);

/* SPDX-License-Identifier: Apache-2.0 */
/* connections.h — /api/v1/connections: who is connected, how far behind, and the end of one.
 *
 * Place:   resources of api.c; ask the workers, then a read thread for the lag of those behind.
 * Thread:  the operator's.
 * Bounds:  LISTING_ROWS_MAX rows; CONNECTIONS_MEASURES_MAX readers are measured, those further down
 *          have a lag of null.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

#define CONNECTIONS_MEASURES_MAX 1000

/* GET: ?sort= (lag, age, bytes), ?tenant= (its connections alone; empty: those of none), ?channel=
 * (only its readers, of that tenant or of none), ?limit=, ?after=. The request
 * waits, or is refused. */
MUST_USE enum error_code connections_list(struct request *request, struct error *why);

/* GET /api/v1/connections/{id}: its row, or 404 where there is none. */
MUST_USE enum error_code connections_show(struct request *request, struct error *why);

/* DELETE /api/v1/connections/{id}: 204, or 404 where there is none. */
MUST_USE enum error_code connections_dismiss(struct request *request, struct error *why);

/* SPDX-License-Identifier: Apache-2.0 */
/* sessions.h — /api/v1/sessions: which MQTT sessions there are, and the end of one.
 *
 * Place:   resources of api.c; ask the log thread, whose registry they are in.
 * Thread:  the operator's.
 * Bounds:  MUSTER_ROWS_MAX rows.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

/* GET: ?tenant= (its sessions alone; empty: those of none), ?limit=, ?after= and ?after_tenant=
 * (`next` and `next_tenant` of the page before). The request waits, or is refused. */
MUST_USE enum error_code sessions_list(struct request *request, struct error *why);

/* DELETE /api/v1/sessions/{client_id}, of ?tenant=: 204, or 404 where there is none. */
MUST_USE enum error_code sessions_dismiss(struct request *request, struct error *why);

/* SPDX-License-Identifier: Apache-2.0 */
/* explain.h — POST /api/v1/explain: would somebody with these credentials be let in, and which rule
 * says so?
 *
 * Place:   a row of api.c; the question is put on a worker, whose access.h has the caches,
 *          revocations and answers that real requests meet.
 * Thread:  the operator's; on_asked and what follows it the worker's.
 * Bounds:  EXPLAIN_BODY_BYTES_MAX; one question a request.
 *
 *     {"token" | "key": "…", "certificate": "CN=…", "publish" | "subscribe" | … : "chat/7"}
 *
 * A ticket is not explained, because asking uses it up.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

#define EXPLAIN_BODY_BYTES_MAX 65536 /* a token, a subject and a name, each character escaped */

MUST_USE enum error_code explain_ask(struct request *request, struct error *why);

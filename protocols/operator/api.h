/* SPDX-License-Identifier: Apache-2.0 */
/* api.h — the administration's resources below /api/v1/: which there are, and what may be done.
 *
 * Place:   asked by call.c before the routes; a table of rows, which GET /api/v1 shows.
 * Thread:  the operator's. Answers that need the disk or the workers come later, by its mailbox.
 * Bounds:  those of the resources.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/span.h"

struct request;

/* The path is below /api/. */
bool api_has(struct span path);

/* How much of a body the request may have; 0: what comes is not kept. */
uint64_t api_body_bytes_max(const struct request *request);

/* Answers a request whose path api_has(), with whatever it deserves; on_replied follows, perhaps
 * before it returns. */
void api_handle(struct request *request);

/* SPDX-License-Identifier: Apache-2.0 */
/* pages.h — what the operator's port answers by itself: health, readiness, metrics.
 *
 * Place:   asked by call.c before the routes; a table of rows.
 * Thread:  the operator's.
 * Bounds:  EXPOSITION_BYTES_MAX.
 *
 * The Host and Origin rules hold here as for channels: a page that a developer visits must not read
 * the metrics of the broker on their machine.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct broker;
struct request;

/* OK: the broker takes traffic, as /readyz says. ERR_DRAINING, ERR_BUSY, or what ails the log. */
MUST_USE enum error_code pages_check_ready(const struct broker *broker, struct error *why);

/* The path is one of the operator's own. */
bool pages_has(struct span path);

/* Answers a request whose path pages_has(), with whatever it deserves; on_replied follows before it
 * returns. */
void pages_handle(struct request *request);

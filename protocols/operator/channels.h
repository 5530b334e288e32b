/* SPDX-License-Identifier: Apache-2.0 */
/* channels.h — /api/v1/channels: what the log keeps of each channel, and who reads it.
 *
 * Place:   resources of api.c; ask a read thread for the rows, then the workers for the readers.
 * Thread:  the operator's; the disk is read on a read thread, so that /readyz never waits for it.
 * Bounds:  LISTING_ROWS_MAX rows.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

/* ?tenant= (its channels alone; empty: those of no tenant), ?match= (a name or pattern of that
 * tenant, or of none), ?limit=, ?after= and ?after_tenant= (`next` and `next_tenant` of the page
 * before). The request waits, or is refused. */
MUST_USE enum error_code channels_list(struct request *request, struct error *why);

/* GET /api/v1/channels/{channel}, of ?tenant=: its row, or 404 where it was never published to. */
MUST_USE enum error_code channels_show(struct request *request, struct error *why);

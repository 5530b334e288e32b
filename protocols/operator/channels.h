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

/* ?match= (a name or pattern; all), ?after= (a name: those behind it), ?limit=. The request waits,
 * or is refused. */
MUST_USE enum error_code channels_list(struct request *request, struct error *why);

/* GET /api/v1/channels/{channel}: its row, or 404 where it was never published to. */
MUST_USE enum error_code channels_show(struct request *request, struct error *why);

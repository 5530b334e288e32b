/* SPDX-License-Identifier: Apache-2.0 */
/* ledger_record.h — a ledger as the bytes that are kept of it.
 *
 * Place:   of sink.c: an object of the log, STORAGE_OBJECT_LEDGER by the sink's name.
 * Thread:  pure.
 * Bounds:  LEDGER_RECORD_BYTES_MAX. ledger_record.c has the layout.
 */
#pragma once

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "protocols/sinks/ledger.h"

#define LEDGER_RECORD_BYTES_MAX 917504 /* an object of the log is 1 MiB at most */

/* Appends. ERR_MEMORY, ERR_TOO_LARGE: nothing was added. */
MUST_USE enum error_code ledger_record_put(struct buffer *buffer, const struct ledger *ledger);

/* Replaces what is in `ledger`. ERR_CORRUPT, ERR_DATA_VERSION and ERR_MEMORY leave it. */
MUST_USE enum error_code ledger_record_parse(struct span record, struct ledger *ledger);

/* SPDX-License-Identifier: Apache-2.0 */
/* reading.h — from where, how far and in which form somebody wants to read: the query's meaning.
 *
 * Place:   read from a request by protocols/rest/channel.c; used by pages, SSE and WebSocket.
 * Thread:  pure, but for the clock that is handed in.
 * Bounds:  limit PAGE_MESSAGES_MAX.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/channels/since.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "storage/storage.h"

struct reading {
    struct storage_query query; /* all but channel and bytes_max */
    bool has_start;             /* since= or Last-Event-ID was given */
    bool is_bare;               /* envelope=none */
};

/* What the query asks of a page (`is_page`) or of a stream: since, before, limit, envelope, on_lag,
 * wait. ERR_BAD_SINCE, ERR_BAD_REQUEST, ERR_NOT_IMPLEMENTED name the field. `last_event_id` beats
 * since=; empty: it did not come. `now_ms` is the wall clock's. */
MUST_USE enum error_code reading_parse(struct span query, struct span last_event_id, bool is_page,
                                       uint64_t now_ms, struct reading *ret_reading,
                                       struct error *why);

/* The start that `since` means. */
void reading_set_start(struct reading *reading, const struct since *since, uint64_t now_ms);

/* SPDX-License-Identifier: Apache-2.0 */
/* reading.h — from where, how far and in which form somebody wants to read: the query's meaning.
 *
 * Place:   read from a request by protocols/rest/channel.c; used by pages, SSE and WebSocket.
 * Thread:  pure; the clock's time is handed in.
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

enum reading_kind { READING_PAGE, READING_EVENTS, READING_WEBSOCKET };

struct reading {
    enum reading_kind kind;
    struct storage_query query; /* all but channel and bytes_max */
    bool has_start;             /* since= or Last-Event-ID was given */
    bool is_bare;               /* envelope=none */
};

/* What a query asks of that kind of reader: since, before, limit, wait, envelope, on_lag; others
 * are ignored. `last_event_id` beats since=; empty: it did not come. ERR_BAD_SINCE, ERR_BAD_REQUEST
 * and ERR_NOT_IMPLEMENTED name the field. `now_ms` is the wall clock's. */
MUST_USE enum error_code reading_parse(struct span query, struct span last_event_id,
                                       enum reading_kind kind, uint64_t now_ms,
                                       struct reading *ret_reading, struct error *why);

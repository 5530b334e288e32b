/* SPDX-License-Identifier: Apache-2.0 */
/* reading.h — what, from where, how far and in which form somebody wants to read.
 *
 * Place:   read from a request by protocols/rest/get.c; used by pages, SSE and WebSocket.
 * Thread:  pure; the clock's time is handed in.
 * Bounds:  limit PAGE_MESSAGES_MAX, wait WAIT_MS_MAX; selectors as in selectors.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/admission/grants.h"
#include "broker/channels/rules.h"
#include "broker/channels/since.h"
#include "broker/config/config.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "storage/storage.h"

enum reading_kind { READING_PAGE, READING_EVENTS, READING_WEBSOCKET };

struct reading {
    enum reading_kind kind;
    struct storage_selector *selectors; /* owned; NULL: none, a WebSocket that subscribes later */
    size_t selector_count;
    struct storage_query query; /* all but channel, selectors and bytes_max */
    enum on_lag on_lag;         /* ON_LAG_AUTO: the reader has not chosen */
    uint64_t wait_ms;           /* of a page: how long something may be waited for */
    bool has_start;             /* since= or Last-Event-ID was given */
    bool is_bare;               /* envelope=none */
};

/* The rights that reading from there needs, as bits of 1 << enum action: pages are history; a
 * stream is a subscription, and history too unless it begins now or goes on behind an id. */
unsigned reading_rights(enum reading_kind kind, enum storage_start start);

/* "catch_up", "conflate", "drop", "disconnect". False: none of them. */
MUST_USE bool reading_parse_on_lag(struct span text, enum on_lag *ret_on_lag);

/* Fills in what a query asks of that kind of reader: since, before, limit, wait, envelope, on_lag;
 * others are ignored. The reading is zero but for kind and selectors. `last_event_id` beats since=;
 * empty: it did not come. ERR_BAD_SINCE and ERR_BAD_REQUEST name the field. `now_ms` is the wall
 * clock's. */
MUST_USE enum error_code reading_parse(struct reading *reading, struct span query,
                                       struct span last_event_id, uint64_t now_ms,
                                       struct error *why);

/* Frees the selectors and the reading. Accepts NULL. */
void reading_destroy(struct reading *reading);

/* The reading's query with its one channel or its selectors, which it borrows. */
void reading_get_query(const struct reading *reading, struct storage_query *ret_query);

/* The policy of a reader: what it asked for, else (ON_LAG_AUTO) what the rule of its only channel
 * says, else to catch up. Never ON_LAG_AUTO. */
enum on_lag reading_choose_on_lag(enum on_lag asked, const struct storage_selector *selectors,
                                  size_t selector_count, const struct rules *rules);

/* SPDX-License-Identifier: Apache-2.0 */
/* since.h — where a reader wants to begin or end: since=, before=, Last-Event-ID.
 *
 * Place:   parsed by protocols/, answered by delivery and storage.
 * Thread:  pure; no clock: "5 minutes ago" stays a distance until somebody with a clock asks.
 * Bounds:  SINCE_TEXT_BYTES_MAX of text.
 *
 * Forms:   earliest | now | 42 (an offset) | t1… (an id) | -20 (the last 20) |
 *          2026-01-31T08:05:09Z (RFC 3339) | -30s -5m -2h -1d (ago)
 */
#pragma once

#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

enum since_kind {
    SINCE_NOT_GIVEN, /* zeroed memory; no parse gives it */
    SINCE_EARLIEST,  /* the oldest that is kept; no gap is told */
    SINCE_NOW,       /* what comes from here on */
    SINCE_OFFSET,    /* after `offset`; 0 is before the first */
    SINCE_PLACE,     /* after `place` */
    SINCE_LAST,      /* the last `count` messages; at least 1 */
    SINCE_TIME,      /* from `time_ms` on */
    SINCE_AGO,       /* from `ago_ms` before the clock's time on */
};

/* Only the member that `kind` names has a meaning. */
struct since {
    enum since_kind kind;
    uint64_t offset;
    uint64_t count;
    uint64_t ago_ms;
    uint64_t time_ms; /* since 1970, UTC */
    struct place place;
};

/* Text as it stands after percent-decoding. ERR_BAD_SINCE, naming what is accepted. */
MUST_USE enum error_code since_parse(struct span text, struct since *ret_since, struct error *why);

/* An id, or an offset from 1 on (then position and all else are 0). ERR_BAD_SINCE. */
MUST_USE enum error_code before_parse(struct span text, struct place *ret_before,
                                      struct error *why);

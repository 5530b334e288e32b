/* SPDX-License-Identifier: Apache-2.0 */
/* envelope.h — messages, gaps and pages as the JSON that every reader gets.
 *
 * Place:   websocket, sse and rest write with it; docs/API has the contract.
 * Thread:  pure.
 * Bounds:  the payload as it is, plus the other fields escaped; the buffer's ceiling.
 *
 *     {"channel":"tennis/court-1","offset":43,"id":"t1…","time":"2026-01-31T08:05:09.123Z",
 *      "data":{"score":"40-15"},"type":…,"event":…,"key":…,"headers":{…}}
 *
 * The payload's JSON goes out byte for byte; `type` and what follows it only where it is given.
 * Each call adds all or nothing: ERR_TOO_LARGE and ERR_MEMORY leave the buffer as it was.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"
#include "storage/storage.h"

/* NULL stands for zeroed options. */
struct envelope_options {
    uint64_t subscription; /* "sub": of a socket with many subscriptions; 0: not written */
    uint64_t skipped;      /* messages that conflation left out before this one; 0: not written */
};

MUST_USE enum error_code envelope_put(struct buffer *buffer, const struct message *message,
                                      const struct envelope_options *options);

/* "expired", "dropped", … */
const char *envelope_gap_reason(enum gap_reason reason);

/* What is missing, as the value of "gap". Of a channel:
 * {"channel","from","to","reason","id","first","last"}; `from` and `to` are left out where they are
 * not known, `first` and `last` are null where nothing is kept. Of a pattern:
 * {"pattern","after","resumed","reason","id"}. `id` is where the reader goes on. */
MUST_USE enum error_code envelope_put_gap(struct buffer *buffer, const struct storage_gap *gap);

/* A page is the head, envelopes with commas between them, and the tail:
 * {"messages":[ … ],"first":1,"last":9,"prev":"t1…","next":"t1…","at_head":true,"gap":{…}} */
struct envelope_page {
    uint64_t first; /* offsets kept; both 0: none, and both are written as null */
    uint64_t last;
    const struct place *prev; /* NULL: nothing is kept before the page; written as null */
    const struct place *next; /* NULL likewise */
    bool at_head;
    const struct storage_gap *gap;  /* NULL: none */
    const struct storage_gap *gaps; /* of several selectors: all of them, as "gaps" … */
    size_t gap_count;               /* … where there is more than one */
};
MUST_USE enum error_code envelope_put_page_head(struct buffer *buffer);
MUST_USE enum error_code envelope_put_page_tail(struct buffer *buffer,
                                                const struct envelope_page *page);

/* `"id":"t1…"` and the like: a name, a colon and the id as a string. */
MUST_USE enum error_code envelope_put_id(struct buffer *buffer, const char *name,
                                         const struct place *place);

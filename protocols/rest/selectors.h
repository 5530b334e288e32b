/* SPDX-License-Identifier: Apache-2.0 */
/* selectors.h — the channels and patterns that a request names.
 *
 * Place:   made by protocols/rest/get.c of path or query; kept in the request's reading, where
 *          pages, SSE and WebSocket find them.
 * Thread:  pure, but for one allocation.
 * Bounds:  SELECTORS_MAX, and the length of the request's target; a scope a selector.
 *
 * A text with a `*` is a pattern (broker/channels/pattern.h), any other one a channel. An array of
 * selectors is one allocation with its texts behind it: free() ends both.
 */
#pragma once

#include <stddef.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "storage/storage.h"

/* How often the query names a `channel`; nothing is decoded or checked. */
size_t selectors_count_of_query(struct span query);

/* One selector of a decoded text, which is copied. ERR_BAD_CHANNEL, ERR_MEMORY. */
MUST_USE enum error_code selectors_create_one(struct span text, bool may_have_empty_segments,
                                              struct storage_selector **ret_selectors,
                                              struct error *why);

/* The `channel` pairs of an encoded query, each text once, in the order in which it first came;
 * empty segments are allowed. None: NULL and 0. ERR_BAD_CHANNEL, ERR_BAD_REQUEST (more than
 * SELECTORS_MAX), ERR_MEMORY. */
MUST_USE enum error_code selectors_create_of_query(struct span query,
                                                   struct storage_selector **ret_selectors,
                                                   size_t *ret_count, struct error *why);
/* Puts the tenant's scope before each text: an allocation takes the other's place. ERR_MEMORY. */
MUST_USE enum error_code selectors_scope(struct storage_selector **selectors, size_t count,
                                         struct span tenant);

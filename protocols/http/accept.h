/* SPDX-License-Identifier: Apache-2.0 */
/* accept.h — which of the forms that exist does the client like best?
 *
 * Place:   routes ask before they answer; none is 406.
 * Thread:  pure.
 * Bounds:  the header's own length times the offers.
 *
 * RFC 9110, section 12.5.1, with parameters other than `q` ignored (a client that asks for
 * application/json;charset=utf-8 gets application/json). For each offer the most specific range
 * counts; among offers of equal quality that of the more specific range wins, then the earlier one:
 * a client that says "text/event-stream, *" with a star for the rest wants events.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/support/macros.h"
#include "broker/support/span.h"

/* A qvalue (RFC 9110, section 12.4.2) in thousandths; at most three digits behind the point. */
#define ACCEPT_QUALITY_MAX 1000 /* q=1 */
MUST_USE bool accept_parse_quality(struct span text, unsigned *ret_quality);

/* `accept` is the value of Accept, several joined by commas; empty, or with no sound range in it,
 * it means anything. False: none of the `offers` ("application/json") is acceptable. */
bool accept_choose(struct span accept, const char *const *offers, size_t offer_count,
                   size_t *ret_index);

/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h — the two clocks, and time as text.
 *
 * Place:   asked by threads at the top of a turn; never by codecs or by apply, which are handed
 *          time.
 * Thread:  any.
 * Bounds:  years 1970 to 9999.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/span.h"

/* Milliseconds that never go back: for deadlines. */
uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_us(void);

/* Milliseconds since 1970, UTC: what a record is proposed with. */
uint64_t clock_wall_ms(void);

/* "2026-01-31T08:05:09.123Z" and a NUL. */
#define CLOCK_RFC3339_BYTES 25
void clock_format_rfc3339(uint64_t time_ms, char ret_text[CLOCK_RFC3339_BYTES]);

/* RFC 3339 with any fraction and any zone; a blank is taken for the `+` of the zone, because that
 * is what an unescaped `+` becomes in a query. False: not a time. */
bool clock_parse_rfc3339(struct span text, uint64_t *ret_time_ms);

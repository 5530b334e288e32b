/* SPDX-License-Identifier: Apache-2.0 */
/* sink_listing.h — sinks and sources as JSON, as the administration shows them.
 *
 * Place:   sinks.c writes with it; docs/openapi.yaml has the contract.
 * Thread:  pure.
 * Bounds:  the buffer's ceiling.
 *
 * Each put adds all or an unusable part: ERR_TOO_LARGE and ERR_MEMORY end the reply.
 */
#pragma once

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "protocols/sinks/sinks.h"

/* {"name","kind","origin","state","breaker","detail","status","place","lag_messages",…,"sink"} */
MUST_USE enum error_code sink_listing_put(struct buffer *body, const struct sink_figures *figures);

/* {"name","kind","state","detail","messages","bytes","refused","own","gaps","lag_messages"} */
MUST_USE enum error_code sink_listing_put_source(struct buffer *body,
                                                 const struct source_figures *figures);

/* {"outcome","status","detail","took_ms"} */
MUST_USE enum error_code sink_listing_put_verdict(struct buffer *body,
                                                  const struct verdict *verdict, uint64_t took_us);

/* Microseconds below which `percent` of the shipments were settled, straight between the bounds of
 * its bucket; of the last bucket its lower bound. 0: there were none. */
uint64_t sink_listing_percentile_us(const uint64_t counts[SINK_LATENCY_BUCKETS + 1],
                                    unsigned percent);

/* SPDX-License-Identifier: Apache-2.0 */
/* lane_key.h — what a lane is called: that which must stay in order among itself is a channel, a
 * key of a channel, or all.
 *
 * Place:   of backlog_lane.c, which finds lanes by it, and of stratum.c, which remembers them by
 *          its hash, also behind a restart.
 * Thread:  pure.
 * Bounds:  LANE_KEY_BYTES_MAX.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "broker/channels/scope.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/support/message.h"

#define LANE_KEY_BYTES_MAX (SCOPED_BYTES_MAX + 1 + KEY_BYTES_MAX)

/* Returns how many bytes it has. */
size_t lane_key_make(enum sink_order order, const struct message *message,
                     uint8_t ret_key[LANE_KEY_BYTES_MAX]);

/* The same for ever. Two lanes may share one. */
uint64_t lane_key_hash(enum sink_order order, const struct message *message);

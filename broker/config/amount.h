/* SPDX-License-Identifier: Apache-2.0 */
/* amount.h — whole numbers with the unit of a row's type: sizes, durations, counts, rates.
 *
 * Place:   called by value.h.
 * Thread:  pure.
 * Bounds:  64 bits; CONFIG_UNLIMITED itself is not a number.
 */
#pragma once

#include "broker/config/config.h"
#include "broker/support/buffer.h"

/* ERR_CONFIG with one sentence that can follow the key's name. */
MUST_USE enum error_code amount_parse(enum config_type type, struct span text, uint64_t *ret_value,
                                      struct error *why);

/* Appends it as JSON, in the largest unit that divides it. ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code amount_put(enum config_type type, uint64_t value, struct buffer *buffer);

/* SPDX-License-Identifier: Apache-2.0 */
/* measure.h — figures of channels: how far a place lies behind, what the operator's list says.
 *
 * Place:   called by the calls of storage.h in reading.c.
 * Thread:  the moment's maker.
 * Bounds:  STORAGE_MEASURE_CHANNELS_MAX channels and MEASURE_NAMES_MAX names; `limit` rows.
 */
#pragma once

#include "storage/moment.h"
#include "storage/storage.h"

#define MEASURE_NAMES_MAX 65536 /* names looked at for a pattern that hardly any matches */
#define MEASURE_MINUTE_MS 60000

/* As storage_measure(). */
MUST_USE enum error_code measure_behind(const struct moment *moment,
                                        const struct storage_options *options,
                                        const struct storage_query *query,
                                        const struct place *place, uint64_t *ret_messages,
                                        uint64_t *ret_bytes, bool *ret_is_exact, struct error *why);

/* As storage_list_channels(). */
MUST_USE enum error_code measure_list(const struct moment *moment,
                                      const struct storage_options *options, struct span pattern,
                                      struct span after, size_t limit, storage_on_row *on_row,
                                      void *context, struct error *why);

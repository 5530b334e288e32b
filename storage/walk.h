/* SPDX-License-Identifier: Apache-2.0 */
/* walk.h — a page of many channels by looking at each record of the log, in order of position.
 *
 * Place:   called by many; knows segments, the open batch, matching and strand.
 * Thread:  the moment's maker.
 * Bounds:  limits.walk_records and limits.walk_bytes looked at, WALK_CHANNELS_MAX channels met; a
 *          page that reaches one of them ends where it stands, with messages or without.
 */
#pragma once

#include "storage/many.h"

#define WALK_CHANNELS_MAX 4096

/* Whether the query can be walked, and behind which position: above all that is not in order. */
MUST_USE enum error_code walk_find_start(struct many *many, bool *ret_can, uint64_t *ret_position,
                                         struct error *why);

/* Walks behind `position`. */
MUST_USE enum error_code walk_read(struct many *many, uint64_t position, struct error *why);

/* SPDX-License-Identifier: Apache-2.0 */
/* starting.h — where a reader wants to begin, as the storage is asked.
 *
 * Place:   between since.h and the queries of every protocol and sink.
 * Thread:  pure; the time is handed in.
 * Bounds:  none.
 */
#pragma once

#include <stdint.h>

#include "broker/channels/since.h"
#include "storage/storage.h"

/* Sets `start` and what belongs to it. Not given is now. */
void starting_set_query(struct storage_query *query, const struct since *since, uint64_t now_ms);

/* SPDX-License-Identifier: Apache-2.0 */
/* merge.h — a page of many channels by looking at each of them.
 *
 * Place:   called by many; knows matching, strand and view.
 * Thread:  the moment's maker.
 * Bounds:  memory by the messages of a page (MERGE_PICKS_MAX), time by the channels looked at.
 */
#pragma once

#include "storage/many.h"

#define MERGE_PICKS_MAX 65536 /* `newest` at most: what is older is not found by counting */

MUST_USE enum error_code merge_read(struct many *many, struct error *why);

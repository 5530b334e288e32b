/* SPDX-License-Identifier: Apache-2.0 */
/* joined.h — a page that goes on behind what is missing in its middle.
 *
 * Place:   called by protocols/rest/page.c instead of storage_read().
 * Thread:  a read thread.
 * Bounds:  the query's limit and bytes_max; JOINED_HOLES_MAX holes a page.
 *
 * A page of storage ends before a hole, because a stream tells it there. Who asks for a page wants
 * what is there, and finds what is missing between its messages in its gaps.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "storage/storage.h"

#define JOINED_HOLES_MAX 64

/* As storage_read(); where holes were passed, `gaps` of the page holds all its gaps, also those of
 * the one channel of `query`. */
MUST_USE enum error_code joined_read(struct storage *storage, const struct storage_query *query,
                                     struct storage_page *ret_page, struct error *why);

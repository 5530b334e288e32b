/* SPDX-License-Identifier: Apache-2.0 */
/* read.h — one page of one channel, out of a view.
 *
 * Place:   called by storage_read(); knows view, resolve and records.
 * Thread:  any; the view's maker.
 * Bounds:  query.limit messages and query.bytes_max bytes, plus `limit` expired ones passed over.
 */
#pragma once

#include "storage/storage.h"
#include "storage/view.h"

/* Fills a page that is empty. ERR_IO, ERR_CORRUPT, ERR_MEMORY: the page holds nothing. */
MUST_USE enum error_code read_page(struct view *view, const struct storage_query *query,
                                   struct storage_page *ret_page, struct error *why);

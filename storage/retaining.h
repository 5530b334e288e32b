/* SPDX-License-Identifier: Apache-2.0 */
/* retaining.h — a page of the retained messages that a query names, folded or not.
 *
 * Place:   behind storage_read() where query.is_retained; knows matching, view and the table of
 *          retained messages.
 * Thread:  any; the moment's maker.
 * Bounds:  those of struct retaining_limits, and of a page.
 *
 * A channel's retained message is the newest with MESSAGE_RETAIN, or simply the newest where
 * options.on_retain_latest says so. There is none if that one was deleted or has expired, or has
 * the flag and an empty payload (MQTT 5.0, 3.3.1.3): no older one comes back. Retention of the
 * channel does not touch it, and a channel that has one is not forgotten.
 */
#pragma once

#include "storage/moment.h"
#include "storage/storage.h"

/* What a page may cost. */
struct retaining_limits {
    size_t names_looked;   /* with more names to look at the table is walked */
    size_t rows_looked;    /* of the table, a page */
    size_t candidates_max; /* channels that may have one, a page */
};

extern const struct retaining_limits RETAINING_LIMITS;

/* ERR_IO, ERR_CORRUPT, ERR_MEMORY: the page holds nothing. */
MUST_USE enum error_code retaining_read(const struct moment *moment,
                                        const struct storage_options *options,
                                        const struct retaining_limits *limits,
                                        const struct storage_query *query,
                                        struct storage_page *ret_page, struct error *why);

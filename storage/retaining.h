/* SPDX-License-Identifier: Apache-2.0 */
/* retaining.h — the retained messages that a query names, folded or not.
 *
 * Place:   behind storage_each_retained(); knows matching, view and the table of retained messages.
 * Thread:  any; the moment's maker.
 * Bounds:  `limit` messages, one in memory at a time; names looked at: RETAINING_NAMES_MAX.
 *
 * A channel's retained message is the newest with MESSAGE_RETAIN, or simply the newest where
 * options.on_retain_latest says so. There is none if that one was deleted or has expired, or has
 * the flag and an empty payload (MQTT 5.0, 3.3.1.3).
 */
#pragma once

#include "storage/moment.h"
#include "storage/storage.h"

#define RETAINING_NAMES_MAX 1000000

/* ERR_IO, ERR_CORRUPT, ERR_MEMORY. */
MUST_USE enum error_code retaining_each(const struct moment *moment,
                                        const struct storage_options *options,
                                        const struct storage_query *query, size_t limit,
                                        storage_on_message *on_message, void *context,
                                        struct error *why);

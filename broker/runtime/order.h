/* SPDX-License-Identifier: Apache-2.0 */
/* order.h — what the log counts: the next position, and the next offset of every channel.
 *
 * Place:   the log thread's; filled from storage at start, then ahead of it by what is not stored.
 * Thread:  the log thread's, but for order_channel_count() and order_post_forgotten().
 * Bounds:  limits.channels, about 200 bytes each, and the broker's own (`$…`): two a sink and one a
 *          source, also of those that were. One goes when the store has forgotten it.
 *
 * What a tenant has (channels, stored bytes) is counted in its account, and there the store thread
 * takes off what retention lets go of. So it is exact at any time, with no walk but the one of the
 * start.
 */
#pragma once

#include <stdatomic.h>

#include "broker/runtime/commit.h"
#include "broker/support/error.h"
#include "broker/support/mailbox.h"
#include "broker/support/map.h"
#include "storage/storage.h"

struct accounts;

struct order {
    struct storage_state state; /* log, generation, and what comes next */
    struct map channels;
    atomic_size_t channel_count;
    size_t channels_max;       /* of those that get their first message; not of `$…` */
    struct accounts *accounts; /* of tenants; NULL: nobody's channels and bytes are counted */
};

/* Learns from `storage` where the log ended and all channels, and tells `accounts` (may be NULL)
 * what of them is each tenant's. ERR_MEMORY, ERR_IO, ERR_CORRUPT. */
MUST_USE enum error_code order_init(struct order *order, struct storage *storage,
                                    size_t channels_max, struct accounts *accounts,
                                    struct error *why);

void order_finish(struct order *order);

/* Makes sure that the channels of all messages of a publish are known, or of none, and that their
 * tenants may have them and the bytes, which count from here on. ERR_NOT_FOUND: a delete in a
 * channel that never had a message; ERR_QUOTA, ERR_FULL, ERR_MEMORY. */
MUST_USE enum error_code order_prepare(struct order *order, struct message *const *messages,
                                       size_t count, struct error *why);

/* Takes that back: they are not going to be put. */
void order_unprepare(struct order *order, struct message *const *messages, size_t count);

/* The time of the next record: `wall_ms`, unless an earlier record was later. */
uint64_t order_turn_clock(struct order *order, uint64_t wall_ms);

/* Gives the prepared message the next position, and the next offset of its channel; a delete gets
 * the last offset of its channel instead. */
void order_put(struct order *order, struct message *message);

/* Takes back what the commit's messages were given, the newest ones: their write failed. Channels
 * that were made for them go. */
void order_undo(struct order *order, const struct commit *commit);

/* Forgets a channel that the store has forgotten. One that had a message since keeps its id and its
 * offsets: false. */
bool order_forget(struct order *order, struct span name, uint64_t channel_id, uint64_t offset_last);

/* The same by a letter to the thread that owns `order`, for any thread. Without memory or room the
 * channel stays until the next start. */
void order_post_forgotten(struct order *order, struct mailbox *mailbox, struct span name,
                          uint64_t channel_id, uint64_t offset_last);

/* Any thread. */
size_t order_channel_count(const struct order *order);

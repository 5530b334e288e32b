/* SPDX-License-Identifier: Apache-2.0 */
/* repeats.h — what publishes with an idempotency key were given, so that a repeat gets the same.
 *
 * Place:   the log thread's; filled from storage at start, then by what it orders.
 * Thread:  the log thread's, but for repeats_count().
 * Bounds:  IDEMPOTENCY_AGE_MS of log time, IDEMPOTENCY_KEYS_MAX keys and IDEMPOTENCY_BYTES_MAX, the
 *          oldest go first; a round's keys may pass above until the next round. Measured: 184
 *          bytes a key of one channel, 24 more for each further run of its messages.
 *
 * A key is put before its messages have places (repeats_put), so that a second publish of the same
 * round is known as its repeat, and placed once they are ordered (repeats_place) or taken back.
 *
 * Commands, which stand behind all else of a publish, are not looked at: they are how the publisher
 * keeps its own books, and neither part of the body nor answered with a place.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "storage/storage.h"

struct repeats;
struct repeat; /* one key, and the places of its publish */

/* Empty, for a log of that id. ERR_MEMORY. */
MUST_USE enum error_code repeats_create(uint64_t log_id, struct repeats **ret_repeats);

/* Accepts NULL. */
void repeats_destroy(struct repeats *repeats);

/* Takes up what an earlier process stored: oldest first. ERR_MEMORY. */
MUST_USE enum error_code repeats_put_stored(struct repeats *repeats,
                                            const struct storage_repeat *stored);

/* repeats_put_stored() of all that storage has. ERR_MEMORY, ERR_IO, ERR_CORRUPT. */
MUST_USE enum error_code repeats_learn(struct repeats *repeats, struct storage *storage,
                                       struct error *why);

/* The time of the next round: what is above the bounds goes, and some of what is too old. */
void repeats_turn_clock(struct repeats *repeats, uint64_t time_ms);

/* The key of an idempotency hash; NULL: it is new, or as good as new by its age. */
struct repeat *repeats_find(struct repeats *repeats, struct span hash);

/* Takes up a new key for messages that are going to be ordered; the first of them has the hash.
 * NULL: out of memory. */
struct repeat *repeats_put(struct repeats *repeats, struct message *const *messages, size_t count);

/* The messages of the put were ordered. */
void repeats_place(struct repeat *repeat, struct message *const *messages, size_t count);

/* They were not, or their write failed: the key is new again. Accepts NULL for the key. */
void repeats_take_back(struct repeats *repeats, struct repeat *repeat);

/* The messages are those of the first, not another body under the same key. */
bool repeats_is_same(const struct repeat *repeat, struct message *const *messages, size_t count);

/* How many of a publish's messages are commands. */
size_t repeats_count_commands(struct message *const *messages, size_t count);

/* Gives the messages of a repeat the places and the time of the first, which is placed.
 * ERR_UNPROCESSABLE: they are another body under the same key; they stay without places. */
MUST_USE enum error_code repeats_answer(const struct repeats *repeats, const struct repeat *repeat,
                                        struct message *const *messages, size_t count,
                                        struct error *why);

/* Keys that are kept. Any thread. */
size_t repeats_count(const struct repeats *repeats);

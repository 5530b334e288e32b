/* SPDX-License-Identifier: Apache-2.0 */
/* apply.h — the one function through which messages get into LMDB, live and after a crash.
 *
 * Place:   called by the fold, for what was admitted and for what recovery replays.
 * Thread:  the store thread.
 * Bounds:  APPLY_CHANNELS_MAX channels and KEYS_BATCH_MAX keys are gathered before their rows are
 *          written; the transaction is as large as the open batch.
 *
 * It uses no clock and no randomness: the same messages in the same order give the same rows.
 */
#pragma once

#include "broker/support/message.h"
#include "storage/segments.h"
#include "storage/store.h"

#define APPLY_CHANNELS_MAX 4096

struct apply;

/* What does not change while messages are applied. */
struct apply_options {
    struct segment_limits limits;
    /* Whether the newest message of a channel is its retained one. May be NULL: only those with
     * MESSAGE_RETAIN are. */
    bool (*on_retain_latest)(void *context, struct span channel);
    void *context;
};

/* `segments` is changed along; reload it if the transaction is not committed. */
MUST_USE enum error_code apply_create(struct store *store, MDB_txn *txn, struct segments *segments,
                                      const struct apply_options *options, struct apply **ret_apply,
                                      struct error *why);

/* Applies the next messages, which outlive apply_finish(); one that LMDB has already is passed
 * over. Of one that a delete among them covers only a stub is written. */
MUST_USE enum error_code apply_messages(struct apply *apply, struct message *const *messages,
                                        size_t count, struct error *why);

/* Whether there was a delete among them. */
bool apply_has_deletes(const struct apply *apply);

/* Writes what was gathered. Once, after the last message. */
MUST_USE enum error_code apply_finish(struct apply *apply, struct meta_row *ret_meta,
                                      struct error *why);

/* Frees; before the transaction ends. Accepts NULL. */
void apply_destroy(struct apply *apply);

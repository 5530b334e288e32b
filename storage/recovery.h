/* SPDX-License-Identifier: Apache-2.0 */
/* recovery.h — reads the journal that an earlier process left behind.
 *
 * Place:   called once by storage_open(), before anything is appended.
 * Thread:  the opening one.
 * Bounds:  one journal file in memory at a time, and one publish.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "storage/record.h"

struct recovery_options {
    const char *directory; /* of the journal */
    uint64_t log_id;
    uint64_t position_folded; /* records up to here are in LMDB already */
    uint64_t time_ms;         /* of that record: time never goes back */

    /* Whether a record that is whole can be the next one. ERR_CORRUPT: no. */
    enum error_code (*on_check)(void *context, const struct message *message, struct error *why);

    /* Each record behind it, in order; takes the reference. The records of one publish come one
     * after the other, and only once all of them were found. */
    enum error_code (*on_message)(void *context, struct message *message, struct error *why);
    void *context;
};

/* Replays. A torn tail ends it well (and is logged); ERR_CORRUPT is damage that is not a torn tail,
 * and names file and byte. */
MUST_USE enum error_code recovery_replay(const struct recovery_options *options, struct error *why);

/* Removes all journal files: everything in them is folded, or is a tail that was lost. */
MUST_USE enum error_code recovery_clear(const char *directory, struct error *why);

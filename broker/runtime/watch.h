/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h — somebody who waits for the next message of channels or patterns, once: a long poll.
 *
 * Place:   started by protocols/rest; a worker (any) watches its feeds for it.
 * Thread:  start and cancel are the maker's, whose mailbox `reply_to` is; the watching is the
 *          worker's.
 * Bounds:  one a request that waits, of some 1,000 bytes; each for WAIT_MS_MAX at most.
 *
 *     watch_create -> (something newer than `place`, the time is over, or watch_cancel) -> on_done
 *
 * on_done comes exactly once, on the maker's thread, and ends the watch. It does not say what came:
 * the maker reads the log again.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/mailbox.h"
#include "broker/support/message.h"
#include "storage/storage.h"

struct watch;
struct worker;

struct watch_options {
    struct worker *worker;
    struct mailbox *reply_to;
    const struct storage_selector *selectors; /* copied */
    size_t selector_count;
    struct place place; /* what stands behind it is news */
    uint64_t wait_ms;
    void (*on_done)(void *context);
    void *context;
};

/* ERR_MEMORY, ERR_BUSY: on_done will not be called. */
MUST_USE enum error_code watch_create(const struct watch_options *options,
                                      struct watch **ret_watch);

/* on_done follows soon. Before on_done only; harmless twice. */
void watch_cancel(struct watch *watch);

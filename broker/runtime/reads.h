/* SPDX-License-Identifier: Apache-2.0 */
/* reads.h — the threads that read the disk, so that no worker ever waits for it.
 *
 * Place:   streams and REST pages ask; storage_read() answers; the result goes to a mailbox.
 * Thread:  reads_submit: any. The work: READ_THREADS threads of its own.
 * Bounds:  a reader asks for one page at a time, so at most one read a reader waits here. Pages are
 *          served first come first served and are of bounded size: fair by bytes. While
 *          PAGES_BYTES_MAX of them, with what was made of them, are with their makers, the threads
 *          wait.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/mailbox.h"
#include "storage/storage.h"

struct metrics;
struct reads;

/* One page asked for, or another question to the storage. The maker owns it again when on_read
 * runs, on the thread of `reply_to`. */
struct read {
    struct letter letter;
    struct list in_queue;
    struct mailbox *reply_to;
    void (*on_read)(struct read *read);
    /* NULL: storage_read(). Else what a read thread does instead, perhaps that and work on its page
     * which is too long for `reply_to`'s thread; gives `result`. Until on_read the maker touches
     * nothing that it looks at, and it looks at nothing of the maker's but what was there when the
     * read was submitted and does not change. */
    enum error_code (*on_work)(struct read *read, struct storage *storage);
    void *context;
    struct storage_query query; /* the channel's bytes live as long as this */
    enum error_code result;
    struct error why;
    struct storage_page page; /* the maker's, until reads_release() */
    size_t made_bytes;        /* what on_work made of the page and keeps beside it */
    size_t held_bytes;        /* the threads' … */
    uint64_t submitted_us;    /* … likewise */
};

MUST_USE enum error_code reads_create(struct storage *storage, struct metrics *metrics,
                                      struct reads **ret_reads, struct error *why);

/* Ends the threads; what waits is answered with ERR_DRAINING. Pages may still be released. Accepts
 * NULL. */
void reads_stop(struct reads *reads);

/* Stops, and frees when all pages have been released. Accepts NULL. */
void reads_destroy(struct reads *reads);

void reads_submit(struct reads *reads, struct read *read);

/* Finishes the page, which its maker has used. Harmless where none was read. Any thread. */
void reads_release(struct reads *reads, struct read *read);

/* How many wait now. Any thread. */
size_t reads_waiting(const struct reads *reads);

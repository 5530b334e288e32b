/* SPDX-License-Identifier: Apache-2.0 */
/* journal.h — the append-only files that hold what is not yet folded.
 *
 * Place:   written by storage_append(), synced by storage_sync(), shortened after a fold; read back
 *          by recovery alone.
 * Thread:  journal_append(): the log thread. journal_sync(): the sync thread, or the log thread
 *          between two appends. journal_remove(): the store thread. All three may run at once.
 * Bounds:  files of options.journal_file_bytes and one append more each; as many as are not folded.
 *
 * The byte layout of a file stands at the top of journal.c, that of a record in record.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

#define JOURNAL_HEAD_BYTES 64
#define JOURNAL_NAME_BYTES 32 /* sixteen hexadecimal digits, ".journal", NUL */

struct journal;

struct journal_figures {
    uint64_t bytes;
    uint64_t file_count;
};

/* A journal without files in `directory`, which exists and holds none. */
MUST_USE enum error_code journal_create(const char *directory, uint64_t log_id, uint64_t file_bytes,
                                        struct journal **ret_journal, struct error *why);

/* Closes the files and leaves them where they are. Accepts NULL. */
void journal_destroy(struct journal *journal);

/* Writes the messages with one system call, opening the next file when this one is full. After an
 * error nothing of them is in the file. ERR_STORAGE_FULL, ERR_IO, ERR_MEMORY. */
MUST_USE enum error_code journal_append(struct journal *journal, struct message *const *messages,
                                        size_t count, struct error *why);

/* All appends that returned before this call are on the disk. After a failed sync the kernel may
 * have dropped pages, so the journal takes nothing more: ERR_IO until the process starts again. */
MUST_USE enum error_code journal_sync(struct journal *journal, struct error *why);

/* Removes the files whose records are all at or before `position`; syncs and seals full files that
 * stay. The file that is written stays unless `with_current`; with a delete at or before `position`
 * it takes no more, and goes like others. */
MUST_USE enum error_code journal_remove(struct journal *journal, uint64_t position,
                                        bool with_current, struct error *why);

/* A file that takes no more could not go yet: what a folded delete took away is still in it,
 * because of something newer that is not folded. */
bool journal_has_ended(struct journal *journal);

/* A sync failed, or what a failed write left could not be cut off. Any thread. */
bool journal_has_failed(const struct journal *journal);

/* The position of the newest record appended; 0: none yet. */
uint64_t journal_get_position(struct journal *journal);

void journal_get_figures(struct journal *journal, struct journal_figures *ret_figures);

/* --- for recovery --- */

/* What the head of a file says. */
struct journal_head {
    uint64_t log_id;
    uint64_t position_first;
    uint64_t sealed_bytes; /* so many bytes from the front were synced; 0: unknown */
};

/* False: these bytes are no head. */
MUST_USE bool journal_read_head(struct span bytes, struct journal_head *ret_head);

void journal_write_name(uint64_t position_first, char ret_name[JOURNAL_NAME_BYTES]);

/* False: not the name of a journal file. */
MUST_USE bool journal_read_name(const char *name, uint64_t *ret_position_first);

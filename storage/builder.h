/* SPDX-License-Identifier: Apache-2.0 */
/* builder.h — a page in the making: what has room, what was left out, where it must end.
 *
 * Place:   used by read (one channel), merge and walk (many).
 * Thread:  its maker's.
 * Bounds:  query.limit messages, query.bytes_max bytes; BUILDER_LOOKED_MAX left out or passed over.
 *
 * What is missing stands before the first message of a page, where it can be told: so a page ends
 * before the first hole, unless nothing was put in or left out yet.
 */
#pragma once

#include "storage/storage.h"

#define BUILDER_LOOKED_MAX 4096 /* messages left out by conflation, a page */

struct builder {
    const struct storage_query *query;
    struct storage_page *page;
    uint64_t counted_bytes;
    size_t capacity;
    uint32_t skipped;       /* left out since the last message … */
    uint64_t skipped_total; /* … and in the whole page */
    uint64_t holes;         /* passed over at the front */
    bool is_full;           /* the page ends here */
};

/* A page that is empty. */
void builder_init(struct builder *builder, const struct storage_query *query,
                  struct storage_page *page);

/* Whether a message of so many counted bytes may still join; the first one always may. False ends
 * the page. */
MUST_USE bool builder_has_room(struct builder *builder, uint64_t bytes);

/* Takes the message and its reference, also when memory is out (ERR_MEMORY). */
MUST_USE enum error_code builder_put(struct builder *builder, struct message *message,
                                     uint64_t bytes, struct error *why);

/* A message that is not the newest of its key. False: it ends the page, and is not left out. */
MUST_USE bool builder_skip(struct builder *builder);

/* A hole. True: it stands at the front, and may be passed over; false: it ends the page. */
MUST_USE bool builder_pass(struct builder *builder);

/* A page that was made from its end backwards; nothing more is put. */
void builder_reverse(struct builder *builder);

/* Says what was left out behind the last message. */
void builder_finish(struct builder *builder);

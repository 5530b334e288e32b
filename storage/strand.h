/* SPDX-License-Identifier: Apache-2.0 */
/* strand.h — one channel's messages at one moment, looked at one after the other.
 *
 * Place:   used by read (one channel), merge (many) and newest; knows view and records.
 * Thread:  its maker's.
 * Bounds:  one run of the index and one range of deletes are remembered.
 */
#pragma once

#include "storage/chunks.h"
#include "storage/view.h"

struct strand {
    struct view *view;
    struct span name;
    struct run run; /* the one that was used last; count 0: none yet */
    struct run_entry entry;
    uint64_t deleted_at;   /* the range was searched from here on; 0: not yet */
    uint64_t deleted_from; /* the next range of deletes; UINT64_MAX: none … */
    uint64_t deleted_to;
};

/* What an offset holds. */
struct strand_item {
    uint64_t offset;
    uint64_t position;
    uint64_t bytes; /* counted */
};

/* A message that may be given out. Its fields live until the next call on the reader. */
struct strand_record {
    const struct message_fields *fields;
    uint64_t expiry_ms;
    bool is_deleted;         /* nothing but a stub is left */
    struct message *message; /* of the open batch: a reference; else NULL */
    struct record record;    /* of LMDB */
};

void strand_init(struct strand *strand, struct view *view, struct span name);

/* Position and bytes of an offset from view.physical_first through view.offset_last. */
MUST_USE enum error_code strand_get_item(struct strand *strand, uint64_t offset,
                                         struct strand_item *ret_item, struct error *why);

/* The range of deletes that holds `offset`, or the first behind it; UINT64_MAX: none. */
MUST_USE enum error_code strand_find_deleted(struct strand *strand, uint64_t offset,
                                             uint64_t *ret_from, uint64_t *ret_to,
                                             struct error *why);

/* Reads the message of an item; to be finished by strand_make() or strand_drop(). */
MUST_USE enum error_code strand_read(struct strand *strand, struct chunks_reader *reader,
                                     const struct strand_item *item,
                                     struct strand_record *ret_record, struct error *why);

/* The message as a reference of the caller's. NULL: out of memory. */
MUST_USE struct message *strand_make(const struct strand *strand, struct strand_record *record);
void strand_drop(struct strand_record *record);

/* Why a message is not given out. */
enum strand_fate { STRAND_GIVEN, STRAND_EXPIRED, STRAND_DELETED, STRAND_CONFLATED };

MUST_USE enum error_code strand_judge(const struct strand *strand,
                                      const struct strand_record *record, uint64_t offset,
                                      bool is_conflated, enum strand_fate *ret_fate,
                                      struct error *why);

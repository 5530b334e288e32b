/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h — the rows of the LMDB tables as structs: one codec for each, and their keys.
 *
 * Place:   used by whoever reads or writes a table: store, index, apply, sweep, view.
 * Thread:  pure; spans point into the bytes handed in.
 * Bounds:  each row fits ROW_BYTES_MAX, far below LMDB's limit for a value inside a page.
 *
 * The byte layouts stand at the top of rows.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/macros.h"
#include "broker/support/span.h"

#define ROW_BYTES_MAX 640

/* The one row of the table `meta`: where the whole log stands. */
struct meta_row {
    uint64_t log_id;
    uint32_t generation;
    bool is_clean;            /* the last process folded all and closed */
    uint64_t position_folded; /* the last position that is in LMDB */
    uint64_t time_ms;         /* of the newest folded record */
    uint64_t channel_id_next;
    uint64_t position_floor;  /* what stands before it went when the disk was too small */
    uint64_t segments_opened; /* ever: names the next segment */
    uint64_t cold_messages;
    uint64_t walk_floor; /* positions up to here may lie in no segment: one was dropped, and what
                            outlived it is in `cold` */
    uint64_t forgotten_through; /* the highest position of a channel that was forgotten */
    uint64_t repeat_count;      /* publishes in the table `repeats` */
    bool is_scrub_due;          /* deleted bytes may stand in pages that hold nothing */
};

/* A channel. Offsets up to `trimmed_offset` are gone from the index; those behind it are all there,
 * without a hole, up to `offset_last`. */
struct channel_row {
    uint64_t offset_last;
    uint64_t position_last;
    uint64_t time_last;
    uint64_t bytes_total; /* counted bytes of all messages ever */
    uint64_t birth_position;
    uint64_t birth_offset;
    uint64_t trimmed_offset;
    uint64_t trimmed_position; /* of the message at trimmed_offset; 0: unknown */
    uint64_t trimmed_time;
    uint64_t keep_from;    /* offsets before it were trimmed by command */
    uint64_t keyless_last; /* the newest offset without a key; 0: none */
    uint64_t bytes_gone;   /* of bytes_total: told to be lost; 0 where nobody counts */
    struct span name;
};

enum segment_state { SEGMENT_FREE, SEGMENT_OPEN, SEGMENT_CLOSED };

/* A segment in its slot. A slot is a table that outlives its segments. */
struct segment_row {
    enum segment_state state;
    uint64_t number; /* counts from 1 over all segments ever */
    uint64_t position_first;
    uint64_t position_last;
    uint64_t messages;
    uint64_t live;  /* messages whose index run still points here */
    uint64_t bytes; /* of records */
};

#define SLOT_COLD 0

/* Consecutive offsets of one channel in one place: a row of the index. */
struct run {
    uint16_t slot; /* SLOT_COLD, or where the segment is */
    uint16_t count;
    uint64_t offset_first;
    uint64_t position_first;
    uint64_t position_last;
    uint64_t time_first;
    uint64_t time_last;
    uint64_t bytes_before;  /* counted bytes of the channel before the first … */
    uint64_t bytes_through; /* … and up to and with the last */
    struct span entries;
};

/* One message of a run, and what comes behind it. */
struct run_entry {
    uint64_t offset;
    uint64_t position;
    uint64_t time_ms;
    uint64_t bytes;        /* counted bytes of this message */
    uint64_t bytes_before; /* of the channel before it */
    const uint8_t *rest;
};

/* A run that grows, in its encoded form. */
struct run_builder {
    struct run run;
    size_t length;
    uint8_t bytes[ROW_BYTES_MAX];
};

/* A range of deleted offsets, and where the log says so. */
struct deleted_row {
    uint64_t from;
    uint64_t to;
    uint64_t position; /* of the newest record that deleted of it */
};

/* Encoders write at most ROW_BYTES_MAX and return the length; decoders return false on damage. */
size_t meta_row_write(const struct meta_row *row, uint8_t *to);
MUST_USE bool meta_row_read(struct span bytes, struct meta_row *ret_row);
size_t channel_row_write(const struct channel_row *row, uint8_t *to);
MUST_USE bool channel_row_read(struct span bytes, struct channel_row *ret_row);
size_t segment_row_write(const struct segment_row *row, uint8_t *to);
MUST_USE bool segment_row_read(struct span bytes, struct segment_row *ret_row);
size_t deleted_row_write(const struct deleted_row *row, uint8_t *to); /* `from` is in the key */
MUST_USE bool deleted_row_read(uint64_t from, struct span bytes, struct deleted_row *ret_row);
MUST_USE bool run_read(uint64_t offset_first, struct span bytes, struct run *ret_run);

static inline uint64_t run_offset_last(const struct run *run) {
    return run->offset_first + run->count - 1;
}

/* Stands before the first message of the run. */
void run_rewind(const struct run *run, struct run_entry *ret_entry);

/* Moves to the next message. False: there is none, or the bytes are damaged. */
bool run_next(const struct run *run, struct run_entry *entry);

/* An empty run in `slot`, before any message; or one read from LMDB that shall grow. */
void run_builder_init(struct run_builder *builder, uint16_t slot);
void run_builder_load(struct run_builder *builder, const struct run *run);

/* Adds the next message of the channel. False: the run is full. */
MUST_USE bool run_builder_add(struct run_builder *builder, const struct run_entry *entry);

/* The row; valid until the next call on the builder. */
struct span run_builder_borrow(struct run_builder *builder);

/* --- keys --- */
#define KEY_INDEX_BYTES 16
#define KEY_SEGMENT_BYTES 10
#define KEY_COLD_BYTES 18
#define KEY_CONFLATED_BYTES_MAX 511
#define KEY_RETAINED_BYTES 10
#define KEY_REPEAT_BYTES 10
#define KEY_NAME_BYTES_MAX 511

/* A channel's name as a key: u8 0, name. Whose the channel is stands in the name itself, before
 * what its clients call it (broker/channels/scope.h): so a tenant's channels are neighbours. */
size_t key_write_name(struct span name, uint8_t *to);
void key_write_index(uint64_t channel_id, uint64_t offset, uint8_t *to);
void key_write_segment(uint64_t position, uint16_t chunk, uint8_t *to);
void key_write_retained(uint64_t channel_id, uint16_t chunk, uint8_t *to);
void key_write_repeat(uint64_t position, uint16_t chunk, uint8_t *to);

/* A channel's key of conflation; returns the length. 0: too long for a row, as no key is. */
size_t key_write_conflated(uint64_t channel_id, struct span key, uint8_t *to);
void key_write_cold(uint64_t channel_id, uint64_t offset, uint16_t chunk, uint8_t *to);

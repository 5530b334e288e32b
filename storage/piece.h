/* SPDX-License-Identifier: Apache-2.0 */
/* piece.h — part of the open batch: the messages of one fold, found by position, channel and key.
 *
 * Place:   held by open_batch alone.
 * Thread:  whoever holds the open batch's lock; the count of references is atomic.
 * Bounds:  what its messages take in memory; the table of keys grows only where it is asked for.
 *
 * Messages are kept in order of position, without a hole. A channel's messages lie in an array by
 * offset as well, so that all questions are O(1) or a binary search.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/macros.h"
#include "broker/support/message.h"

#define PIECE_OVERHEAD_BYTES 64 /* a message's share of the arrays */

struct batch_message {
    struct message *message;
    uint64_t bytes_through; /* counted bytes of the channel in this piece, up to and with this */
    uint32_t retained;      /* likewise the newest with MESSAGE_RETAIN: its number + 1; 0: none */
};

struct channel_entry {
    struct span name; /* lies in the first message */
    uint64_t hash;
    uint64_t channel_id;
    uint64_t offset_first;
    struct batch_message *messages;
    size_t count;
    size_t capacity;
};

/* A table of numbers, by hash: open addressing, at most half full. */
struct piece_table {
    uint32_t *numbers; /* number + 1; 0 is free */
    size_t size;       /* a power of two */
    size_t count;
};

struct piece {
    atomic_uint reference_count;
    uint64_t hash_seed; /* drawn at random: names come from strangers */
    struct message **messages;
    size_t message_count;
    size_t message_capacity;
    size_t bytes;
    struct channel_entry *entries;
    size_t entry_count;
    size_t entry_capacity;
    struct piece_table names; /* of entries */
    uint32_t *deletes;        /* numbers of the messages that are deletes */
    size_t delete_count;
    size_t delete_capacity;
    struct piece_table keys; /* of messages: the newest of each channel and key … */
    size_t key_count;        /* … among so many at the front: the rest waits until it is asked */
};

/* One reference, no messages. Being out of memory ends the process, here and in piece_put(). */
struct piece *piece_create(uint64_t hash_seed);

/* One reference less; the last one frees. Accepts NULL. */
void piece_unref(struct piece *piece);

/* Takes a reference of the message with the next position. */
void piece_put(struct piece *piece, struct message *message);

/* The channel's entry; stays where it is until the next piece_put(). NULL: it has none. */
const struct channel_entry *piece_find_channel(const struct piece *piece, struct span name);

/* The position of the first message. The piece is not empty. */
uint64_t piece_position_first(const struct piece *piece);

/* Takes up to `count` more messages into the table of keys. False: nothing is left to take. */
bool piece_index_keys(struct piece *piece, size_t count);

/* The newest offset of a key (empty: of messages without one) among the messages in the table.
 * False: none. */
MUST_USE bool piece_find_key(const struct piece *piece, uint64_t channel_id, struct span key,
                             uint64_t *ret_offset);

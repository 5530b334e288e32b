/* SPDX-License-Identifier: Apache-2.0 */
/* Entries are found again by their number, which does not change when the arrays move.
 *
 * Running out of memory here ends the process: the messages are in the journal, so the next start
 * has them; a batch that silently lacks one would be a hole that nobody is told. */
#include "storage/piece.h"

#include <stdlib.h>

#include "broker/support/invariant.h"
#include "storage/record.h"

#define PIECE_TABLE_MIN 64

static void *grow(void *array, size_t *capacity, size_t item_bytes) {
    size_t wanted = *capacity == 0 ? 4 : *capacity * 2;
    void *grown = realloc(array, wanted * item_bytes);
    INVARIANT(grown != NULL);
    *capacity = wanted;
    return grown;
}

/* --- tables --- */

static void table_allocate(struct piece_table *table, size_t size) {
    free(table->numbers);
    table->size = size;
    table->numbers = calloc(size, sizeof(*table->numbers));
    INVARIANT(table->numbers != NULL);
}

/* FNV-1a from a secret start, then MurmurHash3's last mix. */
static uint64_t hash_bytes(uint64_t seed, struct span bytes) {
    uint64_t hash = seed ^ UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes.length; i++) {
        hash = (hash ^ bytes.bytes[i]) * UINT64_C(0x100000001b3);
        hash ^= hash >> 29;
    }
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    return hash ^ hash >> 33;
}

/* The place in the table where the name stands, or would stand. */
static size_t probe_name(const struct piece *piece, uint64_t hash, struct span name) {
    size_t at = (size_t)hash & (piece->names.size - 1);
    while (piece->names.numbers[at] != 0) {
        const struct channel_entry *entry = &piece->entries[piece->names.numbers[at] - 1];
        if (entry->hash == hash && span_is_equal(entry->name, name)) {
            break;
        }
        at = (at + 1) & (piece->names.size - 1);
    }
    return at;
}

static uint64_t hash_key(const struct piece *piece, uint64_t channel_id, struct span key) {
    return hash_bytes(piece->hash_seed ^ channel_id * UINT64_C(0x9e3779b97f4a7c15), key);
}

/* Likewise for a key. Hashes are not kept: a table of keys is small beside its messages. */
static size_t probe_key(const struct piece *piece, uint64_t channel_id, struct span key) {
    size_t at = (size_t)hash_key(piece, channel_id, key) & (piece->keys.size - 1);
    while (piece->keys.numbers[at] != 0) {
        const struct message *message = piece->messages[piece->keys.numbers[at] - 1];
        if (message->place.channel_id == channel_id && span_is_equal(message->fields.key, key)) {
            break;
        }
        at = (at + 1) & (piece->keys.size - 1);
    }
    return at;
}

static void grow_names(struct piece *piece) {
    table_allocate(&piece->names, piece->names.size * 2);
    for (size_t i = 0; i < piece->entry_count; i++) {
        const struct channel_entry *entry = &piece->entries[i];
        piece->names.numbers[probe_name(piece, entry->hash, entry->name)] = (uint32_t)i + 1;
    }
}

static void grow_keys(struct piece *piece) {
    struct piece_table old = piece->keys;
    piece->keys.numbers = NULL;
    table_allocate(&piece->keys, old.size == 0 ? PIECE_TABLE_MIN : old.size * 2);
    for (size_t i = 0; i < old.size; i++) {
        if (old.numbers[i] != 0) {
            const struct message *message = piece->messages[old.numbers[i] - 1];
            piece->keys.numbers[probe_key(piece, message->place.channel_id, message->fields.key)] =
                old.numbers[i];
        }
    }
    free(old.numbers);
}

/* --- life --- */

struct piece *piece_create(uint64_t hash_seed) {
    struct piece *piece = calloc(1, sizeof(*piece));
    INVARIANT(piece != NULL);
    atomic_init(&piece->reference_count, 1);
    piece->hash_seed = hash_seed;
    table_allocate(&piece->names, PIECE_TABLE_MIN);
    return piece;
}

void piece_unref(struct piece *piece) {
    if (piece == NULL || atomic_fetch_sub(&piece->reference_count, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < piece->message_count; i++) {
        message_unref(piece->messages[i]);
    }
    for (size_t i = 0; i < piece->entry_count; i++) {
        free(piece->entries[i].messages);
    }
    free(piece->entries);
    free(piece->messages);
    free(piece->deletes);
    free(piece->names.numbers);
    free(piece->keys.numbers);
    free(piece);
}

/* --- filling --- */

static struct channel_entry *find_or_add_entry(struct piece *piece, const struct message *message) {
    struct span name = message->fields.channel;
    uint64_t hash = hash_bytes(piece->hash_seed, name);
    size_t at = probe_name(piece, hash, name);
    if (piece->names.numbers[at] != 0) {
        return &piece->entries[piece->names.numbers[at] - 1];
    }
    if (piece->entry_count * 2 >= piece->names.size) {
        grow_names(piece);
        at = probe_name(piece, hash, name);
    }
    if (piece->entry_count == piece->entry_capacity) {
        piece->entries = grow(piece->entries, &piece->entry_capacity, sizeof(*piece->entries));
    }
    struct channel_entry *entry = &piece->entries[piece->entry_count++];
    *entry = (struct channel_entry){.name = name,
                                    .hash = hash,
                                    .channel_id = message->place.channel_id,
                                    .offset_first = message->place.offset};
    piece->names.numbers[at] = (uint32_t)piece->entry_count;
    return entry;
}

static void put_in_channel(struct piece *piece, struct message *message) {
    struct channel_entry *entry = find_or_add_entry(piece, message);
    INVARIANT(entry->channel_id == message->place.channel_id);
    INVARIANT(entry->offset_first + entry->count == message->place.offset);
    if (entry->count == entry->capacity) {
        entry->messages = grow(entry->messages, &entry->capacity, sizeof(*entry->messages));
    }
    struct batch_message item = {.message = message};
    if (entry->count > 0) {
        item = entry->messages[entry->count - 1];
        item.message = message;
    }
    item.bytes_through += record_counted_bytes(&message->fields);
    if ((message->fields.flags & MESSAGE_RETAIN) != 0) {
        item.retained = (uint32_t)entry->count + 1;
    }
    entry->messages[entry->count++] = item;
}

void piece_put(struct piece *piece, struct message *message) {
    if (piece->message_count == piece->message_capacity) {
        piece->messages = grow(piece->messages, &piece->message_capacity, sizeof(struct message *));
    }
    piece->messages[piece->message_count++] = message_ref(message);
    if (message->fields.kind == MESSAGE_DATA) {
        put_in_channel(piece, message);
    } else if (message->fields.kind == MESSAGE_DELETE) {
        if (piece->delete_count == piece->delete_capacity) {
            piece->deletes = grow(piece->deletes, &piece->delete_capacity, sizeof(*piece->deletes));
        }
        piece->deletes[piece->delete_count++] = (uint32_t)(piece->message_count - 1);
    }
    piece->bytes += message_size(message) + PIECE_OVERHEAD_BYTES;
}

/* --- asking --- */

const struct channel_entry *piece_find_channel(const struct piece *piece, struct span name) {
    size_t at = probe_name(piece, hash_bytes(piece->hash_seed, name), name);
    return piece->names.numbers[at] == 0 ? NULL : &piece->entries[piece->names.numbers[at] - 1];
}

uint64_t piece_position_first(const struct piece *piece) {
    INVARIANT(piece->message_count > 0);
    return piece->messages[0]->place.position;
}

bool piece_index_keys(struct piece *piece, size_t count) {
    for (; count > 0 && piece->key_count < piece->message_count; count--) {
        const struct message *message = piece->messages[piece->key_count++];
        if (message->fields.kind != MESSAGE_DATA) {
            continue;
        }
        if (piece->keys.count * 2 >= piece->keys.size) {
            grow_keys(piece);
        }
        size_t at = probe_key(piece, message->place.channel_id, message->fields.key);
        piece->keys.count += piece->keys.numbers[at] == 0 ? 1 : 0;
        piece->keys.numbers[at] = (uint32_t)piece->key_count;
    }
    return piece->key_count < piece->message_count;
}

bool piece_find_key(const struct piece *piece, uint64_t channel_id, struct span key,
                    uint64_t *ret_offset) {
    size_t at = piece->keys.size == 0 ? 0 : probe_key(piece, channel_id, key);
    if (piece->keys.size == 0 || piece->keys.numbers[at] == 0) {
        return false;
    }
    *ret_offset = piece->messages[piece->keys.numbers[at] - 1]->place.offset;
    return true;
}

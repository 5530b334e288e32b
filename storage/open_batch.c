/* SPDX-License-Identifier: Apache-2.0 */
/* A piece has one array of all messages in order of position, which the fold walks, and a table of
 * channels by name (open addressing, at most half full). Entries are found again by their number,
 * which does not change when the arrays move.
 *
 * Running out of memory here ends the process: the messages are in the journal, so the next start
 * has them; a batch that silently lacks one would be a hole that nobody is told. */
#include "storage/open_batch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "broker/support/invariant.h"
#include "storage/record.h"

struct batch_message {
    struct message *message;
    uint64_t bytes_through; /* counted bytes of the channel in this piece, up to and with this */
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

struct piece {
    atomic_uint reference_count;
    struct message **messages;
    size_t message_count;
    size_t message_capacity;
    size_t bytes;
    struct channel_entry *entries;
    size_t entry_count;
    size_t entry_capacity;
    uint32_t *table;   /* entry number + 1; 0 is free */
    size_t table_size; /* a power of two */
};

#define PIECE_TABLE_MIN 64
#define PIECE_OVERHEAD_BYTES 48 /* a message's share of the arrays */

static void *grow(void *array, size_t *capacity, size_t item_bytes) {
    size_t wanted = *capacity == 0 ? 4 : *capacity * 2;
    void *grown = realloc(array, wanted * item_bytes);
    INVARIANT(grown != NULL);
    *capacity = wanted;
    return grown;
}

static struct piece *piece_create(void) {
    struct piece *piece = calloc(1, sizeof(*piece));
    INVARIANT(piece != NULL);
    atomic_init(&piece->reference_count, 1);
    piece->table_size = PIECE_TABLE_MIN;
    piece->table = calloc(piece->table_size, sizeof(*piece->table));
    INVARIANT(piece->table != NULL);
    return piece;
}

static void piece_unref(struct piece *piece) {
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
    free(piece->table);
    free(piece);
}

/* FNV-1a from a secret start, then MurmurHash3's last mix. */
static uint64_t hash_name(uint64_t seed, struct span name) {
    uint64_t hash = seed ^ UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < name.length; i++) {
        hash = (hash ^ name.bytes[i]) * UINT64_C(0x100000001b3);
        hash ^= hash >> 29;
    }
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    return hash ^ hash >> 33;
}

/* The place in the table where the name stands, or would stand. */
static size_t probe(const struct piece *piece, uint64_t hash, struct span name) {
    size_t at = (size_t)hash & (piece->table_size - 1);
    while (piece->table[at] != 0) {
        const struct channel_entry *entry = &piece->entries[piece->table[at] - 1];
        if (entry->hash == hash && span_is_equal(entry->name, name)) {
            break;
        }
        at = (at + 1) & (piece->table_size - 1);
    }
    return at;
}

static void grow_table(struct piece *piece) {
    free(piece->table);
    piece->table_size *= 2;
    piece->table = calloc(piece->table_size, sizeof(*piece->table));
    INVARIANT(piece->table != NULL);
    for (size_t i = 0; i < piece->entry_count; i++) {
        piece->table[probe(piece, piece->entries[i].hash, piece->entries[i].name)] =
            (uint32_t)i + 1;
    }
}

static struct channel_entry *find_or_add_entry(struct piece *piece, uint64_t seed,
                                               const struct message *message) {
    struct span name = message->fields.channel;
    uint64_t hash = hash_name(seed, name);
    size_t at = probe(piece, hash, name);
    if (piece->table[at] != 0) {
        return &piece->entries[piece->table[at] - 1];
    }
    if (piece->entry_count * 2 >= piece->table_size) {
        grow_table(piece);
        at = probe(piece, hash, name);
    }
    if (piece->entry_count == piece->entry_capacity) {
        piece->entries = grow(piece->entries, &piece->entry_capacity, sizeof(*piece->entries));
    }
    struct channel_entry *entry = &piece->entries[piece->entry_count++];
    *entry = (struct channel_entry){.name = name,
                                    .hash = hash,
                                    .channel_id = message->place.channel_id,
                                    .offset_first = message->place.offset};
    piece->table[at] = (uint32_t)piece->entry_count;
    return entry;
}

static void add_to_channel(struct piece *piece, uint64_t seed, struct message *message) {
    struct channel_entry *entry = find_or_add_entry(piece, seed, message);
    INVARIANT(entry->channel_id == message->place.channel_id);
    INVARIANT(entry->offset_first + entry->count == message->place.offset);
    if (entry->count == entry->capacity) {
        entry->messages = grow(entry->messages, &entry->capacity, sizeof(*entry->messages));
    }
    uint64_t before = entry->count == 0 ? 0 : entry->messages[entry->count - 1].bytes_through;
    entry->messages[entry->count++] =
        (struct batch_message){message, before + record_counted_bytes(&message->fields)};
}

enum error_code open_batch_init(struct open_batch *batch, uint64_t position, uint64_t time_ms) {
    *batch = (struct open_batch){.time_ms = time_ms};
    atomic_init(&batch->position_readable, position);
    if (getrandom(&batch->hash_seed, sizeof(batch->hash_seed), 0) != sizeof(batch->hash_seed)) {
        return ERR_IO;
    }
    pthread_mutex_init(&batch->lock, NULL);
    batch->growing = piece_create();
    return OK;
}

void open_batch_finish(struct open_batch *batch) {
    piece_unref(batch->folding);
    piece_unref(batch->growing);
    pthread_mutex_destroy(&batch->lock);
}

void open_batch_admit(struct open_batch *batch, struct message *const *messages, size_t count) {
    pthread_mutex_lock(&batch->lock);
    struct piece *piece = batch->growing;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        struct message *message = messages[i];
        INVARIANT(message->place.position == batch->position_readable + 1);
        INVARIANT(message->time_ms >= batch->time_ms);
        if (piece->message_count == piece->message_capacity) {
            piece->messages =
                grow(piece->messages, &piece->message_capacity, sizeof(struct message *));
        }
        piece->messages[piece->message_count++] = message_ref(message);
        if (message->fields.kind == MESSAGE_DATA) {
            add_to_channel(piece, batch->hash_seed, message);
        }
        bytes += message_size(message) + PIECE_OVERHEAD_BYTES;
        batch->position_readable = message->place.position;
        batch->time_ms = message->time_ms;
    }
    piece->bytes += bytes;
    atomic_fetch_add(&batch->bytes, bytes);
    atomic_fetch_add(&batch->messages, count);
    pthread_mutex_unlock(&batch->lock);
}

uint64_t open_batch_get_time(struct open_batch *batch) {
    pthread_mutex_lock(&batch->lock);
    uint64_t time_ms = batch->time_ms;
    pthread_mutex_unlock(&batch->lock);
    return time_ms;
}

size_t open_batch_begin_fold(struct open_batch *batch, struct message *const **ret_messages) {
    if (atomic_load(&batch->messages) == 0) {
        return 0;
    }
    struct piece *fresh = piece_create();
    pthread_mutex_lock(&batch->lock);
    if (batch->folding == NULL && batch->growing->message_count > 0) {
        batch->folding = batch->growing;
        batch->growing = fresh;
        fresh = NULL;
    }
    struct piece *folding = batch->folding;
    pthread_mutex_unlock(&batch->lock);
    piece_unref(fresh);
    if (folding == NULL) {
        return 0;
    }
    *ret_messages = folding->messages;
    return folding->message_count;
}

void open_batch_end_fold(struct open_batch *batch) {
    pthread_mutex_lock(&batch->lock);
    struct piece *folded = batch->folding;
    batch->folding = NULL;
    pthread_mutex_unlock(&batch->lock);
    INVARIANT(folded != NULL);
    atomic_fetch_sub(&batch->bytes, folded->bytes);
    atomic_fetch_sub(&batch->messages, folded->message_count);
    piece_unref(folded);
}

static void take_part(struct batch_view *view, struct batch_part *part, struct piece *piece,
                      struct span channel) {
    *part = (struct batch_part){.offset_first = 1};
    if (piece == NULL || channel.length == 0) {
        return;
    }
    uint32_t number =
        piece->table[probe(piece, hash_name(view->batch->hash_seed, channel), channel)];
    if (number == 0) {
        return;
    }
    const struct channel_entry *entry = &piece->entries[number - 1];
    atomic_fetch_add(&piece->reference_count, 1);
    *part = (struct batch_part){
        .piece = piece,
        .entry = number - 1,
        .offset_first = entry->offset_first,
        .offset_last = entry->offset_first + entry->count - 1,
        .position_first = entry->messages[0].message->place.position,
        .bytes = entry->messages[entry->count - 1].bytes_through,
    };
    view->channel_id = entry->channel_id;
}

enum error_code open_batch_take_view(struct open_batch *batch, struct span channel,
                                     enum error_code (*on_taken)(void *, struct error *),
                                     void *context, struct batch_view *ret_view,
                                     struct error *why) {
    *ret_view = (struct batch_view){.batch = batch};
    pthread_mutex_lock(&batch->lock);
    take_part(ret_view, &ret_view->parts[0], batch->folding, channel);
    take_part(ret_view, &ret_view->parts[1], batch->growing, channel);
    ret_view->position_readable = batch->position_readable;
    ret_view->time_ms = batch->time_ms;
    enum error_code result = on_taken(context, why);
    pthread_mutex_unlock(&batch->lock);
    if (result != OK) {
        open_batch_release_view(ret_view);
    }
    return result;
}

void open_batch_take_no_view(struct batch_view *ret_view) {
    *ret_view = (struct batch_view){0};
    for (size_t i = 0; i < OPEN_BATCH_PIECES; i++) {
        ret_view->parts[i].offset_first = 1;
    }
}

void open_batch_release_view(struct batch_view *view) {
    for (size_t i = 0; i < OPEN_BATCH_PIECES; i++) {
        piece_unref(view->parts[i].piece);
        view->parts[i].piece = NULL;
    }
}

static const struct batch_part *part_of(const struct batch_view *view, uint64_t offset) {
    for (size_t i = 0; i < OPEN_BATCH_PIECES; i++) {
        const struct batch_part *part = &view->parts[i];
        if (part->piece != NULL && offset >= part->offset_first && offset <= part->offset_last) {
            return part;
        }
    }
    return NULL;
}

/* Under the lock: a growing piece's arrays move. */
static const struct batch_message *message_at(const struct batch_part *part, uint64_t offset) {
    return &part->piece->entries[part->entry].messages[offset - part->offset_first];
}

struct message *open_batch_take_message(const struct batch_view *view, uint64_t offset) {
    const struct batch_part *part = part_of(view, offset);
    if (part == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&view->batch->lock);
    struct message *message = message_ref(message_at(part, offset)->message);
    pthread_mutex_unlock(&view->batch->lock);
    return message;
}

static uint64_t bytes_before(const struct batch_part *part, uint64_t offset) {
    return part->bytes_before +
           (offset == part->offset_first ? 0 : message_at(part, offset - 1)->bytes_through);
}

void open_batch_get_figures(const struct batch_view *view, uint64_t offset,
                            struct batch_figures *ret_figures) {
    const struct batch_part *part = part_of(view, offset);
    INVARIANT(part != NULL);
    pthread_mutex_lock(&view->batch->lock);
    const struct message *message = message_at(part, offset)->message;
    *ret_figures = (struct batch_figures){message->place.position, message->time_ms,
                                          bytes_before(part, offset)};
    pthread_mutex_unlock(&view->batch->lock);
}

static uint64_t metric_of(const struct batch_part *part, enum index_metric metric,
                          uint64_t offset) {
    switch (metric) {
    case INDEX_POSITION:
        return message_at(part, offset)->message->place.position;
    case INDEX_TIME:
        return message_at(part, offset)->message->time_ms;
    case INDEX_BYTES_BEFORE:
        return bytes_before(part, offset);
    }
    return 0;
}

uint64_t open_batch_search(const struct batch_part *part, struct open_batch *batch,
                           enum index_metric metric, uint64_t value) {
    if (part->piece == NULL) {
        return part->offset_last + 1;
    }
    uint64_t from = part->offset_first;
    uint64_t to = part->offset_last + 1;
    pthread_mutex_lock(&batch->lock);
    while (from < to) {
        uint64_t middle = from + (to - from) / 2;
        if (metric_of(part, metric, middle) >= value) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    pthread_mutex_unlock(&batch->lock);
    return from;
}

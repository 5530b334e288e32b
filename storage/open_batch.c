/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces are counted, so that a view needs the lock only for one question at a time: a growing
 * piece's arrays move. A view says how far its pieces had come; what was admitted since is passed
 * over, because positions and offsets only grow. */
#include "storage/open_batch.h"

#include <string.h>
#include <sys/random.h>

#include "broker/support/invariant.h"
#include "storage/piece.h"

#define KEYS_STEP 512 /* messages indexed under the lock at once: some 50 us */

enum error_code open_batch_init(struct open_batch *batch, uint64_t position, uint64_t time_ms) {
    *batch = (struct open_batch){.time_ms = time_ms};
    atomic_init(&batch->position_readable, position);
    if (getrandom(&batch->hash_seed, sizeof(batch->hash_seed), 0) != sizeof(batch->hash_seed)) {
        return ERR_IO;
    }
    pthread_mutex_init(&batch->lock, NULL);
    batch->growing = piece_create(batch->hash_seed);
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
    size_t bytes_before = piece->bytes;
    for (size_t i = 0; i < count; i++) {
        struct message *message = messages[i];
        INVARIANT(message->place.position == batch->position_readable + 1);
        INVARIANT(message->time_ms >= batch->time_ms);
        piece_put(piece, message);
        batch->position_readable = message->place.position;
        batch->time_ms = message->time_ms;
    }
    atomic_fetch_add(&batch->bytes, piece->bytes - bytes_before);
    atomic_fetch_add(&batch->messages, count);
    pthread_mutex_unlock(&batch->lock);
}

uint64_t open_batch_get_time(struct open_batch *batch) {
    pthread_mutex_lock(&batch->lock);
    uint64_t time_ms = batch->time_ms;
    pthread_mutex_unlock(&batch->lock);
    return time_ms;
}

void open_batch_raise_time(struct open_batch *batch, uint64_t time_ms) {
    pthread_mutex_lock(&batch->lock);
    batch->time_ms = time_ms > batch->time_ms ? time_ms : batch->time_ms;
    pthread_mutex_unlock(&batch->lock);
}

size_t open_batch_begin_fold(struct open_batch *batch, struct message *const **ret_messages) {
    if (atomic_load(&batch->messages) == 0) {
        return 0;
    }
    struct piece *fresh = piece_create(batch->hash_seed);
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

uint64_t open_batch_end_fold(struct open_batch *batch) {
    pthread_mutex_lock(&batch->lock);
    struct piece *folded = batch->folding;
    batch->folding = NULL;
    pthread_mutex_unlock(&batch->lock);
    INVARIANT(folded != NULL);
    uint64_t bytes = folded->bytes;
    atomic_fetch_sub(&batch->bytes, bytes);
    atomic_fetch_sub(&batch->messages, folded->message_count);
    piece_unref(folded);
    return bytes;
}

/* --- one channel --- */

static struct batch_extent extent_of(struct piece *piece) {
    return piece == NULL ? (struct batch_extent){0}
                         : (struct batch_extent){piece, piece->message_count, piece->entry_count,
                                                 piece->delete_count};
}

/* How many messages of the entry are not behind `position`. */
static size_t count_through(const struct channel_entry *entry, uint64_t position) {
    size_t from = 0;
    size_t to = entry->count;
    if (entry->messages[to - 1].message->place.position <= position) {
        return to;
    }
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (entry->messages[middle].message->place.position <= position) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

/* Under the lock, as far as view->position_readable. */
static void look_into(struct batch_view *view, size_t number, struct batch_extent extent,
                      struct span channel) {
    struct batch_part *part = &view->parts[number];
    *part = (struct batch_part){.offset_first = 1};
    if (extent.piece == NULL || channel.length == 0) {
        return;
    }
    if (extent.delete_count > 0) {
        view->extents[number] = extent;
    }
    const struct channel_entry *entry = piece_find_channel(extent.piece, channel);
    size_t count = entry == NULL ? 0 : count_through(entry, view->position_readable);
    if (count == 0) {
        return;
    }
    view->extents[number] = extent;
    *part = (struct batch_part){
        .piece = extent.piece,
        .entry = (size_t)(entry - extent.piece->entries),
        .offset_first = entry->offset_first,
        .offset_last = entry->offset_first + count - 1,
        .position_first = entry->messages[0].message->place.position,
        .bytes = entry->messages[count - 1].bytes_through,
    };
    view->channel_id = entry->channel_id;
}

static void hold(struct batch_extent *extents) {
    for (size_t i = 0; i < OPEN_BATCH_PIECES; i++) {
        if (extents[i].piece != NULL) {
            atomic_fetch_add(&extents[i].piece->reference_count, 1);
        }
    }
}

static void let_go(struct batch_extent *extents) {
    for (size_t i = 0; i < OPEN_BATCH_PIECES; i++) {
        piece_unref(extents[i].piece);
        extents[i].piece = NULL;
    }
}

enum error_code open_batch_take_view(struct open_batch *batch, struct span channel,
                                     enum error_code (*on_taken)(void *, struct error *),
                                     void *context, struct batch_view *ret_view,
                                     struct error *why) {
    *ret_view = (struct batch_view){.batch = batch};
    pthread_mutex_lock(&batch->lock);
    ret_view->position_readable = batch->position_readable;
    ret_view->time_ms = batch->time_ms;
    look_into(ret_view, 0, extent_of(batch->folding), channel);
    look_into(ret_view, 1, extent_of(batch->growing), channel);
    hold(ret_view->extents);
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
    if (!view->is_borrowed) {
        let_go(view->extents);
    }
    for (size_t i = 0; i < OPEN_BATCH_PIECES; i++) {
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

struct message *open_batch_take_retained(const struct batch_view *view) {
    struct message *message = NULL;
    pthread_mutex_lock(&view->batch->lock);
    for (size_t i = OPEN_BATCH_PIECES; i > 0 && message == NULL; i--) {
        const struct batch_part *part = &view->parts[i - 1];
        uint32_t number = part->piece == NULL ? 0 : message_at(part, part->offset_last)->retained;
        if (number > 0) {
            message = message_ref(message_at(part, part->offset_first + number - 1)->message);
        }
    }
    pthread_mutex_unlock(&view->batch->lock);
    return message;
}

static uint64_t bytes_before(const struct batch_part *part, uint64_t offset) {
    return part->bytes_before +
           (offset == part->offset_first ? 0 : message_at(part, offset - 1)->bytes_through);
}

uint64_t open_batch_get_item(const struct batch_view *view, uint64_t offset, uint64_t *ret_bytes) {
    const struct batch_part *part = part_of(view, offset);
    INVARIANT(part != NULL);
    pthread_mutex_lock(&view->batch->lock);
    uint64_t position = message_at(part, offset)->message->place.position;
    *ret_bytes = message_at(part, offset)->bytes_through -
                 (offset == part->offset_first ? 0 : message_at(part, offset - 1)->bytes_through);
    pthread_mutex_unlock(&view->batch->lock);
    return position;
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

/* The deletes of one piece widen the answer that *ret_from and *ret_to hold (from 0: none yet). */
static void find_deleted(const struct batch_extent *extent, uint64_t channel_id, uint64_t offset,
                         uint64_t *ret_from, uint64_t *ret_to) {
    for (size_t i = 0; i < extent->delete_count; i++) {
        const struct message *message = extent->piece->messages[extent->piece->deletes[i]];
        uint64_t from = 0;
        uint64_t to = 0;
        if (message->place.channel_id != channel_id || !message_get_deleted(message, &from, &to) ||
            from > to || to < offset) {
            continue;
        }
        from = from == 0 ? 1 : from;
        bool is_first = *ret_from == 0 || from < *ret_from;
        if (from <= offset && *ret_from != 0 && *ret_from <= offset) { /* both cover it */
            *ret_from = is_first ? from : *ret_from;
            *ret_to = to > *ret_to ? to : *ret_to;
        } else if (is_first) {
            *ret_from = from;
            *ret_to = to;
        }
    }
}

bool open_batch_find_deleted(const struct batch_view *view, uint64_t channel_id, uint64_t offset,
                             uint64_t *ret_from, uint64_t *ret_to) {
    if (view->extents[0].delete_count + view->extents[1].delete_count == 0 || channel_id == 0) {
        return false;
    }
    *ret_from = 0;
    pthread_mutex_lock(&view->batch->lock);
    for (size_t i = 0; i < OPEN_BATCH_PIECES; i++) {
        find_deleted(&view->extents[i], channel_id, offset, ret_from, ret_to);
    }
    pthread_mutex_unlock(&view->batch->lock);
    return *ret_from != 0;
}

static void index_keys(struct open_batch *batch, struct piece *piece, size_t message_count) {
    bool is_more = true;
    while (is_more && piece->key_count < message_count) {
        is_more = piece_index_keys(piece, KEYS_STEP);
        if (is_more) {
            pthread_mutex_unlock(&batch->lock);
            pthread_mutex_lock(&batch->lock);
        }
    }
}

bool open_batch_find_key(const struct batch_view *view, uint64_t channel_id, struct span key,
                         uint64_t *ret_offset) {
    bool is_found = false;
    for (size_t i = OPEN_BATCH_PIECES; i > 0 && !is_found; i--) {
        const struct batch_extent *extent = &view->extents[i - 1];
        if (view->parts[i - 1].piece == NULL) {
            continue;
        }
        pthread_mutex_lock(&view->batch->lock);
        index_keys(view->batch, extent->piece, extent->message_count);
        is_found = piece_find_key(extent->piece, channel_id, key, ret_offset);
        pthread_mutex_unlock(&view->batch->lock);
    }
    return is_found;
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

/* --- all channels at one moment --- */

enum error_code open_batch_take_moment(struct open_batch *batch,
                                       enum error_code (*on_taken)(void *, struct error *),
                                       void *context, struct batch_moment *ret_moment,
                                       struct error *why) {
    pthread_mutex_lock(&batch->lock);
    *ret_moment = (struct batch_moment){
        .batch = batch,
        .extents = {extent_of(batch->folding), extent_of(batch->growing)},
        .position_readable = batch->position_readable,
        .time_ms = batch->time_ms,
    };
    hold(ret_moment->extents);
    enum error_code result = on_taken(context, why);
    pthread_mutex_unlock(&batch->lock);
    if (result != OK) {
        open_batch_release_moment(ret_moment);
    }
    return result;
}

void open_batch_release_moment(struct batch_moment *moment) {
    let_go(moment->extents);
}

void open_batch_get_view(const struct batch_moment *moment, struct span channel,
                         struct batch_view *ret_view) {
    *ret_view = (struct batch_view){.batch = moment->batch,
                                    .is_borrowed = true,
                                    .position_readable = moment->position_readable,
                                    .time_ms = moment->time_ms};
    pthread_mutex_lock(&moment->batch->lock);
    for (size_t i = 0; i < OPEN_BATCH_PIECES; i++) {
        look_into(ret_view, i, moment->extents[i], channel);
    }
    pthread_mutex_unlock(&moment->batch->lock);
}

uint64_t open_batch_position_first(const struct batch_moment *moment) {
    uint64_t position = moment->position_readable + 1;
    for (size_t i = 0; i < OPEN_BATCH_PIECES; i++) {
        position -= moment->extents[i].message_count;
    }
    return position;
}

size_t open_batch_take_messages(const struct batch_moment *moment, uint64_t position,
                                struct message **ret_messages, size_t count) {
    size_t taken = 0;
    uint64_t first = open_batch_position_first(moment);
    INVARIANT(position >= first);
    pthread_mutex_lock(&moment->batch->lock);
    for (size_t i = 0; i < OPEN_BATCH_PIECES; i++) {
        const struct batch_extent *extent = &moment->extents[i];
        size_t at = position > first ? (size_t)(position - first) : 0;
        for (; at < extent->message_count && taken < count; at++) {
            ret_messages[taken++] = message_ref(extent->piece->messages[at]);
        }
        first += extent->message_count;
    }
    pthread_mutex_unlock(&moment->batch->lock);
    return taken;
}

/* The cursor counts the entries of both pieces. */
size_t open_batch_list_channels(const struct batch_moment *moment, size_t *cursor,
                                struct batch_channel *ret_channels, size_t count) {
    const struct batch_extent *folding = &moment->extents[0];
    const struct batch_extent *growing = &moment->extents[1];
    size_t listed = 0;
    pthread_mutex_lock(&moment->batch->lock);
    for (; listed < count && *cursor < folding->entry_count + growing->entry_count; ++*cursor) {
        bool is_folding = *cursor < folding->entry_count;
        const struct channel_entry *entry =
            is_folding ? &folding->piece->entries[*cursor]
                       : &growing->piece->entries[*cursor - folding->entry_count];
        if (is_folding || folding->piece == NULL ||
            piece_find_channel(folding->piece, entry->name) == NULL) {
            ret_channels[listed++] = (struct batch_channel){entry->name, entry->channel_id};
        }
    }
    pthread_mutex_unlock(&moment->batch->lock);
    return listed;
}

uint64_t open_batch_search_time(const struct batch_moment *moment, uint64_t time_ms) {
    uint64_t first = open_batch_position_first(moment);
    uint64_t from = first;
    uint64_t to = moment->position_readable + 1;
    while (from < to) {
        uint64_t middle = from + (to - from) / 2;
        struct message *message = NULL;
        size_t taken = open_batch_take_messages(moment, middle, &message, 1);
        INVARIANT(taken == 1);
        if (message->time_ms >= time_ms) {
            to = middle;
        } else {
            from = middle + 1;
        }
        message_unref(message);
    }
    return from;
}

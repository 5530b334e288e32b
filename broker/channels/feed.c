/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/feed.h"

#include <stdlib.h>

#include "broker/limits.h"
#include "broker/support/invariant.h"

enum error_code feeds_init(struct feeds *feeds, uint64_t position) {
    tails_init(&feeds->tails);
    list_init(&feeds->touched);
    feeds->frames_bytes = 0;
    feeds->position = position;
    return map_init(&feeds->by_channel);
}

void feeds_finish(struct feeds *feeds) {
    INVARIANT(map_count(&feeds->by_channel) == 0);
    INVARIANT(feeds->frames_bytes == 0);
    map_finish(&feeds->by_channel);
}

struct feed *feeds_find(const struct feeds *feeds, struct span channel) {
    struct map_node *node = map_find(&feeds->by_channel, channel);
    return node == NULL ? NULL : CONTAINER_OF(node, struct feed, in_feeds);
}

struct feed *feeds_get(struct feeds *feeds, struct span channel) {
    struct feed *feed = feeds_find(feeds, channel);
    if (feed != NULL) {
        return feed;
    }
    feed = malloc(sizeof(*feed) + channel.length);
    if (feed == NULL) {
        return NULL;
    }
    *feed = (struct feed){.feeds = feeds, .channel_length = channel.length};
    memcpy(feed->channel_bytes, channel.bytes, channel.length);
    list_init(&feed->in_touched);
    list_init(&feed->readers);
    tail_init(&feed->tail, feeds->position, &feeds->tails);
    map_put(&feeds->by_channel, &feed->in_feeds, feed_channel(feed));
    return feed;
}

void feed_release(struct feed *feed) {
    if (!list_is_empty(&feed->readers)) {
        return;
    }
    INVARIANT(feed->live_count == 0);
    INVARIANT(feed->behind_count == 0);
    map_remove(&feed->feeds->by_channel, &feed->in_feeds);
    list_remove(&feed->in_touched);
    tail_finish(&feed->tail);
    for (size_t i = 0; i < FRAMING_SLOTS; i++) {
        if (feed->shared[i] != NULL) {
            feed->feeds->frames_bytes -= feed->shared[i]->buffer.capacity;
            frames_finish(feed->shared[i]);
            free(feed->shared[i]);
        }
    }
    free(feed);
}

struct span feed_channel(const struct feed *feed) {
    return span_of(feed->channel_bytes, feed->channel_length);
}

void feeds_put(struct feeds *feeds, struct message *const *messages, size_t count,
               uint64_t position_last) {
    for (size_t i = 0; i < count; i++) {
        struct message *message = messages[i];
        INVARIANT(message->place.position > feeds->position);
        if (message->fields.kind != MESSAGE_DATA) {
            continue;
        }
        struct feed *feed = feeds_find(feeds, message->fields.channel);
        if (feed == NULL) {
            continue;
        }
        feed->newest = message->place;
        tail_put(&feed->tail, message);
        feed->behind_count = feed->live_count;
        list_remove(&feed->in_touched);
        list_put_tail(&feeds->touched, &feed->in_touched);
    }
    feeds->position = position_last;
}

/* --- frames --------------------------------------------------------------------------------- */

/* The shared frames of a framing; NULL where one reader alone has no use for them. */
static struct frames *shared_frames(struct feed *feed, const struct framing *framing) {
    INVARIANT(framing->slot < FRAMING_SLOTS);
    struct frames **shared = &feed->shared[framing->slot];
    if (*shared == NULL && feed->live_count > 1) {
        *shared = malloc(sizeof(**shared));
        if (*shared != NULL) {
            frames_init(*shared, FRAMES_BYTES_MAX, FRAMES_BYTES_KEPT);
        }
    }
    return *shared;
}

/* Encodes from the end of `frames` on, until about one write's worth lies behind `sequence`. */
static enum error_code encode(struct feed *feed, const struct framing *framing, uint64_t sequence,
                              struct frames *frames) {
    size_t begin = frames->buffer.length;
    uint64_t next = frames->sequence_first + frames->count;
    enum error_code code = OK;
    while (code == OK && next < feed->tail.sequence_next &&
           frames->buffer.length - begin < WRITE_BYTES_MAX) {
        code = frames_put(frames, framing, tail_borrow(&feed->tail, next++), 0);
    }
    bool has_one = frames->sequence_first + frames->count > sequence;
    return has_one ? OK : code;
}

static void clear_shared(struct feeds *feeds, struct frames *shared, uint64_t sequence) {
    feeds->frames_bytes -= shared->buffer.capacity;
    frames_clear(shared, sequence, 0);
    feeds->frames_bytes += shared->buffer.capacity;
}

static enum error_code encode_shared(struct feed *feed, const struct framing *framing,
                                     uint64_t sequence, struct frames *shared) {
    if (feed->feeds->frames_bytes >= FRAMES_ALL_BYTES_MAX) {
        return ERR_FULL;
    }
    feed->feeds->frames_bytes -= shared->buffer.capacity;
    enum error_code code = encode(feed, framing, sequence, shared);
    feed->feeds->frames_bytes += shared->buffer.capacity;
    return code;
}

/* Tries the shared frames; false where they do not reach or cannot take what is wanted. */
static bool find_shared(struct feed *feed, const struct framing *framing, uint64_t sequence,
                        struct frames *shared) {
    uint64_t encoded = shared->sequence_first + shared->count;
    if (shared->count == 0 || sequence > encoded) {
        clear_shared(feed->feeds, shared, sequence);
        encoded = sequence;
    }
    if (sequence < shared->sequence_first) {
        return false; /* a slower reader than those the frames are kept for */
    }
    if (sequence < encoded) {
        return true;
    }
    if (encode_shared(feed, framing, sequence, shared) == OK) {
        return true;
    }
    /* Full: begin anew with what the fastest readers need. */
    clear_shared(feed->feeds, shared, sequence);
    return encode_shared(feed, framing, sequence, shared) == OK;
}

enum error_code feed_borrow_run(struct feed *feed, const struct framing *framing, uint64_t sequence,
                                struct frames *scratch, struct run *ret_run) {
    INVARIANT(sequence >= feed->tail.sequence_first);
    INVARIANT(sequence < feed->tail.sequence_next);
    struct frames *shared = shared_frames(feed, framing);
    if (shared != NULL && find_shared(feed, framing, sequence, shared)) {
        *ret_run = frames_borrow_run(shared, sequence, WRITE_BYTES_MAX);
        return OK;
    }
    frames_clear(scratch, sequence, 0);
    enum error_code code = encode(feed, framing, sequence, scratch);
    if (code == OK) {
        *ret_run = frames_borrow_run(scratch, sequence, WRITE_BYTES_MAX);
    }
    return code;
}

void feed_on_caught_up(struct feed *feed) {
    INVARIANT(feed->behind_count > 0);
    if (--feed->behind_count > 0) {
        return;
    }
    tail_drop_before(&feed->tail, feed->tail.sequence_next);
    for (size_t i = 0; i < FRAMING_SLOTS; i++) {
        if (feed->shared[i] != NULL) {
            clear_shared(feed->feeds, feed->shared[i], feed->tail.sequence_next);
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/feed.h"

#include <stdlib.h>

#include "broker/channels/rules.h"
#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/support/invariant.h"

static_assert(FLUSH_HELD_BYTES_MAX == 262144, "the configuration's reference says so");

enum error_code feeds_init(struct feeds *feeds, uint64_t position) {
    *feeds = (struct feeds){.position = position, .held_bytes_max = FLUSH_HELD_BYTES_MAX};
    tails_init(&feeds->tails);
    list_init(&feeds->touched);
    pace_init(&feeds->pace);
    enum error_code code = map_init(&feeds->by_channel);
    if (code == OK) {
        code = map_init(&feeds->by_pattern);
    }
    return code == OK ? trie_init(&feeds->patterns) : code;
}

void feeds_finish(struct feeds *feeds) {
    INVARIANT(map_count(&feeds->by_channel) == 0);
    INVARIANT(map_count(&feeds->by_pattern) == 0);
    INVARIANT(feeds->frames_bytes == 0);
    map_finish(&feeds->by_channel);
    map_finish(&feeds->by_pattern);
    trie_finish(&feeds->patterns);
}

static const struct map *map_of(const struct feeds *feeds, bool is_pattern) {
    return is_pattern ? &feeds->by_pattern : &feeds->by_channel;
}

struct feed *feeds_find(const struct feeds *feeds, const struct storage_selector *selector) {
    struct map_node *node = map_find(map_of(feeds, selector->is_pattern), selector->text);
    return node == NULL ? NULL : CONTAINER_OF(node, struct feed, in_feeds);
}

struct feed *feeds_get(struct feeds *feeds, const struct storage_selector *selector) {
    struct span text = selector->text;
    struct feed *feed = feeds_find(feeds, selector);
    if (feed != NULL) {
        return feed;
    }
    INVARIANT(text.length <= SCOPED_BYTES_MAX);
    feed = malloc(sizeof(*feed) + text.length);
    if (feed == NULL) {
        return NULL;
    }
    *feed = (struct feed){
        .feeds = feeds, .is_pattern = selector->is_pattern, .text_length = (uint16_t)text.length};
    memcpy(feed->text, text.bytes, text.length);
    if (feed->is_pattern && trie_put(&feeds->patterns, text, &feed->leaf) != OK) {
        free(feed);
        return NULL;
    }
    list_init(&feed->in_touched);
    list_init(&feed->links);
    list_init(&feed->reads);
    tail_init(&feed->tail, feeds->position, &feeds->tails);
    map_put((struct map *)(uintptr_t)map_of(feeds, feed->is_pattern), &feed->in_feeds,
            feed_selector(feed).text);
    return feed;
}

static void add_links(void *context, struct trie_leaf *leaf) {
    *(size_t *)context += CONTAINER_OF(leaf, struct feed, leaf)->link_count;
}

size_t feeds_count_readers(const struct feeds *feeds, struct span channel) {
    size_t count = 0;
    struct storage_selector selector = {.text = channel};
    struct feed *feed = feeds_find(feeds, &selector);
    if (feed != NULL) {
        add_links(&count, &feed->leaf);
    }
    trie_match(&feeds->patterns, channel, add_links, &count);
    return count;
}

void feed_release(struct feed *feed) {
    if (!list_is_empty(&feed->links)) {
        return;
    }
    INVARIANT(feed->live_count == 0);
    INVARIANT(feed->behind_count == 0);
    INVARIANT(list_is_empty(&feed->reads));
    if (feed->is_pattern) {
        trie_remove(&feed->feeds->patterns, &feed->leaf);
        map_remove(&feed->feeds->by_pattern, &feed->in_feeds);
    } else {
        map_remove(&feed->feeds->by_channel, &feed->in_feeds);
    }
    list_remove(&feed->in_touched);
    tail_finish(&feed->tail);
    for (size_t i = 0; feed->shared != NULL && i < FRAMING_SLOTS; i++) {
        if (feed->shared[i] != NULL) {
            feed->feeds->frames_bytes -= feed->shared[i]->buffer.capacity;
            frames_finish(feed->shared[i]);
            free(feed->shared[i]);
        }
    }
    free(feed->shared);
    free(feed);
}

struct storage_selector feed_selector(const struct feed *feed) {
    return (struct storage_selector){span_of(feed->text, feed->text_length), feed->is_pattern};
}

/* --- touching ------------------------------------------------------------------------------- */

/* A message that waits does so in a tail alone, once a short history has let go of it: so no tail
 * may let go of what waits. The other half of the tails is for what comes in a turn. */
void feeds_turn(struct feeds *feeds, const struct rules *rules, uint64_t now_ms) {
    bool may_wait = rules != NULL && rules_have_flush_interval(rules) &&
                    feeds->tails.bytes <= TAILS_BYTES_MAX / 2;
    feeds->rules = may_wait ? rules : NULL;
    if (feeds->rules == NULL) {
        pace_release(&feeds->pace, now_ms, &feeds->touched);
    } else {
        pace_turn(&feeds->pace, now_ms, &feeds->touched);
    }
}

void feed_touch(struct feed *feed, uint64_t interval_ms) {
    struct feeds *feeds = feed->feeds;
    uint64_t due_ms = feed->touched_ms + interval_ms;
    due_ms = due_ms > feeds->pace.now_ms ? due_ms : feeds->pace.now_ms;
    if (!list_is_empty(&feed->in_touched)) {
        if (feed->due_ms <= due_ms) {
            return;
        }
        list_remove(&feed->in_touched);
    }
    feed->due_ms = due_ms;
    if (due_ms > feeds->pace.now_ms) {
        pace_hold(&feeds->pace, &feed->in_touched, due_ms);
    } else {
        list_put_tail(&feeds->touched, &feed->in_touched);
    }
}

struct feed *feeds_take_touched(struct feeds *feeds) {
    struct list *node = list_take_head(&feeds->touched);
    if (node == NULL) {
        return NULL;
    }
    struct feed *feed = CONTAINER_OF(node, struct feed, in_touched);
    feed->touched_ms = feeds->pace.now_ms;
    tail_note_seen(&feed->tail);
    return feed;
}

uint64_t feeds_wait_ms(struct feeds *feeds) {
    return feeds->rules == NULL ? 0 : pace_wait_ms(&feeds->pace);
}

/* --- messages ------------------------------------------------------------------------------- */

/* Asks for what was put since its readers were looked at, not for what is in the tail: one that
 * stalls keeps that full, and the others would never wait again. */
static bool is_held_full(const struct feed *feed) {
    return feed->tail.bytes_put - feed->tail.bytes_seen >= feed->feeds->held_bytes_max;
}

static void put_message(struct feed *feed, struct message *message, uint64_t interval_ms) {
    if (message->fields.kind == MESSAGE_DATA) {
        feed->newest = message->place;
        feed->has_come = true;
    }
    tail_put(&feed->tail, message);
    feed->behind_count = feed->live_count;
    feed_touch(feed, is_held_full(feed) ? 0 : interval_ms);
}

/* A message on its way into the feeds. */
struct arrival {
    struct message *message;
    uint64_t interval_ms; /* of its channel */
};

static void on_pattern_match(void *context, struct trie_leaf *leaf) {
    const struct arrival *arrival = context;
    put_message(CONTAINER_OF(leaf, struct feed, leaf), arrival->message, arrival->interval_ms);
}

static uint64_t find_interval_ms(const struct feeds *feeds, struct span channel) {
    return feeds->rules == NULL ? 0 : rules_find(feeds->rules, channel)->flush_interval_ms;
}

void feeds_put(struct feeds *feeds, struct message *const *messages, size_t count,
               uint64_t position_last, uint64_t time_ms) {
    for (size_t i = 0; i < count; i++) {
        struct message *message = messages[i];
        enum message_kind kind = message->fields.kind;
        INVARIANT(message->place.position > feeds->position);
        if (kind != MESSAGE_DATA && kind != MESSAGE_DELETE) {
            continue;
        }
        struct storage_selector selector = {.text = message->fields.channel};
        struct feed *feed = feeds_find(feeds, &selector);
        struct arrival arrival = {message, find_interval_ms(feeds, message->fields.channel)};
        if (feed != NULL) {
            put_message(feed, message, arrival.interval_ms);
        }
        trie_match(&feeds->patterns, message->fields.channel, on_pattern_match, &arrival);
    }
    feeds->position = position_last;
    feeds->time_ms = time_ms;
}

/* --- frames --------------------------------------------------------------------------------- */

/* The shared frames of a framing; NULL where one reader alone has no use for them, or where others
 * share frames with another subscription's number. (Sockets of one application mostly subscribe in
 * one order, so that the number is the same for nearly all.) */
static struct frames *shared_frames(struct feed *feed, const struct framing *framing,
                                    uint64_t subscription) {
    INVARIANT(framing->slot <= FRAMING_OWN);
    if (framing->slot == FRAMING_OWN) {
        return NULL;
    }
    if (feed->shared == NULL && feed->live_count > 1) {
        feed->shared = calloc(FRAMING_SLOTS, sizeof(*feed->shared));
    }
    if (feed->shared == NULL) {
        return NULL;
    }
    struct frames **shared = &feed->shared[framing->slot];
    if (*shared == NULL && feed->live_count > 1) {
        *shared = malloc(sizeof(**shared));
        if (*shared != NULL) {
            frames_init(*shared, FRAMES_BYTES_MAX, FRAMES_BYTES_KEPT);
        }
    }
    bool is_usable =
        *shared != NULL && ((*shared)->count == 0 || (*shared)->subscription == subscription);
    return is_usable ? *shared : NULL;
}

/* Encodes from the end of `frames` on, up to the entry `end`, until about one write's worth lies
 * behind `sequence`. */
static enum error_code encode(struct feed *feed, const struct framing *framing, uint64_t sequence,
                              uint64_t end, struct frames *frames) {
    size_t begin = frames->buffer.length;
    uint64_t next = frames->sequence_first + frames->count;
    enum error_code code = OK;
    while (code == OK && next < end && frames->buffer.length - begin < WRITE_BYTES_MAX) {
        code = frames_put(frames, framing, tail_borrow(&feed->tail, next++), 0);
    }
    bool has_one = frames->sequence_first + frames->count > sequence;
    return has_one ? OK : code;
}

static void clear_shared(struct feeds *feeds, struct frames *shared, uint64_t sequence,
                         uint64_t subscription) {
    feeds->frames_bytes -= shared->buffer.capacity;
    frames_clear(shared, sequence, subscription);
    feeds->frames_bytes += shared->buffer.capacity;
}

static enum error_code encode_shared(struct feed *feed, const struct framing *framing,
                                     uint64_t sequence, struct frames *shared) {
    if (feed->feeds->frames_bytes >= FRAMES_ALL_BYTES_MAX) {
        return ERR_FULL;
    }
    feed->feeds->frames_bytes -= shared->buffer.capacity;
    enum error_code code = encode(feed, framing, sequence, feed->tail.sequence_next, shared);
    feed->feeds->frames_bytes += shared->buffer.capacity;
    return code;
}

/* Tries the shared frames; false where they do not reach or cannot take what is wanted. */
static bool find_shared(struct feed *feed, const struct feed_question *question,
                        struct frames *shared) {
    uint64_t sequence = question->sequence;
    uint64_t encoded = shared->sequence_first + shared->count;
    if (shared->count == 0 || sequence > encoded) {
        clear_shared(feed->feeds, shared, sequence, question->subscription);
        encoded = sequence;
    }
    if (sequence < shared->sequence_first) {
        return false; /* a slower reader than those the frames are kept for */
    }
    if (sequence < encoded) {
        return true;
    }
    if (encode_shared(feed, question->framing, sequence, shared) == OK) {
        return true;
    }
    /* Full: begin anew with what the fastest readers need. */
    clear_shared(feed->feeds, shared, sequence, question->subscription);
    return encode_shared(feed, question->framing, sequence, shared) == OK;
}

/* At most count_max frames of what is encoded. */
static struct run cut_run(const struct frames *frames, const struct feed_question *question) {
    struct run run = frames_borrow_run(frames, question->sequence, WRITE_BYTES_MAX);
    if (run.count > question->count_max) {
        run.count = (size_t)question->count_max;
        run.bytes.length = run.ends[run.count - 1] - run.ends_base;
    }
    return run;
}

/* Frames that are kept with another subscription's number, with this one's: a copy costs a tenth of
 * what encoding does, and sockets whose users chose their channels have numbers of their own. */
static bool find_renumbered(struct feed *feed, const struct feed_question *question,
                            struct frames *scratch, struct run *ret_run) {
    const struct framing *framing = question->framing;
    if (framing->put_renumbered == NULL || feed->shared == NULL ||
        feed->shared[framing->slot] == NULL) {
        return false;
    }
    struct frames *shared = feed->shared[framing->slot];
    struct feed_question other = *question;
    other.subscription = shared->subscription;
    if (!find_shared(feed, &other, shared)) {
        return false;
    }
    struct run run = cut_run(shared, &other);
    frames_clear(scratch, question->sequence, question->subscription);
    if (frames_put_renumbered(scratch, framing, &run) != OK) {
        return false;
    }
    *ret_run = cut_run(scratch, question);
    return true;
}

enum error_code feed_borrow_run(struct feed *feed, const struct feed_question *question,
                                struct frames *scratch, struct run *ret_run) {
    INVARIANT(question->sequence >= feed->tail.sequence_first);
    INVARIANT(question->sequence < feed->tail.sequence_next);
    INVARIANT(question->count_max > 0);
    struct frames *shared = shared_frames(feed, question->framing, question->subscription);
    if (shared != NULL && find_shared(feed, question, shared)) {
        *ret_run = cut_run(shared, question);
        return OK;
    }
    if (shared == NULL && find_renumbered(feed, question, scratch, ret_run)) {
        return OK;
    }
    uint64_t rest = feed->tail.sequence_next - question->sequence;
    uint64_t count = rest < question->count_max ? rest : question->count_max;
    frames_clear(scratch, question->sequence, question->subscription);
    enum error_code code =
        encode(feed, question->framing, question->sequence, question->sequence + count, scratch);
    if (code == OK) {
        *ret_run = cut_run(scratch, question);
    }
    return code;
}

/* Nobody needs the entries any more. */
static void become_quiet(struct feed *feed) {
    INVARIANT(feed->behind_count == 0);
    tail_drop_before(&feed->tail, feed->tail.sequence_next);
    for (size_t i = 0; feed->shared != NULL && i < FRAMING_SLOTS; i++) {
        if (feed->shared[i] != NULL) {
            clear_shared(feed->feeds, feed->shared[i], feed->tail.sequence_next, 0);
        }
    }
}

void feed_on_joined(struct feed *feed, bool lacks_entries) {
    feed->live_count++;
    feed->behind_count += lacks_entries;
    if (feed->behind_count == 0) { /* what came while it read the log is in its page */
        become_quiet(feed);
    }
}

void feed_on_caught_up(struct feed *feed) {
    INVARIANT(feed->behind_count > 0);
    if (--feed->behind_count == 0) {
        become_quiet(feed);
    }
}

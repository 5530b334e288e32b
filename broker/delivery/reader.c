/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/delivery/reader.h"

#include "broker/support/invariant.h"

void reader_init(struct reader *reader, struct feed *feed) {
    *reader = (struct reader){.feed = feed};
    list_put_tail(&feed->readers, &reader->in_feed);
}

static bool lacks_entries(const struct reader *reader) {
    return reader->sequence < reader->feed->tail.sequence_next;
}

static void leave_live(struct reader *reader) {
    struct feed *feed = reader->feed;
    INVARIANT(reader->is_live);
    INVARIANT(feed->live_count > 0);
    reader->is_live = false;
    feed->live_count--;
    if (lacks_entries(reader)) {
        feed_on_caught_up(feed);
    }
}

void reader_finish(struct reader *reader) {
    if (reader->is_live) {
        leave_live(reader);
    }
    list_remove(&reader->in_feed);
    feed_release(reader->feed);
    reader->feed = NULL;
}

bool reader_join_live(struct reader *reader) {
    struct feed *feed = reader->feed;
    INVARIANT(!reader->is_live);
    if (reader->place.position < feed->tail.floor_position) {
        return false;
    }
    reader->sequence = tail_find_after(&feed->tail, reader->place.position);
    reader->is_live = true;
    reader->is_ahead = reader->place.position > feed->feeds->position;
    feed->live_count++;
    if (lacks_entries(reader)) {
        feed->behind_count++;
    }
    return true;
}

/* Commits come to the log's readers a little before they come to the workers: what such a reader
 * has from a page already does not reach it again through the tail. */
static void skip_known(struct reader *reader) {
    struct tail *tail = &reader->feed->tail;
    reader->is_ahead = reader->place.position > reader->feed->feeds->position;
    if (!lacks_entries(reader) || reader->sequence < tail->sequence_first ||
        reader->place.position < tail->floor_position) {
        return;
    }
    uint64_t sequence = tail_find_after(tail, reader->place.position);
    INVARIANT(sequence >= reader->sequence);
    reader->sequence = sequence;
    if (!lacks_entries(reader)) {
        feed_on_caught_up(reader->feed);
    }
}

bool reader_is_due(struct reader *reader) {
    if (reader->is_live && reader->is_ahead) {
        skip_known(reader);
    }
    return reader->is_live && lacks_entries(reader);
}

enum error_code reader_borrow_run(struct reader *reader, const struct framing *framing,
                                  struct frames *scratch, struct run *ret_run) {
    INVARIANT(reader_is_due(reader));
    if (reader->sequence < reader->feed->tail.sequence_first) {
        leave_live(reader);
        return ERR_AGAIN;
    }
    return feed_borrow_run(reader->feed, framing, reader->sequence, scratch, ret_run);
}

void reader_advance(struct reader *reader, size_t count) {
    INVARIANT(reader->is_live);
    if (count == 0) {
        return;
    }
    uint64_t last = reader->sequence + count - 1;
    INVARIANT(last < reader->feed->tail.sequence_next);
    reader->place = tail_borrow(&reader->feed->tail, last)->place;
    reader->sequence = last + 1;
    if (!lacks_entries(reader)) {
        feed_on_caught_up(reader->feed);
    }
}

void reader_get_place(const struct reader *reader, struct place *ret_place) {
    *ret_place = reader->place;
    uint64_t head = reader->feed->feeds->position;
    if (reader->is_live && !lacks_entries(reader) && head > ret_place->position) {
        ret_place->position = head;
    }
}

void readers_cut(struct feeds *feeds, uint64_t position) {
    INVARIANT(position >= feeds->position);
    for (struct map_node *node = map_first(&feeds->by_channel); node != NULL;
         node = map_next(&feeds->by_channel, node)) {
        struct feed *feed = CONTAINER_OF(node, struct feed, in_feeds);
        LIST_EACH(&feed->readers, member) {
            struct reader *reader = CONTAINER_OF(member, struct reader, in_feed);
            if (reader->is_live) {
                /* At the head it lacked nothing up to the worker's old position. */
                reader_get_place(reader, &reader->place);
                leave_live(reader);
            }
        }
        tail_cut(&feed->tail, position);
        feed->newest = (struct place){0};
        list_remove(&feed->in_touched);
        list_put_tail(&feeds->touched, &feed->in_touched);
    }
    feeds->position = position;
}

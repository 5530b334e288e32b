/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/delivery/reader.h"

#include <stdlib.h>

#include "broker/limits.h"
#include "broker/support/invariant.h"

void gather_init(struct gather *gather, size_t bytes_kept) {
    frames_init(&gather->scratch, FRAME_BYTES_MAX, bytes_kept);
    frames_init(&gather->frames, FRAME_BYTES_MAX, bytes_kept);
}

void gather_finish(struct gather *gather) {
    frames_finish(&gather->scratch);
    frames_finish(&gather->frames);
}

/* --- links ---------------------------------------------------------------------------------- */

static bool lacks_entries(const struct link *link) {
    return link->sequence < link->feed->tail.sequence_next;
}

static bool is_in_tail(const struct link *link) {
    return lacks_entries(link) && link->sequence >= link->feed->tail.sequence_first;
}

/* Passes over what the reader has from a page, or through another feed, already. */
static void skip_known(struct link *link) {
    const struct tail *tail = &link->feed->tail;
    uint64_t position = link->reader->place.position;
    if (!is_in_tail(link) || position < tail->floor_position ||
        tail_borrow(tail, link->sequence)->place.position > position) {
        return;
    }
    link->sequence = tail_find_after(tail, position);
    if (!lacks_entries(link)) {
        feed_on_caught_up(link->feed);
    }
}

static enum error_code join_feed(struct link *link, struct reader *reader, struct feeds *feeds,
                                 const struct storage_selector *selector) {
    struct feed *feed = feeds_get(feeds, selector);
    if (feed == NULL) {
        return ERR_MEMORY;
    }
    link->feed = feed;
    link->reader = reader;
    list_put_tail(&feed->links, &link->in_feed);
    feed->link_count++;
    return OK;
}

enum error_code reader_init(struct reader *reader, struct feeds *feeds,
                            const struct storage_selector *selectors, size_t selector_count,
                            void (*on_touched)(struct reader *reader)) {
    INVARIANT(selector_count > 0);
    INVARIANT(selector_count <= SELECTORS_MAX);
    *reader = (struct reader){.on_touched = on_touched};
    reader->links = &reader->one;
    if (selector_count > 1) {
        reader->links = calloc(selector_count, sizeof(*reader->links));
        if (reader->links == NULL) {
            return ERR_MEMORY;
        }
    }
    for (size_t i = 0; i < selector_count; i++) {
        if (join_feed(&reader->links[i], reader, feeds, &selectors[i]) != OK) {
            reader_finish(reader);
            return ERR_MEMORY;
        }
        reader->link_count++;
    }
    return OK;
}

void reader_finish(struct reader *reader) {
    if (reader->is_live) {
        reader_leave_live(reader);
    }
    for (size_t i = 0; i < reader->link_count; i++) {
        list_remove(&reader->links[i].in_feed);
        reader->links[i].feed->link_count--;
        feed_release(reader->links[i].feed);
    }
    if (reader->links != &reader->one) {
        free(reader->links);
    }
    reader->links = NULL;
    reader->link_count = 0;
}

/* --- live and behind ------------------------------------------------------------------------ */

static const struct feeds *feeds_of(const struct reader *reader) {
    return reader->links[0].feed->feeds;
}

bool reader_join_live(struct reader *reader) {
    INVARIANT(!reader->is_live);
    for (size_t i = 0; i < reader->link_count; i++) {
        if (reader->place.position < reader->links[i].feed->tail.floor_position) {
            return false;
        }
    }
    for (size_t i = 0; i < reader->link_count; i++) {
        struct link *link = &reader->links[i];
        link->sequence = tail_find_after(&link->feed->tail, reader->place.position);
        feed_on_joined(link->feed, lacks_entries(link));
    }
    reader->is_live = true;
    reader->is_ahead = reader->place.position > feeds_of(reader)->position;
    return true;
}

void reader_leave_live(struct reader *reader) {
    INVARIANT(reader->is_live);
    reader->is_live = false;
    for (size_t i = 0; i < reader->link_count; i++) {
        struct link *link = &reader->links[i];
        INVARIANT(link->feed->live_count > 0);
        link->feed->live_count--;
        if (lacks_entries(link)) {
            feed_on_caught_up(link->feed);
        }
    }
}

bool reader_lacks_newest(const struct reader *reader) {
    for (size_t i = 0; i < reader->link_count; i++) {
        const struct feed *feed = reader->links[i].feed;
        if (feed->has_come && feed->newest.position > reader->place.position) {
            return true;
        }
    }
    return false;
}

bool reader_is_due(struct reader *reader) {
    bool is_due = false;
    if (!reader->is_live) {
        return false;
    }
    bool may_know = reader->is_ahead || reader->link_count > 1;
    for (size_t i = 0; i < reader->link_count; i++) {
        if (may_know) {
            skip_known(&reader->links[i]);
        }
        is_due |= lacks_entries(&reader->links[i]);
    }
    reader->is_ahead = reader->place.position > feeds_of(reader)->position;
    return is_due;
}

/* --- taking --------------------------------------------------------------------------------- */

/* Where a link of a run in the making stands. */
struct trial {
    const struct link *link;
    uint64_t sequence;
};

/* The entry that a trial takes next; NULL: it has no more. */
static const struct message *peek(const struct trial *trial) {
    const struct tail *tail = &trial->link->feed->tail;
    return trial->sequence < tail->sequence_next ? tail_borrow(tail, trial->sequence) : NULL;
}

/* The links that lack something. False: a tail has let go of it. */
static bool find_lacking(const struct reader *reader, struct trial *ret_trials, size_t *ret_count) {
    *ret_count = 0;
    for (size_t i = 0; i < reader->link_count; i++) {
        const struct link *link = &reader->links[i];
        if (!lacks_entries(link)) {
            continue;
        }
        if (!is_in_tail(link)) {
            return false;
        }
        ret_trials[(*ret_count)++] = (struct trial){link, link->sequence};
    }
    return true;
}

/* The trial whose next entry is the oldest, and how many of its entries stand before the next one
 * of any other; NULL: none has more. What stands at or before `position` was taken from another
 * feed. */
static struct trial *choose(struct trial *trials, size_t count, uint64_t position,
                            uint64_t *ret_count) {
    struct trial *first = NULL;
    uint64_t first_position = UINT64_MAX;
    uint64_t second_position = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct message *next = peek(&trials[i]);
        while (next != NULL && next->place.position <= position) {
            trials[i].sequence++;
            next = peek(&trials[i]);
        }
        uint64_t own = next == NULL ? UINT64_MAX : next->place.position;
        if (own < first_position) {
            second_position = first_position;
            first_position = own;
            first = &trials[i];
        } else if (own < second_position) {
            second_position = own;
        }
    }
    if (first == NULL) {
        return NULL;
    }
    const struct tail *tail = &first->link->feed->tail;
    /* Two may stand at the same message: it is taken from one of them. */
    uint64_t end = second_position == UINT64_MAX ? tail->sequence_next
                                                 : tail_find_after(tail, second_position - 1);
    *ret_count = end > first->sequence ? end - first->sequence : 1;
    return first;
}

/* The next frames of one feed, not past `count_max`. ERR_AGAIN: the next message has expired. */
static enum error_code borrow_of_feed(const struct trial *trial, const struct feed_question *wanted,
                                      uint64_t count_max, struct frames *scratch,
                                      struct run *ret_run) {
    struct feed *feed = trial->link->feed;
    struct feed_question question = *wanted;
    uint64_t count = count_max < wanted->count_max ? count_max : wanted->count_max;
    question.sequence = trial->sequence;
    question.count_max =
        tail_count_alive(&feed->tail, trial->sequence, count, feed->feeds->time_ms);
    return question.count_max == 0 ? ERR_AGAIN : feed_borrow_run(feed, &question, scratch, ret_run);
}

static enum error_code gather_run(struct gather *gather, const struct trial *trial,
                                  const struct run *run) {
    size_t at = gather->frames.count;
    enum error_code code = frames_put_run(&gather->frames, run);
    for (size_t i = 0; code == OK && i < run->count; i++) {
        const struct message *entry = tail_borrow(&trial->link->feed->tail, trial->sequence + i);
        gather->items[at + i] = (struct gathered){entry->place, entry->fields.kind == MESSAGE_DATA};
    }
    return code;
}

/* Takes from all trials in order of position until a write is full. What fails behind the first
 * frame ends the run, and is met again by the next. */
static enum error_code gather_all(struct gather *gather, struct trial *trials, size_t trial_count,
                                  const struct feed_question *wanted, uint64_t position) {
    enum error_code code = OK;
    struct trial *trial;
    uint64_t count = 0;
    struct feed_question rest = *wanted;
    frames_clear(&gather->frames, 0, wanted->subscription);
    while (code == OK && rest.count_max > 0 && gather->frames.buffer.length < WRITE_BYTES_MAX &&
           (trial = choose(trials, trial_count, position, &count)) != NULL) {
        struct run run;
        code = borrow_of_feed(trial, &rest, count, &gather->scratch, &run);
        if (code == OK) {
            code = gather_run(gather, trial, &run);
        }
        if (code == OK) {
            trial->sequence += run.count;
            rest.count_max -= run.count;
            position = gather->items[gather->frames.count - 1].place.position;
        }
    }
    return gather->frames.count > 0 ? OK : code;
}

enum error_code reader_borrow_run(struct reader *reader, const struct framing *framing,
                                  uint64_t subscription, uint64_t count_max, struct gather *gather,
                                  struct run *ret_run) {
    struct trial trials[SELECTORS_MAX];
    size_t trial_count = 0;
    struct feed_question wanted = {
        .framing = framing, .subscription = subscription, .count_max = count_max};
    INVARIANT(reader_is_due(reader));
    enum error_code code = find_lacking(reader, trials, &trial_count) ? OK : ERR_AGAIN;
    reader->current =
        trial_count == 1 ? (uint16_t)(trials[0].link - reader->links) : READER_GATHERED;
    if (code == OK && trial_count == 1) {
        code = borrow_of_feed(&trials[0], &wanted, UINT64_MAX, &gather->scratch, ret_run);
    } else if (code == OK) {
        wanted.count_max = count_max < GATHER_FRAMES_MAX ? count_max : GATHER_FRAMES_MAX;
        code = gather_all(gather, trials, trial_count, &wanted, reader->place.position);
        if (code == OK) {
            *ret_run = frames_borrow_run(&gather->frames, 0, FRAME_BYTES_MAX);
        }
    }
    if (code == ERR_AGAIN) {
        reader_leave_live(reader);
    }
    return code;
}

size_t reader_count_messages(const struct reader *reader, const struct gather *gather,
                             size_t count) {
    size_t messages = 0;
    for (size_t i = 0; i < count; i++) {
        messages += reader_get_item(reader, gather, i).is_message;
    }
    return messages;
}

struct gathered reader_get_item(const struct reader *reader, const struct gather *gather,
                                size_t index) {
    if (reader->current == READER_GATHERED) {
        INVARIANT(index < gather->frames.count);
        return gather->items[index];
    }
    const struct link *link = &reader->links[reader->current];
    const struct message *entry = tail_borrow(&link->feed->tail, link->sequence + index);
    return (struct gathered){entry->place, entry->fields.kind == MESSAGE_DATA};
}

/* All links pass over what was gathered from them, as over what a page showed. */
static void advance_all(struct reader *reader, const struct gather *gather, size_t count) {
    INVARIANT(count <= gather->frames.count);
    reader->place = gather->items[count - 1].place;
    for (size_t i = 0; i < reader->link_count; i++) {
        skip_known(&reader->links[i]);
    }
}

void reader_advance(struct reader *reader, const struct gather *gather, size_t count) {
    INVARIANT(reader->is_live);
    if (count == 0) {
        return;
    }
    if (reader->current == READER_GATHERED) {
        advance_all(reader, gather, count);
        return;
    }
    struct link *link = &reader->links[reader->current];
    uint64_t last = link->sequence + count - 1;
    INVARIANT(last < link->feed->tail.sequence_next);
    reader->place = tail_borrow(&link->feed->tail, last)->place;
    link->sequence = last + 1;
    if (!lacks_entries(link)) {
        feed_on_caught_up(link->feed);
    }
}

/* --- figures -------------------------------------------------------------------------------- */

void reader_get_place(struct reader *reader, struct place *ret_place) {
    *ret_place = reader->place;
    uint64_t head = feeds_of(reader)->position;
    if (reader->is_live && head > ret_place->position && !reader_is_due(reader)) {
        ret_place->position = head;
    }
}

void reader_get_lag(struct reader *reader, uint64_t *ret_messages, uint64_t *ret_bytes) {
    uint64_t messages = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; reader->is_live && i < reader->link_count; i++) {
        const struct link *link = &reader->links[i];
        const struct tail *tail = &link->feed->tail;
        messages += tail->sequence_next - link->sequence;
        bytes += tail_bytes_from(tail, link->sequence);
    }
    *ret_messages = messages;
    *ret_bytes = bytes;
}

bool reader_note_gap(struct reader *reader, const struct storage_gap *gap) {
    uint64_t told = gap->is_pattern ? gap->lost_position : gap->gap.to;
    bool is_loss = gap->gap.reason == GAP_EXPIRED || gap->gap.reason == GAP_DELETED;
    if (!is_loss || told == 0) {
        return true;
    }
    for (size_t i = 0; i < reader->link_count; i++) {
        struct link *link = &reader->links[i];
        if (link->feed->is_pattern == gap->is_pattern &&
            span_is_equal(feed_selector(link->feed).text, gap->selector)) {
            bool is_new = told > link->told;
            link->told = is_new ? told : link->told;
            return is_new;
        }
    }
    return true;
}

/* --- all readers ---------------------------------------------------------------------------- */

void readers_touch(struct feeds *feeds) {
    struct feed *feed;
    while ((feed = feeds_take_touched(feeds)) != NULL) {
        struct list guard; /* so that the feed outlives a last reader which leaves here */
        list_put_tail(&feed->links, &guard);
        LIST_EACH(&feed->links, member) {
            if (member != &guard) {
                struct reader *reader = CONTAINER_OF(member, struct link, in_feed)->reader;
                reader->on_touched(reader);
            }
        }
        list_remove(&guard);
        feed_release(feed);
    }
}

static void cut_feed(struct feed *feed, uint64_t position) {
    LIST_EACH(&feed->links, member) {
        struct reader *reader = CONTAINER_OF(member, struct link, in_feed)->reader;
        if (reader->is_live) {
            /* At the head it lacked nothing up to the worker's old position. */
            reader_get_place(reader, &reader->place);
            reader_leave_live(reader);
        }
    }
    tail_cut(&feed->tail, position);
    feed->newest = (struct place){0};
    feed->has_come = false;
    feed_touch(feed, 0);
}

static void cut_all(struct map *map, uint64_t position) {
    for (struct map_node *node = map_first(map); node != NULL; node = map_next(map, node)) {
        cut_feed(CONTAINER_OF(node, struct feed, in_feeds), position);
    }
}

void readers_cut(struct feeds *feeds, uint64_t position) {
    INVARIANT(position >= feeds->position);
    cut_all(&feeds->by_channel, position);
    cut_all(&feeds->by_pattern, position);
    feeds->position = position;
}

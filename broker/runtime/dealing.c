/* SPDX-License-Identifier: Apache-2.0 */
/* What is given comes from pages of the log, one at a time, each of no more messages than could be
 * given when it was asked for. What could not be given of it is let go and read again, as a stream
 * does: so a group holds no messages, and where it stands in its feed holds nothing in the tail.
 *
 * A gap is told to the member whose turn it is. One of the page's is told as the log says it, where
 * it takes away something new; of messages that came back and are gone meanwhile, those alone are
 * told, since others that stood between them were done with. */
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/sharing_private.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"

/* --- news ----------------------------------------------------------------------------------- */

static void keep_nothing_in_tail(struct shared_group *shared) {
    struct reader *reader = &shared->reader;
    reader->place.position = shared->home->worker->feeds.position;
    if (reader_join_live(reader)) {
        reader_leave_live(reader);
    }
}

static void on_touched(struct reader *reader) {
    struct shared_group *shared = CONTAINER_OF(reader, struct shared_group, reader);
    keep_nothing_in_tail(shared);
    dealing_go_on(shared);
    home_note_news(shared);
}

enum error_code dealing_follow(struct shared_group *shared) {
    INVARIANT(!shared->is_following);
    enum error_code code = reader_init(&shared->reader, &shared->home->worker->feeds,
                                       &shared->selector, 1, on_touched);
    shared->is_following = code == OK;
    shared->is_at_head = false;
    return code;
}

void dealing_unfollow(struct shared_group *shared) {
    if (shared->is_following) {
        reader_finish(&shared->reader);
        shared->is_following = false;
    }
}

/* Something may stand behind the place that was not read. */
static bool has_news(const struct shared_group *shared) {
    const struct feed *feed = shared->reader.one.feed;
    struct place place;
    group_get_place(shared->group, &place);
    bool is_known = feed->newest.position != 0 || place.position >= feed->tail.floor_position;
    return !shared->is_at_head || !is_known || feed->newest.position > place.position;
}

uint64_t dealing_lag(const struct shared_group *shared) {
    uint64_t head = shared->home->worker->feeds.position;
    struct place place;
    group_get_place(shared->group, &place);
    bool is_behind = shared->is_following && shared->is_resolved && has_news(shared);
    return is_behind && head > place.position ? head - place.position : 0;
}

/* --- telling -------------------------------------------------------------------------------- */

static struct sharing_member *next_member(const struct shared_group *shared) {
    struct group_member *seat = group_next(shared->group);
    return seat == NULL ? NULL : CONTAINER_OF(seat, struct sharing_member, seat);
}

static void tell_gap(struct shared_group *shared, const struct storage_gap *gap) {
    struct sharing_member *member = next_member(shared);
    struct told_gap *told = malloc(sizeof(*told));
    INVARIANT(member != NULL);
    metrics_count_gap(shared->home->worker->metrics, gap->gap.reason, gap->gap.from, gap->gap.to);
    if (told == NULL) {
        return; /* WEAKNESS: without memory a loss is counted and not told. cure: ask again */
    }
    *told = (struct told_gap){.note.kind = NOTE_GAP, .gap = *gap};
    told->gap.selector = shared->selector.text;
    told->gap.is_pattern = shared->selector.is_pattern;
    lane_put(&member->down, &told->note.parcel);
}

static void tell_pending(struct shared_group *shared) {
    if (shared->has_pending) {
        shared->has_pending = false;
        tell_gap(shared, &shared->pending);
    }
}

/* The gaps of a page that begins at the place, or takes away what stands behind it. */
static void tell_page_gaps(struct shared_group *shared) {
    const struct storage_page *page = &shared->read.page;
    struct storage_gap gap;
    struct place place;
    size_t index = 0;
    group_get_place(shared->group, &place);
    bool is_of_new = shared->read.query.place.position == place.position ||
                     page->start.position > place.position;
    while (is_of_new && storage_page_next_gap(page, &shared->read.query, &index, &gap)) {
        bool is_other_log = gap.gap.reason == GAP_EPOCH || gap.gap.reason == GAP_AHEAD;
        if (is_other_log && page->start.position < place.position) {
            group_set_place(shared->group, &page->start);
        }
        if (reader_note_gap(&shared->reader, &gap)) {
            tell_gap(shared, &gap);
        }
    }
}

/* Losses next to each other are one gap. */
struct losses {
    struct storage_gap gap;
    uint64_t position; /* of the last; 0: none is open */
};

static void tell_losses(struct shared_group *shared, struct losses *losses) {
    if (losses->position > 0) {
        uint64_t offset = losses->gap.gap.to;
        losses->gap.resumed = shared->read.page.start;
        losses->gap.resumed.position = losses->position;
        losses->gap.resumed.channel_id = offset > 0 ? shared->read.page.channel_id : 0;
        losses->gap.resumed.offset = offset;
        losses->gap.lost_position = losses->position;
        tell_gap(shared, &losses->gap);
        losses->position = 0;
    }
}

static void note_loss(struct shared_group *shared, struct losses *losses,
                      const struct group_loss *loss) {
    const struct storage_page *page = &shared->read.page;
    bool is_of_channel = !shared->selector.is_pattern;
    bool is_next = losses->position > 0 &&
                   (!is_of_channel || loss->offset == 0 || loss->offset == losses->gap.gap.to + 1);
    if (!is_next) {
        tell_losses(shared, losses);
        losses->gap =
            (struct storage_gap){.gap = {.reason = page->has_gap ? page->gap.reason : GAP_EXPIRED,
                                         .from = is_of_channel ? loss->offset : 0},
                                 .first = page->first,
                                 .last = page->last};
        if (!is_of_channel) {
            losses->gap.after = page->start;
            losses->gap.after.position = loss->position - 1;
        }
    }
    losses->gap.gap.to = is_of_channel ? loss->offset : 0;
    losses->position = loss->position;
}

/* --- giving --------------------------------------------------------------------------------- */

/* False: nobody takes it, or there is no memory to give it with. */
static bool give(struct shared_group *shared, struct message *message) {
    struct home *home = shared->home;
    struct group_lease lease;
    if (home->spare == NULL) {
        home->spare = malloc(sizeof(*home->spare));
    }
    if (home->spare == NULL) {
        home_pause(shared);
        return false;
    }
    enum group_answer answer = group_offer(shared->group, &message->place, message_size(message),
                                           home->worker->now_ms, &lease);
    if (answer == GROUP_LEASED) {
        struct sharing_member *member = CONTAINER_OF(lease.member, struct sharing_member, seat);
        struct given *given = home->spare;
        home->spare = NULL;
        *given = (struct given){.note.kind = NOTE_GIVEN,
                                .message = message_ref(message),
                                .token = lease.token,
                                .count = lease.count};
        metrics_add(home->worker->metrics, METRIC_GROUP_REDELIVERIES, lease.count > 1);
        lane_put(&member->down, &given->note.parcel);
    }
    return answer != GROUP_NOBODY;
}

/* What waits before that position was not in the log where it stood. */
static void take_losses(struct shared_group *shared, struct losses *losses, uint64_t position) {
    struct group_loss loss;
    while (group_take_loss(shared->group, position, &loss)) {
        note_loss(shared, losses, &loss);
    }
}

/* Nobody is left to be told of a loss: then nothing of the page may be passed over that might be
 * one. */
static bool can_pass(const struct shared_group *shared) {
    struct group_figures figures;
    group_get_figures(shared->group, &figures);
    return figures.waiting == 0 || next_member(shared) != NULL;
}

static void deal(struct shared_group *shared) {
    const struct storage_page *page = &shared->read.page;
    struct losses losses = {.position = 0};
    bool is_all = true;
    for (size_t i = 0; is_all && i < page->count; i++) {
        is_all = can_pass(shared);
        if (is_all) {
            take_losses(shared, &losses, page->messages[i]->place.position);
            tell_losses(shared, &losses);
            is_all = give(shared, page->messages[i]);
        }
    }
    is_all = is_all && can_pass(shared);
    if (is_all) {
        take_losses(shared, &losses, page->end.position + 1);
        tell_losses(shared, &losses);
        group_pass(shared->group, &page->end);
    }
    shared->is_at_head = is_all && page->at_head;
}

/* --- reading -------------------------------------------------------------------------------- */

static void on_read(struct read *read);

static void ask(struct shared_group *shared) {
    struct worker *worker = shared->home->worker;
    shared->read = (struct read){.reply_to = worker_mailbox(worker), .on_read = on_read};
    struct storage_query *query = &shared->read.query;
    if (shared->is_resolved) {
        query->start = STORAGE_AFTER_PLACE;
        group_get_start(shared->group, &query->place);
        query->limit = (uint32_t)group_room(shared->group, CATCH_UP_PAGE_MESSAGES_MAX);
    } else {
        *query = shared->start;
        query->limit = 1;
    }
    query->bytes_max = CATCH_UP_PAGE_BYTES_MAX;
    if (shared->selector.is_pattern) {
        query->selectors = &shared->selector;
        query->selector_count = 1;
    } else {
        query->channel = shared->selector.text;
    }
    shared->is_reading = true;
    metrics_add(worker->metrics, METRIC_PAGES_READ, 1);
    reads_submit(worker->broker->reads, &shared->read);
}

/* The start is where the page begins; what it brings is read again once somebody takes it. A gap
 * that the start was waits for who that is. */
static void resolve(struct shared_group *shared) {
    struct read *read = &shared->read;
    size_t index = 0;
    group_set_place(shared->group, &read->page.start);
    shared->is_resolved = true;
    shared->has_pending =
        storage_page_next_gap(&read->page, &read->query, &index, &shared->pending);
}

/* Something came back that stands before the page: it goes first. */
static bool is_too_late(const struct shared_group *shared) {
    struct place start;
    group_get_start(shared->group, &start);
    return start.position < shared->read.query.place.position;
}

static void take_page(struct shared_group *shared) {
    if (!shared->is_resolved) {
        resolve(shared);
    } else if (shared->is_following && group_can_lease(shared->group) && !is_too_late(shared)) {
        tell_pending(shared);
        tell_page_gaps(shared);
        deal(shared);
        home_touch(shared);
    }
}

static void note_failure(struct shared_group *shared) {
    const struct read *read = &shared->read;
    if (read->result != ERR_DRAINING) {
        log_event(READ_FAILED, .code = error_row(read->result)->slug, .detail = read->why.detail);
    }
    home_pause(shared);
}

static void on_read(struct read *read) {
    struct shared_group *shared = CONTAINER_OF(read, struct shared_group, read);
    enum error_code result = read->result;
    bool was_resolved = shared->is_resolved;
    if (result != OK && was_resolved && !shared->is_over) { /* else whoever joined is told */
        note_failure(shared);
    } else if (result == OK && !shared->is_over) {
        take_page(shared);
    }
    reads_release(shared->home->worker->broker->reads, read);
    shared->is_reading = false;
    bool is_gone = home_release(shared) || (!was_resolved && !home_on_resolved(shared, result));
    if (!is_gone) {
        dealing_go_on(shared);
    }
}

void dealing_go_on(struct shared_group *shared) {
    if (shared->is_reading || shared->is_paused || !shared->is_following) {
        return;
    }
    struct group_figures figures;
    group_get_figures(shared->group, &figures);
    if (!shared->is_resolved ||
        (group_can_lease(shared->group) && (figures.waiting > 0 || has_news(shared)))) {
        ask(shared);
    }
}

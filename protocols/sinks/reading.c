/* SPDX-License-Identifier: Apache-2.0 */
/* From the log into the backlog: by pages while the sink is behind, straight from the commits while
 * it stands at the head. The two meet without a seam: a sink is at the head when a page said so and
 * nothing of its own was committed behind that page's end; commits that the page had already are
 * known by their positions. */
#include <stdlib.h>

#include "broker/support/clock.h"
#include "protocols/sinks/sink_private.h"
#include "protocols/starting.h"

/* A page under way. */
struct sink_page {
    struct read read;
    struct sink *sink;
    bool is_first; /* it says where the sink begins */
};

static size_t window_of(const struct sink *sink) {
    return sink->terms.is_pipelined ? SINK_PIPELINE_MAX : SINK_WINDOW_MAX;
}

/* An endpoint that took nothing yet may be down: then little is read in vain, and what a thousand
 * such sinks hold is little, too. What waits for its time is read past, for it says nothing of what
 * stands behind it: of a lane two messages are in memory, and room for as many is free. */
static size_t reach_of(const struct sink *sink) {
    size_t waiting = sink->backlog == NULL ? 0 : backlog_waiting(sink->backlog);
    size_t some = 2 * sink->terms.messages_max;
    some = some < SINK_WINDOW_UNPROVEN ? SINK_WINDOW_UNPROVEN : some;
    some += 4 * waiting;
    size_t window = window_of(sink);
    return sink->is_proven || some > window ? window : some;
}

/* False: out of memory. */
static bool have_backlog(struct sink *sink) {
    if (sink->backlog != NULL) {
        backlog_set_messages_max(sink->backlog, reach_of(sink));
        return true;
    }
    size_t bytes_max = sink->terms.bytes_max;
    struct backlog_options options = {
        .mode = sink->row->mode,
        .order = sink->row->order,
        .is_pipelined = sink->terms.is_pipelined,
        .messages_max = reach_of(sink),
        .bytes_max = bytes_max > SINK_WINDOW_BYTES_MAX ? bytes_max : SINK_WINDOW_BYTES_MAX};
    return backlog_create(&options, &sink->backlog) == OK;
}

/* All sinks together hold enough: who has something of it waits, and so does a sink whose endpoint
 * may be down. */
static bool is_in_budget(const struct sink *sink) {
    return sink->sinks->bytes < SINKS_BYTES_MAX || (sink->backlog_bytes == 0 && sink->is_proven);
}

/* --- into the backlog ------------------------------------------------------------------------ */

static bool passes_over(const struct sink *sink, const struct message *message) {
    return sink->driver->passes_over != NULL && sink->driver->passes_over(sink->row, message);
}

/* False: no room, or no memory. */
static bool put(struct sink *sink, struct message *message) {
    struct ledger_failure failure;
    uint64_t position = message->place.position;
    if (!backlog_has_room(sink->backlog) || !ledger_has_room(&sink->ledger, position)) {
        return false;
    }
    enum ledger_mark mark = ledger_find(&sink->ledger, message, &failure);
    if (mark == LEDGER_DONE || passes_over(sink, message)) {
        backlog_put_done(sink->backlog, &message->place);
    } else if (backlog_put(sink->backlog, message, mark == LEDGER_FAILED ? &failure : NULL,
                           ledger_find_batch(&sink->ledger, position)) != OK) {
        return false;
    }
    sink->read_place = message->place;
    return true;
}

bool reading_put_live(struct sink *sink, struct message *message) {
    bool may_go = sink_is_on_course(sink) && sink->page == NULL && !sink->is_rereading &&
                  sink->breaker.state == LEDGER_CLOSED && is_in_budget(sink);
    bool is_put = may_go && have_backlog(sink) && put(sink, message);
    if (is_put && sink->driver->passes_over != NULL) {
        settling_advance(sink); /* behind one that is passed over nothing settles */
    }
    return is_put;
}

/* --- gaps ------------------------------------------------------------------------------------ */

/* A reader that goes on before a loss is told it again. */
static void note_gaps(struct sink *sink, const struct read *read) {
    size_t index = 0;
    struct storage_gap gap;
    while (storage_page_next_gap(&read->page, &read->query, &index, &gap)) {
        uint64_t position = gap.lost_position == 0 ? gap.resumed.position : gap.lost_position;
        if (position <= sink->gap_position || gap.is_outlived) {
            continue;
        }
        sink->gap_position = position;
        sink->gaps++;
        events_tell_gap(sink, &gap);
    }
}

/* --- a page came ----------------------------------------------------------------------------- */

/* Where the sink begins: nothing of it is in memory. */
static void take_start(struct sink *sink, const struct place *start) {
    struct ledger *ledger = &sink->ledger;
    if (!ledger->has_floor || (sink->is_beginning && sink->course_next != ledger->course)) {
        ledger_rewind(ledger, start);
        ledger->course = sink->is_beginning ? sink->course_next : ledger->course;
    } else if (start->position > ledger->floor.position) {
        ledger_move_floor(ledger, start); /* what was set aside beyond it is done as well */
    }
    sink->is_beginning = false;
    sink->is_dirty = true;
    sink->read_place = ledger->floor;
}

static void take_page(struct sink *sink, const struct sink_page *page) {
    const struct storage_page *it = &page->read.page;
    note_gaps(sink, &page->read);
    if (it->start.position > sink->read_place.position) {
        backlog_pass(sink->backlog, &it->start);
        sink->read_place = it->start;
    }
    size_t index = storage_page_find_after(it, sink->read_place.position);
    while (index < it->count && put(sink, it->messages[index])) {
        index++;
    }
    if (index < it->count) {
        return;
    }
    if (it->end.position >= sink->read_place.position) {
        sink->read_place = it->end;
        backlog_pass(sink->backlog, &it->end);
    }
    sink->is_at_head = it->at_head && sink->news_position <= it->end.position;
}

/* The next of those that wait to read. */
static void wake_next(struct sinks *sinks) {
    struct list *node = list_take_head(&sinks->readers);
    if (node != NULL) {
        struct sink *sink = CONTAINER_OF(node, struct sink, in_readers);
        sink->has_turn = true;
        sink_wake(sink);
    }
}

static void on_read(struct read *read) {
    struct sink_page *page = CONTAINER_OF(read, struct sink_page, read);
    struct sink *sink = page->sink;
    /* A page from before the backlog was cleared is dropped: it would put what is read again. */
    sink->page = NULL;
    sink->sinks->pages--;
    sink->sinks->bytes -= SINK_PAGE_BYTES_MAX;
    sink->letters_out--;
    if (read->result != OK) {
        sink->read_after_ms = loop_now_ms(sink->sinks->loop) + SINK_AGAIN_MS;
        if (read->result != ERR_DRAINING) {
            log_event(READ_FAILED, .code = error_row(read->result)->slug,
                      .detail = read->why.detail);
        }
    } else if (!sink->is_rereading) {
        if (page->is_first) {
            take_start(sink, &page->read.page.start);
        }
        if (sink->backlog != NULL) {
            take_page(sink, page);
            settling_advance(sink);
        }
    }
    sink_count_backlog(sink);
    reads_release(sink->sinks->broker->reads, read);
    free(page);
    wake_next(sink->sinks);
    sink_wake(sink);
}

/* --- the next page --------------------------------------------------------------------------- */

/* A sink whose endpoint is only tried out reads no more than for that. */
static uint32_t limit_of(const struct sink *sink) {
    size_t held = sink->backlog == NULL ? 0 : backlog_count(sink->backlog);
    size_t reach = reach_of(sink);
    size_t free = reach > held ? reach - held : 1;
    size_t probe = sink->backlog == NULL ? 1 : sink->terms.messages_max;
    return (uint32_t)(sink->breaker.state == LEDGER_CLOSED || free < probe ? free : probe);
}

static void ask(struct sink *sink) {
    if (sink->sinks->pages >= SINKS_PAGES_MAX) { /* one that comes back wakes it */
        if (list_is_empty(&sink->in_readers)) {
            list_put_tail(&sink->sinks->readers, &sink->in_readers);
        }
        return;
    }
    struct sink_page *page = calloc(1, sizeof(*page));
    if (page == NULL) {
        sink->read_after_ms = loop_now_ms(sink->sinks->loop) + SINK_AGAIN_MS;
        sink_expect(sink, sink->read_after_ms);
        return;
    }
    struct storage_query *query = &page->read.query;
    page->sink = sink;
    page->is_first = !sink->ledger.has_floor || sink->is_beginning;
    page->read.reply_to = loop_mailbox(sink->sinks->loop);
    page->read.on_read = on_read;
    query->limit = limit_of(sink);
    query->bytes_max = SINK_PAGE_BYTES_MAX;
    if (sink->selector_count == 1 && !sink->selectors[0].is_pattern) {
        query->channel = sink->selectors[0].text;
    } else {
        query->selectors = sink->selectors;
        query->selector_count = sink->selector_count;
    }
    if (page->is_first) {
        starting_set_query(query, &sink->start, clock_wall_ms());
    } else {
        query->start = STORAGE_AFTER_PLACE;
        query->place = sink->read_place;
    }
    sink->page = page;
    sink->sinks->pages++;
    sink->sinks->bytes += SINK_PAGE_BYTES_MAX; /* about: until it is counted in the backlog */
    sink->letters_out++;
    reads_submit(sink->sinks->broker->reads, &page->read);
}

/* Half of the window is free; or some of it, and what is there cannot go now. */
static bool is_worth_it(const struct sink *sink) {
    size_t window = reach_of(sink);
    size_t held = backlog_count(sink->backlog);
    return held <= window / 2 || (sink->is_starved && held <= window - window / 8);
}

/* Nobody takes anything, and what is in memory cannot go before its time: it is let go of, and read
 * again then; or soon, where only the memory of all sinks keeps this one from trying what stands
 * behind. A new message ends the rest. */
void reading_mind_rest(struct sink *sink) {
    bool is_idle = sink->is_starved && !sink->is_proven && sink->under_way == 0 &&
                   sink->page == NULL && backlog_count(sink->backlog) > 0;
    bool may_go_on = !sink->is_at_head && backlog_has_room(sink->backlog) &&
                     backlog_count(sink->backlog) < reach_of(sink);
    if (!is_idle || (may_go_on && is_in_budget(sink))) {
        return;
    }
    uint64_t now_ms = clock_wall_ms();
    uint64_t soon_ms = now_ms + SINK_AGAIN_MS + sinks_draw(sink->sinks) % SINK_AGAIN_MS;
    uint64_t until_ms = may_go_on ? soon_ms : sink->next_attempt_ms;
    if (until_ms >= soon_ms) {
        sink_read_anew(sink);
        sink->rest_until_ms = until_ms;
        sink->next_attempt_ms = until_ms;
        sink_wake(sink); /* mind_memory() frees the rest */
    }
}

static bool is_resting(struct sink *sink) {
    if (sink->rest_until_ms <= clock_wall_ms()) {
        sink->rest_until_ms = 0;
        return false;
    }
    sink_expect_wall(sink, sink->rest_until_ms);
    return true;
}

static void go_on(struct sink *sink) {
    bool is_turned = sink->turn_question != NULL && !sink->is_turning && sink->is_beginning;
    bool is_wanted = sink_is_on_course(sink) && sink->room > 0 && !sink->is_at_head;
    if (sink->page != NULL || !(is_wanted || is_turned)) {
        return;
    }
    if (!is_in_budget(sink)) { /* nobody wakes it when there is room */
        sink_expect(sink, loop_now_ms(sink->sinks->loop) + SINK_AGAIN_MS / 4);
        return;
    }
    if (is_wanted && sink->rest_until_ms != 0 && is_resting(sink)) {
        return;
    }
    uint64_t now_ms = loop_now_ms(sink->sinks->loop);
    if (now_ms < sink->read_after_ms) {
        sink_expect(sink, sink->read_after_ms);
        return;
    }
    if (!is_wanted) { /* it is only asked where it is to begin */
        sink->is_rereading = false;
        ask(sink);
        return;
    }
    if (!have_backlog(sink)) {
        sink_expect(sink, now_ms + SINK_AGAIN_MS);
        return;
    }
    if (!backlog_has_room(sink->backlog)) {
        return;
    }
    if (sink->is_rereading) {
        sink->read_place = sink->ledger.floor;
        sink->is_rereading = false;
    }
    if (is_worth_it(sink) && ledger_has_room(&sink->ledger, sink->read_place.position + 1)) {
        ask(sink);
    }
}

void reading_go_on(struct sink *sink) {
    bool had_turn = sink->has_turn;
    sink->has_turn = false;
    go_on(sink);
    bool has_read_enough = sink->page == NULL && list_is_empty(&sink->in_readers);
    if (had_turn && has_read_enough) { /* another one may */
        wake_next(sink->sinks);
    }
}

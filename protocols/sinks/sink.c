/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/sink_private.h"

#include <stdlib.h>

#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/sinks/answer.h"
#include "protocols/sinks/declaration.h"
#include "protocols/sinks/ledger_record.h"

#define EXPECT_MS_MAX 60000 /* the wall clock may be set meanwhile */

/* --- when it is looked at -------------------------------------------------------------------- */

void sink_wake(struct sink *sink) {
    if (sink->is_started) {
        loop_put_chore(sink->sinks->loop, &sink->chore);
    }
}

void sink_expect(struct sink *sink, uint64_t due_ms) {
    sink->due_ms = due_ms < sink->due_ms ? due_ms : sink->due_ms;
}

void sink_expect_wall(struct sink *sink, uint64_t wall_ms) {
    uint64_t now_ms = clock_wall_ms();
    uint64_t wait_ms = wall_ms > now_ms ? wall_ms - now_ms : 0;
    wait_ms = wait_ms < EXPECT_MS_MAX ? wait_ms : EXPECT_MS_MAX;
    sink_expect(sink, loop_now_ms(sink->sinks->loop) + wait_ms);
}

bool sink_runs(const struct sink *sink) {
    return sink->ledger.halt == LEDGER_RUNS && !sink->is_paused_by_row && sink->on_ended == NULL;
}

bool sink_is_on_course(const struct sink *sink) {
    return sink_runs(sink) && sink->driving == DRIVING_UP && !sink->is_turning &&
           sink->revival == NULL;
}

/* --- states ---------------------------------------------------------------------------------- */

static const char *const state_names[SINK_STATE_COUNT] = {
#define SINK_STATE(state, name) [state] = name,
    SINK_STATE_TABLE(SINK_STATE)
#undef SINK_STATE
};

const char *sink_state_name(enum sink_state state) {
    INVARIANT(state < SINK_STATE_COUNT);
    return state_names[state];
}

enum sink_state sink_find_state(const struct sink *sink) {
    if (sink->ledger.halt == LEDGER_DISABLED) {
        return SINK_DISABLED;
    }
    if (sink->ledger.halt == LEDGER_PAUSED || sink->is_paused_by_row) {
        return SINK_PAUSED;
    }
    if (sink->breaker.state != LEDGER_CLOSED ||
        (sink->driving != DRIVING_UP && sink->down_count > 0)) {
        return SINK_BROKEN;
    }
    if (sink->driving != DRIVING_UP) {
        return SINK_STARTING;
    }
    if (sink->ledger.failing_since_ms != 0 && sink->next_attempt_ms != 0) {
        return SINK_RETRYING;
    }
    bool is_empty = sink->backlog == NULL || backlog_count(sink->backlog) == 0;
    return sink->is_at_head && is_empty ? SINK_LIVE : SINK_CATCHING_UP;
}

void sink_set_detail(struct sink *sink, const struct verdict *verdict) {
    sink->status_last = verdict->status;
    memcpy(sink->detail, verdict->detail, sizeof(sink->detail));
    if (sink->detail[0] == '\0' && verdict->status != 0) {
        snprintf(sink->detail, sizeof(sink->detail), "it answered %u", verdict->status);
    }
}

void sink_disable(struct sink *sink, const char *reason) {
    sink->ledger.halt = LEDGER_DISABLED;
    snprintf(sink->ledger.reason, sizeof(sink->ledger.reason), "%s", reason);
    sink->is_dirty = true;
    sink_wake(sink);
}

/* Not by the clock alone: whoever mended the endpoint meanwhile is tried first. */
void sink_note_failing(struct sink *sink) {
    uint64_t now_ms = clock_wall_ms();
    uint64_t since_ms = sink->ledger.failing_since_ms;
    uint64_t after_ms = sink->row->disable_after_ms;
    sink->is_dirty = true;
    if (since_ms == 0) {
        sink->ledger.failing_since_ms = now_ms;
    } else if (after_ms != CONFIG_UNLIMITED && sink_runs(sink) && now_ms > since_ms &&
               now_ms - since_ms >= after_ms) {
        sink_disable(sink, sink->detail[0] == '\0' ? "it took nothing for too long" : sink->detail);
    }
}

void sink_on_gone(struct sink *sink, const struct verdict *verdict) {
    sink_disable(sink, verdict->detail[0] == '\0' ? "the endpoint is gone" : verdict->detail);
}

/* --- what it holds --------------------------------------------------------------------------- */

void sink_count_backlog(struct sink *sink) {
    size_t bytes = sink->backlog == NULL ? 0 : backlog_memory_bytes(sink->backlog);
    sink->sinks->freed += bytes < sink->backlog_bytes ? sink->backlog_bytes - bytes : 0;
    sink->sinks->bytes += bytes - sink->backlog_bytes;
    sink->backlog_bytes = bytes;
}

void sink_read_anew(struct sink *sink) {
    if (sink->backlog != NULL) {
        backlog_clear(sink->backlog);
    }
    sink->is_rereading = true;
    sink->is_at_head = false;
    sink->next_attempt_ms = 0;
}

void sink_clear(struct sink *sink) {
    shipping_give_up_waiting(sink);
    sink_read_anew(sink);
}

/* Of a sink that holds nothing: its memory is that of the struct and its row. */
static void let_go(struct sink *sink) {
    if (sink->backlog != NULL && backlog_under_way(sink->backlog) == 0) {
        backlog_destroy(sink->backlog);
        sink->backlog = NULL;
    }
}

/* --- the driver ------------------------------------------------------------------------------ */

static void find_terms(struct sink *sink) {
    sink->driver->get_terms(sink->driver_state, &sink->terms);
    INVARIANT(sink->terms.messages_max > 0);
    INVARIANT(sink->terms.shipments_max > 0);
    tempo_init(&sink->tempo, sink->terms.shipments_max, sink->row->rate);
}

static void go_down(struct sink *sink) {
    uint32_t doublings = sink->down_count < 10 ? sink->down_count : 10;
    uint64_t wait_ms = (uint64_t)SINK_DOWN_MS << doublings;
    wait_ms = wait_ms < SINK_DOWN_MS_MAX ? wait_ms : SINK_DOWN_MS_MAX;
    wait_ms -= sinks_draw(sink->sinks) % (wait_ms / 5); /* not all at once */
    sink->down_count++;
    sink->is_proven = false;
    sink->restart_ms = loop_now_ms(sink->sinks->loop) + wait_ms;
    sink->driving = DRIVING_DOWN;
    sink_note_failing(sink);
    sink_clear(sink);
    sink_wake(sink);
}

static void start_driver(struct sink *sink) {
    struct error why = {0};
    if (sink->driver_state == NULL) {
        struct sink_link link = {.sink = sink,
                                 .broker = sink->sinks->broker,
                                 .loop = sink->sinks->loop,
                                 .row = sink->row};
        enum error_code code = sink->driver->open(&link, &sink->driver_state, &why);
        if (code != OK) {
            struct verdict verdict = {.outcome = OUTCOME_UNREACHED};
            answer_put_detail(
                verdict.detail,
                span_of_string(why.detail[0] != '\0' ? why.detail : error_row(code)->title));
            sink->driver_state = NULL;
            sink_set_detail(sink, &verdict);
            go_down(sink);
            return;
        }
        find_terms(sink);
    }
    sink->driving = DRIVING_STARTING;
    sink->driver->start(sink->driver_state);
}

/* Of an earlier course: a replay has overruled it. Of a later one: a replay had begun, and the
 * process ended before the ledger was stored. The log may have lost its tail, and the place with
 * it, whose position is another message's now: where the sink begins is for the first page to
 * say. */
static void take_place(struct sink *sink, const struct place *place, uint64_t course) {
    const struct ledger *ledger = &sink->ledger;
    uint64_t current = sink->is_beginning ? sink->course_next : ledger->course;
    INVARIANT(sink->terms.has_own_place);
    if (course > current || (course == current && place->position > ledger->floor.position)) {
        sink->start = (struct since){.kind = SINCE_PLACE, .place = *place};
        sink->course_next = course;
        sink->is_beginning = true;
        sink_clear(sink);
    }
}

void sink_on_up(struct sink *sink, const struct place *place, uint64_t course) {
    INVARIANT(sink->driving == DRIVING_STARTING);
    sink->driving = DRIVING_UP;
    sink->down_count = 0;
    if (place != NULL) {
        take_place(sink, place, course);
    }
    sink_wake(sink);
}

void sink_on_down(struct sink *sink, const struct verdict *verdict) {
    INVARIANT(sink->driving == DRIVING_STARTING || sink->driving == DRIVING_UP);
    INVARIANT(list_is_empty(&sink->shipped));
    sink_set_detail(sink, verdict);
    go_down(sink);
    if (verdict->outcome == OUTCOME_GONE) {
        sink_on_gone(sink, verdict);
    }
    if (sink->test_question != NULL) {
        errands_on_test_settled(sink, verdict);
    }
}

void sink_on_stopped(struct sink *sink) {
    INVARIANT(sink->driving == DRIVING_STOPPING);
    INVARIANT(list_is_empty(&sink->shipped));
    sink->driving = DRIVING_DOWN;
    sink->down_count = 0;
    sink->restart_ms = 0;
    sink->rest_ms = 0;
    sink_wake(sink);
}

/* What is under way may settle first, but not for long. */
static void stop_driver(struct sink *sink) {
    uint64_t now_ms = loop_now_ms(sink->sinks->loop);
    shipping_give_up_waiting(sink);
    if (sink->rest_ms == 0) {
        sink->rest_ms = now_ms + SINK_REST_MS;
    }
    bool is_quiet = list_is_empty(&sink->shipped);
    if (!is_quiet && now_ms < sink->rest_ms) {
        sink_expect(sink, sink->rest_ms);
        return;
    }
    sink->driving = DRIVING_STOPPING;
    sink->driver->stop(sink->driver_state);
}

static void mind_driver(struct sink *sink) {
    bool is_wanted = sink_runs(sink) || (sink->test_question != NULL && sink->on_ended == NULL);
    uint64_t now_ms = loop_now_ms(sink->sinks->loop);
    bool is_settled = list_is_empty(&sink->dying) && sink->letter_count == 0;
    if (is_wanted && sink->driving == DRIVING_DOWN && is_settled) {
        if (now_ms >= sink->restart_ms) {
            start_driver(sink);
        } else {
            sink_expect(sink, sink->restart_ms);
        }
    } else if (!is_wanted && (sink->driving == DRIVING_STARTING || sink->driving == DRIVING_UP)) {
        stop_driver(sink);
    } else if (is_wanted) {
        sink->rest_ms = 0;
    }
}

/* --- its course ------------------------------------------------------------------------------ */

/* Nothing goes for a while: what waits in memory goes, and is read again. */
static void mind_memory(struct sink *sink) {
    bool is_useful =
        sink_is_on_course(sink) && sink->breaker.state != LEDGER_OPEN && sink->rest_until_ms == 0;
    if (!is_useful && sink->backlog != NULL) {
        if (!sink->is_rereading) {
            sink_clear(sink);
        }
        let_go(sink);
    } else if (sink->backlog != NULL && backlog_wants_again(sink->backlog)) {
        sink_read_anew(sink);
    }
}

/* Of an end, once nothing of it is out there any more. */
static bool is_over(const struct sink *sink) {
    return sink->on_ended != NULL && sink->driving == DRIVING_DOWN && sink->letters_out == 0 &&
           sink->page == NULL && storing_is_quiet(sink);
}

/* Open turns to half open when it is time. */
static void mind_breaker(struct sink *sink) {
    sink->room = breaker_room(&sink->breaker, clock_wall_ms());
    if (sink->breaker.state == LEDGER_OPEN) {
        sink_expect_wall(sink, sink->breaker.until_ms);
    }
}

/* At the head, and no more than what becomes a dead letter is left. */
static bool has_nothing_to_send(const struct sink *sink) {
    const struct backlog *backlog = sink->backlog;
    return sink_is_on_course(sink) && sink->is_at_head && sink->under_way == 0 &&
           (backlog == NULL || backlog_count(backlog) == backlog_under_way(backlog));
}

/* Time in which nothing waits is no failure, and no probe comes to close the breaker. */
static void mind_failing(struct sink *sink) {
    if (has_nothing_to_send(sink)) {
        sink->is_dirty |= sink->ledger.failing_since_ms != 0;
        sink->is_dirty |= breaker_on_idle(&sink->breaker);
        sink->ledger.failing_since_ms = 0;
    }
}

static void sink_go_on(struct sink *sink) {
    sink->due_ms = UINT64_MAX;
    mind_breaker(sink);
    mind_driver(sink);
    errands_go_on(sink);
    mind_memory(sink);
    reviving_go_on(sink);
    reading_go_on(sink);
    shipping_go_on(sink);
    mind_failing(sink);
    storing_go_on(sink);
    sink_count_backlog(sink);
    events_note_state(sink);
    if (is_over(sink)) {
        loop_disarm(sink->sinks->loop, &sink->timer);
        loop_take_chore_back(&sink->chore);
        sink->is_started = false;
        sink->on_ended(sink);
        return; /* it may be gone */
    }
    if (sink->due_ms == UINT64_MAX) {
        loop_disarm(sink->sinks->loop, &sink->timer);
    } else {
        loop_arm(sink->sinks->loop, &sink->timer, sink->due_ms);
    }
}

static void on_turn(struct loop_chore *chore) {
    sink_go_on(CONTAINER_OF(chore, struct sink, chore));
}

static void on_due(struct loop_timer *timer) {
    sink_wake(CONTAINER_OF(timer, struct sink, timer));
}

/* --- what came ------------------------------------------------------------------------------- */

void sink_on_message(struct sink *sink, struct message *message) {
    uint64_t position = message->place.position;
    if (position <= sink->news_position || position <= sink->read_place.position) {
        return; /* two of its selectors fit, or a page was ahead of the commit */
    }
    sink->news_position = position;
    if (sink->rest_until_ms != 0) {
        sink->rest_until_ms = 0;
        sink_wake(sink);
    }
    if (sink->is_at_head) { /* else it will come by there: nobody needs to be woken */
        sink->is_at_head = reading_put_live(sink, message);
        sink_wake(sink);
    }
}

void sink_on_delete(struct sink *sink, struct message *message) {
    (void)message;
    if (sink->backlog != NULL && backlog_count(sink->backlog) > 0) {
        sink_read_anew(sink);
        sink_wake(sink);
    }
}

void sink_on_missed(struct sink *sink) {
    sink->news_position = log_position_readable(sink->sinks->broker->log);
    sink->is_at_head = false;
    sink_wake(sink);
}

/* --- beginning and end ----------------------------------------------------------------------- */

static enum error_code take_interests(struct sink *sink) {
    size_t count = sink->row->channels.count;
    struct interests *interests = &sink->sinks->interests;
    struct buffer text;
    sink->interests = calloc(count, sizeof(*sink->interests));
    sink->selectors = calloc(count, sizeof(*sink->selectors));
    if (sink->interests == NULL || sink->selectors == NULL) {
        return ERR_MEMORY;
    }
    enum error_code code = OK;
    buffer_init(&text, SCOPED_BYTES_MAX);
    for (size_t i = 0; code == OK && i < count; i++) {
        buffer_clear(&text);
        sink->interests[i].sink = sink;
        code = scope_put(&text, span_of_string(sink->row->tenant),
                         span_of_string(sink->row->channels.items[i]));
        code =
            code != OK ? code : interests_put(interests, buffer_borrow(&text), &sink->interests[i]);
        if (code == OK) {
            sink->selectors[i] =
                (struct storage_selector){.text = interest_text(&sink->interests[i]),
                                          .is_pattern = interest_is_pattern(&sink->interests[i])};
            sink->selector_count++;
        }
    }
    buffer_finish(&text);
    return code;
}

/* What is remembered of other channels, or of another order, stays known as that. */
static enum error_code take_view(struct sink *sink) {
    struct buffer texts;
    bool is_changed = false;
    enum error_code code = OK;
    buffer_init(&texts, STRATUM_TEXTS_BYTES_MAX);
    for (size_t i = 0; i < sink->selector_count && code == OK; i++) {
        code = buffer_put(&texts, sink->selectors[i].text);
        code = code == OK ? buffer_put_byte(&texts, '\0') : code;
    }
    const struct stratum_view view = {
        .mode = sink->row->mode, .order = sink->row->order, .texts = buffer_borrow(&texts)};
    code = code == OK ? ledger_take_view(&sink->ledger, &view, &is_changed) : code;
    sink->is_dirty |= is_changed;
    buffer_finish(&texts);
    return code;
}

/* Where it begins if it remembers nothing. */
static enum error_code learn(struct sink *sink, struct span record, struct error *why) {
    if (record.length > 0) {
        enum error_code code = ledger_record_parse(record, &sink->ledger);
        if (code != OK) {
            return error_set(why, code, "what the sink %s remembers cannot be read",
                             sink->row->name);
        }
    }
    enum error_code code = take_view(sink);
    if (code != OK) {
        return error_set(why, code, "no memory for a sink");
    }
    if (sink->ledger.has_floor) {
        return OK;
    }
    code = since_parse(span_of_string(sink->row->start), &sink->start, why);
    if (code != OK || sink->start.kind != SINCE_NOW) {
        return code;
    }
    struct log *log = sink->sinks->broker->log;
    sink->ledger.floor = (struct place){.log_id = log_id(log),
                                        .generation = log_generation(log),
                                        .position = log_position_readable(log)};
    sink->ledger.has_floor = true;
    sink->is_dirty = true;
    return OK;
}

enum error_code sink_create(struct sinks *sinks, const struct sink_row *row, bool owns_row,
                            struct span record, struct sink **ret_sink, struct error *why) {
    struct sink *sink = calloc(1, sizeof(*sink));
    if (sink == NULL) {
        if (owns_row) {
            declaration_destroy((struct sink_row *)(uintptr_t)row);
        }
        return error_set(why, ERR_MEMORY, "no memory for a sink");
    }
    sink->sinks = sinks;
    sink->row = row;
    sink->owns_row = owns_row;
    sink->is_paused_by_row = row->is_paused;
    sink->driver = driver_of(row);
    sink->is_ledger_wanted = true;
    sink->timer.on_due = on_due;
    loop_chore_init(&sink->chore, on_turn);
    list_init(&sink->in_readers);
    list_init(&sink->waiting);
    list_init(&sink->shipped);
    list_init(&sink->dying);
    list_init(&sink->askers);
    ledger_init(&sink->ledger);
    retries_init(&sink->retries, row);
    breaker_init(&sink->breaker);
    INVARIANT(sink->driver != NULL);
    enum error_code code = take_interests(sink);
    code = code != OK ? error_set(why, code, "no memory for a sink") : learn(sink, record, why);
    if (code != OK) {
        sink_destroy(sink);
        return code;
    }
    breaker_restore(&sink->breaker, &sink->ledger);
    sink->read_place = sink->ledger.floor;
    sink->floor_stored = sink->ledger.floor.position;
    sink->state_told = sink_find_state(sink);
    *ret_sink = sink;
    return OK;
}

void sink_destroy(struct sink *sink) {
    if (sink == NULL) {
        return;
    }
    INVARIANT(!sink->is_started);
    INVARIANT(sink->letters_out == 0);
    INVARIANT(list_is_empty(&sink->askers));
    list_remove(&sink->in_readers);
    reviving_end(sink);
    if (sink->driver_state != NULL) {
        sink->driver->close(sink->driver_state);
    }
    for (size_t i = 0; i < sink->selector_count; i++) {
        interests_remove(&sink->sinks->interests, &sink->interests[i]);
    }
    free(sink->interests);
    free(sink->selectors);
    let_go(sink);
    INVARIANT(sink->backlog == NULL);
    sink_count_backlog(sink);
    ledger_finish(&sink->ledger);
    for (size_t i = 0; i < sink->letter_count; i++) {
        message_unref(sink->letters[i]);
    }
    free(sink->letters);
    if (sink->owns_row) {
        declaration_destroy((struct sink_row *)(uintptr_t)sink->row);
    }
    free(sink);
}

void sink_start(struct sink *sink) {
    INVARIANT(!sink->is_started);
    sink->is_started = true;
    sink_wake(sink);
}

void sink_abort(struct sink *sink) {
    if (sink != NULL) {
        loop_take_chore_back(&sink->chore);
        sink->is_started = false;
        sink_destroy(sink);
    }
}

void sink_end(struct sink *sink, bool is_ledger_wanted, void (*on_ended)(struct sink *sink)) {
    sink->is_ledger_wanted = is_ledger_wanted;
    sink->on_ended = on_ended;
    sink->is_started = true; /* one that never began ends in the same way */
    sink_wake(sink);
}

const struct sink_row *sink_row(const struct sink *sink) {
    return sink->row;
}

struct span sink_name(const struct sink *sink) {
    return span_of_string(sink->row->name);
}

struct sinks *sink_owner(const struct sink *sink) {
    return sink->sinks;
}

bool sink_is_ending(const struct sink *sink) {
    return sink->on_ended != NULL;
}

enum error_code sink_put_ledger(const struct sink *sink, struct buffer *buffer) {
    return ledger_record_put(buffer, &sink->ledger);
}

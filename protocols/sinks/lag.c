/* SPDX-License-Identifier: Apache-2.0 */
/* How a sink is doing, in numbers. How many messages it lacks is measured in the log, on a read
 * thread, a sink after the other; of one that stands at the head nothing has to be measured. */
#include <stdlib.h>

#include "broker/support/clock.h"
#include "protocols/sinks/sink_private.h"

/* A look under way. */
struct measure {
    struct read read;
    struct sink *sink;
    uint64_t messages;
    bool is_exact;
    uint64_t oldest_ms;
};

/* On a read thread. */
static enum error_code on_work(struct read *read, struct storage *storage) {
    struct measure *measure = CONTAINER_OF(read, struct measure, read);
    uint64_t bytes = 0;
    enum error_code code =
        storage_measure(storage, &read->query, &read->query.place, &measure->messages, &bytes,
                        &measure->is_exact, &read->why);
    if (code == OK && measure->messages > 0) {
        code = storage_read(storage, &read->query, &read->page, &read->why);
        measure->oldest_ms =
            code == OK && read->page.count > 0 ? read->page.messages[0]->time_ms : 0;
    }
    return code;
}

static void on_measured(struct read *read) {
    struct measure *measure = CONTAINER_OF(read, struct measure, read);
    struct sink *sink = measure->sink;
    sink->letters_out--;
    sink->is_measuring = false;
    if (read->result == OK) {
        sink->lag_messages = measure->messages;
        sink->is_lag_exact = measure->is_exact;
        sink->lag_oldest_ms = measure->oldest_ms;
    }
    reads_release(sink->sinks->broker->reads, read);
    free(measure);
    sink_wake(sink);
}

static bool is_done(const struct sink *sink) {
    return sink->is_at_head && (sink->backlog == NULL || backlog_count(sink->backlog) == 0);
}

/* Of a sink with nothing to do the place moves over what is others', so that a restart does not
 * walk through it; it is stored now and then. */
static void move_over_others(struct sink *sink) {
    uint64_t position = sink->sinks->position;
    if (position <= sink->read_place.position || sink->news_position > sink->read_place.position ||
        sink->backlog == NULL || sink->page != NULL) {
        return;
    }
    struct log *log = sink->sinks->broker->log;
    struct place place = {
        .log_id = log_id(log), .generation = log_generation(log), .position = position};
    backlog_pass(sink->backlog, &place);
    sink->read_place = place;
    bool was_dirty = sink->is_dirty;
    settling_advance(sink);
    if (position - sink->floor_stored < SINK_IDLE_POSITIONS) {
        sink->is_dirty = was_dirty;
    }
}

static void note_rate(struct sink *sink) {
    uint64_t now_ms = loop_now_ms(sink->sinks->loop);
    uint64_t passed_ms = now_ms - sink->rate_ms;
    if (sink->rate_ms != 0 && passed_ms > 0) {
        sink->rate = ((sink->messages - sink->rate_messages) * 1000 + passed_ms / 2) / passed_ms;
    }
    sink->rate_ms = now_ms;
    sink->rate_messages = sink->messages;
}

void sink_measure(struct sink *sink) {
    note_rate(sink);
    if (is_done(sink)) {
        sink->lag_messages = 0;
        sink->lag_oldest_ms = 0;
        sink->is_lag_exact = true;
        move_over_others(sink);
        sink_wake(sink);
        return;
    }
    struct measure *measure =
        sink->is_measuring || !sink->is_started || !sink->ledger.has_floor || sink->on_ended != NULL
            ? NULL
            : calloc(1, sizeof(*measure));
    if (measure == NULL) {
        return;
    }
    measure->sink = sink;
    measure->read.reply_to = loop_mailbox(sink->sinks->loop);
    measure->read.on_read = on_measured;
    measure->read.on_work = on_work;
    measure->read.query = (struct storage_query){.selectors = sink->selectors,
                                                 .selector_count = sink->selector_count,
                                                 .start = STORAGE_AFTER_PLACE,
                                                 .place = sink->ledger.floor,
                                                 .limit = 1,
                                                 .bytes_max = 1};
    sink->is_measuring = true;
    sink->letters_out++;
    reads_submit(sink->sinks->broker->reads, &measure->read);
}

/* Wall clock; 0: nothing waits for its time. A connection that is down is made again first. */
static uint64_t find_next_attempt(const struct sink *sink, uint64_t now_ms) {
    if (sink->breaker.state == LEDGER_OPEN) {
        return sink->breaker.until_ms;
    }
    uint64_t turn_ms = loop_now_ms(sink->sinks->loop);
    if (sink->driving == DRIVING_DOWN && sink_runs(sink) && sink->restart_ms > turn_ms) {
        return now_ms + (sink->restart_ms - turn_ms);
    }
    return sink->next_attempt_ms;
}

/* Not less than what is known to wait: it is counted now and then only. */
static uint64_t find_lag(const struct sink *sink) {
    if (is_done(sink)) {
        return 0;
    }
    uint64_t lag = sink->lag_messages;
    size_t held = sink->backlog == NULL ? 0 : backlog_count(sink->backlog);
    lag = lag > held ? lag : held;
    return lag > sink->ledger.failure_count ? lag : sink->ledger.failure_count;
}

void sink_get_figures(const struct sink *sink, struct sink_figures *ret_figures) {
    uint64_t now_ms = clock_wall_ms();
    const struct message *first = sink->backlog == NULL ? NULL : backlog_first(sink->backlog);
    uint64_t lag = find_lag(sink);
    uint64_t oldest_ms = first != NULL ? first->time_ms : is_done(sink) ? 0 : sink->lag_oldest_ms;
    *ret_figures = (struct sink_figures){
        .kind = sink->driver->kind,
        .is_configured = !sink->owns_row,
        .state = sink_find_state(sink),
        .breaker = sink->breaker.state,
        .status_last = sink->status_last,
        .floor = sink->ledger.floor,
        .lag_messages = lag,
        .is_lag_exact = is_done(sink) || (sink->is_lag_exact && lag == sink->lag_messages),
        .lag_ms = oldest_ms == 0 || oldest_ms >= now_ms ? 0 : now_ms - oldest_ms,
        .in_flight = sink->under_way,
        .waiting = sink->backlog == NULL ? 0 : backlog_waiting(sink->backlog),
        .window = sink->driver_state == NULL ? 0
                  : sink->terms.is_pipelined ? sink->terms.shipments_max
                                             : tempo_window(&sink->tempo),
        .memory_bytes = sizeof(*sink) + sink->backlog_bytes + ledger_memory_bytes(&sink->ledger),
        .messages = sink->messages,
        .rate = sink->rate,
        .bytes = sink->bytes,
        .dead = sink->dead,
        .gaps = sink->gaps,
        .failing_since_ms = sink->ledger.failing_since_ms,
        .next_attempt_ms = find_next_attempt(sink, now_ms),
        .latency_us_sum = sink->latency_us_sum};
    const char *detail = sink->ledger.halt == LEDGER_DISABLED ? sink->ledger.reason : sink->detail;
    snprintf(ret_figures->name, sizeof(ret_figures->name), "%s", sink->row->name);
    snprintf(ret_figures->detail, sizeof(ret_figures->detail), "%s", detail);
    memcpy(ret_figures->attempts, sink->attempts, sizeof(sink->attempts));
    memcpy(ret_figures->latency_us, sink->latency_us, sizeof(sink->latency_us));
}

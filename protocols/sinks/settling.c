/* SPDX-License-Identifier: Apache-2.0 */
/* What became of a shipment, as the ledger, the breaker and the tempo are told it. Nothing is
 * shipped from here: a driver may settle within ship(). */
#include <stdlib.h>

#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/sinks/sink_private.h"

const uint64_t sink_latency_bounds_us[SINK_LATENCY_BUCKETS] = {
    1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000, 2500000, 10000000, 30000000};

/* --- figures --------------------------------------------------------------------------------- */

static void count(struct sink *sink, const struct parcel *parcel, const struct verdict *verdict,
                  uint64_t now_us) {
    uint64_t took_us = now_us - parcel->shipment.shipped_us;
    sink->attempts[verdict->outcome]++;
    if (verdict->outcome == OUTCOME_ABANDONED) {
        return;
    }
    size_t bucket = 0;
    while (bucket < SINK_LATENCY_BUCKETS && took_us > sink_latency_bounds_us[bucket]) {
        bucket++;
    }
    sink->latency_us[bucket]++;
    sink->latency_us_sum += took_us;
    if (verdict->outcome == OUTCOME_DELIVERED) {
        sink->messages += parcel->shipment.count;
        sink->bytes += parcel->shipment.bytes;
        sink->ledger.delivered_count += parcel->shipment.count;
        sink->status_last = verdict->status;
    } else {
        sink_set_detail(sink, verdict);
    }
}

/* --- the ledger ------------------------------------------------------------------------------ */

void settling_advance(struct sink *sink) {
    struct place floor;
    if (sink->backlog != NULL && backlog_advance(sink->backlog, &floor) &&
        floor.position > sink->ledger.floor.position) {
        ledger_move_floor(&sink->ledger, &floor);
        sink->is_dirty = true;
    }
}

/* Many holes, as behind a channel that is failing: the ledger is told which lanes are not done, in
 * place of what of the others is. Without memory it has its ranges. */
static void condense(struct sink *sink) {
    struct stratum *now = &sink->ledger.now;
    struct stratum_hold *holds;
    size_t count;
    uint64_t reach;
    bool has_lanes = now->has_lanes && !sink->terms.is_pipelined;
    if (!has_lanes || !stratum_is_crowded(now) ||
        backlog_list_holds(sink->backlog, &holds, &count, &reach) != OK) {
        return;
    }
    if (reach <= sink->ledger.floor.position) {
        free(holds);
    } else {
        IGNORE_RESULT(stratum_condense(now, reach, holds, count));
    }
}

/* Done, if not for the best of reasons. What found no room in the ledger is done all the same, and
 * may be sent once more behind a restart. */
static void finish(struct sink *sink, const struct parcel *parcel) {
    uint64_t previous = 0;
    if (parcel->is_batch) {
        ledger_remove_batch(&sink->ledger, parcel->messages[0]->place.position);
    }
    for (size_t i = 0; i < parcel->shipment.count; i++) {
        uint64_t position = parcel->messages[i]->place.position;
        backlog_settle(sink->backlog, parcel->items[i], &previous);
        IGNORE_RESULT(ledger_put_done(&sink->ledger, position, previous));
    }
    sink->is_dirty = true;
    settling_advance(sink);
    condense(sink);
}

void settling_put_back(struct parcel *parcel) {
    struct sink *sink = parcel->shipment.sink;
    for (size_t i = 0; i < parcel->shipment.count; i++) {
        struct backlog_item *item = parcel->items[i];
        backlog_put_back(sink->backlog, item, item->attempts, item->due_ms);
    }
    parcel_destroy(parcel);
}

/* --- dead letters ---------------------------------------------------------------------------- */

static void die(struct sink *sink, struct parcel *parcel, const struct verdict *verdict) {
    parcel->verdict = malloc(sizeof(*parcel->verdict));
    if (parcel->verdict != NULL) {
        *parcel->verdict = *verdict;
    }
    list_put_tail(&sink->dying, &parcel->in_sink);
}

void settling_bury(struct parcel *parcel) {
    struct sink *sink = parcel->shipment.sink;
    sink->dead += parcel->shipment.count;
    sink->ledger.dead_count += parcel->shipment.count;
    finish(sink, parcel);
    parcel_destroy(parcel);
}

/* --- it was not taken ------------------------------------------------------------------------ */

/* All of it waits for the same moment. */
static void put_off(struct sink *sink, struct parcel *parcel, uint32_t attempts_max,
                    uint64_t due_ms) {
    for (size_t i = 0; i < parcel->shipment.count; i++) {
        struct backlog_item *item = parcel->items[i];
        uint32_t attempts = item->attempts < attempts_max ? item->attempts + 1 : attempts_max;
        struct ledger_failure failure = {
            .position = item->message->place.position, .attempts = attempts, .due_ms = due_ms};
        /* Without room a restart counts its attempts anew. */
        IGNORE_RESULT(ledger_put_failure(&sink->ledger, &failure));
        backlog_put_back(sink->backlog, item, attempts, due_ms);
    }
    sink->is_dirty = true;
    parcel_destroy(parcel);
}

/* Several messages do not become dead letters for the sake of one: the last attempt is each one's
 * own. */
static void set_apart(struct sink *sink, struct parcel *parcel) {
    ledger_remove_batch(&sink->ledger, parcel->messages[0]->place.position);
    backlog_set_apart(sink->backlog, parcel->items, parcel->shipment.count);
}

/* False: no more attempts. */
static bool wait_for_next(struct sink *sink, struct parcel *parcel, const struct verdict *verdict) {
    uint64_t due_ms = 0;
    uint32_t attempts = parcel->shipment.attempt;
    uint32_t attempts_max = UINT32_MAX;
    bool is_any = retries_next(&sink->retries, attempts, clock_wall_ms(), verdict->retry_after_ms,
                               sinks_draw(sink->sinks), &due_ms);
    if (parcel->is_batch && parcel->shipment.count > 1 && attempts >= sink->retries.count) {
        attempts_max = (uint32_t)sink->retries.count;
        set_apart(sink, parcel);
    } else if (!is_any) {
        return false;
    }
    if (sink->terms.is_pipelined) {
        due_ms = 0; /* the driver goes down with it: what it held goes again together, in order */
    }
    put_off(sink, parcel, attempts_max, due_ms);
    return true;
}

/* The endpoint was back for a moment, and is gone again: nothing that began with this or later was
 * taken. That is no attempt, or one that comes and goes would burn them all; and the breaker opens
 * at once, unless it says when it takes the next: the breaker would keep it waiting for longer.
 * What is not answered while others are, is so by itself, and counts. */
static bool is_flap(const struct sink *sink, const struct parcel *parcel,
                    const struct verdict *verdict) {
    return verdict->outcome != OUTCOME_FAILED && breaker_is_on_trial(&sink->breaker) &&
           sink->taken_us < parcel->shipment.shipped_us;
}

/* An attempt that nobody answered counts as long as the breaker was closed: else a dead endpoint
 * would burn all of them. So would one that refuses everything, by probes that come early. */
static bool counts(const struct parcel *parcel, const struct verdict *verdict, bool has_flapped) {
    return !parcel->is_early &&
           (verdict->outcome == OUTCOME_FAILED || (!parcel->is_probe && !has_flapped));
}

/* That one message was refused again says nothing new of the endpoint, and would keep all others
 * waiting. */
static bool says_nothing(const struct parcel *parcel, const struct verdict *verdict) {
    return verdict->outcome == OUTCOME_FAILED && parcel->shipment.attempt > 1 && !parcel->is_probe;
}

/* One message was twice not answered, or was too much, with time and no success in between: however
 * few messages there are to count by, the breaker opens. Else a sink of one channel would wait by
 * the schedule, half an hour behind an outage of six minutes. */
static bool is_down_for_sure(const struct sink *sink, const struct parcel *parcel,
                             const struct verdict *verdict, uint64_t now_ms) {
    uint64_t since_ms = sink->ledger.failing_since_ms;
    return verdict->outcome != OUTCOME_FAILED && parcel->shipment.attempt > 1 && since_ms != 0 &&
           now_ms >= since_ms + SINK_AGAIN_MS;
}

static void note_failure(struct sink *sink, const struct parcel *parcel,
                         const struct verdict *verdict, bool has_flapped) {
    uint64_t now_ms = clock_wall_ms();
    bool is_gone = has_flapped && verdict->retry_after_ms == 0;
    bool is_down = is_gone || is_down_for_sure(sink, parcel, verdict, now_ms);
    sink_note_failing(sink);
    sink->is_proven &= verdict->outcome == OUTCOME_FAILED;
    if (sink->terms.is_pipelined || says_nothing(parcel, verdict)) {
        breaker_on_abandoned(&sink->breaker, parcel->is_probe);
    } else {
        do {
            breaker_on_failure(&sink->breaker, parcel->is_probe, now_ms, verdict->retry_after_ms,
                               sinks_draw(sink->sinks));
        } while (is_down && sink->breaker.state == LEDGER_CLOSED);
    }
}

static void settle_failed(struct sink *sink, struct parcel *parcel, const struct verdict *verdict) {
    bool has_flapped = is_flap(sink, parcel, verdict);
    note_failure(sink, parcel, verdict, has_flapped);
    if (!counts(parcel, verdict, has_flapped)) {
        settling_put_back(parcel);
    } else if (!wait_for_next(sink, parcel, verdict)) {
        die(sink, parcel, verdict);
    }
}

static void settle_refused(struct sink *sink, struct parcel *parcel,
                           const struct verdict *verdict) {
    if (parcel->is_batch && parcel->shipment.count > 1) { /* which of them, says each alone */
        set_apart(sink, parcel);
        settling_put_back(parcel);
    } else {
        die(sink, parcel, verdict);
    }
}

/* --- a shipment is the sink's again ---------------------------------------------------------- */

static void settle_course(struct sink *sink, struct parcel *parcel, const struct verdict *verdict) {
    switch (verdict->outcome) {
    case OUTCOME_DELIVERED:
        breaker_on_success(&sink->breaker, parcel->is_probe);
        if (parcel->shipment.shipped_us > sink->taken_us) {
            sink->taken_us = parcel->shipment.shipped_us;
        }
        sink->is_proven = true;
        sink->ledger.failing_since_ms = 0;
        finish(sink, parcel);
        parcel_destroy(parcel);
        break;
    case OUTCOME_FAILED:
    case OUTCOME_THROTTLED:
    case OUTCOME_UNREACHED:
        settle_failed(sink, parcel, verdict);
        break;
    case OUTCOME_REFUSED: /* says nothing of the endpoint */
        breaker_on_abandoned(&sink->breaker, parcel->is_probe);
        settle_refused(sink, parcel, verdict);
        break;
    case OUTCOME_GONE:
        breaker_on_abandoned(&sink->breaker, parcel->is_probe);
        settling_put_back(parcel);
        sink_on_gone(sink, verdict);
        break;
    case OUTCOME_ABANDONED:
    case OUTCOME_COUNT:
        breaker_on_abandoned(&sink->breaker, parcel->is_probe);
        settling_put_back(parcel);
        break;
    }
}

void sink_on_settled(struct shipment *shipment, const struct verdict *given) {
    struct parcel *parcel = CONTAINER_OF(shipment, struct parcel, shipment);
    struct sink *sink = shipment->sink;
    uint64_t now_us = clock_monotonic_us();
    struct verdict verdict = *given;
    INVARIANT(verdict.outcome < OUTCOME_COUNT);
    if (verdict.retry_after_ms > sink->retries.after_ms_max) {
        verdict.retry_after_ms = sink->retries.after_ms_max;
    }
    list_remove(&parcel->in_sink);
    if (parcel->kind == PARCEL_TEST) {
        errands_on_test_settled(sink, &verdict);
        return;
    }
    INVARIANT(sink->under_way > 0);
    sink->under_way--;
    count(sink, parcel, &verdict, now_us);
    tempo_on_settled(&sink->tempo, verdict.outcome, shipment->shipped_us, now_us,
                     verdict.retry_after_ms);
    if (parcel->kind == PARCEL_REVIVED) {
        reviving_on_settled(parcel, &verdict);
    } else {
        settle_course(sink, parcel, &verdict);
    }
    sink_wake(sink);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/stage.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clients/bench/fail.h"
#include "clients/bench/moment.h"
#include "clients/bench/subject.h"

#define TURN_MS 10
#define DRAIN_TURN_MS 2
#define BUSY_LENGTH_S 0.5     /* less tells nothing of how busy a thread is */
#define SETTLE_NS 50000000ull /* counting what everyone lacks costs, so not each turn */

/* --- figures --------------------------------------------------------------------------------- */

static void collect_readers(struct stage *stage, struct stage_totals *totals) {
    struct stage_parts *parts = stage->parts;
    if (parts->readers == NULL) {
        return;
    }
    struct readers_figures figures = {.delivery = parts->second, .connect = parts->connect};
    readers_collect(parts->readers, &figures);
    const struct receipt_counts *came = &figures.sums.counts;
    struct counts *counts = &totals->counts;
    counts->delivered = came->unique + came->duplicates;
    counts->delivered_bytes = came->bytes;
    counts->duplicates = came->duplicates;
    counts->reordered = came->reordered;
    counts->foreign = came->foreign;
    counts->connected = figures.sums.connected;
    counts->unconnected = figures.sums.unconnected;
    counts->closed = figures.sums.closed;
    totals->overdue = came->overdue;
    totals->last_delivery_ns = came->last_ns;
}

static void collect_publishers(struct stage *stage, struct stage_totals *totals) {
    struct stage_parts *parts = stage->parts;
    if (parts->publishers == NULL) {
        return;
    }
    struct publishers_figures figures = {.answer = stage->answer};
    publishers_collect(parts->publishers, &figures);
    totals->counts.due = figures.due;
    totals->counts.published = figures.published;
    totals->counts.answered = figures.answered;
    totals->counts.refused = figures.refused;
    totals->counts.unanswered = figures.unanswered;
    totals->last_put_ns = figures.last_ns;
    totals->publishing_s = figures.cpu_s;
}

static struct stage_totals collect(struct stage *stage) {
    struct stage_totals totals = {0};
    collect_readers(stage, &totals);
    collect_publishers(stage, &totals);
    return totals;
}

/* What lacks at the moment when `counts` were collected: what came since then lacks there, too. */
static uint64_t settle(struct stage *stage, const struct counts *counts) {
    struct stage_parts *parts = stage->parts;
    if (parts->readers == NULL || parts->publishers == NULL) {
        return 0;
    }
    uint64_t unique;
    sendings_copy(parts->sendings, parts->published);
    uint64_t lost = readers_settle(parts->readers, parts->published, &unique);
    return lost + unique - (counts->delivered - counts->duplicates);
}

/* What lacks of the stage itself. What is overdue stays lost to the stage that waited for it, and
 * hides no loss of this one. */
static uint64_t lost_of(const struct stage *stage, const struct stage_totals *totals) {
    uint64_t overdue = totals->overdue - stage->before.overdue;
    uint64_t lost = totals->counts.lost + overdue;
    return lost > stage->before.counts.lost ? lost - stage->before.counts.lost : 0;
}

/* Do all have all, or as much as when the stage began? */
static bool is_settled(struct stage *stage) {
    struct stage_totals totals = collect(stage);
    totals.counts.lost = settle(stage, &totals.counts);
    return lost_of(stage, &totals) == 0;
}

/* --- the seconds ----------------------------------------------------------------------------- */

static double seconds_of(uint64_t from_ns, uint64_t to_ns) {
    return to_ns > from_ns ? (double)(to_ns - from_ns) / (double)MOMENT_SECOND_NS : 0;
}

static void note_busy(double *most, double share) {
    *most = share > *most ? share : *most;
}

/* The time is taken behind the counts, which wait for other threads: nothing is in them that came
 * later. */
static void end_second(struct stage *stage) {
    struct stage_parts *parts = stage->parts;
    struct stage_totals totals = collect(stage);
    uint64_t now_ns = moment_now_ns();
    if (stage->is_measured) {
        const struct counts *latest = &stage->latest.counts;
        struct result_second second = {.from_s =
                                           seconds_of(parts->started_ns, stage->second_from_ns),
                                       .length_s = seconds_of(stage->second_from_ns, now_ns),
                                       .due = totals.counts.due - latest->due,
                                       .published = totals.counts.published - latest->published,
                                       .delivered = totals.counts.delivered - latest->delivered};
        rows_add(&parts->rows, &second, parts->second);
        if (second.length_s >= ROWS_SECOND_LEAST_S) {
            live_tell_second(&parts->live, &second);
        }
    }
    histogram_merge(stage->delivery, parts->second);
    memset(parts->second, 0, sizeof(*parts->second));
    double length_s = seconds_of(stage->second_from_ns, now_ns);
    double reading_s = parts->readers == NULL ? 0 : readers_take_cpu_s(parts->readers);
    if (stage->is_measured && length_s > BUSY_LENGTH_S) {
        note_busy(&parts->busy_reading, reading_s / length_s);
        note_busy(&parts->busy_publishing,
                  (totals.publishing_s - stage->latest.publishing_s) / length_s);
    }
    stage->latest = totals;
    parts->latest = totals.counts;
    stage->second_from_ns = now_ns;
    uint64_t rss = subject_get_rss_bytes(parts->settings->pid);
    parts->rss_highest_bytes = rss > parts->rss_highest_bytes ? rss : parts->rss_highest_bytes;
}

void stage_wait_signal(struct stage_parts *parts, int wait_ms) {
    struct pollfd signals = {.fd = parts->signals, .events = POLLIN};
    struct signalfd_siginfo told;
    if (poll(&signals, 1, wait_ms) == 1 &&
        read(parts->signals, &told, sizeof(told)) == (ssize_t)sizeof(told)) {
        parts->interrupts++;
        parts->signal = (int)told.ssi_signo;
    }
}

static bool is_gone(const struct stage_parts *parts) {
    if (parts->readers == NULL) {
        return false;
    }
    struct readers_progress progress = readers_look(parts->readers);
    return progress.alive == 0 && progress.closed > 0;
}

void stage_turn(struct stage *stage, int wait_ms) {
    struct stage_parts *parts = stage->parts;
    stage_wait_signal(parts, wait_ms);
    parts->is_gone = is_gone(parts);
    if (moment_now_ns() >= stage->next_second_ns) {
        end_second(stage);
        stage->next_second_ns += MOMENT_SECOND_NS;
    }
}

/* --- its course ------------------------------------------------------------------------------ */

void stage_begin(struct stage *stage, struct stage_parts *parts, bool is_measured) {
    *stage = (struct stage){.parts = parts,
                            .is_measured = is_measured,
                            .delivery = histogram_create(),
                            .answer = histogram_create()};
    if (stage->delivery == NULL || stage->answer == NULL) {
        bench_fail("out of memory");
    }
    if (parts->readers != NULL) {
        readers_mark(parts->readers, moment_now_ns());
    }
    stage->before = collect(stage); /* and the histograms are empty now */
    if (parts->readers != NULL) {
        readers_take_cpu_s(parts->readers); /* what was before is none of its seconds */
    }
    stage->before.counts.lost = settle(stage, &stage->before.counts);
    memset(stage->answer, 0, sizeof(*stage->answer));
    memset(parts->second, 0, sizeof(*parts->second));
    stage->latest = stage->before;
    stage->begin_ns = moment_now_ns();
    stage->second_from_ns = stage->begin_ns;
    stage->next_second_ns = stage->begin_ns + MOMENT_SECOND_NS;
    stage->cpu_before_s = subject_get_cpu_s(parts->settings->pid);
    if (is_measured && parts->started_ns == 0) {
        parts->started_ns = stage->begin_ns;
    }
}

static bool is_published(const struct stage_parts *parts) {
    return parts->publishers == NULL || publishers_look(parts->publishers).is_done;
}

void stage_publish(struct stage *stage, const struct publishers_task *task, uint64_t duration_ns) {
    struct stage_parts *parts = stage->parts;
    uint64_t begin_ns = moment_now_ns();
    uint64_t end_ns = begin_ns + duration_ns;
    if (parts->readers != NULL) {
        readers_begin(parts->readers, begin_ns);
    }
    if (task != NULL) {
        struct publishers_task dated = *task;
        dated.begin_ns = begin_ns;
        dated.end_ns = end_ns;
        publishers_begin(parts->publishers, &dated);
    }
    stage->asked_s = seconds_of(begin_ns, end_ns);
    /* What is late has the time of the drain to be sent. */
    uint64_t deadline_ns = end_ns + (task != NULL ? parts->settings->drain : 0);
    uint64_t now_ns = begin_ns;
    bool is_late = false;
    while (now_ns < deadline_ns && parts->interrupts == 0 && !parts->is_gone) {
        uint64_t left_ms = (deadline_ns - now_ns) / 1000000 + 1;
        stage_turn(stage, left_ms < TURN_MS ? (int)left_ms : TURN_MS);
        now_ns = moment_now_ns();
        if (task != NULL && now_ns >= end_ns && is_published(parts)) {
            break;
        }
        if (!is_late && now_ns >= end_ns + STAGE_GRACE_NS) {
            stage->in_time = collect(stage).counts.published;
            is_late = true;
        }
    }
    stage->in_time = is_late ? stage->in_time : collect(stage).counts.published;
    if (now_ns < end_ns) {
        stage->asked_s = seconds_of(begin_ns, now_ns);
    }
    if (task != NULL && !is_published(parts)) {
        publishers_stop(parts->publishers);
    }
}

static bool is_answered(const struct stage_parts *parts) {
    return parts->publishers == NULL || publishers_look(parts->publishers).under_way == 0;
}

/* Readers that churned are there again, or are known not to be. */
static bool is_back(const struct stage_parts *parts) {
    return parts->readers == NULL || readers_look(parts->readers).coming == 0;
}

static bool is_complete(const struct stage *stage) {
    const struct stage_parts *parts = stage->parts;
    if (!is_answered(parts) || !is_back(parts)) {
        return false;
    }
    if (parts->publishers == NULL || parts->readers == NULL) {
        return true;
    }
    if (parts->settings->churn > 0) {
        return false; /* who came again may have got some twice, and lacks others */
    }
    uint64_t expected = publishers_look(parts->publishers).expected - parts->not_expected;
    return readers_look(parts->readers).unique >= expected;
}

/* Nobody is left who could get what is under way. */
static bool is_hopeless(const struct stage_parts *parts) {
    return parts->readers != NULL && readers_look(parts->readers).alive == 0 && is_answered(parts);
}

static void drain(struct stage *stage) {
    struct stage_parts *parts = stage->parts;
    uint64_t now_ns = moment_now_ns();
    uint64_t deadline_ns = now_ns + parts->settings->drain;
    uint64_t settle_ns = now_ns + SETTLE_NS;
    unsigned interrupts = parts->interrupts;
    while (now_ns < deadline_ns && !is_complete(stage) && !is_hopeless(parts)) {
        stage_turn(stage, DRAIN_TURN_MS);
        now_ns = moment_now_ns();
        if (parts->interrupts > interrupts) {
            break; /* told again, or only now: at once */
        }
        if (now_ns >= settle_ns) {
            if (is_answered(parts) && is_back(parts) && is_settled(stage)) {
                break; /* readers that came later, or never, are not waited for */
            }
            settle_ns = moment_now_ns() + SETTLE_NS;
        }
    }
    parts->is_gone = is_gone(parts); /* perhaps before the first turn */
}

static void fill_counts(const struct stage *stage, const struct stage_totals *totals,
                        struct counts *counts) {
    const struct counts *from = &stage->before.counts;
    const struct counts *to = &totals->counts;
    *counts = (struct counts){
        .due = to->due - from->due,
        .published = to->published - from->published,
        .in_time = stage->in_time > from->published ? stage->in_time - from->published : 0,
        .answered = to->answered - from->answered,
        .refused = to->refused - from->refused,
        .unanswered = to->unanswered > from->unanswered ? to->unanswered - from->unanswered : 0,
        .delivered = to->delivered - from->delivered - (totals->overdue - stage->before.overdue),
        .delivered_bytes = to->delivered_bytes - from->delivered_bytes,
        .lost = lost_of(stage, totals),
        .duplicates = to->duplicates - from->duplicates,
        .reordered = to->reordered - from->reordered,
        .foreign = to->foreign - from->foreign,
        .connected = to->connected - from->connected,
        .unconnected = to->unconnected - from->unconnected,
        .closed = to->closed - from->closed,
    };
    counts->expected = counts->delivered - counts->duplicates + counts->lost;
}

void stage_end(struct stage *stage, struct result_step *ret_step) {
    struct stage_parts *parts = stage->parts;
    if (parts->readers != NULL) {
        readers_calm(parts->readers);
    }
    drain(stage);
    if (parts->readers != NULL) {
        readers_miss(parts->readers);
    }
    uint64_t now_ns = moment_now_ns();
    double cpu_s = subject_get_cpu_s(parts->settings->pid);
    end_second(stage);
    struct stage_totals totals = stage->latest;
    totals.counts.lost = settle(stage, &totals.counts);
    double put_s = totals.last_put_ns > stage->before.last_put_ns
                       ? seconds_of(stage->begin_ns, totals.last_put_ns)
                       : 0;
    double delivered_s = totals.last_delivery_ns > stage->before.last_delivery_ns
                             ? seconds_of(stage->begin_ns, totals.last_delivery_ns)
                             : 0;
    *ret_step =
        (struct result_step){.seconds = put_s > stage->asked_s ? put_s : stage->asked_s,
                             .delivery = stage->delivery,
                             .answer = stage->answer,
                             .server_cpu_s = subject_get_cpu_between_s(stage->cpu_before_s, cpu_s),
                             .server_seconds = seconds_of(stage->begin_ns, now_ns)};
    ret_step->delivery_seconds = delivered_s > ret_step->seconds ? delivered_s : ret_step->seconds;
    fill_counts(stage, &totals, &ret_step->counts);
    stage->delivery = stage->answer = NULL;
}

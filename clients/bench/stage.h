/* SPDX-License-Identifier: Apache-2.0 */
/* stage.h — one stretch of a load that is measured by itself: publish, wait for what is under way,
 * count what lacks.
 *
 * Place:   load.c runs the warm-up, the whole, or each step as one.
 * Thread:  main.
 * Bounds:  ends with the task's time and the drain's; earlier when nothing is left to wait for,
 *          when the server is gone, or at a signal.
 */
#pragma once

#include <stdbool.h>

#include "clients/bench/live.h"
#include "clients/bench/publishers.h"
#include "clients/bench/readers.h"
#include "clients/bench/result.h"
#include "clients/bench/rows.h"

/* So much later than the schedule a message may be sent and counts as in time: the last one of each
 * schedule is due when it ends. */
#define STAGE_GRACE_NS 100000000ull

/* What all stages of a load share. */
struct stage_parts {
    const struct settings *settings;
    struct readers *readers;       /* NULL: nobody reads */
    struct publishers *publishers; /* NULL: nobody publishes */
    struct sendings *sendings;     /* how many were published … */
    uint64_t *published;           /* … and room for a copy */
    uint64_t not_expected;         /* deliveries of what was published before the readers came */
    struct histogram *connect;
    struct histogram *second; /* of the second that goes on */
    struct rows rows;
    struct live live;
    int signals;          /* signalfd of SIGINT and SIGTERM */
    uint64_t started_ns;  /* of the first stage that is measured; 0: not yet */
    struct counts latest; /* since the load began, as of the last second */
    uint64_t rss_highest_bytes;
    unsigned interrupts;    /* signals that came */
    int signal;             /* the last of them */
    double busy_reading;    /* share of its time that a thread that reads was, at most … */
    double busy_publishing; /* … and that which publishes */
    bool is_gone;           /* the server closed every reader */
};

struct stage_totals {
    struct counts counts; /* `lost` among them; not `expected` */
    uint64_t overdue;     /* deliveries that an earlier stage had counted as lost */
    uint64_t last_put_ns;
    uint64_t last_delivery_ns;
    double publishing_s; /* CPU time of the thread that publishes */
};

struct stage {
    struct stage_parts *parts;
    bool is_measured; /* has rows, and a live line */
    uint64_t begin_ns;
    uint64_t next_second_ns;
    uint64_t second_from_ns;
    struct stage_totals before;
    struct stage_totals latest; /* as of the last second */
    struct histogram *delivery;
    struct histogram *answer;
    double cpu_before_s;
    double asked_s;
    uint64_t in_time; /* published when the schedule ended, or STAGE_GRACE_NS later */
};

/* Waits up to some milliseconds, for a signal. */
void stage_wait_signal(struct stage_parts *parts, int wait_ms);

/* Waits so as well; once a second tells how it goes. Finds out whether the server is gone. */
void stage_turn(struct stage *stage, int wait_ms);

void stage_begin(struct stage *stage, struct stage_parts *parts, bool is_measured);

/* Publishes the task, or when NULL lets `duration_ns` pass. */
void stage_publish(struct stage *stage, const struct publishers_task *task, uint64_t duration_ns);

/* Waits for what is under way, then counts. The step's histograms are the caller's to free. */
void stage_end(struct stage *stage, struct result_step *ret_step);

/* SPDX-License-Identifier: Apache-2.0 */
/* result.h — what a load measured: for the verdict, the reports and the live line.
 *
 * Place:   filled by load.c; read by verdict.c, report_json.c, report_html.c and live.c.
 * Thread:  main, when the load has ended; the live line has a copy of the counts.
 * Bounds:  RESULT_SECONDS_MAX rows of a series (longer runs have a row for several seconds), and
 *          RESULT_STEPS_MAX steps.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clients/bench/histogram.h"
#include "clients/bench/settings.h"

#define RESULT_SECONDS_MAX 7200
#define RESULT_STEPS_MAX 64

struct counts {
    uint64_t due;        /* messages of the schedule so far (open model) */
    uint64_t published;  /* messages sent */
    uint64_t in_time;    /* … by the end of the schedule, or hardly later */
    uint64_t answered;   /* messages that the server took, where it says so */
    uint64_t refused;    /* … and that it did not take */
    uint64_t unanswered; /* … and of which it said nothing, until the drain was over */
    uint64_t delivered;  /* to readers, duplicates among them */
    uint64_t delivered_bytes;
    uint64_t expected; /* deliveries that the published messages make */
    uint64_t lost;     /* known at the end */
    uint64_t duplicates;
    uint64_t reordered;
    uint64_t foreign;     /* messages without a stamp of this run */
    uint64_t connected;   /* readers that came to be ready, reconnects among them */
    uint64_t unconnected; /* attempts that failed */
    uint64_t closed;      /* readers that the server closed */
};

/* A row of the series: what happened in that time. */
struct result_second {
    double from_s;
    double length_s;
    uint64_t due;
    uint64_t published;
    uint64_t delivered;
    uint64_t p50_ns;
    uint64_t p99_ns;
    uint64_t highest_ns;
};

/* A step of `steps`, or the whole of every other profile. */
struct result_step {
    double rate;             /* asked for; 0: the closed model */
    double seconds;          /* of publishing */
    double delivery_seconds; /* until the last delivery, the drain included */
    struct counts counts;
    struct histogram *delivery; /* from due to received */
    struct histogram *answer;   /* from due to answered */
    double server_cpu_s;        /* of --pid; below 0: not measured */
    double server_seconds;      /* in which it was spent: the drain included */
};

struct result {
    const struct settings *settings;
    struct result_step whole;
    struct result_step steps[RESULT_STEPS_MAX]; /* of profile steps; else none */
    size_t step_count;
    struct histogram *connect;         /* from connect(), or when that was due, to ready */
    double connect_seconds;            /* until all readers were ready */
    double connect_cpu_s;              /* of --pid, meanwhile; below 0: not measured */
    uint64_t server_rss_before_bytes;  /* of --pid: before the readers came … */
    uint64_t server_rss_after_bytes;   /* … when all were there … */
    uint64_t server_rss_highest_bytes; /* … and the most while they were served */
    struct result_second *seconds;
    size_t second_count;
    uint64_t started_unix_ms;
    int signal; /* that ended it early; 0: none did */
};

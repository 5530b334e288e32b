/* SPDX-License-Identifier: Apache-2.0 */
/* publishers.h — all connections that publish, and the thread that has them.
 *
 * Place:   load.c makes them, stage.c gives them what to publish.
 * Thread:  made by main, which asks by errands; else its own.
 * Bounds:  PUBLISHERS_WAITING_MAX messages that are due and not sent. Beyond that none are drawn
 *          from the schedule for a while; they have their time of the schedule all the same.
 *
 * Open model: messages have due times; whoever is late sends all that is due at once. Closed model:
 * each connection has so many unanswered publishes, never more, and makes the next when one was
 * answered.
 */
#pragma once

#include <stdatomic.h>

#include "clients/bench/errand.h"
#include "clients/bench/outlet.h"
#include "clients/bench/schedule.h"

#define PUBLISHERS_WAITING_MAX (4u << 20) /* 64 MiB of memory */

struct publishers_order {
    const struct settings *settings;
    const struct audience *audience;
    const struct protocol *protocol;
    const struct target *target;
    struct sendings *sendings;
    const char *token;
    uint32_t run;
    uint32_t lanes;
};

/* What is to be published in a stage. */
struct publishers_task {
    bool is_closed;           /* the closed model, else that of the schedule */
    struct schedule schedule; /* … */
    uint64_t begin_ns;
    uint64_t end_ns;    /* closed: nothing is put behind it */
    uint64_t limit;     /* closed: so many messages; 0: as many as there are */
    uint64_t in_flight; /* closed: a connection */
};

struct publishers_figures {
    uint64_t due; /* drawn from the schedule */
    uint64_t published;
    uint64_t expected;
    uint64_t answered;
    uint64_t refused;
    uint64_t unanswered; /* and not refused; 0 where nothing is answered */
    uint64_t last_ns;    /* when the last was put */
    double cpu_s;        /* of the thread */
    struct troubles troubles;
    const char *refusal; /* why the first was refused; NULL: none was. The publishers', and final */
    struct histogram *answer; /* the caller's, merged into; NULL: thrown away */
};

/* What anyone may look at, and may be one turn old. */
struct publishers_progress {
    uint64_t expected;
    uint64_t under_way; /* messages of publishes that will be answered */
    uint64_t open;      /* connections that are */
    uint64_t settled;   /* connections that came to be open, or did not, for the first time */
    bool is_done;       /* everything was put, and sent */
};

struct publishers;

/* NULL: a word was printed. The thread runs, and connects. */
struct publishers *publishers_create(const struct publishers_order *order);
void publishers_destroy(struct publishers *publishers);

void publishers_begin(struct publishers *publishers, const struct publishers_task *task);

/* Draws and puts no more. What the schedule had until now, and was not drawn, was due as well. */
void publishers_stop(struct publishers *publishers);

void publishers_collect(struct publishers *publishers, struct publishers_figures *figures);

struct publishers_progress publishers_look(const struct publishers *publishers);

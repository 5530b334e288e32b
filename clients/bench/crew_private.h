/* SPDX-License-Identifier: Apache-2.0 */
/* crew_private.h — what a crew and its readers are made of.
 *
 * Place:   crew.c; churn.c lets readers go and come again.
 * Thread:  the crew's.
 * Bounds:  those of crew.h.
 */
#pragma once

#include "clients/bench/crew.h"

enum reader_state { READER_NEW, READER_CONNECTING, READER_READY, READER_ENDED, READER_CLOSED };

struct reader {
    struct link link;
    struct inbox inbox;
    enum reader_state state;
    bool is_from_start; /* it gets all there is; else what comes from when it is ready */
    bool is_settled;    /* for the first time ready, or not */
    bool is_missed;     /* counted as unconnected, though it may still come */
    uint64_t allowance; /* bytes that a slow one may read at once */
    uint64_t due_ns;    /* when it was to connect: its time to be ready counts from here */
    uint64_t *ends;     /* it is to go when it has all before them; NULL: it stays */
    uint64_t leave_ns;  /* … or at this time */
    uint64_t late_ns;   /* … and was to go so long before it was asked to */
};

struct crew {
    struct crew_order order;
    struct reader *readers;
    struct tally *tallies;
    uint32_t count;
    int epoll;
    int listener;
    pthread_t thread;
    bool is_stopping;
    bool is_begun; /* a stage goes on: churn, and slowness */
    bool is_slow_at_all;
    struct errand errand;
    struct crew_progress progress;
    struct receipt receipt;
    struct crew_figures figures;
    struct histogram *connect;
    const uint64_t *preloaded; /* NULL: they may not connect yet */
    uint32_t next;             /* that has not begun to connect */
    uint32_t connecting;
    uint64_t next_connect_ns;
    uint32_t leaving;
    uint32_t next_churn;
    uint64_t next_churn_ns;
    uint64_t next_slow_ns;
    uint64_t next_look_ns; /* for those that are over their time */
    uint64_t closed_lost;  /* by readers that churned, before they did */
    uint64_t ready;
    uint64_t settled;
    uint8_t *buffer;
};

/* How long a crew waits between two readers when all crews together have `rate` a second. */
uint64_t crew_gap_ns(const struct crew *crew, double rate);

/* The reader's connection ends, by our will. */
void crew_leave(struct crew *crew, struct reader *reader, enum reader_state state);

/* It connects; its time to be ready counts from when that was due. */
void crew_connect_reader(struct crew *crew, struct reader *reader, uint64_t due_ns,
                         uint64_t now_ns);

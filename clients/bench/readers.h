/* SPDX-License-Identifier: Apache-2.0 */
/* readers.h — all readers of a load, whichever thread they are in.
 *
 * Place:   load.c makes them, stage.c asks them; a thread's share is a crew.
 * Thread:  main.
 * Bounds:  READERS_TALLIES_MAX: readers × channels × lanes.
 */
#pragma once

#include "clients/bench/crew.h"

#define READERS_TALLIES_MAX (64u << 20) /* 2 GiB of memory */

struct readers;

/* What all of them told since the last time. */
struct readers_figures {
    struct crew_figures sums;   /* but cpu_s: see readers_take_cpu_s() */
    struct histogram *delivery; /* the caller's, merged into; NULL: thrown away */
    struct histogram *connect;  /* likewise */
};

struct readers_progress {
    uint64_t unique;
    uint64_t ready;
    uint64_t settled;
    uint64_t alive;
    uint64_t coming;
    uint64_t unconnected;
    uint64_t closed;
};

/* NULL: a word was printed. Their threads run, and wait. */
struct readers *readers_create(const struct crew_order *order);
void readers_destroy(struct readers *readers);

/* Each has the errand done by every crew, one after the other; see crew.h. */
void readers_connect(struct readers *readers, const uint64_t *preloaded);
void readers_mark(struct readers *readers, uint64_t stage_ns);
void readers_begin(struct readers *readers, uint64_t from_ns);
void readers_calm(struct readers *readers);
void readers_miss(struct readers *readers);
void readers_collect(struct readers *readers, struct readers_figures *figures);

/* The most CPU time that one thread took, as of readers_collect(), since this was asked last. */
double readers_take_cpu_s(struct readers *readers);

/* What all lack of `published`, of which `ret_unique` had come by then. */
uint64_t readers_settle(struct readers *readers, const uint64_t *published, uint64_t *ret_unique);

struct readers_progress readers_look(const struct readers *readers);

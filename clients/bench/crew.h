/* SPDX-License-Identifier: Apache-2.0 */
/* crew.h — the readers of one thread: they connect, read, are slow, and come and go, as asked.
 *
 * Place:   readers.c starts one a thread; receipt.c counts what comes.
 * Thread:  its own; others look at `progress`, and ask by an errand for everything else.
 * Bounds:  the readers that it was given; CREW_CONNECTING_MAX of them connect at a time.
 */
#pragma once

#include <stdatomic.h>

#include "clients/bench/errand.h"
#include "clients/bench/link.h"
#include "clients/bench/receipt.h"
#include "clients/bench/troubles.h"

/* More would only wait in the server's backlog, and time there would count as the server's. Where
 * there is a rate, who waits for these does so from when it was due. */
#define CREW_CONNECTING_MAX 64
#define CREW_GUESTS_MAX 256 /* connections of a server to one listening load */
#define CREW_CONNECT_TIMEOUT_NS 15000000000ull

/* What all readers have in common. */
struct crew_order {
    const struct settings *settings;
    const struct audience *audience;
    const struct sendings *sendings;
    const struct protocol *protocol;
    const struct target *target;
    const char *token;
    uint32_t run;
    uint32_t lanes;
    uint32_t crews;
};

/* What anyone may look at, and may be one turn old. */
struct crew_progress {
    atomic_uint_fast64_t unique; /* messages, duplicates left out */
    atomic_uint_fast64_t ready;  /* readers that are */
    atomic_uint_fast64_t
        settled;                 /* readers that came to be ready, or did not, for the first time */
    atomic_uint_fast64_t alive;  /* readers that may still get something */
    atomic_uint_fast64_t coming; /* readers that churned, and are not ready again yet */
    atomic_uint_fast64_t unconnected; /* attempts that failed */
    atomic_uint_fast64_t closed;      /* readers that the server closed */
};

struct crew_figures {
    struct receipt_counts counts;
    uint64_t connected;
    uint64_t unconnected;
    uint64_t closed;
    double cpu_s; /* of the thread */
    struct troubles troubles;
};

struct crew;

/* The readers `number`, `number` + crews, …. They begin to connect with crew_errand_connect. */
struct crew *crew_create(const struct crew_order *order, uint32_t number);
void crew_start(struct crew *crew);

/* Ends the thread, closes every connection, frees. */
void crew_destroy(struct crew *crew);

struct crew_progress *crew_get_progress(struct crew *crew);
struct errand *crew_get_errand(struct crew *crew);

/* --- errands: the owner is a crew ------------------------------------------------------------ */

/* The readers connect. The argument is const uint64_t *: what was published before, by channel ×
 * lanes + lane; it stays. */
void crew_errand_connect(void *owner, void *argument);

/* A stage begins: argument is uint64_t *, now. What was due before and comes later is overdue. */
void crew_errand_mark(void *owner, void *argument);

/* It publishes: argument is uint64_t *, the time from which on what is due is measured. Readers
 * churn, and slow ones are slow. */
void crew_errand_begin(void *owner, void *argument);

/* A stage ended, or is about to: nobody churns, and everyone reads as fast as it can. */
void crew_errand_calm(void *owner, void *argument);

/* The time to come is over: who churned and is not ready again counts as unconnected. */
void crew_errand_miss(void *owner, void *argument);

struct crew_collection {
    struct crew_figures figures;
    struct histogram *delivery; /* an empty one; taken, and a full one given */
    struct histogram *connect;  /* likewise */
};
void crew_errand_collect(void *owner, void *argument);

struct crew_settlement {
    const uint64_t *published; /* by channel × lanes + lane */
    uint64_t lost;             /* added to */
    uint64_t unique;           /* … so many had come then */
};
void crew_errand_settle(void *owner, void *argument);

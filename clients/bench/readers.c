/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/readers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/bench/fail.h"

struct readers {
    uint32_t count;
    double *cpu_s;                /* of each crew, as of the last time that it was collected … */
    double *noted_s;              /* … and of the last time that its share was taken */
    struct crew_collection spare; /* empty histograms, to give for full ones */
    struct crew *crews[];
};

static bool fits(const struct crew_order *order) {
    uint64_t tallies = 0;
    for (uint32_t reader = 0; reader < order->settings->readers; reader++) {
        tallies += (uint64_t)audience_count(order->audience, reader) * order->lanes;
        if (tallies > READERS_TALLIES_MAX) {
            fprintf(stderr,
                    "tidings: bench: more than %u counts of what a reader got of a channel and a "
                    "publisher: take fewer channels a reader, or fewer publishers\n",
                    READERS_TALLIES_MAX);
            return false;
        }
    }
    return true;
}

struct readers *readers_create(const struct crew_order *order) {
    if (!fits(order)) {
        return NULL;
    }
    struct readers *readers =
        bench_need(1, sizeof(*readers) + order->crews * sizeof(struct crew *));
    readers->count = order->crews;
    readers->cpu_s = bench_need(order->crews, sizeof(double));
    readers->noted_s = bench_need(order->crews, sizeof(double));
    readers->spare.delivery = histogram_create();
    readers->spare.connect = histogram_create();
    if (readers->spare.delivery == NULL || readers->spare.connect == NULL) {
        bench_fail("out of memory");
    }
    for (uint32_t index = 0; index < readers->count; index++) {
        readers->crews[index] = crew_create(order, index);
        crew_start(readers->crews[index]);
    }
    return readers;
}

void readers_destroy(struct readers *readers) {
    if (readers == NULL) {
        return;
    }
    for (uint32_t index = 0; index < readers->count; index++) {
        crew_destroy(readers->crews[index]);
    }
    free(readers->spare.delivery);
    free(readers->spare.connect);
    free(readers->cpu_s);
    free(readers->noted_s);
    free(readers);
}

static void ask_all(struct readers *readers, errand_function *function, void *argument) {
    for (uint32_t index = 0; index < readers->count; index++) {
        errand_run(crew_get_errand(readers->crews[index]), function, argument);
    }
}

void readers_connect(struct readers *readers, const uint64_t *preloaded) {
    union {
        const uint64_t *from;
        void *to;
    } argument = {.from = preloaded}; /* the crews only read it */
    ask_all(readers, crew_errand_connect, argument.to);
}

void readers_mark(struct readers *readers, uint64_t stage_ns) {
    ask_all(readers, crew_errand_mark, &stage_ns);
}

void readers_begin(struct readers *readers, uint64_t from_ns) {
    ask_all(readers, crew_errand_begin, &from_ns);
}

void readers_calm(struct readers *readers) {
    ask_all(readers, crew_errand_calm, NULL);
}

void readers_miss(struct readers *readers) {
    ask_all(readers, crew_errand_miss, NULL);
}

static void add_figures(struct crew_figures *sums, const struct crew_figures *more) {
    sums->counts.unique += more->counts.unique;
    sums->counts.overdue += more->counts.overdue;
    sums->counts.duplicates += more->counts.duplicates;
    sums->counts.reordered += more->counts.reordered;
    sums->counts.foreign += more->counts.foreign;
    sums->counts.bytes += more->counts.bytes;
    if (more->counts.last_ns > sums->counts.last_ns) {
        sums->counts.last_ns = more->counts.last_ns;
    }
    sums->connected += more->connected;
    sums->unconnected += more->unconnected;
    sums->closed += more->closed;
    troubles_merge(&sums->troubles, &more->troubles);
}

/* Into the caller's, and empty again. */
static void pour(struct histogram *full, struct histogram *into) {
    if (full->total == 0) {
        return;
    }
    if (into != NULL) {
        histogram_merge(into, full);
    }
    memset(full, 0, sizeof(*full));
}

void readers_collect(struct readers *readers, struct readers_figures *figures) {
    figures->sums = (struct crew_figures){0};
    for (uint32_t index = 0; index < readers->count; index++) {
        struct crew_collection *spare = &readers->spare;
        errand_run(crew_get_errand(readers->crews[index]), crew_errand_collect, spare);
        add_figures(&figures->sums, &spare->figures);
        readers->cpu_s[index] = spare->figures.cpu_s;
        pour(spare->delivery, figures->delivery);
        pour(spare->connect, figures->connect);
    }
}

double readers_take_cpu_s(struct readers *readers) {
    double most_s = 0;
    for (uint32_t index = 0; index < readers->count; index++) {
        double spent_s = readers->cpu_s[index] - readers->noted_s[index];
        most_s = spent_s > most_s ? spent_s : most_s;
        readers->noted_s[index] = readers->cpu_s[index];
    }
    return most_s;
}

uint64_t readers_settle(struct readers *readers, const uint64_t *published, uint64_t *ret_unique) {
    struct crew_settlement settlement = {.published = published};
    ask_all(readers, crew_errand_settle, &settlement);
    *ret_unique = settlement.unique;
    return settlement.lost;
}

struct readers_progress readers_look(const struct readers *readers) {
    struct readers_progress sums = {0};
    for (uint32_t index = 0; index < readers->count; index++) {
        struct crew_progress *progress = crew_get_progress(readers->crews[index]);
        sums.unique += atomic_load_explicit(&progress->unique, memory_order_relaxed);
        sums.ready += atomic_load_explicit(&progress->ready, memory_order_relaxed);
        sums.settled += atomic_load_explicit(&progress->settled, memory_order_relaxed);
        sums.alive += atomic_load_explicit(&progress->alive, memory_order_relaxed);
        sums.coming += atomic_load_explicit(&progress->coming, memory_order_relaxed);
        sums.unconnected += atomic_load_explicit(&progress->unconnected, memory_order_relaxed);
        sums.closed += atomic_load_explicit(&progress->closed, memory_order_relaxed);
    }
    return sums;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* sweep.h — gives space back: trims the index, moves survivors to `cold`, drops segments.
 *
 * Place:   called by storage_retain(); knows view (what is kept), index, segments.
 * Thread:  the store thread.
 * Bounds:  SWEEP_UNITS_MAX of work and one transaction a step.
 *
 * What is kept is decided by view alone, at every read; a sweep only removes what no read gives
 * out any more. It walks all channels, then rests until a segment was opened or log time went by.
 */
#pragma once

#include <stdbool.h>

#include "storage/prune.h"
#include "storage/segments.h"
#include "storage/storage.h"
#include "storage/store.h"
#include "storage/swept.h"

#define SWEEP_UNITS_MAX 2000 /* runs, moved messages and channels looked at in a step */
#define SWEEP_DROPS_MAX 16   /* segments let go in a step: all of a limit's worth */
#define SWEEP_REST_MS 60000  /* of log time, between two walks in a quiet log */
#define SWEEP_FORGET_MS UINT64_C(604800000) /* 7 days: how long an empty channel is remembered */
#define SWEEP_SLACK_PART 16 /* a segment that lost less than this part in a walk is evacuated … */
#define SWEEP_LIVE_PART 2   /* … if no more than this part of it lives */

struct sweep {
    struct swept *swept; /* in the last step; a forgotten one without memory for it is left out */
    bool is_walking;
    bool has_walked;
    uint64_t channel_id;      /* the next one to look at … */
    uint64_t offset;          /* … from this offset on; 0: from its first run */
    uint64_t evacuated_first; /* positions of the segments to evacuate: first … */
    uint64_t evacuated_last;  /* … and last; 0: there are none */
    uint64_t segments_opened; /* when the walk began */
    uint64_t time_ms;         /* likewise */
    uint64_t open_dropped_ms; /* when the open segment was dropped last */
    bool is_evacuated[STORE_SLOTS_MAX + 1];
    uint64_t live_before[STORE_SLOTS_MAX + 1];   /* at the last walk's begin … */
    uint64_t number_before[STORE_SLOTS_MAX + 1]; /* … of the segment with this number */
    struct prune prune;
};

struct sweep_options {
    uint64_t bytes_max;
    uint64_t
        time_ms; /* of the newest readable record: in a silent log, ticks that wait for a fold */
    void (*on_retention)(void *context, struct span channel, struct retention *ret_retention);
    bool (*on_counts)(void *context, struct span channel); /* NULL: nothing is counted */
    void *context;
};

/* Bytes of pages in use by segments, index, channels, cold, retained messages and objects; `txn`
 * may be a snapshot. */
MUST_USE enum error_code sweep_measure(struct store *store, MDB_txn *txn,
                                       const struct segments *segments, uint64_t *ret_bytes,
                                       struct error *why);

/* Frees what the last step told. */
void sweep_finish(struct sweep *sweep);

/* One step, in a transaction of its own. `segments` is as in LMDB before and after. */
MUST_USE enum error_code sweep_step(struct sweep *sweep, struct store *store,
                                    struct segments *segments, const struct sweep_options *options,
                                    bool *ret_more, struct error *why);

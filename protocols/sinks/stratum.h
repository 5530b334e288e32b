/* SPDX-License-Identifier: Apache-2.0 */
/* stratum.h — what is done of the messages beyond a sink's floor, as long as the sink reads the
 * same channels in the same way.
 *
 * Place:   of ledger.c: one that grows, and beneath it those of how the sink read before.
 * Thread:  pure.
 * Bounds:  STRATUM_RANGES_MAX ranges, STRATUM_HOLDS_MAX holds, STRATUM_TEXTS_BYTES_MAX of texts.
 *          An empty one is the struct and its texts.
 *
 * It says so in two ways. **Ranges** are positions within which all that the view gets is done: as
 * many as there are holes. **Holds** are for lanes: up to `reach` all is done, but of each lane
 * that is held what stands at or behind its `first`, which a range may still say to be done. They
 * are as many as there are lanes with something undone, however much of theirs stands between what
 * is done, and are true where what is done of a lane has no hole: where `has_lanes`.
 *
 * A sink that gets other channels, or keeps another order, begins a new stratum: what the old one
 * says holds for the channels that it was made for, and a message of a channel that is newly named
 * is not passed over because others around it are done.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

/* Every second message of the longest pipeline is done: no driver needs more. */
#define STRATUM_RANGES_MAX (SINK_PIPELINE_MAX / 2)
#define STRATUM_RANGES_CROWDED 512 /* then holds stand for them, where there are lanes */
#define STRATUM_HOLDS_MAX (2 * SINK_WINDOW_MAX) /* a lane for each message that may be in memory */
#define STRATUM_TEXTS_BYTES_MAX 131072          /* a whole list of the longest patterns */

/* Positions within which all that the view gets is done. */
struct stratum_range {
    uint64_t first, last;
    uint64_t before; /* of the message before `first`; 0: not known */
};

/* A lane, of which nothing is known to be done from a position on. */
struct stratum_hold {
    uint64_t lane; /* its hash: lane_key.h */
    uint64_t first;
};

/* How a sink reads. */
struct stratum_view {
    enum sink_mode mode;
    enum sink_order order;
    struct span texts; /* names and patterns with their scopes, a zero behind each */
};

/* Zeroed memory is an empty one, whose view is not known. */
struct stratum {
    bool has_lanes;
    enum sink_order order;
    char *texts; /* NULL: not known, as of records that did not say; then it fits all */
    size_t texts_length;

    /* Changed by the calls below alone. */
    struct stratum_range *ranges; /* ascending, apart from each other */
    size_t range_count, range_capacity;
    size_t range_count_crowded; /* so many are too many */
    uint64_t reach;             /* 0: nothing is said by holds */
    struct stratum_hold *holds; /* ascending by lane */
    size_t hold_count;
};

void stratum_finish(struct stratum *stratum); /* it is as zeroed memory then */
void stratum_clear(struct stratum *stratum);  /* nothing is done; the view stays */

/* ERR_MEMORY, ERR_TOO_LARGE: it has the view that it had. */
MUST_USE enum error_code stratum_set_view(struct stratum *stratum, const struct stratum_view *view);
bool stratum_has_view(const struct stratum *stratum, const struct stratum_view *view);

/* Nothing is done beyond the floor. */
bool stratum_is_empty(const struct stratum *stratum);

/* The newest position that it speaks of; 0: none. */
uint64_t stratum_last(const struct stratum *stratum);

/* The message is of its view, and done. */
bool stratum_is_done(const struct stratum *stratum, const struct message *message);

/* The message at `position` is done; `previous`: of the message that the view gets before it (0:
 * not known), with which its range is joined if that is done too. ERR_FULL: it would be one more
 * than `ranges_max`; ERR_MEMORY. */
MUST_USE enum error_code stratum_put_done(struct stratum *stratum, uint64_t position,
                                          uint64_t previous, size_t ranges_max);

/* Behind all others, as it is: of a record. ERR_FULL, ERR_MEMORY. */
MUST_USE enum error_code stratum_put_range(struct stratum *stratum,
                                           const struct stratum_range *range);

/* Behind all others, of a record that has a reach. ERR_FULL, ERR_MEMORY. */
MUST_USE enum error_code stratum_put_hold(struct stratum *stratum, const struct stratum_hold *hold);

/* Has it so many ranges that holds should stand for them? Not at once again if they just did. */
bool stratum_is_crowded(const struct stratum *stratum);

/* All of its view up to `reach` is done but for what `holds` say: they stand for the ranges up to
 * there. Takes `holds`, of malloc(), in any order. ERR_FULL, ERR_MEMORY: it stays as it was. */
MUST_USE enum error_code stratum_condense(struct stratum *stratum, uint64_t reach,
                                          struct stratum_hold *holds, size_t count);

/* Beside the struct. */
size_t stratum_memory_bytes(const struct stratum *stratum);

/* Everything up to there is done: what lies below goes. */
void stratum_move_floor(struct stratum *stratum, uint64_t position);

/* SPDX-License-Identifier: Apache-2.0 */
/* matching.h — the channels that selectors name at one moment, each once, folded or not.
 *
 * Place:   used by merge, walk, measure and by whoever asks many channels.
 * Thread:  its maker's.
 * Bounds:  two pointers a selector; a walk over names ends where its caller says.
 *
 * A channel that several selectors name belongs to the first: to a name before any pattern.
 */
#pragma once

#include "storage/moment.h"
#include "storage/storage.h"

struct matching {
    const struct moment *moment;
    const struct storage_selector *selectors;
    size_t selector_count;
    bool (*on_match)(struct span pattern, struct span name);
    const struct storage_selector **names; /* sorted, each once … */
    size_t name_count;
    const struct storage_selector **patterns; /* … and behind them, in the same array */
    size_t pattern_count;
    size_t looked;     /* at names, for patterns */
    size_t looked_max; /* the walk ends there … */
    bool is_cut;       /* … and says so */
    bool is_over;      /* set by on_channel: the walk ends */
};

/* ERR_MEMORY. Ended by matching_finish(). */
MUST_USE enum error_code matching_init(struct matching *matching, const struct moment *moment,
                                       const struct storage_selector *selectors,
                                       size_t selector_count,
                                       bool (*on_match)(struct span pattern, struct span name),
                                       struct error *why);
void matching_finish(struct matching *matching);

/* Whether any selector names the channel. */
bool matching_has(const struct matching *matching, struct span name);

/* Whether this one does. */
bool matching_selects(const struct matching *matching, const struct storage_selector *selector,
                      struct span name);

/* Calls on_channel for each, names first. A named channel may be one that does not exist.
 * `folded_id` is 0 where LMDB does not have it; the name lives as long as the moment. */
typedef enum error_code matching_on_channel(void *context, struct span name, uint64_t folded_id,
                                            struct error *why);
MUST_USE enum error_code matching_each(struct matching *matching, matching_on_channel *on_channel,
                                       void *context, struct error *why);

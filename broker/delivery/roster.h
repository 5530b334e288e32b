/* SPDX-License-Identifier: Apache-2.0 */
/* roster.h — the members of a group that may come back: their names, and how long they are missed.
 *
 * Place:   broker/runtime/sharing.c keeps one a group, and stores it beside the group's place.
 * Thread:  its owner's. No clock: the time is handed in, as milliseconds since 1970.
 * Bounds:  GROUP_KEPT_MAX names, about 150 bytes each beside the name itself.
 *
 * A name is here, or away until a time. A group is kept as long as its roster is not empty.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/map.h"
#include "broker/support/span.h"

#define ROSTER_FOR_EVER UINT64_MAX

/* Embedded by value. */
struct roster {
    struct map by_name;
    struct roster_index *index;
};

/* In which of several rosters a name is. */
struct roster_index {
    struct map by_name;
};

/* ERR_MEMORY. */
MUST_USE enum error_code roster_index_init(struct roster_index *index);
void roster_index_finish(struct roster_index *index); /* its rosters have gone */

/* Calls on_named for each roster that the name is in, which may remove it from that one. */
typedef void roster_on_named(struct roster *roster, struct span name);
void roster_index_each(const struct roster_index *index, struct span name,
                       roster_on_named *on_named);

/* `index` may be NULL. ERR_MEMORY. */
MUST_USE enum error_code roster_init(struct roster *roster, struct roster_index *index);
void roster_finish(struct roster *roster);

size_t roster_count(const struct roster *roster);
bool roster_has(const struct roster *roster, struct span name);

/* It is here, and will be missed for `kept_ms` if it goes without a word. ERR_FULL, ERR_MEMORY:
 * nothing changed. */
MUST_USE enum error_code roster_put_here(struct roster *roster, struct span name, uint64_t kept_ms);

/* It is away from `now_ms` on, for `kept_ms`. Harmless for a name that is not there. */
void roster_put_away(struct roster *roster, struct span name, uint64_t kept_ms, uint64_t now_ms);

/* False: there was no such name. */
bool roster_remove(struct roster *roster, struct span name);

/* Removes those whose time is over; returns how many. `ret_next_ms`: when the next one's is;
 * ROSTER_FOR_EVER: nobody's. */
size_t roster_expire(struct roster *roster, uint64_t now_ms, uint64_t *ret_next_ms);

/* Appends all. ERR_MEMORY, ERR_TOO_LARGE. */
MUST_USE enum error_code roster_encode(const struct roster *roster, struct buffer *buffer);

/* Takes them from the front of `rest` into an empty roster; whoever was here is away from `now_ms`
 * on. ERR_CORRUPT, ERR_FULL, ERR_MEMORY: some may be there. */
MUST_USE enum error_code roster_decode(struct roster *roster, struct span *rest, uint64_t now_ms);

/* SPDX-License-Identifier: Apache-2.0 */
/* positions.h — how far each source is read: small texts under names, as the log keeps them.
 *
 * Place:   one for all sources; filled by sinks.c from what is stored, asked and changed by
 *          source.c. A source that comes with a reload finds its own here.
 * Thread:  the sinks thread's; before it runs, main's.
 * Bounds:  a node each object of STORAGE_OBJECT_SOURCE: a partition or two a topic.
 *
 * A name is "<source>\0<name>", as the object of the log is called.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/map.h"
#include "broker/support/span.h"
#include "storage/storage.h"

struct positions;

#define POSITION_BYTES_MAX 256 /* a text: of Kafka an offset and a time */

/* Lives as long as the positions do. */
struct position {
    struct map_node in_map;
    struct list in_batch;    /* source.c's: the publish under way moves it … */
    struct span text_coming; /* … to there */
    uint16_t length;
    uint16_t name_length;
    char text[POSITION_BYTES_MAX]; /* stored */
    char name[];
};

/* ERR_MEMORY. */
MUST_USE enum error_code positions_create(struct positions **ret_positions);
void positions_destroy(struct positions *positions); /* Accepts NULL */

/* What storage_each_object() gives. ERR_MEMORY; ERR_TOO_LARGE: no source has written that. */
MUST_USE enum error_code positions_learn(struct positions *positions, struct span name,
                                         struct span text);

/* The position of that name of a source, made if it is not there. NULL: out of memory, or one of
 * the names is too long. */
struct position *positions_get(struct positions *positions, struct span source, struct span name);

/* The text has been stored; at most POSITION_BYTES_MAX. */
void position_set(struct position *position, struct span text);

static inline struct span position_name(const struct position *position) {
    return span_of(position->name, position->name_length);
}

static inline struct span position_text(const struct position *position) {
    return span_of(position->text, position->length);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* source_private.h — what the files of a source share.
 *
 * Place:   source.c (its life, its publishes) and records.c (what becomes of a record).
 * Thread:  the sinks thread's.
 * Bounds:  see source.h.
 */
#pragma once

#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/support/buffer.h"
#include "broker/support/list.h"
#include "protocols/sinks/loop.h"
#include "protocols/sources/source.h"

enum source_phase { SOURCE_IDLE, SOURCE_RUNS, SOURCE_STOPS };

struct source {
    struct broker *broker;
    struct loop *loop;
    struct positions *positions;
    const struct source_row *row;
    const struct source_driver *driver;
    void *state; /* the driver's */
    enum source_phase phase;
    enum sink_state driver_state;
    bool is_driver_started; /* and has not said that it is stopped */
    bool is_start_due;      /* once nothing waits any more */
    bool is_starved;        /* the driver found no room */
    uint32_t downs;         /* in a row */
    uint32_t failures;      /* of the publish under way, in a row */

    struct list queued;    /* records, in order */
    struct list published; /* those of the publish under way; empty: there is none */
    struct list moved;     /* positions that it moves */
    size_t record_count;   /* of both lists … */
    size_t record_bytes;   /* … and their memory */
    struct publish publish;
    struct message **messages; /* its own: those of records, then `object_count` commands */
    size_t message_count;
    size_t object_count;
    bool is_submitted;

    struct buffer channel; /* scratch: as clients call it … */
    struct buffer scoped;  /* … and with its tenant */
    struct loop_chore pump;
    struct loop_timer retry;   /* of the publish */
    struct loop_timer restart; /* of the driver */
    struct source_figures figures;
    void (*on_stopped)(void *context);
    void *context;
};

/* What is queued: a message, a position, or both. */
struct source_entry {
    struct list in_source;
    struct message *message;   /* NULL: passed over, or a position alone */
    struct position *position; /* NULL: none */
    void (*on_answered)(void *context, enum error_code result);
    void *context;
    size_t bytes;
    bool is_event;
    uint16_t text_length; /* of the position */
    char text[];
};

void source_entry_destroy(struct source *source, struct source_entry *entry);

/* SPDX-License-Identifier: Apache-2.0 */
/* source.h — what comes in from elsewhere: records of another system are published to channels, and
 * how far it is read is journaled with the messages, all or none.
 *
 * Place:   kafka_source.c and mqtt_source.c are its drivers; a source publishes through the log.
 * Thread:  the sinks thread's.
 * Bounds:  SOURCE_RECORDS_MAX records and SOURCE_BYTES_MAX of them in memory that are not answered
 *          yet; above that source_has_room() is false and the driver reads no further:
 *          back-pressure is the other system's.
 *
 * A position is a small text of the driver's making (of Kafka: an offset) under a name of its own
 * (topic and partition). It is an object of the log (STORAGE_OBJECT_SOURCE), put by the same
 * publish as the messages: after any end a record is published exactly once. One publish is under
 * way at a time, of all that came meanwhile, so that one that fails is tried again before what came
 * behind it; nothing is given up but what no channel takes.
 *
 * What is lost before a source could read it is told on the channel `$events/sources/<source>`, by
 * the publish that passes over it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/config/config.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "protocols/sinks/driver.h"
#include "protocols/sinks/sinks.h"
#include "protocols/sources/positions.h"

struct broker;
struct loop;
struct source;

#define SOURCE_RECORDS_MAX 10000
#define SOURCE_BYTES_MAX 8388608
#define SOURCE_PUBLISH_RECORDS_MAX 1000  /* of one publish … */
#define SOURCE_PUBLISH_BYTES_MAX 1048576 /* … one larger record goes alone */
#define SOURCE_RETRY_MS 100              /* the first wait after a failure; then doubled … */
#define SOURCE_RETRY_MS_MAX 30000        /* … up to this */
#define SOURCE_EVENTS "$events/sources/"

struct source_driver {
    const char *kind;
    void (*check)(const struct source_row *row, const char *source, const char *key,
                  struct config_faults *faults);
    enum error_code (*open)(struct source *source, const struct source_row *row,
                            struct broker *broker, struct loop *loop, void **ret_state,
                            struct error *why);
    /* source_on_up() or source_on_down() follows. All that was put before has been answered. */
    void (*start)(void *state);
    /* There is room again. */
    void (*on_room)(void *state);
    /* No record comes any more; source_on_stopped() follows, once, also while it is down. */
    void (*stop)(void *state);
    void (*close)(void *state);
    /* How many records it has still to read; UINT64_MAX: not known. May be NULL. */
    uint64_t (*get_lag)(const void *state);
};

extern const struct source_driver kafka_source_driver;
extern const struct source_driver mqtt_source_driver;
const struct source_driver *source_driver_of(const struct source_row *row);

/* Adds a fault where the row's channel is no template of `topic`, `rest` and `key`: for checks of
 * drivers. */
void source_check_channel(const struct source_row *row, const char *source, const char *key,
                          struct config_faults *faults);

/* --- what a driver calls --------------------------------------------------------------------- */

/* The position that is stored under `name`. Empty: none. Borrowed until the next call. */
struct span source_position(struct source *source, struct span name);

bool source_has_room(struct source *source);

/* One record, copied: published to the channel that the row's template makes of `topic` and `key`.
 * `position` under `position_name` is journaled with it; both empty: nothing is kept. on_answered
 * (may be NULL) comes once, in order, when it is in the log: of MQTT the moment to acknowledge;
 * with ERR_DRAINING where the source is stopped before. A record that no channel takes is counted,
 * logged and passed over, and its position moves on. ERR_MEMORY: nothing happened, try again. */
struct source_record {
    struct span topic;
    struct span key;  /* of the template; of the message `fields.key` */
    struct span rest; /* what a wildcard of MQTT's filter stands for; of Kafka the topic */
    struct message_fields fields; /* its `channel` is not looked at; kind MESSAGE_DATA */
    struct span position_name;
    struct span position;
    void (*on_answered)(void *context, enum error_code result);
    void *context;
};
MUST_USE enum error_code source_put(struct source *source, const struct source_record *record);

/* One that is not to be published, because `code` says why not: as one that no channel takes. OK:
 * it is of this log, and came back. Of the record, topic, position and on_answered count. */
MUST_USE enum error_code source_pass_over(struct source *source, const struct source_record *record,
                                          enum error_code code, const struct error *why);

/* A position without a record. ERR_MEMORY. */
MUST_USE enum error_code source_put_position(struct source *source, struct span name,
                                             struct span position);

/* Something was gone before it could be read: `count` records, 0: not known. Counted, logged, and
 * told as an event with the position. `detail`: one sentence. ERR_MEMORY. */
MUST_USE enum error_code source_put_gap(struct source *source, struct span name,
                                        struct span position, uint64_t count, const char *detail);

void source_on_up(struct source *source);

/* It cannot read, and mends itself: source_on_up() comes again. Harmless twice. */
void source_on_trouble(struct source *source, const struct verdict *verdict);

/* It has given up: start() comes again after a while. */
void source_on_down(struct source *source, const struct verdict *verdict);
void source_on_stopped(struct source *source);

/* --- what sinks.c calls ---------------------------------------------------------------------- */

/* `row` and `positions` live until source_destroy(). ERR_MEMORY, ERR_CONFIG. */
MUST_USE enum error_code source_create(struct broker *broker, struct loop *loop,
                                       struct positions *positions, const struct source_row *row,
                                       struct source **ret_source, struct error *why);

/* Begins, or goes on after a stop. A row that is paused only says so. */
void source_start(struct source *source);

/* on_stopped follows, once, when nothing of it is under way, perhaps before it returns. What is not
 * in the log by then is read again. */
void source_stop(struct source *source, void (*on_stopped)(void *context), void *context);
void source_destroy(struct source *source); /* stopped, or never started. Accepts NULL */
void source_get_figures(const struct source *source, struct source_figures *ret_figures);

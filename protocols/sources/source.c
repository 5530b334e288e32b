/* SPDX-License-Identifier: Apache-2.0 */
/* A record is queued as the message that it becomes; at the end of a turn all that is queued goes
 * into one publish, up to its limits, behind it a command for each position that it moves. While
 * that publish is under way the next gathers, so its size finds itself: one record where the log is
 * faster than what comes, a thousand where it is not. A publish that fails stays as it is and is
 * submitted again; nothing passes it. */
#include "protocols/sources/source.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/channels/scope.h"
#include "broker/runtime/budget.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "protocols/sources/source_private.h"

#define SOURCE_BUSY_MS 5 /* the log has no room just now */

static void pump(struct source *source);

const struct source_driver *source_driver_of(const struct source_row *row) {
    if ((row->kafka_brokers != NULL) == (row->mqtt_url != NULL)) {
        return NULL;
    }
    return row->kafka_brokers != NULL ? &kafka_source_driver : &mqtt_source_driver;
}

/* --- what waits ------------------------------------------------------------------------------ */

static struct source_entry *entry_of(struct list *node) {
    return CONTAINER_OF(node, struct source_entry, in_source);
}

static void answer(struct source *source, struct source_entry *entry, enum error_code result) {
    if (entry->on_answered != NULL) {
        entry->on_answered(entry->context, result);
    }
    source_entry_destroy(source, entry);
}

static void drop_objects(struct source *source) {
    while (source->object_count > 0) {
        message_unref(source->messages[--source->message_count]);
        source->object_count--;
    }
}

/* Ends the publish: its positions are where it said, or where they were. */
static void end_publish(struct source *source, enum error_code result) {
    drop_objects(source);
    source->message_count = 0;
    for (struct list *node; (node = list_take_head(&source->moved)) != NULL;) {
        struct position *position = CONTAINER_OF(node, struct position, in_batch);
        if (result == OK) {
            position_set(position, position->text_coming);
        }
    }
    while (!list_is_empty(&source->published)) {
        struct source_entry *entry = entry_of(source->published.next);
        if (result == OK && entry->message != NULL && !entry->is_event) {
            source->figures.messages++;
            source->figures.bytes += entry->message->fields.payload.length;
        }
        answer(source, entry, result);
    }
}

static void drop_queued(struct source *source) {
    while (!list_is_empty(&source->queued)) {
        answer(source, entry_of(source->queued.next), ERR_DRAINING);
    }
}

struct span source_position(struct source *source, struct span name) {
    struct position *position =
        positions_get(source->positions, span_of_string(source->row->name), name);
    return position == NULL ? (struct span){0} : position_text(position);
}

bool source_has_room(struct source *source) {
    bool has_room =
        source->record_count < SOURCE_RECORDS_MAX && source->record_bytes < SOURCE_BYTES_MAX;
    source->is_starved |= !has_room;
    return has_room;
}

/* Half of it has to be free, so that a driver is not woken for each record. */
static void tell_room(struct source *source) {
    if (source->is_starved && source->is_driver_started && source->phase == SOURCE_RUNS &&
        source->record_count <= SOURCE_RECORDS_MAX / 2 &&
        source->record_bytes <= SOURCE_BYTES_MAX / 2) {
        source->is_starved = false;
        source->driver->on_room(source->state);
    }
}

/* --- the publish ----------------------------------------------------------------------------- */

static void gather(struct source *source) {
    size_t count = 0;
    size_t bytes = 0;
    while (!list_is_empty(&source->queued) && count < SOURCE_PUBLISH_RECORDS_MAX) {
        struct source_entry *entry = entry_of(source->queued.next);
        if (count > 0 && bytes + entry->bytes > SOURCE_PUBLISH_BYTES_MAX) {
            break;
        }
        count++;
        bytes += entry->bytes;
        list_remove(&entry->in_source);
        list_put_tail(&source->published, &entry->in_source);
        if (entry->position != NULL) {
            entry->position->text_coming = span_of(entry->text, entry->text_length);
            if (list_is_empty(&entry->position->in_batch)) {
                list_put_tail(&source->moved, &entry->position->in_batch);
            }
        }
    }
}

/* ERR_MEMORY: to be tried again as a whole. */
static enum error_code fill_messages(struct source *source) {
    source->message_count = 0;
    LIST_EACH(&source->published, node) {
        struct source_entry *entry = entry_of(node);
        if (entry->message != NULL) {
            source->messages[source->message_count++] = entry->message;
        }
    }
    LIST_EACH(&source->moved, node) {
        const struct position *position = CONTAINER_OF(node, const struct position, in_batch);
        struct message *object =
            storage_object_message(STORAGE_OBJECT_SOURCE, STORAGE_OBJECT_PUT,
                                   position_name(position), position->text_coming);
        if (object == NULL) {
            drop_objects(source);
            source->message_count = 0;
            return ERR_MEMORY;
        }
        source->messages[source->message_count++] = object;
        source->object_count++;
    }
    return OK;
}

static uint64_t doubled_ms(uint32_t count) {
    uint64_t wait_ms = SOURCE_RETRY_MS;
    while (count-- > 1 && wait_ms < SOURCE_RETRY_MS_MAX) {
        wait_ms *= 2;
    }
    return wait_ms < SOURCE_RETRY_MS_MAX ? wait_ms : SOURCE_RETRY_MS_MAX;
}

/* The log is busy for a moment, or it refuses: a full disk, the tenant's quota. Then the operator
 * has to know. */
static void try_again_later(struct source *source, enum error_code code, const char *detail) {
    uint64_t wait_ms = SOURCE_BUSY_MS;
    if (code != ERR_BUSY) {
        wait_ms = doubled_ms(++source->failures);
        snprintf(source->figures.detail, sizeof(source->figures.detail), "%s: %s",
                 error_row(code)->slug, detail);
        log_event(SOURCE_WAITS, .source = source->row->name, .code = error_row(code)->slug,
                  .detail = detail, .retry_ms = wait_ms);
    }
    loop_arm(source->loop, &source->retry, loop_now_ms(source->loop) + wait_ms);
}

static void check_stopped(struct source *source) {
    if (source->phase != SOURCE_STOPS || source->is_submitted || source->is_driver_started) {
        return;
    }
    INVARIANT(list_is_empty(&source->queued));
    INVARIANT(list_is_empty(&source->published));
    source->phase = SOURCE_IDLE;
    loop_take_chore_back(&source->pump);
    source->on_stopped(source->context);
}

/* Nobody has seen the places that a publish had which was not written. */
static void forget_places(struct source *source) {
    for (size_t i = 0; i < source->message_count; i++) {
        source->messages[i]->place = (struct place){0};
    }
}

static void on_answered(struct publish *publish) {
    struct source *source = publish->context;
    source->is_submitted = false;
    if (publish->result == OK) {
        source->failures = 0;
        end_publish(source, OK);
        tell_room(source);
        pump(source);
    } else if (source->phase == SOURCE_STOPS) {
        end_publish(source, ERR_DRAINING);
    } else {
        forget_places(source);
        try_again_later(source, publish->result, publish->why.detail);
    }
    check_stopped(source);
}

/* Where memory is short publishers are turned away, and a source is one. */
static enum error_code prepare_publish(struct source *source) {
    if (budget_level(source->broker->budget) >= BUDGET_PUBLISHERS) {
        return ERR_MEMORY;
    }
    return source->message_count > 0 ? OK : fill_messages(source);
}

static void submit(struct source *source) {
    enum error_code code = prepare_publish(source);
    if (code == OK) {
        source->publish = (struct publish){.reply_to = loop_mailbox(source->loop),
                                           .on_answered = on_answered,
                                           .context = source,
                                           .counted_as = METRICS_PROTOCOL_OTHER,
                                           .messages = source->messages,
                                           .count = source->message_count};
        code = log_submit(source->broker->log, &source->publish);
    }
    if (code != OK) {
        try_again_later(source, code, error_row(code)->title);
        return;
    }
    source->is_submitted = true;
}

/* Records without a message and without a position ask for nothing of the log. */
static bool is_void(const struct source *source) {
    LIST_EACH(&source->published, node) {
        const struct source_entry *entry = entry_of(node);
        if (entry->message != NULL || entry->position != NULL) {
            return false;
        }
    }
    return true;
}

static void start_driver(struct source *source) {
    source->is_start_due = false;
    source->is_driver_started = true;
    source->driver_state = SINK_STARTING;
    source->driver->start(source->state);
}

static void pump(struct source *source) {
    while (source->phase == SOURCE_RUNS && !source->is_submitted &&
           !loop_is_armed(&source->retry)) {
        if (list_is_empty(&source->published)) {
            gather(source);
        }
        if (list_is_empty(&source->published)) {
            if (source->is_start_due) {
                start_driver(source);
            }
            return;
        }
        if (is_void(source)) {
            end_publish(source, OK);
            tell_room(source);
        } else {
            submit(source);
        }
    }
}

static void on_turn(struct loop_chore *chore) {
    pump(CONTAINER_OF(chore, struct source, pump));
}

static void on_retry(struct loop_timer *timer) {
    pump(CONTAINER_OF(timer, struct source, retry));
}

/* --- what the driver tells ------------------------------------------------------------------- */

void source_on_up(struct source *source) {
    source->downs = 0;
    if (source->driver_state != SINK_LIVE) {
        source->driver_state = SINK_LIVE;
        log_event(SOURCE_UP, .source = source->row->name, .driver = source->driver->kind);
    }
}

static void note_broken(struct source *source, const struct verdict *verdict, uint64_t retry_ms) {
    if (source->driver_state != SINK_BROKEN ||
        strcmp(source->figures.detail, verdict->detail) != 0) {
        log_event(SOURCE_DOWN, .source = source->row->name, .driver = source->driver->kind,
                  .detail = verdict->detail, .retry_ms = retry_ms);
    }
    source->driver_state = SINK_BROKEN;
    snprintf(source->figures.detail, sizeof(source->figures.detail), "%s", verdict->detail);
}

void source_on_trouble(struct source *source, const struct verdict *verdict) {
    note_broken(source, verdict, 0);
}

void source_on_down(struct source *source, const struct verdict *verdict) {
    uint64_t wait_ms = doubled_ms(++source->downs);
    note_broken(source, verdict, wait_ms);
    if (source->phase == SOURCE_RUNS) {
        loop_arm(source->loop, &source->restart, loop_now_ms(source->loop) + wait_ms);
    }
}

static void on_restart(struct loop_timer *timer) {
    struct source *source = CONTAINER_OF(timer, struct source, restart);
    source->is_start_due = true;
    pump(source);
}

void source_on_stopped(struct source *source) {
    INVARIANT(source->is_driver_started);
    source->is_driver_started = false;
    check_stopped(source);
}

/* --- life ------------------------------------------------------------------------------------ */

enum error_code source_create(struct broker *broker, struct loop *loop, struct positions *positions,
                              const struct source_row *row, struct source **ret_source,
                              struct error *why) {
    const struct source_driver *driver = source_driver_of(row);
    if (driver == NULL) {
        return error_set(why, ERR_CONFIG, "a source is of Kafka or of MQTT");
    }
    struct source *source = calloc(1, sizeof(*source));
    struct message **messages =
        calloc(2 * SOURCE_PUBLISH_RECORDS_MAX, sizeof(*messages)); /* a position each */
    if (source == NULL || messages == NULL) {
        free(source);
        free(messages);
        return error_set(why, ERR_MEMORY, "no memory for a source");
    }
    *source = (struct source){.broker = broker,
                              .loop = loop,
                              .positions = positions,
                              .row = row,
                              .driver = driver,
                              .driver_state = SINK_STARTING,
                              .messages = messages,
                              .retry.on_due = on_retry,
                              .restart.on_due = on_restart};
    list_init(&source->queued);
    list_init(&source->published);
    list_init(&source->moved);
    buffer_init(&source->channel, 2 * CHANNEL_NAME_BYTES_MAX);
    buffer_init(&source->scoped, SCOPED_BYTES_MAX);
    loop_chore_init(&source->pump, on_turn);
    enum error_code code = driver->open(source, row, broker, loop, &source->state, why);
    if (code != OK) {
        source->driver = NULL;
        source_destroy(source);
        return code;
    }
    *ret_source = source;
    return OK;
}

void source_start(struct source *source) {
    INVARIANT(source->phase == SOURCE_IDLE);
    if (source->row->is_paused) {
        source->driver_state = SINK_PAUSED;
        return;
    }
    source->phase = SOURCE_RUNS;
    source->downs = 0;
    source->is_starved = false;
    start_driver(source);
}

void source_stop(struct source *source, void (*on_stopped)(void *context), void *context) {
    INVARIANT(source->phase != SOURCE_STOPS);
    source->on_stopped = on_stopped;
    source->context = context;
    if (source->phase == SOURCE_IDLE) {
        on_stopped(context);
        return;
    }
    source->phase = SOURCE_STOPS;
    source->is_start_due = false;
    source->failures = 0;
    loop_disarm(source->loop, &source->retry);
    loop_disarm(source->loop, &source->restart);
    drop_queued(source);
    if (!source->is_submitted) {
        end_publish(source, ERR_DRAINING);
    }
    source->driver->stop(source->state); /* perhaps it is stopped when this returns */
}

void source_destroy(struct source *source) {
    if (source == NULL) {
        return;
    }
    INVARIANT(source->phase == SOURCE_IDLE);
    if (source->driver != NULL) {
        source->driver->close(source->state);
    }
    buffer_finish(&source->channel);
    buffer_finish(&source->scoped);
    free(source->messages);
    free(source);
}

static enum sink_state state_of(const struct source *source, uint64_t lag) {
    if (source->phase == SOURCE_IDLE) {
        return SINK_PAUSED;
    }
    if (source->driver_state == SINK_LIVE && source->failures > 0) {
        return SINK_BROKEN;
    }
    bool is_behind = lag > 0 && lag != UINT64_MAX;
    return source->driver_state == SINK_LIVE && is_behind ? SINK_CATCHING_UP : source->driver_state;
}

void source_get_figures(const struct source *source, struct source_figures *ret_figures) {
    bool is_known = source->driver->get_lag != NULL && source->is_driver_started;
    *ret_figures = source->figures;
    snprintf(ret_figures->name, sizeof(ret_figures->name), "%s", source->row->name);
    ret_figures->kind = source->driver->kind;
    ret_figures->lag_messages = is_known ? source->driver->get_lag(source->state) : UINT64_MAX;
    ret_figures->state = state_of(source, ret_figures->lag_messages);
}

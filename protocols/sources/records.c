/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/channels/name.h"
#include "broker/channels/rules.h"
#include "broker/channels/scope.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "broker/support/logger.h"
#include "protocols/message_admission.h"
#include "protocols/sinks/template.h"
#include "protocols/sources/source_private.h"

#define EVENT_JSON_BYTES_MAX 4096
#define PATH_BYTES 96 /* of a fault: it has no more room for its key */

static const char *name_of(const struct source *source) {
    return source->row->name;
}

/* --- the queue ------------------------------------------------------------------------------- */

void source_entry_destroy(struct source *source, struct source_entry *entry) {
    list_remove(&entry->in_source);
    source->record_count--;
    source->record_bytes -= entry->bytes;
    message_unref(entry->message);
    free(entry);
}

/* Takes the message over, whatever comes of it. */
static enum error_code enqueue(struct source *source, const struct source_record *record,
                               struct message *message, bool is_event) {
    struct source_entry *entry = calloc(1, sizeof(*entry) + record->position.length);
    struct position *position = NULL;
    INVARIANT(source->phase == SOURCE_RUNS);
    INVARIANT(record->position.length <= POSITION_BYTES_MAX);
    if (record->position_name.length > 0) {
        position = positions_get(source->positions, span_of_string(name_of(source)),
                                 record->position_name);
    }
    if (entry == NULL || (position == NULL && record->position_name.length > 0)) {
        message_unref(message);
        free(entry);
        return ERR_MEMORY;
    }
    entry->message = message;
    entry->is_event = is_event;
    entry->position = position;
    entry->on_answered = record->on_answered;
    entry->context = record->context;
    entry->bytes =
        sizeof(*entry) + record->position.length + (message == NULL ? 0 : message_size(message));
    entry->text_length = (uint16_t)record->position.length;
    if (record->position.length > 0) {
        memcpy(entry->text, record->position.bytes, record->position.length);
    }
    list_put_tail(&source->queued, &entry->in_source);
    source->record_count++;
    source->record_bytes += entry->bytes;
    loop_put_chore(source->loop, &source->pump);
    return OK;
}

/* --- records --------------------------------------------------------------------------------- */

/* Whether any record can make a channel of it: what stands around the places is a name. */
static enum error_code check_name(const struct source_row *row, struct error *why) {
    const struct template_value values[] = {
        {"topic", SPAN("x"), 0, 0}, {"key", SPAN("x"), 0, 0}, {"rest", SPAN("x"), 0, 0}};
    struct buffer name;
    buffer_init(&name, 2 * CHANNEL_NAME_BYTES_MAX);
    enum error_code code =
        template_put(&name, span_of_string(row->channel), values, ARRAY_COUNT(values));
    code = code != OK ? error_set(why, code, "the channel's name is too long")
                      : channel_name_check(buffer_borrow(&name), true, why);
    if (code == OK && channel_name_is_reserved(buffer_borrow(&name))) {
        code = error_set(why, ERR_BAD_CHANNEL, "channels that begin with `$` are the broker's own");
    }
    buffer_finish(&name);
    return code;
}

void source_check_channel(const struct source_row *row, const char *source, const char *key,
                          struct config_faults *faults) {
    static const char *const words[] = {"topic", "key", "rest", NULL};
    struct error why = {0};
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s%schannel", key, *key == 0 ? "" : ".");
    if (template_check(span_of_string(row->channel), words, &why) != OK ||
        check_name(row, &why) != OK) {
        config_faults_add(faults, source, row->place.line, row->place.column, path, "%s",
                          why.detail);
    }
}

/* The channel as its clients call it. */
static enum error_code name_channel(struct source *source, const struct source_record *record,
                                    struct span *ret_channel, struct error *why) {
    bool is_kafka = source->row->kafka_brokers != NULL;
    const struct template_value values[] = {
        {"topic", record->topic, is_kafka ? '.' : 0, is_kafka ? '/' : 0},
        {"key", record->key, 0, 0},
        {"rest", is_kafka ? record->topic : record->rest, is_kafka ? '.' : 0, is_kafka ? '/' : 0},
    };
    if (record->key.length == 0 && strstr(source->row->channel, "{key}") != NULL) {
        return error_set(why, ERR_BAD_CHANNEL,
                         "the record has no key, of which the channel is made");
    }
    buffer_clear(&source->channel);
    enum error_code code = template_put(&source->channel, span_of_string(source->row->channel),
                                        values, ARRAY_COUNT(values));
    if (code == ERR_TOO_LARGE) {
        return error_set(why, ERR_BAD_CHANNEL, "the channel's name is too long");
    }
    *ret_channel = buffer_borrow(&source->channel);
    return code;
}

/* ERR_MEMORY, or why no channel takes it. */
static enum error_code make_message(struct source *source, const struct source_record *record,
                                    struct message **ret_message, struct error *why) {
    struct message_fields fields = record->fields;
    struct span tenant = span_of_string(source->row->tenant);
    enum error_code code = name_channel(source, record, &fields.channel, why);
    if (code == OK) {
        code = message_admit(atomic_load(&source->broker->rules), &fields, why);
    }
    if (code != OK) {
        return code;
    }
    buffer_clear(&source->scoped);
    if (scope_put(&source->scoped, tenant, fields.channel) != OK) {
        return ERR_MEMORY;
    }
    fields.channel = buffer_borrow(&source->scoped);
    *ret_message = message_create(&fields);
    return *ret_message == NULL ? ERR_MEMORY : OK;
}

static void log_passed_over(const struct source *source, const struct source_record *record,
                            enum error_code code, const struct error *why) {
    log_event(SOURCE_PASSED_OVER, .source = name_of(source), .topic = record->topic,
              .partition = record->position_name, .at = record->position,
              .code = error_row(code)->slug, .detail = why == NULL ? "" : why->detail);
}

enum error_code source_pass_over(struct source *source, const struct source_record *record,
                                 enum error_code code, const struct error *why) {
    if (enqueue(source, record, NULL, false) != OK) {
        return ERR_MEMORY;
    }
    if (code == OK) {
        source->figures.own++;
    } else {
        source->figures.refused++;
        log_passed_over(source, record, code, why);
    }
    return OK;
}

enum error_code source_put(struct source *source, const struct source_record *record) {
    struct error why = {0};
    struct message *message = NULL;
    enum error_code code = make_message(source, record, &message, &why);
    if (code == OK) {
        return enqueue(source, record, message, false);
    }
    return code == ERR_MEMORY ? code : source_pass_over(source, record, code, &why);
}

enum error_code source_put_position(struct source *source, struct span name, struct span position) {
    const struct source_record record = {.position_name = name, .position = position};
    return enqueue(source, &record, NULL, false);
}

/* --- what is told ---------------------------------------------------------------------------- */

static enum error_code put_text(struct buffer *json, const char *name, struct span text) {
    enum error_code code = buffer_printf(json, "\"%s\":", name);
    code = code == OK ? json_escape_put(json, text) : code;
    return code == OK ? buffer_put_byte(json, ',') : code;
}

static enum error_code put_gap_json(struct buffer *json, const struct source *source,
                                    struct span name, uint64_t count, const char *detail) {
    char time[CLOCK_RFC3339_BYTES];
    clock_format_rfc3339(clock_wall_ms(), time);
    enum error_code code = buffer_put_byte(json, '{');
    code = code == OK ? put_text(json, "source", span_of_string(name_of(source))) : code;
    code = code == OK ? put_text(json, "position", name) : code;
    code = code == OK ? put_text(json, "detail", span_of_string(detail)) : code;
    if (code == OK && count > 0) {
        code = buffer_printf(json, "\"missing\":%llu,", (unsigned long long)count);
    }
    return code == OK ? buffer_printf(json, "\"time\":\"%s\"}", time) : code;
}

/* The broker's own channel is in no tenant's scope. */
static struct message *make_event(struct source *source, const char *event,
                                  const struct buffer *json) {
    buffer_clear(&source->channel);
    if (buffer_printf(&source->channel, "%s%s", SOURCE_EVENTS, name_of(source)) != OK) {
        return NULL;
    }
    const struct message_fields fields = {.kind = MESSAGE_DATA,
                                          .channel = buffer_borrow(&source->channel),
                                          .event = span_of_string(event),
                                          .payload = buffer_borrow(json)};
    return message_create(&fields);
}

enum error_code source_put_gap(struct source *source, struct span name, struct span position,
                               uint64_t count, const char *detail) {
    const struct source_record record = {.position_name = name, .position = position};
    struct buffer json;
    struct message *message = NULL;
    buffer_init(&json, EVENT_JSON_BYTES_MAX);
    if (put_gap_json(&json, source, name, count, detail) == OK) {
        message = make_event(source, "gap", &json);
    }
    buffer_finish(&json);
    if (message == NULL || enqueue(source, &record, message, true) != OK) {
        return ERR_MEMORY;
    }
    source->figures.gaps++;
    log_event(SOURCE_GAP, .source = name_of(source), .partition = name, .records = count,
              .detail = detail);
    return OK;
}

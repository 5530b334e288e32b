/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/batch.h"

#include <stdlib.h>

#include "broker/channels/name.h"
#include "broker/channels/rules.h"
#include "broker/channels/scope.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/support/invariant.h"
#include "broker/support/string_map.h"
#include "protocols/message_text.h"
#include "protocols/trace_context.h"

#define CAPACITY_FIRST 16

void batch_finish(struct batch *batch) {
    for (size_t i = 0; i < batch->count; i++) {
        message_unref(batch->messages[i]);
    }
    free(batch->messages);
    buffer_finish(&batch->headers);
    buffer_finish(&batch->channel);
    *batch = (struct batch){0};
}

enum error_code batch_check_channel(struct span channel, bool may_have_empty_segments,
                                    struct error *why) {
    enum error_code code = channel_name_check(channel, may_have_empty_segments, why);
    return code == OK && channel_name_is_reserved(channel)
               ? error_set_field(why, ERR_FORBIDDEN, "channel",
                                 "channels that begin with $ are the broker's own")
               : error_blame(why, code, "channel");
}

static enum error_code make_room(struct batch *batch, struct error *why) {
    if (batch->count == PUBLISH_MESSAGES_MAX) {
        return error_set(why, ERR_TOO_LARGE, "a publish has %d messages at most",
                         PUBLISH_MESSAGES_MAX);
    }
    if (batch->count < batch->capacity) {
        return OK;
    }
    size_t capacity = batch->capacity == 0 ? 1 : batch->capacity * 2;
    capacity = batch->capacity > 0 && capacity < CAPACITY_FIRST ? CAPACITY_FIRST : capacity;
    struct message **messages = realloc(batch->messages, capacity * sizeof(*messages));
    if (messages == NULL) {
        return error_set(why, ERR_MEMORY, "there was no memory for the messages");
    }
    batch->messages = messages;
    batch->capacity = capacity;
    return OK;
}

/* Names of HTTP headers have no case, and what a message says may come from there. */
static bool has_trace(struct span headers) {
    struct span name, value;
    while (string_map_next(&headers, &name, &value)) {
        if (span_is_equal_nocase(name, SPAN("traceparent")) ||
            span_is_equal_nocase(name, SPAN("tracestate"))) {
            return true;
        }
    }
    return false;
}

static void add_trace(struct batch *batch, struct message_fields *fields) {
    const struct trace_context *trace = batch->trace;
    struct buffer *headers = &batch->headers;
    if (trace == NULL || trace->parent.length == 0 || has_trace(fields->headers)) {
        return;
    }
    if (headers->bytes == NULL) {
        buffer_init(headers, MESSAGE_HEADERS_BYTES_MAX);
    }
    buffer_clear(headers);
    if (buffer_put(headers, fields->headers) != OK ||
        message_headers_put(headers, SPAN("traceparent"), trace->parent, NULL) != OK) {
        return;
    }
    if (trace->state_length > 0) {
        struct span state = span_of(trace->state, trace->state_length);
        IGNORE_RESULT(message_headers_put(headers, SPAN("tracestate"), state, NULL) != OK);
    }
    fields->headers = buffer_borrow(headers);
}

static enum error_code add_scope(struct batch *batch, struct message_fields *fields) {
    struct buffer *channel = &batch->channel;
    if (batch->tenant.length == 0) {
        return OK;
    }
    if (channel->bytes == NULL) {
        buffer_init(channel, SCOPED_BYTES_MAX);
    }
    buffer_clear(channel);
    enum error_code code = scope_put(channel, batch->tenant, fields->channel);
    fields->channel = buffer_borrow(channel);
    return code;
}

enum error_code batch_add(struct batch *batch, const struct rules *rules,
                          const struct message_fields *fields, struct error *why) {
    const struct channel_rule *rule = rules_find(rules, fields->channel);
    struct message_fields own = *fields;
    enum error_code code = make_room(batch, why);
    if (code != OK) {
        return code;
    }
    if (fields->payload.length > rule->message_bytes_max) {
        return error_set_field(why, ERR_TOO_LARGE, "data",
                               "a message of this channel may have %llu bytes",
                               (unsigned long long)rule->message_bytes_max);
    }
    add_trace(batch, &own);
    own.match = rule->metrics_match;
    code = add_scope(batch, &own);
    if (code != OK) {
        return error_set(why, code, "there was no memory for the channel's name");
    }
    own.idempotency_hash = batch->count == 0 ? batch->idempotency_hash : (struct span){0};
    struct message *message = message_create(&own);
    if (message == NULL) {
        return error_set(why, ERR_MEMORY, "there was no memory for the message");
    }
    batch->messages[batch->count++] = message;
    batch->bytes += message_size(message);
    batch->is_fsync = batch->is_fsync || rule->durability == DURABILITY_FSYNC;
    /* One message may be as large as its rule says: the sum is a bound of many. */
    if (batch->count > 1 && batch->bytes > PUBLISH_MEMORY_BYTES_MAX) {
        return error_set(why, ERR_TOO_LARGE,
                         "the messages of a publish take %d bytes at most, with all their fields",
                         PUBLISH_MEMORY_BYTES_MAX);
    }
    INVARIANT(batch->count <= batch->capacity);
    return OK;
}

enum error_code batch_close(struct batch *batch, struct error *why) {
    if (batch->count == 0) {
        return error_set(why, ERR_BAD_REQUEST, "there is no message in the body");
    }
    for (size_t i = 0; batch->is_fsync && i < batch->count; i++) {
        batch->messages[i]->fields.flags |= MESSAGE_FSYNC;
    }
    return OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/format.h"

#include "broker/support/base64.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "protocols/cloudevents.h"
#include "protocols/envelope.h"

/* --- one message as JSON ---------------------------------------------------------------------- */

static enum error_code put_envelope(struct buffer *buffer, const struct message *message) {
    return envelope_put(buffer, message, NULL);
}

static enum error_code put_base64(struct buffer *buffer, struct span bytes) {
    enum error_code code = buffer_put_byte(buffer, '"');
    code = code == OK ? base64_put(buffer, bytes) : code;
    return code == OK ? buffer_put_byte(buffer, '"') : code;
}

static enum error_code put_value(struct buffer *buffer, const struct message *message) {
    struct span payload = message->fields.payload;
    switch (message->fields.payload_kind) {
    case PAYLOAD_JSON:
        return buffer_put(buffer, payload);
    case PAYLOAD_TEXT:
        return json_escape_put(buffer, payload);
    case PAYLOAD_BINARY:
        return put_base64(buffer, payload);
    }
    INVARIANT(!"a kind of payload that is not in the table");
}

static enum error_code put_payload(struct buffer *buffer, const struct message *message) {
    return buffer_put(buffer, message->fields.payload);
}

/* X(how one alone is written, how one of a list is, and the media types of one, an array, lines) */
static const struct row {
    enum error_code (*put_alone)(struct buffer *buffer, const struct message *message);
    enum error_code (*put)(struct buffer *buffer, const struct message *message);
    struct span type_alone; /* empty: the message's own */
    struct span type_array;
} rows[] = {
    [SINK_FORMAT_ENVELOPE] = {put_envelope, put_envelope, SPAN_ROW("application/json"),
                              SPAN_ROW("application/json")},
    [SINK_FORMAT_DATA] = {put_payload, put_value, {0}, SPAN_ROW("application/json")},
    [SINK_FORMAT_CLOUDEVENTS] = {cloudevent_put_json, cloudevent_put_json,
                                 SPAN_ROW("application/cloudevents+json"),
                                 SPAN_ROW("application/cloudevents-batch+json")},
};

/* --- lists ------------------------------------------------------------------------------------ */

/* JSON that came from a publisher may be spread over lines: its line ends are blanks, as in strings
 * they are escaped. */
static void join_lines(struct buffer *buffer, size_t from) {
    for (size_t i = from; i < buffer->length; i++) {
        if (buffer->bytes[i] == '\n' || buffer->bytes[i] == '\r') {
            buffer->bytes[i] = ' ';
        }
    }
}

static enum error_code put_line(struct buffer *buffer, const struct row *row,
                                const struct message *message) {
    size_t from = buffer->length;
    enum error_code code = row->put(buffer, message);
    if (code != OK) {
        return code;
    }
    join_lines(buffer, from);
    return buffer_put_byte(buffer, '\n');
}

static enum error_code put_lines(struct buffer *buffer, const struct row *row,
                                 struct message *const *messages, size_t count) {
    enum error_code code = OK;
    for (size_t i = 0; code == OK && i < count; i++) {
        code = put_line(buffer, row, messages[i]);
    }
    return code;
}

static enum error_code put_array(struct buffer *buffer, const struct row *row,
                                 struct message *const *messages, size_t count) {
    enum error_code code = OK;
    for (size_t i = 0; code == OK && i < count; i++) {
        code = buffer_put_byte(buffer, i == 0 ? '[' : ',');
        code = code == OK ? row->put(buffer, messages[i]) : code;
    }
    return code == OK ? buffer_put_byte(buffer, ']') : code;
}

/* --- the body --------------------------------------------------------------------------------- */

static const struct row *row_of(const struct format *format) {
    INVARIANT((size_t)format->format < ARRAY_COUNT(rows));
    return &rows[format->format];
}

enum error_code format_put(struct buffer *buffer, const struct format *format,
                           struct message *const *messages, size_t count) {
    const struct row *row = row_of(format);
    size_t length_before = buffer->length;
    enum error_code code;
    INVARIANT(count > 0);
    INVARIANT(format->is_list || count == 1);
    if (!format->is_list) {
        code = row->put_alone(buffer, messages[0]);
    } else if (format->form == SINK_BATCH_NDJSON) {
        code = put_lines(buffer, row, messages, count);
    } else {
        code = put_array(buffer, row, messages, count);
    }
    if (code != OK) {
        buffer->length = length_before;
    }
    return code;
}

struct span format_media_type(const struct format *format, const struct message *message) {
    static const struct span unnamed[] = {
        [PAYLOAD_JSON] = SPAN_ROW("application/json"),
        [PAYLOAD_TEXT] = SPAN_ROW("text/plain; charset=utf-8"),
        [PAYLOAD_BINARY] = SPAN_ROW("application/octet-stream"),
    };
    const struct row *row = row_of(format);
    if (format->is_list) {
        return format->form == SINK_BATCH_NDJSON ? SPAN("application/x-ndjson") : row->type_array;
    }
    if (row->type_alone.length > 0) {
        return row->type_alone;
    }
    INVARIANT((size_t)message->fields.payload_kind < ARRAY_COUNT(unnamed));
    return message->fields.type.length > 0 ? message->fields.type
                                           : unnamed[message->fields.payload_kind];
}

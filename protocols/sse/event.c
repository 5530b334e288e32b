/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sse/event.h"

#include "broker/channels/id.h"
#include "broker/support/json.h"

/* With the blank: a client takes one away, and the payload may begin with one. */
#define DATA "data: "

static enum error_code put_id_line(struct buffer *buffer, const struct place *place) {
    char line[4 + ID_TEXT_BYTES_MAX + 1];
    memcpy(line, "id: ", 4);
    size_t length = 4 + id_format(place, line + 4);
    line[length++] = '\n';
    return buffer_put(buffer, span_of(line, length));
}

/* How many line ends a text has; CRLF is one. */
static size_t count_line_ends(struct span text) {
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.bytes[i];
        bool is_half = byte == '\r' && i + 1 < text.length && text.bytes[i + 1] == '\n';
        count += (byte == '\n' || byte == '\r') && !is_half;
    }
    return count;
}

static bool has_line_end(struct span text) {
    return text.length > 0 && (memchr(text.bytes, '\n', text.length) != NULL ||
                               memchr(text.bytes, '\r', text.length) != NULL);
}

/* Puts `data: ` before each further line of what stands in the buffer from `start` on. Hardly any
 * payload has lines, so it is written first and looked through after. */
static enum error_code split_lines(struct buffer *buffer, size_t start) {
    struct span text = span_of(buffer->bytes + start, buffer->length - start);
    if (!has_line_end(text)) {
        return OK;
    }
    size_t room = count_line_ends(text) * (sizeof(DATA) - 1);
    size_t length = text.length;
    enum error_code code = buffer_reserve(buffer, room);
    if (code != OK) {
        return code;
    }
    /* The text moves to the end of its room and is copied back from there: reading stays ahead. */
    uint8_t *out = buffer->bytes + start;
    const uint8_t *in = out + room;
    const uint8_t *end = in + length;
    memmove(out + room, out, length);
    while (in < end) {
        uint8_t byte = *in++;
        if (byte != '\n' && byte != '\r') {
            *out++ = byte;
            continue;
        }
        if (byte == '\r' && in < end && *in == '\n') {
            in++;
        }
        *out++ = '\n';
        memcpy(out, DATA, sizeof(DATA) - 1);
        out += sizeof(DATA) - 1;
    }
    buffer->length = (size_t)(out - buffer->bytes);
    return OK;
}

static enum error_code put(enum error_code code, struct buffer *buffer, struct span text) {
    return code != OK ? code : buffer_put(buffer, text);
}

static enum error_code finish(enum error_code code, struct buffer *buffer, size_t length_before) {
    code = put(code, buffer, SPAN("\n\n"));
    if (code != OK) {
        buffer->length = length_before;
    }
    return code;
}

enum error_code event_put_message(struct buffer *buffer, const struct message *message,
                                  uint64_t skipped) {
    size_t length_before = buffer->length;
    struct envelope_options options = {.skipped = skipped};
    enum error_code code = put(put_id_line(buffer, &message->place), buffer, SPAN(DATA));
    size_t start = buffer->length;
    if (code == OK) {
        code = envelope_put(buffer, message, &options);
    }
    if (code == OK) {
        code = split_lines(buffer, start);
    }
    return finish(code, buffer, length_before);
}

/* The broker's own events are not a publisher's to send, and a line end must not become lines of
 * their own. */
static bool is_sayable(struct span event) {
    return event.length > 0 && !has_line_end(event) && !span_is_equal(event, SPAN("gap")) &&
           !span_is_equal(event, SPAN("close"));
}

enum error_code event_put_bare(struct buffer *buffer, const struct message *message) {
    const struct message_fields *fields = &message->fields;
    if (fields->payload_kind == PAYLOAD_BINARY) {
        return ERR_NOT_ACCEPTABLE;
    }
    size_t length_before = buffer->length;
    enum error_code code = put_id_line(buffer, &message->place);
    if (is_sayable(fields->event)) {
        code = put(code, buffer, SPAN("event: "));
        code = put(code, buffer, fields->event);
        code = put(code, buffer, SPAN("\n"));
    }
    code = put(code, buffer, SPAN(DATA));
    size_t start = buffer->length;
    code = put(code, buffer, fields->payload);
    if (code == OK) {
        code = split_lines(buffer, start);
    }
    return finish(code, buffer, length_before);
}

enum error_code event_put_gap(struct buffer *buffer, const struct storage_gap *gap) {
    size_t length_before = buffer->length;
    enum error_code code = buffer_put(buffer, SPAN("event: gap\n"));
    if (code == OK) {
        code = put_id_line(buffer, &gap->resumed);
    }
    code = put(code, buffer, SPAN(DATA));
    if (code == OK) {
        code = envelope_put_gap(buffer, gap);
    }
    return finish(code, buffer, length_before);
}

enum error_code event_put_close(struct buffer *buffer, const char *code_text, bool may_reconnect) {
    size_t length_before = buffer->length;
    enum error_code code = buffer_put(buffer, SPAN("event: close\n" DATA "{\"code\":"));
    if (code == OK) {
        code = json_escape_put(buffer, span_of_string(code_text));
    }
    code = put(code, buffer,
               may_reconnect ? SPAN(",\"reconnect\":true}") : SPAN(",\"reconnect\":false}"));
    return finish(code, buffer, length_before);
}

enum error_code event_put_progress(struct buffer *buffer, const struct place *place) {
    size_t length_before = buffer->length;
    enum error_code code = put(put_id_line(buffer, place), buffer, SPAN("\n"));
    if (code != OK) {
        buffer->length = length_before;
    }
    return code;
}

enum error_code event_put_comment(struct buffer *buffer) {
    return buffer_put(buffer, SPAN(":\n\n"));
}

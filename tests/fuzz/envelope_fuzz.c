/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/envelope.h"

#include <jansson.h>

#include "broker/support/json.h"
#include "broker/support/utf8.h"
#include "protocols/sse/event.h"
#include "tests/fuzz/fuzz.h"

/* What an EventSource makes of one event (HTML standard, 9.2.6): the `data` lines, joined by LF. */
static void read_data(struct span event, struct buffer *data) {
    bool is_first = true;
    while (event.length > 0) {
        struct span line = span_split(&event, '\n');
        CLAIM(line.length == 0 || memchr(line.bytes, '\r', line.length) == NULL);
        if (span_has_prefix(line, SPAN("data: "))) {
            CLAIM(is_first || buffer_put_byte(data, '\n') == OK);
            CLAIM(buffer_put(data, span_of(line.bytes + 6, line.length - 6)) == OK);
            is_first = false;
        }
    }
}

static void put_with_one_kind_of_line_end(struct buffer *buffer, struct span text) {
    for (size_t i = 0; i < text.length; i++) {
        bool is_half = text.bytes[i] == '\r' && i + 1 < text.length && text.bytes[i + 1] == '\n';
        if (!is_half) {
            CLAIM(buffer_put_byte(buffer, text.bytes[i] == '\r' ? '\n' : text.bytes[i]) == OK);
        }
    }
}

static void check_events(const struct message *message, struct span envelope) {
    struct buffer event, data, expected;
    buffer_init(&event, FUZZ_BUFFER_BYTES_MAX);
    buffer_init(&data, FUZZ_BUFFER_BYTES_MAX);
    buffer_init(&expected, FUZZ_BUFFER_BYTES_MAX);
    CLAIM(event_put_message(&event, message, 0) == OK);
    read_data(buffer_borrow(&event), &data);
    put_with_one_kind_of_line_end(&expected, envelope);
    CLAIM(span_is_equal(buffer_borrow(&data), buffer_borrow(&expected)));
    buffer_clear(&event);
    buffer_clear(&data);
    buffer_clear(&expected);
    if (event_put_bare(&event, message) == OK) {
        read_data(buffer_borrow(&event), &data);
        put_with_one_kind_of_line_end(&expected, message->fields.payload);
        CLAIM(span_is_equal(buffer_borrow(&data), buffer_borrow(&expected)));
    } else {
        CLAIM(message->fields.payload_kind == PAYLOAD_BINARY);
    }
    buffer_finish(&event);
    buffer_finish(&data);
    buffer_finish(&expected);
}

/* Any message becomes sound JSON, in which a text stands as it was, and events that say the same.
 * Input: an event's name, a line end, a payload. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span payload = span_of(bytes, length);
    struct span event = span_split(&payload, '\n');
    bool is_json = json_check(payload, NULL, NULL) == OK;
    struct message_fields fields = {
        .kind = MESSAGE_DATA,
        .channel = utf8_is_valid(event) ? event : SPAN("a"),
        .event = utf8_is_valid(event) ? event : (struct span){0},
        .payload_kind = is_json                  ? PAYLOAD_JSON
                        : utf8_is_valid(payload) ? PAYLOAD_TEXT
                                                 : PAYLOAD_BINARY,
        .payload = payload,
    };
    struct place place = {
        .log_id = 1, .position = 1 + length, .channel_id = 1, .offset = 1 + length};
    struct message *message = message_create(&fields);
    struct buffer envelope;
    buffer_init(&envelope, FUZZ_BUFFER_BYTES_MAX);
    message_order(message, &place, 1769846709123 + length);
    CLAIM(envelope_put(&envelope, message, NULL) == OK);
    CLAIM(is_json || json_check(buffer_borrow(&envelope), NULL, NULL) == OK);
    json_t *json = json_loadb((const char *)envelope.bytes, envelope.length, JSON_ALLOW_NUL, NULL);
    if (!is_json) {
        json_t *data = json_object_get(json, "data");
        CLAIM(json != NULL);
        CLAIM(fields.payload_kind != PAYLOAD_TEXT ||
              span_is_equal(span_of(json_string_value(data), json_string_length(data)), payload));
    }
    check_events(message, buffer_borrow(&envelope));
    json_decref(json);
    message_unref(message);
    buffer_finish(&envelope);
    return 0;
}

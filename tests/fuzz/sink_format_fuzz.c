/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever a publisher said, a body of JSON is JSON, of lines as many lines as messages, and an
 * event is one that cloudevents.h takes itself. */
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/support/json.h"
#include "broker/support/utf8.h"
#include "protocols/cloudevents.h"
#include "protocols/message_object.h"
#include "protocols/message_text.h"
#include "protocols/sinks/format.h"
#include "tests/fuzz/fuzz.h"

/* A piece of the input of up to 63 bytes; texts that no publisher may give are left out. */
static struct span take(struct span *input) {
    if (input->length == 0) {
        return (struct span){0};
    }
    size_t length = input->bytes[0] & 63;
    length = length < input->length - 1 ? length : input->length - 1;
    struct span piece = span_of(input->bytes + 1, length);
    *input = span_of(piece.bytes + length, input->length - 1 - length);
    return piece;
}

static struct span take_text(struct span *input) {
    struct span text = take(input);
    return message_text_check(text, 63, NULL) == OK ? text : (struct span){0};
}

static void take_headers(struct span *input, struct buffer *headers) {
    for (size_t i = 0; i < 4; i++) {
        struct span name = take_text(input);
        struct span value = take_text(input);
        if (name.length > 0) {
            IGNORE_RESULT(message_headers_put(headers, name, value, NULL)); /* some are refused */
        }
    }
    if (input->length > 0 && input->bytes[0] & 1) {
        IGNORE_RESULT(message_headers_put(headers, SPAN("ce-specversion"), SPAN("1.0"), NULL));
        IGNORE_RESULT(message_headers_put(headers, SPAN("ce-source"), SPAN("/s"), NULL));
        IGNORE_RESULT(message_headers_put(headers, SPAN("ce-id"), SPAN("1"), NULL));
    }
}

static struct message *take_message(struct span *input) {
    struct message_fields fields = {.kind = MESSAGE_DATA, .channel = SPAN("a/b c/\xc3\xa4")};
    struct buffer headers;
    struct place place = {.log_id = 1, .position = 7, .channel_id = 1, .offset = 1};
    buffer_init(&headers, MESSAGE_HEADERS_BYTES_MAX);
    fields.event = take_text(input);
    fields.key = take_text(input);
    fields.type = take_text(input);
    take_headers(input, &headers);
    fields.headers = buffer_borrow(&headers);
    fields.payload = take(input);
    fields.payload_kind = json_check(fields.payload, NULL, NULL) == OK ? PAYLOAD_JSON
                          : utf8_is_valid(fields.payload)              ? PAYLOAD_TEXT
                                                                       : PAYLOAD_BINARY;
    struct message *message = message_create(&fields);
    CLAIM(message != NULL);
    message_order(message, &place, 1700000000000);
    buffer_finish(&headers);
    return message;
}

static void check_event(struct json_value value, const struct message *message) {
    struct buffer scratch, headers;
    struct message_fields fields = {0};
    struct error why = {0};
    buffer_init(&scratch, FUZZ_BUFFER_BYTES_MAX);
    buffer_init(&headers, MESSAGE_HEADERS_BYTES_MAX);
    CLAIM(buffer_reserve(&scratch, message_object_scratch_bytes(value.text)) == OK);
    enum error_code code = cloudevent_parse(value, &scratch, &headers, &fields, &why);
    /* A type of text that names another charset is not taken here, nor JSON of another type than
     * `application` and `text`; but they may be told. */
    bool is_odd = strcmp(why.field, "type") == 0 || strcmp(why.field, "data_base64") == 0 ||
                  (strcmp(why.field, "data") == 0 &&
                   !span_has_prefix(message->fields.type, SPAN("application/")) &&
                   !span_has_prefix(message->fields.type, SPAN("text/")));
    CLAIM(code == OK || is_odd || code == ERR_HEADERS_TOO_LARGE);
    buffer_finish(&scratch);
    buffer_finish(&headers);
}

static void check(const struct format *format, struct message *const *messages, size_t count) {
    struct buffer body;
    struct json_value value;
    buffer_init(&body, FUZZ_BUFFER_BYTES_MAX);
    CLAIM(format_put(&body, format, messages, count) == OK);
    CLAIM(format_media_type(format, messages[0]).length > 0);
    struct span rest = buffer_borrow(&body);
    if (format->is_list && format->form == SINK_BATCH_NDJSON) {
        size_t lines = 0;
        for (; rest.length > 0; lines++) {
            CLAIM(json_parse(span_split(&rest, '\n'), &value, NULL, NULL) == OK);
        }
        CLAIM(lines == count);
    } else if (format->is_list || format->format != SINK_FORMAT_DATA) {
        CLAIM(json_parse(rest, &value, NULL, NULL) == OK);
        CLAIM((value.kind == JSON_KIND_ARRAY) == format->is_list || !format->is_list);
        if (format->format == SINK_FORMAT_CLOUDEVENTS && !format->is_list) {
            check_event(value, messages[0]);
        }
    } else {
        CLAIM(span_is_equal(rest, messages[0]->fields.payload));
    }
    buffer_finish(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span input = span_of(bytes, length);
    struct message *messages[2] = {take_message(&input), take_message(&input)};
    for (unsigned i = 0; i < 12; i++) {
        struct format format = {(enum sink_format)(i % 3),
                                i & 4 ? SINK_BATCH_NDJSON : SINK_BATCH_ARRAY, i >= 6};
        check(&format, messages, format.is_list ? 2 : 1);
    }
    message_unref(messages[0]);
    message_unref(messages[1]);
    return 0;
}

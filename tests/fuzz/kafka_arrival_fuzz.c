/* SPDX-License-Identifier: Apache-2.0 */
/* The input: a byte of what there is, then headers (a byte of length and so many bytes, first the
 * name and then the value), and behind an empty name the value. */
#include "protocols/sources/kafka_arrival.h"

#include "broker/limits.h"
#include "broker/support/json.h"
#include "broker/support/string_map.h"
#include "broker/support/utf8.h"
#include "protocols/message_text.h"

#include "tests/fuzz/fuzz.h"

#define HAS_VALUE 1
#define HAS_KEY 2
#define LOG_ID 7

static struct span take(struct span *input) {
    if (input->length == 0) {
        return *input;
    }
    size_t length = input->bytes[0];
    struct span rest = span_of(input->bytes + 1, input->length - 1);
    length = length < rest.length ? length : rest.length;
    *input = span_of(rest.bytes + length, rest.length - length);
    return span_of(rest.bytes, length);
}

static rd_kafka_headers_t *take_headers(struct span *input) {
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    for (struct span name = take(input); name.length > 0; name = take(input)) {
        struct span value = take(input);
        CLAIM(rd_kafka_header_add(headers, (const char *)name.bytes, (ssize_t)name.length,
                                  value.bytes, (ssize_t)value.length) == 0);
    }
    return headers;
}

static void claim_message(const struct message_fields *fields) {
    struct span rest = fields->headers, name, value;
    size_t count = 0;
    while (string_map_next(&rest, &name, &value)) {
        CLAIM(message_text_check(name, MESSAGE_HEADERS_BYTES_MAX, NULL) == OK);
        CLAIM(utf8_is_valid(value));
        count++;
    }
    CLAIM(rest.length == 0);
    CLAIM(count <= MESSAGE_HEADERS_MAX);
    CLAIM(fields->key.length <= KEY_BYTES_MAX);
    CLAIM(fields->event.length <= EVENT_BYTES_MAX);
    CLAIM(fields->type.length <= MEDIA_TYPE_BYTES_MAX);
    CLAIM(utf8_is_valid(fields->key));
    CLAIM(utf8_is_valid(fields->event));
    CLAIM(fields->payload_kind != PAYLOAD_JSON || json_check(fields->payload, NULL, NULL) == OK);
    CLAIM(fields->payload_kind != PAYLOAD_TEXT || utf8_is_valid(fields->payload));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span input = span_of(bytes, length);
    struct message_fields fields;
    struct buffer headers, scratch;
    bool is_own;
    if (length == 0) {
        return 0;
    }
    uint8_t what = bytes[0];
    input = span_of(bytes + 1, length - 1);
    rd_kafka_headers_t *list = take_headers(&input);
    struct kafka_arrival record = {.headers = list, .timestamp_ms = what};
    record.key = (what & HAS_KEY) != 0 ? take(&input) : (struct span){0};
    record.has_value = (what & HAS_VALUE) != 0;
    record.value = record.has_value ? input : (struct span){0};
    buffer_init(&headers, MESSAGE_HEADERS_BYTES_MAX);
    buffer_init(&scratch, KAFKA_SCRATCH_BYTES_MAX);
    enum error_code code =
        kafka_arrival_read(&record, LOG_ID, &headers, &scratch, &fields, &is_own, NULL);
    CLAIM(code == OK || code == ERR_HEADERS_TOO_LARGE);
    if (code == OK) {
        claim_message(&fields);
    }
    rd_kafka_headers_destroy(list);
    buffer_finish(&headers);
    buffer_finish(&scratch);
    return 0;
}

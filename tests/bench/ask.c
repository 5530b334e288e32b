/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/ask.h"

static void read_header(struct ask *ask, struct span line, uint64_t *ret_body_length) {
    struct span value = line;
    struct span name = span_split(&value, ':');
    value = span_trim(value);
    if (span_is_equal_nocase(name, SPAN("Content-Length"))) {
        if (!span_parse_u64(value, ret_body_length)) {
            *ret_body_length = 0;
        }
    } else if (span_is_equal_nocase(name, SPAN("Content-Type"))) {
        ask->has_lines = span_has_prefix(value, SPAN("application/x-ndjson"));
    } else if (span_is_equal_nocase(name, SPAN("Sec-WebSocket-Key"))) {
        ask->socket_key = value;
    }
}

enum ask_result ask_read(struct span bytes, struct ask *ret_ask) {
    const uint8_t *end = memmem(bytes.bytes, bytes.length, "\r\n\r\n", 4);
    if (end == NULL) {
        return bytes.length < ASK_HEAD_BYTES_MAX ? ASK_CUT : ASK_BAD;
    }
    struct ask ask = {0};
    uint64_t body_length = 0;
    struct span head = span_of(bytes.bytes, (size_t)(end - bytes.bytes) + 2);
    struct span line = span_split(&head, '\r');
    ask.is_post = span_has_prefix(line, SPAN("POST "));
    span_split(&line, ' ');
    ask.path = span_split(&line, ' ');
    while (head.length > 1) {
        head = span_of(head.bytes + 1, head.length - 1); /* the line feed */
        read_header(&ask, span_split(&head, '\r'), &body_length);
    }
    size_t head_length = (size_t)(end - bytes.bytes) + 4;
    if (body_length > bytes.length - head_length) {
        return ASK_CUT;
    }
    ask.body = span_of(bytes.bytes + head_length, (size_t)body_length);
    ask.length = head_length + (size_t)body_length;
    *ret_ask = ask;
    return ASK_WHOLE;
}

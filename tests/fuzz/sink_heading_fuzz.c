/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/head.h"
#include "protocols/sinks/heading.h"

#include "tests/fuzz/fuzz.h"

/* A run of bytes up to the next NUL. */
static struct span take(struct span *input) {
    return span_split(input, '\0');
}

/* Whatever a message says of itself, a request has no line that is not meant. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span input = span_of(bytes, length);
    struct sink_row row = {.format = SINK_FORMAT_DATA, .batch_count = 1};
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .channel = take(&input),
                                    .event = take(&input),
                                    .key = take(&input),
                                    .headers = input};
    struct message *message = message_create(&fields);
    struct shipment shipment = {.messages = &message, .count = 1, .id = "msg_1"};
    struct heading heading = {.row = &row, .shipment = &shipment, .media_type = fields.event};
    struct buffer buffer;
    CLAIM(message != NULL);
    buffer_init(&buffer, HEADING_BYTES_MAX);
    CLAIM(heading_put(&buffer, &heading) == OK);
    struct span lines = buffer_borrow(&buffer);
    CLAIM(lines.bytes[lines.length - 1] == '\0');
    while (lines.length > 0) {
        struct span line = span_split(&lines, '\0');
        for (size_t i = 0; i < line.length; i++) {
            CLAIM(line.bytes[i] >= ' ' && line.bytes[i] != 0x7f);
        }
        CLAIM(head_is_token(span_split(&line, ':')) && line.length > 1);
    }
    buffer_finish(&buffer);
    message_unref(message);
    return 0;
}

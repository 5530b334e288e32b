/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/frame.h"

#include "tests/fuzz/fuzz.h"

#define MESSAGE_BYTES_MAX_FUZZED 3000

/* Writes down all that comes out: for each message `T` or `B`, its bytes and a length; for each
 * control frame its kind and bytes. Pieces of one message are joined, so that the way in which the
 * bytes came cannot be told from it. */
static enum error_code decode(struct span input, size_t step, bool takes_deflated,
                              struct buffer *notes) {
    struct frame_decoder decoder;
    enum error_code code = OK;
    size_t message_bytes = 0;
    struct buffer message;
    frame_decoder_init(&decoder, MESSAGE_BYTES_MAX_FUZZED, takes_deflated);
    buffer_init(&message, MESSAGE_BYTES_MAX_FUZZED);
    while (input.length > 0 && code == OK) {
        size_t length = input.length < step ? input.length : step;
        uint8_t *copy = malloc(length), *next = copy;
        struct frame_event event;
        memcpy(copy, input.bytes, length);
        input = span_of(input.bytes + length, input.length - length);
        while ((code = frame_decode(&decoder, &next, &length, &event, NULL)) == OK &&
               event.kind != FRAME_NOTHING) {
            if (event.kind == FRAME_DATA) {
                CLAIM(buffer_put(&message, event.bytes) == OK); /* never above the limit */
                message_bytes += event.bytes.length;
                if (!event.is_last) {
                    continue;
                }
                CLAIM(!event.is_deflated || takes_deflated);
                CLAIM(event.opcode != FRAME_TEXT || event.is_deflated ||
                      utf8_is_valid(buffer_borrow(&message)));
                CLAIM(buffer_put(notes, buffer_borrow(&message)) == OK);
                buffer_clear(&message);
            } else {
                CLAIM(event.bytes.length <= WEBSOCKET_CONTROL_BYTES_MAX);
                CLAIM(buffer_put(notes, event.bytes) == OK);
            }
            CLAIM(buffer_printf(notes, "<%d %d %u %zu>", event.kind, event.opcode, event.close_code,
                                message_bytes) == OK);
            message_bytes = 0;
        }
        CLAIM(code != OK || length == 0);
        free(copy);
    }
    buffer_finish(&message);
    return code;
}

/* A connection says the same however its bytes come. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span input = span_of(bytes, length);
    size_t step = fuzz_take_step(&input);
    bool takes_deflated = (length & 1) != 0;
    struct buffer whole, pieces;
    buffer_init(&whole, FUZZ_BUFFER_BYTES_MAX);
    buffer_init(&pieces, FUZZ_BUFFER_BYTES_MAX);
    enum error_code code = decode(input, input.length + 1, takes_deflated, &whole);
    CLAIM(decode(input, step, takes_deflated, &pieces) == code);
    CLAIM(span_is_equal(buffer_borrow(&whole), buffer_borrow(&pieces)));
    buffer_finish(&whole);
    buffer_finish(&pieces);
    return 0;
}

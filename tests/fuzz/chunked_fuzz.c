/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/chunked.h"

#include "tests/fuzz/fuzz.h"

struct outcome {
    enum error_code code;
    size_t rest;
    bool is_done;
};

static struct outcome decode(struct span input, size_t step, struct buffer *data) {
    struct chunked chunked = {0};
    enum error_code code = OK;
    while (input.length > 0 && code == OK && !chunked_is_done(&chunked)) {
        size_t length = input.length < step ? input.length : step;
        struct span part = span_of(input.bytes, length), piece;
        do {
            code = chunked_feed(&chunked, &part, &piece, NULL);
            CLAIM(buffer_put(data, piece) == OK);
        } while (code == OK && piece.length > 0);
        CLAIM(code != OK || part.length == 0 || chunked_is_done(&chunked));
        size_t taken = length - part.length;
        input = span_of(input.bytes + taken, input.length - taken);
    }
    return (struct outcome){code, code == OK ? input.length : 0, chunked_is_done(&chunked)};
}

/* A body means the same however its bytes come. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span input = span_of(bytes, length);
    size_t step = fuzz_take_step(&input);
    struct buffer whole, pieces;
    buffer_init(&whole, FUZZ_BUFFER_BYTES_MAX);
    buffer_init(&pieces, FUZZ_BUFFER_BYTES_MAX);
    struct outcome one = decode(input, input.length + 1, &whole);
    struct outcome other = decode(input, step, &pieces);
    CLAIM(one.code == other.code && one.rest == other.rest && one.is_done == other.is_done);
    CLAIM(span_is_equal(buffer_borrow(&whole), buffer_borrow(&pieces)));
    buffer_finish(&whole);
    buffer_finish(&pieces);
    return 0;
}

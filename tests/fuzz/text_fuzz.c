/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/base64.h"
#include "broker/support/utf8.h"
#include "tests/fuzz/fuzz.h"

/* UTF-8 in pieces is UTF-8 as a whole. */
static void check_utf8(struct span input, size_t step) {
    struct utf8_state state = {0};
    bool is_good = true;
    for (size_t at = 0; at < input.length && is_good; at += step) {
        size_t length = input.length - at < step ? input.length - at : step;
        is_good = utf8_feed(&state, span_of(input.bytes + at, length));
    }
    CLAIM((is_good && utf8_is_complete(&state)) == utf8_is_valid(input));
}

/* Bytes have one text, and a text that is accepted is that of its bytes. */
static void check_base64(struct span input, struct buffer *one, struct buffer *other,
                         enum error_code (*put)(struct buffer *, struct span),
                         enum error_code (*put_decoded)(struct buffer *, struct span)) {
    buffer_clear(one);
    buffer_clear(other);
    CLAIM(put(one, input) == OK);
    CLAIM(put_decoded(other, buffer_borrow(one)) == OK);
    CLAIM(span_is_equal(buffer_borrow(other), input));
    buffer_clear(one);
    buffer_clear(other);
    if (put_decoded(one, input) == OK) {
        CLAIM(put(other, buffer_borrow(one)) == OK);
        CLAIM(span_is_equal(buffer_borrow(other), input));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span input = span_of(bytes, length);
    struct buffer one, other;
    size_t step = fuzz_take_step(&input);
    buffer_init(&one, FUZZ_BUFFER_BYTES_MAX);
    buffer_init(&other, FUZZ_BUFFER_BYTES_MAX);
    check_utf8(input, step);
    check_base64(input, &one, &other, base64_put, base64_put_decoded);
    check_base64(input, &one, &other, base64_url_put, base64_url_put_decoded);
    buffer_finish(&one);
    buffer_finish(&other);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/deflate.h"

#include "tests/fuzz/fuzz.h"

#define PLAIN_BYTES_MAX 20000

static struct deflate *codec(void) {
    static struct deflate *kept; /* one for all inputs, as a worker has it */
    CLAIM(kept != NULL || deflate_create(&kept) == OK);
    return kept;
}

/* The same message expands to the same whatever came before it; nothing passes the ceiling; and
 * what is packed expands to itself. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span input = span_of(bytes, length);
    struct buffer first, second, packed;
    buffer_init(&first, PLAIN_BYTES_MAX);
    buffer_init(&second, PLAIN_BYTES_MAX);
    buffer_init(&packed, FUZZ_BUFFER_BYTES_MAX);
    enum error_code code = deflate_expand(codec(), input, &first, NULL);
    CLAIM(first.length <= PLAIN_BYTES_MAX);
    CLAIM(code == OK || first.length == 0);
    CLAIM(deflate_expand(codec(), input, &second, NULL) == code);
    CLAIM(span_is_equal(buffer_borrow(&first), buffer_borrow(&second)));
    if (deflate_pack(codec(), input, &packed) == OK) {
        struct buffer plain;
        buffer_init(&plain, length);
        CLAIM(packed.length < length);
        CLAIM(deflate_expand(codec(), buffer_borrow(&packed), &plain, NULL) == OK);
        CLAIM(span_is_equal(buffer_borrow(&plain), input));
        buffer_finish(&plain);
    }
    buffer_finish(&first);
    buffer_finish(&second);
    buffer_finish(&packed);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/encoding.h"

#include <stdlib.h>
#include <zlib.h>

#include "tests/fuzz/fuzz.h"

static void check_coded(enum encoding encoding, struct span body) {
    struct buffer coded;
    uint8_t *plain = malloc(body.length + 1);
    buffer_init(&coded, FUZZ_BUFFER_BYTES_MAX);
    CLAIM(plain != NULL);
    CLAIM(encoding_put(&coded, encoding, body) == OK);
    z_stream stream = {.next_in = coded.bytes,
                       .avail_in = (uInt)coded.length,
                       .next_out = plain,
                       .avail_out = (uInt)body.length + 1};
    CLAIM(inflateInit2(&stream, MAX_WBITS + 32) == Z_OK); /* either frame */
    CLAIM(inflate(&stream, Z_FINISH) == Z_STREAM_END);
    CLAIM(span_is_equal(span_of(plain, stream.total_out), body));
    inflateEnd(&stream);
    buffer_finish(&coded);
    free(plain);
}

/* Input: Accept-Encoding, a line end, a body. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct span body = span_of(bytes, length);
    struct span text = span_split(&body, '\n');
    bool must_code = false;
    enum encoding encoding = encoding_choose(text, &must_code);
    CLAIM(encoding < ENCODING_COUNT);
    CLAIM(!must_code || encoding != ENCODING_IDENTITY);
    CLAIM(text.length > 0 || encoding == ENCODING_IDENTITY);
    if (encoding != ENCODING_IDENTITY) {
        check_coded(encoding, body);
    }
    return 0;
}

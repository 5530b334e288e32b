/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/encoding.h"

#include <stdlib.h>
#include <zlib.h>

#include "tests/unit.h"

static enum encoding choose(const char *accept_encoding) {
    bool must_code;
    return encoding_choose(span_of_string(accept_encoding), &must_code);
}

TEST(a_coding_is_used_only_where_it_is_asked_for) {
    static const struct {
        const char *accept_encoding;
        enum encoding encoding;
    } cases[] = {
        {"", ENCODING_IDENTITY},
        {"gzip", ENCODING_GZIP},
        {"GZIP", ENCODING_GZIP},
        {"x-gzip", ENCODING_GZIP},
        {"deflate", ENCODING_DEFLATE},
        {"gzip, deflate, br", ENCODING_GZIP},
        {"deflate, gzip", ENCODING_GZIP},
        {"deflate, gzip;q=0.5", ENCODING_DEFLATE},
        {"br", ENCODING_IDENTITY},
        {"*", ENCODING_GZIP},
        {"*;q=0.5, identity", ENCODING_IDENTITY},
        {"gzip;q=0, *", ENCODING_DEFLATE},
        {"*, gzip;q=0", ENCODING_DEFLATE},
        {"gzip;q=0", ENCODING_IDENTITY},
        {"*;q=0", ENCODING_IDENTITY},
        {"identity", ENCODING_IDENTITY},
        {"identity, gzip", ENCODING_GZIP},
        {"identity, gzip;q=0.5", ENCODING_IDENTITY},
        {"gzip;q=2", ENCODING_IDENTITY},
        {"gzip;q=x, deflate;q=0.1", ENCODING_DEFLATE},
        {" gzip ; q=0.3 , , ", ENCODING_GZIP},
        {"gzip;level=9;q=0.001", ENCODING_GZIP},
        {"gzipped", ENCODING_IDENTITY},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        EXPECT_EQ(choose(cases[i].accept_encoding), cases[i].encoding);
    }
}

TEST(an_uncoded_body_is_taken_unless_it_is_excluded) {
    bool must_code = true;
    EXPECT_EQ(encoding_choose(SPAN("gzip"), &must_code), ENCODING_GZIP);
    EXPECT_FALSE(must_code);
    EXPECT_EQ(encoding_choose(SPAN("gzip, identity;q=0"), &must_code), ENCODING_GZIP);
    EXPECT_TRUE(must_code);
    EXPECT_EQ(encoding_choose(SPAN("gzip, *;q=0"), &must_code), ENCODING_GZIP);
    EXPECT_TRUE(must_code);
    EXPECT_EQ(encoding_choose(SPAN("gzip, *;q=0, identity;q=0.1"), &must_code), ENCODING_GZIP);
    EXPECT_FALSE(must_code);
    /* Nothing that exists is taken: an uncoded body is what everybody can read. */
    EXPECT_EQ(encoding_choose(SPAN("br, *;q=0"), &must_code), ENCODING_IDENTITY);
    EXPECT_FALSE(must_code);
}

static void expect_roundtrip(enum encoding encoding, int window_bits, struct span body) {
    struct buffer coded;
    uint8_t *plain = malloc(body.length + 1);
    buffer_init(&coded, 2 * body.length + 100);
    EXPECT_NOT_NULL(plain);
    EXPECT_EQ(encoding_put(&coded, encoding, body), OK);
    z_stream stream = {.next_in = coded.bytes,
                       .avail_in = (uInt)coded.length,
                       .next_out = plain,
                       .avail_out = (uInt)body.length + 1};
    EXPECT_EQ(inflateInit2(&stream, window_bits), Z_OK);
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    EXPECT_EQ(stream.total_out, body.length);
    EXPECT_TRUE(body.length == 0 || memcmp(plain, body.bytes, body.length) == 0);
    inflateEnd(&stream);
    buffer_finish(&coded);
    free(plain);
}

TEST(what_is_coded_can_be_read_again) {
    static uint8_t body[300000];
    for (size_t i = 0; i < sizeof(body); i++) {
        body[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    static const size_t lengths[] = {0, 1, 1000, sizeof(body)};
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        expect_roundtrip(ENCODING_GZIP, MAX_WBITS + 16, span_of(body, lengths[i]));
        expect_roundtrip(ENCODING_DEFLATE, MAX_WBITS, span_of(body, lengths[i]));
    }
}

TEST(what_does_not_become_small_enough_is_refused) {
    static uint8_t body[100000];
    struct buffer coded;
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof(body); i++) {
        state = state * 1664525u + 1013904223u;
        body[i] = (uint8_t)(state >> 24);
    }
    buffer_init(&coded, sizeof(body) - 1);
    EXPECT_EQ(encoding_put(&coded, ENCODING_GZIP, span_of(body, sizeof(body))), ERR_TOO_LARGE);
    buffer_finish(&coded);
}

UNIT_TESTS(UNIT(a_coding_is_used_only_where_it_is_asked_for),
           UNIT(an_uncoded_body_is_taken_unless_it_is_excluded),
           UNIT(what_is_coded_can_be_read_again),
           UNIT(what_does_not_become_small_enough_is_refused))

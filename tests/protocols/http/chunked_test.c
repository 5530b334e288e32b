/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/chunked.h"

#include "broker/limits.h"
#include "broker/support/buffer.h"
#include "tests/unit.h"

/* Decodes `text` in pieces of `step` bytes; what is left over is returned through ret_rest. */
static enum error_code decode(struct span text, size_t step, struct buffer *data, bool *ret_is_done,
                              size_t *ret_rest) {
    struct chunked chunked = {0};
    enum error_code code = OK;
    buffer_clear(data);
    while (text.length > 0 && code == OK && !chunked_is_done(&chunked)) {
        size_t length = text.length < step ? text.length : step;
        struct span input = span_of(text.bytes, length), piece;
        do {
            code = chunked_feed(&chunked, &input, &piece, NULL);
            if (code == OK) {
                EXPECT_EQ(buffer_put(data, piece), OK);
            }
        } while (code == OK && piece.length > 0);
        text = span_of(text.bytes + length - input.length, text.length - length + input.length);
    }
    *ret_is_done = chunked_is_done(&chunked);
    *ret_rest = text.length;
    return code;
}

TEST(chunks_are_joined_however_they_come) {
    struct span text = SPAN("4\r\nWiki\r\n006;a=\"b c\"\r\npedia \r\nD\r\nin\r\n\r\nchunks.\r\n"
                            "0\r\nX-Trailer: y\r\n\r\nGET");
    struct buffer data;
    buffer_init(&data, 1000);
    for (size_t step = 1; step <= text.length; step++) {
        bool is_done;
        size_t rest;
        EXPECT_EQ(decode(text, step, &data, &is_done, &rest), OK);
        EXPECT_TRUE(is_done);
        EXPECT_EQ(rest, 3);
        EXPECT_SPAN(buffer_borrow(&data), "Wikipedia in\r\n\r\nchunks.");
    }
    buffer_finish(&data);
}

TEST(broken_chunks_are_refused) {
    static const char *const bad[] = {"\r\n",
                                      ";a\r\n",
                                      "g\r\n",
                                      " 4\r\n",
                                      "4 \r\nWiki\r\n",
                                      "+4\r\n",
                                      "0x4\r\n",
                                      "4\nWiki",
                                      "4\r\nWikix\r\n",
                                      "4\r\nWiki\n",
                                      "4\r\nWiki\r4",
                                      "-1\r\n",
                                      "4\rW",
                                      "1000000000000000\r\n",
                                      "ffffffffffffffffff\r\n",
                                      "4;\x01\r\n",
                                      "4;a\nb\r\n",
                                      "0\r\n X: y\r\n\r\n",
                                      "0\r\nX: y\n\r\n",
                                      "0\r\n\rx",
                                      "0\r\n: y\r\n\r\n",
                                      "0\r\nX\x01\r\n"};
    struct buffer data;
    buffer_init(&data, 1000);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        for (size_t step = 1; step < 6; step++) {
            bool is_done;
            size_t rest;
            EXPECT_EQ(decode(span_of_string(bad[i]), step, &data, &is_done, &rest),
                      ERR_BAD_REQUEST);
        }
    }
    buffer_finish(&data);
}

TEST(extensions_and_trailers_are_bounded) {
    static char text[HTTP_CHUNK_TRAILERS_BYTES_MAX + 100];
    struct chunked chunked = {0};
    struct span input, piece;
    memset(text, 'a', sizeof(text));
    memcpy(text, "1;", 2);
    input = span_of(text, HTTP_CHUNK_LINE_BYTES_MAX + 1);
    EXPECT_EQ(chunked_feed(&chunked, &input, &piece, NULL), ERR_BAD_REQUEST);
    memset(text, 'a', sizeof(text));
    memcpy(text, "0\r\n", 3);
    chunked = (struct chunked){0};
    input = span_of(text, sizeof(text));
    EXPECT_EQ(chunked_feed(&chunked, &input, &piece, NULL), ERR_BAD_REQUEST);
    memset(text, '0', sizeof(text));
    chunked = (struct chunked){0};
    input = span_of(text, sizeof(text));
    EXPECT_EQ(chunked_feed(&chunked, &input, &piece, NULL), ERR_BAD_REQUEST);
}

TEST(the_extensions_of_all_chunks_are_bounded_together) {
    static const char chunk[] = "1;a_note_of_some_length_that_means_nothing_here\r\nx\r\n";
    struct chunked chunked = {0};
    enum error_code code = OK;
    size_t bytes = 0;
    while (code == OK) {
        struct span input = span_of(chunk, sizeof(chunk) - 1), piece;
        do {
            code = chunked_feed(&chunked, &input, &piece, NULL);
        } while (code == OK && piece.length > 0);
        bytes += sizeof(chunk);
        EXPECT_TRUE(bytes < 2 * HTTP_CHUNK_EXTENSIONS_BYTES_MAX);
    }
    EXPECT_EQ(code, ERR_BAD_REQUEST);
    EXPECT_TRUE(bytes > HTTP_CHUNK_EXTENSIONS_BYTES_MAX);
}

TEST(a_large_size_is_believed_but_not_overflowed) {
    struct chunked chunked = {0};
    struct span input = SPAN("fffffffffffffff\r\nabc"), piece;
    EXPECT_EQ(chunked_feed(&chunked, &input, &piece, NULL), OK);
    EXPECT_SPAN(piece, "abc");
    EXPECT_FALSE(chunked_is_done(&chunked));
}

UNIT_TESTS(UNIT(chunks_are_joined_however_they_come), UNIT(broken_chunks_are_refused),
           UNIT(extensions_and_trailers_are_bounded),
           UNIT(the_extensions_of_all_chunks_are_bounded_together),
           UNIT(a_large_size_is_believed_but_not_overflowed))

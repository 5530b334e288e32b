/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/frame.h"

#include <stdlib.h>

#include "broker/support/macros.h"
#include "tests/unit.h"

#define MAX 100000
#define FIN 0x80

static struct buffer wire;  /* what the client sends */
static struct buffer taken; /* the data that came out */
static bool takes_deflated;
static bool is_deflated;   /* the last message */
static char log_text[256]; /* one letter an event: d data, D last data, p ping, q pong, c close */
static uint16_t close_code;

static void begin(void) {
    buffer_finish(&wire);
    buffer_finish(&taken);
    buffer_init(&wire, 4 * MAX);
    buffer_init(&taken, 4 * MAX);
}

/* A masked frame; the mask changes with every frame. */
static void put_frame(uint8_t first, struct span payload) {
    uint8_t mask[4] = {0x37, 0xFA, 0x21, (uint8_t)(0x3D + wire.length)};
    uint8_t header[FRAME_HEADER_BYTES_MAX];
    size_t length = frame_write_header(FRAME_TEXT, payload.length, header);
    header[0] = first;
    header[1] |= 0x80;
    EXPECT_EQ(buffer_put(&wire, span_of(header, length)), OK);
    EXPECT_EQ(buffer_put(&wire, span_of(mask, 4)), OK);
    for (size_t i = 0; i < payload.length; i++) {
        EXPECT_EQ(buffer_put_byte(&wire, payload.bytes[i] ^ mask[i % 4]), OK);
    }
}

static enum error_code decode(size_t step) {
    struct frame_decoder decoder;
    enum error_code code = OK;
    size_t events = 0;
    buffer_clear(&taken);
    frame_decoder_init(&decoder, MAX, takes_deflated);
    for (size_t at = 0; at < wire.length && code == OK; at += step) {
        size_t length = wire.length - at < step ? wire.length - at : step;
        uint8_t *copy = malloc(length);
        memcpy(copy, wire.bytes + at, length);
        uint8_t *input = copy;
        struct frame_event event;
        while ((code = frame_decode(&decoder, &input, &length, &event, NULL)) == OK &&
               event.kind != FRAME_NOTHING) {
            if (event.kind == FRAME_DATA) {
                EXPECT_EQ(buffer_put(&taken, event.bytes), OK);
                is_deflated = event.is_deflated;
            } else if (event.kind == FRAME_CLOSED) {
                close_code = event.close_code;
            }
            if (event.kind != FRAME_DATA || event.is_last) {
                log_text[events++] = event.kind == FRAME_DATA     ? 'D'
                                     : event.kind == FRAME_PINGED ? 'p'
                                     : event.kind == FRAME_PONGED ? 'q'
                                                                  : 'c';
            }
        }
        free(copy);
    }
    log_text[events] = '\0';
    return code;
}

/* All step widths give the same. */
static void expect_decoded(const char *events, const char *data) {
    for (size_t step = 1; step <= wire.length; step++) {
        EXPECT_EQ(decode(step), OK);
        EXPECT_STRING(log_text, events);
        EXPECT_SPAN(buffer_borrow(&taken), data);
    }
}

static void expect_refused(enum error_code code) {
    for (size_t step = 1; step <= wire.length; step++) {
        EXPECT_EQ(decode(step), code);
    }
}

TEST(messages_come_whole_with_control_frames_between_fragments) {
    begin();
    put_frame(FIN | FRAME_TEXT, SPAN("Hello, gr\xC3\xBC\xC3\x9F"));
    put_frame(FRAME_TEXT, SPAN(" A\xC3"));
    put_frame(FIN | FRAME_PING, SPAN("ping"));
    put_frame(FRAME_CONTINUATION, SPAN(""));
    put_frame(FIN | FRAME_PONG, SPAN(""));
    put_frame(FIN | FRAME_CONTINUATION, SPAN("\xBC"));
    put_frame(FIN | FRAME_BINARY, SPAN("\xFF"));
    put_frame(FIN | FRAME_TEXT, SPAN(""));
    put_frame(FIN | FRAME_CLOSE, SPAN("\x03\xE9"
                                      "bye"));
    EXPECT_EQ(buffer_put(&wire, SPAN("whatever comes after")), OK);
    expect_decoded("DpqDDDc", "Hello, gr\xC3\xBC\xC3\x9F A\xC3\xBC\xFF");
    EXPECT_EQ(close_code, 1001);
}

TEST(long_frames_are_unmasked_whole) {
    static uint8_t bytes[70000];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 31 + i / 256);
    }
    static const size_t lengths[] = {125, 126, 127, 65535, 65536, 70000};
    static const size_t steps[] = {1, 3, 8, 13, 4096, 400000};
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        begin();
        put_frame(FIN | FRAME_BINARY, span_of(bytes, lengths[i]));
        for (size_t k = 0; k < ARRAY_COUNT(steps); k++) {
            EXPECT_EQ(decode(steps[k]), OK);
            EXPECT_TRUE(span_is_equal(buffer_borrow(&taken), span_of(bytes, lengths[i])));
        }
    }
}

TEST(broken_frames_are_protocol_errors) {
    static const struct {
        const char *bytes;
        size_t length;
    } bad[] = {
        {"\xC1\x80", 2},                                  /* reserved bit 1 */
        {"\xA1\x80", 2},                                  /* reserved bit 2 */
        {"\x91\x80", 2},                                  /* reserved bit 3 */
        {"\x83\x80", 2},                                  /* reserved opcode */
        {"\x8B\x80", 2},                                  /* reserved control opcode */
        {"\x81\x05Hello", 7},                             /* no mask */
        {"\x09\x80", 2},                                  /* a ping in fragments */
        {"\x89\xFE", 2},                                  /* a ping of 126 or more bytes */
        {"\x80\x80", 2},                                  /* a continuation of nothing */
        {"\x81\xFE\x00\x7D", 4},                          /* 125 in the long form */
        {"\x81\xFF\x00\x00\x00\x00\x00\x00\xFF\xFF", 10}, /* 65535 in the longest form */
        {"\x81\xFF\x80\x00\x00\x00\x00\x00\x00\x00", 10}, /* above 63 bits */
        {"\x01\x80\x00\x00\x00\x00\x81\x80", 8},          /* a message within a message */
        {"\x88\x81\x00\x00\x00\x00\x03", 7},              /* half a close code */
        {"\x88\x82\x00\x00\x00\x00\x03\xED", 8},          /* 1005 may not be sent */
        {"\x88\x82\x00\x00\x00\x00\x03\xEE", 8},          /* 1006 likewise */
        {"\x88\x82\x00\x00\x00\x00\x03\xE7", 8},          /* 999 */
        {"\x88\x82\x00\x00\x00\x00\x07\xD0", 8},          /* 2000 */
        {"\x88\x82\x00\x00\x00\x00\x13\x88", 8},          /* 5000 */
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        begin();
        EXPECT_EQ(buffer_put(&wire, span_of(bad[i].bytes, bad[i].length)), OK);
        expect_refused(ERR_PROTOCOL);
    }
}

TEST(a_compressed_message_is_one_where_that_was_agreed_on) {
    begin();
    put_frame(FRAME_TEXT | 0x40, SPAN("\xFF\xFE")); /* text is looked at once it is expanded */
    put_frame(FIN | FRAME_PING, SPAN(""));
    put_frame(FIN | FRAME_CONTINUATION, SPAN("\xFD"));
    expect_refused(ERR_PROTOCOL);
    takes_deflated = true;
    expect_decoded("pD", "\xFF\xFE\xFD");
    EXPECT_TRUE(is_deflated);
    put_frame(FIN | FRAME_TEXT, SPAN("plain"));
    expect_decoded("pDD", "\xFF\xFE\xFDplain");
    EXPECT_FALSE(is_deflated);
    takes_deflated = false;
}

TEST(only_the_first_frame_of_a_message_says_that_it_is_compressed) {
    static const uint8_t bad[] = {FIN | FRAME_PING | 0x40, FIN | FRAME_CLOSE | 0x40,
                                  FIN | FRAME_TEXT | 0x20, FIN | FRAME_TEXT | 0x60,
                                  FIN | FRAME_CONTINUATION | 0x40};
    takes_deflated = true;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        begin();
        if (i == 4) {
            put_frame(FRAME_TEXT | 0x40, SPAN("a"));
        }
        put_frame(bad[i], SPAN(""));
        expect_refused(ERR_PROTOCOL);
    }
    takes_deflated = false;
}

TEST(text_is_refused_at_its_first_bad_byte) {
    static const char *const bad[] = {"\xFF", "ab\xED\xA0", "abcdefghijk\xC0", "\xF4\x90"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        begin();
        put_frame(FRAME_TEXT, span_of_string(bad[i])); /* not even the last fragment */
        expect_refused(ERR_BAD_UTF8);
    }
    begin();
    put_frame(FIN | FRAME_TEXT, SPAN("\xC3"));
    expect_refused(ERR_BAD_UTF8);
    begin();
    put_frame(FIN | FRAME_CLOSE, SPAN("\x03\xE8\xFF"));
    expect_refused(ERR_BAD_UTF8);
}

TEST(a_message_is_refused_by_its_announced_length) {
    begin();
    EXPECT_EQ(buffer_put(&wire, SPAN("\x82\xFF\x00\x00\x00\x00\x00\x01\x86\xA1")), OK);
    expect_refused(ERR_TOO_LARGE);
    begin();
    EXPECT_EQ(buffer_put(&wire, SPAN("\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF")), OK);
    expect_refused(ERR_TOO_LARGE);
    begin();
    put_frame(FRAME_BINARY, SPAN("a"));
    EXPECT_EQ(buffer_put(&wire, SPAN("\x80\xFF\x00\x00\x00\x00\x00\x01\x86\xA0")), OK);
    EXPECT_EQ(decode(wire.length), ERR_TOO_LARGE);
}

TEST(a_close_without_a_code_is_1005) {
    begin();
    put_frame(FIN | FRAME_CLOSE, SPAN(""));
    EXPECT_EQ(decode(100), OK);
    EXPECT_STRING(log_text, "c");
    EXPECT_EQ(close_code, 1005);
}

TEST(after_an_error_nothing_is_taken) {
    struct frame_decoder decoder;
    uint8_t bytes[] = {0x81, 0x00, 0x8A, 0x80, 0, 0, 0, 0};
    uint8_t *input = bytes;
    size_t length = sizeof(bytes);
    struct frame_event event;
    frame_decoder_init(&decoder, MAX, takes_deflated);
    EXPECT_EQ(frame_decode(&decoder, &input, &length, &event, NULL), ERR_PROTOCOL);
    EXPECT_EQ(frame_decode(&decoder, &input, &length, &event, NULL), ERR_PROTOCOL);
}

TEST(a_frame_encoded_in_place_is_the_same) {
    static uint8_t bytes[70000];
    static const size_t lengths[] = {0, 1, 125, 126, 65535, 65536, 70000};
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        struct buffer one, other;
        size_t start;
        buffer_init(&one, 200000);
        buffer_init(&other, 200000);
        EXPECT_EQ(buffer_put(&one, SPAN("before")), OK);
        EXPECT_EQ(buffer_put(&other, SPAN("before")), OK);
        EXPECT_EQ(frame_put(&one, FRAME_TEXT, span_of(bytes, lengths[i])), OK);
        EXPECT_EQ(frame_begin(&other, &start), OK);
        EXPECT_EQ(buffer_put(&other, span_of(bytes, lengths[i])), OK);
        frame_end(&other, start, FRAME_TEXT);
        EXPECT_TRUE(span_is_equal(buffer_borrow(&one), buffer_borrow(&other)));
        buffer_finish(&one);
        buffer_finish(&other);
    }
}

TEST(a_close_reason_is_cut_at_a_character) {
    struct buffer buffer;
    char reason[200];
    buffer_init(&buffer, 1000);
    for (size_t i = 0; i < sizeof(reason); i += 2) {
        memcpy(reason + i, "\xC3\xBC", 2);
    }
    EXPECT_EQ(frame_put_close(&buffer, 1009, span_of(reason, sizeof(reason))), OK);
    EXPECT_EQ(buffer.bytes[0], 0x88);
    EXPECT_EQ(buffer.bytes[1], 124);
    EXPECT_EQ(buffer.bytes[2] << 8 | buffer.bytes[3], 1009);
    EXPECT_TRUE(utf8_is_valid(span_of(buffer.bytes + 4, 122)));
    buffer_clear(&buffer);
    EXPECT_EQ(frame_put_close(&buffer, 1000, SPAN("")), OK);
    EXPECT_EQ(buffer.length, 4);
    buffer_finish(&buffer);
}

TEST(the_handshake_of_the_rfc_is_answered) {
    char accept[FRAME_ACCEPT_BYTES];
    EXPECT_EQ(frame_accept_key(SPAN("dGhlIHNhbXBsZSBub25jZQ=="), accept), OK);
    EXPECT_SPAN(span_of(accept, sizeof(accept)), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    static const char *const bad[] = {"", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ!=",
                                      "dGhlIHNhbXBsZSBub25jZQAA", "dGhlIHNhbXBsZSBub25jZQAAAA=="};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(frame_accept_key(span_of_string(bad[i]), accept), ERR_BAD_REQUEST);
    }
    begin();
}

UNIT_TESTS(UNIT(messages_come_whole_with_control_frames_between_fragments),
           UNIT(long_frames_are_unmasked_whole), UNIT(broken_frames_are_protocol_errors),
           UNIT(a_compressed_message_is_one_where_that_was_agreed_on),
           UNIT(only_the_first_frame_of_a_message_says_that_it_is_compressed),
           UNIT(text_is_refused_at_its_first_bad_byte),
           UNIT(a_message_is_refused_by_its_announced_length), UNIT(a_close_without_a_code_is_1005),
           UNIT(after_an_error_nothing_is_taken), UNIT(a_frame_encoded_in_place_is_the_same),
           UNIT(a_close_reason_is_cut_at_a_character), UNIT(the_handshake_of_the_rfc_is_answered))

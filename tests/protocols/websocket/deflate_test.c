/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/deflate.h"

#include "tests/unit.h"

#define MAX 100000

static struct deflate *codec;
static struct buffer packed;
static struct buffer plain;

static int begin(void **state) {
    (void)state;
    buffer_init(&packed, 2 * MAX);
    buffer_init(&plain, MAX);
    return deflate_create(&codec) == OK ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    buffer_finish(&packed);
    buffer_finish(&plain);
    deflate_destroy(codec);
    return 0;
}

static enum error_code expand(struct span bytes) {
    struct error why = {0};
    buffer_clear(&plain);
    return deflate_expand(codec, bytes, &plain, &why);
}

TEST(what_is_packed_expands_to_itself_whatever_came_before) {
    static uint8_t text[60000];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (uint8_t)("{\"score\":40,\"set\":2}"[i % 20] + (i / 977) % 3);
    }
    for (size_t length = 40; length < sizeof(text); length = length * 3 / 2) {
        buffer_clear(&packed);
        EXPECT_EQ(deflate_pack(codec, span_of(text, length), &packed), OK);
        EXPECT_TRUE(packed.length < length);
        EXPECT_EQ(expand(buffer_borrow(&packed)), OK);
        EXPECT_TRUE(span_is_equal(buffer_borrow(&plain), span_of(text, length)));
    }
}

TEST(what_would_not_get_smaller_adds_nothing) {
    uint8_t noise[256];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof(noise); i++) {
        seed = seed * 1664525 + 1013904223;
        noise[i] = (uint8_t)(seed >> 24);
    }
    EXPECT_EQ(buffer_put(&packed, SPAN("before")), OK);
    EXPECT_EQ(deflate_pack(codec, span_of(noise, sizeof(noise)), &packed), ERR_FULL);
    EXPECT_SPAN(buffer_borrow(&packed), "before");
}

TEST(the_examples_of_rfc_7692_expand) {
    /* 7.2.3.1, 7.2.3.3, 7.2.3.4, 7.2.3.5: compressed, stored, a last block, two blocks. */
    EXPECT_EQ(expand(SPAN("\xf2\x48\xcd\xc9\xc9\x07\x00")), OK);
    EXPECT_SPAN(buffer_borrow(&plain), "Hello");
    EXPECT_EQ(expand(SPAN("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00")), OK);
    EXPECT_SPAN(buffer_borrow(&plain), "Hello");
    EXPECT_EQ(expand(SPAN("\xf3\x48\xcd\xc9\xc9\x07\x00\x00")), OK);
    EXPECT_SPAN(buffer_borrow(&plain), "Hello");
    EXPECT_EQ(expand(SPAN("\xf3\x48\xcd\xc9\xc9\x07\x00")), OK); /* and without its padding */
    EXPECT_SPAN(buffer_borrow(&plain), "Hello");
    EXPECT_EQ(expand(SPAN("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")), OK);
    EXPECT_SPAN(buffer_borrow(&plain), "Hello");
    EXPECT_EQ(expand(SPAN("\x00")), OK); /* 7.2.3.6: an empty message */
    EXPECT_EQ(plain.length, 0);
}

TEST(what_is_no_compressed_data_is_refused_and_does_not_spoil_the_next) {
    EXPECT_EQ(expand(SPAN("\xff\xff\xff\xff")), ERR_BAD_UTF8);
    EXPECT_EQ(expand(SPAN("\x06")), ERR_BAD_UTF8);
    EXPECT_EQ(plain.length, 0);
    /* A reference to what stood in the message before. */
    EXPECT_EQ(expand(SPAN("\xf2\x00\x11\x00\x00")), ERR_BAD_UTF8);
    EXPECT_EQ(expand(SPAN("\xf2\x48\xcd\xc9\xc9\x07\x00")), OK);
}

TEST(a_message_that_breaks_off_in_a_block_is_refused) {
    EXPECT_EQ(expand(SPAN("\xf2\x48\xcd")), ERR_BAD_UTF8);
    EXPECT_EQ(expand(SPAN("\x00\xff\x00\x00\xff\x48")), ERR_BAD_UTF8); /* 255 bytes stored */
}

TEST(a_bomb_ends_at_the_ceiling) {
    static uint8_t zeros[MAX + 1];
    EXPECT_EQ(deflate_pack(codec, span_of(zeros, MAX), &packed), OK);
    EXPECT_EQ(expand(buffer_borrow(&packed)), OK);
    EXPECT_EQ(plain.length, MAX);
    buffer_clear(&packed);
    EXPECT_EQ(deflate_pack(codec, span_of(zeros, MAX + 1), &packed), OK);
    EXPECT_TRUE(packed.length < 200);
    EXPECT_EQ(expand(buffer_borrow(&packed)), ERR_TOO_LARGE);
    EXPECT_EQ(plain.length, 0);
    EXPECT_TRUE(plain.capacity <= 2 * MAX);
}

#define CODEC(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(CODEC(what_is_packed_expands_to_itself_whatever_came_before),
           CODEC(what_would_not_get_smaller_adds_nothing), CODEC(the_examples_of_rfc_7692_expand),
           CODEC(what_is_no_compressed_data_is_refused_and_does_not_spoil_the_next),
           CODEC(a_message_that_breaks_off_in_a_block_is_refused),
           CODEC(a_bomb_ends_at_the_ceiling))

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/percent.h"

#include "tests/unit.h"

static void expect_decoded(const char *text, enum percent_kind kind, const char *meaning) {
    struct buffer buffer;
    buffer_init(&buffer, 100);
    EXPECT_EQ(percent_put_decoded(&buffer, span_of_string(text), kind), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), meaning);
    buffer_finish(&buffer);
}

TEST(escapes_are_understood_in_both_cases_of_letters) {
    expect_decoded("tennis%2Fcourt%2f1", PERCENT_PATH, "tennis/court/1");
    expect_decoded("gr%C3%bc%c3%9F", PERCENT_PATH, "gr\xC3\xBC\xC3\x9F");
    expect_decoded("", PERCENT_PATH, "");
}

TEST(a_plus_is_a_blank_in_a_query_only) {
    expect_decoded("a+b%2B", PERCENT_QUERY, "a b+");
    expect_decoded("a+b%2B", PERCENT_PATH, "a+b+");
}

TEST(broken_escapes_are_refused) {
    static const char *const bad[] = {"%", "%2", "%2g", "%g2", "a%", "%%20", "%-1", "% 1"};
    struct buffer buffer;
    buffer_init(&buffer, 100);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(percent_put_decoded(&buffer, span_of_string(bad[i]), PERCENT_PATH),
                  ERR_BAD_REQUEST);
        EXPECT_EQ(buffer.length, 0);
    }
    buffer_finish(&buffer);
}

TEST(encoding_and_decoding_give_back_every_byte) {
    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)i;
    }
    for (enum percent_kind kind = PERCENT_PATH; kind <= PERCENT_QUERY; kind++) {
        struct buffer text, back;
        buffer_init(&text, 1000);
        buffer_init(&back, 1000);
        EXPECT_EQ(percent_put_encoded(&text, span_of(bytes, sizeof(bytes)), kind), OK);
        EXPECT_EQ(percent_put_decoded(&back, buffer_borrow(&text), kind), OK);
        EXPECT_TRUE(span_is_equal(buffer_borrow(&back), span_of(bytes, sizeof(bytes))));
        buffer_finish(&text);
        buffer_finish(&back);
    }
}

TEST(a_path_keeps_its_slashes) {
    struct buffer buffer;
    buffer_init(&buffer, 100);
    EXPECT_EQ(percent_put_encoded(&buffer, SPAN("a/b c~"), PERCENT_PATH), OK);
    EXPECT_EQ(percent_put_encoded(&buffer, SPAN("a/b"), PERCENT_QUERY), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), "a/b%20c~a%2Fb");
    buffer_finish(&buffer);
}

UNIT_TESTS(UNIT(escapes_are_understood_in_both_cases_of_letters),
           UNIT(a_plus_is_a_blank_in_a_query_only), UNIT(broken_escapes_are_refused),
           UNIT(encoding_and_decoding_give_back_every_byte), UNIT(a_path_keeps_its_slashes))

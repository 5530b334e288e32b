/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/base64.h"

#include "tests/unit.h"

static void expect_pair(const char *bytes, const char *padded, const char *url) {
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    EXPECT_EQ(base64_put(&buffer, span_of_string(bytes)), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), padded);
    buffer_clear(&buffer);
    EXPECT_EQ(base64_url_put(&buffer, span_of_string(bytes)), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), url);
    buffer_clear(&buffer);
    EXPECT_EQ(base64_put_decoded(&buffer, span_of_string(padded)), OK);
    EXPECT_EQ(base64_url_put_decoded(&buffer, span_of_string(url)), OK);
    EXPECT_EQ(buffer.length, 2 * strlen(bytes));
    EXPECT_TRUE(memcmp(buffer.bytes, bytes, strlen(bytes)) == 0 || strlen(bytes) == 0);
    buffer_finish(&buffer);
}

TEST(vectors_of_rfc_4648_hold_both_ways) {
    expect_pair("", "", "");
    expect_pair("f", "Zg==", "Zg");
    expect_pair("fo", "Zm8=", "Zm8");
    expect_pair("foo", "Zm9v", "Zm9v");
    expect_pair("foob", "Zm9vYg==", "Zm9vYg");
    expect_pair("fooba", "Zm9vYmE=", "Zm9vYmE");
    expect_pair("foobar", "Zm9vYmFy", "Zm9vYmFy");
    expect_pair("\xFB\xEF\xFF", "++//", "--__");
}

TEST(anything_but_the_one_text_is_refused) {
    static const char *const bad[] = {"Z",        "Zg",   "Zg=",  "Zh==",  "Zm9=",
                                      "Zm8==",    "====", "Z===", " Zg==", "Zg==\n",
                                      "Zg==Zg==", "Zm9-", "Zm=v"};
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(base64_put_decoded(&buffer, span_of_string(bad[i])), ERR_BAD_REQUEST);
        EXPECT_EQ(buffer.length, 0);
    }
    EXPECT_EQ(base64_url_put_decoded(&buffer, SPAN("Zg==")), ERR_BAD_REQUEST);
    EXPECT_EQ(base64_url_put_decoded(&buffer, SPAN("++//")), ERR_BAD_REQUEST);
    EXPECT_EQ(base64_url_put_decoded(&buffer, SPAN("Zh")), ERR_BAD_REQUEST);
    buffer_finish(&buffer);
}

TEST(a_full_buffer_refuses_and_keeps_what_it_has) {
    struct buffer buffer;
    buffer_init(&buffer, 5);
    EXPECT_EQ(base64_put(&buffer, SPAN("foo")), OK);
    EXPECT_EQ(base64_put(&buffer, SPAN("foo")), ERR_TOO_LARGE);
    EXPECT_EQ(buffer.length, 4);
    buffer_finish(&buffer);
}

UNIT_TESTS(UNIT(vectors_of_rfc_4648_hold_both_ways), UNIT(anything_but_the_one_text_is_refused),
           UNIT(a_full_buffer_refuses_and_keeps_what_it_has))

/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/envelope.h"

#include "tests/unit.h"

static void expect_member(const char *text, const char *name, const char *expected) {
    struct envelope_value value = {"", 0};
    bool is_there = envelope_find(text, strlen(text), name, &value);
    EXPECT_EQ(is_there, expected != NULL);
    if (expected != NULL) {
        char found[256];
        EXPECT_TRUE(value.length < sizeof(found));
        memcpy(found, value.bytes, value.length);
        found[value.length] = '\0';
        EXPECT_STRING(found, expected);
    }
}

TEST(members_are_found_byte_for_byte) {
    static const char text[] =
        " { \"channel\" : \"a\\\"}b\",\"offset\":43,\n\"data\": {\"x\": 1.10,"
        " \"id\":\"not me\", \"y\":[1,{\"z\":\"]\"}]} , \"id\":\"t1\"}";
    expect_member(text, "channel", "\"a\\\"}b\"");
    expect_member(text, "offset", "43");
    expect_member(text, "data", "{\"x\": 1.10, \"id\":\"not me\", \"y\":[1,{\"z\":\"]\"}]}");
    expect_member(text, "id", "\"t1\"");
    expect_member(text, "x", NULL);
    expect_member(text, "type", NULL);
}

TEST(what_is_no_object_has_no_members) {
    static const char *const texts[] = {"",          "[]",          "{",         "{}",
                                        "{\"a\"",    "{a:1}",       "{\"a\":",   "{\"a\":}",
                                        "{\"a\":\"", "{\"b\":[",    "null",      "{\"a\" 1}",
                                        "{\"b\":1,", "{\"b\":\"\\", "{,\"a\":1}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        expect_member(texts[i], "a", NULL);
    }
}

UNIT_TESTS(UNIT(members_are_found_byte_for_byte), UNIT(what_is_no_object_has_no_members))

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/members.h"

#include <stdio.h>

#include "tests/unit.h"

static void expect_refused(const char *text, const char *detail) {
    struct members members;
    struct error why;
    EXPECT_EQ(members_read(span_of_string(text), "it", &members, &why), ERR_BAD_JSON);
    EXPECT_STRING(why.detail, detail);
}

TEST(members_are_found_by_their_names) {
    struct members members;
    struct span text;
    EXPECT_EQ(members_read(SPAN("{\"a\":\"x\",\"b\":1,\"c\":\"\"}"), "it", &members, NULL), OK);
    EXPECT_TRUE(members_take(&members, "a", &text));
    EXPECT_SPAN(text, "x");
    EXPECT_TRUE(members_take(&members, "c", &text));
    EXPECT_EQ(text.length, 0);
    EXPECT_TRUE(members_take(&members, "missing", &text));
    EXPECT_EQ(text.length, 0);
    EXPECT_FALSE(members_take(&members, "b", &text));
    EXPECT_NULL(members_find(&members, "d"));
    members_finish(&members);
}

TEST(escapes_are_understood_in_names_and_values) {
    struct members members;
    struct span first;
    struct span second;
    EXPECT_EQ(
        members_read(SPAN("{\"\\u0061lg\":\"\\u0041\\/\",\"kid\":\"\\\"\"}"), "it", &members, NULL),
        OK);
    EXPECT_TRUE(members_take(&members, "alg", &first));
    EXPECT_TRUE(members_take(&members, "kid", &second));
    EXPECT_SPAN(first, "A/");
    EXPECT_SPAN(second, "\"");
    members_finish(&members);
}

TEST(a_name_that_is_there_twice_is_refused_however_it_is_written) {
    expect_refused("{\"a\":1,\"a\":1}", "it has the member `a` twice");
    expect_refused("{\"a\":1,\"\\u0061\":1}", "it has the member `a` twice");
}

TEST(what_is_no_object_is_refused) {
    expect_refused("[]", "it is no JSON object");
    expect_refused("{} {}", "it is no JSON object");
    expect_refused("", "it is no JSON object");
    expect_refused("{\"\\ud800\":1}", "it has a name that is no Unicode");
}

TEST(there_are_at_most_so_many_members) {
    char text[2048] = "{";
    size_t length = 1;
    for (int i = 0; i < MEMBERS_MAX; i++) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s\"%d\":1",
                                   i == 0 ? "" : ",", i);
    }
    snprintf(text + length, sizeof(text) - length, "}");
    struct members members;
    EXPECT_EQ(members_read(span_of_string(text), "it", &members, NULL), OK);
    members_finish(&members);
    snprintf(text + length, sizeof(text) - length, ",\"x\":1}");
    expect_refused(text, "it has more than 96 members");
}

UNIT_TESTS(UNIT(members_are_found_by_their_names), UNIT(escapes_are_understood_in_names_and_values),
           UNIT(a_name_that_is_there_twice_is_refused_however_it_is_written),
           UNIT(what_is_no_object_is_refused), UNIT(there_are_at_most_so_many_members))

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/subject.h"

#include "tests/unit.h"

static bool fits(const char *pattern, const char *subject) {
    return subject_matches(span_of_string(pattern), span_of_string(subject));
}

TEST(a_star_is_any_text_within_one_value) {
    EXPECT_TRUE(fits("CN=device-*,O=Example", "CN=device-7,O=Example"));
    EXPECT_TRUE(fits("CN=device-*,O=Example", "CN=device-,O=Example"));
    EXPECT_TRUE(fits("CN=*-*,O=*", "CN=a-b-c,O=Example"));
    EXPECT_TRUE(fits("CN=*b*c,O=E", "CN=abbbcbc,O=E"));
    EXPECT_FALSE(fits("CN=*b*c,O=E", "CN=abbbcb,O=E"));
    EXPECT_FALSE(fits("CN=device-*", "CN=device-7,O=Example"));
    EXPECT_FALSE(fits("CN=device-*,O=Example", "CN=device-7"));
    EXPECT_FALSE(fits("*", "CN=device-7,O=Example"));
    EXPECT_TRUE(fits("*,*", "CN=device-7,O=Example"));
}

TEST(a_star_does_not_reach_over_a_border) {
    EXPECT_FALSE(fits("CN=a*,O=Example", "CN=a,O=Other,O=Example"));
    EXPECT_FALSE(fits("CN=a*,O=Example", "CN=a+OU=x,O=Example"));
    EXPECT_FALSE(fits("CN=*", "CN=a+CN=b"));
}

TEST(an_escaped_border_is_text) {
    EXPECT_TRUE(fits("CN=a*,O=Example", "CN=a\\,O=Other,O=Example"));
    EXPECT_FALSE(fits("CN=a,O=Example", "CN=a\\,O=Example"));
    EXPECT_TRUE(fits("CN=a\\,b,O=E", "CN=a\\,b,O=E"));
    EXPECT_TRUE(fits("CN=*x,O=E", "CN=\\,\\+x,O=E"));
    EXPECT_TRUE(fits("CN=a\\\\,O=E", "CN=a\\\\,O=E"));
    EXPECT_FALSE(fits("CN=*,O=E", "CN=a\\,O=E"));
}

TEST(without_a_star_a_subject_is_what_it_is) {
    EXPECT_TRUE(fits("CN=a,O=Example", "CN=a,O=Example"));
    EXPECT_FALSE(fits("CN=a,O=Example", "CN=a,O=Examples"));
    EXPECT_FALSE(fits("CN=a,O=Example", "cn=a,O=Example"));
    EXPECT_FALSE(fits("", "CN=a"));
    EXPECT_TRUE(fits("", ""));
    EXPECT_FALSE(fits("CN=a", ""));
}

TEST(the_common_name_is_found_wherever_it_stands) {
    EXPECT_SPAN(subject_common_name(SPAN("CN=device-7,O=Example")), "device-7");
    EXPECT_SPAN(subject_common_name(SPAN("O=Example,OU=x+CN=d")), "d");
    EXPECT_SPAN(subject_common_name(SPAN("O=CN\\=x\\,CN=y,CN=z")), "z");
    EXPECT_SPAN(subject_common_name(SPAN("cn=d")), "d");
    EXPECT_SPAN(subject_common_name(SPAN("O=Example")), "");
    EXPECT_SPAN(subject_common_name(SPAN("")), "");
}

TEST(escapes_are_taken_away) {
    static const struct {
        const char *given;
        const char *wanted; /* NULL: broken */
    } cases[] = {
        {"a", "a"},          {"a\\,b", "a,b"}, {"\\C3\\A9", "\xc3\xa9"},
        {"\\2Fetc", "/etc"}, {"a\\", NULL},    {"\\\\x", "\\x"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        uint8_t bytes[32];
        size_t length = 0;
        bool is_good = subject_unescape(span_of_string(cases[i].given), bytes, &length);
        EXPECT_EQ(is_good, cases[i].wanted != NULL);
        if (is_good) {
            EXPECT_SPAN(span_of(bytes, length), cases[i].wanted);
        }
    }
}

UNIT_TESTS(UNIT(a_star_is_any_text_within_one_value), UNIT(a_star_does_not_reach_over_a_border),
           UNIT(an_escaped_border_is_text), UNIT(without_a_star_a_subject_is_what_it_is),
           UNIT(the_common_name_is_found_wherever_it_stands), UNIT(escapes_are_taken_away))

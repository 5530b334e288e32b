/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/choice.h"

#include "tests/unit.h"

TEST(each_word_is_read_back_as_it_is_written) {
    for (int type = 0; type < CONFIG_TYPE_COUNT; type++) {
        for (int value = 0; choice_is((enum config_type)type) && value < 2; value++) {
            const char *name = choice_name((enum config_type)type, value);
            int read = -1;
            EXPECT_EQ(choice_parse((enum config_type)type, span_of_string(name), &read, NULL), OK);
            EXPECT_EQ(read, value);
        }
    }
    EXPECT_FALSE(choice_is(CONFIG_TEXT));
}

TEST(another_word_is_told_the_known_ones) {
    struct error why = {0};
    int value = -1;
    EXPECT_EQ(choice_parse(CONFIG_WHEN_DOWN, SPAN("Deny"), &value, &why), ERR_CONFIG);
    EXPECT_STRING(why.detail, "\"Deny\" is not one of: deny, allow");
    EXPECT_EQ(value, -1);
}

UNIT_TESTS(UNIT(each_word_is_read_back_as_it_is_written), UNIT(another_word_is_told_the_known_ones))

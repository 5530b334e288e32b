/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/judge.h"

#include "tests/unit.h"

TEST(what_the_configuration_takes_is_good) {
    char why[64] = "before";
    EXPECT_TRUE(judge_pattern("a/*/**", why, sizeof(why)));
    EXPECT_STRING(why, "");
    EXPECT_TRUE(judge_pattern("{tenant}/{sub}", why, sizeof(why)));
    EXPECT_TRUE(judge_tenant("a-1", why, sizeof(why)));
}

TEST(what_it_refuses_is_refused_with_its_sentence) {
    char why[64];
    EXPECT_FALSE(judge_pattern("a/**/b", why, sizeof(why)));
    EXPECT_STRING(why, "`**` is the last segment of a pattern");
    EXPECT_FALSE(judge_pattern("", why, sizeof(why)));
    EXPECT_FALSE(judge_pattern("{user}", why, sizeof(why)));
    EXPECT_FALSE(judge_tenant("A/B", why, sizeof(why)));
    EXPECT_FALSE(judge_tenant("", why, sizeof(why)));
}

TEST(a_sentence_that_does_not_fit_is_cut) {
    char why[4];
    EXPECT_FALSE(judge_pattern("a/**/b", why, sizeof(why)));
    EXPECT_STRING(why, "`**");
}

UNIT_TESTS(UNIT(what_the_configuration_takes_is_good),
           UNIT(what_it_refuses_is_refused_with_its_sentence),
           UNIT(a_sentence_that_does_not_fit_is_cut))

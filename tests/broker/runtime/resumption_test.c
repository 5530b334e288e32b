/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/resumption.h"

#include "broker/limits.h"
#include "tests/unit.h"

#define BEGIN_MS 1000000
#define AGE_MS ((uint64_t)RESUMPTION_KEY_AGE_MS)

TEST(a_key_seals_for_its_age_and_opens_for_twice_as_long) {
    uint8_t first[RESUMPTION_NAME_BYTES];
    uint8_t second[RESUMPTION_NAME_BYTES];
    struct resumption *resumption = resumption_create(BEGIN_MS);
    EXPECT_NOT_NULL(resumption);
    resumption_current(resumption, BEGIN_MS, first);
    EXPECT_EQ(resumption_find(resumption, first, BEGIN_MS + AGE_MS - 1), RESUMPTION_CURRENT);
    resumption_current(resumption, BEGIN_MS + AGE_MS, second);
    EXPECT_TRUE(memcmp(first, second, sizeof(first)) != 0);
    EXPECT_EQ(resumption_find(resumption, first, BEGIN_MS + AGE_MS), RESUMPTION_OLD);
    EXPECT_EQ(resumption_find(resumption, second, BEGIN_MS + AGE_MS), RESUMPTION_CURRENT);
    EXPECT_EQ(resumption_find(resumption, first, BEGIN_MS + 2 * AGE_MS), RESUMPTION_UNKNOWN);
    EXPECT_EQ(resumption_find(resumption, second, BEGIN_MS + 2 * AGE_MS), RESUMPTION_OLD);
    resumption_destroy(resumption);
}

TEST(keys_are_forgotten_where_nobody_came_for_long) {
    uint8_t name[RESUMPTION_NAME_BYTES];
    struct resumption *resumption = resumption_create(BEGIN_MS);
    resumption_current(resumption, BEGIN_MS, name);
    EXPECT_EQ(resumption_find(resumption, name, BEGIN_MS + 9 * AGE_MS), RESUMPTION_UNKNOWN);
    resumption_destroy(resumption);
    resumption_destroy(NULL);
}

TEST(names_of_others_are_unknown) {
    uint8_t name[RESUMPTION_NAME_BYTES];
    struct resumption *ours = resumption_create(BEGIN_MS);
    struct resumption *theirs = resumption_create(BEGIN_MS);
    resumption_current(theirs, BEGIN_MS, name);
    EXPECT_EQ(resumption_find(ours, name, BEGIN_MS), RESUMPTION_UNKNOWN);
    resumption_destroy(ours);
    resumption_destroy(theirs);
}

UNIT_TESTS(UNIT(a_key_seals_for_its_age_and_opens_for_twice_as_long),
           UNIT(keys_are_forgotten_where_nobody_came_for_long), UNIT(names_of_others_are_unknown))

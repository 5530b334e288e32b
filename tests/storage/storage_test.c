/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/storage/fixture.h"

#define CHANNEL(name) .channel = SPAN(name)

TEST(what_is_admitted_can_be_read) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_publish_many(&fixture, "a", 3);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 10), 3);
    fixture_fold(&fixture);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 10), 3);
    fixture_publish_many(&fixture, "a", 3);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 10), 6);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 1), 6);
    fixture_expect(&fixture, (struct storage_query){CHANNEL("a")}, "0<1,2,3,4,5,6>6 head");
    fixture_finish(&fixture);
}

TEST(a_killed_log_and_a_closed_one_read_the_same) {
    struct fixture fixture;
    fixture_init(&fixture);
    fixture_open(&fixture);
    for (int i = 0; i < 200; i++) {
        fixture_publish_many(&fixture, i % 3 == 0 ? "a" : "b", 1);
        if (i == 100) {
            fixture_fold(&fixture);
        }
    }
    EXPECT_EQ(fixture_check_all(&fixture, "a", 7), 67);
    fixture_kill(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(fixture.generation, 2);
    EXPECT_EQ(fixture.position_next, 201);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 7), 67);
    EXPECT_EQ(fixture_check_all(&fixture, "b", 7), 133);
    fixture_close(&fixture);
    fixture_open(&fixture);
    EXPECT_EQ(fixture.generation, 2);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 7), 67);
    fixture_publish_many(&fixture, "a", 1);
    EXPECT_EQ(fixture_check_all(&fixture, "a", 7), 68);
    fixture_finish(&fixture);
}

UNIT_TESTS(UNIT(what_is_admitted_can_be_read), UNIT(a_killed_log_and_a_closed_one_read_the_same))

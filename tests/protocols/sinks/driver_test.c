/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/driver.h"

#include "tests/unit.h"

TEST(the_row_says_who_carries) {
    char address[] = "x";
    struct sink_row row = {.webhook_url = address};
    EXPECT_TRUE(driver_of(&row) == &webhook_driver);
    row = (struct sink_row){.kafka_brokers = address};
    EXPECT_TRUE(driver_of(&row) == &kafka_driver);
    row = (struct sink_row){.mqtt_url = address};
    EXPECT_TRUE(driver_of(&row) == &mqtt_driver);
}

TEST(none_and_several_are_nobody) {
    char address[] = "x";
    struct sink_row row = {0};
    EXPECT_NULL(driver_of(&row));
    row.webhook_url = row.mqtt_url = address;
    EXPECT_NULL(driver_of(&row));
}

TEST(every_outcome_has_a_name_of_its_own) {
    for (enum outcome i = 0; i < OUTCOME_COUNT; i++) {
        EXPECT_NOT_NULL(outcome_name(i));
        for (enum outcome j = 0; j < i; j++) {
            EXPECT_FALSE(strcmp(outcome_name(i), outcome_name(j)) == 0);
        }
    }
}

UNIT_TESTS(UNIT(the_row_says_who_carries), UNIT(none_and_several_are_nobody),
           UNIT(every_outcome_has_a_name_of_its_own))

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sources/positions.h"

#include "tests/unit.h"

TEST(a_position_is_of_one_source_and_one_name) {
    struct positions *positions;
    EXPECT_EQ(positions_create(&positions), OK);
    EXPECT_EQ(positions_learn(positions, span_of("lake\0p", 6), SPAN("7")), OK);
    EXPECT_SPAN(position_text(positions_get(positions, SPAN("lake"), SPAN("p"))), "7");
    EXPECT_EQ(position_text(positions_get(positions, SPAN("lak"), SPAN("ep"))).length, 0);
    EXPECT_EQ(position_text(positions_get(positions, SPAN("lake"), SPAN("q"))).length, 0);
    EXPECT_EQ(position_text(positions_get(positions, SPAN("lake"), SPAN(""))).length, 0);
    positions_destroy(positions);
}

TEST(what_is_learned_later_counts) {
    struct positions *positions;
    EXPECT_EQ(positions_create(&positions), OK);
    EXPECT_EQ(positions_learn(positions, span_of("lake\0p", 6), SPAN("7")), OK);
    EXPECT_EQ(positions_learn(positions, span_of("lake\0p", 6), SPAN("12")), OK);
    struct position *position = positions_get(positions, SPAN("lake"), SPAN("p"));
    EXPECT_SPAN(position_text(position), "12");
    position_set(position, SPAN(""));
    EXPECT_EQ(position_text(position).length, 0);
    positions_destroy(positions);
}

TEST(what_is_too_long_to_be_ours_is_refused) {
    static const char bytes[STORAGE_OBJECT_NAME_BYTES_MAX + 1] = {'a'};
    struct positions *positions;
    EXPECT_EQ(positions_create(&positions), OK);
    EXPECT_EQ(positions_learn(positions, span_of(bytes, sizeof(bytes)), SPAN("7")), ERR_TOO_LARGE);
    EXPECT_EQ(positions_learn(positions, SPAN("a"), span_of(bytes, POSITION_BYTES_MAX + 1)),
              ERR_TOO_LARGE);
    EXPECT_NULL(positions_get(positions, SPAN("lake"), span_of(bytes, sizeof(bytes) - 5)));
    positions_destroy(positions);
}

UNIT_TESTS(UNIT(a_position_is_of_one_source_and_one_name), UNIT(what_is_learned_later_counts),
           UNIT(what_is_too_long_to_be_ours_is_refused))

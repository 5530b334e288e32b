/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/sendings.h"

#include "tests/unit.h"

#define CHANNELS 3u
#define LANES 2u

TEST(each_lane_of_a_channel_is_numbered_by_itself) {
    struct sendings sendings;
    sendings_init(&sendings, CHANNELS, LANES);
    EXPECT_EQ(sendings_number(&sendings, 0, 1), 0);
    EXPECT_EQ(sendings_number(&sendings, 0, 1), 1);
    EXPECT_EQ(sendings_number(&sendings, 2, 0), 0);
    uint64_t counts[CHANNELS * LANES];
    sendings_copy(&sendings, counts);
    for (uint32_t channel = 0; channel < CHANNELS; channel++) {
        for (uint32_t lane = 0; lane < LANES; lane++) {
            uint64_t count = channel == 0 && lane == 1 ? 2 : channel == 2 && lane == 0 ? 1 : 0;
            EXPECT_EQ(sendings_count(&sendings, channel, lane), count);
            EXPECT_EQ(counts[channel * LANES + lane], count);
        }
    }
    sendings_finish(&sendings);
}

UNIT_TESTS(UNIT(each_lane_of_a_channel_is_numbered_by_itself))

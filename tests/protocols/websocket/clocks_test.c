/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/websocket_private.h"
#include "tests/unit.h"

/* Pings, the stall timeout and who is told are claims of websocket_test.c and
 * subscriptions_test.c. */

TEST(progress_is_news_only_where_nothing_matched) {
    struct progress told = {0};
    struct place place = {.position = 5, .channel_id = 1, .offset = 2};
    EXPECT_FALSE(progress_advance(&told, &place)); /* a message told it */
    EXPECT_FALSE(progress_advance(&told, &place)); /* nothing moved */
    place.position = 9;
    EXPECT_TRUE(progress_advance(&told, &place));
    EXPECT_FALSE(progress_advance(&told, &place));
    place = (struct place){.position = 12, .channel_id = 1, .offset = 3};
    EXPECT_FALSE(progress_advance(&told, &place));
    place = (struct place){.position = 13, .channel_id = 2, .offset = 3};
    EXPECT_FALSE(progress_advance(&told, &place));
}

TEST(progress_never_goes_back) {
    struct progress told = {.position = 9, .channel_id = 1, .offset = 2};
    struct place place = {.position = 8, .channel_id = 1, .offset = 2};
    EXPECT_FALSE(progress_advance(&told, &place));
}

UNIT_TESTS(UNIT(progress_is_news_only_where_nothing_matched), UNIT(progress_never_goes_back))

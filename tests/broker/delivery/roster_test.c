/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/delivery/roster.h"

#include <stdio.h>

#include "broker/limits.h"
#include "tests/unit.h"

TEST(who_is_here_is_not_missed_however_long) {
    struct roster roster;
    uint64_t next_ms = 0;
    EXPECT_EQ(roster_init(&roster, NULL), OK);
    EXPECT_EQ(roster_put_here(&roster, SPAN("a"), 1000), OK);
    EXPECT_EQ(roster_expire(&roster, UINT64_MAX - 1, &next_ms), 0);
    EXPECT_TRUE(next_ms == ROSTER_FOR_EVER);
    EXPECT_EQ(roster_count(&roster), 1);
    roster_finish(&roster);
}

TEST(who_is_away_is_kept_until_its_time_and_not_longer) {
    struct roster roster;
    uint64_t next_ms = 0;
    EXPECT_EQ(roster_init(&roster, NULL), OK);
    EXPECT_EQ(roster_put_here(&roster, SPAN("a"), 1000), OK);
    EXPECT_EQ(roster_put_here(&roster, SPAN("b"), 1000), OK);
    roster_put_away(&roster, SPAN("a"), 500, 100);
    roster_put_away(&roster, SPAN("b"), ROSTER_FOR_EVER, 100);
    roster_put_away(&roster, SPAN("nobody"), 1, 100);
    EXPECT_EQ(roster_expire(&roster, 599, &next_ms), 0);
    EXPECT_EQ(next_ms, 600);
    EXPECT_EQ(roster_expire(&roster, 600, &next_ms), 1);
    EXPECT_TRUE(next_ms == ROSTER_FOR_EVER);
    EXPECT_EQ(roster_count(&roster), 1);
    EXPECT_TRUE(roster_remove(&roster, SPAN("b")));
    EXPECT_FALSE(roster_remove(&roster, SPAN("b")));
    EXPECT_EQ(roster_count(&roster), 0);
    roster_finish(&roster);
}

TEST(who_comes_back_is_here_again) {
    struct roster roster;
    uint64_t next_ms = 0;
    EXPECT_EQ(roster_init(&roster, NULL), OK);
    EXPECT_EQ(roster_put_here(&roster, SPAN("a"), 1000), OK);
    roster_put_away(&roster, SPAN("a"), 500, 100);
    EXPECT_EQ(roster_put_here(&roster, SPAN("a"), 1000), OK);
    EXPECT_EQ(roster_count(&roster), 1);
    EXPECT_EQ(roster_expire(&roster, 10000, &next_ms), 0);
    roster_finish(&roster);
}

static struct roster rosters[3];
static size_t named[3];

static void on_named(struct roster *roster, struct span name) {
    named[roster - rosters]++;
    EXPECT_TRUE(roster_remove(roster, name));
}

static void expect_named(const struct roster_index *index, size_t one, size_t two, size_t three) {
    memset(named, 0, sizeof(named));
    roster_index_each(index, SPAN("a"), on_named);
    EXPECT_EQ(named[0], one);
    EXPECT_EQ(named[1], two);
    EXPECT_EQ(named[2], three);
}

TEST(an_index_knows_in_which_rosters_a_name_is) {
    struct roster_index index;
    uint64_t next_ms = 0;
    EXPECT_EQ(roster_index_init(&index), OK);
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(roster_init(&rosters[i], &index), OK);
        EXPECT_EQ(roster_put_here(&rosters[i], SPAN("b"), 1000), OK);
    }
    expect_named(&index, 0, 0, 0);
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(roster_put_here(&rosters[i], SPAN("a"), 1000), OK);
        EXPECT_EQ(roster_put_here(&rosters[i], SPAN("a"), 1000), OK);
    }
    EXPECT_TRUE(roster_remove(&rosters[1], SPAN("a")));
    expect_named(&index, 1, 0, 1);
    expect_named(&index, 0, 0, 0); /* they were removed in the walk */
    EXPECT_EQ(roster_put_here(&rosters[0], SPAN("a"), 1000), OK);
    EXPECT_EQ(roster_put_here(&rosters[2], SPAN("a"), 1000), OK);
    roster_put_away(&rosters[2], SPAN("a"), 1, 1);
    EXPECT_EQ(roster_expire(&rosters[2], 10, &next_ms), 1);
    expect_named(&index, 1, 0, 0);
    for (size_t i = 0; i < 3; i++) {
        roster_finish(&rosters[i]); /* with names in them */
    }
    roster_index_finish(&index);
}

TEST(no_more_names_than_the_bound) {
    struct roster roster;
    char name[32];
    EXPECT_EQ(roster_init(&roster, NULL), OK);
    for (int i = 0; i < GROUP_KEPT_MAX; i++) {
        snprintf(name, sizeof(name), "%d", i);
        EXPECT_EQ(roster_put_here(&roster, span_of_string(name), 1), OK);
    }
    EXPECT_EQ(roster_put_here(&roster, SPAN("one more"), 1), ERR_FULL);
    EXPECT_EQ(roster_put_here(&roster, SPAN("0"), 2), OK);
    roster_finish(&roster);
}

TEST(what_was_stored_comes_back_and_who_was_here_is_away_from_then_on) {
    struct roster roster;
    struct roster again;
    struct buffer buffer;
    uint64_t next_ms = 0;
    buffer_init(&buffer, 1024);
    EXPECT_EQ(roster_init(&roster, NULL), OK);
    EXPECT_EQ(roster_init(&again, NULL), OK);
    EXPECT_EQ(roster_put_here(&roster, SPAN("here"), 1000), OK);
    EXPECT_EQ(roster_put_here(&roster, SPAN("away"), 1000), OK);
    EXPECT_EQ(roster_put_here(&roster, SPAN(""), ROSTER_FOR_EVER), OK);
    roster_put_away(&roster, SPAN("away"), 700, 100);
    EXPECT_EQ(roster_encode(&roster, &buffer), OK);
    struct span rest = buffer_borrow(&buffer);
    EXPECT_EQ(roster_decode(&again, &rest, 200), OK);
    EXPECT_EQ(rest.length, 0);
    EXPECT_EQ(roster_count(&again), 3);
    EXPECT_EQ(roster_expire(&again, 800, &next_ms), 1);
    EXPECT_EQ(next_ms, 1200);
    EXPECT_EQ(roster_expire(&again, 1200, &next_ms), 1);
    EXPECT_EQ(roster_count(&again), 1);
    roster_finish(&roster);
    roster_finish(&again);
    buffer_finish(&buffer);
}

TEST(what_is_cut_off_is_refused) {
    struct roster roster;
    struct buffer buffer;
    buffer_init(&buffer, 1024);
    EXPECT_EQ(roster_init(&roster, NULL), OK);
    EXPECT_EQ(roster_put_here(&roster, SPAN("abc"), 1000), OK);
    EXPECT_EQ(roster_encode(&roster, &buffer), OK);
    for (size_t length = 0; length < buffer.length; length++) {
        struct roster again;
        struct span rest = span_of(buffer.bytes, length);
        EXPECT_EQ(roster_init(&again, NULL), OK);
        EXPECT_EQ(roster_decode(&again, &rest, 1), ERR_CORRUPT);
        roster_finish(&again);
    }
    roster_finish(&roster);
    buffer_finish(&buffer);
}

UNIT_TESTS(UNIT(who_is_here_is_not_missed_however_long),
           UNIT(who_is_away_is_kept_until_its_time_and_not_longer),
           UNIT(who_comes_back_is_here_again), UNIT(an_index_knows_in_which_rosters_a_name_is),
           UNIT(no_more_names_than_the_bound),
           UNIT(what_was_stored_comes_back_and_who_was_here_is_away_from_then_on),
           UNIT(what_is_cut_off_is_refused))

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/breaker.h"

#include "tests/unit.h"

#define NOW_MS UINT64_C(1000000)

static struct breaker breaker;

static int begin(void **state) {
    (void)state;
    breaker_init(&breaker);
    return 0;
}

/* Ships one and lets it fail; true: the state has changed. */
static bool fail_one(uint64_t now_ms) {
    bool is_probe = breaker_on_shipped(&breaker);
    return breaker_on_failure(&breaker, is_probe, now_ms, 0, now_ms * 2654435761U);
}

static void trip(uint64_t now_ms) {
    for (int i = 0; i < BREAKER_FAILURES; i++) {
        EXPECT_EQ(fail_one(now_ms), i == BREAKER_FAILURES - 1);
    }
}

TEST(it_opens_at_the_fifth_failure_in_a_row) {
    EXPECT_EQ(breaker_room(&breaker, NOW_MS), SIZE_MAX);
    trip(NOW_MS);
    EXPECT_EQ(breaker.state, LEDGER_OPEN);
    EXPECT_EQ(breaker_room(&breaker, NOW_MS), 0);
}

TEST(a_success_in_between_begins_the_row_anew) {
    for (int i = 0; i < 3 * BREAKER_FAILURES; i++) {
        EXPECT_FALSE(i % 2 == 0 ? fail_one(NOW_MS) : breaker_on_success(&breaker, false));
    }
    EXPECT_EQ(breaker.state, LEDGER_CLOSED);
}

TEST(it_opens_when_most_of_the_last_twenty_failed) {
    bool has_changed = false;
    int shipments = 0;
    for (; !has_changed && shipments < 100; shipments++) { /* 3 of 4 fail, never 5 in a row */
        has_changed = shipments % 4 == 0 ? breaker_on_success(&breaker, false) : fail_one(NOW_MS);
    }
    EXPECT_EQ(shipments, BREAKER_SAMPLE);
    EXPECT_EQ(breaker.state, LEDGER_OPEN);
}

TEST(an_endpoint_that_is_down_gets_one_probe_each_time) {
    uint64_t now_ms = NOW_MS;
    trip(now_ms);
    for (int i = 0; i < 12; i++) {
        uint64_t until_ms = breaker.until_ms;
        EXPECT_EQ(breaker_room(&breaker, until_ms - 1), 0);
        now_ms = until_ms;
        EXPECT_EQ(breaker_room(&breaker, now_ms), 1);
        EXPECT_TRUE(breaker_on_shipped(&breaker));
        EXPECT_EQ(breaker_room(&breaker, now_ms), 0);
        EXPECT_TRUE(breaker_on_failure(&breaker, true, now_ms, 0, (uint64_t)i * 977));
        EXPECT_EQ(breaker.state, LEDGER_OPEN);
    }
}

TEST(the_wait_doubles_up_to_the_longest_give_or_take_a_fifth) {
    uint64_t wait_ms = BREAKER_WAIT_MS, now_ms = NOW_MS;
    trip(now_ms);
    for (uint64_t i = 0; i < 40; i++) {
        uint64_t waited_ms = breaker.until_ms - now_ms;
        EXPECT_TRUE(waited_ms >= wait_ms * 4 / 5 && waited_ms <= wait_ms * 6 / 5);
        wait_ms = wait_ms * 2 < BREAKER_WAIT_MS_MAX ? wait_ms * 2 : BREAKER_WAIT_MS_MAX;
        now_ms = breaker.until_ms;
        EXPECT_EQ(breaker_room(&breaker, now_ms), 1);
        fail_one(now_ms);
    }
}

TEST(it_opens_at_least_as_long_as_the_endpoint_asks) {
    for (int i = 0; i < BREAKER_FAILURES; i++) {
        EXPECT_FALSE(breaker_on_shipped(&breaker));
        (void)breaker_on_failure(&breaker, false, NOW_MS, 3600000, 0);
    }
    EXPECT_EQ(breaker.until_ms, NOW_MS + 3600000);
}

TEST(a_probe_that_comes_back_well_closes_it) {
    trip(NOW_MS);
    EXPECT_EQ(breaker_room(&breaker, breaker.until_ms), 1);
    EXPECT_TRUE(breaker_on_shipped(&breaker));
    EXPECT_TRUE(breaker_on_success(&breaker, true));
    EXPECT_EQ(breaker.state, LEDGER_CLOSED);
    EXPECT_EQ(breaker.trips, 0);
    EXPECT_EQ(breaker_room(&breaker, NOW_MS), SIZE_MAX);
}

TEST(what_began_before_it_opened_is_not_the_probe) {
    trip(NOW_MS);
    EXPECT_FALSE(breaker_on_success(&breaker, false));
    EXPECT_FALSE(breaker_on_failure(&breaker, false, NOW_MS, 0, 0));
    EXPECT_EQ(breaker.trips, 1);
    EXPECT_EQ(breaker_room(&breaker, breaker.until_ms), 1);
    EXPECT_TRUE(breaker_on_shipped(&breaker));
    EXPECT_FALSE(breaker_on_failure(&breaker, false, breaker.until_ms, 0, 0));
    EXPECT_FALSE(breaker_on_success(&breaker, false));
    EXPECT_EQ(breaker.state, LEDGER_HALF_OPEN);
    EXPECT_TRUE(breaker_on_success(&breaker, true));
}

TEST(what_begins_as_it_opens_is_no_probe_and_says_nothing) {
    trip(NOW_MS);
    EXPECT_FALSE(breaker_on_shipped(&breaker));
    EXPECT_FALSE(breaker_on_failure(&breaker, false, NOW_MS, 0, 0));
    EXPECT_EQ(breaker_room(&breaker, breaker.until_ms), 1);
    EXPECT_TRUE(breaker_on_shipped(&breaker));
    EXPECT_FALSE(breaker_on_shipped(&breaker));
}

TEST(a_probe_that_says_nothing_makes_way_for_another) {
    trip(NOW_MS);
    EXPECT_EQ(breaker_room(&breaker, breaker.until_ms), 1);
    EXPECT_TRUE(breaker_on_shipped(&breaker));
    breaker_on_abandoned(&breaker, true);
    EXPECT_EQ(breaker_room(&breaker, breaker.until_ms), 1);
    EXPECT_EQ(breaker.trips, 1);
}

TEST(a_restart_goes_on_from_the_ledger) {
    struct ledger ledger;
    struct breaker again;
    ledger_init(&ledger);
    trip(NOW_MS);
    uint64_t until_ms = breaker.until_ms;
    EXPECT_EQ(breaker_room(&breaker, until_ms), 1);
    breaker_keep(&breaker, &ledger); /* half open */
    breaker_restore(&again, &ledger);
    EXPECT_EQ(again.state, LEDGER_OPEN);
    EXPECT_EQ(again.trips, 1);
    EXPECT_EQ(breaker_room(&again, until_ms - 1), 0);
    EXPECT_EQ(breaker_room(&again, until_ms), 1);
}

TEST(behind_an_outage_it_is_on_trial_until_it_has_taken_enough) {
    EXPECT_FALSE(breaker_is_on_trial(&breaker));
    trip(NOW_MS);
    EXPECT_EQ(breaker_room(&breaker, breaker.until_ms), 1);
    EXPECT_TRUE(breaker_on_shipped(&breaker));
    EXPECT_TRUE(breaker_on_success(&breaker, true));
    for (int i = 0; i < BREAKER_SAMPLE; i++) {
        EXPECT_TRUE(breaker_is_on_trial(&breaker));
        EXPECT_FALSE(breaker_on_success(&breaker, false));
    }
    EXPECT_FALSE(breaker_is_on_trial(&breaker));
}

TEST(with_nothing_to_ask_with_it_is_closed_but_on_trial) {
    EXPECT_FALSE(breaker_on_idle(&breaker));
    trip(NOW_MS);
    EXPECT_TRUE(breaker_on_idle(&breaker));
    EXPECT_EQ(breaker_room(&breaker, NOW_MS), SIZE_MAX);
    EXPECT_TRUE(breaker_is_on_trial(&breaker));
    trip(NOW_MS);
    EXPECT_EQ(breaker.trips, 2);
}

TEST(a_restart_in_an_outage_is_on_trial_too) {
    struct ledger ledger;
    struct breaker again;
    ledger_init(&ledger);
    trip(NOW_MS);
    breaker_keep(&breaker, &ledger);
    breaker_restore(&again, &ledger);
    EXPECT_TRUE(breaker_is_on_trial(&again));
}

#define CASE(name) cmocka_unit_test_setup(name, begin)

UNIT_TESTS(CASE(it_opens_at_the_fifth_failure_in_a_row),
           CASE(a_success_in_between_begins_the_row_anew),
           CASE(it_opens_when_most_of_the_last_twenty_failed),
           CASE(an_endpoint_that_is_down_gets_one_probe_each_time),
           CASE(the_wait_doubles_up_to_the_longest_give_or_take_a_fifth),
           CASE(it_opens_at_least_as_long_as_the_endpoint_asks),
           CASE(a_probe_that_comes_back_well_closes_it),
           CASE(what_began_before_it_opened_is_not_the_probe),
           CASE(what_begins_as_it_opens_is_no_probe_and_says_nothing),
           CASE(a_probe_that_says_nothing_makes_way_for_another),
           CASE(a_restart_goes_on_from_the_ledger),
           CASE(behind_an_outage_it_is_on_trial_until_it_has_taken_enough),
           CASE(with_nothing_to_ask_with_it_is_closed_but_on_trial),
           CASE(a_restart_in_an_outage_is_on_trial_too))

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/ledger_record.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit.h"

static struct ledger ledger, again;
static struct buffer record;

static int begin(void **state) {
    (void)state;
    ledger_init(&ledger);
    ledger_init(&again);
    buffer_init(&record, LEDGER_RECORD_BYTES_MAX);
    return 0;
}

static int end(void **state) {
    (void)state;
    ledger_finish(&ledger);
    ledger_finish(&again);
    buffer_finish(&record);
    return 0;
}

static enum ledger_mark find(const char *channel, uint64_t position,
                             struct ledger_failure *ret_failure) {
    const struct message message = {.place = {.position = position},
                                    .fields = {.channel = span_of_string(channel)}};
    return ledger_find(&again, &message, ret_failure);
}

static void fill(void) {
    const struct place floor = {
        .log_id = 300, .generation = 2, .position = 1000, .channel_id = 5, .offset = 77};
    const struct ledger_failure failures[] = {{1002, 1, 500}, {1500, 8, 70000}};
    const uint64_t first[] = {1100, 1101, 1300}, second[] = {1200};
    ledger_move_floor(&ledger, &floor);
    EXPECT_EQ(ledger_put_done(&ledger, 1003, 0), OK);
    EXPECT_EQ(ledger_put_done(&ledger, 1010, 1005), OK);
    EXPECT_EQ(ledger_put_done(&ledger, 1012, 1010), OK);
    EXPECT_EQ(ledger_put_failure(&ledger, &failures[0]), OK);
    EXPECT_EQ(ledger_put_failure(&ledger, &failures[1]), OK);
    EXPECT_EQ(ledger_put_batch(&ledger, first, 3), OK);
    EXPECT_EQ(ledger_put_batch(&ledger, second, 1), OK);
    ledger.halt = LEDGER_DISABLED;
    snprintf(ledger.reason, sizeof(ledger.reason), "gone");
    ledger.breaker = LEDGER_HALF_OPEN;
    ledger.breaker_trips = 3;
    ledger.breaker_until_ms = 128;
    ledger.failing_since_ms = 1;
    ledger.delivered_count = 2;
    ledger.dead_count = 3;
    ledger.dead_offset = 4;
    ledger.course = 5;
}

/* The layout at the top of ledger_record.c, by hand. */
static const uint8_t golden[] = {
    1,                                                                         /* version */
    1,  7,  0, 0, 0, 0xAC, 0x02, 2,    0xE8, 0x07, 5,    77,                   /* floor */
    2,  6,  0, 0, 0, 3,    0,    0,    7,    2,    5,                          /* ranges */
    3,  10, 0, 0, 0, 2,    1,    0xF4, 0x03, 0xF2, 0x03, 8,  0xF0, 0xA2, 0x04, /* failures */
    4,  8,  0, 0, 0, 3,    0xCC, 0x08, 1,    0xC7, 0x01, 1,  100,              /* batches */
    5,  1,  0, 0, 0, 2,                                                        /* halt */
    6,  4,  0, 0, 0, 'g',  'o',  'n',  'e',                                    /* reason */
    7,  4,  0, 0, 0, 1,    3,    0x80, 0x01,                                   /* breaker */
    8,  1,  0, 0, 0, 1,                                                        /* failing */
    9,  1,  0, 0, 0, 2,                                                        /* delivered */
    10, 1,  0, 0, 0, 3,                                                        /* dead */
    11, 1,  0, 0, 0, 4,                                                        /* dead offset */
    12, 1,  0, 0, 0, 5,                                                        /* course */
};

TEST(the_bytes_are_those_of_the_layout) {
    fill();
    EXPECT_EQ(ledger_record_put(&record, &ledger), OK);
    EXPECT_EQ(record.length, sizeof(golden));
    assert_memory_equal(record.bytes, golden, sizeof(golden));
}

TEST(a_record_is_read_as_it_was_written) {
    struct ledger_failure failure;
    EXPECT_EQ(ledger_record_parse(span_of(golden, sizeof(golden)), &again), OK);
    EXPECT_TRUE(again.has_floor);
    EXPECT_EQ(again.floor.log_id, 300);
    EXPECT_EQ(again.floor.generation, 2);
    EXPECT_EQ(again.floor.position, 1000);
    EXPECT_EQ(again.floor.channel_id, 5);
    EXPECT_EQ(again.floor.offset, 77);
    EXPECT_EQ(again.now.range_count, 2);
    EXPECT_EQ(again.now.ranges[1].first, 1010);
    EXPECT_EQ(again.now.ranges[1].last, 1012);
    EXPECT_EQ(again.now.ranges[1].before, 1005);
    EXPECT_EQ(find("a", 1500, &failure), LEDGER_FAILED);
    EXPECT_EQ(failure.attempts, 8);
    EXPECT_EQ(failure.due_ms, 70000);
    EXPECT_EQ(again.batch_count, 2);
    EXPECT_EQ(ledger_find_batch(&again, 1300)->count, 3);
    EXPECT_EQ(ledger_find_batch(&again, 1200)->count, 1);
    EXPECT_EQ(again.halt, LEDGER_DISABLED);
    EXPECT_STRING(again.reason, "gone");
    EXPECT_EQ(again.breaker, LEDGER_OPEN);
    EXPECT_EQ(again.breaker_trips, 3);
    EXPECT_EQ(again.breaker_until_ms, 128);
    EXPECT_EQ(again.failing_since_ms, 1);
    EXPECT_EQ(again.delivered_count, 2);
    EXPECT_EQ(again.dead_count, 3);
    EXPECT_EQ(again.dead_offset, 4);
    EXPECT_EQ(again.course, 5);
}

/* --- what is done, and of whose channels ------------------------------------------------------ */

static void take_view(const char *texts, size_t length, enum sink_mode mode) {
    const struct stratum_view view = {
        .mode = mode, .order = SINK_ORDER_KEY, .texts = span_of(texts, length)};
    bool is_changed;
    EXPECT_EQ(ledger_take_view(&ledger, &view, &is_changed), OK);
}

static void fill_strata(void) {
    const struct place floor = {.log_id = 300, .generation = 2, .position = 1000};
    struct stratum_hold *holds = calloc(2, sizeof(*holds));
    ledger_move_floor(&ledger, &floor);
    take_view("a", 2, SINK_MODE_PARALLEL);
    EXPECT_EQ(ledger_put_done(&ledger, 1003, 0), OK);
    take_view("a\0b", 4, SINK_MODE_ORDERED);
    holds[0] = (struct stratum_hold){300, 1004};
    holds[1] = (struct stratum_hold){7, 999};
    EXPECT_EQ(stratum_condense(&ledger.now, 1010, holds, 2), OK);
    EXPECT_EQ(ledger_put_done(&ledger, 1012, 1005), OK);
}

/* The layout at the top of ledger_record.c, by hand. */
static const uint8_t golden_strata[] = {
    1,                                                       /* version */
    1,  7, 0, 0, 0, 0xAC, 0x02, 2,   0xE8, 0x07, 0, 0,       /* floor */
    2,  3, 0, 0, 0, 12,   0,    7,                           /* ranges */
    13, 5, 0, 0, 0, 1,    'a',  0,   'b',  0,                /* view: of keys */
    14, 6, 0, 0, 0, 10,   7,    0,   0xA5, 0x02, 4,          /* holds */
    15, 9, 0, 0, 0, 3,    2,    'a', 0,    1,    3, 0, 0, 0, /* past: parallel */
};

TEST(what_is_done_is_written_with_the_channels_that_it_is_of) {
    fill_strata();
    EXPECT_EQ(ledger_record_put(&record, &ledger), OK);
    EXPECT_EQ(record.length, sizeof(golden_strata));
    assert_memory_equal(record.bytes, golden_strata, sizeof(golden_strata));
}

TEST(what_is_done_is_read_as_it_was_written) {
    EXPECT_EQ(ledger_record_parse(span_of(golden_strata, sizeof(golden_strata)), &again), OK);
    EXPECT_EQ(again.now.reach, 1010);
    EXPECT_EQ(again.now.hold_count, 2);
    EXPECT_EQ(again.now.holds[1].lane, 300);
    EXPECT_EQ(again.now.holds[1].first, 1004);
    EXPECT_EQ(again.now.order, SINK_ORDER_KEY);
    EXPECT_EQ(again.past_count, 1);
    EXPECT_FALSE(again.past[0].has_lanes);
    EXPECT_EQ(again.past[0].ranges[0].first, 1003);
    EXPECT_EQ(ledger_record_put(&record, &again), OK);
    assert_memory_equal(record.bytes, golden_strata, sizeof(golden_strata));
}

TEST(what_is_read_goes_on_joining) {
    EXPECT_EQ(ledger_record_parse(span_of(golden, sizeof(golden)), &again), OK);
    EXPECT_EQ(ledger_put_done(&again, 1005, 1003), OK);
    EXPECT_EQ(again.now.range_count, 1);
}

TEST(a_new_sink_is_its_version_alone) {
    EXPECT_EQ(ledger_record_put(&record, &ledger), OK);
    EXPECT_EQ(record.length, 1);
    EXPECT_EQ(ledger_record_parse(buffer_borrow(&record), &again), OK);
    EXPECT_FALSE(again.has_floor);
}

TEST(a_field_of_a_later_version_is_skipped) {
    const uint8_t bytes[] = {1, 9, 1, 0, 0, 0, 5, 200, 3, 0, 0, 0, 'x', 'y', 'z'};
    EXPECT_EQ(ledger_record_parse(span_of(bytes, sizeof(bytes)), &again), OK);
    EXPECT_EQ(again.delivered_count, 5);
}

static void expect_refused(const uint8_t *bytes, size_t length, enum error_code code) {
    again.dead_count = 42;
    EXPECT_EQ(ledger_record_parse(span_of(bytes, length), &again), code);
    EXPECT_EQ(again.dead_count, 42);
}

#define EXPECT_REFUSED(code, ...)                                                                  \
    do {                                                                                           \
        const uint8_t bytes[] = {__VA_ARGS__};                                                     \
        expect_refused(bytes, sizeof(bytes), code);                                                \
    } while (0)

TEST(what_breaks_the_layout_is_refused_and_changes_nothing) {
    expect_refused(NULL, 0, ERR_CORRUPT);
    EXPECT_REFUSED(ERR_DATA_VERSION, 2);
    EXPECT_REFUSED(ERR_CORRUPT, 1, 5, 1, 0, 0);                         /* half a head */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 5, 2, 0, 0, 0, 1);                   /* half a value */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 5, 1, 0, 0, 0, 3);                   /* no such halt */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 5, 2, 0, 0, 0, 1, 1);                /* too long a value */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 5, 1, 0, 0, 0, 1, 5, 1, 0, 0, 0, 1); /* twice */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 9, 1, 0, 0, 0, 1, 5, 1, 0, 0, 0, 1); /* out of order */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 0, 0, 0, 0, 0);                      /* number 0 */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 2, 3, 0, 0, 0, 0, 0, 0);             /* a step of 0 */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 2, 3, 0, 0, 0, 5, 0, 9);             /* before 0 */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 3, 3, 0, 0, 0, 0, 1, 1);             /* a step of 0 */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 4, 1, 0, 0, 0, 0);                   /* an empty batch */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 4, 5, 0, 0, 0, 2, 1, 1, 1, 1);       /* of two batches */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 6, 2, 0, 0, 0, 'a', 0);              /* a zero in a text */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 13, 1, 0, 0, 0, 0);                  /* of no channels */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 13, 2, 0, 0, 0, 0, 'a');             /* without its zero */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 13, 3, 0, 0, 0, 4, 'a', 0);          /* no such order */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 14, 1, 0, 0, 0, 9);                  /* without a view */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 13, 3, 0, 0, 0, 3, 'a', 0, 14, 1, 0, 0, 0, 9); /* no lanes */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 15, 6, 0, 0, 0, 0, 2, 'a', 0, 0, 0);       /* nothing is done */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 15, 7, 0, 0, 0, 0, 9, 'a', 0, 0, 9, 0);    /* too long */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 15, 8, 0, 0, 0, 0, 2, 'a', 0, 2, 1, 0, 0); /* a range less */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 15, 8, 0, 0, 0, 0, 2, 'a', 0, 0, 9, 2, 1); /* half a hold */
    EXPECT_REFUSED(ERR_CORRUPT, 1, 15, 7, 0, 0, 0, 3, 2, 'a', 0, 0, 9, 0);    /* no lanes */
}

TEST(every_part_of_a_record_alone_is_refused_or_sound) {
    for (size_t length = 0; length < sizeof(golden); length++) {
        enum error_code code = ledger_record_parse(span_of(golden, length), &again);
        EXPECT_TRUE(code == OK || code == ERR_CORRUPT);
    }
    for (size_t length = 0; length < sizeof(golden_strata); length++) {
        enum error_code code = ledger_record_parse(span_of(golden_strata, length), &again);
        EXPECT_TRUE(code == OK || code == ERR_CORRUPT);
    }
}

TEST(the_fullest_ledger_fits) {
    const uint64_t step = UINT64_MAX / (STRATUM_RANGES_MAX + 2);
    const struct place floor = {UINT64_MAX, UINT32_MAX, 1, UINT64_MAX, UINT64_MAX};
    uint64_t positions[LEDGER_BATCH_MESSAGES_MAX];
    ledger_move_floor(&ledger, &floor);
    for (uint64_t i = 1; i <= STRATUM_RANGES_MAX; i++) {
        EXPECT_EQ(ledger_put_done(&ledger, i * step, i * step - step / 2), OK);
    }
    for (uint64_t i = 1; i <= LEDGER_FAILURES_MAX; i++) {
        struct ledger_failure failure = {i * step + 1, UINT32_MAX, UINT64_MAX};
        EXPECT_EQ(ledger_put_failure(&ledger, &failure), OK);
    }
    for (uint64_t i = 0; i < LEDGER_BATCHED_MAX / LEDGER_BATCH_MESSAGES_MAX; i++) {
        for (uint64_t j = 0; j < LEDGER_BATCH_MESSAGES_MAX; j++) {
            positions[j] = (j + 1) * step + i + 2;
        }
        EXPECT_EQ(ledger_put_batch(&ledger, positions, LEDGER_BATCH_MESSAGES_MAX), OK);
    }
    EXPECT_EQ(ledger_record_put(&record, &ledger), OK);
    EXPECT_EQ(ledger_record_parse(buffer_borrow(&record), &again), OK);
    EXPECT_EQ(again.now.range_count, STRATUM_RANGES_MAX);
}

TEST(a_buffer_that_is_too_small_is_left_as_it_was) {
    struct buffer small;
    buffer_init(&small, 20);
    fill();
    EXPECT_EQ(buffer_put(&small, SPAN("abc")), OK);
    EXPECT_EQ(ledger_record_put(&small, &ledger), ERR_TOO_LARGE);
    EXPECT_SPAN(buffer_borrow(&small), "abc");
    buffer_finish(&small);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(CASE(the_bytes_are_those_of_the_layout), CASE(a_record_is_read_as_it_was_written),
           CASE(what_is_done_is_written_with_the_channels_that_it_is_of),
           CASE(what_is_done_is_read_as_it_was_written), CASE(what_is_read_goes_on_joining),
           CASE(a_new_sink_is_its_version_alone), CASE(a_field_of_a_later_version_is_skipped),
           CASE(what_breaks_the_layout_is_refused_and_changes_nothing),
           CASE(every_part_of_a_record_alone_is_refused_or_sound), CASE(the_fullest_ledger_fits),
           CASE(a_buffer_that_is_too_small_is_left_as_it_was))

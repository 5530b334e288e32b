/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/receipt.h"

#include <stdlib.h>

#include "clients/bench/stamp.h"
#include "tests/unit.h"

#define RUN 7u
#define LANES 2u
#define CHANNELS 3u

static struct audience *audience;
static struct receipt receipt;
static struct inbox inbox;
static struct sendings sendings;
static struct tally tallies[CHANNELS * LANES];

/* Reader 1 of channels 1 and 2. */
static void begin(void) {
    struct settings settings = {
        .channel = "c/{n}", .channels = CHANNELS, .readers = 2, .subscriptions = 2};
    audience = audience_create(&settings);
    sendings_init(&sendings, CHANNELS, LANES);
    receipt = (struct receipt){.audience = audience,
                               .sendings = &sendings,
                               .run = RUN,
                               .lanes = LANES,
                               .from_ns = 1000,
                               .delivery = histogram_create()};
    inbox = (struct inbox){.tallies = tallies, .reader = 1}; /* of channels 2 and 0 */
    receipt_reset(&receipt, &inbox);
}

static void end(void) {
    audience_destroy(audience);
    sendings_finish(&sendings);
    free(receipt.delivery);
}

static void take(uint32_t run, uint32_t channel, uint32_t lane, uint64_t sequence,
                 uint64_t due_ns) {
    uint8_t payload[STAMP_PAYLOAD_BYTES_MIN];
    struct stamp stamp = {
        .run = run, .channel = channel, .lane = lane, .sequence = sequence, .due_ns = due_ns};
    stamp_put_payload(&stamp, payload, sizeof(payload));
    receipt_take(&receipt, &inbox, payload, sizeof(payload), 5000);
}

TEST(channels_and_lanes_are_counted_apart) {
    begin();
    take(RUN, 2, 0, 0, 2000);
    take(RUN, 2, 1, 0, 2000);
    take(RUN, 0, 0, 0, 2000);
    EXPECT_EQ(receipt.counts.unique, 3);
    EXPECT_EQ(receipt.counts.duplicates, 0);
    EXPECT_EQ(receipt.delivery->total, 3);
    EXPECT_EQ(receipt.delivery->highest, 3000);
    EXPECT_EQ(receipt.counts.last_ns, 5000);
    end();
}

TEST(what_is_of_another_run_channel_or_lane_is_foreign) {
    begin();
    take(RUN + 1, 2, 0, 0, 2000);
    take(RUN, 1, 0, 0, 2000); /* it does not read that one */
    take(RUN, CHANNELS, 0, 0, 2000);
    take(RUN, 2, LANES, 0, 2000);
    receipt_take(&receipt, &inbox, (const uint8_t *)"nothing", 7, 5000);
    EXPECT_EQ(receipt.counts.foreign, 5);
    EXPECT_EQ(receipt.counts.unique, 0);
    EXPECT_EQ(receipt.delivery->total, 0);
    end();
}

TEST(latency_is_of_what_was_due_in_the_stage_and_came_to_no_slow_reader) {
    begin();
    take(RUN, 2, 0, 0, 999); /* before it */
    take(RUN, 2, 0, 1, 1000);
    inbox.is_slow = true;
    take(RUN, 2, 0, 2, 1000);
    inbox.is_slow = false;
    take(RUN, 2, 0, 2, 1000); /* again */
    take(RUN, 2, 0, 3, 6000); /* clocks of two threads: not before it was due */
    EXPECT_EQ(receipt.counts.unique, 4);
    EXPECT_EQ(receipt.counts.duplicates, 1);
    EXPECT_EQ(receipt.delivery->total, 2);
    EXPECT_EQ(receipt.delivery->lowest, 0);
    end();
}

TEST(what_was_due_before_the_reader_was_ready_has_no_latency) {
    begin();
    inbox.ready_ns = 3000;
    take(RUN, 2, 0, 0, 2999); /* history */
    take(RUN, 2, 0, 1, 3000);
    EXPECT_EQ(receipt.counts.unique, 2);
    EXPECT_EQ(receipt.delivery->total, 1);
    end();
}

TEST(what_an_earlier_stage_gave_up_is_told_as_overdue) {
    begin();
    receipt.stage_ns = 3000;
    take(RUN, 2, 0, 0, 2999);
    take(RUN, 2, 0, 1, 3000);
    inbox.ready_ns = 2500;
    take(RUN, 2, 0, 2, 2400); /* history: nobody counted it as lost */
    EXPECT_EQ(receipt.counts.unique, 3);
    EXPECT_EQ(receipt.counts.overdue, 1);
    end();
}

static void publish(uint32_t channel, uint32_t lane, unsigned count) {
    for (; count > 0; count--) {
        sendings_number(&sendings, channel, lane);
    }
}

/* Channel 1 is not this reader's. */
static uint64_t lost(void) {
    uint64_t published[CHANNELS * LANES];
    sendings_copy(&sendings, published);
    return receipt_lost(&receipt, &inbox, published);
}

TEST(what_lacks_is_counted_from_when_the_reader_was_ready) {
    begin();
    publish(0, 0, 4);
    publish(1, 0, 100);
    publish(2, 0, 10);
    EXPECT_EQ(lost(), 0); /* it is not ready */
    receipt_begin(&receipt, &inbox, false);
    EXPECT_EQ(lost(), 0);
    publish(0, 0, 2);
    publish(1, 0, 100);
    publish(2, 0, 10);
    publish(2, 1, 3);
    EXPECT_EQ(lost(), 2 + 10 + 3);
    take(RUN, 2, 0, 10, 2000);
    take(RUN, 2, 0, 12, 2000);
    EXPECT_EQ(lost(), 2 + 8 + 3);
    end();
}

TEST(who_reads_from_the_start_lacks_all_there_was) {
    begin();
    publish(2, 0, 10);
    publish(0, 1, 4);
    receipt_begin(&receipt, &inbox, true);
    take(RUN, 2, 0, 3, 2000);
    EXPECT_EQ(lost(), 9 + 4);
    end();
}

TEST(who_leaves_lacks_what_was_published_by_then_and_what_was_overtaken) {
    begin();
    uint64_t ends[2 * LANES];
    receipt_begin(&receipt, &inbox, false);
    publish(2, 0, 10);
    publish(0, 0, 5);
    receipt_note_ends(&receipt, &inbox, ends);
    publish(2, 0, 10); /* is under way, as far as can be told */
    EXPECT_EQ(receipt_missing(&receipt, &inbox, ends), 10 + 5);
    for (uint64_t sequence = 0; sequence < 10; sequence++) {
        take(RUN, 2, 0, sequence, 2000);
    }
    EXPECT_EQ(receipt_missing(&receipt, &inbox, ends), 5);
    take(RUN, 2, 0, 12, 2000);
    EXPECT_EQ(receipt_missing(&receipt, &inbox, ends), 2 + 5);
    receipt_reset(&receipt, &inbox);
    EXPECT_EQ(lost(), 0);
    end();
}

UNIT_TESTS(UNIT(channels_and_lanes_are_counted_apart),
           UNIT(what_is_of_another_run_channel_or_lane_is_foreign),
           UNIT(latency_is_of_what_was_due_in_the_stage_and_came_to_no_slow_reader),
           UNIT(what_was_due_before_the_reader_was_ready_has_no_latency),
           UNIT(what_an_earlier_stage_gave_up_is_told_as_overdue),
           UNIT(what_lacks_is_counted_from_when_the_reader_was_ready),
           UNIT(who_reads_from_the_start_lacks_all_there_was),
           UNIT(who_leaves_lacks_what_was_published_by_then_and_what_was_overtaken))

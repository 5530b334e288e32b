/* SPDX-License-Identifier: Apache-2.0 */
/* Channels that fail, between others that do not: a backlog and a ledger, as a sink has them. */
#include <stdio.h>
#include <stdlib.h>

#include "protocols/sinks/backlog.h"
#include "protocols/sinks/ledger_record.h"
#include "tests/unit.h"

#define NOW_MS UINT64_C(100000)
#define HOUR_MS UINT64_C(3600000)
#define INTERLEAVED 50000
#define RECORD_BYTES_LITTLE 8192

static struct backlog *backlog;
static struct ledger ledger;
static size_t delivered;

static const struct backlog_options options = {
    .mode = SINK_MODE_ORDERED, .messages_max = 1000, .bytes_max = 4194304};

static int begin(void **state) {
    (void)state;
    const struct stratum_view view = {.texts = {(const uint8_t *)"**", 3}};
    bool is_changed;
    delivered = 0;
    ledger_init(&ledger);
    EXPECT_EQ(ledger_take_view(&ledger, &view, &is_changed), OK);
    EXPECT_EQ(backlog_create(&options, &backlog), OK);
    return 0;
}

static int end(void **state) {
    (void)state;
    backlog_destroy(backlog);
    ledger_finish(&ledger);
    return 0;
}

static void condense(void) {
    struct stratum_hold *holds;
    size_t count;
    uint64_t reach;
    if (stratum_is_crowded(&ledger.now)) {
        EXPECT_EQ(backlog_list_holds(backlog, &holds, &count, &reach), OK);
        EXPECT_EQ(stratum_condense(&ledger.now, reach, holds, count), OK);
    }
}

static struct message *make(const char *channel, uint64_t position) {
    struct message_fields fields = {
        .kind = MESSAGE_DATA, .channel = span_of_string(channel), .payload = SPAN("1")};
    struct place place = {.log_id = 1, .position = position, .channel_id = 1, .offset = 1};
    struct message *message = message_create(&fields);
    message_order(message, &place, NOW_MS);
    return message;
}

/* As a page has it. */
static void read_one(const char *channel, uint64_t position) {
    struct ledger_failure failure;
    struct message *message = make(channel, position);
    EXPECT_TRUE(backlog_has_room(backlog));
    EXPECT_TRUE(ledger_has_room(&ledger, position));
    enum ledger_mark mark = ledger_find(&ledger, message, &failure);
    if (mark == LEDGER_DONE) {
        backlog_put_done(backlog, &message->place);
    } else {
        EXPECT_EQ(backlog_put(backlog, message, mark == LEDGER_FAILED ? &failure : NULL, NULL), OK);
    }
    message_unref(message);
}

/* Those whose channels begin with an s are not taken. */
static void send_all(uint64_t now_ms, bool is_healed) {
    struct backlog_item *item;
    bool is_again;
    uint64_t due_ms, previous;
    while (backlog_take(backlog, now_ms, 1, 1000, 0, &item, &is_again, &due_ms) == 1) {
        uint64_t position = item->message->place.position;
        if (item->message->fields.channel.bytes[0] == 's' && !is_healed) {
            const struct ledger_failure failure = {position, 1, now_ms + HOUR_MS};
            EXPECT_EQ(ledger_put_failure(&ledger, &failure), OK);
            backlog_put_back(backlog, item, 1, now_ms + HOUR_MS);
            continue;
        }
        backlog_settle(backlog, item, &previous);
        EXPECT_EQ(ledger_put_done(&ledger, position, previous), OK);
        condense();
        delivered++;
    }
}

static size_t record_bytes(void) {
    struct buffer record;
    buffer_init(&record, LEDGER_RECORD_BYTES_MAX);
    EXPECT_EQ(ledger_record_put(&record, &ledger), OK);
    size_t length = record.length;
    buffer_finish(&record);
    return length;
}

static size_t pass_interleaved(size_t count) {
    uint64_t position = 1;
    for (size_t i = 0; i < count; i++, position += 2) {
        read_one("sick", position);
        read_one("well", position + 1);
        send_all(NOW_MS, false);
    }
    return count;
}

TEST(a_poisoned_channel_stops_no_other_for_as_long_as_there_is_a_log) {
    pass_interleaved(INTERLEAVED);
    EXPECT_EQ(delivered, INTERLEAVED);
    EXPECT_EQ(backlog_waiting(backlog), 1);
    EXPECT_TRUE(ledger.now.range_count <= STRATUM_RANGES_CROWDED);
    EXPECT_TRUE(ledger.now.hold_count == 1);
    EXPECT_TRUE(record_bytes() < RECORD_BYTES_LITTLE);
}

/* Behind a restart everything is read once more, and nothing of the others sent again. */
TEST(when_it_is_healed_it_gets_all_of_its_own_and_the_others_nothing_twice) {
    struct buffer record;
    pass_interleaved(INTERLEAVED);
    buffer_init(&record, LEDGER_RECORD_BYTES_MAX);
    EXPECT_EQ(ledger_record_put(&record, &ledger), OK);
    EXPECT_EQ(ledger_record_parse(buffer_borrow(&record), &ledger), OK);
    buffer_finish(&record);
    backlog_clear(backlog);
    delivered = 0;
    for (uint64_t position = 1; position <= 2 * INTERLEAVED; position++) {
        read_one(position % 2 == 1 ? "sick" : "well", position);
        send_all(NOW_MS + HOUR_MS, true);
    }
    EXPECT_EQ(delivered, INTERLEAVED);
    struct place floor;
    EXPECT_TRUE(backlog_advance(backlog, &floor));
    EXPECT_EQ(floor.position, 2 * INTERLEAVED);
}

static size_t pass_lanes(size_t lanes, uint64_t first, size_t rounds) {
    char channel[16];
    uint64_t position = first;
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < lanes; i++) {
            snprintf(channel, sizeof(channel), "s%zu", i);
            read_one(channel, position++);
        }
        read_one("well", position++);
        send_all(NOW_MS, false);
    }
    return position;
}

/* And when all is read again, nothing of the other goes twice. */
TEST(as_many_channels_as_may_wait_stop_no_other) {
    const size_t rounds = 200;
    pass_lanes(BACKLOG_LANES_WAITING_MAX, 1, rounds);
    EXPECT_EQ(delivered, rounds);
    EXPECT_EQ(backlog_waiting(backlog), BACKLOG_LANES_WAITING_MAX);
    EXPECT_TRUE(ledger.now.hold_count <= BACKLOG_LANES_WAITING_MAX);
    backlog_clear(backlog);
    delivered = 0;
    pass_lanes(BACKLOG_LANES_WAITING_MAX, 1, rounds);
    EXPECT_EQ(delivered, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(CASE(a_poisoned_channel_stops_no_other_for_as_long_as_there_is_a_log),
           CASE(when_it_is_healed_it_gets_all_of_its_own_and_the_others_nothing_twice),
           CASE(as_many_channels_as_may_wait_stop_no_other))

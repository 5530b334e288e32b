/* SPDX-License-Identifier: Apache-2.0 */
/* Kafka is librdkafka's mock cluster, in this process; the log is real. */
#include "broker/channels/id.h"
#include "broker/support/string_map.h"
#include "protocols/sources/source.h"
#include "tests/protocols/sources/sea.h"
#include "tests/unit.h"

const struct source_driver mqtt_source_driver = {.kind = "none"};

static void expect_record(void *context, const struct message *message) {
    struct span rest = message->fields.headers, name, value;
    (void)context;
    EXPECT_SPAN(message->fields.key, "player");
    EXPECT_SPAN(message->fields.payload, "{\"a\":1}");
    EXPECT_EQ(message->fields.payload_kind, PAYLOAD_JSON);
    EXPECT_TRUE(string_map_next(&rest, &name, &value));
    EXPECT_SPAN(name, "trace");
    EXPECT_SPAN(value, "t1");
}

TEST(a_record_becomes_a_message_with_its_key_and_headers) {
    struct dock dock;
    struct sea sea;
    sea_prepare(&dock, &sea, 1);
    dock_start(&dock);
    sea_put(&sea, 0, "player", "{\"a\":1}", 7);
    sea_flush(&sea);
    dock_wait_count(&dock, SEA_CHANNEL, 1);
    dock_each(&dock, SEA_CHANNEL, expect_record, NULL);
    dock_wait_state(&dock, SINK_LIVE);
    EXPECT_EQ(dock_figures(&dock).lag_messages, 0);
    sea_finish(&dock, &sea);
}

TEST(a_pause_in_the_middle_loses_and_repeats_nothing) {
    struct dock dock;
    struct sea sea;
    sea_prepare(&dock, &sea, 1);
    dock_start(&dock);
    for (uint64_t i = 0; i < 5; i++) {
        sea_count(&sea, 0, 1 + i * 1000, 1000 + i * 1000);
        dock_pause(&dock);
        dock_resume(&dock);
    }
    dock_wait_count(&dock, SEA_CHANNEL, 5000);
    sea_expect_counted(&dock, 1, 5000);
    sea_finish(&dock, &sea);
}

TEST(what_came_out_of_this_log_is_not_published_again) {
    struct dock dock;
    struct sea sea;
    char text[ID_TEXT_BYTES_MAX];
    sea_prepare(&dock, &sea, 1);
    dock_start(&dock);
    struct place place = {.log_id = log_id(dock.house.broker.log),
                          .generation = 1,
                          .position = 1,
                          .channel_id = 1,
                          .offset = 1};
    size_t length = id_format(&place, text);
    sea_put_marked(&sea, "tidings-id", span_of(text, length));
    sea_count(&sea, 0, 1, 1);
    dock_wait_count(&dock, SEA_CHANNEL, 1);
    sea_expect_counted(&dock, 1, 1);
    EXPECT_EQ(dock_figures(&dock).own, 1);
    EXPECT_EQ(dock_figures(&dock).refused, 0);
    place.log_id ^= 1;
    length = id_format(&place, text);
    sea_put_marked(&sea, "tidings-id", span_of(text, length));
    sea_flush(&sea);
    dock_wait_count(&dock, SEA_CHANNEL, 2);
    sea_finish(&dock, &sea);
}

UNIT_TESTS(UNIT(what_came_out_of_this_log_is_not_published_again),
           UNIT(a_record_becomes_a_message_with_its_key_and_headers),
           UNIT(a_pause_in_the_middle_loses_and_repeats_nothing))

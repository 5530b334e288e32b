/* SPDX-License-Identifier: Apache-2.0 */
/* The driver is the test's; storage and log are real. */
#include <stdio.h>

#include "protocols/sources/source.h"
#include "tests/protocols/sources/porter.h"
#include "tests/unit.h"

static void put_refused(void *context) {
    (void)context;
    static char large[100001];
    memset(large, 'x', sizeof(large) - 1);
    porter_put(1, "good", (struct span){0}, (struct span){0});
    porter_put(2, "$SYS/no", (struct span){0}, (struct span){0});
    porter_put(3, "no+wildcards", (struct span){0}, (struct span){0});
    porter_put(4, "small/a", (struct span){0}, span_of_string(large));
    porter.is_shut = true;
}

TEST(what_no_channel_takes_is_counted_and_passed_over_with_its_position) {
    struct dock dock;
    porter_prepare(&dock, "channels: [{match: \"small/**\", message_bytes_max: 64KiB}]", 0);
    dock_start(&dock);
    dock_call(&dock, put_refused, NULL);
    dock_wait_count(&dock, "good", 1);
    dock_stop(&dock);
    EXPECT_EQ(porter.answers, 4);
    porter.is_shut = false;
    porter.last = 5;
    dock_start(&dock);
    dock_wait_count(&dock, "a", 1);
    EXPECT_EQ(porter.next, 6);
    dock_stop(&dock);
    dock_finish(&dock);
}

static void put_gap(void *context) {
    (void)context;
    EXPECT_EQ(source_put_gap(porter.source, SPAN("p"), SPAN("70"), 60, "a \"quoted\" reason"), OK);
}

static void keep_payload(void *context, const struct message *message) {
    snprintf(context, 200, "%.*s", SPAN_PRINTF(message->fields.payload));
    EXPECT_SPAN(message->fields.event, "gap");
}

TEST(a_gap_is_told_on_a_channel_of_the_broker_with_the_position) {
    struct dock dock;
    char text[200];
    porter_prepare(&dock, NULL, 0);
    dock_start(&dock);
    dock_call(&dock, put_gap, NULL);
    dock_wait_count(&dock, "$events/sources/lake", 1);
    dock_each(&dock, "$events/sources/lake", keep_payload, text);
    const char *expected = "{\"source\":\"lake\",\"position\":\"p\","
                           "\"detail\":\"a \\\"quoted\\\" reason\",\"missing\":60,\"time\":\"";
    EXPECT_EQ(strncmp(text, expected, strlen(expected)), 0);
    struct source_figures figures = dock_figures(&dock);
    EXPECT_EQ(figures.gaps, 1);
    EXPECT_EQ(figures.messages, 0);
    dock_stop(&dock);
    porter.last = 71;
    dock_start(&dock);
    dock_wait_count(&dock, "a", 1);
    dock_stop(&dock);
    dock_finish(&dock);
}

TEST(channels_are_those_of_the_row_s_tenant) {
    static char tenant[] = "acme";
    struct dock dock;
    porter_prepare(&dock, NULL, 2);
    dock.row.tenant = tenant;
    dock_start(&dock);
    dock_wait_count(&dock,
                    "\x01"
                    "acme/a",
                    2);
    EXPECT_EQ(dock_count(&dock, "a"), 0);
    dock_stop(&dock);
    dock_finish(&dock);
}

static void put_keyed(void *context) {
    (void)context;
    porter_put(1, "scores", SPAN("court-1"), (struct span){0});
    porter_put(2, "scores", SPAN("\x01\x02"), (struct span){0});
    porter_put(3, "scores", (struct span){0}, (struct span){0});
}

TEST(a_key_can_be_part_of_the_channel) {
    static char channel[] = "tennis/{key}/{topic}";
    struct dock dock;
    porter_prepare(&dock, NULL, 0);
    dock.row.channel = channel;
    dock_start(&dock);
    dock_call(&dock, put_keyed, NULL);
    dock_wait_count(&dock, "tennis/court-1/scores", 1);
    EXPECT_EQ(dock_figures(&dock).refused, 2);
    dock_stop(&dock);
    dock_finish(&dock);
}

static struct config_faults faults; /* 50 KiB: on no stack */

TEST(a_channel_with_a_word_that_nobody_knows_is_a_fault) {
    static char channel[] = "in/{partition}";
    const struct source_row row = {.channel = channel};
    source_check_channel(&row, "file", "sources[0]", &faults);
    EXPECT_EQ(faults.count, 1);
}

TEST(a_channel_that_no_record_can_make_a_name_is_a_fault) {
    static char plus[] = "a+b/{topic}", own[] = "$SYS/{topic}";
    faults.count = 0;
    source_check_channel(&(struct source_row){.channel = plus}, "file", "sources[0]", &faults);
    source_check_channel(&(struct source_row){.channel = own}, "file", "sources[0]", &faults);
    EXPECT_EQ(faults.count, 2);
}

UNIT_TESTS(UNIT(what_no_channel_takes_is_counted_and_passed_over_with_its_position),
           UNIT(a_gap_is_told_on_a_channel_of_the_broker_with_the_position),
           UNIT(channels_are_those_of_the_row_s_tenant), UNIT(a_key_can_be_part_of_the_channel),
           UNIT(a_channel_with_a_word_that_nobody_knows_is_a_fault),
           UNIT(a_channel_that_no_record_can_make_a_name_is_a_fault))

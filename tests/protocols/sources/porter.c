/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/sources/porter.h"

#include <stdio.h>

#include "tests/unit.h"

struct porter porter;

static void on_put_answered(void *context, enum error_code result) {
    (void)context;
    porter.answers += result == OK;
    porter.dropped += result == ERR_DRAINING;
}

void porter_put(uint64_t number, const char *topic, struct span key, struct span payload) {
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    const struct source_record record = {
        .topic = span_of_string(topic),
        .key = key,
        .fields = {.kind = MESSAGE_DATA,
                   .payload = payload.length == 0 ? span_of_string(text) : payload},
        .position_name = SPAN("p"),
        .position = span_of_string(text),
        .on_answered = on_put_answered,
    };
    EXPECT_EQ(source_put(porter.source, &record), OK);
}

static void put_all(void) {
    while (!porter.is_shut && porter.next <= porter.last && source_has_room(porter.source)) {
        porter_put(porter.next++, porter.topic, (struct span){0}, (struct span){0});
    }
}

static enum error_code open_driver(struct source *source, const struct source_row *row,
                                   struct broker *broker, struct loop *loop, void **ret_state,
                                   struct error *why) {
    (void)row;
    (void)broker;
    (void)loop;
    (void)why;
    porter.source = source;
    *ret_state = &porter;
    return OK;
}

static void start_driver(void *state) {
    uint64_t read = 0;
    (void)state;
    porter.starts++;
    if (span_parse_u64(source_position(porter.source, SPAN("p")), &read)) {
        porter.next = read + 1;
    } else {
        porter.next = 1;
    }
    source_on_up(porter.source);
    put_all();
}

static void on_room(void *state) {
    (void)state;
    porter.rooms++;
    put_all();
}

static void stop_driver(void *state) {
    (void)state;
    source_on_stopped(porter.source);
}

static void close_driver(void *state) {
    (void)state;
}

const struct source_driver mqtt_source_driver = {.kind = "test",
                                                 .open = open_driver,
                                                 .start = start_driver,
                                                 .on_room = on_room,
                                                 .stop = stop_driver,
                                                 .close = close_driver};

static char url[] = "mqtt://test";

void porter_prepare(struct dock *dock, const char *rules, uint64_t last) {
    dock_init(dock, rules);
    dock->row.mqtt_url = url;
    memset(&porter, 0, sizeof(porter));
    porter.topic = "a";
    porter.last = last;
}

void porter_put_more(uint64_t last) {
    porter.last = last;
    put_all();
}

struct expected {
    uint64_t number;
};

static void expect_next(void *context, const struct message *message) {
    struct expected *expected = context;
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)++expected->number);
    EXPECT_EQ(message->place.offset, expected->number);
    EXPECT_SPAN(message->fields.payload, text);
}

void porter_expect_dense(struct dock *dock, const char *channel, uint64_t count) {
    struct expected expected = {0};
    dock_each(dock, channel, expect_next, &expected);
    EXPECT_EQ(expected.number, count);
}

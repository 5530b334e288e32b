/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/kafka_gate.h"

#include <stdio.h>

#include "tests/unit.h"

static struct kafka_gate *create(void) {
    struct kafka_gate *gate = NULL;
    EXPECT_EQ(kafka_gate_create(&gate), OK);
    return gate;
}

static uint64_t name_of(const struct kafka_gate *gate, size_t number) {
    char key[24];
    snprintf(key, sizeof(key), "key %zu", number);
    return kafka_gate_name(gate, SPAN("topic"), span_of_string(key));
}

TEST(of_a_key_that_has_not_arrived_one_record_is_under_way) {
    struct kafka_gate *gate = create();
    uint64_t name = name_of(gate, 1);
    EXPECT_TRUE(kafka_gate_is_open(gate, name));
    EXPECT_FALSE(kafka_gate_is_waiting(gate));
    kafka_gate_note_sent(gate, name);
    EXPECT_FALSE(kafka_gate_is_open(gate, name));
    EXPECT_TRUE(kafka_gate_is_waiting(gate));
    kafka_gate_note_taken(gate, name);
    for (int i = 0; i < 3; i++) {
        EXPECT_TRUE(kafka_gate_is_open(gate, name));
        kafka_gate_note_sent(gate, name);
    }
    EXPECT_FALSE(kafka_gate_is_waiting(gate));
    kafka_gate_destroy(gate);
}

TEST(a_name_is_of_the_topic_and_the_key) {
    struct kafka_gate *gate = create();
    uint64_t name = kafka_gate_name(gate, SPAN("topic"), SPAN("key"));
    EXPECT_EQ(kafka_gate_name(gate, SPAN("topic"), SPAN("key")), name);
    EXPECT_TRUE(kafka_gate_name(gate, SPAN("topi"), SPAN("ckey")) != name);
    EXPECT_TRUE(kafka_gate_name(gate, SPAN("key"), SPAN("topic")) != name);
    EXPECT_TRUE(kafka_gate_name(gate, SPAN("topic"), SPAN("")) != name);
    kafka_gate_destroy(gate);
}

/* Until two share a place. */
static uint64_t find_neighbour(struct kafka_gate *gate, uint64_t name) {
    for (size_t number = 2;; number++) {
        uint64_t other = name_of(gate, number);
        if (!kafka_gate_is_open(gate, other) && other != name) {
            return other;
        }
    }
}

TEST(keys_of_one_place_wait_for_each_other_and_are_new_again) {
    struct kafka_gate *gate = create();
    uint64_t name = name_of(gate, 1);
    kafka_gate_note_sent(gate, name);
    uint64_t other = find_neighbour(gate, name);
    kafka_gate_note_taken(gate, other); /* nothing of it is under way */
    EXPECT_FALSE(kafka_gate_is_open(gate, other));
    kafka_gate_note_taken(gate, name);
    kafka_gate_note_sent(gate, other);
    EXPECT_FALSE(kafka_gate_is_open(gate, name));
    kafka_gate_note_taken(gate, name); /* one that was sent while it had the place */
    EXPECT_FALSE(kafka_gate_is_open(gate, name));
    kafka_gate_note_taken(gate, other);
    kafka_gate_note_sent(gate, name);
    EXPECT_FALSE(kafka_gate_is_open(gate, name));
    EXPECT_TRUE(kafka_gate_is_waiting(gate));
    kafka_gate_note_taken(gate, name);
    EXPECT_FALSE(kafka_gate_is_waiting(gate));
    kafka_gate_destroy(gate);
}

TEST(most_keys_do_not_wait_for_others) {
    struct kafka_gate *gate = create();
    size_t count = 0;
    for (size_t number = 0; number < KAFKA_GATE_KEYS / 4; number++) {
        uint64_t name = name_of(gate, number);
        if (kafka_gate_is_open(gate, name)) {
            kafka_gate_note_sent(gate, name);
            count++;
        }
    }
    EXPECT_TRUE(count > KAFKA_GATE_KEYS / 5);
    kafka_gate_destroy(gate);
}

UNIT_TESTS(UNIT(of_a_key_that_has_not_arrived_one_record_is_under_way),
           UNIT(a_name_is_of_the_topic_and_the_key),
           UNIT(keys_of_one_place_wait_for_each_other_and_are_new_again),
           UNIT(most_keys_do_not_wait_for_others))

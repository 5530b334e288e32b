/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/inflight.h"

#include "tests/unit.h"

static struct inflight inflight;

static uint16_t put(uint64_t position) {
    struct inflight_entry entry = {.position = position, .state = INFLIGHT_SENT, .qos = 1};
    EXPECT_EQ(inflight_reserve(&inflight, 1), OK);
    entry.packet_id = inflight_next_id(&inflight);
    inflight_put(&inflight, &entry);
    return entry.packet_id;
}

static void take(uint16_t packet_id) {
    struct inflight_entry *entry = inflight_find(&inflight, packet_id);
    EXPECT_NOT_NULL(entry);
    inflight_take(&inflight, entry);
}

TEST(ids_count_from_one) {
    EXPECT_EQ(put(10), 1);
    EXPECT_EQ(put(11), 2);
    inflight_finish(&inflight);
}

/* [MQTT-2.3.1-2] [MQTT-2.2.1-4] */
TEST(an_id_in_use_is_not_given_again) {
    EXPECT_EQ(put(1), 1);
    EXPECT_EQ(put(2), 2);
    for (uint32_t i = 3; i <= UINT16_MAX; i++) {
        EXPECT_EQ(put(i), i);
        take((uint16_t)i);
    }
    EXPECT_EQ(put(100000), 3);
    EXPECT_EQ(put(100001), 4);
    take(2);
    EXPECT_EQ(put(100002), 5);
    EXPECT_EQ(inflight.count, 4);
    inflight_finish(&inflight);
}

/* [MQTT-2.3.1-4] [MQTT-2.2.1-4] */
TEST(an_id_is_free_once_it_was_taken_away) {
    put(1);
    take(1);
    EXPECT_NULL(inflight_find(&inflight, 1));
    for (uint32_t i = 0; i < UINT16_MAX - 1; i++) {
        take(put(i));
    }
    EXPECT_EQ(put(7), 1);
    inflight_finish(&inflight);
}

TEST(entries_stay_in_their_order) {
    for (uint64_t i = 1; i <= 40; i++) {
        put(i);
    }
    for (uint16_t id = 1; id <= 40; id += 3) {
        take(id);
    }
    uint64_t last = 0;
    size_t count = 0;
    for (const struct inflight_entry *entry = inflight_next(&inflight, NULL); entry != NULL;
         entry = inflight_next(&inflight, entry)) {
        EXPECT_TRUE(entry->position > last);
        EXPECT_TRUE(entry->position % 3 != 1);
        last = entry->position;
        count++;
    }
    EXPECT_EQ(count, inflight.count);
    inflight_finish(&inflight);
}

/* A client that never acknowledges the first of what it was sent. */
TEST(a_stuck_entry_makes_no_table_grow) {
    put(1);
    for (uint64_t i = 2; i < 100000; i++) {
        take(put(i));
    }
    EXPECT_EQ(inflight.count, 1);
    EXPECT_TRUE(inflight.capacity <= 16);
    EXPECT_EQ(inflight_next(&inflight, NULL)->position, 1);
    inflight_finish(&inflight);
}

TEST(room_that_was_reserved_is_there) {
    EXPECT_EQ(inflight_reserve(&inflight, 1000), OK);
    uint32_t capacity = inflight.capacity;
    for (uint64_t i = 0; i < 1000; i++) {
        struct inflight_entry entry = {.position = i,
                                       .packet_id = inflight_next_id(&inflight),
                                       .state = INFLIGHT_WAITING,
                                       .qos = 2};
        inflight_put(&inflight, &entry);
    }
    EXPECT_EQ(inflight.capacity, capacity);
    inflight_finish(&inflight);
    EXPECT_NULL(inflight_next(&inflight, NULL));
}

UNIT_TESTS(UNIT(ids_count_from_one), UNIT(an_id_in_use_is_not_given_again),
           UNIT(an_id_is_free_once_it_was_taken_away), UNIT(entries_stay_in_their_order),
           UNIT(a_stuck_entry_makes_no_table_grow), UNIT(room_that_was_reserved_is_there))

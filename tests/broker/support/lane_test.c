/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/lane.h"

#include <pthread.h>

#include "tests/unit.h"

#define PARCELS 100000

struct item {
    struct parcel parcel;
    uint64_t number;
};

struct world {
    struct mailbox mailbox;
    struct lane lane;
    uint64_t taken;
    uint64_t letters;
    struct item *again; /* put once more when it is taken */
};

static struct item items[PARCELS];

static void on_parcel(struct lane *lane, struct parcel *parcel) {
    struct world *world = CONTAINER_OF(lane, struct world, lane);
    struct item *item = CONTAINER_OF(parcel, struct item, parcel);
    EXPECT_EQ(item->number, world->taken);
    world->taken++;
    if (world->again == item) {
        item->number = world->taken;
        world->again = NULL;
        lane_put(lane, parcel);
    }
}

static void world_init(struct world *world) {
    memset(world, 0, sizeof(*world));
    EXPECT_EQ(mailbox_init(&world->mailbox, 16), OK);
    lane_init(&world->lane, &world->mailbox, on_parcel);
    for (uint64_t i = 0; i < PARCELS; i++) {
        items[i].number = i;
    }
}

TEST(what_came_until_then_is_taken_in_order_with_one_letter) {
    struct world world;
    world_init(&world);
    for (int i = 0; i < 5; i++) {
        lane_put(&world.lane, &items[i].parcel);
    }
    EXPECT_EQ(mailbox_deliver_all(&world.mailbox, NULL), 1);
    EXPECT_EQ(world.taken, 5);
    EXPECT_EQ(mailbox_deliver_all(&world.mailbox, NULL), 0);
    lane_put(&world.lane, &items[5].parcel);
    EXPECT_EQ(mailbox_deliver_all(&world.mailbox, NULL), 1);
    EXPECT_EQ(world.taken, 6);
    mailbox_finish(&world.mailbox);
}

TEST(a_parcel_that_was_taken_may_be_put_again) {
    struct world world;
    world_init(&world);
    world.again = &items[0];
    lane_put(&world.lane, &items[0].parcel);
    EXPECT_EQ(mailbox_deliver_all(&world.mailbox, NULL), 1);
    EXPECT_EQ(world.taken, 1);
    EXPECT_EQ(mailbox_deliver_all(&world.mailbox, NULL), 1);
    EXPECT_EQ(world.taken, 2);
    mailbox_finish(&world.mailbox);
}

static void *put_all(void *argument) {
    struct world *world = argument;
    for (size_t i = 0; i < PARCELS; i++) {
        lane_put(&world->lane, &items[i].parcel);
    }
    return NULL;
}

TEST(nothing_is_lost_or_out_of_order_between_two_threads) {
    struct world world;
    pthread_t thread;
    world_init(&world);
    EXPECT_EQ(pthread_create(&thread, NULL, put_all, &world), 0);
    while (world.taken < PARCELS) {
        mailbox_wait(&world.mailbox, -1);
        world.letters += mailbox_deliver_all(&world.mailbox, NULL);
    }
    pthread_join(thread, NULL);
    EXPECT_TRUE(world.letters <= PARCELS);
    mailbox_finish(&world.mailbox);
}

UNIT_TESTS(UNIT(what_came_until_then_is_taken_in_order_with_one_letter),
           UNIT(a_parcel_that_was_taken_may_be_put_again),
           UNIT(nothing_is_lost_or_out_of_order_between_two_threads))

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/delivery/group.h"

#include <stdlib.h>

#include "tests/unit.h"

#define MESSAGES_MAX 20000
#define MEMBERS_MAX 8
#define TOKENS_MAX 4096
#define BYTES_EACH 10
#define STATE_BYTES_MAX 65536
#define ROUNDS 60000

/* A log in memory, a group that reads it, and what each message should be. */
struct world {
    struct group *group;
    uint64_t positions[MESSAGES_MAX]; /* ascending; what stands between them does not match */
    bool is_kept[MESSAGES_MAX];
    bool is_done[MESSAGES_MAX];
    bool is_lost[MESSAGES_MAX];
    int holder[MESSAGES_MAX]; /* a member's index; -1: nobody */
    uint32_t given[MESSAGES_MAX];
    size_t count;
    uint64_t head;
    uint64_t now_ms;
    uint64_t token_last;
    struct player {
        struct group_member member;
        bool is_here;
        uint64_t tokens[TOKENS_MAX];
        size_t of[TOKENS_MAX]; /* which message */
        size_t token_count;
    } players[MEMBERS_MAX];
    uint64_t random;
};

static uint64_t draw(struct world *world, uint64_t below) {
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return world->random % below;
}

static struct world *world_create(void) {
    struct world *world = calloc(1, sizeof(*world));
    EXPECT_EQ(group_create(&world->group), OK);
    world->random = 88172645463325252u;
    return world;
}

static void leave(struct world *world, size_t index);

static void world_destroy(struct world *world) {
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        leave(world, i);
    }
    group_destroy(world->group);
    free(world);
}

static void append(struct world *world, uint64_t skipped) {
    EXPECT_TRUE(world->count < MESSAGES_MAX);
    world->head += skipped + 1;
    world->positions[world->count] = world->head;
    world->is_kept[world->count] = true;
    world->holder[world->count++] = -1;
}

static void join(struct world *world, size_t index, uint32_t credit, uint64_t lease_ms) {
    struct player *player = &world->players[index];
    EXPECT_FALSE(player->is_here);
    EXPECT_EQ(group_join(world->group, &player->member, credit, 1000, lease_ms), OK);
    player->is_here = true;
}

static void let_go(struct world *world, struct player *player, size_t at) {
    world->holder[player->of[at]] = -1;
    player->token_count--;
    player->tokens[at] = player->tokens[player->token_count];
    player->of[at] = player->of[player->token_count];
}

static void leave(struct world *world, size_t index) {
    struct player *player = &world->players[index];
    if (!player->is_here) {
        return;
    }
    group_leave(world->group, &player->member);
    while (player->token_count > 0) {
        let_go(world, player, 0);
    }
    player->is_here = false;
}

static void acknowledge(struct world *world, size_t index, size_t at) {
    struct player *player = &world->players[index];
    EXPECT_TRUE(group_acknowledge(world->group, &player->member, player->tokens[at]));
    world->is_done[player->of[at]] = true;
    let_go(world, player, at);
}

static void reject(struct world *world, size_t index, size_t at) {
    struct player *player = &world->players[index];
    EXPECT_TRUE(group_reject(world->group, &player->member, player->tokens[at], true));
    let_go(world, player, at);
}

static size_t find_message(const struct world *world, uint64_t position) {
    size_t i = 0;
    while (world->positions[i] != position) {
        i++;
        EXPECT_TRUE(i < world->count);
    }
    return i;
}

static void take_losses(struct world *world, uint64_t position) {
    struct group_loss loss;
    while (group_take_loss(world->group, position, &loss)) {
        size_t message = find_message(world, loss.position);
        EXPECT_FALSE(world->is_kept[message]);
        EXPECT_FALSE(world->is_done[message]);
        EXPECT_EQ(world->holder[message], -1);
        world->is_lost[message] = true;
    }
}

/* Each message is with one member at a time, and never comes again once it is done with. */
static void note_lease(struct world *world, size_t message, const struct group_lease *lease) {
    size_t index = 0;
    while (&world->players[index].member != lease->member) {
        index++;
        EXPECT_TRUE(index < MEMBERS_MAX);
    }
    struct player *player = &world->players[index];
    EXPECT_TRUE(player->is_here);
    EXPECT_FALSE(world->is_done[message]);
    EXPECT_EQ(world->holder[message], -1);
    EXPECT_TRUE(lease->token > world->token_last);
    world->token_last = lease->token;
    world->holder[message] = (int)index;
    EXPECT_TRUE(lease->count == world->given[message] + 1);
    world->given[message]++;
    EXPECT_TRUE(player->token_count < TOKENS_MAX);
    player->of[player->token_count] = message;
    player->tokens[player->token_count++] = lease->token;
}

/* One page of at most `limit` messages, as the log would give it. False: nobody took all of it. */
static bool pump(struct world *world, size_t limit) {
    struct place start;
    group_get_start(world->group, &start);
    struct place end = {.position = world->head};
    size_t taken = 0;
    for (size_t i = 0; i < world->count; i++) {
        if (world->positions[i] <= start.position || !world->is_kept[i]) {
            continue;
        }
        if (taken == limit) {
            end.position = world->positions[i] - 1;
            break;
        }
        struct place place = {.position = world->positions[i], .offset = i + 1};
        struct group_lease lease;
        taken++;
        take_losses(world, place.position);
        enum group_answer answer =
            group_offer(world->group, &place, BYTES_EACH, world->now_ms, &lease);
        if (answer == GROUP_NOBODY) {
            return false;
        }
        if (answer == GROUP_LEASED) {
            note_lease(world, i, &lease);
        }
    }
    take_losses(world, end.position + 1);
    group_pass(world->group, &end);
    return true;
}

/* All that the group can give now. */
static void pump_all(struct world *world) {
    struct place start;
    do {
        if (!group_can_lease(world->group) ||
            !pump(world, group_room(world->group, 64) + draw(world, 3))) {
            return;
        }
        group_get_start(world->group, &start);
    } while (start.position < world->head);
}

static struct group_figures figures(const struct world *world) {
    struct group_figures figures;
    group_get_figures(world->group, &figures);
    return figures;
}

/* --- giving --------------------------------------------------------------------------------- */

TEST(messages_go_round_among_the_members) {
    struct world *world = world_create();
    join(world, 0, 100, 0);
    join(world, 1, 100, 0);
    join(world, 2, 100, 0);
    for (int i = 0; i < 9; i++) {
        append(world, 0);
    }
    pump_all(world);
    for (int i = 0; i < 9; i++) {
        EXPECT_EQ(world->holder[i], i % 3);
    }
    EXPECT_EQ(figures(world).leased, 9);
    EXPECT_EQ(group_position_done(world->group), 0);
    world_destroy(world);
}

TEST(a_member_without_credit_is_passed_over_and_has_its_turn_when_it_has_some) {
    struct world *world = world_create();
    join(world, 0, 1, 0);
    join(world, 1, 100, 0);
    for (int i = 0; i < 5; i++) {
        append(world, 0);
    }
    pump_all(world);
    EXPECT_EQ(world->players[0].token_count, 1);
    EXPECT_EQ(world->players[1].token_count, 4);
    acknowledge(world, 0, 0);
    group_set_credit(world->group, &world->players[1].member, 0);
    append(world, 0);
    append(world, 0);
    pump_all(world);
    EXPECT_EQ(world->players[0].token_count, 1);
    EXPECT_EQ(world->holder[5], 0);
    EXPECT_EQ(world->holder[6], -1);
    EXPECT_FALSE(group_can_lease(world->group));
    group_set_credit(world->group, &world->players[1].member, 5);
    pump_all(world);
    EXPECT_EQ(world->holder[6], 1);
    world_destroy(world);
}

TEST(a_member_has_no_more_bytes_than_it_may_but_for_one_message) {
    struct world *world = world_create();
    struct group_lease lease;
    struct group_member *member = &world->players[0].member;
    world->players[0].is_here = true;
    EXPECT_EQ(group_join(world->group, member, 100, 1000, 0), OK);
    struct place place = {.position = 1};
    EXPECT_EQ(group_offer(world->group, &place, 999, 0, &lease), GROUP_LEASED);
    place.position = 2;
    EXPECT_EQ(group_offer(world->group, &place, 5000, 0, &lease), GROUP_LEASED);
    place.position = 3;
    EXPECT_EQ(group_offer(world->group, &place, 1, 0, &lease), GROUP_NOBODY);
    EXPECT_TRUE(group_acknowledge(world->group, member, lease.token));
    EXPECT_EQ(group_offer(world->group, &place, 1, 0, &lease), GROUP_LEASED);
    world_destroy(world);
}

TEST(without_members_nothing_is_given_and_the_place_stays) {
    struct world *world = world_create();
    struct place place;
    append(world, 0);
    pump_all(world);
    group_get_place(world->group, &place);
    EXPECT_EQ(place.position, 0);
    join(world, 0, 10, 0);
    pump_all(world);
    EXPECT_EQ(world->holder[0], 0);
    world_destroy(world);
}

TEST(one_that_nobody_acknowledges_holds_up_no_other) {
    struct world *world = world_create();
    join(world, 0, 1, 0);
    append(world, 0);
    pump_all(world);
    join(world, 1, 10, 0);
    for (int i = 1; i < 2000; i++) {
        append(world, 0);
        pump_all(world);
        acknowledge(world, 1, 0);
    }
    struct place place;
    group_get_place(world->group, &place);
    EXPECT_EQ(place.position, 2000);
    EXPECT_EQ(figures(world).leased, 1);
    EXPECT_EQ(group_position_done(world->group), 0);
    acknowledge(world, 0, 0);
    EXPECT_EQ(group_position_done(world->group), 2000);
    world_destroy(world);
}

TEST(no_more_is_out_than_the_bound_and_what_comes_back_makes_room) {
    struct world *world = world_create();
    struct group_lease lease;
    struct group_member *member = &world->players[0].member;
    world->players[0].is_here = true;
    EXPECT_EQ(group_join(world->group, member, UINT32_MAX, SIZE_MAX, 0), OK);
    struct place place = {0};
    for (place.position = 1; place.position <= GROUP_LEASES_MAX; place.position++) {
        EXPECT_EQ(group_offer(world->group, &place, 1, 0, &lease), GROUP_LEASED);
    }
    EXPECT_FALSE(group_can_lease(world->group));
    EXPECT_EQ(group_room(world->group, 10), 0);
    EXPECT_EQ(group_offer(world->group, &place, 1, 0, &lease), GROUP_NOBODY);
    EXPECT_TRUE(group_acknowledge(world->group, member, lease.token));
    EXPECT_EQ(group_room(world->group, 10), 1);
    EXPECT_EQ(group_offer(world->group, &place, 1, 0, &lease), GROUP_LEASED);
    world_destroy(world);
}

TEST(no_more_members_than_the_bound) {
    struct group *group = NULL;
    struct group_member *members = calloc(GROUP_MEMBERS_MAX + 1, sizeof(*members));
    EXPECT_EQ(group_create(&group), OK);
    for (size_t i = 0; i < GROUP_MEMBERS_MAX; i++) {
        EXPECT_EQ(group_join(group, &members[i], 1, 1, 0), OK);
    }
    EXPECT_EQ(group_join(group, &members[GROUP_MEMBERS_MAX], 1, 1, 0), ERR_FULL);
    for (size_t i = 0; i < GROUP_MEMBERS_MAX; i++) {
        group_leave(group, &members[i]);
    }
    group_destroy(group);
    free(members);
}

/* --- coming back ---------------------------------------------------------------------------- */

TEST(what_a_member_leaves_behind_comes_in_order_before_anything_new) {
    struct world *world = world_create();
    join(world, 0, 4, 0);
    for (int i = 0; i < 8; i++) {
        append(world, 2);
    }
    pump_all(world);
    acknowledge(world, 0, 1);
    leave(world, 0);
    join(world, 1, 4, 0);
    pump_all(world);
    EXPECT_EQ(world->holder[0], 1);
    EXPECT_EQ(world->holder[2], 1);
    EXPECT_EQ(world->holder[3], 1);
    EXPECT_EQ(world->holder[4], 1);
    EXPECT_EQ(world->given[0], 2);
    EXPECT_EQ(world->given[1], 1);
    EXPECT_EQ(world->given[4], 1);
    for (size_t i = 1; i < 4; i++) {
        EXPECT_TRUE(world->players[1].of[i] > world->players[1].of[i - 1]);
    }
    world_destroy(world);
}

TEST(a_lease_whose_time_is_over_goes_to_another_and_its_token_is_worth_nothing) {
    struct world *world = world_create();
    uint64_t next_ms = 0;
    world->now_ms = 1000;
    join(world, 0, 1, 500);
    append(world, 0);
    pump_all(world);
    uint64_t old = world->players[0].tokens[0];
    EXPECT_EQ(group_expire(world->group, 1499, &next_ms), 0);
    EXPECT_EQ(next_ms, 1500);
    EXPECT_EQ(group_expire(world->group, 1500, &next_ms), 1);
    EXPECT_TRUE(next_ms == UINT64_MAX);
    let_go(world, &world->players[0], 0);
    group_set_credit(world->group, &world->players[0].member, 0);
    join(world, 1, 1, 0);
    pump_all(world);
    EXPECT_EQ(world->holder[0], 1);
    EXPECT_FALSE(group_acknowledge(world->group, &world->players[0].member, old));
    EXPECT_FALSE(group_acknowledge(world->group, &world->players[1].member, old));
    EXPECT_FALSE(
        group_reject(world->group, &world->players[0].member, world->players[1].tokens[0], true));
    EXPECT_EQ(figures(world).leased, 1);
    acknowledge(world, 1, 0);
    world_destroy(world);
}

TEST(what_was_not_seen_counts_as_never_given) {
    struct world *world = world_create();
    join(world, 0, 1, 0);
    append(world, 0);
    pump_all(world);
    uint64_t token = world->players[0].tokens[0];
    EXPECT_TRUE(group_reject(world->group, &world->players[0].member, token, false));
    let_go(world, &world->players[0], 0);
    world->given[0] = 0;
    pump_all(world);
    EXPECT_EQ(world->given[0], 1);
    world_destroy(world);
}

TEST(what_the_log_no_longer_has_is_known_as_lost_once) {
    struct world *world = world_create();
    join(world, 0, 3, 0);
    for (int i = 0; i < 4; i++) {
        append(world, 0);
    }
    pump_all(world);
    leave(world, 0);
    world->is_kept[0] = world->is_kept[1] = false;
    join(world, 1, 3, 0);
    pump_all(world);
    EXPECT_TRUE(world->is_lost[0]);
    EXPECT_TRUE(world->is_lost[1]);
    EXPECT_EQ(world->holder[2], 1);
    EXPECT_EQ(world->holder[3], 1);
    EXPECT_EQ(figures(world).waiting, 0);
    world_destroy(world);
}

/* --- over a restart ------------------------------------------------------------------------- */

static void restart(struct world *world) {
    struct buffer buffer;
    buffer_init(&buffer, STATE_BYTES_MAX);
    EXPECT_EQ(group_encode(world->group, &buffer), OK);
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        leave(world, i);
    }
    group_destroy(world->group);
    EXPECT_EQ(group_create(&world->group), OK);
    struct span rest = buffer_borrow(&buffer);
    EXPECT_EQ(group_decode(world->group, &rest), OK);
    EXPECT_EQ(rest.length, 0);
    buffer_finish(&buffer);
    for (size_t i = 0; i < world->count; i++) { /* how often is not stored, but for "before" */
        world->given[i] = world->given[i] > 0 ? 1 : 0;
    }
}

TEST(what_is_stored_brings_back_the_place_and_all_that_was_not_done_with) {
    struct world *world = world_create();
    join(world, 0, 5, 0);
    for (int i = 0; i < 6; i++) {
        append(world, 3);
    }
    pump_all(world);
    acknowledge(world, 0, 2);
    acknowledge(world, 0, 0);
    restart(world);
    EXPECT_EQ(figures(world).waiting, 3);
    EXPECT_EQ(group_position_done(world->group), world->positions[1] - 1);
    join(world, 0, 10, 0);
    pump_all(world);
    EXPECT_EQ(world->given[1], 2);
    EXPECT_EQ(world->given[5], 1);
    EXPECT_EQ(world->holder[0], -1);
    EXPECT_EQ(world->holder[2], -1);
    world_destroy(world);
}

TEST(a_state_that_is_cut_off_or_contradicts_itself_is_refused) {
    struct world *world = world_create();
    struct buffer buffer;
    buffer_init(&buffer, STATE_BYTES_MAX);
    join(world, 0, 300, 0);
    for (int i = 0; i < 300; i++) {
        append(world, 200);
    }
    pump_all(world);
    EXPECT_EQ(group_encode(world->group, &buffer), OK);
    for (size_t length = 0; length < buffer.length; length++) {
        struct group *again = NULL;
        struct span rest = span_of(buffer.bytes, length);
        EXPECT_EQ(group_create(&again), OK);
        EXPECT_EQ(group_decode(again, &rest), ERR_CORRUPT);
        group_destroy(again);
    }
    struct group *again = NULL;
    struct span behind = SPAN("\x01\x01\x05\x01\x01\x00\x01\x06"); /* an entry behind the place */
    EXPECT_EQ(group_create(&again), OK);
    EXPECT_EQ(group_decode(again, &behind), ERR_CORRUPT);
    group_destroy(again);
    buffer_finish(&buffer);
    world_destroy(world);
}

TEST(a_log_that_went_back_takes_what_stood_behind_it) {
    struct world *world = world_create();
    join(world, 0, 50, 0);
    for (int i = 0; i < 40; i++) {
        append(world, 0);
    }
    pump_all(world);
    leave(world, 0);
    struct place place = {.position = 10};
    group_set_place(world->group, &place);
    EXPECT_EQ(figures(world).waiting, 10);
    join(world, 0, 50, 0);
    memset(world->given + 10, 0, 30 * sizeof(world->given[0]));
    pump_all(world);
    EXPECT_EQ(figures(world).leased, 40);
    world_destroy(world);
}

/* --- all of it at random -------------------------------------------------------------------- */

/* A lease that is there still is rejected, as if it had expired as well. */
static void note_expired(struct world *world) {
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        struct player *player = &world->players[i];
        for (size_t at = player->token_count; at > 0; at--) {
            bool was_held =
                group_reject(world->group, &player->member, player->tokens[at - 1], true);
            EXPECT_TRUE(was_held || player->member.lease_ms > 0);
            let_go(world, player, at - 1);
        }
    }
}

static void act(struct world *world) {
    size_t index = draw(world, MEMBERS_MAX);
    struct player *player = &world->players[index];
    uint64_t next_ms = 0;
    uint64_t dice = draw(world, 12);
    if (dice < 3 && world->count < MESSAGES_MAX) {
        append(world, draw(world, 4));
    } else if (dice == 3 && !player->is_here) {
        join(world, index, (uint32_t)draw(world, 30), draw(world, 2) * 100);
    } else if (dice == 4 && draw(world, 8) == 0) {
        leave(world, index);
    } else if (dice == 5 && player->token_count > 0) {
        reject(world, index, draw(world, player->token_count));
    } else if (dice == 6 && player->is_here) {
        group_set_credit(world->group, &player->member, (uint32_t)draw(world, 30));
    } else if (dice == 7 && draw(world, 400) == 0) {
        restart(world);
    } else if (player->token_count > 0) {
        acknowledge(world, index, draw(world, player->token_count));
    }
    world->now_ms += dice == 8;
    if (group_expire(world->group, world->now_ms, &next_ms) > 0) {
        note_expired(world);
    }
    if (world->count > 0 && draw(world, 200) == 0) {
        world->is_kept[draw(world, world->count)] = false;
    }
    pump_all(world);
}

TEST(nothing_is_lost_or_with_two_members_whoever_comes_and_goes) {
    struct world *world = world_create();
    for (size_t i = 0; i < ROUNDS; i++) {
        act(world);
    }
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        leave(world, i);
    }
    join(world, 0, 1000, 0);
    struct place place;
    do {
        pump_all(world);
        while (world->players[0].token_count > 0) {
            acknowledge(world, 0, 0);
        }
        group_get_place(world->group, &place);
    } while (place.position < world->head || figures(world).waiting > 0);
    size_t done = 0;
    for (size_t i = 0; i < world->count; i++) {
        done += world->is_done[i];
        EXPECT_TRUE(world->is_done[i] || !world->is_kept[i]);
        EXPECT_FALSE(world->is_done[i] && world->is_lost[i]);
        EXPECT_TRUE(world->is_lost[i] || world->is_done[i] || world->given[i] == 0);
    }
    EXPECT_TRUE(done > world->count * 9 / 10);
    EXPECT_EQ(figures(world).leased, 0);
    EXPECT_EQ(group_position_done(world->group), world->head);
    world_destroy(world);
}

UNIT_TESTS(UNIT(messages_go_round_among_the_members),
           UNIT(a_member_without_credit_is_passed_over_and_has_its_turn_when_it_has_some),
           UNIT(a_member_has_no_more_bytes_than_it_may_but_for_one_message),
           UNIT(without_members_nothing_is_given_and_the_place_stays),
           UNIT(one_that_nobody_acknowledges_holds_up_no_other),
           UNIT(no_more_is_out_than_the_bound_and_what_comes_back_makes_room),
           UNIT(no_more_members_than_the_bound),
           UNIT(what_a_member_leaves_behind_comes_in_order_before_anything_new),
           UNIT(a_lease_whose_time_is_over_goes_to_another_and_its_token_is_worth_nothing),
           UNIT(what_was_not_seen_counts_as_never_given),
           UNIT(what_the_log_no_longer_has_is_known_as_lost_once),
           UNIT(what_is_stored_brings_back_the_place_and_all_that_was_not_done_with),
           UNIT(a_state_that_is_cut_off_or_contradicts_itself_is_refused),
           UNIT(a_log_that_went_back_takes_what_stood_behind_it),
           UNIT(nothing_is_lost_or_with_two_members_whoever_comes_and_goes))

/* SPDX-License-Identifier: Apache-2.0 */
/* Members on two workers, one of which is the group's home, with the real log and storage. */
#include "broker/runtime/sharing.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/limits.h"
#include "broker/runtime/sharing_private.h"
#include "tests/broker/runtime/play.h"
#include "tests/unit.h"

/* --- giving --------------------------------------------------------------------------------- */

TEST(each_message_goes_to_one_member_whichever_worker_it_is_on) {
    play_begin(NULL);
    for (size_t i = 0; i < 4; i++) {
        EXPECT_EQ(player_join(play_cast(i)), OK);
    }
    play_publish(1, 400);
    play_wait_given(400);
    for (uint64_t i = 1; i <= 400; i++) {
        EXPECT_EQ(play.given[i], 1);
        EXPECT_EQ(play.counts[i], 1);
    }
    for (size_t i = 0; i < 4; i++) {
        EXPECT_EQ(play.players[i].held_count, 100);
    }
    house_wait_metric(&play.house, METRIC_GROUP_LEASES, 400);
    for (size_t i = 0; i < 4; i++) {
        player_acknowledge(&play.players[i], 0);
    }
    house_wait_metric(&play.house, METRIC_GROUP_LEASES, 0);
    house_wait_metric(&play.house, METRIC_GROUP_LAG, 0);
    play_end();
}

TEST(groups_of_another_name_or_filter_get_the_same_messages) {
    play_begin(NULL);
    struct player *other = play_cast(1);
    struct player *single = play_cast(2);
    other->options.group = SPAN("others");
    single->options.filter = SPAN("jobs/odd");
    single->options.selector = (struct storage_selector){SPAN("jobs/odd"), false};
    EXPECT_EQ(player_join(play_cast(0)), OK);
    EXPECT_EQ(player_join(other), OK);
    EXPECT_EQ(player_join(single), OK);
    play_publish(1, 10);
    play_wait_given(25);
    EXPECT_EQ(play.players[0].held_count, 10);
    EXPECT_EQ(other->held_count, 10);
    EXPECT_EQ(single->held_count, 5);
    play.doubled = 0; /* of one group */
    house_wait_metric(&play.house, METRIC_GROUPS, 3);
    play_end();
}

TEST(a_member_gets_no_more_than_its_credit_and_goes_on_with_more) {
    play_begin(NULL);
    struct player *player = play_cast(1);
    player->options.credit = 2;
    EXPECT_EQ(player_join(player), OK);
    play_publish(1, 10);
    play_wait_given(2);
    player_acknowledge(player, player->tokens[0]);
    play_wait_given(3);
    EXPECT_EQ(player->held_count, 2);
    EXPECT_EQ(play.given[4], 0);
    player_set_credit(player, 100);
    play_wait_given(10);
    EXPECT_EQ(player->held_count, 9);
    play_end();
}

static uint64_t group_lag(void) {
    return metrics_sum(play.house.broker.metrics, METRIC_GROUP_LAG, 0);
}

/* All but the two that it was given. By so many records at least: a log that is silent for a second
 * ticks, and a tick is one. What is dealt is counted behind the dealing: two more, until then. */
static bool is_behind(void *context) {
    uint64_t lag = group_lag();
    return lag >= *(const uint64_t *)context &&
           lag <= log_position_readable(play.house.broker.log) - 2;
}

static void wait_behind(uint64_t records) {
    house_look(&play.house, is_behind, &records);
}

TEST(what_waits_for_members_that_are_stuck_is_counted) {
    play_begin(NULL);
    struct player *player = play_cast(1);
    player->options.credit = 2;
    EXPECT_EQ(player_join(player), OK);
    play_publish(1, 10);
    play_wait_given(2);
    wait_behind(8);
    play_publish(11, 100);
    wait_behind(98);
    play_end();
}

TEST(what_a_member_does_not_take_goes_to_another_as_if_never_given) {
    play_begin(NULL);
    struct player *refuser = play_cast(1);
    refuser->does_refuse = true;
    EXPECT_EQ(player_join(refuser), OK);
    play_publish(1, 3);
    EXPECT_EQ(player_join(play_cast(0)), OK);
    play_wait_given(3);
    EXPECT_EQ(play.players[0].held_count, 3);
    for (uint64_t i = 1; i <= 3; i++) {
        EXPECT_EQ(play.counts[i], 1);
    }
    player_set_credit(refuser, 5);
    player_set_credit(&play.players[0], 0);
    play_publish(4, 4);
    play_wait_given(4);
    EXPECT_EQ(refuser->held_count, 1);
    play_end();
}

TEST(what_is_acknowledged_in_the_call_is_done_with) {
    play_begin(NULL);
    struct player *player = play_cast(1);
    player->does_acknowledge = true;
    player->options.credit = 1;
    EXPECT_EQ(player_join(player), OK);
    play_publish(1, 500);
    play_wait_done(500);
    EXPECT_EQ(play.given_count, 500);
    house_wait_metric(&play.house, METRIC_GROUP_LEASES, 0);
    play_end();
}

/* --- coming back ---------------------------------------------------------------------------- */

TEST(what_a_member_leaves_behind_goes_to_others_in_order) {
    play_begin(NULL);
    struct player *first = play_cast(0);
    EXPECT_EQ(player_join(first), OK);
    play_publish(1, 6);
    play_wait_given(6);
    player_acknowledge(first, first->tokens[1]);
    struct player *second = play_cast(1);
    EXPECT_EQ(player_join(second), OK);
    player_leave(first, 0);
    play_wait_given(11);
    EXPECT_EQ(second->held_count, 5);
    EXPECT_EQ(second->numbers[0], 1);
    EXPECT_EQ(second->numbers[1], 3);
    EXPECT_EQ(second->numbers[4], 6);
    EXPECT_EQ(play.counts[1], 2);
    EXPECT_EQ(metrics_sum(play.house.broker.metrics, METRIC_GROUP_REDELIVERIES, 0), 5);
    play_end();
}

TEST(what_is_rejected_comes_again) {
    play_begin(NULL);
    struct player *player = play_cast(1);
    player->options.credit = 1;
    EXPECT_EQ(player_join(player), OK);
    play_publish(1, 2);
    play_wait_given(1);
    player_reject_first(player);
    play_wait_given(2);
    EXPECT_EQ(player->numbers[0], 1);
    EXPECT_EQ(play.counts[1], 2);
    play_end();
}

static bool has_one(void *context) {
    return ((struct player *)context)->held_count == 1;
}

/* Where this machine is slow, the first member is given it more than once. */
TEST(a_lease_that_ends_goes_to_another_member) {
    play_begin(NULL);
    struct player *slow = play_cast(0);
    slow->options.lease_ms = 1;
    slow->does_lose = true;
    EXPECT_EQ(player_join(slow), OK);
    play_publish(1, 1);
    play_wait_given(1);
    player_set_credit(slow, 0);
    struct player *other = play_cast(1);
    EXPECT_EQ(player_join(other), OK);
    house_wait(&play.house, has_one, other);
    EXPECT_EQ(play.counts[1], play.given[1]);
    play_end();
}

/* --- where a group begins ------------------------------------------------------------------- */

static enum error_code join_from(struct player *player, struct storage_query start) {
    player->options.start = start;
    player->options.filter = SPAN("jobs/odd");
    player->options.selector = (struct storage_selector){SPAN("jobs/odd"), false};
    return player_join(player);
}

TEST(the_first_member_says_where_a_group_begins) {
    play_begin(NULL);
    for (uint64_t i = 1; i <= 10; i++) {
        house_publish(&play.house, "jobs/odd", i, 0);
    }
    EXPECT_EQ(join_from(play_cast(0), (struct storage_query){.start = STORAGE_NEWEST, .newest = 3}),
              OK);
    play_wait_given(3);
    EXPECT_EQ(play.players[0].numbers[0], 8);
    player_leave(&play.players[0], 0);
    house_wait_metric(&play.house, METRIC_GROUPS, 0);
    EXPECT_EQ(join_from(play_cast(1), (struct storage_query){.start = STORAGE_EARLIEST}), OK);
    play_wait_given(13);
    EXPECT_EQ(join_from(play_cast(2), (struct storage_query){.start = STORAGE_EARLIEST}), OK);
    player_leave(&play.players[1], 0);
    play_wait_given(23);
    player_leave(&play.players[2], 0);
    house_wait_metric(&play.house, METRIC_GROUPS, 0);
    EXPECT_EQ(join_from(play_cast(3), (struct storage_query){.start = STORAGE_AFTER_OFFSET,
                                                             .place = {.offset = 9}}),
              OK);
    play_wait_given(24);
    EXPECT_EQ(play.players[3].numbers[0], 10);
    play_end();
}

TEST(a_start_that_means_nothing_is_refused_and_leaves_no_group) {
    play_begin(NULL);
    struct player *player = play_cast(1);
    player->options.start =
        (struct storage_query){.start = STORAGE_AFTER_OFFSET, .place = {.offset = 9}};
    EXPECT_EQ(player_join(player), ERR_BAD_SINCE);
    house_wait_metric(&play.house, METRIC_GROUPS, 0);
    play_end();
}

TEST(names_that_are_too_long_are_refused) {
    static const char long_name[GROUP_KEY_BYTES_MAX] = {'x'};
    play_begin(NULL);
    struct player *player = play_cast(1);
    player->options.group = span_of(long_name, sizeof(long_name) - player->options.filter.length);
    EXPECT_EQ(player_join(player), ERR_TOO_LARGE);
    player->member = NULL;
    play_end();
}

TEST(a_gap_is_told_to_the_member_that_goes_on_behind_it) {
    play_begin("channels: [{match: \"**\", history: {messages: 3}}]");
    for (uint64_t i = 1; i <= 10; i++) {
        house_publish(&play.house, "jobs/odd", i, 0);
    }
    EXPECT_EQ(join_from(play_cast(1), (struct storage_query){.start = STORAGE_AFTER_OFFSET,
                                                             .place = {.offset = 4}}),
              OK);
    play_wait_given(3);
    EXPECT_EQ(play.players[1].gap_count, 1);
    EXPECT_EQ(play.players[1].gap.reason, GAP_EXPIRED);
    EXPECT_EQ(play.players[1].gap.from, 5);
    EXPECT_EQ(play.players[1].gap.to, 7);
    EXPECT_EQ(play.players[1].numbers[0], 8);
    play_end();
}

TEST(what_came_back_and_is_not_kept_any_more_is_told_by_its_offsets) {
    play_begin("channels: [{match: \"**\", history: {messages: 4}}]");
    struct player *first = play_cast(0);
    EXPECT_EQ(join_from(first, (struct storage_query){.start = STORAGE_NOW}), OK);
    for (uint64_t i = 1; i <= 4; i++) {
        house_publish(&play.house, "jobs/odd", i, 0);
    }
    play_wait_given(4);
    player_acknowledge(first, first->tokens[2]);
    player_set_credit(first, 3);
    for (uint64_t i = 5; i <= 8; i++) { /* 1, 2 and 4 go, and 3 was done with */
        house_publish(&play.house, "jobs/odd", i, 0);
    }
    struct player *second = play_cast(1);
    second->options.credit = 0;
    EXPECT_EQ(join_from(second, (struct storage_query){.start = STORAGE_NOW}), OK);
    player_leave(first, 0);
    player_set_credit(second, 100);
    play_wait_given(8);
    EXPECT_EQ(second->numbers[0], 5);
    EXPECT_EQ(second->gap_count, 2);
    EXPECT_EQ(second->gap.from, 4);
    EXPECT_EQ(second->gap.to, 4);
    play_end();
}

/* --- away, and over a restart --------------------------------------------------------------- */

static struct player *play_cast_kept(size_t index) {
    struct player *player = play_cast(index);
    player->options.kept_ms = FOR_LONG_MS;
    return player;
}

TEST(a_group_waits_for_a_member_that_is_kept_and_goes_on_where_it_was) {
    play_begin(NULL);
    EXPECT_EQ(player_join(play_cast_kept(1)), OK);
    play_publish(1, 4);
    play_wait_given(4);
    player_acknowledge(&play.players[1], play.players[1].tokens[0]);
    player_leave(&play.players[1], FOR_LONG_MS);
    play_publish(5, 8);
    EXPECT_EQ(player_join(play_cast_kept(1)), OK);
    play_wait_given(4 + 3 + 4);
    EXPECT_EQ(play.players[1].numbers[0], 2);
    EXPECT_EQ(play.given[1], 1);
    EXPECT_EQ(play.given[8], 1);
    play_end();
}

TEST(a_group_ends_when_the_time_of_its_last_kept_member_is_over) {
    play_begin(NULL);
    EXPECT_EQ(player_join(play_cast_kept(1)), OK);
    player_leave(&play.players[1], 1);
    house_wait_metric(&play.house, METRIC_GROUPS, 0);
    house_stop(&play.house);
    house_start(&play.house);
    EXPECT_EQ(metrics_sum(play.house.broker.metrics, METRIC_GROUPS, 0), 0);
    play_end();
}

TEST(a_member_that_is_forgotten_is_not_waited_for) {
    play_begin(NULL);
    EXPECT_EQ(player_join(play_cast_kept(1)), OK);
    EXPECT_EQ(sharing_forget(&play.house.broker, SPAN("workers"), SPAN("jobs/#"), SPAN("p1")), OK);
    EXPECT_EQ(player_join(play_cast(0)), OK); /* is there, so nothing is forgotten */
    player_leave(&play.players[1], FOR_LONG_MS);
    player_leave(&play.players[0], 0);
    house_wait_metric(&play.house, METRIC_GROUP_MEMBERS, 0);
    EXPECT_EQ(metrics_sum(play.house.broker.metrics, METRIC_GROUPS, 0), 1);
    EXPECT_EQ(sharing_forget(&play.house.broker, SPAN("workers"), SPAN("jobs/#"), SPAN("p1")), OK);
    house_wait_metric(&play.house, METRIC_GROUPS, 0);
    play_end();
}

TEST(a_member_may_be_forgotten_in_all_groups_at_once) {
    play_begin(NULL);
    for (size_t i = 0; i < 4; i++) {
        static const char *const groups[] = {"a", "b", "c", "d"};
        struct player *player = play_cast_kept(i);
        player->options.group = span_of_string(groups[i]);
        player->options.name = SPAN("one of many");
        EXPECT_EQ(player_join(player), OK);
    }
    for (size_t i = 0; i < 4; i++) {
        player_leave(&play.players[i], FOR_LONG_MS);
    }
    house_wait_metric(&play.house, METRIC_GROUP_MEMBERS, 0);
    EXPECT_EQ(metrics_sum(play.house.broker.metrics, METRIC_GROUPS, 0), 4);
    EXPECT_EQ(sharing_forget_everywhere(&play.house.broker, SPAN("somebody")), OK);
    EXPECT_EQ(sharing_forget_everywhere(&play.house.broker, SPAN("one of many")), OK);
    play_end();
}

TEST(a_group_is_back_after_a_restart_with_what_was_not_done_with) {
    play_begin(NULL);
    EXPECT_EQ(player_join(play_cast_kept(1)), OK);
    EXPECT_EQ(player_join(play_cast(2)), OK);
    play_publish(1, 20);
    play_wait_given(20);
    player_acknowledge(&play.players[1], 0);
    size_t done = play.done_count;
    player_leave(&play.players[2], 0); /* some of what it had may come to the first one yet */
    player_leave(&play.players[1], FOR_LONG_MS);
    house_stop(&play.house);
    size_t given = play.given_count;
    house_start(&play.house);
    EXPECT_EQ(metrics_sum(play.house.broker.metrics, METRIC_GROUPS, 0), 1);
    play_publish(21, 22);
    EXPECT_EQ(player_join(play_cast_kept(1)), OK);
    play_wait_given(given + 22 - done);
    player_acknowledge(&play.players[1], 0);
    EXPECT_EQ(play.done_count, 22);
    for (uint64_t i = 1; i <= 22; i++) {
        EXPECT_TRUE(play.is_done[i]);
    }
    play_end();
}

TEST(a_start_that_fails_behind_its_groups_ends_in_order) {
    play_begin(NULL);
    EXPECT_EQ(player_join(play_cast_kept(1)), OK);
    player_leave(&play.players[1], FOR_LONG_MS);
    house_stop(&play.house);
    house_start_without_log(&play.house);
    house_start(&play.house);
    EXPECT_EQ(metrics_sum(play.house.broker.metrics, METRIC_GROUPS, 0), 1); /* as it was */
    EXPECT_EQ(player_join(play_cast_kept(1)), OK);
    play_end();
}

/* On the home's worker, of the only group there is. */
static void look_at_home(void *context) {
    struct worker *worker = home_worker(&play.house.broker, SPAN("workers/jobs/#"));
    const struct map_node *node = map_first(&worker->home->groups);
    const struct shared_group *shared = CONTAINER_OF(node, const struct shared_group, in_home);
    *(bool *)context = !shared->is_dirty && shared->stores_under_way == 0;
}

/* All that the group was told is in the log. */
static bool is_stored(void *context) {
    struct worker *worker = home_worker(&play.house.broker, SPAN("workers/jobs/#"));
    house_call_at(worker_mailbox(worker), look_at_home, context);
    return *(bool *)context;
}

/* Twenty messages, every second of them acknowledged, and a second later the end without a word. */
static void live_and_die(void) {
    house_start(&play.house);
    EXPECT_EQ(player_join(play_cast_kept(1)), OK);
    play_publish(1, 20);
    play_wait_given(20);
    for (size_t at = 20; at > 0; at -= 2) {
        player_acknowledge(&play.players[1], play.players[1].tokens[at - 2]);
    }
    house_wait_metric(&play.house, METRIC_GROUP_LEASES, 10);
    play_publish(21, 21);
    play_wait_given(21); /* no worker wants the house's lock any more */
    bool is_there = false;
    house_look(&play.house, is_stored, &is_there);
    raise(SIGKILL);
}

TEST(after_a_kill_only_what_was_not_done_with_comes_again) {
    int status = 0;
    memset(&play, 0, sizeof(play));
    house_init(&play.house, NULL);
    pid_t child = fork();
    EXPECT_TRUE(child >= 0);
    if (child == 0) {
        live_and_die();
    }
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
    house_start(&play.house);
    EXPECT_EQ(player_join(play_cast_kept(1)), OK);
    play_wait_given(11);
    for (uint64_t i = 1; i <= 20; i++) {
        EXPECT_EQ(play.given[i], 1 - i % 2);
        EXPECT_EQ(play.counts[i], 2 * (1 - i % 2));
    }
    EXPECT_EQ(play.given[21], 1);
    EXPECT_EQ(play.players[1].gap_count, 0);
    play_end();
}

/* --- all of it at once ---------------------------------------------------------------------- */

#define ROUNDS 1500

static uint64_t random_state = 88172645463325252u;

static uint64_t draw(uint64_t below) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static void act(struct player *player, uint64_t *number) {
    switch (draw(8)) {
    case 0:
        if (player->member != NULL) {
            player_leave(player, player->options.kept_ms > 0 && draw(2) == 0 ? FOR_LONG_MS : 0);
        } else {
            player = play_cast((size_t)(player - play.players));
            player->options.kept_ms = draw(2) * FOR_LONG_MS;
            player->options.credit = (uint32_t)draw(20);
            EXPECT_EQ(player_join(player), OK);
        }
        break;
    case 1:
        if (player->member != NULL) {
            player_set_credit(player, (uint32_t)draw(20));
        }
        break;
    case 2:
        if (player->member != NULL) {
            player_begin_refusing(player);
        }
        break;
    case 3:
    case 4:
        if (player->member != NULL) {
            player_acknowledge(player, 0);
        }
        break;
    default:
        play_publish(*number, *number + 3);
        *number += 4;
    }
}

TEST(nothing_is_lost_or_with_two_members_whoever_comes_and_goes) {
    uint64_t number = 1;
    play_begin(NULL);
    struct player *anchor = play_cast_kept(5);
    anchor->options.credit = 3;
    EXPECT_EQ(player_join(anchor), OK);
    for (size_t i = 0; i < ROUNDS; i++) {
        act(&play.players[draw(4)], &number);
    }
    player_set_credit(anchor, 1000);
    for (size_t i = 0; i < 4; i++) {
        if (play.players[i].member != NULL) {
            player_leave(&play.players[i], 0);
        }
    }
    player_begin_acknowledging(anchor);
    player_acknowledge(anchor, 0);
    play_wait_done(number - 1);
    for (uint64_t i = 1; i < number; i++) {
        EXPECT_TRUE(play.is_done[i]);
    }
    play_end();
}

UNIT_TESTS(UNIT(each_message_goes_to_one_member_whichever_worker_it_is_on),
           UNIT(groups_of_another_name_or_filter_get_the_same_messages),
           UNIT(a_member_gets_no_more_than_its_credit_and_goes_on_with_more),
           UNIT(what_waits_for_members_that_are_stuck_is_counted),
           UNIT(what_a_member_does_not_take_goes_to_another_as_if_never_given),
           UNIT(what_is_acknowledged_in_the_call_is_done_with),
           UNIT(what_a_member_leaves_behind_goes_to_others_in_order),
           UNIT(what_is_rejected_comes_again), UNIT(a_lease_that_ends_goes_to_another_member),
           UNIT(the_first_member_says_where_a_group_begins),
           UNIT(a_start_that_means_nothing_is_refused_and_leaves_no_group),
           UNIT(names_that_are_too_long_are_refused),
           UNIT(a_gap_is_told_to_the_member_that_goes_on_behind_it),
           UNIT(what_came_back_and_is_not_kept_any_more_is_told_by_its_offsets),
           UNIT(a_group_waits_for_a_member_that_is_kept_and_goes_on_where_it_was),
           UNIT(a_group_ends_when_the_time_of_its_last_kept_member_is_over),
           UNIT(a_member_that_is_forgotten_is_not_waited_for),
           UNIT(a_member_may_be_forgotten_in_all_groups_at_once),
           UNIT(a_group_is_back_after_a_restart_with_what_was_not_done_with),
           UNIT(a_start_that_fails_behind_its_groups_ends_in_order),
           UNIT(after_a_kill_only_what_was_not_done_with_comes_again),
           UNIT(nothing_is_lost_or_with_two_members_whoever_comes_and_goes))

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/broker/runtime/play.h"

#include "tests/unit.h"

struct play play;

static uint64_t number_of(const struct message *message) {
    uint64_t number = 0;
    span_parse_u64(message->fields.payload, &number);
    return number;
}

/* --- callbacks, on a worker ----------------------------------------------------------------- */

static void on_joined(void *context, enum error_code code) {
    struct player *player = context;
    house_lock(&play.house);
    player->is_joined = true;
    player->result = code;
    house_unlock(&play.house);
}

static void drop_held(struct player *player, size_t at) {
    play.holders[player->numbers[at]]--;
    player->held_count--;
    memmove(&player->tokens[at], &player->tokens[at + 1],
            (player->held_count - at) * sizeof(uint64_t));
    memmove(&player->numbers[at], &player->numbers[at + 1],
            (player->held_count - at) * sizeof(uint64_t));
}

static void note_done(uint64_t number) {
    play.done_count += !play.is_done[number];
    play.is_done[number] = true;
}

static bool on_message(void *context, const struct sharing_delivery *delivery) {
    struct player *player = context;
    uint64_t number = number_of(delivery->message);
    bool is_taken = true;
    house_lock(&play.house);
    if (player->does_refuse) {
        player->does_refuse = false;
        is_taken = false;
    } else {
        play.given_count++;
        play.given[number]++;
        play.counts[number] = delivery->count;
        play.doubled += play.holders[number] > 0 || play.is_done[number];
        play.out_of_order += !player->is_joined;
        if (player->does_acknowledge) {
            play.doubled += !sharing_acknowledge(player->member, delivery->token);
            note_done(number);
        } else if (!player->does_lose) {
            play.holders[number]++;
            play.out_of_order +=
                player->held_count > 0 && player->tokens[player->held_count - 1] >= delivery->token;
            player->tokens[player->held_count] = delivery->token;
            player->numbers[player->held_count++] = number;
        }
    }
    house_unlock(&play.house);
    return is_taken;
}

static void on_gap(void *context, const struct storage_gap *gap) {
    struct player *player = context;
    house_lock(&play.house);
    player->gap = gap->gap;
    player->gap_count++;
    house_unlock(&play.house);
}

/* --- what a test tells players -------------------------------------------------------------- */

static void run_join(void *context) {
    struct player *player = context;
    player->options.worker = play.house.broker.workers[player->worker];
    player->result = sharing_join(&player->options, &player->member);
    player->is_joined = player->result != OK;
}

static bool has_joined(void *context) {
    return ((struct player *)context)->is_joined;
}

/* On worker index % 2; credit for all; not kept; from now on. */
struct player *play_cast(size_t index) {
    static const char *const names[PLAYERS_MAX] = {"p0", "p1", "p2", "p3", "p4", "p5"};
    struct player *player = &play.players[index];
    *player = (struct player){.worker = index % HOUSE_WORKERS,
                              .options = {.group = SPAN("workers"),
                                          .filter = SPAN("jobs/#"),
                                          .selector = {SPAN("jobs/**"), true},
                                          .start = {.start = STORAGE_NOW},
                                          .name = span_of_string(names[index]),
                                          .credit = 1000,
                                          .on_joined = on_joined,
                                          .on_message = on_message,
                                          .on_gap = on_gap,
                                          .context = player}};
    return player;
}

enum error_code player_join(struct player *player) {
    player->is_joined = false;
    player->held_count = 0;
    house_call(&play.house, player->worker, run_join, player);
    house_wait(&play.house, has_joined, player);
    return player->result;
}

static void run_leave(void *context) {
    struct player *player = context;
    house_lock(&play.house);
    while (player->held_count > 0) { /* what others get from here on was not with two */
        drop_held(player, player->held_count - 1);
    }
    house_unlock(&play.house);
    sharing_leave_kept(player->member, player->leaves_for_ms);
    player->member = NULL;
}

void player_leave(struct player *player, uint64_t kept_ms) {
    player->leaves_for_ms = kept_ms;
    house_call(&play.house, player->worker, run_leave, player);
}

static void run_credit(void *context) {
    struct player *player = context;
    sharing_set_credit(player->member, player->options.credit);
}

void player_set_credit(struct player *player, uint32_t credit) {
    player->options.credit = credit;
    house_call(&play.house, player->worker, run_credit, player);
}

static void run_acknowledge(void *context) {
    struct player *player = context;
    house_lock(&play.house);
    for (size_t at = player->held_count; at > 0; at--) {
        if (player->wanted == 0 || player->tokens[at - 1] == player->wanted) {
            note_done(player->numbers[at - 1]);
            play.doubled += !sharing_acknowledge(player->member, player->tokens[at - 1]);
            drop_held(player, at - 1);
        }
    }
    house_unlock(&play.house);
}

/* 0: all that it has. */
void player_acknowledge(struct player *player, uint64_t token) {
    player->wanted = token;
    house_call(&play.house, player->worker, run_acknowledge, player);
}

static void run_reject(void *context) {
    struct player *player = context;
    house_lock(&play.house);
    uint64_t token = player->tokens[0];
    drop_held(player, 0);
    play.doubled += !sharing_reject(player->member, token);
    play.doubled += sharing_reject(player->member, token);
    house_unlock(&play.house);
}

static bool are_given(void *context) {
    (void)context;
    return play.given_count >= play.wanted;
}

void play_wait_given(size_t count) {
    play.wanted = count;
    house_wait(&play.house, are_given, NULL);
}

static bool are_done(void *context) {
    (void)context;
    return play.done_count >= play.wanted;
}

void play_wait_done(size_t count) {
    play.wanted = count;
    house_wait(&play.house, are_done, NULL);
}

void play_publish(uint64_t first, uint64_t last) {
    for (uint64_t number = first; number <= last; number++) {
        house_publish(&play.house, number % 2 == 0 ? "jobs/even" : "jobs/odd", number, 0);
    }
}

void play_begin(const char *rules) {
    memset(&play, 0, sizeof(play));
    house_init(&play.house, rules);
    house_start(&play.house);
}

void play_end(void) {
    for (size_t i = 0; i < PLAYERS_MAX; i++) {
        if (play.players[i].member != NULL) {
            player_leave(&play.players[i], 0);
        }
    }
    house_wait_metric(&play.house, METRIC_GROUPS, 0);
    EXPECT_EQ(metrics_sum(play.house.broker.metrics, METRIC_GROUP_LEASES, 0), 0);
    EXPECT_EQ(metrics_sum(play.house.broker.metrics, METRIC_GROUP_MEMBERS, 0), 0);
    house_stop(&play.house);
    house_finish(&play.house);
    EXPECT_EQ(play.doubled, 0);
    EXPECT_EQ(play.out_of_order, 0);
}

void player_reject_first(struct player *player) {
    house_call(&play.house, player->worker, run_reject, player);
}

void player_begin_acknowledging(struct player *player) {
    house_lock(&play.house);
    player->does_acknowledge = true;
    house_unlock(&play.house);
}

void player_begin_refusing(struct player *player) {
    house_lock(&play.house);
    player->does_refuse = true;
    house_unlock(&play.house);
}

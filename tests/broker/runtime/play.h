/* SPDX-License-Identifier: Apache-2.0 */
/* play.h — a group's members as a test wants them, on the workers of a house, and what they were
 * given.
 *
 * Place:   tests of sharing.h.
 * Thread:  the test's; what callbacks change is under the house's lock.
 * Bounds:  PLAYERS_MAX members, messages that are numbers below MESSAGES_MAX.
 */
#pragma once

#include "broker/runtime/sharing.h"
#include "tests/broker/runtime/house.h"

#define MESSAGES_MAX 20000
#define PLAYERS_MAX 6
#define HELD_MAX 4096
#define FOR_LONG_MS 3600000

struct player {
    size_t worker;
    struct sharing_options options;
    struct sharing_member *member;
    bool is_joined;
    enum error_code result;
    bool does_acknowledge; /* at once */
    bool does_refuse;
    bool does_lose; /* takes it and knows nothing of it any more */
    uint64_t leaves_for_ms;
    uint64_t wanted; /* acknowledge or reject that token */
    size_t held_count;
    uint64_t tokens[HELD_MAX];
    uint64_t numbers[HELD_MAX];
    size_t gap_count;
    struct gap gap;
};

/* What each message should be; under the house's lock. */
struct play {
    struct house house;
    struct player players[PLAYERS_MAX];
    uint32_t given[MESSAGES_MAX];
    uint32_t counts[MESSAGES_MAX]; /* the last delivery's */
    uint32_t holders[MESSAGES_MAX];
    bool is_done[MESSAGES_MAX];
    size_t given_count;
    size_t done_count;
    size_t doubled;      /* with two members at a time, or given when it was done with */
    size_t out_of_order; /* by its token, or before the member was told that it joined */
    uint64_t wanted;     /* what is waited for */
};

extern struct play play;

/* A house, started. `rules`: see house_init(). */
void play_begin(const char *rules);

/* All leave; the house stops and is gone. No message was with two members at a time, or came when
 * it was done with, or out of the order of tokens. */
void play_end(void);

/* A player that has not joined: on worker index % 2, with credit for all that comes, not kept; the
 * group begins now. */
struct player *play_cast(size_t index);

/* Publishes these numbers, in turn on jobs/even and jobs/odd. */
void play_publish(uint64_t first, uint64_t last);

/* Until so many were given, or are done with, since the play began. */
void play_wait_given(size_t count);
void play_wait_done(size_t count);

/* Joins, and returns when it was told how that went. */
enum error_code player_join(struct player *player);
void player_leave(struct player *player, uint64_t kept_ms);
void player_set_credit(struct player *player, uint32_t credit);

/* That token; 0: all that it has. */
void player_acknowledge(struct player *player, uint64_t token);

/* Its oldest one goes back. */
void player_reject_first(struct player *player);

/* From the next message on; refusing ends with the first. */
void player_begin_acknowledging(struct player *player);
void player_begin_refusing(struct player *player);

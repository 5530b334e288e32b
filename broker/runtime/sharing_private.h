/* SPDX-License-Identifier: Apache-2.0 */
/* sharing_private.h — the inside of groups, for the few files that are sharing together.
 *
 * Place:   sharing.c (a member), home.c (who comes and goes), dealing.c (what is given), keeping.c
 *          (what is stored).
 * Thread:  a member has three parts: its worker's, its group's home's, and what does not change.
 *          The home and its groups: their worker's.
 * Bounds:  see sharing.h.
 *
 *     member --up lane-->   JOIN  CREDIT  ACKNOWLEDGED  REJECTED  NOT_TAKEN  LEAVE(last)
 *     member <--down lane-- JOINED  GIVEN  GAP  GONE(last)
 *
 * A lease is one struct given: made by the home, kept by the member, and sent back as its own
 * answer. So an acknowledgement allocates nothing.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/delivery/group.h"
#include "broker/delivery/reader.h"
#include "broker/delivery/roster.h"
#include "broker/runtime/reads.h"
#include "broker/runtime/sharing.h"
#include "broker/runtime/worker_private.h"
#include "broker/support/lane.h"
#include "broker/support/list.h"
#include "broker/support/map.h"
#include "broker/support/wheel.h"

enum note_kind {
    NOTE_JOIN,
    NOTE_CREDIT,
    NOTE_ACKNOWLEDGED,
    NOTE_REJECTED,
    NOTE_NOT_TAKEN,
    NOTE_LEAVE,
    NOTE_JOINED,
    NOTE_GIVEN,
    NOTE_GAP,
    NOTE_GONE,
};

struct note {
    struct parcel parcel;
    enum note_kind kind;
};

struct given {
    struct note note;
    struct list in_member;   /* the member's, as is until_ms */
    struct message *message; /* a reference, until the member has seen it */
    uint64_t token;
    uint64_t until_ms;
    uint32_t count;
};

struct told_gap {
    struct note note;
    struct storage_gap gap; /* its text is the group's */
};

struct sharing_member {
    /* Does not change. */
    struct sharing_options
        options; /* its spans point behind the struct; `group` is the whole key */
    struct worker *home;
    struct lane up;
    struct lane down;

    /* The worker's. */
    struct list leases; /* struct given, the oldest first */
    bool is_left;
    bool is_refusing;     /* it did not take one, and was given no credit since */
    uint64_t left_for_ms; /* the home's once `leave` is sent */

    /* Of both: the newest credit, and whether a note of it is on its way. */
    atomic_uint_least32_t credit;
    atomic_bool is_credit_noted;

    /* The home's. */
    struct group_member seat;
    struct shared_group *group; /* NULL: it was not taken in */
    struct list in_group;
    bool is_told;           /* that it joined */
    uint64_t told_with;     /* the number of the store that it waits for */
    enum error_code result; /* the worker's once `joined` is sent */

    struct note join, credit_note, leave; /* up … */
    struct note joined, gone;             /* … and down */
};

/* The groups of a home. */
struct home {
    struct worker *worker;
    struct map groups;        /* struct shared_group */
    struct roster_index kept; /* in whose rosters a name is */
    struct given *spare;
};

struct shared_group {
    struct map_node in_home;
    struct home *home;
    struct group *group;
    struct roster roster;
    struct list members;
    size_t timed_count; /* members whose leases have an end */
    struct wheel_timer beat;
    bool is_someone_away; /* for a time that ends */
    bool is_over;         /* it is in no map, and is freed when nothing of it is on its way */

    /* Reading. */
    struct storage_selector selector; /* once somebody has come; its text is the group's own */
    struct reader reader;             /* to be told of news; joined to its feed while … */
    bool is_following;                /* … somebody is there */
    bool is_resolved;                 /* `start` is: the group has a place */
    struct storage_query start;
    bool has_pending; /* a gap that the start was, for who gets the first message */
    struct storage_gap pending;
    struct read read;
    bool is_reading;
    bool is_at_head; /* of the log as it was when it was read last */
    bool is_paused;  /* something failed: until the next beat */

    /* Storing. */
    bool is_dirty;
    bool is_stored; /* the storage has an object of it */
    uint64_t store_number;
    size_t stores_under_way;

    /* What the figures say of it now. */
    uint64_t leased_counted;
    uint64_t lag_counted;
    size_t key_length;
    uint8_t key[];
};

/* --- home.c --- */

/* The home of that group: one of the broker's workers. */
struct worker *home_worker(const struct broker *broker, struct span key);

/* What came up from a member. */
void home_on_note(struct lane *lane, struct parcel *parcel);

/* A kept member of the group (an empty key: of all) comes back no more. */
void home_forget(struct home *home, struct span key, struct span name);

struct span home_key(const struct shared_group *shared);

/* The group moved on: its figures, and what is stored of it, are old. */
void home_touch(struct shared_group *shared);

/* The start is resolved, or (not OK) cannot be: whoever joined is told, or refused. False, here and
 * below: nobody is left, and the group is not there any more. */
bool home_on_resolved(struct shared_group *shared, enum error_code code);

/* The stores up to that number are in the journal, or (not OK) are not. */
bool home_on_stored(struct shared_group *shared, uint64_t number, enum error_code code);

/* The log moved on: its lag is old, whether or not anybody can be given something. */
void home_note_news(struct shared_group *shared);

/* Tries again what failed, at the next beat. */
void home_pause(struct shared_group *shared);

/* Frees the group if it is over and nothing of it is on its way; true: it did. */
bool home_release(struct shared_group *shared);

/* --- dealing.c --- */

/* Comes to the feed of its selector, or leaves it. ERR_MEMORY. */
MUST_USE enum error_code dealing_follow(struct shared_group *shared);
void dealing_unfollow(struct shared_group *shared);

/* Reads the log if there is something to give and somebody to take it. */
void dealing_go_on(struct shared_group *shared);

/* How far it stands behind the head. */
uint64_t dealing_lag(const struct shared_group *shared);

/* --- keeping.c --- */

/* Submits what is to be stored of it now. Not OK: nothing was, and it is as dirty as before. */
MUST_USE enum error_code keeping_store(struct shared_group *shared);

/* The state as it was stored, into a new group. ERR_CORRUPT, ERR_MEMORY, ERR_FULL. */
MUST_USE enum error_code keeping_load(struct shared_group *shared, struct span state);

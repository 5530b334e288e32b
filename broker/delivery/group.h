/* SPDX-License-Identifier: Apache-2.0 */
/* group.h — who of a group has which message: one place in the log, and a lease a message given.
 *
 * Place:   broker/runtime/sharing.c feeds it with what it reads and does what it decides.
 * Thread:  its owner's. No clock, no sockets, no messages: positions alone.
 * Bounds:  GROUP_LEASES_MAX leases of about 100 bytes, GROUP_MEMBERS_MAX members.
 *
 * Everything up to the place was read; of it, what is not done with has an entry. So what is kept
 * does not grow with what was acknowledged, and one message that nobody acknowledges holds up no
 * other. An entry is leased to one member, or it waits:
 *
 *     (new) --offer--> LEASED --acknowledge--> (done with)
 *                      LEASED --reject, expire, the member leaves--> WAITING --offer--> LEASED
 *
 * While something waits the log is read again from before the oldest of it (group_get_start()), and
 * messages that have no entry there are passed over. So there is one way to give, in order of
 * position, and a message that is no longer kept is found missing where it should have come.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/limits.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

struct group;

/* Embedded in what a member is; all of it belongs to the group. */
struct group_member {
    struct list in_ready; /* of those that may be given one more; else in no list */
    struct list leases;
    uint32_t credit;
    uint32_t lease_count;
    size_t bytes; /* of what it was given */
    size_t bytes_max;
    uint64_t lease_ms;
};

struct group_lease {
    struct group_member *member;
    uint64_t token; /* ascending, also over a restart */
    uint32_t count; /* so many times was the message given; 1: the first time */
};

/* What was waiting and is not in the log any more. */
struct group_loss {
    uint64_t position;
    uint64_t offset; /* 0: not known */
};

enum group_answer {
    GROUP_LEASED,
    GROUP_KNOWN,  /* done with, or somebody has it: go on with the next */
    GROUP_NOBODY, /* no member can take it now, or GROUP_LEASES_MAX are out: stop here */
};

/* A group without members that has read nothing yet. ERR_MEMORY. */
MUST_USE enum error_code group_create(struct group **ret_group);

/* All members have left. Accepts NULL. */
void group_destroy(struct group *group);

/* Everything up to here was read. */
void group_get_place(const struct group *group, struct place *ret_place);

/* Where a group begins; or the log is another one than it was, and goes on here: what stood behind
 * it is forgotten. */
void group_set_place(struct group *group, const struct place *place);

/* --- members -------------------------------------------------------------------------------- */

/* `bytes_max`: nothing is given while it has so many. `lease_ms` 0: a lease has no end. ERR_FULL:
 * GROUP_MEMBERS_MAX. */
MUST_USE enum error_code group_join(struct group *group, struct group_member *member,
                                    uint32_t credit, size_t bytes_max, uint64_t lease_ms);

/* What it has waits for others. */
void group_leave(struct group *group, struct group_member *member);

void group_set_credit(struct group *group, struct group_member *member, uint32_t credit);

/* Done with. False: the member has no lease of that token. */
bool group_acknowledge(struct group *group, struct group_member *member, uint64_t token);

/* Waits for anybody. `was_seen` false: it counts as never given. False as above. */
bool group_reject(struct group *group, struct group_member *member, uint64_t token, bool was_seen);

/* Leases whose time is over wait for anybody; returns how many. `ret_next_ms`: when the next one is
 * over; UINT64_MAX: none has an end. */
size_t group_expire(struct group *group, uint64_t now_ms, uint64_t *ret_next_ms);

/* --- giving --------------------------------------------------------------------------------- */

/* Some member can take something that waits, or something new. */
bool group_can_lease(const struct group *group);

/* How many messages could be given now: `count_max` at most. */
size_t group_room(const struct group *group, size_t count_max);

/* The member that the next message goes to; NULL: none. */
struct group_member *group_next(const struct group *group);

/* Behind which place the log is to be read for what is given next. */
void group_get_start(const struct group *group, struct place *ret_start);

/* The next message that was read; in order of position from group_get_start() on, without a hole
 * that the log does not have. Before it group_take_loss() up to its position. */
enum group_answer group_offer(struct group *group, const struct place *place, size_t bytes,
                              uint64_t now_ms, struct group_lease *ret_lease);

/* The oldest of what waits, if it stands before `position`: the log was read from before it and did
 * not have it, so it goes. False: there is none. */
MUST_USE bool group_take_loss(struct group *group, uint64_t position, struct group_loss *ret_loss);

/* All up to `place` was offered. */
void group_pass(struct group *group, const struct place *place);

/* --- figures and what is stored ------------------------------------------------------------- */

struct group_figures {
    size_t members;
    size_t leased;
    size_t waiting;
};
void group_get_figures(const struct group *group, struct group_figures *ret_figures);

/* Everything up to that position is done with. Looks at each entry. */
uint64_t group_position_done(const struct group *group);

/* Appends its place and what is not done with. ERR_MEMORY, ERR_TOO_LARGE. */
MUST_USE enum error_code group_encode(const struct group *group, struct buffer *buffer);

/* Takes that from the front of `rest` into a new group, in which all that was given waits.
 * ERR_CORRUPT, ERR_MEMORY: nothing changed but `rest`. */
MUST_USE enum error_code group_decode(struct group *group, struct span *rest);

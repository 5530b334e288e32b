/* SPDX-License-Identifier: Apache-2.0 */
/* sharing.h — groups over the log: each message of a group goes to one of its members.
 *
 * Place:   protocols/mqtt joins for a shared subscription ($share); consumer groups likewise. The
 *          rules are broker/delivery/group.h; home.h brings them the log and the disk.
 * Thread:  a group's home is one worker, which reads the log for it. A member's calls and callbacks
 *          are those of its own worker. restore: main's; forget: any.
 * Bounds:  GROUPS_MAX groups a worker, GROUP_MEMBERS_MAX members and GROUP_LEASES_MAX leases each,
 *          about 200 bytes a lease. Messages that are with a member or on their way to it: its
 *          credit, and limits.send_budget and one more in bytes.
 *
 *     sharing_join -> on_joined -> on_message … sharing_acknowledge … -> sharing_leave
 *
 * What a member was given and did not acknowledge goes to another one when it leaves, rejects it or
 * lets its time pass: at least once, the oldest first, before anything new. What is kept of a group
 * with members that may come back is its place in the log and what is not done with before it:
 * written once a second where it changed, and when the broker ends. So after a kill what was
 * acknowledged in the last second may come again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"
#include "storage/storage.h"

struct broker;
struct sharing_member;
struct worker;

#define SHARING_KEPT_FOR_EVER UINT64_MAX /* milliseconds */

/* A message that a member is given. */
struct sharing_delivery {
    struct message *message; /* borrowed for the call */
    uint64_t token;          /* of the lease: ascending in a group, so it also fences */
    uint32_t count;          /* 1: nobody had it before */
};

struct sharing_options {
    struct worker *worker; /* the caller's */
    struct span group;     /* its name, without a `/` … */
    struct span filter;    /* … and what it reads, as asked for: together they are the group */
    struct storage_selector selector; /* that filter, checked */
    struct storage_query
        start;         /* of a group that is not there yet: start, place, time_ms, newest */
    struct span name;  /* the member's; needed where it may come back */
    uint64_t kept_ms;  /* so long is it missed if it goes without a word; 0: not at all */
    uint32_t credit;   /* as in sharing_set_credit() */
    uint64_t lease_ms; /* so long may it have a message; 0: until it leaves */
    /* Once. OK: it is a member, and if kept_ms is not 0 that is in the journal. Else it is none and
     * nothing follows, but it still leaves: ERR_FULL, ERR_BAD_SINCE, ERR_MEMORY, ERR_BUSY, and what
     * the journal says. */
    void (*on_joined)(void *context, enum error_code code);
    /* False: not taken, as if it had never been given. Nothing more comes until its credit is set
     * again. It may call everything below, also leave. */
    bool (*on_message)(void *context, const struct sharing_delivery *delivery);
    /* Something of the group is lost; told to the member that is the next to get a message. */
    void (*on_gap)(void *context, const struct storage_gap *gap);
    void *context;
};

/* Joins; a member of that name that was kept is back. All of the options is copied. No callback
 * comes before this returns. ERR_TOO_LARGE: the names of group and filter are longer together than
 * GROUP_KEY_BYTES_MAX; ERR_MEMORY. */
MUST_USE enum error_code sharing_join(const struct sharing_options *options,
                                      struct sharing_member **ret_member);

/* At most so many messages may be with the member, unacknowledged. Less than there are: nothing
 * comes until there are fewer; what is on its way still comes. */
void sharing_set_credit(struct sharing_member *member, uint32_t credit);

/* Done with. False: the member has no such lease, or its time is over. An MQTT client that answers
 * with a reason of failure has done with it too [MQTT-4.8.2-6]. */
bool sharing_acknowledge(struct sharing_member *member, uint64_t token);

/* Back to the group: somebody gets it again, perhaps the same member. */
bool sharing_reject(struct sharing_member *member, uint64_t token);

/* For good: what it has goes to others, and with the last member, kept ones too, the group ends. No
 * callback follows, and the member is gone. Accepts NULL. */
void sharing_leave(struct sharing_member *member);

/* What it has goes to others, but the group waits so long for it, if it is the last one. 0: for
 * good. Accepts NULL. */
void sharing_leave_kept(struct sharing_member *member, uint64_t kept_ms);

/* A member that was kept comes back no more to that group, or to any. Nothing happens where it is
 * there. Any thread. ERR_MEMORY: it is kept until its time is
 * over. */
MUST_USE enum error_code sharing_forget(struct broker *broker, struct span group,
                                        struct span filter, struct span name);
MUST_USE enum error_code sharing_forget_everywhere(struct broker *broker, struct span name);

/* FORGETTINGS_MAX letters of that are on their way: more should wait. Any thread. */
bool sharing_is_forgetting(const struct broker *broker);

/* SPDX-License-Identifier: Apache-2.0 */
/* registry.h — which connection has which session, and what the sessions are that none has now.
 *
 * Place:   the log thread decides; protocols/mqtt claims a client id and releases it.
 * Thread:  the calls: the claimer's worker. All else: the log thread's.
 * Bounds:  log_options.sessions_max sessions, sessions_bytes_max of states and delayed wills. Of a
 *          session that is away its state is kept here, of one that is connected its name and a
 *          pointer. Above either bound a claim of a new client id is refused. Above that of bytes
 *          a will does not wait for its delay, and a session that is released with more than it was
 *          granted with (and more than SESSION_BYTES_ALWAYS) ends. One will a session.
 *
 *     claim -> on_granted -> (on_taken_over)? -> registry_release() -> on_released
 *
 * Each arrow once. A client id that is claimed while another connection has it: that one is told
 * (on_taken_over), says goodbye and releases; then the claim is granted, with the state that was
 * released. Claims of one client id wait for each other in order.
 *
 * A client id is its owner's while it is held and while its session is away: a claim of somebody
 * else is refused, and the holder hears nothing of it.
 *
 * A session that is released with an expiry is stored by the registry, and deleted from the storage
 * when it ends. While a connection has it, storing is the connection's affair: it submits
 * registry_put_message() and STORAGE_OBJECT_APPENDs of further state bytes, and sets is_stored.
 * Order holds: what a worker submitted before it released was ordered before the release.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/runtime/session_owner.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/mailbox.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

struct log;
struct metrics_shard;
struct registry;
struct registry_entry;
struct storage;

#define SESSION_EXPIRY_NEVER UINT64_MAX /* milliseconds */

/* How a session is left. */
struct session_release {
    uint64_t expiry_ms; /* from now on; 0: it ends; SESSION_EXPIRY_NEVER */
    uint8_t *state;     /* malloc'd, the registry's from now on; stored if expiry_ms > 0 */
    size_t state_length;
    struct message *will; /* a reference, the registry's, to a message that has no place; it is
                           * published after will_delay_ms, or when the session ends before, or at
                           * once above the bound of bytes, unless the session is claimed before
                           * (not clean) and opened; NULL: none */
    uint64_t will_delay_ms;
    bool is_unopened;           /* the claim was given up: the time of its session runs on from its
                                 * last release, and its will waits on, in place of these two */
    bool has_shares;            /* groups wait for it, which are to hear when it is over */
    struct session_owner owner; /* as the grant told it; of registry_put_message() alone */
};

struct session_claim;

struct session_claim_calls {
    void (*on_granted)(struct session_claim *claim);
    void (*on_taken_over)(struct session_claim *claim); /* not after registry_release() */
    void (*on_released)(struct session_claim *claim);   /* the maker may free it */
};

/* A connection's hold on a client id. On the heap, apart from the connection, which may be gone
 * before on_released. The maker fills the first part of zeroed memory. */
struct session_claim {
    struct mailbox *reply_to; /* on whose thread the callbacks run */
    const struct session_claim_calls *calls;
    void *context;
    uint64_t connection_id; /* for the operator */
    const uint8_t
        *client_id; /* 1 to SCOPED_CLIENT_ID_BYTES_MAX; the maker's until on_granted. From then
                               * until registry_release(), if it is granted, the registry's: a
                               * name that is held is kept once */
    struct session_owner owner; /* who claims; from the grant on, whose it is */
    uint16_t client_id_length;
    bool is_clean;     /* what is stored of the session goes */
    bool may_have_any; /* there are no owners for it: no credentials are configured */

    /* The answer: enum error_code. ERR_FULL: too many sessions; ERR_FORBIDDEN: it is another's;
     * ERR_DRAINING: the log has stopped; ERR_MEMORY. Not OK: the claim is over and may be freed in
     * on_granted. */
    uint8_t result;
    bool is_present; /* there was a session: `state` is it, of state_length bytes, the maker's */
    bool is_stored;  /* the storage may have it, as it was left last: the holder stores over that,
                      * and sets this when it submits a PUT */

    /* Set before on_taken_over: the operator ended the session, nobody else claims it. */
    bool is_dismissed;

    bool is_told, is_released, is_unopened, has_shares; /* the registry's */

    uint32_t state_length;
    uint8_t *state;     /* of the answer; from registry_release() on what is left, the registry's */
    uint64_t expiry_ms; /* how long a session that was there was to be kept, as it was left last;
                         * else 0. From the release on, how long it is to be kept */

    /* The registry's, but for the will. */
    struct letter letter; /* claim, grant, release, released: each answers the one before */
    struct letter notice; /* taken over */
    struct registry_entry *entry;
    union {
        struct list in_waiting; /* until the grant */
        struct {
            struct message *will; /* from the grant on: what was left and is not due; the maker
                                   * may drop it as it opens the session. From the release on:
                                   * what is left now. NULL: none */
            uint64_t will_due_ms; /* of that of the grant */
            union {
                uint64_t released_ms;   /* of log time: when the session of the grant was left */
                uint64_t will_delay_ms; /* of the will of a release of what was opened */
            };
        };
    };
};

/* on_granted follows, unless it is not OK (ERR_DRAINING, ERR_BUSY). */
MUST_USE enum error_code registry_claim(struct log *log, struct session_claim *claim);

/* Once after a grant, before log_stop() or when it has returned; `release` is copied. on_released
 * follows, always. After log_stop() nothing is stored: the session stays as it was stored last. */
void registry_release(struct log *log, struct session_claim *claim,
                      const struct session_release *release);

/* The command that stores the state of a session that a connection has, to be submitted like any
 * publish. If the process is killed the session is released like that at the next start; a will is
 * published then. The state and the will stay the caller's. NULL: out of memory. */
MUST_USE struct message *registry_put_message(struct span client_id,
                                              const struct session_release *release);

/* --- the log thread's ----------------------------------------------------------------------- */

struct registry_options {
    struct mailbox *mailbox; /* the log thread's */
    struct list *publishes;  /* those that wait to be ordered; the registry's own go behind them */
    struct metrics_shard *metrics;
    size_t sessions_max;
    size_t sessions_bytes_max;
    uint64_t time_ms; /* of the log */
    /* A session that was stored, and for which groups may wait, is over; and: so much of that is
     * under way that the next ones are to end later. On the log thread; NULL: nobody asks. */
    void (*on_session_over)(void *context, struct span client_id);
    bool (*is_over_busy)(void *context);
    void *context;
};

/* Learns all sessions that are stored. Those that a connection had when the process ended are
 * released at time_ms, which is stored with the first turns. Before the first append. */
MUST_USE enum error_code registry_create(const struct registry_options *options,
                                         struct storage *storage, struct registry **ret_registry,
                                         struct error *why);

/* Accepts NULL. */
void registry_destroy(struct registry *registry);

/* Once a turn, before letters are delivered: ends what has expired, publishes wills that are due,
 * tries again what could not be stored. */
void registry_turn(struct registry *registry, uint64_t time_ms);

/* How long the thread may sleep before the next registry_turn(); `limit_ms` at most. */
uint64_t registry_wait_ms(const struct registry *registry, uint64_t limit_ms);

/* Any thread: claims are refused from now on. */
void registry_stop(struct registry *registry);

/* The thread ends: claims that still wait are refused. */
void registry_end(struct registry *registry);

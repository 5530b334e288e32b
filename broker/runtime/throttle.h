/* SPDX-License-Identifier: Apache-2.0 */
/* throttle.h — may one more connection, login or publish pass? The limits, and what is told.
 *
 * Place:   asked by connection.c and tenure.c, and by protocols/ before they look at credentials
 *          and submit publishes.
 * Thread:  a worker's, for its own connections, or a call names its own; what is shared is atomic
 *          or has a lock.
 * Bounds:  struct dues: 16 bytes of buckets and the address of each connection.
 *
 * Each refusal is counted in tidings_limits_refused_total, by limit and protocol, and is a line
 * LIMIT_REACHED of the log, which has a gate.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "broker/admission/addresses.h"
#include "broker/admission/allowance.h"
#include "broker/metrics/table.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct broker;
struct connection;
struct identity;
struct message;
struct metrics_shard;
struct worker;

/* What a connection is held to, embedded in it. */
struct dues {
    struct allowance messages;
    struct allowance bytes;
    struct address_key address;
    bool is_counted; /* among the connections of its address */
};

/* The limit that comes first, as RateLimit fields tell it. */
struct throttle_told {
    const char
        *policy;    /* "connection", "identity", "tenant", "channel"; NULL: none is worth telling */
    uint64_t quota; /* messages at once, filled again within `window_s` */
    uint64_t window_s;
    uint64_t left;
};

/* What is to be published. */
struct throttle_offer {
    uint64_t count;                  /* messages */
    uint64_t bytes;                  /* of their payloads */
    struct message *const *messages; /* NULL: they are not made yet, and all are … */
    struct span channel;             /* … of this one, with its scope */
};

/* Makes the tables of addresses, accounts and buckets and the budget of a broker, as its
 * configuration says. ERR_MEMORY: throttle_close() ends what is there. */
MUST_USE enum error_code throttle_open(struct broker *broker);
void throttle_close(struct broker *broker);

/* Whether the address of a new socket may have one more connection; counts it in `ret_dues`.
 * ERR_RATE, ERR_MEMORY. */
MUST_USE enum error_code throttle_enter(struct worker *worker,
                                        const struct sockaddr_storage *address,
                                        struct dues *ret_dues);

/* It has gone. */
void throttle_leave(struct worker *worker, const struct dues *dues);

/* Are credentials from this address looked at? ERR_RATE: there were too many bad ones. */
MUST_USE enum error_code throttle_may_log_in(const struct connection *connection,
                                             struct error *why);

/* What came of them: bad ones are counted, also those that were revoked. */
void throttle_note_login(const struct connection *connection, enum error_code result);

/* The same two for the operator's port, whose connections are not counted: what was bad there and
 * on the other ports is one account. `metrics` is the caller's. On its thread. */
MUST_USE enum error_code throttle_may_operate(struct broker *broker,
                                              const struct sockaddr_storage *address,
                                              struct metrics_shard *metrics, struct error *why);
void throttle_note_operator(struct broker *broker, const struct sockaddr_storage *address,
                            enum error_code result);

/* Counts the connection among those of that identity and its tenant, for connection_admit(); what
 * was taken is accounts_give_connection()'s to give back. ERR_RATE: they have as many as they may;
 * nothing was taken. */
MUST_USE enum error_code throttle_admit(const struct connection *connection,
                                        const struct identity *identity, struct error *why);

/* Takes the offer out of what connection, identity (NULL: nobody's) and tenant may publish and its
 * channels take: all or nothing. ERR_RATE: `why->retry_after_ms` says when; ERR_TOO_LARGE: so much
 * is never let pass at once; ERR_MEMORY: memory is short, and the same may pass later. `ret_told`
 * may be NULL. */
MUST_USE enum error_code throttle_publish(struct connection *connection, struct identity *identity,
                                          const struct throttle_offer *offer,
                                          struct throttle_told *ret_told, struct error *why);

/* Another limit, which the caller found itself, turned something of the connection away. */
void throttle_note(const struct connection *connection, enum metrics_limit limit, uint64_t value);

/* The same where JSON was too deep, if that is what `why` (NULL: nothing) tells. */
void throttle_note_depth(const struct connection *connection, const struct error *why);

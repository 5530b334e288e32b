/* SPDX-License-Identifier: Apache-2.0 */
/* access.h — from credentials to an identity, and from an identity to a yes or no, on one thread.
 *
 * Place:   asked by protocols/ when a request or CONNECT comes and before each action; asks
 *          policy.h, the keys of issuers, tickets, revocations and, where configured, the
 *          application (auth.webhook) through the courier.
 * Thread:  one for each worker and one for the operator's thread, each that thread's alone.
 * Bounds:  IDENTITIES_CACHED_MAX verified tokens; questions under way as the courier bounds them.
 *
 * A question is answered at once (nearly always) or, where a key set or the application must be
 * asked over the network, later through the inquiry: ERR_AGAIN, then on_answered, exactly once, on
 * the thread of `reply_to`. An asker that goes meanwhile calls inquiry_abandon(); on_answered still
 * comes, with ERR_AGAIN, so that the memory of the inquiry can be let go.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/admission/grants.h"
#include "broker/admission/identity.h"
#include "broker/admission/tickets.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/mailbox.h"
#include "broker/support/span.h"

struct access;
struct broker;
struct metrics_shard;
struct revocation;
struct revocation_entry;

/* What was presented. Empty spans did not come. More than one kind is ERR_UNAUTHORIZED, but for a
 * certificate, which any of the others beats. */
struct credentials {
    struct span bearer; /* a JWT or an API key, from wherever it came */
    struct span ticket; /* of POST /token; used up by this question */
    struct span user;   /* of MQTT, with `bearer` the password; a key's name or a `sub`, or empty */
    struct span certificate;     /* the verified subject of the client's certificate (RFC 4514) */
    uint64_t certificate_ends_s; /* its notAfter; 0: not told */
    const char *peer;            /* "127.0.0.1:40001" */
    const char *protocol;        /* "http", "websocket", "sse", "mqtt": for the application */
    struct span client_id;       /* of MQTT: for the application */
};

struct inquiry {
    struct letter letter; /* what is above on_answered is the access's own */
    struct access *access;
    void *question;
    bool is_abandoned;
    void (*on_answered)(struct inquiry *inquiry);
    void *context;
    struct mailbox *reply_to;
    enum error_code result;
    struct identity *identity; /* of access_identify(): a reference that the asker takes */
    struct error why;
};

/* NULL: out of memory. `broker` and `metrics`, of the thread, are borrowed. */
struct access *access_create(struct broker *broker, struct metrics_shard *metrics);

/* Nothing is under way. Accepts NULL. */
void access_destroy(struct access *access);

/* The configuration is another: nothing that was found under the old one is remembered. */
void access_forget_identities(struct access *access);

/* From now on what it is of is refused, or no longer. Identities that were made before:
 * access_must_go(). The entry is owned from now on; no other memory is needed. */
void access_put_revocation(struct access *access, struct revocation_entry *entry);
void access_lift_revocation(struct access *access, const struct revocation *revocation);

/* They were revoked, or the row by which they came in is not as it was under the configuration of
 * now: asked of who may have been identified in an earlier turn of the thread. With the reason for
 * the end. */
bool access_must_go(struct access *access, const struct identity *identity,
                    enum close_reason *ret_reason);

/* All that may have ended what was good some time ago. ERR_REVOKED, ERR_TOKEN_EXPIRED; ERR_BUSY
 * where the configuration is another. NULL is good. */
MUST_USE enum error_code access_check_still(struct access *access, const struct identity *identity,
                                            struct error *why);

/* Who is it? OK: a reference in `ret_identity`. ERR_UNAUTHORIZED, ERR_TOKEN_EXPIRED, ERR_REVOKED,
 * ERR_RATE: the detail says what is wrong with which claim, and nothing of the credentials.
 * ERR_AGAIN: the inquiry is under way. The credentials are copied where they are needed longer. */
MUST_USE enum error_code access_identify(struct access *access,
                                         const struct credentials *credentials,
                                         struct inquiry *inquiry, struct identity **ret_identity,
                                         struct error *why);

/* May it? `text` is a checked channel or pattern, not scoped. OK, ERR_FORBIDDEN with the rule;
 * ERR_AGAIN: the application is asked, and inquiry->result will be one of them. `inquiry` may be
 * NULL where the asker cannot wait: then what had to be asked is refused. */
MUST_USE enum error_code access_permit(struct access *access, struct identity *identity,
                                       enum action action, struct span text,
                                       struct inquiry *inquiry, struct error *why);

/* The asker has gone. */
void inquiry_abandon(struct inquiry *inquiry);

/* A one-use ticket of that identity, in characters that a URL takes. ERR_FULL, ERR_MEMORY. */
MUST_USE enum error_code access_issue_ticket(struct access *access, struct identity *identity,
                                             char ret_text[TICKET_TEXT_BYTES]);

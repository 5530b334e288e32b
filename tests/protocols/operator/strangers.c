/* SPDX-License-Identifier: Apache-2.0 */
/* Who is who: the part of fakes.h that stands in for broker/runtime/access.h. */
#include "broker/runtime/access.h"

#include "broker/runtime/throttle.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "tests/protocols/operator/fakes.h"

static struct inquiry *waiting; /* the question that is answered at the next turn */

struct access *worker_access(const struct worker *worker) {
    (void)worker;
    return (struct access *)&waiting; /* never looked into */
}

static struct identity *fake_identity(struct span bearer) {
    struct identity_facts facts = {.kind = IDENTITY_TOKEN,
                                   .subject = bearer,
                                   .source = SPAN("auth.jwt[0]"),
                                   .line = 7,
                                   .expires_s = 1};
    struct grants *own = grants_create();
    INVARIANT(own != NULL);
    INVARIANT(grants_add(own, ACTION_SUBSCRIBE, SPAN("a/**"), NULL) == OK);
    INVARIANT(grants_add(own, ACTION_PUBLISH, SPAN("a/**"), NULL) == OK);
    struct identity *identity = identity_create(&facts, own, NULL);
    INVARIANT(identity != NULL);
    return identity;
}

enum error_code access_identify(struct access *access, const struct credentials *credentials,
                                struct inquiry *inquiry, struct identity **ret_identity,
                                struct error *why) {
    (void)access;
    if (span_is_equal(credentials->bearer, SPAN("bad"))) {
        return error_set(why, ERR_TOKEN_EXPIRED, "claim exp was a while ago");
    }
    struct identity *identity = fake_identity(credentials->bearer);
    if (span_is_equal(credentials->bearer, SPAN("slow"))) {
        inquiry->identity = identity;
        waiting = inquiry;
        return ERR_AGAIN;
    }
    *ret_identity = identity;
    return OK;
}

enum error_code access_permit(struct access *access, struct identity *identity, enum action action,
                              struct span text, struct inquiry *inquiry, struct error *why) {
    (void)access, (void)identity, (void)action;
    if (!span_is_equal(text, SPAN("a/asked"))) {
        return OK;
    }
    inquiry->result = error_set(&inquiry->why, ERR_FORBIDDEN, "the application says no");
    (void)why;
    waiting = inquiry;
    return ERR_AGAIN;
}

enum error_code access_check_still(struct access *access, const struct identity *identity,
                                   struct error *why) {
    (void)access, (void)identity, (void)why;
    return OK;
}

void inquiry_abandon(struct inquiry *inquiry) {
    inquiry->is_abandoned = true;
}

bool fakes_turn(struct broker *broker) {
    struct worker *worker = broker->workers[0];
    struct inquiry *answered = waiting;
    waiting = NULL;
    if (answered != NULL) {
        answered->on_answered(answered);
    }
    return mailbox_deliver_all(worker_mailbox(worker), worker) > 0 || answered != NULL;
}

enum error_code throttle_may_log_in(const struct connection *connection, struct error *why) {
    (void)connection, (void)why;
    return OK;
}

void throttle_note_login(const struct connection *connection, enum error_code result) {
    (void)connection, (void)result;
}

enum error_code throttle_may_operate(struct broker *broker, const struct sockaddr_storage *address,
                                     struct metrics_shard *metrics, struct error *why) {
    (void)broker, (void)address, (void)metrics, (void)why;
    return OK;
}

void throttle_note_operator(struct broker *broker, const struct sockaddr_storage *address,
                            enum error_code result) {
    (void)broker, (void)address, (void)result;
}

void throttle_note_depth(const struct connection *connection, const struct error *why) {
    (void)connection, (void)why;
}

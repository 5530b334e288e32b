/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/mqtt/gate.h"

#include <stdio.h>

#include "broker/admission/policy.h"
#include "broker/config/config.h"
#include "tests/protocols/fakes.h"

#define IDENTITIES_MAX 4

struct gate gate;

static struct identity everyone;
static struct identity *identities[IDENTITIES_MAX];
static size_t identity_count;
static bool is_identifying;
static struct config guarded;
static struct policy *policy;

static void keep(char *ret_text, size_t room, struct span text) {
    snprintf(ret_text, room, "%.*s", (int)text.length, (const char *)text.bytes);
}

static struct identity *found(void) {
    return identity_ref(gate.next == NULL ? &everyone : gate.next);
}

enum error_code access_identify(struct access *access, const struct credentials *credentials,
                                struct inquiry *inquiry, struct identity **ret_identity,
                                struct error *why) {
    (void)access;
    gate.identify_count++;
    keep(gate.bearer, sizeof(gate.bearer), credentials->bearer);
    keep(gate.certificate, sizeof(gate.certificate), credentials->certificate);
    keep(gate.user, sizeof(gate.user), credentials->user);
    keep(gate.client_id, sizeof(gate.client_id), credentials->client_id);
    if (gate.is_slow) {
        gate.inquiry = inquiry;
        is_identifying = true;
        return ERR_AGAIN;
    }
    if (gate.result != OK) {
        return error_set(why, gate.result, "the gate is shut");
    }
    *ret_identity = found();
    return OK;
}

enum error_code access_permit(struct access *access, struct identity *identity, enum action action,
                              struct span text, struct inquiry *inquiry, struct error *why) {
    static const char *const names[] = {[ACTION_PUBLISH] = "publish",
                                        [ACTION_SUBSCRIBE] = "subscribe",
                                        [ACTION_HISTORY] = "history"};
    (void)access;
    EXPECT_NOT_NULL(identity);
    gate.permit_count++;
    snprintf(gate.asked, sizeof(gate.asked), "%s %.*s", names[action], (int)text.length,
             (const char *)text.bytes);
    if (gate.is_slow && inquiry == NULL) {
        return error_set(why, ERR_FORBIDDEN, "nobody can be asked");
    }
    if (gate.is_slow) {
        gate.inquiry = inquiry;
        is_identifying = false;
        return ERR_AGAIN;
    }
    bool is_forbidden = gate.forbidden != NULL && strcmp(gate.forbidden, gate.asked) == 0;
    return is_forbidden ? error_set(why, ERR_FORBIDDEN, "not for you") : OK;
}

enum error_code access_check_still(struct access *access, const struct identity *identity,
                                   struct error *why) {
    (void)access;
    (void)identity;
    return gate.has_ended ? error_set(why, ERR_REVOKED, "the gate is shut") : OK;
}

void inquiry_abandon(struct inquiry *inquiry) {
    inquiry->is_abandoned = true;
}

enum error_code access_issue_ticket(struct access *access, struct identity *identity,
                                    char ret_text[TICKET_TEXT_BYTES]) {
    (void)access;
    (void)identity;
    (void)ret_text;
    return ERR_NOT_IMPLEMENTED;
}

/* --- limits: nothing is too much -------------------------------------------------------------- */

enum error_code throttle_may_log_in(const struct connection *self, struct error *why) {
    (void)self;
    return fakes.is_login_refused ? error_set(why, ERR_RATE, "too many bad ones") : OK;
}

void throttle_note(const struct connection *self, enum metrics_limit limit, uint64_t value) {
    (void)self;
    (void)limit;
    (void)value;
}

void throttle_note_depth(const struct connection *self, const struct error *why) {
    (void)self;
    (void)why;
}

void throttle_note_login(const struct connection *self, enum error_code result) {
    (void)self;
    fakes.bad_login_count += result == ERR_UNAUTHORIZED;
}

enum error_code throttle_publish(struct connection *self, struct identity *identity,
                                 const struct throttle_offer *offer, struct throttle_told *ret_told,
                                 struct error *why) {
    (void)self;
    (void)identity;
    (void)offer;
    (void)ret_told;
    (void)why;
    return OK;
}

/* --- what a test does ------------------------------------------------------------------------- */

void gate_begin(void) {
    gate = (struct gate){0};
    everyone = (struct identity){.facts = {.kind = IDENTITY_EVERYONE}};
    atomic_init(&everyone.reference_count, 1);
    identity_count = 0;
}

void gate_guard(void) {
    static char *patterns[] = {(char *)(uintptr_t) "public/**"};
    struct error why = {0};
    guarded = *fakes.broker.config;
    guarded.anonymous_subscribe =
        (struct config_list){.items = patterns, .count = 1, .is_given = true};
    EXPECT_EQ(policy_create(&guarded, &policy, &why), OK);
    EXPECT_FALSE(policy_is_open(policy));
    atomic_store(&fakes.broker.policy, policy);
    atomic_store(&fakes.broker.configured, &guarded);
}

void gate_end(void) {
    policy_unref(policy);
    policy = NULL;
    while (identity_count > 0) {
        identity_unref(identities[--identity_count]);
    }
}

void gate_be(struct identity *identity) {
    EXPECT_EQ(connection_admit(fakes_connection(), identity, NULL), OK);
}

struct identity *gate_make(const char *subject, const char *tenant) {
    EXPECT_TRUE(identity_count < IDENTITIES_MAX);
    struct identity_facts facts = {.kind = IDENTITY_TOKEN,
                                   .subject = span_of_string(subject),
                                   .tenant = span_of_string(tenant == NULL ? "" : tenant)};
    struct identity *identity = identity_create(&facts, NULL, NULL);
    EXPECT_NOT_NULL(identity);
    identities[identity_count++] = identity;
    return identity;
}

void gate_answer(enum error_code code) {
    struct inquiry *inquiry = gate.inquiry;
    EXPECT_NOT_NULL(inquiry);
    gate.inquiry = NULL;
    inquiry->result = inquiry->is_abandoned ? ERR_AGAIN : code;
    if (is_identifying && inquiry->result == OK) {
        inquiry->identity = found();
    }
    if (inquiry->result != OK) {
        IGNORE_RESULT(
            error_set(&inquiry->why, inquiry->result, "the gate is shut")); /* for the asker */
    }
    inquiry->on_answered(inquiry);
}

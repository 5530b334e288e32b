/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/access.h"

#include <stdlib.h>

#include "broker/admission/accounts.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/access_private.h"
#include "broker/runtime/consent.h"
#include "broker/support/clock.h"
#include "broker/support/logger.h"

static const char *const credentials_names[] = {
#define CREDENTIALS(value, name) [value] = name,
    METRICS_CREDENTIALS_TABLE(CREDENTIALS)
#undef CREDENTIALS
};

/* --- life ------------------------------------------------------------------------------------ */

struct access *access_create(struct broker *broker, struct metrics_shard *metrics) {
    struct access *access = calloc(1, sizeof(*access));
    if (access == NULL) {
        return NULL;
    }
    access->broker = broker;
    access->metrics = metrics;
    access->everyone = identity_create_everyone();
    access->revocations = revocations_create();
    access->glance = glance_create();
    access->tokens = memo_create(IDENTITIES_CACHED_MAX);
    access->consent = consent_create(broker, metrics);
    if (access->everyone == NULL || access->revocations == NULL || access->glance == NULL ||
        access->tokens == NULL || access->consent == NULL) {
        access_destroy(access);
        return NULL;
    }
    return access;
}

void access_destroy(struct access *access) {
    if (access != NULL) {
        identity_unref(access->everyone);
        revocations_destroy(access->revocations);
        glance_destroy(access->glance);
        memo_destroy(access->tokens);
        consent_destroy(access->consent);
        free(access);
    }
}

void access_forget_identities(struct access *access) {
    glance_forget(access->glance, NULL, NULL);
    memo_forget(access->tokens, NULL, NULL);
    consent_forget(access->consent);
    access->policy = NULL;
}

/* --- revocations ----------------------------------------------------------------------------- */

static bool is_of_revocation(const struct identity *identity, const void *context) {
    return revocation_is_of(context, identity, clock_wall_ms() / 1000);
}

void access_put_revocation(struct access *access, struct revocation_entry *entry) {
    struct revocation it = revocation_entry_describe(entry);
    glance_forget(access->glance, is_of_revocation, &it);
    memo_forget(access->tokens, is_of_revocation, &it);
    /* The set that is stored took it first, has the same bound, and tells what it lets go. */
    revocations_expire(access->revocations, clock_wall_ms() / 1000);
    revocations_put_entry(access->revocations, entry);
}

void access_lift_revocation(struct access *access, const struct revocation *revocation) {
    IGNORE_RESULT(revocations_lift(access->revocations, revocation)); /* it may have ended */
}

static bool is_revoked(const struct access *access, const struct identity *identity) {
    return revocations_have(access->revocations, identity, clock_wall_ms() / 1000);
}

/* --- who is it ------------------------------------------------------------------------------- */

/* What is known belongs to one configuration: where it is another, it is learnt anew. */
static void follow_policy(struct access *access) {
    const struct policy *policy = atomic_load(&access->broker->policy);
    if (policy != access->policy) {
        access_forget_identities(access);
        access->policy = policy;
    }
}

bool access_must_go(struct access *access, const struct identity *identity,
                    enum close_reason *ret_reason) {
    follow_policy(access);
    bool was_revoked = is_revoked(access, identity);
    *ret_reason = was_revoked ? CLOSE_REVOKED : CLOSE_TOKEN_EXPIRED;
    return was_revoked || (access->policy != NULL && !policy_is_same_for(access->policy, identity));
}

static enum error_code identify_none(struct access *access, const struct credentials *credentials,
                                     struct identity **ret_identity,
                                     const struct policy_issuer **ret_issuer, struct error *why) {
    (void)credentials, (void)ret_issuer;
    struct identity *anonymous = policy_anonymous(access->policy);
    if (anonymous == NULL) {
        return error_set(why, ERR_NOT_FOUND, "no credentials came, and there is no auth.anonymous");
    }
    *ret_identity = identity_ref(anonymous);
    return OK;
}

static enum error_code identify_bearer(struct access *access, const struct credentials *credentials,
                                       struct identity **ret_identity,
                                       const struct policy_issuer **ret_issuer, struct error *why) {
    return bearer_identify(access, credentials->bearer, ret_identity, ret_issuer, why);
}

/* A ticket outlives neither its token nor the row that its token fitted. */
static enum error_code identify_ticket(struct access *access, const struct credentials *credentials,
                                       struct identity **ret_identity,
                                       const struct policy_issuer **ret_issuer, struct error *why) {
    (void)ret_issuer;
    struct identity *identity =
        access->broker->tickets == NULL
            ? NULL
            : tickets_redeem(access->broker->tickets, credentials->ticket, clock_monotonic_ms());
    if (identity == NULL) {
        return error_set(why, ERR_UNAUTHORIZED,
                         "the ticket was never issued, was used, or is older than %d s",
                         TICKET_AGE_MS / 1000);
    }
    uint64_t expires_s = identity->facts.expires_s;
    enum error_code code = OK;
    if (expires_s > 0 && expires_s + TOKEN_LEEWAY_S <= clock_wall_ms() / 1000) {
        code = error_set(why, ERR_TOKEN_EXPIRED, "the token behind the ticket has expired");
    } else if (!policy_is_same_for(access->policy, identity)) {
        code = error_set(why, ERR_REVOKED, "the configuration behind the ticket has changed");
    }
    if (code != OK) {
        identity_unref(identity);
        return code;
    }
    *ret_identity = identity;
    return OK;
}

/* A certificate that no row names is no bad one: it may be there for the transport alone. */
static enum error_code identify_certificate(struct access *access,
                                            const struct credentials *credentials,
                                            struct identity **ret_identity,
                                            const struct policy_issuer **ret_issuer,
                                            struct error *why) {
    struct accounts *accounts = access->broker->accounts;
    uint64_t ends_s = credentials->certificate_ends_s;
    *ret_identity = policy_identify_certificate(access->policy, credentials->certificate, ends_s);
    if (*ret_identity != NULL && ends_s > 0 && ends_s <= clock_wall_ms() / 1000) {
        identity_unref(*ret_identity);
        *ret_identity = NULL;
        return error_set(why, ERR_TOKEN_EXPIRED, "the certificate has expired");
    }
    if (*ret_identity != NULL && accounts != NULL &&
        accounts_enroll(accounts, *ret_identity) != OK) {
        identity_unref(*ret_identity);
        *ret_identity = NULL;
        return error_set(why, ERR_FULL, "no account is left for the tenant");
    }
    if (*ret_identity != NULL) {
        return OK;
    }
    if (identify_none(access, credentials, ret_identity, ret_issuer, NULL) == OK) {
        return OK;
    }
    return error_set(why, ERR_NOT_FOUND,
                     "no row of auth.certificates fits the subject of the certificate");
}

static enum error_code (*const identifiers[METRICS_CREDENTIALS_COUNT])(
    struct access *, const struct credentials *, struct identity **, const struct policy_issuer **,
    struct error *) = {
    [METRICS_CREDENTIALS_NONE] = identify_none,
    [METRICS_CREDENTIALS_KEY] = identify_bearer,
    [METRICS_CREDENTIALS_TOKEN] = identify_bearer,
    [METRICS_CREDENTIALS_TICKET] = identify_ticket,
    [METRICS_CREDENTIALS_CERTIFICATE] = identify_certificate,
};

/* What the kind of credentials is counted as. */
static enum metrics_credentials kind_of(const struct credentials *credentials) {
    if (credentials->ticket.length > 0) {
        return METRICS_CREDENTIALS_TICKET;
    }
    if (credentials->bearer.length > 0) {
        return token_is_like(credentials->bearer) ? METRICS_CREDENTIALS_TOKEN
                                                  : METRICS_CREDENTIALS_KEY;
    }
    return credentials->certificate.length > 0 ? METRICS_CREDENTIALS_CERTIFICATE
                                               : METRICS_CREDENTIALS_NONE;
}

/* Counts what was found, and logs it where somebody is not let in. */
static void tell(struct access *access, const struct credentials *credentials, enum error_code code,
                 const struct error *why) {
    enum metrics_credentials kind = kind_of(credentials);
    metrics_add_at(access->metrics, METRIC_AUTHENTICATIONS,
                   METRICS_PAIR(METRIC_AUTHENTICATIONS, kind, code), 1);
    if (code != OK && code != ERR_MEMORY) {
        log_event(AUTH_REFUSED, .peer = credentials->peer, .protocol = credentials->protocol,
                  .credentials = credentials_names[kind], .code = error_row(code)->slug,
                  .detail = why->detail);
    }
}

enum error_code access_look(struct access *access, const struct credentials *credentials,
                            struct identity **ret_identity, const struct policy_issuer **ret_issuer,
                            struct error *why) {
    follow_policy(access);
    if (credentials->ticket.length > 0 && credentials->bearer.length > 0) {
        return error_set(why, ERR_UNAUTHORIZED, "more than one kind of credentials came");
    }
    struct identity *identity = NULL;
    enum error_code code =
        identifiers[kind_of(credentials)](access, credentials, &identity, ret_issuer, why);
    if (code == OK && is_revoked(access, identity)) {
        identity_unref(identity);
        return error_set(why, ERR_REVOKED, "the token, its subject or its tenant was revoked");
    }
    *ret_identity = identity;
    return code;
}

enum error_code access_conclude(struct access *access, const struct credentials *credentials,
                                enum error_code code, struct identity *identity,
                                struct identity **ret_identity, struct error *why) {
    if (code == ERR_NOT_FOUND) {
        code = why->code = ERR_UNAUTHORIZED;
    }
    if (code == OK && is_revoked(access, identity)) {
        identity_unref(identity);
        code = error_set(why, ERR_REVOKED, "the token, its subject or its tenant was revoked");
    }
    tell(access, credentials, code, why);
    if (code == OK) {
        *ret_identity = identity;
    }
    return code;
}

/* The application is asked about those whom the broker knows, and about those it does not know;
 * not about bad credentials. */
static bool has_to_ask(const struct access *access, enum error_code code) {
    const struct policy_webhook *webhook = policy_webhook(access->policy);
    return webhook != NULL && webhook->on_connect && (code == OK || code == ERR_NOT_FOUND);
}

enum error_code access_identify(struct access *access, const struct credentials *credentials,
                                struct inquiry *inquiry, struct identity **ret_identity,
                                struct error *why) {
    follow_policy(access);
    if (access->policy == NULL || policy_is_open(access->policy)) {
        *ret_identity = identity_ref(access->everyone);
        return OK;
    }
    struct error fault = {0};
    struct identity *identity = NULL;
    const struct policy_issuer *issuer = NULL;
    enum error_code code = access_look(access, credentials, &identity, &issuer, &fault);
    if (code == ERR_AGAIN || has_to_ask(access, code)) {
        code =
            question_identify(access, credentials, issuer, identity, inquiry, ret_identity, &fault);
    } else {
        code = access_conclude(access, credentials, code, identity, ret_identity, &fault);
    }
    if (code != OK && why != NULL) {
        *why = fault;
    }
    return code;
}

/* --- may it ---------------------------------------------------------------------------------- */

/* Reading what is past is asked about as subscribing is. */
static bool is_asked_about(const struct policy_webhook *webhook, enum action action) {
    return (action == ACTION_PUBLISH && webhook->on_publish) ||
           ((action == ACTION_SUBSCRIBE || action == ACTION_HISTORY) && webhook->on_subscribe);
}

enum error_code access_permit(struct access *access, struct identity *identity, enum action action,
                              struct span text, struct inquiry *inquiry, struct error *why) {
    if (identity == NULL || identity->facts.kind == IDENTITY_EVERYONE) {
        return OK;
    }
    enum error_code code = identity_may(identity, action, text, why);
    if (code != OK) {
        return code;
    }
    follow_policy(access);
    const struct policy_webhook *webhook =
        access->policy == NULL ? NULL : policy_webhook(access->policy);
    return webhook == NULL || !is_asked_about(webhook, action)
               ? OK
               : question_permit(access, identity, action, text, inquiry, why);
}

void inquiry_abandon(struct inquiry *inquiry) {
    inquiry->is_abandoned = true;
}

enum error_code access_issue_ticket(struct access *access, struct identity *identity,
                                    char ret_text[TICKET_TEXT_BYTES]) {
    return access->broker->tickets == NULL
               ? ERR_NOT_IMPLEMENTED
               : tickets_issue(access->broker->tickets, identity, clock_monotonic_ms(), ret_text);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What an access cannot answer at once.
 *
 *     who is it:  keys are fetched -> look again -> the application is asked -> the inquiry
 *     may it:                                       the application is asked -> the inquiry
 *
 * A question has a copy of the credentials, which are its asker's for the call alone. It ends with
 * its inquiry, also where the asker has gone. */
#include <openssl/crypto.h>
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/runtime/access_private.h"
#include "broker/runtime/consent.h"
#include "broker/runtime/jwks.h"
#include "broker/support/clock.h"

#define TEXTS 5 /* of credentials, but for the protocol, which is a constant */

struct question {
    struct access *access;
    struct inquiry *inquiry;
    struct jwks_wish wish;
    struct consent_question consent;
    struct identity *identity; /* a reference: who it is so far, or who asks */
    struct credentials credentials;
    size_t texts_length;
    uint8_t texts[];
};

static struct span keep(struct question *question, struct span text) {
    uint8_t *copy = question->texts + question->texts_length;
    if (text.length == 0) {
        return (struct span){0};
    }
    memcpy(copy, text.bytes, text.length);
    question->texts_length += text.length;
    return span_of(copy, text.length);
}

/* Takes `identity` over. NULL: out of memory. */
static struct question *create(struct access *access, const struct credentials *credentials,
                               struct identity *identity, struct inquiry *inquiry) {
    struct span peer = span_of_string(credentials->peer);
    peer.length += peer.bytes != NULL; /* its NUL */
    const struct span texts[TEXTS] = {credentials->bearer, credentials->user,
                                      credentials->certificate, credentials->client_id, peer};
    size_t length = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        length += texts[i].length;
    }
    struct question *question = calloc(1, sizeof(*question) + length);
    if (question == NULL) {
        identity_unref(identity);
        return NULL;
    }
    question->access = access;
    question->inquiry = inquiry;
    question->identity = identity;
    question->credentials = (struct credentials){
        .bearer = keep(question, texts[0]),
        .user = keep(question, texts[1]),
        .certificate = keep(question, texts[2]),
        .certificate_ends_s = credentials->certificate_ends_s,
        .client_id = keep(question, texts[3]),
        .peer = (const char *)keep(question, texts[4]).bytes,
        .protocol = credentials->protocol,
    };
    inquiry->access = access;
    inquiry->question = question;
    inquiry->is_abandoned = false;
    return question;
}

static void destroy(struct question *question) {
    identity_unref(question->identity);
    OPENSSL_cleanse(question->texts, question->texts_length);
    free(question);
}

/* Hands the result over; takes `identity`. */
static void end(struct question *question, enum error_code code, struct identity *identity,
                const struct error *why) {
    struct inquiry *inquiry = question->inquiry;
    destroy(question);
    inquiry->question = NULL;
    inquiry->result = inquiry->is_abandoned ? ERR_AGAIN : code;
    inquiry->identity = inquiry->is_abandoned || code != OK ? NULL : identity;
    inquiry->why = *why;
    if (inquiry->identity == NULL) {
        identity_unref(identity);
    }
    inquiry->on_answered(inquiry);
}

/* What may have come while the answer did: a reload that took the row away by which somebody is
 * known, or a revocation. Who asks again is judged by what is good now. */
enum error_code access_check_still(struct access *access, const struct identity *identity,
                                   struct error *why) {
    enum close_reason reason;
    uint64_t expires_s = identity == NULL ? 0 : identity->facts.expires_s;
    if (expires_s != 0 && clock_wall_ms() / 1000 >= expires_s &&
        clock_wall_ms() / 1000 - expires_s >= TOKEN_LEEWAY_S) {
        return error_set(why, ERR_TOKEN_EXPIRED, "the token expired at %llu (exp)",
                         (unsigned long long)expires_s);
    }
    if (identity == NULL || !access_must_go(access, identity, &reason)) {
        return OK;
    }
    return reason == CLOSE_REVOKED
               ? error_set(why, ERR_REVOKED, "the token, its subject or its tenant was revoked")
               : error_set(why, ERR_BUSY, "the configuration has changed meanwhile; ask again");
}

/* --- who is it ------------------------------------------------------------------------------- */

static void end_identify(struct question *question, enum error_code code, struct identity *identity,
                         const struct error *reason) {
    struct error why = *reason;
    struct identity *found = NULL;
    if (code == OK) {
        code = access_check_still(question->access, question->identity, &why);
        code = code == OK ? access_check_still(question->access, identity, &why) : code;
        if (code != OK) {
            identity_unref(identity);
            identity = NULL;
        }
    }
    code = access_conclude(question->access, &question->credentials, code, identity, &found, &why);
    end(question, code, found, &why);
}

static void on_connect_answered(struct consent_question *consent) {
    struct question *question = CONTAINER_OF(consent, struct question, consent);
    struct error why = consent->why;
    end_identify(question, consent->result, consent->given, &why);
}

static struct consent_question connect_question(const struct question *question) {
    return (struct consent_question){.kind = CONSENT_CONNECT,
                                     .identity = question->identity,
                                     .credentials = &question->credentials,
                                     .reply_to = question->inquiry->reply_to,
                                     .on_answered = on_connect_answered};
}

/* The keys are there, or they are not: what is known now decides. */
static void on_fetched(struct jwks_wish *wish) {
    struct question *question = CONTAINER_OF(wish, struct question, wish);
    struct access *access = question->access;
    struct error why = {0};
    struct identity *identity = NULL;
    const struct policy_issuer *issuer = NULL;
    enum error_code code = access_look(access, &question->credentials, &identity, &issuer, &why);
    if (code == ERR_AGAIN) {
        code = why.code = ERR_UNAUTHORIZED;
    }
    const struct policy_webhook *webhook = policy_webhook(access->policy);
    bool has_to_ask = webhook != NULL && webhook->on_connect;
    if (!has_to_ask || (code != OK && code != ERR_NOT_FOUND)) {
        end_identify(question, code, identity, &why);
        return;
    }
    question->identity = identity;
    question->consent = connect_question(question);
    code = consent_ask(access->consent, access->policy, &question->consent);
    if (code != ERR_AGAIN) {
        on_connect_answered(&question->consent);
    }
}

static enum error_code cannot_wait(struct identity *identity, struct error *why) {
    identity_unref(identity);
    return error_set(why, ERR_BUSY, "the answer would have to be waited for");
}

/* No fetch may be begun: the sentence of access_look() stays. */
static enum error_code ask_for_keys(struct question *question, const struct policy_issuer *issuer,
                                    struct error *why) {
    struct jwks *jwks = question->access->broker->jwks;
    question->wish =
        (struct jwks_wish){.reply_to = question->inquiry->reply_to, .on_fetched = on_fetched};
    enum error_code code = jwks == NULL ? ERR_NOT_FOUND : jwks_ask(jwks, issuer, &question->wish);
    if (code == ERR_BUSY) {
        return error_set(why, code, "too many wait for the keys of an issuer");
    }
    return code == OK ? ERR_AGAIN : (why->code = ERR_UNAUTHORIZED);
}

enum error_code question_identify(struct access *access, const struct credentials *credentials,
                                  const struct policy_issuer *issuer, struct identity *identity,
                                  struct inquiry *inquiry, struct identity **ret_identity,
                                  struct error *why) {
    if (inquiry == NULL) {
        return cannot_wait(identity, why);
    }
    struct question *question = create(access, credentials, identity, inquiry);
    if (question == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for a question");
    }
    enum error_code code;
    struct identity *given = NULL;
    if (issuer != NULL) {
        code = ask_for_keys(question, issuer, why);
    } else {
        question->consent = connect_question(question);
        code = consent_ask(access->consent, access->policy, &question->consent);
        given = code == OK ? question->consent.given : NULL;
        if (code != OK && code != ERR_AGAIN) {
            *why = question->consent.why;
        }
    }
    if (code == ERR_AGAIN) {
        return code;
    }
    destroy(question);
    inquiry->question = NULL;
    return access_conclude(access, credentials, code, given, ret_identity, why);
}

/* --- may it ---------------------------------------------------------------------------------- */

static void on_permit_answered(struct consent_question *consent) {
    struct question *question = CONTAINER_OF(consent, struct question, consent);
    struct error why = consent->why;
    enum error_code code = consent->result;
    code = code == OK ? access_check_still(question->access, question->identity, &why) : code;
    end(question, code, NULL, &why);
}

enum error_code question_permit(struct access *access, struct identity *identity,
                                enum action action, struct span text, struct inquiry *inquiry,
                                struct error *why) {
    static const struct credentials none = {0};
    struct consent_question asked = {
        .kind = action == ACTION_PUBLISH ? CONSENT_PUBLISH : CONSENT_SUBSCRIBE,
        .identity = identity,
        .channel = text,
        .is_history = action == ACTION_HISTORY,
        .on_answered = on_permit_answered,
    };
    enum error_code code = consent_recall(access->consent, access->policy, &asked);
    if (code != ERR_NOT_FOUND || inquiry == NULL) {
        if (code != OK && why != NULL) {
            *why = asked.why;
        }
        return code == ERR_NOT_FOUND ? ERR_BUSY : code;
    }
    struct question *question = create(access, &none, identity_ref(identity), inquiry);
    if (question == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for a question");
    }
    asked.reply_to = inquiry->reply_to;
    question->consent = asked;
    code = consent_ask(access->consent, access->policy, &question->consent);
    if (code == ERR_AGAIN) {
        return code;
    }
    if (code != OK && why != NULL) {
        *why = question->consent.why;
    }
    destroy(question);
    inquiry->question = NULL;
    return code;
}

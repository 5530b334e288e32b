/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/consent.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "broker/admission/accounts.h"
#include "broker/admission/memo.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/courier.h"
#include "broker/runtime/signature.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "broker/support/map.h"

#define ID_BYTES 40 /* "msg_" and 32 hexadecimal digits, and a NUL */
#define HEADER_BYTES 128
#define REASON_BYTES_MAX 120

/* A call that is under way, and who waits for it. */
struct flight {
    struct map_node in_consent;
    struct consent *consent;
    uint64_t generation;
    uint8_t key[MEMO_KEY_BYTES];
    struct call call;
    const struct policy *policy; /* a reference: the webhook's texts are its */
    struct identity *identity;   /* a reference; NULL: nobody that the broker knows */
    enum consent_kind kind;
    struct buffer body;
    char headers[3][HEADER_BYTES];
    struct list questions;
};

struct consent {
    struct broker *broker;
    uint64_t generation; /* of the configuration: it counts consent_forget() */
    struct metrics_shard *metrics;
    struct memo *answers;
    struct map flights;
    size_t question_count;
};

struct consent *consent_create(struct broker *broker, struct metrics_shard *metrics) {
    struct consent *consent = calloc(1, sizeof(*consent));
    if (consent == NULL) {
        return NULL;
    }
    consent->broker = broker;
    consent->metrics = metrics;
    consent->answers = memo_create(CONSENTS_CACHED_MAX);
    if (consent->answers == NULL || map_init(&consent->flights) != OK) {
        memo_destroy(consent->answers);
        free(consent);
        return NULL;
    }
    return consent;
}

void consent_destroy(struct consent *consent) {
    if (consent != NULL) {
        INVARIANT(map_count(&consent->flights) == 0);
        memo_destroy(consent->answers);
        map_finish(&consent->flights);
        free(consent);
    }
}

void consent_forget(struct consent *consent) {
    consent->generation++;
    memo_forget(consent->answers, NULL, NULL);
}

/* --- what is alike --------------------------------------------------------------------------- */

static struct span address_of(const char *peer) {
    struct span text = span_of_string(peer);
    while (text.length > 0 && text.bytes[text.length - 1] != ':') {
        text.length--;
    }
    return text;
}

/* Nor does who asks under a new configuration wait for what was asked under the old one. */
static bool make_key(const struct consent *consent, const struct consent_question *question,
                     uint8_t ret_key[MEMO_KEY_BYTES]) {
    static const struct credentials none = {0};
    const struct credentials *credentials =
        question->kind == CONSENT_CONNECT ? question->credentials : &none;
    uint8_t hash[IDENTITY_HASH_BYTES] = {0};
    uint8_t kind[] = {(uint8_t)question->kind, question->is_history, question->identity != NULL};
    if (question->identity != NULL) {
        identity_hash(question->identity, hash);
    }
    const struct span parts[] = {
        span_of((const uint8_t *)&consent->generation, sizeof(consent->generation)),
        span_of(kind, sizeof(kind)),
        span_of(hash, sizeof(hash)),
        question->kind == CONSENT_CONNECT ? (struct span){0} : question->channel,
        credentials->bearer,
        credentials->user,
        credentials->certificate,
        span_of((const uint8_t *)&credentials->certificate_ends_s,
                sizeof(credentials->certificate_ends_s)),
        address_of(credentials->peer),
        span_of_string(credentials->protocol),
        credentials->client_id,
    };
    return memo_hash(parts, ARRAY_COUNT(parts), ret_key);
}

/* --- what an answer means -------------------------------------------------------------------- */

static enum error_code refuse(struct error *why, bool is_known, struct span reason) {
    int length = reason.length > REASON_BYTES_MAX ? REASON_BYTES_MAX : (int)reason.length;
    return error_set(why, is_known ? ERR_FORBIDDEN : ERR_UNAUTHORIZED,
                     "auth.webhook does not allow it%s%.*s", length > 0 ? ": " : "", length,
                     (const char *)reason.bytes);
}

/* Rights that the application did not tell: those that somebody has, or all that it is asked
 * about. */
static struct grants *default_rights(const struct policy_webhook *webhook) {
    struct grants *rights = grants_create();
    if (rights != NULL && webhook->on_publish) {
        grants_set_all(rights, ACTION_PUBLISH);
    }
    if (rights != NULL && webhook->on_subscribe) {
        grants_set_all(rights, ACTION_SUBSCRIBE);
        grants_set_all(rights, ACTION_HISTORY);
    }
    return rights;
}

/* Who the application says it is. NULL: out of memory. */
static struct identity *make_identity(const struct flight *flight,
                                      const struct consent_answer *answer) {
    const struct policy_webhook *webhook = policy_webhook(flight->policy);
    const struct identity *known = flight->identity;
    uint64_t now_s = clock_wall_ms() / 1000;
    struct identity_facts facts = {.kind = IDENTITY_APPLICATION,
                                   .subject = answer->subject,
                                   .tenant = answer->tenant,
                                   .source = SPAN("auth.webhook"),
                                   .fingerprint = webhook->fingerprint,
                                   .issued_s = now_s};
    if (known != NULL) {
        facts.subject = facts.subject.length > 0 ? facts.subject : known->facts.subject;
        facts.tenant = facts.tenant.length > 0 ? facts.tenant : known->facts.tenant;
        facts.token_id = known->facts.token_id;
        facts.expires_s = known->facts.expires_s;
        facts.base_kind = known->facts.kind;
        facts.base_fingerprint = known->facts.fingerprint;
    }
    if (answer->has_end) {
        uint64_t end_s = now_s + answer->expires_in_s;
        facts.expires_s = facts.expires_s == 0 || end_s < facts.expires_s ? end_s : facts.expires_s;
    }
    struct grants *rights = answer->rights;
    struct grants *made = NULL;
    if (rights == NULL) {
        rights = known != NULL ? known->own : (made = default_rights(webhook));
    }
    struct grants *own = rights == NULL ? NULL : grants_bind(rights, facts.subject, facts.tenant);
    struct grants *cap = known == NULL || known->cap == NULL || answer->rights != NULL
                             ? NULL
                             : grants_bind(known->cap, facts.subject, facts.tenant);
    grants_destroy(made);
    bool is_short = (rights != NULL && own == NULL) || (known == NULL && own == NULL);
    if (is_short) {
        grants_destroy(cap);
        return NULL;
    }
    return identity_create(&facts, own, cap);
}

static enum error_code allow(const struct flight *flight, const struct consent_answer *answer,
                             struct identity **ret_given, struct error *why) {
    if (flight->kind != CONSENT_CONNECT) {
        return OK;
    }
    if (answer->has_end && answer->expires_in_s == 0) {
        return error_set(why, ERR_TOKEN_EXPIRED,
                         "auth.webhook says that it is over: `expires_in` is 0");
    }
    bool says_who = answer->subject.length > 0 || answer->tenant.length > 0 || answer->has_end ||
                    answer->rights != NULL;
    if (!says_who && flight->identity != NULL) {
        *ret_given = identity_ref(flight->identity);
        return OK;
    }
    if (!says_who) {
        return error_set(why, ERR_UNAUTHORIZED,
                         "auth.webhook allows it, but says neither `sub` nor `rights`");
    }
    struct identity *identity = make_identity(flight, answer);
    if (identity == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for an identity");
    }
    struct accounts *accounts = flight->consent->broker->accounts;
    enum error_code code = accounts == NULL ? OK : accounts_enroll(accounts, identity);
    if (code != OK) {
        identity_unref(identity);
        return error_set(why, code, "no account is left for the tenant");
    }
    *ret_given = identity;
    return OK;
}

/* The application said nothing. */
static enum error_code decide_down(const struct flight *flight, struct identity **ret_given,
                                   struct error *why) {
    bool allows = policy_webhook(flight->policy)->allows_when_down &&
                  (flight->kind != CONSENT_CONNECT || flight->identity != NULL);
    if (!allows) {
        return error_set(why, ERR_BUSY, "auth.webhook does not answer");
    }
    *ret_given = flight->kind == CONSENT_CONNECT ? identity_ref(flight->identity) : NULL;
    return OK;
}

/* No longer than who was named is good. */
static uint64_t cap_cache(uint64_t cache_ms, const struct identity *given) {
    uint64_t expires_s = given == NULL ? 0 : given->facts.expires_s;
    uint64_t now_s = clock_wall_ms() / 1000;
    uint64_t left_s = expires_s > now_s ? expires_s - now_s : 0;
    bool is_longer = expires_s > 0 && cache_ms / 1000 >= left_s;
    return is_longer ? left_s * 1000 : cache_ms;
}

/* The result, and for how long it is good. */
static enum error_code conclude(const struct flight *flight, struct identity **ret_given,
                                uint64_t *ret_cache_ms, struct error *why) {
    const struct call *call = &flight->call;
    const struct policy_webhook *webhook = policy_webhook(flight->policy);
    struct consent_answer answer;
    struct error fault = call->why;
    enum error_code code = call->result;
    *ret_cache_ms = webhook->cache_ms;
    if (code == OK && (call->status == 401 || call->status == 403)) {
        return refuse(why, flight->identity != NULL, SPAN(""));
    }
    if (code == OK && call->status != 200) {
        code = error_set(&fault, ERR_IO, "the answer's status is %u", call->status);
    }
    if (code == OK) {
        code = consent_read_answer(buffer_borrow(&call->answer), &answer, &fault);
    }
    if (code != OK) {
        log_event(WEBHOOK_FAILED, .url = webhook->url, .status = call->status,
                  .code = error_row(code)->slug, .detail = fault.detail);
        *ret_cache_ms = CONSENT_DOWN_MS;
        return decide_down(flight, ret_given, why);
    }
    *ret_cache_ms = answer.has_cache ? answer.cache_s * 1000 : webhook->cache_ms;
    code = answer.is_allowed ? allow(flight, &answer, ret_given, why)
                             : refuse(why, flight->identity != NULL, answer.reason);
    *ret_cache_ms = cap_cache(*ret_cache_ms, code == OK ? *ret_given : NULL);
    consent_answer_finish(&answer);
    return code;
}

/* --- calls ----------------------------------------------------------------------------------- */

static void destroy_flight(struct flight *flight) {
    policy_unref(flight->policy);
    identity_unref(flight->identity);
    if (flight->body.bytes != NULL) {
        explicit_bzero(flight->body.bytes, flight->body.capacity); /* credentials */
    }
    buffer_finish(&flight->body);
    buffer_finish(&flight->call.answer);
    free(flight);
}

static void answer_question(struct consent *consent, struct consent_question *question,
                            enum error_code code, struct identity *given, const struct error *why) {
    list_remove(&question->in_flight);
    consent->question_count--;
    question->result = code;
    question->given = identity_ref(given);
    question->why = *why;
    metrics_add_at(consent->metrics, METRIC_CONSENTS, code, 1);
    question->on_answered(question);
}

static void on_answered(struct call *call) {
    struct flight *flight = call->context;
    struct consent *consent = flight->consent;
    struct identity *given = NULL;
    struct error why = {0};
    uint64_t cache_ms;
    enum error_code code = conclude(flight, &given, &cache_ms, &why);
    map_remove(&consent->flights, &flight->in_consent);
    bool is_of_now = flight->generation == consent->generation;
    if (cache_ms > 0 && is_of_now && call->result != ERR_DRAINING) {
        struct memo_answer answer = {code, given, clock_monotonic_ms() + cache_ms};
        memo_put(consent->answers, flight->key, &answer);
    }
    while (!list_is_empty(&flight->questions)) {
        struct list *node = flight->questions.next;
        answer_question(consent, CONTAINER_OF(node, struct consent_question, in_flight), code,
                        given, &why);
    }
    identity_unref(given);
    destroy_flight(flight);
}

static bool make_id(char ret_id[ID_BYTES]) {
    uint8_t bytes[16];
    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
        return false;
    }
    int length = snprintf(ret_id, ID_BYTES, "msg_");
    for (size_t i = 0; i < sizeof(bytes); i++) {
        length += snprintf(ret_id + length, ID_BYTES - (size_t)length, "%02x", bytes[i]);
    }
    return true;
}

static enum error_code put_headers(struct flight *flight, const struct policy_webhook *webhook) {
    char id[ID_BYTES];
    char signature[SIGNATURE_TEXT_BYTES];
    const char *secret = webhook->secret;
    uint64_t now_s = clock_wall_ms() / 1000;
    flight->call.headers[0] = "Content-Type: application/json";
    if (!make_id(id)) {
        return ERR_INTERNAL;
    }
    snprintf(flight->headers[0], HEADER_BYTES, "webhook-id: %s", id);
    snprintf(flight->headers[1], HEADER_BYTES, "webhook-timestamp: %llu",
             (unsigned long long)now_s);
    flight->call.headers[1] = flight->headers[0];
    flight->call.headers[2] = flight->headers[1];
    if (secret == NULL) {
        return OK;
    }
    enum error_code code =
        signature_write(&secret, 1, id, now_s, buffer_borrow(&flight->body), signature);
    snprintf(flight->headers[2], HEADER_BYTES, "webhook-signature: %s",
             code == OK ? signature : "");
    flight->call.headers[3] = flight->headers[2];
    return code;
}

static enum error_code send_off(struct flight *flight, const struct consent_question *question) {
    const struct policy_webhook *webhook = policy_webhook(flight->policy);
    flight->call = (struct call){.url = webhook->url,
                                 .ca = webhook->ca,
                                 .is_post = true,
                                 .timeout_ms = (uint32_t)webhook->timeout_ms,
                                 .answer_bytes_max = CONSENT_BYTES_MAX,
                                 .reply_to = question->reply_to,
                                 .on_answered = on_answered,
                                 .context = flight};
    buffer_init(&flight->body, CONSENT_BYTES_MAX);
    enum error_code code =
        consent_put_question(&flight->body, question->kind, question->identity,
                             question->credentials, question->channel, question->is_history);
    if (code == OK) {
        code = put_headers(flight, webhook);
    }
    flight->call.body = buffer_borrow(&flight->body);
    return code == OK ? courier_ask(flight->consent->broker->courier, &flight->call) : code;
}

static enum error_code begin(struct consent *consent, const struct policy *policy,
                             struct consent_question *question, const uint8_t *key,
                             struct flight **ret_flight) {
    struct flight *flight = calloc(1, sizeof(*flight));
    if (flight == NULL) {
        return ERR_MEMORY;
    }
    flight->consent = consent;
    flight->generation = consent->generation;
    flight->policy = policy_ref(policy);
    flight->identity = identity_ref(question->identity);
    flight->kind = question->kind;
    memcpy(flight->key, key, MEMO_KEY_BYTES);
    list_init(&flight->questions);
    enum error_code code = send_off(flight, question);
    if (code != OK) {
        destroy_flight(flight);
        return code;
    }
    map_put(&consent->flights, &flight->in_consent, span_of(flight->key, MEMO_KEY_BYTES));
    *ret_flight = flight;
    return OK;
}

/* --- asking ---------------------------------------------------------------------------------- */

/* True: the answer is in the question. */
static bool recall(struct consent *consent, struct consent_question *question, const uint8_t *key) {
    const struct memo_answer *known = memo_find(consent->answers, key, clock_monotonic_ms());
    if (known == NULL) {
        return false;
    }
    question->result = known->result;
    question->given = identity_ref(known->identity);
    question->why = (struct error){0};
    if (known->result == ERR_BUSY) {
        IGNORE_RESULT(error_set(&question->why, ERR_BUSY, "auth.webhook does not answer"));
    } else if (known->result != OK) {
        IGNORE_RESULT(refuse(&question->why, question->identity != NULL, SPAN("")));
    }
    metrics_add_at(consent->metrics, METRIC_CONSENTS, known->result, 1);
    return true;
}

static enum error_code fail(struct consent_question *question, enum error_code code,
                            const char *detail) {
    question->given = NULL;
    question->result = error_set(&question->why, code, "%s", detail);
    return code;
}

enum error_code consent_ask(struct consent *consent, const struct policy *policy,
                            struct consent_question *question) {
    uint8_t key[MEMO_KEY_BYTES];
    struct flight *flight = NULL;
    if (!make_key(consent, question, key)) {
        return fail(question, ERR_MEMORY, "no memory for a question to auth.webhook");
    }
    if (recall(consent, question, key)) {
        return question->result;
    }
    if (consent->broker->courier == NULL || consent->question_count >= CONSENTS_WAITING_MAX) {
        return fail(question, ERR_BUSY, "too many questions to auth.webhook are under way");
    }
    struct map_node *node = map_find(&consent->flights, span_of(key, MEMO_KEY_BYTES));
    enum error_code code = OK;
    if (node != NULL) {
        flight = CONTAINER_OF(node, struct flight, in_consent);
    } else {
        code = begin(consent, policy, question, key, &flight);
    }
    if (code != OK) {
        return fail(question, code == ERR_MEMORY || code == ERR_DRAINING ? code : ERR_BUSY,
                    "auth.webhook cannot be asked now");
    }
    list_put_tail(&flight->questions, &question->in_flight);
    consent->question_count++;
    return ERR_AGAIN;
}

enum error_code consent_recall(struct consent *consent, const struct policy *policy,
                               struct consent_question *question) {
    uint8_t key[MEMO_KEY_BYTES];
    (void)policy;
    if (make_key(consent, question, key) && recall(consent, question, key)) {
        return question->result;
    }
    return fail(question, ERR_NOT_FOUND, "auth.webhook would have to be asked first");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/policy.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "broker/admission/accounts.h"
#include "broker/admission/api_key.h"
#include "broker/admission/idempotency.h"
#include "broker/admission/issuer.h"
#include "broker/admission/row.h"
#include "broker/admission/subject.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/support/invariant.h"

#define COMMON_NAME_MARK "{cn}"

struct key {
    uint8_t hash[API_KEY_HASH_BYTES];
    struct identity *identity;
};

struct certificate {
    char source[ROW_SOURCE_BYTES];
    char *subject; /* with `*` */
    char *name;    /* NULL: the whole subject */
    char *tenant;  /* NULL: none */
    uint32_t line;
    uint64_t fingerprint;
    struct grants *rights;
};

struct policy {
    atomic_uint reference_count;
    bool is_open;
    bool has_operator_keys;
    struct identity *anonymous; /* everyone where it is open; NULL: nobody */
    struct key *keys;
    size_t key_count;
    struct issuer *issuers;
    size_t issuer_count;
    struct certificate *certificates;
    size_t certificate_count;
    struct policy_webhook webhook;
    char *cookie;
};

/* --- what rows are made of ------------------------------------------------------------------- */

/* Takes `rights` over: they are bound to the facts. */
static struct identity *make_identity(const struct identity_facts *facts, struct grants *rights) {
    struct grants *own = grants_bind(rights, facts->subject, facts->tenant);
    grants_destroy(rights);
    return own == NULL ? NULL : identity_create(facts, own, NULL);
}

/* --- each kind of row ------------------------------------------------------------------------ */

static enum error_code add_key(struct policy *policy, const struct auth_key *row,
                               struct error *why) {
    char source[ROW_SOURCE_BYTES];
    struct key *key = &policy->keys[policy->key_count];
    snprintf(source, sizeof(source), "auth.keys[%zu]", policy->key_count);
    struct identity_facts facts = {.kind = IDENTITY_KEY,
                                   .subject = span_of_string(row->name),
                                   .tenant = span_of_string(row->tenant),
                                   .source = span_of_string(source),
                                   .line = row->place.line};
    struct grants *rights = NULL;
    bool is_hash = api_key_parse_hash(span_of_string(row->hash), key->hash);
    INVARIANT(is_hash); /* the configuration took it */
    TRY(row_make_fingerprint(&config_scope_key, row, SPAN("key"), (struct span){0},
                             &facts.fingerprint));
    TRY(row_make_rights(ROW_RIGHTS_OF(row), &rights, why));
    key->identity = make_identity(&facts, rights);
    if (key->identity == NULL) {
        return ERR_MEMORY;
    }
    key->identity->is_operator = row->is_operator;
    policy->has_operator_keys |= row->is_operator;
    policy->key_count++;
    return OK;
}

static enum error_code add_issuer(struct policy *policy, const struct auth_issuer *row,
                                  struct error *why) {
    size_t index = policy->issuer_count++;
    char field[sizeof(why->field)];
    snprintf(field, sizeof(field), "auth.jwt[%zu]", index);
    return error_blame(why, issuer_init(&policy->issuers[index], row, index, why), field);
}

static enum error_code add_certificate(struct policy *policy, const struct auth_certificate *row,
                                       struct error *why) {
    struct certificate *certificate = &policy->certificates[policy->certificate_count];
    snprintf(certificate->source, sizeof(certificate->source), "auth.certificates[%zu]",
             policy->certificate_count++);
    certificate->line = row->place.line;
    TRY(row_copy_text(row->subject, &certificate->subject));
    TRY(row_copy_text(row->name, &certificate->name));
    TRY(row_copy_text(row->tenant, &certificate->tenant));
    TRY(row_make_fingerprint(&config_scope_certificate, row, SPAN("certificate"), (struct span){0},
                             &certificate->fingerprint));
    return row_make_rights(ROW_RIGHTS_OF(row), &certificate->rights, why);
}

static void certificate_finish(struct certificate *certificate) {
    free(certificate->subject);
    free(certificate->name);
    free(certificate->tenant);
    grants_destroy(certificate->rights);
}

/* The keys `auth.anonymous.…` are the rights of a row that has nothing else. */
static enum error_code add_anonymous(struct policy *policy, const struct config *config,
                                     struct error *why) {
    const struct auth_key row = {.publish = config->anonymous_publish,
                                 .subscribe = config->anonymous_subscribe,
                                 .history = config->anonymous_history,
                                 .presence = config->anonymous_presence,
                                 .delete = config->anonymous_delete};
    bool has_some = false;
    for (size_t action = 0; action < ACTION_COUNT; action++) {
        has_some |= ROW_RIGHTS_OF(&row)[action]->is_given;
    }
    if (!has_some) {
        return OK;
    }
    struct identity_facts facts = {.kind = IDENTITY_ANONYMOUS, .source = SPAN("auth.anonymous")};
    struct grants *rights = NULL;
    TRY(row_make_fingerprint(&config_scope_key, &row, SPAN("anonymous"), (struct span){0},
                             &facts.fingerprint));
    TRY(row_make_rights(ROW_RIGHTS_OF(&row), &rights, why));
    policy->anonymous = make_identity(&facts, rights);
    return policy->anonymous == NULL ? ERR_MEMORY : OK;
}

static bool has_event(const struct config_list *events, const char *name) {
    bool has_it = !events->is_given;
    for (size_t i = 0; i < events->count; i++) {
        has_it |= strcmp(events->items[i], name) == 0;
    }
    return has_it;
}

static enum error_code add_webhook(struct policy *policy, const struct config *config) {
    struct policy_webhook *webhook = &policy->webhook;
    const struct span parts[] = {span_of_string(config->webhook_url),
                                 span_of_string(config->webhook_secret)};
    uint8_t hash[IDEMPOTENCY_HASH_BYTES];
    *webhook =
        (struct policy_webhook){.on_connect = has_event(&config->webhook_events, "connect"),
                                .on_subscribe = has_event(&config->webhook_events, "subscribe"),
                                .on_publish = has_event(&config->webhook_events, "publish"),
                                .timeout_ms = config->webhook_timeout_ms,
                                .cache_ms = config->webhook_cache_ms,
                                .allows_when_down = config->webhook_when_down == WHEN_DOWN_ALLOW};
    TRY(row_copy_text(config->webhook_url, (char **)&webhook->url));
    TRY(row_copy_text(config->webhook_secret, (char **)&webhook->secret));
    TRY(row_copy_text(config->webhook_ca, (char **)&webhook->ca));
    TRY(idempotency_hash(SPAN("webhook"), (struct span){0}, parts, ARRAY_COUNT(parts), hash));
    memcpy(&webhook->fingerprint, hash + IDEMPOTENCY_KEY_HASH_BYTES, sizeof(uint64_t));
    return OK;
}

/* --- the whole ------------------------------------------------------------------------------- */

static enum error_code make_room(struct policy *policy, const struct config *config) {
    policy->keys = calloc(config->auth_key_count + 1, sizeof(struct key));
    policy->issuers = calloc(config->auth_issuer_count + 1, sizeof(struct issuer));
    policy->certificates = calloc(config->auth_certificate_count + 1, sizeof(struct certificate));
    bool has_room = policy->keys != NULL && policy->issuers != NULL && policy->certificates != NULL;
    return has_room ? row_copy_text(config->cookie, &policy->cookie) : ERR_MEMORY;
}

static enum error_code fill(struct policy *policy, const struct config *config, struct error *why) {
    TRY(make_room(policy, config));
    for (size_t i = 0; i < config->auth_key_count; i++) {
        TRY(add_key(policy, &config->auth_keys[i], why));
    }
    for (size_t i = 0; i < config->auth_issuer_count; i++) {
        TRY(add_issuer(policy, &config->auth_issuers[i], why));
    }
    for (size_t i = 0; i < config->auth_certificate_count; i++) {
        TRY(add_certificate(policy, &config->auth_certificates[i], why));
    }
    TRY(add_webhook(policy, config));
    policy->is_open = !config_has_credentials(config);
    if (!policy->is_open) {
        return add_anonymous(policy, config, why);
    }
    policy->anonymous = identity_create_everyone();
    return policy->anonymous == NULL ? ERR_MEMORY : OK;
}

static void destroy(struct policy *policy) {
    for (size_t i = 0; i < policy->key_count; i++) {
        identity_unref(policy->keys[i].identity);
    }
    for (size_t i = 0; i < policy->issuer_count; i++) {
        issuer_finish(&policy->issuers[i]);
    }
    for (size_t i = 0; i < policy->certificate_count; i++) {
        certificate_finish(&policy->certificates[i]);
    }
    if (policy->webhook.secret != NULL) {
        explicit_bzero((char *)policy->webhook.secret, strlen(policy->webhook.secret));
    }
    free((char *)policy->webhook.url);
    free((char *)policy->webhook.secret);
    free((char *)policy->webhook.ca);
    identity_unref(policy->anonymous);
    free(policy->keys);
    free(policy->issuers);
    free(policy->certificates);
    free(policy->cookie);
    free(policy);
}

enum error_code policy_create(const struct config *config, struct policy **ret_policy,
                              struct error *why) {
    struct error cause = {0};
    struct policy *policy = calloc(1, sizeof(*policy));
    enum error_code code = policy == NULL ? ERR_MEMORY : fill(policy, config, &cause);
    if (code == OK) {
        atomic_init(&policy->reference_count, 1);
        *ret_policy = policy;
        return OK;
    }
    if (policy != NULL) {
        destroy(policy);
    }
    return cause.detail[0] == '\0'
               ? error_set(why, code, "no memory for `auth`")
               : error_set_field(why, code, cause.field, "%s: %s", cause.field, cause.detail);
}

void policy_check(const struct config *config, struct config_faults *faults) {
    for (size_t i = 0; i < config->auth_issuer_count; i++) {
        const struct auth_issuer *row = &config->auth_issuers[i];
        struct issuer issuer = {0};
        struct error why = {0};
        char key[sizeof(issuer.source)];
        snprintf(key, sizeof(key), "auth.jwt[%zu]", i);
        if (row->place.has_fault || config_faults_has(faults, key)) {
            continue; /* it would be told of again */
        }
        if (issuer_init(&issuer, row, i, &why) != OK) {
            config_faults_add(faults, config->file == NULL ? "text" : config->file, row->place.line,
                              row->place.column, issuer.source, "%s",
                              why.detail[0] == '\0' ? "out of memory" : why.detail);
        }
        issuer_finish(&issuer);
    }
}

enum error_code policy_enroll(struct policy *policy, struct accounts *accounts, struct error *why) {
    enum error_code code = OK;
    for (size_t i = 0; code == OK && i < policy->key_count; i++) {
        code = accounts_enroll(accounts, policy->keys[i].identity);
    }
    if (code == OK && policy->anonymous != NULL) {
        code = accounts_enroll(accounts, policy->anonymous);
    }
    return code == OK ? OK : error_set(why, code, "no account is left for the tenant of a key");
}

struct policy *policy_ref(const struct policy *policy) {
    struct policy *counted = (struct policy *)policy; /* the count alone changes */
    atomic_fetch_add_explicit(&counted->reference_count, 1, memory_order_relaxed);
    return counted;
}

void policy_unref(const struct policy *policy) {
    struct policy *counted = (struct policy *)policy;
    if (counted == NULL) {
        return;
    }
    /* Release: what other threads read of it stands before the free. Acquire by the last. */
    unsigned count = atomic_fetch_sub_explicit(&counted->reference_count, 1, memory_order_acq_rel);
    INVARIANT(count > 0);
    if (count == 1) {
        destroy(counted);
    }
}

/* --- questions ------------------------------------------------------------------------------- */

bool policy_is_open(const struct policy *policy) {
    return policy->is_open;
}

struct identity *policy_anonymous(const struct policy *policy) {
    return policy->anonymous;
}

/* All rows are looked at, whichever is found: time tells nothing of where in the list it stands. */
struct identity *policy_find_key(const struct policy *policy, struct span key) {
    uint8_t hash[API_KEY_HASH_BYTES];
    struct identity *found = NULL;
    if (policy->key_count == 0 || api_key_hash(key, hash) != OK) {
        return NULL;
    }
    for (size_t i = 0; i < policy->key_count; i++) {
        found = api_key_is_same(policy->keys[i].hash, hash) ? policy->keys[i].identity : found;
    }
    return found;
}

bool policy_has_operator(const struct policy *policy) {
    return policy->has_operator_keys;
}

/* "device {cn}" for CN=7 is "device 7". Empty: it does not fit, or there is no common name. */
static struct span name_certificate(const struct certificate *certificate, struct span subject,
                                    uint8_t *room) {
    if (certificate->name == NULL) {
        return subject.length <= SUBJECT_BYTES_MAX ? subject : (struct span){0};
    }
    struct span written = span_of_string(certificate->name);
    const char *mark = strstr(certificate->name, COMMON_NAME_MARK);
    if (mark == NULL) {
        return written.length <= SUBJECT_BYTES_MAX ? written : (struct span){0};
    }
    struct span value = subject_common_name(subject);
    size_t before = (size_t)(mark - certificate->name);
    size_t behind = written.length - before - strlen(COMMON_NAME_MARK);
    size_t length = 0;
    if (value.length == 0 || before + value.length + behind > SUBJECT_BYTES_MAX) {
        return (struct span){0};
    }
    memcpy(room, written.bytes, before);
    if (!subject_unescape(value, room + before, &length)) {
        return (struct span){0};
    }
    memcpy(room + before + length, mark + strlen(COMMON_NAME_MARK), behind);
    return span_of(room, before + length + behind);
}

static struct identity *identify(const struct certificate *certificate, struct span subject,
                                 uint64_t ends_s) {
    uint8_t room[SUBJECT_BYTES_MAX];
    struct identity_facts facts = {.kind = IDENTITY_CERTIFICATE,
                                   .subject = name_certificate(certificate, subject, room),
                                   .tenant = span_of_string(certificate->tenant),
                                   .certificate = subject,
                                   .source = span_of_string(certificate->source),
                                   .line = certificate->line,
                                   .fingerprint = certificate->fingerprint,
                                   .expires_s = ends_s};
    struct grants *own = facts.subject.length == 0
                             ? NULL
                             : grants_bind(certificate->rights, facts.subject, facts.tenant);
    return own == NULL ? NULL : identity_create(&facts, own, NULL);
}

/* The first row that fits. NULL: none does. */
static const struct certificate *find_certificate(const struct policy *policy,
                                                  struct span subject) {
    for (size_t i = 0; i < policy->certificate_count; i++) {
        const struct certificate *certificate = &policy->certificates[i];
        if (subject_matches(span_of_string(certificate->subject), subject)) {
            return certificate;
        }
    }
    return NULL;
}

struct identity *policy_identify_certificate(const struct policy *policy, struct span subject,
                                             uint64_t ends_s) {
    const struct certificate *certificate = find_certificate(policy, subject);
    return certificate == NULL ? NULL : identify(certificate, subject, ends_s);
}

size_t policy_issuer_count(const struct policy *policy) {
    return policy->issuer_count;
}

const struct policy_issuer *policy_issuer_at(const struct policy *policy, size_t index) {
    INVARIANT(index < policy->issuer_count);
    return &policy->issuers[index].shown;
}

const struct policy_webhook *policy_webhook(const struct policy *policy) {
    return policy->webhook.url == NULL ? NULL : &policy->webhook;
}

/* --- a policy and the one before it ---------------------------------------------------------- */

static bool has_key(const struct policy *policy, uint64_t fingerprint) {
    bool has_it = false;
    for (size_t i = 0; i < policy->key_count; i++) {
        has_it |= policy->keys[i].identity->facts.fingerprint == fingerprint;
    }
    return has_it;
}

static bool has_issuer(const struct policy *policy, uint64_t fingerprint) {
    bool has_it = false;
    for (size_t i = 0; i < policy->issuer_count; i++) {
        has_it |= policy->issuers[i].shown.fingerprint == fingerprint;
    }
    return has_it;
}

static bool has_certificate(const struct policy *policy, uint64_t fingerprint) {
    bool has_it = false;
    for (size_t i = 0; i < policy->certificate_count; i++) {
        has_it |= policy->certificates[i].fingerprint == fingerprint;
    }
    return has_it;
}

static bool has_row(const struct policy *policy, enum identity_kind kind, uint64_t fingerprint) {
    switch (kind) {
    case IDENTITY_EVERYONE:
        return policy->is_open;
    case IDENTITY_ANONYMOUS:
        return !policy->is_open && policy->anonymous != NULL &&
               policy->anonymous->facts.fingerprint == fingerprint;
    case IDENTITY_KEY:
        return has_key(policy, fingerprint);
    case IDENTITY_TOKEN:
        return has_issuer(policy, fingerprint);
    case IDENTITY_CERTIFICATE:
        return has_certificate(policy, fingerprint);
    case IDENTITY_APPLICATION:
        return policy->webhook.url != NULL && policy->webhook.fingerprint == fingerprint;
    case IDENTITY_KIND_COUNT:
        break;
    }
    return false;
}

bool policy_is_same_for(const struct policy *policy, const struct identity *identity) {
    const struct identity_facts *facts = &identity->facts;
    bool has_base = facts->base_kind == IDENTITY_EVERYONE ||
                    has_row(policy, facts->base_kind, facts->base_fingerprint);
    return has_base && has_row(policy, facts->kind, facts->fingerprint);
}

static bool has_key_named(const struct policy *policy, struct span name) {
    bool has_it = false;
    for (size_t i = 0; i < policy->key_count; i++) {
        has_it |= span_is_equal(policy->keys[i].identity->facts.subject, name);
    }
    return has_it;
}

static bool has_issuer_named(const struct policy *policy, struct span name) {
    bool has_it = false;
    for (size_t i = 0; i < policy->issuer_count; i++) {
        const char *issuer = policy->issuers[i].shown.issuer;
        has_it |= issuer == NULL || span_is_equal(span_of_string(issuer), name);
    }
    return has_it;
}

bool policy_has_place_for(const struct policy *policy, const struct identity *identity) {
    switch (identity->facts.kind) {
    case IDENTITY_EVERYONE:
        return policy->is_open;
    case IDENTITY_ANONYMOUS:
        return policy->anonymous != NULL;
    case IDENTITY_KEY:
        return has_key_named(policy, identity->facts.subject);
    case IDENTITY_TOKEN:
        return has_issuer_named(policy, identity->facts.issuer);
    case IDENTITY_CERTIFICATE:
        return find_certificate(policy, identity->facts.certificate) != NULL;
    case IDENTITY_APPLICATION:
        return policy->webhook.url != NULL;
    case IDENTITY_KIND_COUNT:
        break;
    }
    return false;
}

static bool is_text_equal(const char *left, const char *right) {
    return left == NULL || right == NULL ? left == right : strcmp(left, right) == 0;
}

static bool are_webhooks_equal(const struct policy_webhook *left,
                               const struct policy_webhook *right) {
    return left->fingerprint == right->fingerprint && is_text_equal(left->url, right->url) &&
           is_text_equal(left->ca, right->ca) && left->on_connect == right->on_connect &&
           left->on_subscribe == right->on_subscribe && left->on_publish == right->on_publish &&
           left->timeout_ms == right->timeout_ms && left->cache_ms == right->cache_ms &&
           left->allows_when_down == right->allows_when_down;
}

static bool are_issuers_equal(const struct policy_issuer *left, const struct policy_issuer *right) {
    return left->fingerprint == right->fingerprint && left->line == right->line &&
           span_is_equal(left->jwks_text, right->jwks_text);
}

static uint64_t anonymous_fingerprint(const struct policy *policy) {
    return policy->anonymous == NULL ? 0 : policy->anonymous->facts.fingerprint;
}

bool policy_is_equal(const struct policy *left, const struct policy *right) {
    bool is_equal = left->is_open == right->is_open && left->key_count == right->key_count &&
                    left->issuer_count == right->issuer_count &&
                    left->certificate_count == right->certificate_count &&
                    anonymous_fingerprint(left) == anonymous_fingerprint(right) &&
                    is_text_equal(left->cookie, right->cookie) &&
                    are_webhooks_equal(&left->webhook, &right->webhook);
    for (size_t i = 0; is_equal && i < left->key_count; i++) {
        const struct identity_facts *facts = &left->keys[i].identity->facts;
        is_equal = facts->fingerprint == right->keys[i].identity->facts.fingerprint &&
                   facts->line == right->keys[i].identity->facts.line;
    }
    for (size_t i = 0; is_equal && i < left->issuer_count; i++) {
        is_equal = are_issuers_equal(&left->issuers[i].shown, &right->issuers[i].shown);
    }
    for (size_t i = 0; is_equal && i < left->certificate_count; i++) {
        is_equal = left->certificates[i].fingerprint == right->certificates[i].fingerprint &&
                   left->certificates[i].line == right->certificates[i].line;
    }
    return is_equal;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/identity.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/admission/accounts.h"
#include "broker/admission/idempotency.h"
#include "broker/support/invariant.h"
#include "broker/support/utf8.h"

#define SHOWN_BYTES_MAX 64 /* of a channel or pattern in a sentence */

static_assert(IDENTITY_HASH_BYTES == IDEMPOTENCY_HASH_BYTES - IDEMPOTENCY_KEY_HASH_BYTES,
              "the hash of the parts");

static const char *const kind_names[] = {
#define IDENTITY_KIND(kind, name) [kind] = name,
    IDENTITY_KIND_TABLE(IDENTITY_KIND)
#undef IDENTITY_KIND
};

const char *identity_kind_name(enum identity_kind kind) {
    INVARIANT(kind < IDENTITY_KIND_COUNT);
    return kind_names[kind];
}

/* An identity and the texts of its facts are one allocation. */
struct texts {
    uint8_t *next;
};

static struct span keep(struct texts *texts, struct span text) {
    if (text.length == 0) {
        return (struct span){0};
    }
    memcpy(texts->next, text.bytes, text.length);
    struct span kept = span_of(texts->next, text.length);
    texts->next += text.length;
    return kept;
}

/* Without credentials all are one: everyone is hashed as anonymous. */
static bool make_hash(const struct identity_facts *facts, uint8_t ret_hash[IDENTITY_HASH_BYTES]) {
    bool is_nobody = facts->kind == IDENTITY_EVERYONE || facts->kind == IDENTITY_ANONYMOUS;
    const struct span none = {0};
    const struct span parts[] = {
        is_nobody ? none : facts->tenant,
        span_of_string(kind_names[is_nobody ? IDENTITY_ANONYMOUS : facts->kind]),
        is_nobody ? none : facts->issuer,
        is_nobody ? none : facts->subject,
    };
    uint8_t hash[IDEMPOTENCY_HASH_BYTES] = {0}; /* of no key, then of the parts */
    enum error_code code = idempotency_hash(none, none, parts, ARRAY_COUNT(parts), hash);
    memcpy(ret_hash, hash + IDEMPOTENCY_KEY_HASH_BYTES, IDENTITY_HASH_BYTES);
    return code == OK;
}

struct identity *identity_create(const struct identity_facts *facts, struct grants *own,
                                 struct grants *cap) {
    INVARIANT(facts->kind < IDENTITY_KIND_COUNT);
    size_t texts_length = facts->subject.length + facts->tenant.length + facts->token_id.length +
                          facts->issuer.length + facts->certificate.length + facts->source.length;
    struct identity *identity = calloc(1, sizeof(*identity) + texts_length);
    if (identity == NULL || !make_hash(facts, identity->hash)) {
        free(identity);
        grants_destroy(own);
        grants_destroy(cap);
        return NULL;
    }
    atomic_init(&identity->reference_count, 1);
    struct texts texts = {(uint8_t *)(identity + 1)};
    identity->facts = *facts;
    identity->facts.subject = keep(&texts, facts->subject);
    identity->facts.tenant = keep(&texts, facts->tenant);
    identity->facts.token_id = keep(&texts, facts->token_id);
    identity->facts.issuer = keep(&texts, facts->issuer);
    identity->facts.certificate = keep(&texts, facts->certificate);
    identity->facts.source = keep(&texts, facts->source);
    identity->own = own;
    identity->cap = cap;
    return identity;
}

struct identity *identity_create_everyone(void) {
    struct identity_facts facts = {.kind = IDENTITY_EVERYONE};
    struct identity *identity = identity_create(&facts, NULL, NULL);
    if (identity != NULL) {
        identity->is_operator = true;
    }
    return identity;
}

struct identity *identity_ref(struct identity *identity) {
    if (identity != NULL) {
        atomic_fetch_add_explicit(&identity->reference_count, 1, memory_order_relaxed);
    }
    return identity;
}

void identity_unref(struct identity *identity) {
    if (identity == NULL) {
        return;
    }
    /* Release: what other threads read of it stands before the free. Acquire by the last. */
    unsigned count = atomic_fetch_sub_explicit(&identity->reference_count, 1, memory_order_acq_rel);
    INVARIANT(count > 0);
    if (count == 1) {
        account_release(identity->account);
        grants_destroy(identity->own);
        grants_destroy(identity->cap);
        free(identity);
    }
}

/* A subject is what somebody's token says: nothing of it is to steer a terminal. */
static void copy_safely(struct span text, char *ret_text) {
    for (size_t i = 0; i < text.length; i++) {
        bool is_control = text.bytes[i] < 0x20 || text.bytes[i] == 0x7f;
        ret_text[i] = is_control ? '?' : (char)text.bytes[i];
    }
    ret_text[text.length] = '\0';
}

void identity_format_label(const struct identity *identity, char ret_label[IDENTITY_LABEL_BYTES]) {
    int length = snprintf(ret_label, IDENTITY_LABEL_BYTES, "%s", kind_names[identity->facts.kind]);
    if (identity->facts.subject.length > 0) {
        ret_label[length++] = ' ';
        copy_safely(utf8_cut(identity->facts.subject, IDENTITY_LABEL_BYTES - (size_t)length - 1),
                    ret_label + length);
    }
}

/* What a layer is called: the claim of a token, or the key of the configuration's row. */
static void name_rule(const struct identity *identity, const struct grants *layer,
                      enum action action, struct ruling *ruling) {
    const struct identity_facts *facts = &identity->facts;
    bool is_claim = facts->kind == IDENTITY_TOKEN && layer == identity->own;
    if (is_claim) {
        snprintf(ruling->rule, sizeof(ruling->rule), "claim tidings.%s", action_name(action));
    } else {
        snprintf(ruling->rule, sizeof(ruling->rule), "%.*s.%s",
                 SPAN_PRINTF(utf8_cut(facts->source, SHOWN_BYTES_MAX)), action_name(action));
    }
}

static void format_line(const struct identity *identity, const struct ruling *ruling,
                        char ret_line[24]) {
    bool is_row = identity->facts.line > 0 && strncmp(ruling->rule, "claim ", 6) != 0;
    ret_line[0] = '\0';
    if (is_row) {
        snprintf(ret_line, 24, " (line %u)", identity->facts.line);
    }
}

/* True: the layer allows it, by `ret_pattern`. The sentence is written where it does not. */
static bool ask_layer(const struct identity *identity, const struct grants *layer,
                      enum action action, struct span text, struct ruling *ruling,
                      struct span *ret_pattern) {
    name_rule(identity, layer, action, ruling);
    if (grants_allow(layer, action, text, ret_pattern)) {
        return true;
    }
    char line[24];
    format_line(identity, ruling, line);
    size_t cursor = 0;
    struct span first;
    bool has_some = grants_next(layer, action, &cursor, &first);
    snprintf(ruling->reason, sizeof(ruling->reason), "%s of `%.*s` is not allowed: %s%s %s",
             action_name(action), SPAN_PRINTF(utf8_cut(text, SHOWN_BYTES_MAX)), ruling->rule, line,
             has_some ? "has no pattern that covers it" : "allows nothing");
    return false;
}

void identity_explain(const struct identity *identity, enum action action, struct span text,
                      struct ruling *ret_ruling) {
    const struct grants *layers[] = {identity->cap, identity->own};
    struct span pattern = {0};
    bool is_limited = false;
    *ret_ruling = (struct ruling){0};
    for (size_t i = 0; i < ARRAY_COUNT(layers); i++) {
        if (layers[i] == NULL) {
            continue;
        }
        is_limited = true;
        if (!ask_layer(identity, layers[i], action, text, ret_ruling, &pattern)) {
            return;
        }
    }
    ret_ruling->is_allowed = true;
    if (!is_limited) {
        snprintf(ret_ruling->reason, sizeof(ret_ruling->reason),
                 "%s of `%.*s` is allowed: no credentials are configured", action_name(action),
                 SPAN_PRINTF(utf8_cut(text, SHOWN_BYTES_MAX)));
        return;
    }
    char line[24];
    format_line(identity, ret_ruling, line);
    snprintf(ret_ruling->reason, sizeof(ret_ruling->reason),
             "%s of `%.*s` is allowed by `%.*s` of %s%s", action_name(action),
             SPAN_PRINTF(utf8_cut(text, SHOWN_BYTES_MAX)),
             SPAN_PRINTF(utf8_cut(pattern, SHOWN_BYTES_MAX)), ret_ruling->rule, line);
}

static bool allows(const struct grants *layer, enum action action, struct span text) {
    struct span pattern;
    return layer == NULL || grants_allow(layer, action, text, &pattern);
}

/* A sentence is written for a refusal alone: this is asked for each publish. */
enum error_code identity_may(const struct identity *identity, enum action action, struct span text,
                             struct error *why) {
    if (allows(identity->cap, action, text) && allows(identity->own, action, text)) {
        return OK;
    }
    struct ruling ruling;
    identity_explain(identity, action, text, &ruling);
    return error_set(why, ERR_FORBIDDEN, "%s", ruling.reason);
}

void identity_hash(const struct identity *identity, uint8_t ret_hash[IDENTITY_HASH_BYTES]) {
    memcpy(ret_hash, identity->hash, IDENTITY_HASH_BYTES);
}

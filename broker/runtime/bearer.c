/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/accounts.h"
#include "broker/admission/token.h"
#include "broker/limits.h"
#include "broker/runtime/access_private.h"
#include "broker/runtime/jwks.h"
#include "broker/support/clock.h"

/* The row whose `issuer` the token names: it is unverified, and chooses only by which keys. A row
 * without one takes what no other row does. */
static const struct policy_issuer *find_issuer(const struct access *access,
                                               const struct token *token) {
    const struct policy_issuer *any = NULL;
    for (size_t i = 0; i < policy_issuer_count(access->policy); i++) {
        const struct policy_issuer *issuer = policy_issuer_at(access->policy, i);
        if (issuer->issuer == NULL) {
            any = any == NULL ? issuer : any;
        } else if (span_is_equal(token->issuer, span_of_string(issuer->issuer))) {
            return issuer;
        }
    }
    return any;
}

/* A new identity is counted where its subject and tenant are. What fails lets it go. */
static enum error_code enroll(struct access *access, struct identity *identity, struct error *why) {
    struct accounts *accounts = access->broker->accounts;
    enum error_code code = accounts == NULL ? OK : accounts_enroll(accounts, identity);
    if (code != OK) {
        identity_unref(identity);
        return error_set(why, code, "no account is left for the tenant");
    }
    return OK;
}

/* The keys of a row: a reference. NULL: they are at a URL and not known. */
static struct keyring *get_keys(const struct access *access, const struct policy_issuer *issuer) {
    if (!issuer->is_jwks_url) {
        return keyring_ref(issuer->keyring);
    }
    struct jwks *jwks = access->broker->jwks;
    return jwks == NULL ? NULL : jwks_get(jwks, issuer);
}

/* A key that is not there may be at the URL by now. */
static enum error_code verify(struct access *access, struct token *token,
                              struct identity **ret_identity,
                              const struct policy_issuer **ret_issuer, struct error *why) {
    const struct policy_issuer *issuer = find_issuer(access, token);
    if (issuer == NULL) {
        return error_set(why, ERR_NOT_FOUND, "claim iss: no row of auth.jwt has this issuer");
    }
    struct keyring *keyring = get_keys(access, issuer);
    enum error_code code =
        keyring != NULL
            ? token_verify(token, issuer, keyring, why)
            : error_set(why, ERR_NOT_FOUND, "the keys of %s could not be fetched", issuer->source);
    keyring_unref(keyring);
    if (code == OK) {
        code = token_identify(token, issuer, clock_wall_ms() / 1000, ret_identity, why);
        return code == OK ? enroll(access, *ret_identity, why) : code;
    }
    if (code == ERR_NOT_FOUND && issuer->is_jwks_url) {
        *ret_issuer = issuer;
        return ERR_AGAIN;
    }
    return code == ERR_NOT_FOUND ? ERR_UNAUTHORIZED : code; /* its tokens have another key */
}

/* For how long a verified token is believed without looking at its key again. */
static uint64_t end_of(const struct identity *identity, uint64_t now_ms) {
    uint64_t expires_ms = (identity->facts.expires_s + TOKEN_LEEWAY_S) * 1000;
    uint64_t again_ms = now_ms + TOKEN_BELIEVED_MS;
    return expires_ms < again_ms ? expires_ms : again_ms;
}

static enum error_code identify_token(struct access *access, struct span text,
                                      struct identity **ret_identity,
                                      const struct policy_issuer **ret_issuer, struct error *why) {
    uint8_t hash[MEMO_KEY_BYTES];
    uint64_t now_ms = clock_wall_ms();
    if (!memo_hash(&text, 1, hash)) {
        return error_set(why, ERR_MEMORY, "no memory for a token");
    }
    const struct memo_answer *known = memo_find(access->tokens, hash, now_ms);
    if (known != NULL) {
        *ret_identity = identity_ref(known->identity);
        glance_put(access->glance, text, known->identity, known->until_ms);
        return OK;
    }
    revocations_expire(access->revocations, now_ms / 1000);
    struct token token;
    enum error_code code = token_read(text, &token, why);
    if (code != OK) {
        return code;
    }
    code = verify(access, &token, ret_identity, ret_issuer, why);
    token_finish(&token);
    if (code == OK) {
        struct memo_answer answer = {
            .result = OK, .identity = *ret_identity, .until_ms = end_of(*ret_identity, now_ms)};
        memo_put(access->tokens, hash, &answer);
        glance_put(access->glance, text, answer.identity, answer.until_ms);
    }
    return code;
}

/* Keys first: they may have dots, too. */
enum error_code bearer_identify(struct access *access, struct span bearer,
                                struct identity **ret_identity,
                                const struct policy_issuer **ret_issuer, struct error *why) {
    if (bearer.length > TOKEN_BYTES_MAX) {
        return error_set(why, ERR_UNAUTHORIZED, "the credentials are longer than %d bytes",
                         TOKEN_BYTES_MAX);
    }
    struct identity *identity = glance_find(access->glance, bearer, clock_wall_ms());
    if (identity == NULL) {
        identity = policy_find_key(access->policy, bearer);
        if (identity != NULL) {
            glance_put(access->glance, bearer, identity, UINT64_MAX);
        }
    }
    if (identity != NULL) {
        *ret_identity = identity_ref(identity);
        return OK;
    }
    if (token_is_like(bearer)) {
        return identify_token(access, bearer, ret_identity, ret_issuer, why);
    }
    return error_set(why, ERR_NOT_FOUND, "the key is none of auth.keys");
}

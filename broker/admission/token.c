/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/token.h"

#include "broker/admission/claims.h"
#include "broker/limits.h"
#include "broker/support/base64.h"
#include "broker/support/invariant.h"

static const char *const jws_names[] = {
#define JWS(algorithm, name) [algorithm] = name,
    JWS_TABLE(JWS)
#undef JWS
};

static enum error_code refuse(struct error *why, const char *sentence) {
    return error_set(why, ERR_UNAUTHORIZED, "%s", sentence);
}

/* --- reading --------------------------------------------------------------------------------- */

bool token_is_like(struct span text) {
    size_t dots = 0;
    const uint8_t *end = text.bytes + text.length;
    const uint8_t *dot = text.length == 0 ? NULL : memchr(text.bytes, '.', text.length);
    while (dot != NULL && ++dots <= 2) {
        dot = memchr(dot + 1, '.', (size_t)(end - dot - 1));
    }
    return dots == 2;
}

/* A part without its base64url; it must be the one text that these bytes have. */
static bool decode(struct token *token, struct span part, struct span *ret_bytes) {
    size_t before = token->room.length;
    if (part.length == 0 || base64_url_put_decoded(&token->room, part) != OK) {
        return false;
    }
    *ret_bytes = span_of(token->room.bytes + before, token->room.length - before);
    return true;
}

static bool find_algorithm(struct span name, enum jws_algorithm *ret_algorithm) {
    for (size_t i = 0; i < JWS_COUNT; i++) {
        if (span_is_equal(name, span_of_string(jws_names[i]))) {
            *ret_algorithm = (enum jws_algorithm)i;
            return true;
        }
    }
    return false;
}

/* RFC 8725, section 3.11: what is a token for something else (a logout, a proof of possession) says
 * so here. */
static bool is_type_taken(struct span type) {
    static const char *const types[] = {"JWT", "at+jwt", "application/jwt", "application/at+jwt"};
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (span_is_equal_nocase(type, span_of_string(types[i]))) {
            return true;
        }
    }
    return type.length == 0;
}

static enum error_code check_header(struct token *token, struct members *header,
                                    struct error *why) {
    struct span algorithm;
    struct span type;
    struct span key_id;
    if (members_find(header, "crit") != NULL) {
        return refuse(why, "header crit: no extension of JWS is understood");
    }
    if (members_find(header, "b64") != NULL) {
        return refuse(why, "header b64: only encoded payloads are taken");
    }
    if (!members_take(header, "alg", &algorithm) || algorithm.length == 0) {
        return refuse(why, "header alg: is missing or no string");
    }
    if (span_is_equal_nocase(algorithm, SPAN("none"))) {
        return refuse(why, "header alg: a token without a signature is not taken");
    }
    if (!find_algorithm(algorithm, &token->algorithm)) {
        return refuse(why, "header alg: is none of HS256, RS256, PS256, ES256, EdDSA");
    }
    if (!members_take(header, "typ", &type) || !is_type_taken(type)) {
        return refuse(why, "header typ: is not JWT or at+jwt");
    }
    if (!members_take(header, "kid", &key_id)) {
        return refuse(why, "header kid: is no string");
    }
    /* An id with escapes lives in the header's own room, which goes: it is kept in the token's. */
    size_t before = token->room.length;
    if (buffer_put(&token->room, key_id) != OK) {
        return error_set(why, ERR_MEMORY, "no memory for a token");
    }
    token->key_id = span_of(token->room.bytes + before, key_id.length);
    return OK;
}

static enum error_code read_header(struct token *token, struct span part, struct error *why) {
    struct members header;
    struct span text;
    if (!decode(token, part, &text)) {
        return refuse(why, "the header of the token is no base64url");
    }
    enum error_code code = members_read(text, "the header of the token", &header, why);
    if (code != OK) {
        return code;
    }
    code = check_header(token, &header, why);
    members_finish(&header);
    return code;
}

static enum error_code read_payload(struct token *token, struct span part, struct error *why) {
    struct span text;
    if (!decode(token, part, &text)) {
        return refuse(why, "the payload of the token is no base64url");
    }
    enum error_code code = members_read(text, "the payload of the token", &token->claims, why);
    if (code != OK) {
        return code;
    }
    if (!members_take(&token->claims, "iss", &token->issuer)) {
        members_finish(&token->claims);
        return refuse(why, "claim iss: is no string");
    }
    return OK;
}

static enum error_code read_parts(struct token *token, struct span text, struct error *why) {
    struct span rest = text;
    struct span header = span_split(&rest, '.');
    struct span payload = span_split(&rest, '.');
    token->signed_text = span_of(text.bytes, header.length + 1 + payload.length);
    enum error_code code = read_header(token, header, why);
    if (code != OK) {
        return code;
    }
    if (!decode(token, rest, &token->signature) || token->signature.length > SIGNATURE_BYTES_MAX) {
        return refuse(why, "the signature of the token is missing or no base64url");
    }
    return read_payload(token, payload, why);
}

enum error_code token_read(struct span text, struct token *ret_token, struct error *why) {
    if (text.length > TOKEN_BYTES_MAX) {
        return error_set(why, ERR_UNAUTHORIZED, "the token is longer than %d bytes",
                         TOKEN_BYTES_MAX);
    }
    if (!token_is_like(text)) {
        return refuse(why, "the token is not three parts with dots between them");
    }
    /* Decoded it is shorter, and the key's id is a part of the header: so it never grows. */
    buffer_init(&ret_token->room, 2 * text.length);
    if (buffer_reserve(&ret_token->room, 2 * text.length) != OK) {
        return error_set(why, ERR_MEMORY, "no memory for a token");
    }
    enum error_code code = read_parts(ret_token, text, why);
    if (code == OK) {
        return OK;
    }
    buffer_finish(&ret_token->room);
    if (code == ERR_BAD_JSON && why != NULL) {
        why->code = ERR_UNAUTHORIZED;
    }
    return code == ERR_BAD_JSON ? ERR_UNAUTHORIZED : code;
}

void token_finish(struct token *token) {
    members_finish(&token->claims);
    buffer_finish(&token->room);
}

/* --- verifying ------------------------------------------------------------------------------- */

enum error_code token_verify(const struct token *token, const struct policy_issuer *issuer,
                             const struct keyring *keyring, struct error *why) {
    INVARIANT(token->algorithm < JWS_COUNT);
    if ((issuer->algorithms & (1U << token->algorithm)) == 0) {
        return error_set(why, ERR_UNAUTHORIZED, "header alg: auth.jwt[%zu].algorithms has no %s",
                         issuer->index, jws_names[token->algorithm]);
    }
    return keyring_verify(keyring, token->algorithm, token->key_id, token->signed_text,
                          token->signature, why);
}

/* --- identifying ----------------------------------------------------------------------------- */

enum error_code token_identify(struct token *token, const struct policy_issuer *issuer,
                               uint64_t now_s, struct identity **ret_identity, struct error *why) {
    struct identity_facts facts = {.kind = IDENTITY_TOKEN,
                                   .issuer = token->issuer,
                                   .source = span_of_string(issuer->source),
                                   .line = issuer->line,
                                   .fingerprint = issuer->fingerprint};
    enum error_code code = claims_check(&token->claims, token->issuer, issuer, now_s, why);
    if (code == OK) {
        code = claims_read_facts(&token->claims, issuer, &facts, why);
    }
    struct grants *own = NULL;
    struct grants *cap = NULL;
    if (code == OK) {
        code = claims_read_layers(&token->claims, issuer, &facts, &own, &cap, why);
    }
    if (code != OK) {
        return code;
    }
    *ret_identity = identity_create(&facts, own, cap);
    return *ret_identity != NULL ? OK : error_set(why, ERR_MEMORY, "no memory for an identity");
}

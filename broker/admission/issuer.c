/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/issuer.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/admission/keyring.h"
#include "broker/config/credential.h"

static unsigned parse_algorithms(const struct config_list *list) {
    static const char *const names[] = {
#define JWS(algorithm, name) [algorithm] = name,
        JWS_TABLE(JWS)
#undef JWS
    };
    unsigned algorithms = list->count == 0 ? 1u << JWS_HS256 : 0; /* a secret: see consistency.c */
    for (size_t i = 0; i < list->count; i++) {
        for (size_t algorithm = 0; algorithm < JWS_COUNT; algorithm++) {
            bool is_it = strcmp(list->items[i], names[algorithm]) == 0;
            algorithms |= is_it ? 1u << algorithm : 0;
        }
    }
    return algorithms;
}

/* A key that is a file: of bytes alone, or of PEM or JSON, which name what they are for. */
static bool is_document(struct span text) {
    return memmem(text.bytes, text.length, "-----BEGIN", 10) != NULL ||
           span_has_prefix(span_trim(text), SPAN("{"));
}

/* `key` verifies all that the row allows. A set may bring keys of other kinds later: without one of
 * the row's algorithms no token could be taken now. */
static enum error_code check_keyring(const struct policy_issuer *shown, struct error *why) {
    unsigned possible = keyring_algorithms(shown->keyring);
    if (shown->key == NULL) {
        return (possible & shown->algorithms) != 0
                   ? OK
                   : error_set(why, ERR_CONFIG, "no key in `jwks` is for one of the `algorithms`");
    }
    if ((shown->algorithms & ~possible & 1u << JWS_HS256) != 0) {
        return error_set(why, ERR_CONFIG,
                         "`key` holds a public key and `algorithms` says HS256: whoever has that "
                         "key could sign");
    }
    return (shown->algorithms & ~possible) == 0
               ? OK
               : error_set(why, ERR_CONFIG,
                           "`key` holds a key that cannot verify all `algorithms`");
}

static enum error_code make_keyring(struct policy_issuer *shown, struct error *why) {
    struct span text = shown->key != NULL ? shown->key_text : shown->jwks_text;
    bool is_wrapped = shown->key != NULL &&
                      span_has_prefix(span_of_string(shown->key), SPAN(CREDENTIAL_BASE64_PREFIX));
    bool is_secret = is_wrapped || (shown->key != NULL && !is_document(text) &&
                                    shown->algorithms == 1u << JWS_HS256);
    if (memmem(text.bytes, text.length, "PRIVATE KEY-----", 16) != NULL) {
        return error_set(why, ERR_CONFIG,
                         "`key` holds a private key: only its public half belongs here");
    }
    if (shown->key != NULL && !is_secret && !is_document(text)) {
        return error_set(why, ERR_CONFIG, "`key` holds neither PEM nor JWK");
    }
    TRY(is_secret ? keyring_create_secret(text, &shown->keyring, why)
                  : keyring_create(text, false, &shown->keyring, why));
    return check_keyring(shown, why);
}

enum error_code issuer_init(struct issuer *issuer, const struct auth_issuer *row, size_t index,
                            struct error *why) {
    struct policy_issuer *shown = &issuer->shown;
    snprintf(issuer->source, sizeof(issuer->source), "auth.jwt[%zu]", index);
    *shown = (struct policy_issuer){.index = index,
                                    .source = issuer->source,
                                    .line = row->place.line,
                                    .algorithms = parse_algorithms(&row->algorithms),
                                    .given = row_given_of(ROW_RIGHTS_OF(row))};
    TRY(row_copy_text(row->issuer, (char **)&shown->issuer));
    TRY(row_copy_text(row->audience, (char **)&shown->audience));
    TRY(row_copy_text(row->jwks, (char **)&shown->jwks));
    TRY(row_copy_text(row->ca, (char **)&shown->ca));
    TRY(row_copy_text(row->key, (char **)&shown->key));
    TRY(row_copy_text(row->tenant, (char **)&shown->tenant));
    shown->is_jwks_url = row->jwks != NULL && key_file_is_url(row->jwks);
    if (row->key != NULL) {
        TRY(key_file_read_key(row->key, &issuer->key, why));
    }
    if (row->jwks != NULL && !shown->is_jwks_url) {
        TRY(key_file_read(row->jwks, "jwks", &issuer->jwks, why));
    }
    shown->key_text = issuer->key.text;
    shown->jwks_text = issuer->jwks.text;
    if (!shown->is_jwks_url) {
        TRY(make_keyring(shown, why));
    }
    TRY(row_make_rights(ROW_RIGHTS_OF(row), &issuer->rights, why));
    shown->rights = issuer->rights;
    return row_make_fingerprint(&config_scope_issuer, row, SPAN("jwt"), issuer->key.text,
                                &shown->fingerprint);
}

void issuer_finish(struct issuer *issuer) {
    struct policy_issuer *shown = &issuer->shown;
    if (shown->key != NULL) {
        explicit_bzero((char *)shown->key, strlen(shown->key));
    }
    free((char *)shown->issuer);
    free((char *)shown->audience);
    free((char *)shown->jwks);
    free((char *)shown->ca);
    free((char *)shown->key);
    free((char *)shown->tenant);
    keyring_unref(shown->keyring);
    key_file_finish(&issuer->key);
    key_file_finish(&issuer->jwks);
    grants_destroy(issuer->rights);
}

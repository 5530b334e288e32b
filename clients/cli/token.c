/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/cli/client.h"
#include "clients/cli/options.h"
#include "clients/cli/output.h"
#include "clients/cli/rights.h"
#include "clients/cli/signer.h"

#define TTL_DEFAULT "1h"
#define TTL_S_MAX (UINT64_C(10) * 366 * 86400)
#define TOKEN_ID_BYTES 16

enum {
    SUBJECT,
    TENANT,
    PUBLISH,
    SUBSCRIBE,
    HISTORY,
    PRESENCE,
    DELETE,
    TTL,
    KEY,
    ALGORITHM,
    KEY_ID,
    ISSUER,
    AUDIENCE,
    TOKEN_ID
};
static const struct option_row rows[] = {
    [SUBJECT] = {"--sub", "SUBJECT", "Whom it is for: `{sub}` in patterns"},
    [TENANT] = {"--tenant", "TENANT", "In whose name space"},
    [PUBLISH] = {"--publish", "PATTERN", "Where it may publish; may be given again"},
    [SUBSCRIBE] = {"--subscribe", "PATTERN", "What it may read from now on; may be given again"},
    [HISTORY] = {"--history", "PATTERN", "What it may read of the past; may be given again"},
    [PRESENCE] = {"--presence", "PATTERN", "Where it may ask who is there; may be given again"},
    [DELETE] = {"--delete", "PATTERN", "Where it may delete; may be given again"},
    [TTL] = {"--ttl", "DURATION", "How long it is good, as 30s, 15m, 1h, 7d (unless told: 1h)"},
    [KEY] = {"--key", "KEY", "A file of a private key (PEM) or secret, or base64:… of a secret"},
    [ALGORITHM] = {"--alg", "NAME", "HS256, RS256, PS256, ES256, EdDSA (unless told: by the key)"},
    [KEY_ID] = {"--kid", "ID", "Which key of the issuer's it is"},
    [ISSUER] = {"--issuer", "TEXT", "The claim `iss`"},
    [AUDIENCE] = {"--audience", "TEXT", "The claim `aud`"},
    [TOKEN_ID] = {"--jti", "ID", "The claim `jti` (unless told: random)"},
};

static const struct options_table table = {
    .usage = "tidings token --key KEY [flags]",
    .about = "Signs a token (JWT) for trying things out, and prints it. Without --publish and the\n"
             "like it has the rights of its issuer's row in `auth.jwt`; with one of them it has\n"
             "those that are named, as far as that row allows.\n",
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
};

/* False: it is none, or longer than anybody wants a token to be good. */
static bool parse_ttl(const char *text, uint64_t *ret_s) {
    static const struct {
        char unit;
        uint64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end = NULL;
    uint64_t number = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (number == 0 || number > TTL_S_MAX || end[0] == '\0' || end[1] != '\0') {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (units[i].unit == end[0]) {
            *ret_s = number * units[i].seconds;
            return *ret_s <= TTL_S_MAX;
        }
    }
    return false;
}

static bool put_text(json_t *object, const char *name, const char *text) {
    return text == NULL || json_object_set_new(object, name, json_string(text)) == 0;
}

/* The claim `tidings`, where a right was named. */
static bool put_rights(json_t *claims, const struct options *options) {
    json_t *rights = json_object();
    bool is_good = rights != NULL;
    for (size_t row = PUBLISH; is_good && row <= DELETE; row++) {
        if (options->values[row] == NULL) {
            continue;
        }
        json_t *patterns = json_array();
        size_t cursor = 0;
        const char *pattern;
        while (is_good && (pattern = options_next(options, row, &cursor)) != NULL) {
            is_good = json_array_append_new(patterns, json_string(pattern)) == 0;
        }
        is_good = json_object_set_new(rights, rows[row].flag + 2, patterns) == 0 && is_good;
    }
    if (is_good && json_object_size(rights) > 0) {
        is_good = json_object_set(claims, "tidings", rights) == 0;
    }
    json_decref(rights);
    return is_good;
}

static bool put_id(json_t *claims, const char *id) {
    unsigned char bytes[TOKEN_ID_BYTES];
    if (id != NULL) {
        return put_text(claims, "jti", id);
    }
    char *text = RAND_bytes(bytes, sizeof(bytes)) == 1 ? signer_encode(bytes, sizeof(bytes)) : NULL;
    bool is_good = text != NULL && put_text(claims, "jti", text);
    free(text);
    return is_good;
}

/* The caller frees. NULL: out of memory, or a text that is no UTF-8. */
static char *make_claims(const struct options *options, uint64_t ttl_s) {
    json_t *claims = json_object();
    json_int_t now_s = (json_int_t)time(NULL);
    bool is_good =
        put_text(claims, "iss", options->values[ISSUER]) &&
        put_text(claims, "aud", options->values[AUDIENCE]) &&
        put_text(claims, "sub", options->values[SUBJECT]) &&
        put_text(claims, "tenant", options->values[TENANT]) &&
        json_object_set_new(claims, "iat", json_integer(now_s)) == 0 &&
        json_object_set_new(claims, "exp", json_integer(now_s + (json_int_t)ttl_s)) == 0 &&
        put_id(claims, options->values[TOKEN_ID]) && put_rights(claims, options);
    char *text = is_good ? json_dumps(claims, JSON_COMPACT) : NULL;
    json_decref(claims);
    return text;
}

static char *make_header(const struct signer *signer, const char *key_id) {
    json_t *header = json_object();
    bool is_good = put_text(header, "alg", signer_algorithm(signer)) &&
                   put_text(header, "typ", "JWT") && put_text(header, "kid", key_id);
    char *text = is_good ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    return text;
}

/* False: it was complained about. */
static bool write_token(const struct signer *signer, const struct options *options,
                        uint64_t ttl_s) {
    char *header = make_header(signer, options->values[KEY_ID]);
    char *claims = make_claims(options, ttl_s);
    char *token = NULL;
    if (header == NULL || claims == NULL) {
        fputs("tidings: a claim is no UTF-8, or there is no memory\n", stderr);
    } else {
        token = signer_sign(signer, header, claims);
    }
    bool is_good = token != NULL && puts(token) >= 0;
    free(header);
    free(claims);
    free(token);
    return is_good;
}

int client_token(int count, char *const *words, const struct client_judges *judges) {
    struct options options;
    int leave = CLIENT_OK;
    if (!options_parse(&table, count, words, &options, &leave)) {
        return leave;
    }
    const char *ttl = options.values[TTL] == NULL ? TTL_DEFAULT : options.values[TTL];
    const char *algorithm = options.values[ALGORITHM];
    uint64_t ttl_s = 0;
    const char *wrong = options.values[KEY] == NULL ? "--key is missing"
                        : !parse_ttl(ttl, &ttl_s)   ? "--ttl is a duration, as 1h, of ten years "
                                                      "at most"
                        : algorithm != NULL && !signer_knows(algorithm)
                            ? "--alg is HS256, RS256, PS256, ES256 or EdDSA"
                            : NULL;
    if (wrong != NULL) {
        fprintf(stderr, "tidings: %s\nUsage: %s\n", wrong, table.usage);
    }
    if (!rights_check(&table, &options, TENANT, PUBLISH, DELETE, judges) || wrong != NULL) {
        options_finish(&options);
        return CLIENT_USAGE;
    }
    struct signer *signer = output_is_open() ? signer_create(options.values[KEY], algorithm) : NULL;
    bool is_good = signer != NULL && write_token(signer, &options, ttl_s);
    signer_destroy(signer);
    options_finish(&options);
    return is_good ? CLIENT_OK : CLIENT_FAILED;
}

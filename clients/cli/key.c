/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/client.h"
#include "clients/cli/options.h"
#include "clients/cli/output.h"
#include "clients/cli/rights.h"
#include "clients/cli/signer.h"

#define KEY_PREFIX "tdk_" /* by which a scanner of repositories finds one that was published */
#define KEY_BYTES 32
#define HASH_BYTES 32

enum { NAME, TENANT, OPERATOR, PUBLISH, SUBSCRIBE, HISTORY, PRESENCE, DELETE };
static const struct option_row rows[] = {
    [NAME] = {"--name", "NAME", "What the key is called (unless told: backend)"},
    [TENANT] = {"--tenant", "TENANT", "The tenant in whose name space it is good"},
    [OPERATOR] = {"--operator", NULL, "It opens the operator's port too"},
    [PUBLISH] = {"--publish", "PATTERN", "Where it may publish; may be given again"},
    [SUBSCRIBE] = {"--subscribe", "PATTERN", "What it may read from now on; may be given again"},
    [HISTORY] = {"--history", "PATTERN", "What it may read of the past; may be given again"},
    [PRESENCE] = {"--presence", "PATTERN", "Where it may ask who is there; may be given again"},
    [DELETE] = {"--delete", "PATTERN", "Where it may delete; may be given again"},
};

static const struct options_table table = {
    .usage = "tidings key [flags]",
    .about = "Makes an API key. The first line is the key, which is written nowhere else: keep it\n"
             "where the program that uses it finds it. What follows is its row for `auth.keys`,\n"
             "which knows the key by its hash alone.\n",
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
};

/* JSON's strings are YAML's. */
static void write_text(const char *text) {
    json_t *string = json_string(text);
    char *written = string == NULL ? NULL : json_dumps(string, JSON_ENCODE_ANY);
    fputs(written == NULL ? "\"?\"" : written, stdout);
    free(written);
    json_decref(string);
}

static void write_right(const struct options *options, size_t row) {
    size_t cursor = 0;
    const char *pattern;
    if (options->values[row] == NULL) {
        return;
    }
    printf("  %s: ", rows[row].flag + 2);
    for (const char *before = "["; (pattern = options_next(options, row, &cursor)) != NULL;
         before = ", ") {
        fputs(before, stdout);
        write_text(pattern);
    }
    puts("]");
}

static void write_row(const struct options *options, const unsigned char hash[HASH_BYTES]) {
    fputs("- name: ", stdout);
    write_text(options->values[NAME] == NULL ? "backend" : options->values[NAME]);
    fputs("\n  hash: \"sha256:", stdout);
    for (size_t i = 0; i < HASH_BYTES; i++) {
        printf("%02x", hash[i]);
    }
    puts("\"");
    if (options->values[TENANT] != NULL) {
        fputs("  tenant: ", stdout);
        write_text(options->values[TENANT]);
        putchar('\n');
    }
    if (options->values[OPERATOR] != NULL) {
        puts("  operator: true");
    }
    for (size_t row = PUBLISH; row <= DELETE; row++) {
        write_right(options, row);
    }
}

/* False: it was complained about. */
static bool make_key(const struct options *options) {
    unsigned char bytes[KEY_BYTES];
    unsigned char hash[HASH_BYTES];
    unsigned length = 0;
    char *text = RAND_bytes(bytes, sizeof(bytes)) == 1 ? signer_encode(bytes, sizeof(bytes)) : NULL;
    char *key = NULL;
    if (text == NULL || asprintf(&key, KEY_PREFIX "%s", text) < 0) {
        key = NULL;
    }
    bool is_good =
        key != NULL && EVP_Digest(key, strlen(key), hash, &length, EVP_sha256(), NULL) == 1;
    if (is_good) {
        puts(key);
        write_row(options, hash);
    } else {
        fputs("tidings: no random bytes, or no memory\n", stderr);
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    if (text != NULL) {
        OPENSSL_cleanse(text, strlen(text));
    }
    if (key != NULL) {
        OPENSSL_cleanse(key, strlen(key));
    }
    free(text);
    free(key);
    return is_good;
}

int client_key(int count, char *const *words, const struct client_judges *judges) {
    struct options options;
    int leave = CLIENT_OK;
    if (!options_parse(&table, count, words, &options, &leave)) {
        return leave;
    }
    const char *name = options.values[NAME];
    if (name != NULL && *name == '\0') {
        fputs("tidings: --name is empty\n", stderr);
        leave = CLIENT_USAGE;
    }
    if (!rights_check(&table, &options, TENANT, PUBLISH, DELETE, judges)) {
        leave = CLIENT_USAGE;
    }
    if (leave == CLIENT_OK && (!output_is_open() || !make_key(&options))) {
        leave = CLIENT_FAILED;
    }
    options_finish(&options);
    return leave;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/issuer.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "tests/broker/config/load.h"

static const char *write_pem(EVP_PKEY *key, bool is_private) {
    static char path[SCRATCH_PATH_BYTES];
    FILE *file = scratch_create_file(path);
    EXPECT_EQ(is_private ? PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL)
                         : PEM_write_PUBKEY(file, key),
              1);
    fclose(file);
    return path;
}

/* The reason for which `policy_check` refuses a row with that file; empty: it does not. */
static const char *reason_of(const char *path, const char *algorithms) {
    char text[256];
    snprintf(text, sizeof(text), "auth: {jwt: [{key: \"%s\", algorithms: [%s]}]}\n", path,
             algorithms);
    struct config_sources sources = {.text = span_of_string(text), .check_files = policy_check};
    struct config *config = NULL;
    enum error_code code = config_load(&sources, &config, &faults);
    config_destroy(config);
    return code == OK ? "" : faults.rows[0].reason;
}

static void expect_refused(const char *path, const char *algorithms, const char *words) {
    if (strstr(reason_of(path, algorithms), words) == NULL) {
        EXPECT_STRING(reason_of(path, algorithms), words);
    }
    EXPECT_STRING(faults.rows[0].key, "auth.jwt[0]");
    EXPECT_EQ(faults.rows[0].line, 1);
}

TEST(a_row_that_has_a_fault_is_told_of_once) {
    struct config_sources sources = {.check_files = policy_check};
    static const char *const texts[] = {"auth: {jwt: [{algorithms: [ES256]}]}",
                                        "auth: {jwt: [{key: /no, algorithms: [x]}]}"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct config *config = NULL;
        sources.text = span_of_string(texts[i]);
        EXPECT_EQ(config_load(&sources, &config, &faults), ERR_CONFIG);
        EXPECT_EQ(faults.count, 1);
    }
}

TEST(a_key_verifies_the_algorithms_of_its_kind_and_no_others) {
    EVP_PKEY *rsa = EVP_RSA_gen(2048);
    const char *path = write_pem(rsa, false);
    EXPECT_STRING(reason_of(path, "RS256, PS256"), "");
    expect_refused(path, "RS256, ES256", "cannot verify all");
    expect_refused(path, "HS256", "whoever has that key could sign");
    scratch_remove(path);
    path = write_pem(rsa, true);
    expect_refused(path, "RS256", "private key");
    scratch_remove(path);
    EVP_PKEY_free(rsa);
    EVP_PKEY *ec = EVP_EC_gen("P-256");
    path = write_pem(ec, false);
    EXPECT_STRING(reason_of(path, "ES256"), "");
    expect_refused(path, "EdDSA", "cannot verify all");
    scratch_remove(path);
    EVP_PKEY_free(ec);
    EVP_PKEY *wrong_curve = EVP_EC_gen("P-384");
    path = write_pem(wrong_curve, false);
    expect_refused(path, "ES256", "no key in it verifies");
    scratch_remove(path);
    EVP_PKEY_free(wrong_curve);
    EVP_PKEY *weak = EVP_RSA_gen(1024);
    path = write_pem(weak, false);
    expect_refused(path, "RS256", "");
    scratch_remove(path);
    EVP_PKEY_free(weak);
    EVP_PKEY *edwards = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    path = write_pem(edwards, false);
    EXPECT_STRING(reason_of(path, "EdDSA"), "");
    scratch_remove(path);
    EVP_PKEY_free(edwards);
}

TEST(a_file_that_cannot_be_read_is_a_fault_of_its_row) {
    expect_refused("/nowhere/key.pem", "RS256", "cannot be opened");
    expect_refused("/tmp", "RS256", "is no file");
    expect_refused("/dev/null", "RS256", "is no file");
    const char *path = scratch_write("short");
    expect_refused(path, "HS256", "5 bytes");
    expect_refused(path, "RS256", "neither PEM nor JWK");
    scratch_remove(path);
    path = scratch_write("");
    expect_refused(path, "HS256", "is empty");
    scratch_remove(path);
}

static struct policy *policy_of(const char *text) {
    struct config *config = load((struct config_sources){.text = span_of_string(text)});
    struct policy *policy = NULL;
    EXPECT_EQ(policy_create(config, &policy, NULL), OK);
    config_destroy(config);
    return policy;
}

TEST(a_changed_file_is_a_new_policy_though_no_row_changed) {
    const char *path = scratch_write("0123456789abcdef0123456789abcdef\n");
    char text[256];
    snprintf(text, sizeof(text), "auth: {jwt: [{key: \"%s\", algorithms: [HS256]}]}\n", path);
    struct policy *before = policy_of(text);
    EXPECT_SPAN(policy_issuer_at(before, 0)->key_text, "0123456789abcdef0123456789abcdef");
    struct policy *same = policy_of(text);
    EXPECT_TRUE(policy_is_equal(before, same));
    policy_unref(same);
    FILE *file = fopen(path, "w");
    fputs("another secret that is long enough for it\n", file);
    fclose(file);
    struct policy *after = policy_of(text);
    EXPECT_FALSE(policy_is_equal(before, after));
    EXPECT_TRUE(policy_issuer_at(before, 0)->fingerprint !=
                policy_issuer_at(after, 0)->fingerprint);
    scratch_remove(path);
    policy_unref(before);
    policy_unref(after);
}

UNIT_TESTS(UNIT(a_row_that_has_a_fault_is_told_of_once),
           UNIT(a_key_verifies_the_algorithms_of_its_kind_and_no_others),
           UNIT(a_file_that_cannot_be_read_is_a_fault_of_its_row),
           UNIT(a_changed_file_is_a_new_policy_though_no_row_changed))

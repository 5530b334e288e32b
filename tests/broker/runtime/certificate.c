/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/broker/runtime/certificate.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/scratch.h"
#include "tests/unit.h"

#define DAY_S 86400

static char directory[SCRATCH_PATH_BYTES];

void certificates_begin(void) {
    scratch_create_folder(directory);
}

void certificates_end(void) {
    scratch_remove(directory);
}

static FILE *open_file(const char *path) {
    FILE *file = fopen(path, "wbe");
    EXPECT_NOT_NULL(file);
    EXPECT_EQ(chmod(path, S_IRUSR | S_IWUSR), 0);
    return file;
}

static void write_key(const char *path, EVP_PKEY *key, const char *password) {
    FILE *file = open_file(path);
    EXPECT_EQ(PEM_write_PKCS8PrivateKey(file, key, password == NULL ? NULL : EVP_aes_256_cbc(),
                                        password, password == NULL ? 0 : (int)strlen(password),
                                        NULL, NULL),
              1);
    fclose(file);
}

struct certificate certificate_create(const char *name, struct span common_name, int days,
                                      const char *password) {
    struct certificate made;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_NAME_new();
    EXPECT_NOT_NULL(key);
    EXPECT_EQ(X509_set_version(certificate, X509_VERSION_3), 1);
    EXPECT_EQ(X509_set_pubkey(certificate, key), 1);
    EXPECT_EQ(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, common_name.bytes,
                                         (int)common_name.length, -1, 0),
              1);
    EXPECT_EQ(X509_set_subject_name(certificate, subject), 1);
    EXPECT_EQ(X509_set_issuer_name(certificate, subject), 1);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -2L * DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(certificate), (long)days * DAY_S);
    EXPECT_TRUE(X509_sign(certificate, key, EVP_sha256()) > 0);
    snprintf(made.file, sizeof(made.file), "%s/%s.pem", directory, name);
    snprintf(made.key, sizeof(made.key), "%s/%s.key", directory, name);
    FILE *file = open_file(made.file);
    EXPECT_EQ(PEM_write_X509(file, certificate), 1);
    fclose(file);
    write_key(made.key, key, password);
    X509_NAME_free(subject);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return made;
}

const char *certificate_write_text(const char *name, const char *text) {
    static char path[CERTIFICATE_PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = open_file(path);
    fputs(text, file);
    fclose(file);
    return path;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/tls.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/metrics/metrics.h"
#include "broker/support/clock.h"
#include "tests/broker/config/load.h"
#include "tests/broker/runtime/certificate.h"

#define DAY_MS UINT64_C(86400000)
#define HTTP "\x08http/1.1"
#define RELOADS 20
#define OPENINGS 200

static struct metrics *metrics;
static struct certificate ours, other, locked;

static int begin(void **state) {
    (void)state;
    certificates_begin();
    ours = certificate_create("ours", SPAN("ours"), 10, NULL);
    other = certificate_create("other", SPAN("other"), 10, NULL);
    locked = certificate_create("locked", SPAN("locked"), 10, "password");
    EXPECT_EQ(metrics_create(1, &metrics), OK);
    return 0;
}

static int end(void **state) {
    (void)state;
    metrics_destroy(metrics);
    certificates_end();
    return 0;
}

static struct config *config_with(const char *more) {
    static char text[1024];
    snprintf(text, sizeof(text), "public: {tls: {%s}}\n", more);
    return load((struct config_sources){.text = span_of_string(text)});
}

static struct config *config_of(const struct certificate *pair, const char *more) {
    char text[512];
    snprintf(text, sizeof(text), "certificate: %s, key: %s%s", pair->file, pair->key, more);
    return config_with(text);
}

static struct tls *create(const struct config *config) {
    struct tls *tls = NULL;
    struct error why = {0};
    EXPECT_EQ(tls_create(config, metrics_shard(metrics, METRICS_MAIN), &tls, &why), OK);
    return tls;
}

/* "CN=ours": what a connection that begins now would show. */
static void expect_shown(struct tls *tls, const char *name) {
    char text[64];
    SSL *ssl = tls_open(tls, BIO_new(BIO_s_mem()), HTTP);
    EXPECT_NOT_NULL(ssl);
    X509_NAME_oneline(X509_get_subject_name(SSL_get_certificate(ssl)), text, sizeof(text));
    EXPECT_STRING(text + strlen("/CN="), name);
    SSL_free(ssl);
}

/* The one fault of that configuration, which is of one line. */
static void expect_fault_of(struct config *config, const char *key, const char *words) {
    memset(&faults, 0, sizeof(faults));
    tls_check(config, &faults);
    EXPECT_EQ(faults.count, 1);
    EXPECT_STRING(faults.rows[0].source, "text");
    EXPECT_EQ(faults.rows[0].line, 1);
    EXPECT_STRING(faults.rows[0].key, key);
    if (strstr(faults.rows[0].reason, words) == NULL) {
        EXPECT_STRING(faults.rows[0].reason, words);
    }
    config_destroy(config);
}

/* --- what is said of files -------------------------------------------------------------------- */

TEST(a_pair_that_fits_has_no_fault) {
    struct config *config = config_of(&ours, "");
    memset(&faults, 0, sizeof(faults));
    tls_check(config, &faults);
    EXPECT_EQ(faults.count, 0);
    config_destroy(config);
}

TEST(what_cannot_be_used_is_a_fault_of_the_key_that_names_it) {
    const struct certificate none = {"/dev/null", "/dev/null"};
    struct certificate mixed = {"/nowhere", ""};
    memcpy(mixed.key, ours.key, sizeof(mixed.key));
    expect_fault_of(config_of(&mixed, ""), "public.tls.certificate", "cannot be read");
    expect_fault_of(config_of(&none, ""), "public.tls.certificate", "holds no certificate");
    mixed = ours;
    memcpy(mixed.key, other.key, sizeof(mixed.key));
    expect_fault_of(config_of(&mixed, ""), "public.tls.key", "holds no key for the certificate");
    memcpy(mixed.key, ours.file, sizeof(mixed.key));
    expect_fault_of(config_of(&mixed, ""), "public.tls.key", "holds no key");
    snprintf(mixed.key, sizeof(mixed.key), "%s",
             certificate_write_text("broken", "-----BEGIN PRIVATE KEY-----\nAAAA\n"));
    expect_fault_of(config_of(&mixed, ""), "public.tls.key", "holds no key");
}

/* OpenSSL asks the terminal, and where there is none the input, which would answer here. */
TEST(nobody_is_asked_for_the_password_of_a_key) {
    int ends[2];
    int input = dup(STDIN_FILENO);
    EXPECT_EQ(pipe(ends), 0);
    EXPECT_EQ(write(ends[1], "password\n", 9), 9);
    EXPECT_EQ(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    expect_fault_of(config_of(&locked, ""), "public.tls.key", "holds no key");
    char left[16];
    EXPECT_EQ(read(ends[0], left, sizeof(left)), 9);
    if (input >= 0) {
        EXPECT_EQ(dup2(input, STDIN_FILENO), STDIN_FILENO);
        close(input);
    }
    close(ends[0]);
    close(ends[1]);
}

TEST(half_a_pair_is_none) {
    char text[256];
    snprintf(text, sizeof(text), "certificate: %s", ours.file);
    expect_fault_of(config_with(text), "public.tls.key", "needs its key");
    snprintf(text, sizeof(text), "key: %s", ours.key);
    expect_fault_of(config_with(text), "public.tls.certificate", "needs its certificate");
}

TEST(each_file_that_cannot_be_read_is_told) {
    const struct certificate none = {"/nowhere", "/nowhere else"};
    struct config *config = config_of(&none, ", client_certificates: optional, client_ca: /no ca");
    memset(&faults, 0, sizeof(faults));
    tls_check(config, &faults);
    EXPECT_EQ(faults.count, 3);
    EXPECT_STRING(faults.rows[0].key, "public.tls.client_ca");
    EXPECT_STRING(faults.rows[1].key, "public.tls.certificate");
    EXPECT_STRING(faults.rows[2].key, "public.tls.key");
    config_destroy(config);
}

/* The file has a fault of that key; what it lacks is no second one. */
TEST(a_key_that_was_refused_is_not_missing) {
    char text[256];
    snprintf(text, sizeof(text), "public: {tls: {certificate: %s, key: [a]}}\n", ours.file);
    expect_fault((struct config_sources){.text = span_of_string(text), .check_files = tls_check},
                 "text", "public.tls.key", "must be one value");
    snprintf(text, sizeof(text),
             "public: {tls: {certificate: [a], key: %s}}\nmqtt: {tls_listen: \":0\"}\n", ours.key);
    expect_fault((struct config_sources){.text = span_of_string(text), .check_files = tls_check},
                 "text", "public.tls.certificate", "must be one value");
}

TEST(clients_are_verified_against_something_or_not_at_all) {
    char text[256];
    expect_fault_of(config_of(&ours, ", client_certificates: required"), "public.tls.client_ca",
                    "is missing");
    expect_fault_of(config_of(&ours, ", client_certificates: maybe"),
                    "public.tls.client_certificates", "is not off, optional or required");
    snprintf(text, sizeof(text), ", client_certificates: optional, client_ca: %s",
             certificate_write_text("empty", ""));
    expect_fault_of(config_of(&ours, text), "public.tls.client_ca", "holds no certificates");
}

/* The certificates can be had of it, and the file as a whole cannot: nothing of it is kept. */
TEST(certificates_of_clients_with_a_broken_list_behind_them_are_none) {
    char text[8192];
    FILE *file = fopen(ours.file, "re");
    EXPECT_NOT_NULL(file);
    size_t length = fread(text, 1, sizeof(text) / 2, file);
    fclose(file);
    snprintf(text + length, sizeof(text) - length, "%s",
             "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    char more[256];
    snprintf(more, sizeof(more), ", client_certificates: optional, client_ca: %s",
             certificate_write_text("list", text));
    expect_fault_of(config_of(&ours, more), "public.tls.client_ca", "holds no certificates");
}

/* --- what is in force ------------------------------------------------------------------------- */

static void expect_mode(const char *certificates, int mode, bool resumes) {
    char text[256];
    snprintf(text, sizeof(text), ", client_certificates: \"%s\", client_ca: %s", certificates,
             ours.file);
    struct config *config = config_of(&ours, text);
    struct tls *tls = create(config);
    SSL *ssl = tls_open(tls, BIO_new(BIO_s_mem()), HTTP);
    EXPECT_EQ(SSL_get_verify_mode(ssl), mode);
    EXPECT_EQ((SSL_get_options(ssl) & SSL_OP_NO_TICKET) == 0, resumes);
    EXPECT_EQ(SSL_get_num_tickets(ssl), resumes);
    EXPECT_EQ(SSL_get_min_proto_version(ssl), TLS1_2_VERSION);
    EXPECT_EQ(SSL_get_max_early_data(ssl), 0);
    EXPECT_TRUE((SSL_get_options(ssl) & SSL_OP_NO_RENEGOTIATION) != 0);
    EXPECT_TRUE((SSL_get_options(ssl) & SSL_OP_NO_COMPRESSION) != 0);
    SSL_free(ssl);
    tls_destroy(tls);
    config_destroy(config);
}

TEST(where_clients_show_certificates_nothing_is_resumed) {
    expect_mode("off", SSL_VERIFY_NONE, true);
    expect_mode("optional", SSL_VERIFY_PEER, false);
    expect_mode("required", SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, false);
}

TEST(the_end_of_the_certificate_is_told_also_of_one_that_has_ended) {
    struct certificate old = certificate_create("old", SPAN("old"), -1, NULL);
    struct config *config = config_of(&old, "");
    struct tls *tls = create(config);
    uint64_t told_ms = metrics_sum(metrics, METRIC_TLS_CERTIFICATE_EXPIRES, 0);
    EXPECT_TRUE(told_ms + DAY_MS <= clock_wall_ms());
    EXPECT_TRUE(told_ms + DAY_MS + 60000 > clock_wall_ms());
    tls_destroy(tls);
    config_destroy(config);
}

TEST(a_reload_that_fails_leaves_what_is_in_force_and_one_that_does_not_replaces_it) {
    struct error why = {0};
    struct certificate pair = certificate_create("pair", SPAN("first"), 10, NULL);
    struct config *config = config_of(&pair, "");
    struct tls *tls = create(config);
    SSL *before = tls_open(tls, BIO_new(BIO_s_mem()), HTTP);
    certificate_write_text("pair.key", "no key");
    EXPECT_EQ(tls_reload(tls, &why), ERR_CONFIG);
    EXPECT_STRING(why.field, "public.tls.key");
    expect_shown(tls, "first");
    pair = certificate_create("pair", SPAN("second"), 10, NULL);
    EXPECT_EQ(tls_reload(tls, &why), OK);
    expect_shown(tls, "second");
    char text[64];
    X509_NAME_oneline(X509_get_subject_name(SSL_get_certificate(before)), text, sizeof(text));
    EXPECT_STRING(text, "/CN=first");
    SSL_free(before);
    tls_destroy(tls);
    tls_destroy(NULL);
    config_destroy(config);
}

TEST(what_cannot_be_made_says_why) {
    struct error why = {0};
    struct tls *tls = NULL;
    struct config *config = config_of(&locked, "");
    EXPECT_EQ(tls_create(config, metrics_shard(metrics, METRICS_MAIN), &tls, &why), ERR_CONFIG);
    EXPECT_STRING(why.field, "public.tls.key");
    EXPECT_NULL(tls);
    config_destroy(config);
}

/* --- workers that open while main reads the files again --------------------------------------- */

static void *open_often(void *context) {
    for (int i = 0; i < OPENINGS; i++) {
        SSL *ssl = tls_open(context, BIO_new(BIO_s_mem()), HTTP);
        EXPECT_NOT_NULL(ssl);
        SSL_free(ssl);
    }
    return NULL;
}

TEST(connections_may_begin_while_the_files_are_read_again) {
    pthread_t threads[2];
    struct config *config = config_of(&ours, "");
    struct tls *tls = create(config);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        EXPECT_EQ(pthread_create(&threads[i], NULL, open_often, tls), 0);
    }
    for (int i = 0; i < RELOADS; i++) {
        EXPECT_EQ(tls_reload(tls, NULL), OK);
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        EXPECT_EQ(pthread_join(threads[i], NULL), 0);
    }
    tls_destroy(tls);
    config_destroy(config);
}

#define TLS(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(TLS(a_pair_that_fits_has_no_fault),
           TLS(what_cannot_be_used_is_a_fault_of_the_key_that_names_it),
           TLS(nobody_is_asked_for_the_password_of_a_key), TLS(half_a_pair_is_none),
           TLS(each_file_that_cannot_be_read_is_told), TLS(a_key_that_was_refused_is_not_missing),
           TLS(clients_are_verified_against_something_or_not_at_all),
           TLS(certificates_of_clients_with_a_broken_list_behind_them_are_none),
           TLS(where_clients_show_certificates_nothing_is_resumed),
           TLS(the_end_of_the_certificate_is_told_also_of_one_that_has_ended),
           TLS(a_reload_that_fails_leaves_what_is_in_force_and_one_that_does_not_replaces_it),
           TLS(what_cannot_be_made_says_why),
           TLS(connections_may_begin_while_the_files_are_read_again))

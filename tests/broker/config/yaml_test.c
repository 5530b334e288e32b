/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/yaml.h"

#include <stdlib.h>

#include "tests/unit.h"

/* Stands in for pattern_check, which is above the configuration: refuses one text. */
static enum error_code refuse_bad(struct span pattern, struct error *why) {
    return span_is_equal(pattern, SPAN("bad")) ? error_set(why, ERR_BAD_CHANNEL, "is bad") : OK;
}

/* What a text gives; the test frees it with close_read. */
struct read {
    struct config *config;
    struct config_faults faults;
};

static void open_read(struct read *read, const char *text) {
    struct config_sources none = {0};
    EXPECT_EQ(config_load(&none, &read->config, &read->faults), OK);
    yaml_read("t.yaml", span_of_string(text), refuse_bad, read->config, &read->faults);
}

static void close_read(struct read *read) {
    config_destroy(read->config);
}

/* The text has exactly one fault, there, and its reason holds these words. */
static void expect_fault(const char *text, unsigned line, unsigned column, const char *key,
                         const char *words) {
    struct read read;
    open_read(&read, text);
    EXPECT_EQ(read.faults.count, 1);
    EXPECT_STRING(read.faults.rows[0].source, "t.yaml");
    EXPECT_EQ(read.faults.rows[0].line, line);
    EXPECT_EQ(read.faults.rows[0].column, column);
    EXPECT_STRING(read.faults.rows[0].key, key);
    if (strstr(read.faults.rows[0].reason, words) == NULL) {
        EXPECT_STRING(read.faults.rows[0].reason, words);
    }
    close_read(&read);
}

TEST(a_whole_file_is_read) {
    struct read read;
    open_read(&read, "data: /var/lib/tidings\n"
                     "public: { listen: \"127.0.0.1:0\", origins: [\"https://example.org\"],\n"
                     "          hosts: [a.example, b.example], trusted_proxies: [10.0.0.0/8] }\n"
                     "operator: { listen: '[::1]:9' }\n"
                     "storage: { bytes_max: 1GiB }\n"
                     "workers: 2\n"
                     "open: true\n"
                     "log: { level: warning }\n"
                     "limits: { connections: 5, connections_per_address: 6,\n"
                     "          send_budget: 8KiB, stall_timeout: 90s }\n"
                     "channels:\n"
                     "  - match: \"tennis/**\"\n"
                     "    history: { messages: 7, age: unlimited, bytes: 64MiB }\n"
                     "    durability: fsync\n"
                     "    on_lag: conflate\n"
                     "    retain: latest\n"
                     "    deflate: false\n"
                     "    message_bytes_max: 64KiB\n"
                     "  - match: chat/*\n");
    const struct config *config = read.config;
    EXPECT_EQ(read.faults.count, 0);
    EXPECT_STRING(config->data, "/var/lib/tidings");
    EXPECT_EQ(config->public_hosts.count, 2);
    EXPECT_STRING(config->public_hosts.items[1], "b.example");
    EXPECT_STRING(config->public_origins.items[0], "https://example.org");
    EXPECT_EQ(config->storage_bytes_max, 1073741824);
    EXPECT_EQ(config->workers, 2);
    EXPECT_TRUE(config->open);
    EXPECT_EQ(config->log_level, LOG_LEVEL_WARNING);
    EXPECT_EQ(config->connections_max, 5);
    EXPECT_EQ(config->connections_per_address_max, 6);
    EXPECT_EQ(config->send_budget_bytes, 8192);
    EXPECT_EQ(config->stall_timeout_ms, 90000);
    EXPECT_EQ(config->rule_count, 2);
    EXPECT_STRING(config->rules[0].match, "tennis/**");
    EXPECT_EQ(config->rules[0].history_messages_max, 7);
    EXPECT_TRUE(config->rules[0].history_age_ms_max == CONFIG_UNLIMITED);
    EXPECT_EQ(config->rules[0].history_bytes_max, 67108864);
    EXPECT_EQ(config->rules[0].durability, DURABILITY_FSYNC);
    EXPECT_EQ(config->rules[0].on_lag, ON_LAG_CONFLATE);
    EXPECT_EQ(config->rules[0].retain, RETAIN_LATEST);
    EXPECT_FALSE(config->rules[0].deflate);
    EXPECT_EQ(config->rules[0].message_bytes_max, 65536);
    EXPECT_STRING(config->rules[1].match, "chat/*");
    EXPECT_EQ(config->rules[1].history_messages_max, 10000);
    EXPECT_EQ(config->rules[1].history_age_ms_max, 86400000);
    EXPECT_EQ(config->rules[1].retain, RETAIN_FLAGGED);
    EXPECT_TRUE(config->rules[1].deflate);
    EXPECT_EQ(config->rules[1].message_bytes_max, 1048576);
    close_read(&read);
}

TEST(nothing_and_empty_sections_are_no_fault) {
    static const char *const texts[] = {
        "", "# a comment\n", "---\n", "public:\n", "channels:\n", "public: {origins: }\n", "{}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct read read;
        open_read(&read, texts[i]);
        EXPECT_EQ(read.faults.count, 0);
        EXPECT_EQ(read.config->rule_count, 0);
        close_read(&read);
    }
}

TEST(each_kind_of_fault_has_line_column_and_reason) {
    expect_fault("dta: x\n", 1, 1, "dta", "the nearest is `data`");
    expect_fault("public:\n  lissten: x\n", 2, 3, "public.lissten", "`public.listen`");
    expect_fault("data: a\nworkers: 1\ndata: b\n", 3, 1, "data", "given twice");
    expect_fault("log: {level: info}\nlog: {level: info}\n", 2, 1, "log", "given twice");
    expect_fault("workers: many\n", 1, 10, "workers", "not a whole number");
    expect_fault("workers: [1]\n", 1, 10, "workers", "one value");
    expect_fault("data: {a: b}\n", 1, 7, "data", "one value");
    expect_fault("data:\n", 1, 6, "data", "no value");
    expect_fault("data: ''\n", 1, 7, "data", "is empty");
    expect_fault("data: ~\n", 1, 7, "data", "no value");
    expect_fault("data: \"a\\0b\"\n", 1, 7, "data", "NUL");
    expect_fault("public: 5\n", 1, 9, "public", "mapping");
    expect_fault("public: {hosts: a}\n", 1, 17, "public.hosts", "list");
    expect_fault("public: {hosts: [[a]]}\n", 1, 18, "public.hosts", "one value");
    expect_fault("channels: {match: a}\n", 1, 11, "channels", "list");
    expect_fault("channels: [a]\n", 1, 12, "channels", "mappings");
    expect_fault("open: yes\n", 1, 7, "open", "neither true nor false");
    expect_fault("- a\n", 1, 1, "the file", "mapping");
    expect_fault("data: !!str x\n", 1, 7, "data", "tag");
    expect_fault("data: &a x\noperator: {listen: *a}\n", 2, 20, "operator.listen", "alias");
    expect_fault("? [a]\n: b\n", 1, 3, "?", "plain words");
    expect_fault("data: a\n---\ndata: b\n", 2, 1, "", "second document");
    expect_fault("limits: {connections: 0}\n", 1, 23, "limits.connections", "below the least, 1");
    expect_fault("limits: {send_budget: 17MiB}\n", 1, 23, "limits.send_budget", "the most, 16MiB");
    expect_fault("limits: {stall_timeout: 5}\n", 1, 25, "limits.stall_timeout", "no unit");
}

TEST(rules_name_themselves_by_their_place) {
    expect_fault("channels:\n- match: a\n- {on_lag: catch_up}\n", 3, 3, "channels[1]", "`match`");
    expect_fault("channels: [{match: bad}]\n", 1, 20, "channels[0].match", "is bad");
    expect_fault("channels: [{match: }]\n", 1, 20, "channels[0].match", "no value");
    expect_fault("channels: [{match: a, matsch: b}]\n", 1, 23, "channels[0].matsch", "`match`");
    expect_fault("channels: [{match: a, history: {age: 0s}}]\n", 1, 38, "channels[0].history.age",
                 "unlimited");
    expect_fault("channels: [{match: a, on_lag: skip}]\n", 1, 31, "channels[0].on_lag",
                 "is not one of");
    expect_fault("channels: [{match: a, retain: all}]\n", 1, 31, "channels[0].retain",
                 "flagged, latest");
    expect_fault("channels: [{match: a, message_bytes_max: 17MiB}]\n", 1, 42,
                 "channels[0].message_bytes_max", "the most, 16MiB");
}

#define HASH "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

TEST(rows_of_auth_and_tenants_are_read_with_their_place) {
    struct read read;
    open_read(&read,
              "auth:\n"
              "  keys:\n"
              "    - { name: backend, hash: \"" HASH "\", operator: true, publish: [\"**\"],\n"
              "        history: [] }\n"
              "  jwt:\n"
              "    - issuer: https://id.example\n"
              "      algorithms: [ES256, EdDSA]\n"
              "      jwks: https://id.example/keys\n"
              "      tenant: acme\n"
              "      subscribe: [\"u/{sub}/**\", \"t/{tenant}\"]\n"
              "  certificates:\n"
              "    - { subject: \"CN=device-*,O=Example\", name: \"{cn}\" }\n"
              "  anonymous: { subscribe: [\"tennis/**\"] }\n"
              "  cookie: t\n"
              "  webhook: { url: \"https://app.example/may\", secret: s, on: [connect],\n"
              "             timeout: 1s, cache: 0s, when_down: allow }\n"
              "tenants:\n"
              "  - { name: acme, connections: 5, publish_rate: 10/s, publish_bytes: 1MiB/s }\n"
              "  - { name: \"*\", channels: 7, stored_bytes: 1GiB }\n");
    const struct config *config = read.config;
    EXPECT_EQ(read.faults.count, 0);
    EXPECT_EQ(config->auth_key_count, 1);
    EXPECT_EQ(config->auth_keys[0].place.line, 3);
    EXPECT_STRING(config->auth_keys[0].hash, HASH);
    EXPECT_TRUE(config->auth_keys[0].is_operator);
    EXPECT_EQ(config->auth_keys[0].publish.count, 1);
    EXPECT_TRUE(config->auth_keys[0].history.is_given);
    EXPECT_EQ(config->auth_keys[0].history.count, 0);
    EXPECT_FALSE(config->auth_keys[0].subscribe.is_given);
    EXPECT_EQ(config->auth_issuer_count, 1);
    EXPECT_EQ(config->auth_issuers[0].algorithms.count, 2);
    EXPECT_STRING(config->auth_issuers[0].subscribe.items[1], "t/{tenant}");
    EXPECT_EQ(config->auth_certificate_count, 1);
    EXPECT_STRING(config->auth_certificates[0].name, "{cn}");
    EXPECT_EQ(config->anonymous_subscribe.count, 1);
    EXPECT_STRING(config->cookie, "t");
    EXPECT_EQ(config->webhook_timeout_ms, 1000);
    EXPECT_EQ(config->webhook_when_down, WHEN_DOWN_ALLOW);
    EXPECT_EQ(config->tenant_count, 2);
    EXPECT_EQ(config->tenants[0].publish_rate, 10);
    EXPECT_EQ(config->tenants[0].publish_bytes, 1048576);
    EXPECT_TRUE(config->tenants[0].stored_bytes_max == CONFIG_UNLIMITED);
    EXPECT_EQ(config->tenants[1].stored_bytes_max, 1073741824);
    EXPECT_TRUE(config_has_credentials(config));
    close_read(&read);
}

TEST(rows_of_auth_say_what_is_wrong_with_them) {
    expect_fault("auth: {users: a}\n", 1, 8, "auth.users", "is not a key");
    expect_fault("auth: {keys: [{hash: \"" HASH "\"}]}\n", 1, 15, "auth.keys[0]", "`name`");
    expect_fault("auth: {keys: [{name: a, hash: tdk_x}]}\n", 1, 31, "auth.keys[0].hash",
                 "the key itself");
    expect_fault("auth: {keys: [{name: a, hash: \"" HASH "\", publish: [bad]}]}\n", 1, 116,
                 "auth.keys[0].publish", "is bad");
    expect_fault("auth: {keys: [{name: a, hash: \"" HASH "\", publish: [\"{user}\"]}]}\n", 1, 116,
                 "auth.keys[0].publish", "{sub} and {tenant}");
    expect_fault("auth: {jwt: [{algorithms: [none]}]}\n", 1, 28, "auth.jwt[0].algorithms",
                 "no signature");
    expect_fault("auth: {jwt: [{jwks: ftp://a/b}]}\n", 1, 21, "auth.jwt[0].jwks", "URL");
    expect_fault("auth: {jwt: [{key: \"base64:AAAA\"}]}\n", 1, 20, "auth.jwt[0].key", "3 bytes");
    expect_fault("auth: {jwt: [{key: \"base64:!\"}]}\n", 1, 20, "auth.jwt[0].key", "no base64");
    expect_fault("auth: {certificates: [{name: a}]}\n", 1, 23, "auth.certificates[0]", "`subject`");
    expect_fault("auth: {webhook: {on: [disconnect]}}\n", 1, 23, "auth.webhook.on", "one of");
    expect_fault("tenants: [{name: a/b}]\n", 1, 18, "tenants[0].name", "no tenant");
    expect_fault("channels: [{match: a, publish_rate: 5}]\n", 1, 37, "channels[0].publish_rate",
                 "no unit");
    expect_fault("tenants: [{name: a, publish_rate: 5}]\n", 1, 35, "tenants[0].publish_rate",
                 "no unit");
}

TEST(sinks_are_mappings) {
    expect_fault("sinks: [a]\n", 1, 9, "sinks", "must hold mappings");
}

TEST(text_that_is_no_yaml_has_a_place) {
    expect_fault("data: x\n  b: [\n", 2, 4, "", "is not YAML");
    expect_fault("data: x\nlog: \xff\n", 2, 6, "", "is not YAML");
    expect_fault("public:\n \tlisten: x\n", 2, 2, "", "indented by blanks, not tabs");
}

TEST(all_faults_come_at_once) {
    struct read read;
    open_read(&read, "dta: x\nworkers: 0\npublic: {listen: a, hosts: [\"x y\", ok, \"/\"]}\n"
                     "channels: [{on_lag: lose, match: bad}, 3]\nsinks: {a: [b, {c: d}]}\n"
                     "open: x\n");
    static const unsigned lines[] = {1, 2, 3, 3, 3, 4, 4, 4, 5, 6};
    EXPECT_EQ(read.faults.count, ARRAY_COUNT(lines));
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        EXPECT_EQ(read.faults.rows[i].line, lines[i]);
    }
    close_read(&read);
}

TEST(faults_beyond_the_bound_are_counted) {
    struct read read;
    char text[200 * 8 + 1] = "";
    for (size_t i = 0; i < 200; i++) {
        snprintf(text + 8 * i, sizeof(text) - 8 * i, "x%04zu: \n", i);
    }
    open_read(&read, text);
    EXPECT_EQ(read.faults.count, CONFIG_FAULTS_MAX);
    EXPECT_EQ(read.faults.count_beyond, 200 - CONFIG_FAULTS_MAX);
    close_read(&read);
}

TEST(rules_beyond_the_bound_are_refused) {
    struct read read;
    size_t size = (CONFIG_RULES_MAX + 2) * 16;
    char *text = calloc(1, size);
    size_t length = (size_t)snprintf(text, size, "channels:\n");
    for (size_t i = 0; i < CONFIG_RULES_MAX + 1; i++) {
        length += (size_t)snprintf(text + length, size - length, "- match: a\n");
    }
    open_read(&read, text);
    EXPECT_EQ(read.faults.count, 1);
    EXPECT_EQ(read.config->rule_count, CONFIG_RULES_MAX);
    close_read(&read);
    free(text);
}

UNIT_TESTS(UNIT(a_whole_file_is_read), UNIT(nothing_and_empty_sections_are_no_fault),
           UNIT(each_kind_of_fault_has_line_column_and_reason),
           UNIT(rules_name_themselves_by_their_place), UNIT(sinks_are_mappings),
           UNIT(rows_of_auth_and_tenants_are_read_with_their_place),
           UNIT(rows_of_auth_say_what_is_wrong_with_them), UNIT(text_that_is_no_yaml_has_a_place),
           UNIT(all_faults_come_at_once), UNIT(faults_beyond_the_bound_are_counted),
           UNIT(rules_beyond_the_bound_are_refused))

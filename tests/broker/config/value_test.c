/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/value.h"

#include <stdlib.h>

#include "broker/config/choice.h"
#include "broker/config/exposure.h"
#include "tests/unit.h"

TEST(sizes_have_units_of_thousands_and_of_1024s) {
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {{"0", 0},
                 {"4096", 4096},
                 {"7B", 7},
                 {"1KB", 1000},
                 {"64KiB", 65536},
                 {"1MB", 1000000},
                 {"1MiB", 1048576},
                 {"10GiB", 10737418240},
                 {"2TiB", 2199023255552},
                 {"3GB", 3000000000},
                 {"1TB", 1000000000000}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        uint64_t bytes = 1;
        EXPECT_EQ(value_parse_bytes(span_of_string(cases[i].text), &bytes, NULL), OK);
        EXPECT_EQ(bytes, cases[i].bytes);
    }
}

TEST(bad_sizes_say_why) {
    static const char *const bad[] = {"",     "KiB", "1kib",   "1K",
                                      "1 KB", "-1",  "1.5GiB", "99999999TiB"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        uint64_t bytes = 77;
        struct error why = {0};
        EXPECT_EQ(value_parse_bytes(span_of_string(bad[i]), &bytes, &why), ERR_CONFIG);
        EXPECT_EQ(bytes, 77);
        EXPECT_TRUE(strlen(why.detail) > 0);
    }
}

TEST(durations_need_a_unit) {
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {
        {"500ms", 500}, {"30s", 30000}, {"5m", 300000}, {"24h", 86400000}, {"7d", 604800000},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        uint64_t ms = 0;
        EXPECT_EQ(value_parse_duration_ms(span_of_string(cases[i].text), &ms, NULL), OK);
        EXPECT_EQ(ms, cases[i].ms);
    }
    uint64_t ms = 0;
    EXPECT_EQ(value_parse_duration_ms(SPAN("30"), &ms, NULL), ERR_CONFIG);
    EXPECT_EQ(value_parse_duration_ms(SPAN("1w"), &ms, NULL), ERR_CONFIG);
}

TEST(addresses_are_read_and_written) {
    static const struct {
        const char *text;
        const char *written;
        bool is_loopback;
    } cases[] = {{"127.0.0.1:8080", "127.0.0.1:8080", true},
                 {"127.8.9.1:0", "127.8.9.1:0", true},
                 {"localhost:80", "127.0.0.1:80", true},
                 {"[::1]:8080", "[::1]:8080", true},
                 {"[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true},
                 {"[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]:1", false},
                 {":8080", "0.0.0.0:8080", false},
                 {"0.0.0.0:65535", "0.0.0.0:65535", false},
                 {"[::]:8080", "[::]:8080", false},
                 {"192.0.2.7:8080", "192.0.2.7:8080", false}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct config_address address;
        char written[EXPOSURE_ADDRESS_BYTES];
        EXPECT_EQ(value_parse_address(span_of_string(cases[i].text), &address, NULL), OK);
        exposure_format_address(&address, written);
        EXPECT_STRING(written, cases[i].written);
        EXPECT_EQ(exposure_is_loopback(&address), cases[i].is_loopback);
    }
}

TEST(bad_addresses_are_refused) {
    static const char *const bad[] = {"",          "8080",         "127.0.0.1",      "127.0.0.1:",
                                      "::1:8080",  "[::1]",        "1.2.3.4:65536",  "1.2.3.4:-1",
                                      "1.2.3.4:x", "[1.2.3.4]:80", "example.org:80", "1.2.3:80",
                                      "[::1:80",   "127.0.0.1:80 "};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct config_address address;
        struct error why = {0};
        EXPECT_EQ(value_parse_address(span_of_string(bad[i]), &address, &why), ERR_CONFIG);
        EXPECT_TRUE(strlen(why.detail) > 0);
    }
}

TEST(networks_have_a_prefix_and_nothing_behind_it) {
    static const char *const good[] = {"10.0.0.0/8", "0.0.0.0/0", "192.0.2.7/32",
                                       "fe80::/10",  "::1/128",   "::/0"};
    static const char *const bad[] = {"10.0.0.0",   "10.0.0.1/8", "10.0.0.0/33",  "10.0/8",    "/8",
                                      "fe80::1/10", "::/129",     "localhost/32", "10.0.0.0/", ""};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        EXPECT_EQ(value_check_network(span_of_string(good[i]), NULL), OK);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(value_check_network(span_of_string(bad[i]), NULL), ERR_CONFIG);
    }
}

TEST(origins_have_no_path) {
    static const char *const good[] = {"https://example.org", "http://localhost:3000",
                                       "http://[::1]:8080", "https://a-b.example"};
    static const char *const bad[] = {
        "*",          "null",        "example.org",    "https://",
        "ftp://a",    "https://a/",  "https://a:0",    "https://a:65536",
        "https://a:", "https://a b", "https://user@a", ""};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        EXPECT_EQ(value_check_origin(span_of_string(good[i]), NULL), OK);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        EXPECT_EQ(value_check_origin(span_of_string(bad[i]), NULL), ERR_CONFIG);
    }
}

TEST(hosts_are_names_alone) {
    EXPECT_EQ(value_check_host(SPAN("example.org"), NULL), OK);
    EXPECT_EQ(value_check_host(SPAN("[::1]"), NULL), OK);
    EXPECT_EQ(value_check_host(SPAN("example.org:80"), NULL), ERR_CONFIG);
    EXPECT_EQ(value_check_host(SPAN("http://example.org"), NULL), ERR_CONFIG);
    EXPECT_EQ(value_check_host(SPAN(""), NULL), ERR_CONFIG);
}

TEST(on_lag_takes_every_policy_and_no_other_word) {
    static const struct {
        const char *text;
        enum on_lag value;
    } rows[] = {{"auto", ON_LAG_AUTO},
                {"catch_up", ON_LAG_CATCH_UP},
                {"conflate", ON_LAG_CONFLATE},
                {"drop", ON_LAG_DROP},
                {"disconnect", ON_LAG_DISCONNECT}};
    const struct config_row *row = config_scope_find(&config_scope_rule, SPAN("on_lag"));
    struct channel_rule rule = {0};
    struct error why = {0};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        EXPECT_EQ(value_set(row, &rule, span_of_string(rows[i].text), NULL), OK);
        EXPECT_EQ(rule.on_lag, rows[i].value);
    }
    EXPECT_EQ(value_set(row, &rule, SPAN("skip"), &why), ERR_CONFIG);
    EXPECT_NOT_NULL(strstr(why.detail, "auto, catch_up, conflate, drop, disconnect"));
    EXPECT_EQ(rule.on_lag, ON_LAG_DISCONNECT);
}

TEST(zero_means_nothing_but_in_the_row_whose_least_it_is) {
    const struct config_row *messages =
        config_scope_find(&config_scope_rule, SPAN("history.messages"));
    const struct config_row *bytes = config_scope_find(&config_scope_rule, SPAN("history.bytes"));
    struct channel_rule rule = {.history_messages_max = 5};
    struct error why = {0};
    EXPECT_EQ(value_set(messages, &rule, SPAN("0"), NULL), OK);
    EXPECT_EQ(rule.history_messages_max, 0);
    EXPECT_EQ(value_set(bytes, &rule, SPAN("0"), &why), ERR_CONFIG);
    EXPECT_NOT_NULL(strstr(why.detail, "write unlimited"));
}

TEST(list_takes_no_more_than_its_bound) {
    const struct config_row *row = config_scope_find(&config_scope_file, SPAN("public.hosts"));
    struct config config = {0};
    for (size_t i = 0; i < CONFIG_LIST_ITEMS_MAX; i++) {
        EXPECT_EQ(value_add_item(row, &config, SPAN("example.org"), NULL), OK);
    }
    EXPECT_EQ(value_add_item(row, &config, SPAN("example.org"), NULL), ERR_CONFIG);
    EXPECT_EQ(config.public_hosts.count, CONFIG_LIST_ITEMS_MAX);
    value_clear(row, &config);
    EXPECT_EQ(config.public_hosts.count, 0);
}

static void expect_written(const char *path, const char *text, const char *written) {
    const struct config_scope *scope = &config_scope_file;
    const struct config_row *row = config_scope_find(scope, span_of_string(path));
    struct config config = {0};
    struct buffer buffer;
    buffer_init(&buffer, VALUE_TEXT_BYTES_MAX);
    EXPECT_EQ(value_set(row, &config, span_of_string(text), NULL), OK);
    EXPECT_EQ(value_put(row, &config, &buffer), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), written);
    value_clear(row, &config);
    buffer_finish(&buffer);
}

TEST(values_are_written_as_they_are_typed) {
    expect_written("storage.bytes_max", "10240MiB", "\"10GiB\"");
    expect_written("limits.send_budget", "1000000", "\"1MB\"");
    expect_written("limits.send_budget", "4097", "\"4097\"");
    expect_written("limits.stall_timeout", "1500ms", "\"1500ms\"");
    expect_written("limits.stall_timeout", "24h", "\"1d\"");
    expect_written("limits.connections_per_address", "unlimited", "\"unlimited\"");
    expect_written("limits.connections", "70", "70");
    expect_written("public.listen", "[::1]:80", "\"[::1]:80\"");
    expect_written("open", "true", "true");
    expect_written("log.level", "warning", "\"warning\"");
    expect_written("data", "a \"b\"", "\"a \\\"b\\\"\"");
}

TEST(a_secret_is_written_as_set_and_no_more) {
    const struct config_row *row =
        config_scope_find(&config_scope_file, SPAN("auth.webhook.secret"));
    struct config config = {0};
    struct buffer buffer;
    buffer_init(&buffer, VALUE_TEXT_BYTES_MAX);
    EXPECT_EQ(value_put(row, &config, &buffer), OK);
    EXPECT_EQ(value_set(row, &config, SPAN("hunter2"), NULL), OK);
    EXPECT_EQ(value_put(row, &config, &buffer), OK);
    EXPECT_SPAN(buffer_borrow(&buffer), "null\"set\"");
    value_clear(row, &config);
    buffer_finish(&buffer);
}

/* What is written for a default is read back as the same value. */
TEST(every_default_survives_being_written) {
    struct config config = {0};
    struct config again = {0};
    for (size_t i = 0; i < config_scope_file.row_count; i++) {
        const struct config_row *row = &config_scope_file.rows[i];
        struct buffer buffer;
        if (row->default_text == NULL || config_row_must_be_given(row)) {
            continue;
        }
        buffer_init(&buffer, VALUE_TEXT_BYTES_MAX);
        EXPECT_EQ(value_set(row, &config, span_of_string(row->default_text), NULL), OK);
        bool is_off = row->type == CONFIG_SWITCH && strcmp(row->default_text, "false") == 0;
        bool is_first = choice_is(row->type) &&
                        *(const int *)(const void *)((const char *)&config + row->offset) == 0;
        bool is_nowhere =
            row->type == CONFIG_LISTENER && strcmp(row->default_text, EXPOSURE_OFF) == 0;
        bool is_zero = is_off || is_first || is_nowhere;
        EXPECT_EQ(value_is_equal(row, &config, &again), is_zero);
        EXPECT_EQ(value_put(row, &config, &buffer), OK);
        struct span text = buffer_borrow(&buffer);
        if (text.bytes[0] == '"') {
            text = span_of(text.bytes + 1, text.length - 2);
        }
        EXPECT_EQ(value_set(row, &again, text, NULL), OK);
        EXPECT_TRUE(value_is_equal(row, &config, &again));
        value_clear(row, &config);
        value_clear(row, &again);
        buffer_finish(&buffer);
    }
}

UNIT_TESTS(UNIT(sizes_have_units_of_thousands_and_of_1024s), UNIT(bad_sizes_say_why),
           UNIT(durations_need_a_unit), UNIT(addresses_are_read_and_written),
           UNIT(bad_addresses_are_refused), UNIT(networks_have_a_prefix_and_nothing_behind_it),
           UNIT(origins_have_no_path), UNIT(hosts_are_names_alone),
           UNIT(on_lag_takes_every_policy_and_no_other_word),
           UNIT(zero_means_nothing_but_in_the_row_whose_least_it_is),
           UNIT(list_takes_no_more_than_its_bound), UNIT(a_secret_is_written_as_set_and_no_more),
           UNIT(values_are_written_as_they_are_typed), UNIT(every_default_survives_being_written))

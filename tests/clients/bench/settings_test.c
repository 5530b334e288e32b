/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/settings.h"

#include <stdlib.h>

#include "tests/unit.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__})
#define PARSE(settings, leave, ...)                                                                \
    settings_parse(sizeof(WORDS(__VA_ARGS__)) / sizeof(char *), (char *const *)WORDS(__VA_ARGS__), \
                   settings, leave)

/* What the words make settings_parse leave with; -1: it goes on. */
static int leave_of(int count, char *const *words) {
    int leave = -1;
    struct settings settings;
    if (settings_parse(count, words, &settings, &leave)) {
        settings_finish(&settings);
        return -1;
    }
    return leave;
}

#define LEAVE_OF(...)                                                                              \
    leave_of(sizeof(WORDS(__VA_ARGS__)) / sizeof(char *), (char *const *)WORDS(__VA_ARGS__))
#define IS_REFUSED(...) (LEAVE_OF(__VA_ARGS__) == 2)

TEST(every_setting_has_a_default_of_its_own_kind) {
    struct settings settings;
    int leave;
    EXPECT_TRUE(settings_parse(0, NULL, &settings, &leave));
    EXPECT_EQ(settings.readers, 100);
    EXPECT_TRUE(settings.rate == 100);
    EXPECT_EQ(settings.duration, 10000000000);
    EXPECT_NULL(settings.pattern);
    EXPECT_STRING(settings.profile, "constant");
    EXPECT_FALSE(settings.hold);
    EXPECT_STRING(settings.publish_url, "http://localhost:8080");
    settings_finish(&settings);
}

TEST(a_flag_has_its_value_behind_it_or_behind_an_equals_sign) {
    struct settings settings;
    int leave;
    EXPECT_TRUE(PARSE(&settings, &leave, "--readers", "7", "--payload-bytes=100", "--quiet",
                      "--assert", "p99 < 1s", "--assert=p50 < 1s", "--rate=0", "--in-flight=4"));
    EXPECT_EQ(settings.readers, 7);
    EXPECT_EQ(settings.payload_bytes, 100);
    EXPECT_TRUE(settings.quiet);
    EXPECT_EQ(settings.assertion_count, 2);
    EXPECT_STRING(settings.assertions[1], "p50 < 1s");
    settings_finish(&settings);
}

TEST(wrong_words_are_refused) {
    EXPECT_TRUE(IS_REFUSED("--nonsense"));
    EXPECT_TRUE(IS_REFUSED("--payload_bytes", "64"));
    EXPECT_TRUE(IS_REFUSED("--readers"));
    EXPECT_TRUE(IS_REFUSED("--readers", "none"));
    EXPECT_TRUE(IS_REFUSED("--quiet=perhaps"));
    EXPECT_TRUE(IS_REFUSED("a.yaml", "b.yaml"));
    EXPECT_TRUE(IS_REFUSED("--assert", "p99"));
    EXPECT_TRUE(IS_REFUSED("--read", "pigeon"));
}

TEST(settings_that_contradict_each_other_are_refused) {
    EXPECT_TRUE(IS_REFUSED("--profile", "ramp"));
    EXPECT_TRUE(IS_REFUSED("--rate-to", "10"));
    EXPECT_TRUE(IS_REFUSED("--profile", "ramp", "--rate-to", "10", "--rate", "0"));
    EXPECT_TRUE(IS_REFUSED("--arrivals", "poisson", "--rate", "0"));
    EXPECT_TRUE(IS_REFUSED("--in-flight", "2"));
    EXPECT_TRUE(IS_REFUSED("--batch", "11"));
    EXPECT_TRUE(IS_REFUSED("--subscriptions", "2"));
    EXPECT_TRUE(IS_REFUSED("--subscriptions", "2", "--channels", "2"));
    EXPECT_FALSE(IS_REFUSED("--subscriptions", "2", "--channels", "2", "--read", "mqtt"));
    EXPECT_FALSE(IS_REFUSED("--subscriptions", "2", "--channels", "2", "--pattern", "bench/*"));
    EXPECT_TRUE(IS_REFUSED("--channels", "2", "--channel", "same"));
    EXPECT_TRUE(IS_REFUSED("--read", "history", "--preload", "9"));
    EXPECT_TRUE(IS_REFUSED("--read", "history", "--since", "earliest"));
    EXPECT_FALSE(IS_REFUSED("--read", "history", "--since", "earliest", "--preload", "9"));
    EXPECT_TRUE(IS_REFUSED("--read", "webhook"));
    EXPECT_TRUE(IS_REFUSED("--listen", "127.0.0.1:1"));
    EXPECT_TRUE(IS_REFUSED("--read", "rest"));
    EXPECT_TRUE(IS_REFUSED("--publish", "websocket"));
    EXPECT_TRUE(IS_REFUSED("--read", "none", "--publish", "none"));
    EXPECT_TRUE(IS_REFUSED("--slow-bytes", "2"));
    EXPECT_TRUE(IS_REFUSED("--duration", "0s"));
    EXPECT_FALSE(IS_REFUSED("--duration", "0s", "--preload", "9", "--since", "earliest"));
    EXPECT_FALSE(IS_REFUSED("--profile", "steps", "--rate-to", "9", "--preload", "9"));
    EXPECT_TRUE(IS_REFUSED("--profile", "steps", "--rate-to", "9", "--preload", "9", "--since",
                           "earliest"));
    EXPECT_TRUE(IS_REFUSED("--assert", "server.cpu < 1"));
    EXPECT_FALSE(IS_REFUSED("--assert", "server.cpu < 1", "--pid", "5", "--check"));
}

TEST(a_url_with_a_password_is_refused_without_telling_it) {
    static const char *const flags[] = {"--url", "--publish-url", "--read-url"};
    for (size_t i = 0; i < 3; i++) {
        EXPECT_TRUE(IS_REFUSED(flags[i], "http://bob:secret@broker:8080/x"));
        EXPECT_TRUE(IS_REFUSED(flags[i], "http://bob@broker"));
        EXPECT_FALSE(IS_REFUSED(flags[i], "http://broker/x@y", "--check"));
    }
}

TEST(the_host_is_told_once_for_all_protocols) {
    struct settings settings;
    int leave;
    EXPECT_TRUE(PARSE(&settings, &leave, "--url", "http://broker:81/x", "--read", "mqtt"));
    EXPECT_STRING(settings.publish_url, "http://broker:81/x");
    EXPECT_STRING(settings.read_url, "mqtt://broker");
    settings_finish(&settings);
    EXPECT_TRUE(PARSE(&settings, &leave, "--url", "mqtt://[::1]:81", "--publish", "mqtt"));
    EXPECT_STRING(settings.publish_url, "mqtt://[::1]:81");
    EXPECT_STRING(settings.read_url, "http://[::1]");
    settings_finish(&settings);
    EXPECT_TRUE(IS_REFUSED("--read-url", "mqtt://broker"));
}

TEST(a_url_of_no_protocol_of_the_load_is_refused) {
    EXPECT_TRUE(IS_REFUSED("--url", "rediss://broker"));
    EXPECT_TRUE(IS_REFUSED("--url", "broker"));
    EXPECT_TRUE(IS_REFUSED("--url", "pigeon://broker"));
    EXPECT_TRUE(IS_REFUSED("--read-url", "pigeon://broker"));
    EXPECT_TRUE(IS_REFUSED("--url", "mqtt://broker"));
    EXPECT_TRUE(IS_REFUSED("--url", "mqtt://broker", "--publish", "none"));
    EXPECT_FALSE(IS_REFUSED("--url", "mqtt://broker", "--publish", "mqtt"));
    EXPECT_FALSE(IS_REFUSED("--publish", "mqtt", "--read", "mqtt")); /* on this machine */
    EXPECT_FALSE(
        IS_REFUSED("--url", "mqtt://a", "--publish-url", "http://b", "--read-url", "http://c"));
}

TEST(who_asks_for_tls_has_it_on_both_sides) {
    struct settings settings;
    int leave;
    EXPECT_TRUE(PARSE(&settings, &leave, "--url", "wss://broker:81/x", "--read", "mqtt"));
    EXPECT_STRING(settings.publish_url, "https://broker:81/x");
    EXPECT_STRING(settings.read_url, "mqtts://broker");
    settings_finish(&settings);
    EXPECT_TRUE(IS_REFUSED("--url", "https://broker", "--read", "nats")); /* not in the clear */
    EXPECT_TRUE(IS_REFUSED("--read-url", "mqtts://broker"));
    EXPECT_FALSE(IS_REFUSED("--url", "https://a", "--read-url", "http://b"));
}

TEST(a_url_of_a_websocket_is_that_of_http) {
    struct settings settings;
    int leave;
    EXPECT_TRUE(PARSE(&settings, &leave, "--url", "ws://broker:81/x", "--publish-url", "WS://p"));
    EXPECT_STRING(settings.read_url, "http://broker:81/x");
    EXPECT_STRING(settings.publish_url, "http://p");
    settings_finish(&settings);
}

TEST(help_and_check_run_nothing) {
    EXPECT_EQ(LEAVE_OF("--help", "--nonsense"), 0);
    EXPECT_EQ(LEAVE_OF("--reference"), 0);
    EXPECT_EQ(LEAVE_OF("--check"), 0);
    EXPECT_EQ(LEAVE_OF("--check", "--readers", "x"), 2);
    struct settings settings;
    EXPECT_FALSE(PARSE(&settings, &(int){0}, "--check"));
}

TEST(a_setting_is_written_as_it_is_given) {
    struct settings settings;
    int leave;
    EXPECT_TRUE(PARSE(&settings, &leave, "--rate", "0.5", "--drain", "250ms", "--slow", "10%"));
    const struct settings_row *row;
    for (size_t i = 0; (row = settings_row_at(i)) != NULL; i++) {
        char text[64];
        settings_format(&settings, row, text, sizeof(text));
        EXPECT_STRING(text, strcmp(row->name, "rate") == 0          ? "0.5"
                            : strcmp(row->name, "drain") == 0       ? "250ms"
                            : strcmp(row->name, "slow") == 0        ? "0.1"
                            : strcmp(row->name, "publish_url") == 0 ? "http://localhost:8080"
                            : strcmp(row->name, "read_url") == 0    ? "http://localhost:8080"
                                                                    : row->fallback);
    }
    settings_finish(&settings);
}

int main(void) {
    unsetenv("TIDINGS_URL");
    const struct CMUnitTest tests[] = {
        UNIT(every_setting_has_a_default_of_its_own_kind),
        UNIT(a_flag_has_its_value_behind_it_or_behind_an_equals_sign),
        UNIT(wrong_words_are_refused),
        UNIT(settings_that_contradict_each_other_are_refused),
        UNIT(a_url_with_a_password_is_refused_without_telling_it),
        UNIT(the_host_is_told_once_for_all_protocols),
        UNIT(a_url_of_no_protocol_of_the_load_is_refused),
        UNIT(who_asks_for_tls_has_it_on_both_sides),
        UNIT(a_url_of_a_websocket_is_that_of_http),
        UNIT(help_and_check_run_nothing),
        UNIT(a_setting_is_written_as_it_is_given)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/sink_value.h"

#include "tests/unit.h"

typedef enum error_code check_text(struct span text, struct error *why);

/* Good texts begin with `+`, bad ones with `-`. */
static void expect_all(check_text *check, const char *const *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct error why = {0};
        bool is_good = check(span_of_string(texts[i] + 1), &why) == OK;
        if (is_good != (texts[i][0] == '+')) {
            EXPECT_STRING(texts[i], is_good ? "is taken" : why.detail);
        }
        EXPECT_EQ(is_good, why.detail[0] == '\0');
    }
}
#define EXPECT_ALL(check, ...)                                                                     \
    do {                                                                                           \
        static const char *const texts[] = {__VA_ARGS__};                                          \
        expect_all(check, texts, ARRAY_COUNT(texts));                                              \
    } while (0)

#define NAME_64 "0123456789012345678901234567890123456789012345678901234567890123"

TEST(names_are_small_and_can_stand_in_a_path) {
    EXPECT_ALL(sink_check_name, "+a", "+orders-2_eu.v1", "+0", "+" NAME_64, "-", "-" NAME_64 "4",
               "-A", "-.", "-..", "-.a", "--a", "-_a", "-a/b", "-a b", "-*", "-\xc3\xa9");
}

TEST(signing_secrets_are_those_of_standard_webhooks) {
    EXPECT_ALL(
        sink_check_signing_secret, "+whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "-MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "-whsec_", "-whsec_AAAA", "-whsec_!!",
        "-whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "-",
        "+whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4O"
        "To7PD0+Pw==",
        "-whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4O"
        "To7PD0+P0A=");
}

TEST(a_refused_secret_is_not_repeated) {
    struct error why = {0};
    EXPECT_EQ(sink_check_signing_secret(SPAN("whsec_c2VjcmV0"), &why), ERR_CONFIG);
    EXPECT_NULL(strstr(why.detail, "c2VjcmV0"));
    EXPECT_EQ(sink_check_header(SPAN("Host: sesame"), &why), ERR_CONFIG);
    EXPECT_NULL(strstr(why.detail, "sesame"));
    EXPECT_EQ(sink_check_option(SPAN("sasl.password=sesame"), &why), ERR_CONFIG);
    EXPECT_NULL(strstr(why.detail, "sesame"));
}

TEST(brokers_of_mqtt_are_a_host_and_a_port) {
    EXPECT_ALL(sink_check_mqtt_url, "+mqtt://a", "+mqtts://a.example:8883", "+mqtt://[::1]:1883",
               "+mqtt://127.0.0.1:65535", "-mqtt://", "-mqtt://me:secret@a", "-mqtt://a/b",
               "-mqtt://a:0", "-mqtt://a:65536", "-tcp://a", "-a:1883", "-", "-mqtt://a?b");
}

TEST(headers_are_those_that_a_request_has_not_anyway) {
    EXPECT_ALL(sink_check_header, "+Authorization: Bearer abc", "+x-a:b", "+X: \xc3\xa9",
               "-Content-Type: text/plain", "-webhook-id: 1", "-Webhook-Anything: 1",
               "-tidings-channel: a", "-HOST: a", "-content-length: 1", "-transfer-encoding: a",
               "-user-agent: a", "-a", "-: a", "-a b: c", "-a:", "-a: ", "-a: b\nc: d", "-a: \x7f");
}

TEST(options_are_shown_and_hold_no_secret) {
    EXPECT_ALL(sink_check_option, "+compression.type=zstd", "+a=b=c", "+ssl.key.location=/k",
               "-sasl.password=a", "-ssl.key.password=a", "-ssl.key.pem=a",
               "-sasl.oauthbearer.client.secret=a", "-a", "-=a", "-a=", "-A=b", "-a b=c", "-");
}

TEST(waits_are_neither_nothing_nor_for_ever) {
    EXPECT_ALL(sink_check_duration, "+10ms", "+5s", "+30d", "-9ms", "-0s", "-31d", "-5", "-", "-1w",
               "-unlimited");
}

TEST(a_source_begins_at_one_of_two_places) {
    EXPECT_ALL(sink_check_source_start, "+now", "+earliest", "-", "-Now", "-5m", "-1");
}

UNIT_TESTS(UNIT(names_are_small_and_can_stand_in_a_path),
           UNIT(signing_secrets_are_those_of_standard_webhooks),
           UNIT(a_refused_secret_is_not_repeated), UNIT(brokers_of_mqtt_are_a_host_and_a_port),
           UNIT(headers_are_those_that_a_request_has_not_anyway),
           UNIT(options_are_shown_and_hold_no_secret), UNIT(waits_are_neither_nothing_nor_for_ever),
           UNIT(a_source_begins_at_one_of_two_places))

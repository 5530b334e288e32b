/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/verdict.h"

#include <stdlib.h>

#include "clients/bench/measure.h"
#include "tests/unit.h"

/* 1,000 deliveries from 1 ms to 1,000 ms, and figures that are easy to divide. */
static struct result *make_result(struct settings *settings) {
    struct result *result = calloc(1, sizeof(*result));
    *settings = (struct settings){.readers = 10, .pid = 7};
    result->settings = settings;
    result->whole = (struct result_step){
        .rate = 50,
        .seconds = 2,
        .delivery_seconds = 4,
        .counts = {.due = 120,
                   .published = 100,
                   .in_time = 60,
                   .answered = 90,
                   .refused = 3,
                   .unanswered = 7,
                   .delivered = 1000,
                   .expected = 1100,
                   .lost = 110,
                   .duplicates = 10,
                   .reordered = 5,
                   .foreign = 6,
                   .connected = 12,
                   .unconnected = 1,
                   .closed = 2},
        .delivery = histogram_create(),
        .answer = histogram_create(),
        .server_cpu_s = 0.5,
        .server_seconds = 4,
    };
    for (uint64_t ms = 1; ms <= 1000; ms++) {
        histogram_add(result->whole.delivery, ms * 1000000);
    }
    result->connect = histogram_create();
    histogram_add(result->connect, 3000);
    result->connect_seconds = 5;
    result->connect_cpu_s = 0.001;
    result->server_rss_before_bytes = 1 << 20;
    result->server_rss_after_bytes = (1 << 20) + 20480;
    result->server_rss_highest_bytes = 3 << 20;
    return result;
}

static void free_result(struct result *result) {
    free(result->whole.delivery);
    free(result->whole.answer);
    free(result->connect);
    free(result);
}

static void expect_verdict(const struct result *result, struct settings *settings,
                           const char *assertion, bool holds, const char *measured) {
    struct verdict verdicts[SETTINGS_ASSERTIONS_MAX];
    EXPECT_NULL(verdict_check(assertion));
    settings->assertions[0] = assertion;
    settings->assertion_count = 1;
    EXPECT_EQ(verdict_judge(result, &result->whole, verdicts), holds ? 0 : 1);
    EXPECT_STRING(verdicts[0].assertion, assertion);
    EXPECT_STRING(verdicts[0].measured, measured);
    EXPECT_EQ(verdicts[0].holds, holds);
}

TEST(each_measure_is_what_its_name_says) {
    static const struct {
        const char *assertion;
        bool holds;
        const char *measured;
    } claims[] = {
        {"p50 < 501ms", true, "500ms"},
        {"p50 < 500ms", false, "500ms"},
        {"p90<=0.901s", true, "900ms"},
        {"p95 > 949ms", true, "950ms"},
        {"p99.95 <= 1s", true, "1.00s"},
        {"max == 1s", true, "1.00s"},
        {"max != 1s", false, "1.00s"},
        {"mean >= 500ms", true, "500ms"},
        {"connect.p50 < 4us", true, "3.00us"},
        {"connect.max == 3us", true, "3.00us"},
        {"connect.rate == 2/s", true, "2/s"},
        {"publish.rate >= 50", true, "50/s"},
        {"answer.rate == 45/s", true, "45/s"},
        {"delivery.rate >= 251/s", false, "250/s"},
        {"published > 49%", true, "50%"},
        {"delivered == 0.9", true, "90%"},
        {"lost == 0", false, "110"},
        {"lost <= 1k", true, "110"},
        {"duplicates == 10", true, "10"},
        {"reordered == 5", true, "5"},
        {"foreign == 6", true, "6"},
        {"refused == 3", true, "3"},
        {"unanswered == 7", true, "7"},
        {"closed == 2", true, "2"},
        {"unconnected != 0", true, "1"},
        {"server.cpu <= 12.5%", true, "12.5%"},
        {"server.cpu_per_delivery == 500us", true, "500us"},
        {"server.cpu_per_publish == 5ms", true, "5.00ms"},
        {"server.cpu_per_connect == 100us", true, "100us"},
        {"server.rss_per_connection <= 2KiB", true, "2.00KiB"},
        {"server.rss_max < 3MiB", false, "3.00MiB"},
    };
    struct settings settings;
    struct result *result = make_result(&settings);
    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        expect_verdict(result, &settings, claims[i].assertion, claims[i].holds, claims[i].measured);
    }
    free_result(result);
}

TEST(what_was_not_measured_never_holds) {
    static const char *const claims[] = {"answer.p99 < 1s", "answer.p99 >= 0s", "answer.mean != 1s",
                                         "server.cpu_per_delivery < 1s", "server.rss_max < 1GiB"};
    struct settings settings;
    struct result *result = make_result(&settings);
    settings.pid = 0;
    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        expect_verdict(result, &settings, claims[i], false, "not measured");
    }
    free(result->whole.answer);
    result->whole.answer = NULL;
    expect_verdict(result, &settings, "answer.max < 1s", false, "not measured");
    result->whole.counts.expected = 0;
    expect_verdict(result, &settings, "delivered == 100%", false, "not measured");
    settings.pid = 7;
    result->whole.server_cpu_s = result->connect_cpu_s = -1; /* the process is gone */
    expect_verdict(result, &settings, "server.cpu < 100%", false, "not measured");
    expect_verdict(result, &settings, "server.cpu_per_delivery < 1s", false, "not measured");
    expect_verdict(result, &settings, "server.cpu_per_connect < 1s", false, "not measured");
    free_result(result);
}

TEST(a_wrong_assertion_is_told_in_words) {
    static const struct {
        const char *assertion;
        const char *told;
    } faults[] = {
        {"", "an assertion is MEASURE OPERATOR VALUE: p99 < 30ms"},
        {" p99 < 30ms", "an assertion is MEASURE OPERATOR VALUE: p99 < 30ms"},
        {"p998 < 30ms", "there is no such measure; the nearest is p99"},
        {"loss == 0", "there is no such measure; the nearest is lost"},
        {"sever.rss_max < 1MiB", "there is no such measure; the nearest is server.rss_max"},
        {"p99", "behind the measure comes <, <=, >, >=, == or !="},
        {"p99 = 30ms", "behind the measure comes <, <=, >, >=, == or !="},
        {"p99 =< 30ms", "behind the measure comes <, <=, >, >=, == or !="},
        {"p99 < 30", "is a time with its unit: 30ms, 250us or 1.5s"},
        {"p99 < 30ms or so", "is a time with its unit: 30ms, 250us or 1.5s"},
        {"lost == 0.5", "is a whole number: 1000, 100k or 1M"},
        {"server.rss_max < 5", "is a size with its unit: 1500B, 1.5KiB or 2MiB"},
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        const char *told = verdict_check(faults[i].assertion);
        EXPECT_NOT_NULL(told);
        EXPECT_STRING(told, faults[i].told);
    }
    EXPECT_NOT_NULL(verdict_check("p0 < 1s"));
    EXPECT_NOT_NULL(verdict_check("p101 < 1s"));
    EXPECT_NOT_NULL(verdict_check("p9.9.9 < 1s"));
    EXPECT_NOT_NULL(verdict_check("p99999999999999999999999999999999999999999999 < 1s"));
}

/* Steps break at 300 messages a second, and are well again at 500, which does not count. */
TEST(steps_are_judged_by_the_last_before_the_first_that_breaks) {
    struct settings settings;
    struct result *result = make_result(&settings);
    EXPECT_TRUE(verdict_subject(result) == &result->whole);
    settings.assertions[0] = "lost == 0";
    settings.assertion_count = 1;
    result->step_count = 5;
    result->steps[2].counts.lost = 1;
    result->steps[3].counts.lost = 1;
    EXPECT_TRUE(verdict_subject(result) == &result->steps[1]);
    result->steps[0].counts.lost = 1;
    EXPECT_TRUE(verdict_subject(result) == &result->steps[0]);
    free_result(result);
}

TEST(each_measure_of_the_help_can_be_asserted) {
    char *help = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&help, &size);
    verdict_write_help(stream);
    fclose(stream);
    const struct measure *measure;
    for (size_t i = 0; (measure = measure_at(i)) != NULL; i++) {
        static const char *const values[] = {
            [QUANTITY_COUNT] = "0",   [QUANTITY_DURATION] = "1ms", [QUANTITY_RATE] = "1/s",
            [QUANTITY_SHARE] = "50%", [QUANTITY_SIZE] = "1KiB",
        };
        char assertion[80];
        const char *dot = strchr(measure->name, '.'); /* a family's name stands there once */
        EXPECT_NOT_NULL(strstr(help, dot != NULL ? dot : measure->name));
        snprintf(assertion, sizeof(assertion), "%s < %s", measure->name, values[measure->quantity]);
        EXPECT_NULL(verdict_check(assertion));
    }
    free(help);
}

UNIT_TESTS(UNIT(each_measure_is_what_its_name_says), UNIT(what_was_not_measured_never_holds),
           UNIT(a_wrong_assertion_is_told_in_words),
           UNIT(steps_are_judged_by_the_last_before_the_first_that_breaks),
           UNIT(each_measure_of_the_help_can_be_asserted))

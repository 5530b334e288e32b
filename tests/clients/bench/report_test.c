/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/report.h"

#include <jansson.h>
#include <stdlib.h>

#include "tests/clients/bench/sample.h"
#include "tests/unit.h"

/* What a report writes; the caller frees. */
static void write_report(enum sample kind, int (*write)(const struct result *result, FILE *stream),
                         char **ret_text) {
    struct result *result = sample_create(kind);
    size_t size = 0;
    FILE *stream = open_memstream(ret_text, &size);
    EXPECT_EQ(write(result, stream), 0);
    fclose(stream);
    sample_destroy(result);
}

static int write_text(const struct result *result, FILE *stream) {
    report_write_text(result, stream);
    return 0;
}

static json_t *read_document(enum sample kind) {
    char *text = NULL;
    write_report(kind, report_write_json, &text);
    json_t *document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    EXPECT_TRUE(json_is_object(document));
    return document;
}

static double number_at(json_t *document, const char *object, const char *name) {
    json_t *value = json_object_get(json_object_get(document, object), name);
    EXPECT_TRUE(json_is_number(value));
    return json_number_value(value);
}

TEST(the_document_has_the_figures_under_their_names) {
    json_t *document = read_document(SAMPLE_GOOD);
    EXPECT_TRUE(json_is_true(json_object_get(document, "holds")));
    EXPECT_EQ(json_array_size(json_object_get(document, "assertions")), 4);
    EXPECT_EQ(json_array_size(json_object_get(document, "series")), 60);
    EXPECT_EQ(json_array_size(json_object_get(document, "steps")), 0);
    EXPECT_TRUE(json_is_null(json_object_get(document, "limit")));
    EXPECT_STRING(json_string_value(json_object_get(document, "started")), "2026-02-02T02:40:00Z");
    EXPECT_EQ(number_at(document, "measures", "publish.rate"), 1000);
    EXPECT_EQ(number_at(document, "measures", "server.cpu_per_delivery"), 480);
    EXPECT_EQ(number_at(document, "measures", "server.rss_per_connection"), 2100);
    EXPECT_EQ(number_at(document, "measures", "delivered"), 1);
    json_t *whole = json_object_get(document, "whole");
    EXPECT_EQ(number_at(whole, "counts", "delivered"), 60000000);
    json_t *settings = json_object_get(document, "settings");
    EXPECT_STRING(json_string_value(json_object_get(settings, "duration")), "1m");
    json_decref(document);
}

/* The axis of the page is made for it: percentiles that go up, latencies that do not go down. */
TEST(a_curve_goes_up_to_the_highest) {
    json_t *document = read_document(SAMPLE_BAD);
    json_t *delivery = json_object_get(json_object_get(document, "whole"), "delivery");
    json_t *curve = json_object_get(delivery, "curve");
    double last_percent = -1;
    double last_value = 0;
    for (size_t i = 0; i < json_array_size(curve); i++) {
        json_t *point = json_array_get(curve, i);
        double percent = json_number_value(json_array_get(point, 0));
        double value = json_number_value(json_array_get(point, 1));
        EXPECT_TRUE(percent > last_percent);
        EXPECT_TRUE(value >= last_value);
        last_percent = percent;
        last_value = value;
    }
    EXPECT_TRUE(last_percent == 100);
    EXPECT_EQ(last_value, json_number_value(json_object_get(delivery, "max_ns")));
    json_decref(document);
}

TEST(a_capacity_test_tells_the_last_rate_that_held) {
    json_t *document = read_document(SAMPLE_STEPS);
    EXPECT_EQ(json_array_size(json_object_get(document, "steps")), 8);
    double limit = json_number_value(json_object_get(document, "limit"));
    json_decref(document);
    char *text = NULL;
    write_report(SAMPLE_STEPS, write_text, &text);
    EXPECT_TRUE(limit > 0 && limit < 7000);
    EXPECT_NOT_NULL(strstr(text, "limit: "));
    EXPECT_NOT_NULL(strstr(text, "broken\n"));
    /* The figures on top are of all steps, those that are judged of one. */
    EXPECT_NOT_NULL(strstr(text, "\n\nof all steps together:\nconnected "));
    EXPECT_NOT_NULL(strstr(text, "\n\nof the step of 6,000/s:\nholds   p99 < 30ms "));
    free(text);
}

/* A scenario that is read again is the same load: what differs from the defaults stands there. */
TEST(the_scenario_is_what_differs_from_the_defaults) {
    json_t *document = read_document(SAMPLE_GOOD);
    const char *scenario = json_string_value(json_object_get(document, "scenario"));
    EXPECT_NOT_NULL(strstr(scenario, "readers: 1000\n"));
    EXPECT_NOT_NULL(strstr(scenario, "arrivals: poisson\n"));
    EXPECT_NOT_NULL(strstr(scenario, "assert:\n  - \"p99 < 30ms\"\n  - \"lost == 0\"\n"));
    EXPECT_NULL(strstr(scenario, "payload_bytes"));
    EXPECT_NULL(strstr(scenario, "read_url"));
    EXPECT_NULL(strstr(scenario, "pid"));
    json_decref(document);
}

TEST(what_was_not_measured_is_null_in_json_and_a_dash_in_text) {
    json_t *document = read_document(SAMPLE_EMPTY);
    EXPECT_TRUE(json_is_false(json_object_get(document, "holds")));
    EXPECT_TRUE(json_is_null(json_object_get(json_object_get(document, "measures"), "p99")));
    EXPECT_TRUE(json_is_null(json_object_get(json_object_get(document, "whole"), "delivery")));
    json_decref(document);
    char *text = NULL;
    write_report(SAMPLE_EMPTY, write_text, &text);
    EXPECT_NOT_NULL(strstr(text, "BROKEN  p99 < 30ms"));
    EXPECT_NOT_NULL(strstr(text, "not measured"));
    free(text);
}

TEST(the_text_has_each_count_latency_and_verdict) {
    static const char *const parts[] = {
        "a thousand messages a second: 4 x rest publish, 1,000 x websocket read, 1 channel, 64B\n",
        " 1,000/s   100% of what was due\n",
        "connected           1,000          3,226/s\n",
        "faults     none\n",
        "p99.99",
        "delivery ",
        "answer ",
        "connect ",
        "CPU 480ns a delivery, 480us a message",
        "2.05KiB a connection",
        "holds   lost == 0"};
    char *text = NULL;
    write_report(SAMPLE_GOOD, write_text, &text);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        EXPECT_NOT_NULL(strstr(text, parts[i]));
    }
    free(text);
    write_report(SAMPLE_BAD, write_text, &text);
    EXPECT_NOT_NULL(strstr(text, "interrupted"));
    EXPECT_NOT_NULL(strstr(text, "faults     1,203 lost, 4 duplicates, 17 reordered, 3 closed\n"));
    EXPECT_NOT_NULL(strstr(text, "BROKEN  lost == 0"));
    free(text);
}

/* A closed model has no schedule to be behind of; memory by few readers is the server's own. */
TEST(the_text_tells_no_share_of_a_schedule_and_no_memory_that_there_is_not) {
    struct result *result = sample_create(SAMPLE_GOOD);
    struct settings settings = *result->settings;
    settings.rate = 0;
    settings.readers = 99;
    result->settings = &settings;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    report_write_text(result, stream);
    fclose(stream);
    EXPECT_NULL(strstr(text, "of what was due"));
    EXPECT_NOT_NULL(strstr(text, "of what was expected"));
    EXPECT_NULL(strstr(text, "a connection"));
    EXPECT_NOT_NULL(strstr(text, "at most"));
    free(text);
    sample_destroy(result);
}

/* Names are anybody's: they are data in the page, and cannot end the element that they are in. */
TEST(a_page_has_its_document_and_no_way_out_of_it) {
    char *page = NULL;
    write_report(SAMPLE_HOSTILE, report_write_html, &page);
    EXPECT_TRUE(strstr(page, "{{") == strstr(page, "{{report.js}} ")); /* that of the document */
    EXPECT_NULL(strstr(page, "<script>window.hacked"));
    EXPECT_NULL(strstr(page, "<img"));
    const char *start = strstr(page, "id=\"document\">") + strlen("id=\"document\">");
    const char *end = strstr(start, "</script>");
    json_t *document = json_loadb(start, (size_t)(end - start), 0, NULL);
    EXPECT_STRING(json_string_value(json_object_get(document, "name")),
                  "<script>window.hacked = 1</script><!-- </script> & \"quoted\"");
    json_decref(document);
    free(page);
}

TEST(a_report_that_cannot_be_written_is_told) {
    struct result *result = sample_create(SAMPLE_GOOD);
    FILE *stream = fopen("/dev/full", "we");
    EXPECT_EQ(report_write_html(result, stream), -1);
    EXPECT_EQ(report_write_json(result, stream), -1);
    fclose(stream);
    sample_destroy(result);
}

UNIT_TESTS(UNIT(the_document_has_the_figures_under_their_names),
           UNIT(a_curve_goes_up_to_the_highest),
           UNIT(a_capacity_test_tells_the_last_rate_that_held),
           UNIT(the_scenario_is_what_differs_from_the_defaults),
           UNIT(what_was_not_measured_is_null_in_json_and_a_dash_in_text),
           UNIT(the_text_has_each_count_latency_and_verdict),
           UNIT(the_text_tells_no_share_of_a_schedule_and_no_memory_that_there_is_not),
           UNIT(a_page_has_its_document_and_no_way_out_of_it),
           UNIT(a_report_that_cannot_be_written_is_told))

/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/document.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/bench/bytes.h"
#include "clients/bench/fail.h"
#include "clients/bench/measure.h"
#include "clients/bench/scenario.h"
#include "clients/bench/verdict.h"

#define TEXT_BYTES SCENARIO_BYTES_MAX /* a word of a command line is shorter */
#define POINTS_A_HALVING 8
#define PLAIN_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./_:-"

static void set(json_t *object, const char *name, json_t *value) {
    if (json_object_set_new(object, name, value) != 0) {
        bench_fail("out of memory for the report");
    }
}

static void append(json_t *array, json_t *value) {
    if (json_array_append_new(array, value) != 0) {
        bench_fail("out of memory for the report");
    }
}

/* Words of a command line need not be UTF-8; what is not is replaced. */
static json_t *make_text(const char *text) {
    json_t *string = json_string(text);
    if (string == NULL) {
        char *plain = strdup(text);
        for (char *letter = plain; letter != NULL && *letter != '\0'; letter++) {
            *letter = (signed char)*letter < 0 ? '?' : *letter;
        }
        string = plain != NULL ? json_string(plain) : NULL;
        free(plain);
    }
    return string;
}

static json_t *make_count(uint64_t count) {
    return json_integer(count <= INT64_MAX ? (json_int_t)count : INT64_MAX);
}

/* Whole where it is whole: 12, not 12.0. */
static json_t *make_number(double number) {
    if (floor(number) == number && fabs(number) < 0x1p53) {
        return json_integer((json_int_t)number);
    }
    return isfinite(number) ? json_real(number) : json_null();
}

static json_t *make_cpu(double seconds) {
    return seconds < 0 ? json_null() : make_number(seconds);
}

/* --- the load ------------------------------------------------------------------------------- */

static json_t *make_time(uint64_t unix_ms) {
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts;
    char text[40] = "";
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return json_string(text);
}

/* The caller frees it. */
static char *make_setting(const struct settings *settings, const struct settings_row *row) {
    char *text = malloc(TEXT_BYTES);
    if (text == NULL) {
        bench_fail("out of memory for the report");
    }
    settings_format(settings, row, text, TEXT_BYTES);
    return text;
}

static json_t *make_settings(const struct settings *settings) {
    json_t *object = json_object();
    const struct settings_row *row;
    for (size_t i = 0; (row = settings_row_at(i)) != NULL; i++) {
        char *text = make_setting(settings, row);
        if (text[0] != '\0') {
            set(object, row->name, make_text(text));
        }
        free(text);
    }
    json_t *assertions = json_array();
    for (size_t i = 0; i < settings->assertion_count; i++) {
        append(assertions, make_text(settings->assertions[i]));
    }
    set(object, "assert", assertions);
    return object;
}

/* Where the results go, and of which process, is no matter of the load. */
static bool is_of_scenario(const struct settings_row *row) {
    static const char *const others[] = {"json", "html", "quiet", "pid"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(row->name, others[i]) == 0) {
            return false;
        }
    }
    return true;
}

/* A JSON string is a YAML scalar, whatever is in it. */
static void put_scalar(struct bytes *yaml, const char *text) {
    json_t *string = make_text(text);
    char *quoted = json_dumps(string, JSON_ENCODE_ANY);
    size_t length = strlen(text);
    bool is_plain = length > 0 && strchr("-:.", text[0]) == NULL && text[length - 1] != ':' &&
                    strspn(text, PLAIN_LETTERS) == length;
    bytes_put_format(yaml, "%s\n", is_plain ? text : quoted != NULL ? quoted : "\"\"");
    free(quoted);
    json_decref(string);
}

/* What differs from what stands unless told, as a scenario file. */
static json_t *make_scenario(const struct settings *settings) {
    struct bytes yaml = {0};
    const struct settings_row *row;
    for (size_t i = 0; (row = settings_row_at(i)) != NULL; i++) {
        char *text = make_setting(settings, row);
        bool is_own_url =
            strcmp(row->name, "publish_url") == 0 || strcmp(row->name, "read_url") == 0;
        bool is_same = is_own_url && settings->url != NULL && strcmp(text, settings->url) == 0;
        if (is_of_scenario(row) && strcmp(text, row->fallback) != 0 && !is_same) {
            bytes_put_format(&yaml, "%s: ", row->name);
            put_scalar(&yaml, text);
        }
        free(text);
    }
    for (size_t i = 0; i < settings->assertion_count; i++) {
        bytes_put_format(&yaml, "%s  - ", i == 0 ? "assert:\n" : "");
        put_scalar(&yaml, settings->assertions[i]);
    }
    bytes_put(&yaml, "", 1);
    json_t *scenario = make_text((const char *)yaml.data);
    bytes_finish(&yaml);
    return scenario;
}

/* --- what was measured ---------------------------------------------------------------------- */

static json_t *make_point(double percent, uint64_t value) {
    json_t *point = json_array();
    append(point, make_number(percent));
    append(point, make_count(value));
    return point;
}

/* Points that lie evenly where the axis is the logarithm of 1 / (1 - share), up to the last that
 * one value more than the highest could tell from it. */
static json_t *make_curve(const struct histogram *histogram) {
    json_t *curve = json_array();
    for (unsigned i = 0; i + 1 < DOCUMENT_POINTS_MAX; i++) {
        double rest = exp2(-(double)i / POINTS_A_HALVING);
        if (rest * (double)histogram->total < 1) {
            break;
        }
        double percent = 100 * (1 - rest);
        append(curve, make_point(percent, histogram_percentile(histogram, percent)));
    }
    append(curve, make_point(100, histogram->highest));
    return curve;
}

static json_t *make_distribution(const struct histogram *histogram) {
    if (histogram == NULL || histogram->total == 0) {
        return json_null();
    }
    json_t *object = json_object();
    set(object, "count", make_count(histogram->total));
    set(object, "min_ns", make_count(histogram->lowest));
    set(object, "mean_ns", make_number(round(histogram_mean(histogram))));
    set(object, "max_ns", make_count(histogram->highest));
    set(object, "curve", make_curve(histogram));
    return object;
}

static json_t *make_counts(const struct counts *counts) {
    static const struct {
        const char *name;
        size_t at;
    } rows[] = {
        {"due", offsetof(struct counts, due)},
        {"published", offsetof(struct counts, published)},
        {"in_time", offsetof(struct counts, in_time)},
        {"answered", offsetof(struct counts, answered)},
        {"refused", offsetof(struct counts, refused)},
        {"unanswered", offsetof(struct counts, unanswered)},
        {"expected", offsetof(struct counts, expected)},
        {"delivered", offsetof(struct counts, delivered)},
        {"delivered_bytes", offsetof(struct counts, delivered_bytes)},
        {"lost", offsetof(struct counts, lost)},
        {"duplicates", offsetof(struct counts, duplicates)},
        {"reordered", offsetof(struct counts, reordered)},
        {"foreign", offsetof(struct counts, foreign)},
        {"connected", offsetof(struct counts, connected)},
        {"unconnected", offsetof(struct counts, unconnected)},
        {"closed", offsetof(struct counts, closed)},
    };
    json_t *object = json_object();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t count;
        memcpy(&count, (const char *)counts + rows[i].at, sizeof(count));
        set(object, rows[i].name, make_count(count));
    }
    return object;
}

static json_t *make_measures(const struct result *result, const struct result_step *step) {
    json_t *object = json_object();
    const struct measure *measure;
    for (size_t i = 0; (measure = measure_at(i)) != NULL; i++) {
        double value;
        bool is_there = measure_get(measure, result, step, &value);
        set(object, measure->name, is_there ? make_number(value) : json_null());
    }
    return object;
}

static json_t *make_step(const struct result *result, const struct result_step *step) {
    struct verdict verdicts[SETTINGS_ASSERTIONS_MAX];
    json_t *object = json_object();
    set(object, "rate", make_number(step->rate));
    set(object, "seconds", make_number(step->seconds));
    set(object, "delivery_seconds", make_number(step->delivery_seconds));
    set(object, "server_cpu_s", make_cpu(step->server_cpu_s));
    set(object, "holds", json_boolean(verdict_judge(result, step, verdicts) == 0));
    set(object, "counts", make_counts(&step->counts));
    set(object, "measures", make_measures(result, step));
    set(object, "delivery", make_distribution(step->delivery));
    set(object, "answer", make_distribution(step->answer));
    return object;
}

/* The steps, and the rate of the last that held: what the server can. */
static void set_steps(json_t *document, const struct result *result,
                      const struct result_step *subject) {
    struct verdict verdicts[SETTINGS_ASSERTIONS_MAX];
    json_t *steps = json_array();
    for (size_t i = 0; i < result->step_count; i++) {
        append(steps, make_step(result, &result->steps[i]));
    }
    set(document, "steps", steps);
    bool has_limit = result->step_count > 0 && verdict_judge(result, subject, verdicts) == 0;
    set(document, "limit", has_limit ? make_number(subject->rate) : json_null());
}

static void set_verdict(json_t *document, const struct result *result,
                        const struct result_step *subject) {
    struct verdict verdicts[SETTINGS_ASSERTIONS_MAX];
    size_t broken = verdict_judge(result, subject, verdicts);
    json_t *assertions = json_array();
    for (size_t i = 0; i < result->settings->assertion_count; i++) {
        json_t *object = json_object();
        set(object, "assertion", make_text(verdicts[i].assertion));
        set(object, "holds", json_boolean(verdicts[i].holds));
        set(object, "measured", make_text(verdicts[i].measured));
        append(assertions, object);
    }
    set(document, "holds", json_boolean(broken == 0));
    set(document, "assertions", assertions);
}

static json_t *make_connect(const struct result *result) {
    json_t *object = json_object();
    set(object, "seconds", make_number(result->connect_seconds));
    set(object, "server_cpu_s", make_cpu(result->connect_cpu_s));
    set(object, "latency", make_distribution(result->connect));
    return object;
}

static json_t *make_memory(const struct result *result) {
    json_t *object = json_object();
    set(object, "before_bytes", make_count(result->server_rss_before_bytes));
    set(object, "after_bytes", make_count(result->server_rss_after_bytes));
    set(object, "highest_bytes", make_count(result->server_rss_highest_bytes));
    return object;
}

static json_t *make_series(const struct result *result) {
    json_t *series = json_array();
    for (size_t i = 0; i < result->second_count; i++) {
        const struct result_second *second = &result->seconds[i];
        json_t *row = json_object();
        set(row, "from_s", make_number(second->from_s));
        set(row, "length_s", make_number(second->length_s));
        set(row, "due", make_count(second->due));
        set(row, "published", make_count(second->published));
        set(row, "delivered", make_count(second->delivered));
        set(row, "p50_ns", make_count(second->p50_ns));
        set(row, "p99_ns", make_count(second->p99_ns));
        set(row, "max_ns", make_count(second->highest_ns));
        append(series, row);
    }
    return series;
}

json_t *document_create(const struct result *result) {
    const struct settings *settings = result->settings;
    const struct result_step *subject = verdict_subject(result);
    json_t *document = json_object();
    set(document, "tool", json_string("tidings bench"));
    set(document, "version", json_string(TIDINGS_VERSION));
    set(document, "name", make_text(settings->name != NULL ? settings->name : ""));
    set(document, "description",
        make_text(settings->description != NULL ? settings->description : ""));
    set(document, "started", make_time(result->started_unix_ms));
    set(document, "interrupted", json_boolean(result->signal != 0));
    set_verdict(document, result, subject);
    set(document, "measures", make_measures(result, subject));
    set(document, "whole", make_step(result, &result->whole));
    set_steps(document, result, subject);
    set(document, "connect", make_connect(result));
    set(document, "server_memory", make_memory(result));
    set(document, "series", make_series(result));
    set(document, "settings", make_settings(settings));
    set(document, "scenario", make_scenario(settings));
    return document;
}

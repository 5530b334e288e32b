/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "clients/bench/measure.h"
#include "clients/bench/protocol.h"
#include "clients/bench/report.h"
#include "clients/bench/verdict.h"

#define SIZE_TEXT QUANTITY_BYTES

/* "-" where it was not measured. */
static const char *measured(const struct result *result, const struct result_step *step,
                            const char *name, char text[SIZE_TEXT]) {
    struct measure measure;
    double value;
    snprintf(text, SIZE_TEXT, "-");
    if (measure_find(name, strlen(name), &measure) && measure_get(&measure, result, step, &value)) {
        quantity_format(measure.quantity, value, text, SIZE_TEXT);
    }
    return text;
}

static const char *counted(uint64_t count, char text[SIZE_TEXT]) {
    quantity_format(QUANTITY_COUNT, (double)count, text, SIZE_TEXT);
    return text;
}

static bool is_used(const char *protocol) {
    return protocol != NULL && strcmp(protocol, "none") != 0;
}

/* A load that holds its readers publishes nothing. */
static bool is_publishing(const struct settings *settings) {
    return is_used(settings->publish) && !settings->hold;
}

/* What the load was, in a line. */
static void write_load(const struct result *result, FILE *stream) {
    const struct settings *settings = result->settings;
    char text[SIZE_TEXT];
    if (settings->name != NULL) {
        fprintf(stream, "%s: ", settings->name);
    }
    const char *comma = "";
    if (is_publishing(settings)) {
        fprintf(stream, "%s x %s publish", counted(settings->publishers, text), settings->publish);
        comma = ", ";
    }
    if (is_used(settings->read)) {
        fprintf(stream, "%s%s x %s read", comma, counted(settings->readers, text), settings->read);
    }
    fprintf(stream, ", %s channel%s, %" PRIu64 "B%s\n\n", counted(settings->channels, text),
            settings->channels == 1 ? "" : "s", settings->payload_bytes,
            result->signal != 0 ? "; interrupted" : "");
}

/* Which figures these are, where there are several: all steps, or one. */
static void write_scope(const struct result *result, const struct result_step *step, FILE *stream) {
    char text[SIZE_TEXT];
    if (step == &result->whole) {
        fputs("of all steps together:\n", stream);
    } else {
        quantity_format(QUANTITY_RATE, step->rate, text, sizeof(text));
        fprintf(stream, "of the step of %s:\n", text);
    }
}

static bool is_answered(const struct settings *settings) {
    return is_publishing(settings) && protocol_find(settings->publish)->is_answered;
}

static bool is_reading(const struct settings *settings) {
    return is_used(settings->read);
}

/* Where the server connects, how fast is its own. */
static bool is_connecting(const struct settings *settings) {
    return is_used(settings->read) && !protocol_find(settings->read)->is_listening;
}

static void write_counts(const struct result *result, FILE *stream) {
    static const struct {
        const char *title;
        size_t at;
        const char *rate;
        const char *share;
        const char *of;
        bool (*is_told)(const struct settings *settings);
    } rows[] = {
        {"connected", offsetof(struct counts, connected), "connect.rate", NULL, NULL,
         is_connecting},
        {"published", offsetof(struct counts, published), "publish.rate", "published",
         "of what was due", is_publishing},
        {"answered", offsetof(struct counts, answered), "answer.rate", NULL, NULL, is_answered},
        {"delivered", offsetof(struct counts, delivered), "delivery.rate", "delivered",
         "of what was expected", is_reading},
    };
    const struct settings *settings = result->settings;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct result_step *whole = &result->whole;
        uint64_t count;
        char number[SIZE_TEXT];
        char rate[SIZE_TEXT];
        char share[SIZE_TEXT] = "-";
        memcpy(&count, (const char *)&whole->counts + rows[i].at, sizeof(count));
        if (!rows[i].is_told(settings)) {
            continue;
        }
        fprintf(stream, "%-10s %14s %16s", rows[i].title, counted(count, number),
                measured(result, whole, rows[i].rate, rate));
        bool is_scheduled = settings->rate > 0; /* else what is sent is what was due */
        if (rows[i].share != NULL && (is_scheduled || rows[i].is_told != is_publishing) &&
            measured(result, whole, rows[i].share, share)[0] != '-') {
            fprintf(stream, "   %s %s", share, rows[i].of);
        }
        fputc('\n', stream);
    }
}

/* What went wrong; where nothing did, one line says so. */
static void write_faults(const struct result *result, FILE *stream) {
    static const char *const names[] = {"lost",    "duplicates", "reordered", "foreign",
                                        "refused", "unanswered", "closed",    "unconnected"};
    const char *comma = "faults     ";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char text[SIZE_TEXT];
        if (strcmp(measured(result, &result->whole, names[i], text), "0") != 0) {
            fprintf(stream, "%s%s %s", comma, text, names[i]);
            comma = ", ";
        }
    }
    fputs(comma[0] == ',' ? "\n" : "faults     none\n", stream);
}

static void write_latencies(const struct result *result, FILE *stream) {
    static const char *const rows[] = {"", "answer.", "connect."};
    static const char *const columns[] = {"p50", "p90", "p99", "p99.9", "p99.99", "max", "mean"};
    fprintf(stream, "\n%-10s", "latency");
    for (size_t j = 0; j < sizeof(columns) / sizeof(columns[0]); j++) {
        fprintf(stream, " %9s", columns[j]);
    }
    fputc('\n', stream);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char name[SIZE_TEXT];
        char text[SIZE_TEXT];
        snprintf(name, sizeof(name), "%smax", rows[i]);
        if (measured(result, &result->whole, name, text)[0] == '-') {
            continue;
        }
        fprintf(stream, "%-10.*s", (int)(strlen(rows[i]) + (i == 0) * 8 - (i > 0)),
                i == 0 ? "delivery" : rows[i]);
        for (size_t j = 0; j < sizeof(columns) / sizeof(columns[0]); j++) {
            snprintf(name, sizeof(name), "%s%s", rows[i], columns[j]);
            fprintf(stream, " %9s", measured(result, &result->whole, name, text));
        }
        fputc('\n', stream);
    }
}

static void write_server(const struct result *result, FILE *stream) {
    static const struct {
        const char *name;
        const char *before;
        const char *behind;
        uint64_t readers_least;
    } rows[] = {
        {"server.cpu", "", " of a core", 0},
        {"server.cpu_per_delivery", "CPU ", " a delivery", 0},
        {"server.cpu_per_publish", "", " a message", 0},
        {"server.cpu_per_connect", "", " a connect", 0},
        {"server.rss_per_connection", "memory ", " a connection", REPORT_MEMORY_READERS_LEAST},
        {"server.rss_max", "", " at most", 0},
    };
    const char *comma = "\nserver     ";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[SIZE_TEXT];
        bool is_noise = rows[i].readers_least > result->settings->readers;
        if (!is_noise && measured(result, &result->whole, rows[i].name, text)[0] != '-') {
            fprintf(stream, "%s%s%s%s", comma, rows[i].before, text, rows[i].behind);
            comma = ", ";
        }
    }
    fputs(comma[0] == ',' ? "\n" : "", stream);
}

static void write_steps(const struct result *result, FILE *stream) {
    static const char *const columns[] = {"publish.rate", "delivery.rate", "delivered", "lost",
                                          "p50",          "p99",           "max"};
    struct verdict verdicts[SETTINGS_ASSERTIONS_MAX];
    char text[SIZE_TEXT];
    if (result->step_count == 0) {
        return;
    }
    fprintf(stream, "\n%-14s", "step");
    for (size_t j = 0; j < sizeof(columns) / sizeof(columns[0]); j++) {
        fprintf(stream, " %*s", j < 2 ? 14 : 9, columns[j]);
    }
    fputc('\n', stream);
    for (size_t i = 0; i < result->step_count; i++) {
        const struct result_step *step = &result->steps[i];
        quantity_format(QUANTITY_RATE, step->rate, text, sizeof(text));
        fprintf(stream, "%-14s", text);
        for (size_t j = 0; j < sizeof(columns) / sizeof(columns[0]); j++) {
            fprintf(stream, " %*s", j < 2 ? 14 : 9, measured(result, step, columns[j], text));
        }
        fputs(verdict_judge(result, step, verdicts) == 0 ? "\n" : "  broken\n", stream);
    }
    const struct result_step *limit = verdict_subject(result);
    quantity_format(QUANTITY_RATE, limit->rate, text, sizeof(text));
    if (verdict_judge(result, limit, verdicts) > 0) {
        fputs("limit: below the first step\n", stream);
    } else {
        bool is_last = limit == &result->steps[result->step_count - 1];
        fprintf(stream, "limit: %s%s\n", text, is_last ? ", and perhaps more" : "");
    }
}

static void write_assertions(const struct result *result, FILE *stream) {
    struct verdict verdicts[SETTINGS_ASSERTIONS_MAX];
    const struct result_step *subject = verdict_subject(result);
    verdict_judge(result, subject, verdicts);
    if (result->settings->assertion_count > 0) {
        fputc('\n', stream);
        if (subject != &result->whole) {
            write_scope(result, subject, stream);
        }
    }
    for (size_t i = 0; i < result->settings->assertion_count; i++) {
        fprintf(stream, "%-7s %-36s %s\n", verdicts[i].holds ? "holds" : "BROKEN",
                verdicts[i].assertion, verdicts[i].measured);
    }
}

void report_write_text(const struct result *result, FILE *stream) {
    write_load(result, stream);
    if (result->step_count > 0) {
        write_scope(result, &result->whole, stream);
    }
    write_counts(result, stream);
    write_faults(result, stream);
    write_latencies(result, stream);
    write_server(result, stream);
    write_steps(result, stream);
    write_assertions(result, stream);
    fflush(stream);
}

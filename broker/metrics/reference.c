/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/reference.h"

#include "broker/metrics/families.h"
#include "broker/metrics/table.h"

static const char *const type_names[] = {
    [METRICS_COUNTER] = "counter", [METRICS_GAUGE] = "gauge", [METRICS_HISTOGRAM] = "histogram"};

static enum error_code put_labels(struct buffer *buffer, const struct metrics_row *row) {
    enum error_code code = OK;
    for (size_t i = 0; i < 2 && code == OK; i++) {
        if (row->labels[i] != METRICS_LABEL_NONE) {
            code = buffer_printf(buffer, "%s`%s`", i == 0 ? "" : ", ",
                                 metrics_label_name(row->labels[i]));
        }
    }
    return code;
}

static enum error_code put_metrics(struct buffer *buffer) {
    enum error_code code = buffer_printf(
        buffer, "| metric | type | labels | what it says |\n| --- | --- | --- | --- |\n"
                "| `" METRICS_BUILD_INFO "` | gauge | `version` | " METRICS_BUILD_INFO_HELP " |\n");
    for (size_t i = 0; i < METRIC_COUNT && code == OK; i++) {
        const struct metrics_row *row = &metrics_rows[i];
        code = buffer_printf(buffer, "| `%s` | %s | ", row->name, type_names[row->type]);
        if (code == OK) {
            code = put_labels(buffer, row);
        }
        if (code == OK) {
            code = buffer_printf(buffer, " | %s |\n", row->help);
        }
    }
    return code;
}

static enum error_code put_families(struct buffer *buffer) {
    enum error_code code = buffer_printf(
        buffer,
        "\n## Sinks and sources\n\n"
        "Written as long as there is one. `sink` and `source` are names of the configuration or\n"
        "of whoever declared one at the operator's port. The first %d in order of name have\n"
        "series of their own; the rest is together in `" FAMILIES_OTHER "`: numbers are added up,\n"
        "so that a state or a breaker is how many are like that, and times are the worst.\n\n"
        "| metric | type | labels | what it says |\n| --- | --- | --- | --- |\n",
        FAMILIES_SUBJECTS_MAX);
    for (size_t i = 0; i < FAMILY_COUNT && code == OK; i++) {
        const struct family_row *row = &family_rows[i];
        bool has_second = row->second_label[0] != '\0';
        code = buffer_printf(buffer, "| `%s` | %s | `%s`%s%s%s | %s |\n", row->name,
                             type_names[row->type], row->subject_label, has_second ? ", `" : "",
                             row->second_label, has_second ? "`" : "", row->help);
    }
    return code;
}

static enum error_code put_values(struct buffer *buffer, enum metrics_label label,
                                  const char *used_by) {
    enum error_code code = buffer_printf(buffer, "- `%s`%s:", metrics_label_name(label), used_by);
    size_t count = metrics_label_count(label);
    for (size_t i = 0; i < count && code == OK; i++) {
        code = buffer_printf(buffer, " `%s`%s", metrics_label_value(label, i),
                             i + 1 < count ? "," : "\n");
    }
    return code;
}

/* What cannot be read off a row. */
static enum error_code put_histograms(struct buffer *buffer) {
    return buffer_printf(
        buffer,
        "\n## Histograms\n\n"
        "%d buckets and `+Inf`. Of seconds: 64 microseconds to 8.4 seconds, each twice the one\n"
        "before. Of bytes: 512 to 64 MiB, likewise. Of numbers: 1, 4, 16 … each four times the\n"
        "one before.\n\n"
        "`tidings_reader_lag_positions` is a sample: each worker walks its readers in slices,\n"
        "about every %d seconds, and observes each of them once. So its buckets only grow, and\n"
        "the usual functions say what the lag of readers was in a span of time:\n"
        "`histogram_quantile(0.99, sum by (le) (rate(tidings_reader_lag_positions_bucket[1m])))`.\n"
        "A reader at the head counts as 0. One that is behind counts the records of all channels\n"
        "that came since, because its own among them are not known without reading them.\n\n"
        "`tidings_publish_to_write_seconds` begins when a publish is handed to the log, after its\n"
        "request was parsed, and ends when a worker has written the last reader that could take\n"
        "it; readers that are blocked or behind are not waited for. It is observed once a fan-out\n"
        "and worker, for the oldest publish in it, so it never flatters.\n",
        METRICS_BUCKETS, CENSUS_INTERVAL_MS / 1000);
}

enum error_code metrics_put_reference(struct buffer *buffer) {
    static const struct {
        enum metrics_label label;
        const char *used_by;
    } labels[] = {
        {METRICS_LABEL_PROTOCOL, ""},     {METRICS_LABEL_REASON, " of a closed connection"},
        {METRICS_LABEL_GAP, " of a gap"}, {METRICS_LABEL_RESULT, ""},
        {METRICS_LABEL_ROUTE, ""},        {METRICS_LABEL_STATUS, ""},
        {METRICS_LABEL_ON_LAG, ""},       {METRICS_LABEL_COMMAND, ""},
    };
    enum error_code code = buffer_printf(
        buffer,
        "# Metrics\n\n"
        "`GET /metrics` on the operator's port, in Prometheus' text format 0.0.4. This page is\n"
        "made from `broker/metrics/table.h` and `families.h`; a test fails when it is not\n"
        "current.\n\n"
        "Each thread counts for itself; a scrape sums. Every series is there from the first\n"
        "scrape on, but for those of sinks and sources. No label takes a value from a client,\n"
        "so the number of series does not grow: a channel's name is in none of them. What to\n"
        "alert on: [howto/alerts.md](../howto/alerts.md).\n\n");
    if (code == OK) {
        code = put_metrics(buffer);
    }
    if (code == OK) {
        code = put_families(buffer);
    }
    if (code == OK) {
        code = buffer_printf(buffer,
                             "\n## Labels\n\n"
                             "- `thread`: `main`, `log`, `sync`, `store`, `operator`, `read-0` …, "
                             "`worker-0` …\n"
                             "- `match`: the patterns of rules with `metrics: true`, %d at most in "
                             "the life of a process;\n"
                             "  a channel counts for the first rule that matches it\n",
                             METRICS_MATCHES_MAX);
    }
    for (size_t i = 0; i < ARRAY_COUNT(labels) && code == OK; i++) {
        code = put_values(buffer, labels[i].label, labels[i].used_by);
    }
    return code != OK ? code : put_histograms(buffer);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/metrics/exposition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const type_names[] = {
    [METRICS_COUNTER] = "counter", [METRICS_GAUGE] = "gauge", [METRICS_HISTOGRAM] = "histogram"};

static enum error_code put_text(struct buffer *buffer, const char *text) {
    return buffer_put(buffer, span_of_string(text));
}

/* `name="value"` behind `{` or `,`. */
static enum error_code put_label(struct buffer *buffer, bool *is_first, const char *name,
                                 const char *value) {
    enum error_code code = buffer_printf(buffer, "%s%s=\"", *is_first ? "{" : ",", name);
    *is_first = false;
    if (code == OK) {
        code = exposition_put_label_value(buffer, value);
    }
    return code != OK ? code : buffer_put_byte(buffer, '"');
}

/* One line: `name_suffix{labels,extra="…"} number`. `series` chooses the values of both labels. */
struct sample {
    const struct metrics_row *row;
    const char *suffix;
    size_t series;
    const char *text; /* the value of the label THREAD or MATCH, where the row has it */
    const char *le;   /* the bound of a bucket, or NULL */
    const char *number;
};

static enum error_code put_sample(struct buffer *buffer, const struct sample *sample) {
    const struct metrics_row *row = sample->row;
    size_t indexes[2] = {sample->series / row->second_count, sample->series % row->second_count};
    bool is_first = true;
    enum error_code code = buffer_printf(buffer, "%s%s", row->name, sample->suffix);
    for (size_t i = 0; i < 2 && code == OK; i++) {
        enum metrics_label label = row->labels[i];
        if (label == METRICS_LABEL_NONE) {
            continue;
        }
        const char *value = label == METRICS_LABEL_THREAD || label == METRICS_LABEL_MATCH
                                ? sample->text
                                : metrics_label_value(label, indexes[i]);
        code = put_label(buffer, &is_first, metrics_label_name(label), value);
    }
    if (code == OK && sample->le != NULL) {
        code = put_label(buffer, &is_first, "le", sample->le);
    }
    if (code == OK) {
        code = buffer_printf(buffer, "%s %s\n", is_first ? "" : "}", sample->number);
    }
    return code;
}

/* Buckets are stored apart and told as sums from the left (cumulative), as the format wants. */
static enum error_code put_histogram(struct buffer *buffer, const struct metrics *metrics,
                                     const struct metrics_row *row, size_t series) {
    char number[EXPOSITION_NUMBER_BYTES];
    char le[EXPOSITION_NUMBER_BYTES];
    uint32_t slot = row->slot_first + (uint32_t)series * row->series_slots;
    uint64_t count = 0;
    enum error_code code = OK;
    for (uint32_t i = 0; i <= METRICS_BUCKETS && code == OK; i++) {
        count += metrics_sum_slot(metrics, slot + i);
        if (i < METRICS_BUCKETS) {
            exposition_format_number(row->type, row->unit, metrics_bucket_bound(row->unit, i), le);
        }
        snprintf(number, sizeof(number), "%" PRIu64, count);
        code = put_sample(buffer, &(struct sample){.row = row,
                                                   .suffix = "_bucket",
                                                   .series = series,
                                                   .le = i < METRICS_BUCKETS ? le : "+Inf",
                                                   .number = number});
    }
    if (code == OK) {
        char sum[EXPOSITION_NUMBER_BYTES];
        exposition_format_number(row->type, row->unit,
                                 metrics_sum_slot(metrics, slot + METRICS_BUCKETS + 1), sum);
        code = put_sample(
            buffer,
            &(struct sample){.row = row, .suffix = "_sum", .series = series, .number = sum});
    }
    /* The last bucket and not a second sum: what is counted meanwhile must not tear them apart. */
    return code != OK ? code
                      : put_sample(buffer, &(struct sample){.row = row,
                                                            .suffix = "_count",
                                                            .series = series,
                                                            .number = number});
}

static enum error_code put_threads(struct buffer *buffer, const struct metrics *metrics,
                                   const struct metrics_row *row) {
    enum error_code code = OK;
    for (size_t i = 0; i < metrics_shard_count(metrics) && code == OK; i++) {
        char number[EXPOSITION_NUMBER_BYTES];
        char thread[METRICS_THREAD_NAME_BYTES];
        metrics_thread_name(i, thread);
        exposition_format_number(row->type, row->unit,
                                 metrics_read_slot(metrics, i, row->slot_first), number);
        code = put_sample(
            buffer, &(struct sample){.row = row, .suffix = "", .text = thread, .number = number});
    }
    return code;
}

static enum error_code put_matches(struct buffer *buffer, const struct metrics *metrics,
                                   const struct metrics_row *row) {
    enum error_code code = OK;
    size_t count = metrics_match_count(metrics);
    for (size_t i = 0; i < count && code == OK; i++) {
        char number[EXPOSITION_NUMBER_BYTES];
        exposition_format_number(row->type, row->unit,
                                 metrics_sum_slot(metrics, row->slot_first + (uint32_t)i), number);
        code = put_sample(buffer, &(struct sample){.row = row,
                                                   .suffix = "",
                                                   .series = i,
                                                   .text = metrics_match(metrics, i),
                                                   .number = number});
    }
    return code;
}

static enum error_code put_series(struct buffer *buffer, const struct metrics *metrics,
                                  const struct metrics_row *row) {
    enum error_code code = OK;
    for (size_t series = 0; series < row->series_count && code == OK; series++) {
        if (row->type == METRICS_HISTOGRAM) {
            code = put_histogram(buffer, metrics, row, series);
        } else {
            char number[EXPOSITION_NUMBER_BYTES];
            exposition_format_number(row->type, row->unit,
                                     metrics_sum_slot(metrics, row->slot_first + (uint32_t)series),
                                     number);
            code = put_sample(
                buffer,
                &(struct sample){.row = row, .suffix = "", .series = series, .number = number});
        }
    }
    return code;
}

enum error_code exposition_put(struct buffer *buffer, const struct metrics *metrics) {
    enum error_code code =
        exposition_put_head(buffer, METRICS_BUILD_INFO, METRICS_GAUGE, METRICS_BUILD_INFO_HELP);
    if (code == OK) {
        code = put_text(buffer, METRICS_BUILD_INFO "{version=\"" TIDINGS_VERSION "\"} 1\n");
    }
    for (size_t i = 0; i < METRIC_COUNT && code == OK; i++) {
        const struct metrics_row *row = &metrics_rows[i];
        bool is_of_matches = row->labels[0] == METRICS_LABEL_MATCH;
        if (is_of_matches && metrics_match_count(metrics) == 0) {
            continue; /* a family without a sample is none */
        }
        code = exposition_put_head(buffer, row->name, row->type, row->help);
        if (code == OK) {
            code = is_of_matches                            ? put_matches(buffer, metrics, row)
                   : row->labels[0] == METRICS_LABEL_THREAD ? put_threads(buffer, metrics, row)
                                                            : put_series(buffer, metrics, row);
        }
    }
    return code;
}

enum error_code exposition_put_head(struct buffer *buffer, const char *name, enum metrics_type type,
                                    const char *help) {
    return buffer_printf(buffer, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
                         type_names[type]);
}

void exposition_format_number(enum metrics_type type, enum metrics_unit unit, uint64_t value,
                              char text[EXPOSITION_NUMBER_BYTES]) {
    if (unit == METRICS_COUNT || unit == METRICS_BYTES) {
        bool is_signed = type == METRICS_GAUGE;
        snprintf(text, EXPOSITION_NUMBER_BYTES, is_signed ? "%" PRId64 : "%" PRIu64, value);
        return;
    }
    int digits = unit == METRICS_MILLISECONDS ? 3 : 6;
    uint64_t divisor = unit == METRICS_MILLISECONDS ? 1000 : 1000000;
    snprintf(text, EXPOSITION_NUMBER_BYTES, "%" PRIu64 ".%0*" PRIu64, value / divisor, digits,
             value % divisor);
    size_t length = strlen(text);
    while (text[length - 1] == '0') {
        text[--length] = '\0';
    }
    if (text[length - 1] == '.') {
        text[length - 1] = '\0';
    }
}

enum error_code exposition_put_label_value(struct buffer *buffer, const char *value) {
    enum error_code code = OK;
    for (const char *at = value; *at != '\0' && code == OK; at++) {
        if (*at == '\n') {
            code = put_text(buffer, "\\n");
        } else if (*at == '\\' || *at == '"') {
            code = buffer_printf(buffer, "\\%c", *at);
        } else {
            code = buffer_put_byte(buffer, (uint8_t)*at);
        }
    }
    return code;
}

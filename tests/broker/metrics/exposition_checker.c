/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/broker/metrics/exposition_checker.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECKER_SAMPLES_MAX 4096
#define CHECKER_FAMILIES_MAX 256

struct checker {
    char *fault;
    unsigned line_number;
    struct span families[CHECKER_FAMILIES_MAX];
    size_t family_count;
    struct span family; /* of the samples that come now */
    struct span type;
    bool has_type;
    struct span samples[CHECKER_SAMPLES_MAX]; /* name and labels, as written */
    size_t sample_count;
    struct span histogram; /* labels before `le` of the buckets that come now */
    double bound_last;
    double bucket_last;
    bool has_infinite;
    bool has_sum;
};

static bool fail(struct checker *checker, const char *text) {
    snprintf(checker->fault, CHECKER_FAULT_BYTES, "line %u: %s", checker->line_number, text);
    return false;
}

static bool has_suffix(struct span text, const char *suffix) {
    size_t length = strlen(suffix);
    return text.length >= length && memcmp(text.bytes + text.length - length, suffix, length) == 0;
}

static bool is_text(struct span text, const char *string) {
    return span_is_equal(text, span_of_string(string));
}

/* [a-zA-Z_][a-zA-Z0-9_]*: colons are for recording rules. */
static bool is_name(struct span name) {
    for (size_t i = 0; i < name.length; i++) {
        if (name.bytes[i] != '_' && !isalpha(name.bytes[i]) &&
            (i == 0 || !isdigit(name.bytes[i]))) {
            return false;
        }
    }
    return name.length > 0;
}

/* What promtool says about names. */
static bool is_good_name(struct checker *checker, struct span name, struct span type) {
    static const char *const bad_parts[] = {
        "milliseconds", "microseconds", "ms",    "us",        "minutes", "hours", "days",
        "kilobytes",    "megabytes",    "kib",   "mib",       "bits",    "count", "sum",
        "bucket",       "counter",      "gauge", "histogram", "percent"};
    for (struct span rest = name; rest.length > 0;) {
        struct span part = span_split(&rest, '_');
        for (size_t i = 0; i < sizeof(bad_parts) / sizeof(bad_parts[0]); i++) {
            if (is_text(part, bad_parts[i])) {
                return fail(checker, "a name with a type or a unit that is no base unit");
            }
        }
        for (size_t i = 0; i < part.length; i++) {
            if (isupper(part.bytes[i])) {
                return fail(checker, "a capital in a name");
            }
        }
    }
    if (is_text(type, "counter") != has_suffix(name, "_total")) {
        return fail(checker, "_total is for counters, and for all of them");
    }
    return true;
}

/* `rest` stands behind the quotation mark; moves behind the closing one. */
static bool take_label_value(struct span *rest) {
    for (size_t i = 0; i < rest->length; i++) {
        if (rest->bytes[i] == '"') {
            *rest = span_of(rest->bytes + i + 1, rest->length - i - 1);
            return true;
        }
        if (rest->bytes[i] == '\\') {
            i++;
            if (i >= rest->length || strchr("\\\"n", rest->bytes[i]) == NULL) {
                return false;
            }
        }
    }
    return false;
}

/* `rest` stands behind `{`; moves behind `}`. `ret_le` is the text of the label le, if any. */
static bool take_labels(struct checker *checker, struct span *rest, struct span *ret_le,
                        struct span *ret_before_le) {
    struct span all = *rest;
    for (;;) {
        struct span before = *rest;
        struct span name = span_split(rest, '=');
        if (!is_name(name) || rest->length == 0 || rest->bytes[0] != '"') {
            return fail(checker, "a label is not name=\"value\"");
        }
        if (name.length > 1 && memcmp(name.bytes, "__", 2) == 0) {
            return fail(checker, "labels with __ are Prometheus' own");
        }
        *rest = span_of(rest->bytes + 1, rest->length - 1);
        struct span value = *rest;
        if (!take_label_value(rest)) {
            return fail(checker, "a label's value does not end, or has an unknown escape");
        }
        if (is_text(name, "le")) {
            *ret_le = span_of(value.bytes, (size_t)(rest->bytes - value.bytes) - 1);
            *ret_before_le = span_of(all.bytes, (size_t)(before.bytes - all.bytes));
        }
        if (rest->length == 0 || (rest->bytes[0] != ',' && rest->bytes[0] != '}')) {
            return fail(checker, "neither , nor } behind a label");
        }
        bool is_end = rest->bytes[0] == '}';
        *rest = span_of(rest->bytes + 1, rest->length - 1);
        if (is_end) {
            return true;
        }
    }
}

static bool parse_number(struct span text, double *ret_number) {
    char copy[64];
    char *end;
    if (text.length == 0 || text.length >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text.bytes, text.length);
    copy[text.length] = '\0';
    if (strcmp(copy, "+Inf") != 0 && strspn(copy, "0123456789.-") != text.length) {
        return false;
    }
    *ret_number = strtod(copy, &end);
    return *end == '\0';
}

static bool end_buckets(struct checker *checker) {
    return checker->has_infinite || fail(checker, "buckets without +Inf");
}

static bool check_bucket(struct checker *checker, struct span le, struct span labels,
                         double number) {
    double bound;
    if (!parse_number(le, &bound)) {
        return fail(checker, "a bucket without a bound");
    }
    bool is_first = checker->has_infinite || checker->bucket_last < 0;
    if (is_first) {
        checker->histogram = labels;
        checker->has_infinite = false;
        checker->has_sum = false;
    } else if (!span_is_equal(checker->histogram, labels)) {
        return end_buckets(checker);
    } else if (bound <= checker->bound_last || number < checker->bucket_last) {
        return fail(checker, "buckets do not grow");
    }
    checker->bound_last = bound;
    checker->bucket_last = number;
    checker->has_infinite = is_text(le, "+Inf");
    return true;
}

static bool check_histogram(struct checker *checker, struct span name, struct span le,
                            struct span labels, double number) {
    struct span suffix =
        span_of(name.bytes + checker->family.length, name.length - checker->family.length);
    if (is_text(suffix, "_bucket")) {
        return check_bucket(checker, le, labels, number);
    }
    if (!end_buckets(checker)) {
        return false;
    }
    if (is_text(suffix, "_sum")) {
        checker->has_sum = true;
        return true;
    }
    if (!is_text(suffix, "_count") || !checker->has_sum) {
        return fail(checker, "a histogram is _bucket, _sum, _count");
    }
    return number == checker->bucket_last || fail(checker, "_count is not the +Inf bucket");
}

static bool check_sample(struct checker *checker, struct span line) {
    struct span rest = line;
    struct span le = {0};
    struct span labels = {0};
    size_t length = 0;
    while (length < line.length && line.bytes[length] != '{' && line.bytes[length] != ' ') {
        length++;
    }
    struct span name = span_of(line.bytes, length);
    rest = span_of(line.bytes + length, line.length - length);
    if (!checker->has_type || !is_name(name) || !span_has_prefix(name, checker->family)) {
        return fail(checker, "a sample without HELP and TYPE in front of it");
    }
    if (rest.length > 0 && rest.bytes[0] == '{') {
        rest = span_of(rest.bytes + 1, rest.length - 1);
        if (!take_labels(checker, &rest, &le, &labels)) {
            return false;
        }
    }
    struct span written = span_of(line.bytes, line.length - rest.length);
    for (size_t i = 0; i < checker->sample_count; i++) {
        if (span_is_equal(checker->samples[i], written)) {
            return fail(checker, "a sample twice");
        }
    }
    if (checker->sample_count == CHECKER_SAMPLES_MAX) {
        return fail(checker, "more samples in a family than this checker counts");
    }
    checker->samples[checker->sample_count++] = written;
    double number;
    if (rest.length < 2 || rest.bytes[0] != ' ' ||
        !parse_number(span_of(rest.bytes + 1, rest.length - 1), &number)) {
        return fail(checker, "no number behind one blank");
    }
    if (is_text(checker->type, "counter") && number < 0) {
        return fail(checker, "a counter below zero");
    }
    if (is_text(checker->type, "histogram")) {
        return check_histogram(checker, name, le, labels, number);
    }
    return name.length == checker->family.length || fail(checker, "a sample of another family");
}

static bool begin_family(struct checker *checker, struct span name, struct span help) {
    if (checker->family.length > 0 && checker->sample_count == 0) {
        return fail(checker, "a family without samples");
    }
    if (!is_name(name) || help.length == 0) {
        return fail(checker, "HELP without a name or a text");
    }
    for (size_t i = 0; i < checker->family_count; i++) {
        if (span_is_equal(checker->families[i], name)) {
            return fail(checker, "a family twice");
        }
    }
    if (checker->family_count == CHECKER_FAMILIES_MAX) {
        return fail(checker, "more families than this checker counts");
    }
    checker->families[checker->family_count++] = name;
    checker->family = name;
    checker->has_type = false;
    checker->sample_count = 0;
    checker->bucket_last = -1;
    checker->has_infinite = false;
    return true;
}

static bool check_comment(struct checker *checker, struct span line) {
    struct span rest = line;
    span_split(&rest, ' ');
    struct span word = span_split(&rest, ' ');
    struct span name = span_split(&rest, ' ');
    if (is_text(word, "HELP")) {
        return begin_family(checker, name, rest);
    }
    if (!is_text(word, "TYPE") || checker->has_type || checker->sample_count > 0 ||
        !span_is_equal(name, checker->family)) {
        return fail(checker, "a comment that is neither HELP nor the TYPE behind it");
    }
    if (!is_text(rest, "counter") && !is_text(rest, "gauge") && !is_text(rest, "histogram")) {
        return fail(checker, "an unknown type");
    }
    checker->type = rest;
    checker->has_type = true;
    return is_good_name(checker, name, rest);
}

bool exposition_is_clean(struct span text, char ret_fault[CHECKER_FAULT_BYTES]) {
    struct checker checker = {.fault = ret_fault};
    if (text.length == 0 || text.bytes[text.length - 1] != '\n') {
        return fail(&checker, "the text does not end with a line end");
    }
    while (text.length > 0) {
        struct span line = span_split(&text, '\n');
        checker.line_number++;
        if (line.length == 0) {
            return fail(&checker, "an empty line");
        }
        if (!(line.bytes[0] == '#' ? check_comment(&checker, line)
                                   : check_sample(&checker, line))) {
            return false;
        }
    }
    return checker.sample_count > 0 || fail(&checker, "a family without samples");
}

bool exposition_find(struct span text, const char *series, double *ret_number) {
    struct span wanted = span_of_string(series);
    while (text.length > 0) {
        struct span line = span_split(&text, '\n');
        if (span_has_prefix(line, wanted) && line.length > wanted.length + 1 &&
            line.bytes[wanted.length] == ' ') {
            return parse_number(
                span_of(line.bytes + wanted.length + 1, line.length - wanted.length - 1),
                ret_number);
        }
    }
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/verdict.h"

#include <string.h>

#include "clients/bench/measure.h"

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define OPERATOR_LETTERS "<>=!~"
#define BLANKS " \t"

static bool is_below(double measured, double value) {
    return measured < value;
}

static bool is_at_most(double measured, double value) {
    return measured <= value;
}

static bool is_above(double measured, double value) {
    return measured > value;
}

static bool is_at_least(double measured, double value) {
    return measured >= value;
}

static bool is_equal(double measured, double value) {
    return measured == value;
}

static bool is_different(double measured, double value) {
    return measured != value;
}

static const struct operation {
    const char *sign;
    bool (*holds)(double measured, double value);
} operations[] = {{"<", is_below},     {"<=", is_at_most}, {">", is_above},
                  {">=", is_at_least}, {"==", is_equal},   {"!=", is_different}};

struct claim {
    struct measure measure;
    const struct operation *operation;
    double value;
};

static const struct operation *find_operation(const char *sign, size_t length) {
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (strlen(operations[i].sign) == length && memcmp(operations[i].sign, sign, length) == 0) {
            return &operations[i];
        }
    }
    return NULL;
}

/* NULL, or what is wrong with it. */
static const char *parse(const char *assertion, struct claim *ret_claim) {
    size_t name_length = strspn(assertion, NAME_LETTERS);
    if (name_length == 0) {
        return "an assertion is MEASURE OPERATOR VALUE: p99 < 30ms";
    }
    if (!measure_find(assertion, name_length, &ret_claim->measure)) {
        return ret_claim->measure.suggestion;
    }
    const char *sign = assertion + name_length;
    sign += strspn(sign, BLANKS);
    size_t sign_length = strspn(sign, OPERATOR_LETTERS);
    ret_claim->operation = find_operation(sign, sign_length);
    if (ret_claim->operation == NULL) {
        return "behind the measure comes <, <=, >, >=, == or !=";
    }
    const char *value = sign + sign_length;
    value += strspn(value, BLANKS);
    return quantity_parse(ret_claim->measure.quantity, value, &ret_claim->value);
}

const char *verdict_check(const char *assertion) {
    struct claim claim;
    return parse(assertion, &claim);
}

static void judge(const struct result *result, const struct result_step *step,
                  struct verdict *verdict) {
    struct claim claim;
    double measured;
    verdict->holds = false;
    if (parse(verdict->assertion, &claim) != NULL ||
        !measure_get(&claim.measure, result, step, &measured)) {
        snprintf(verdict->measured, sizeof(verdict->measured), "not measured");
        return;
    }
    verdict->holds = claim.operation->holds(measured, claim.value);
    quantity_format(claim.measure.quantity, measured, verdict->measured, sizeof(verdict->measured));
}

size_t verdict_judge(const struct result *result, const struct result_step *step,
                     struct verdict verdicts[SETTINGS_ASSERTIONS_MAX]) {
    size_t broken = 0;
    for (size_t i = 0; i < result->settings->assertion_count; i++) {
        verdicts[i].assertion = result->settings->assertions[i];
        judge(result, step, &verdicts[i]);
        broken += !verdicts[i].holds;
    }
    return broken;
}

const struct result_step *verdict_subject(const struct result *result) {
    if (result->step_count == 0) {
        return &result->whole;
    }
    const struct result_step *subject = &result->steps[0];
    struct verdict verdicts[SETTINGS_ASSERTIONS_MAX];
    for (size_t i = 0; i < result->step_count; i++) {
        if (verdict_judge(result, &result->steps[i], verdicts) > 0) {
            break;
        }
        subject = &result->steps[i];
    }
    return subject;
}

/* A family of rows that say the same is one: `answer.p50 .p90 .p99`. */
void verdict_write_help(FILE *stream) {
    const struct measure *measure;
    const struct measure *last = NULL;
    for (size_t i = 0; (measure = measure_at(i)) != NULL; last = measure, i++) {
        const struct measure *next = measure_at(i + 1);
        bool is_more = last != NULL && strcmp(last->summary, measure->summary) == 0;
        bool is_last = next == NULL || strcmp(next->summary, measure->summary) != 0;
        const char *dot = strchr(measure->name, '.');
        const char *shown = is_more && dot != NULL && measure->name[0] != 'p' ? dot : measure->name;
        fprintf(stream, is_more || !is_last ? "%s%s" : "%s%-26s", is_more ? " " : "  ", shown);
        if (is_last) {
            fprintf(stream, is_more ? "\n%29s%s\n" : "%s%s\n", is_more ? "" : " ",
                    measure->summary);
        }
    }
    fputs("Any other percentile is a measure too: p95, answer.p99.5.\n", stream);
}

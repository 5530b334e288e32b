/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/measure.h"

#include <stdlib.h>
#include <string.h>

#include "clients/bench/spelling.h"

#define PERCENT_BYTES 16

/* --- what the rows compute ------------------------------------------------------------------ */

static bool divide(double amount, double by, double *ret_value) {
    if (!(by > 0)) {
        return false;
    }
    *ret_value = amount / by;
    return true;
}

/* NULL: nothing was. */
static const struct histogram *histogram_of(const struct measure *measure,
                                            const struct result *result,
                                            const struct result_step *step) {
    const struct histogram *histogram = measure->of == MEASURE_DELIVERY ? step->delivery
                                        : measure->of == MEASURE_ANSWER ? step->answer
                                                                        : result->connect;
    return histogram != NULL && histogram->total > 0 ? histogram : NULL;
}

static bool get_percentile(const struct measure *measure, const struct result *result,
                           const struct result_step *step, double *ret_value) {
    const struct histogram *histogram = histogram_of(measure, result, step);
    if (histogram == NULL) {
        return false;
    }
    *ret_value = (double)histogram_percentile(histogram, measure->percent);
    return true;
}

static bool get_mean(const struct measure *measure, const struct result *result,
                     const struct result_step *step, double *ret_value) {
    const struct histogram *histogram = histogram_of(measure, result, step);
    if (histogram == NULL) {
        return false;
    }
    *ret_value = histogram_mean(histogram);
    return true;
}

static uint64_t count_of(const struct measure *measure, const struct result_step *step) {
    uint64_t count;
    memcpy(&count, (const char *)&step->counts + measure->at, sizeof(count));
    return count;
}

static bool get_count(const struct measure *measure, const struct result *result,
                      const struct result_step *step, double *ret_value) {
    (void)result;
    *ret_value = (double)count_of(measure, step);
    return true;
}

static bool get_rate(const struct measure *measure, const struct result *result,
                     const struct result_step *step, double *ret_value) {
    (void)result;
    return divide((double)count_of(measure, step), step->seconds, ret_value);
}

static bool get_delivery_rate(const struct measure *measure, const struct result *result,
                              const struct result_step *step, double *ret_value) {
    (void)measure;
    (void)result;
    return divide((double)step->counts.delivered, step->delivery_seconds, ret_value);
}

/* Readers of the beginning: those who came again for churn are none of them. */
static double connected_of(const struct result *result) {
    uint64_t connected = result->whole.counts.connected;
    uint64_t readers = result->settings->readers;
    return (double)(connected < readers ? connected : readers);
}

static bool get_connect_rate(const struct measure *measure, const struct result *result,
                             const struct result_step *step, double *ret_value) {
    (void)measure;
    (void)step;
    return divide(connected_of(result), result->connect_seconds, ret_value);
}

/* Each once: a duplicate makes up for no loss. */
static bool get_delivered(const struct measure *measure, const struct result *result,
                          const struct result_step *step, double *ret_value) {
    (void)measure;
    (void)result;
    const struct counts *counts = &step->counts;
    double unique = counts->delivered > counts->duplicates
                        ? (double)(counts->delivered - counts->duplicates)
                        : 0;
    return divide(unique, (double)counts->expected, ret_value);
}

static bool get_published(const struct measure *measure, const struct result *result,
                          const struct result_step *step, double *ret_value) {
    (void)measure;
    (void)result;
    return divide((double)step->counts.in_time, (double)step->counts.due, ret_value);
}

static bool has_server(const struct result *result) {
    return result->settings->pid != 0;
}

static bool has_cpu(const struct result *result, double cpu_s) {
    return has_server(result) && cpu_s >= 0;
}

static bool get_cpu(const struct measure *measure, const struct result *result,
                    const struct result_step *step, double *ret_value) {
    (void)measure;
    return has_cpu(result, step->server_cpu_s) &&
           divide(step->server_cpu_s, step->server_seconds, ret_value);
}

static bool get_cpu_per_count(const struct measure *measure, const struct result *result,
                              const struct result_step *step, double *ret_value) {
    return has_cpu(result, step->server_cpu_s) &&
           divide(step->server_cpu_s * 1e9, (double)count_of(measure, step), ret_value);
}

static bool get_cpu_per_connect(const struct measure *measure, const struct result *result,
                                const struct result_step *step, double *ret_value) {
    (void)measure;
    (void)step;
    return has_cpu(result, result->connect_cpu_s) &&
           divide(result->connect_cpu_s * 1e9, connected_of(result), ret_value);
}

static bool get_rss_per_connection(const struct measure *measure, const struct result *result,
                                   const struct result_step *step, double *ret_value) {
    (void)measure;
    (void)step;
    double grown = (double)result->server_rss_after_bytes - (double)result->server_rss_before_bytes;
    return has_server(result) && result->server_rss_after_bytes > 0 &&
           divide(grown > 0 ? grown : 0, connected_of(result), ret_value);
}

static bool get_rss_max(const struct measure *measure, const struct result *result,
                        const struct result_step *step, double *ret_value) {
    (void)measure;
    (void)step;
    *ret_value = (double)result->server_rss_highest_bytes;
    return has_server(result) && result->server_rss_highest_bytes > 0;
}

/* --- the table ------------------------------------------------------------------------------ */

#define ROW(measured, kind, how, says)                                                             \
    .name = measured, .quantity = QUANTITY_##kind, .summary = says,                                \
    .suggestion = "there is no such measure; the nearest is " measured, .get = how

#define PERCENTILE(measured, whose, rank, says)                                                    \
    { ROW(measured, DURATION, get_percentile, says), .of = whose, .percent = rank }

#define LATENCY(prefix, whose, says)                                                               \
    PERCENTILE(prefix "p50", whose, 50, says), PERCENTILE(prefix "p90", whose, 90, says),          \
        PERCENTILE(prefix "p99", whose, 99, says), PERCENTILE(prefix "p99.9", whose, 99.9, says),  \
        PERCENTILE(prefix "p99.99", whose, 99.99, says),                                           \
        PERCENTILE(prefix "max", whose, 100, says), {                                              \
        ROW(prefix "mean", DURATION, get_mean, says), .of = whose                                  \
    }

#define COUNTED(measured, kind, how, field, says)                                                  \
    { ROW(measured, kind, how, says), .at = offsetof(struct counts, field) }

#define COUNT(field, says) COUNTED(#field, COUNT, get_count, field, says)

static const struct measure measures[] = {
    LATENCY("", MEASURE_DELIVERY, "From when a message was due until a reader had it"),
    LATENCY("answer.", MEASURE_ANSWER, "From when a message was due until it was answered"),
    LATENCY("connect.", MEASURE_CONNECT,
            "From when a reader was due to connect, until it was subscribed"),
    {ROW("connect.rate", RATE, get_connect_rate, "Readers that connected")},
    COUNTED("publish.rate", RATE, get_rate, published, "Messages sent"),
    COUNTED("answer.rate", RATE, get_rate, answered,
            "Messages that the server took, where it says so"),
    {ROW("delivery.rate", RATE, get_delivery_rate, "Messages that readers got, all together")},
    {ROW("published", SHARE, get_published,
         "Of the messages that were due, those that were sent in time")},
    {ROW("delivered", SHARE, get_delivered, "Of the deliveries to be made, those that were")},
    COUNT(lost, "Deliveries that did not come"),
    COUNT(duplicates, "Deliveries that came again"),
    COUNT(reordered, "Deliveries behind one that was published later"),
    COUNT(foreign, "Messages that are not of this load"),
    COUNT(refused, "Messages that the server did not take"),
    COUNT(unanswered, "Messages of which it said neither, where it says so"),
    COUNT(closed, "Readers that the server closed"),
    COUNT(unconnected, "Attempts to connect that failed"),
    {ROW("server.cpu", SHARE, get_cpu, "CPU time by the clock's; 100% is one core")},
    COUNTED("server.cpu_per_delivery", DURATION, get_cpu_per_count, delivered,
            "CPU time of a delivery"),
    COUNTED("server.cpu_per_publish", DURATION, get_cpu_per_count, published,
            "CPU time of a message, with all its deliveries"),
    {ROW("server.cpu_per_connect", DURATION, get_cpu_per_connect, "CPU time of a reader's start")},
    {ROW("server.rss_per_connection", SIZE, get_rss_per_connection,
         "Memory that came with the readers, by their number")},
    {ROW("server.rss_max", SIZE, get_rss_max, "Memory at its most")},
};
#define MEASURES (sizeof(measures) / sizeof(measures[0]))

const struct measure *measure_at(size_t index) {
    return index < MEASURES ? &measures[index] : NULL;
}

/* p95, answer.p99.5: the row of a percentile, with another. */
static bool make_percentile(const char *name, size_t length, struct measure *ret_measure) {
    for (size_t i = 0; i < MEASURES; i++) {
        const struct measure *row = &measures[i];
        size_t prefix = strlen(row->name) - strlen("50");
        bool is_family = row->get == get_percentile && row->percent == 50;
        if (!is_family || length <= prefix || length - prefix >= PERCENT_BYTES ||
            memcmp(name, row->name, prefix) != 0) {
            continue;
        }
        char digits[PERCENT_BYTES] = "";
        char *end;
        memcpy(digits, name + prefix, length - prefix);
        double percent = strtod(digits, &end);
        if (strspn(digits, "0123456789.") == length - prefix && *end == '\0' && percent > 0 &&
            percent <= 100) {
            *ret_measure = *row;
            ret_measure->percent = percent;
            return true;
        }
    }
    return false;
}

bool measure_find(const char *name, size_t length, struct measure *ret_measure) {
    size_t least = SIZE_MAX;
    const struct measure *nearest = &measures[0];
    for (size_t i = 0; i < MEASURES; i++) {
        size_t distance = spelling_distance(name, length, measures[i].name);
        if (distance < least) {
            least = distance;
            nearest = &measures[i];
        }
    }
    if (least > 0 && make_percentile(name, length, ret_measure)) {
        return true;
    }
    *ret_measure = *nearest;
    return least == 0;
}

bool measure_get(const struct measure *measure, const struct result *result,
                 const struct result_step *step, double *ret_value) {
    return measure->get(measure, result, step, ret_value);
}

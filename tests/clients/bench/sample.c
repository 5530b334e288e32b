/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/clients/bench/sample.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>

#define READERS 1000
#define SECONDS 60
#define STEPS 8
#define LATENCIES 60000

struct made {
    struct result result;
    struct settings settings;
};

static double draw(unsigned short state[3]) {
    return erand48(state);
}

/* Log-normal about `median_ns`, with a tail: what networks do. */
static uint64_t draw_latency(unsigned short state[3], double median_ns) {
    double sum = 0;
    for (int i = 0; i < 12; i++) {
        sum += draw(state);
    }
    double tail = draw(state) < 0.002 ? 8 + 20 * draw(state) : 1;
    return (uint64_t)(median_ns * exp(0.35 * (sum - 6)) * tail);
}

static void fill(struct histogram *histogram, unsigned short state[3], size_t count,
                 double median_ns) {
    for (size_t i = 0; i < count; i++) {
        histogram_add(histogram, draw_latency(state, median_ns));
    }
}

static struct settings make_settings(void) {
    return (struct settings){
        .url = "http://localhost:8080",
        .publish_url = "http://localhost:8080",
        .read_url = "http://localhost:8080",
        .publish = "rest",
        .read = "websocket",
        .channel = "bench/{n}",
        .channels = 1,
        .readers = READERS,
        .subscriptions = 1,
        .publishers = 4,
        .rate = 1000,
        .in_flight = 1,
        .profile = "constant",
        .steps = 10,
        .arrivals = "poisson",
        .spread = "turn",
        .duration = SECONDS * 1000000000ull,
        .drain = 5000000000ull,
        .payload_bytes = 64,
        .batch = 1,
        .threads = 1,
        .pid = 4711,
        .seed = 1,
        .name = "A thousand readers, a thousand messages a second",
        .description = "One channel, everyone reads it: the fan-out of a live score.",
        .assertions = {"p99 < 30ms", "lost == 0", "publish.rate >= 990/s",
                       "server.cpu_per_delivery < 1us"},
        .assertion_count = 4,
    };
}

static void fill_step(struct result_step *step, unsigned short state[3], double rate,
                      double seconds, double median_ns) {
    uint64_t published = (uint64_t)(rate * seconds);
    *step = (struct result_step){
        .rate = rate,
        .seconds = seconds,
        .delivery_seconds = seconds + 0.02,
        .counts = {.due = published,
                   .published = published,
                   .in_time = published,
                   .answered = published,
                   .delivered = published * READERS,
                   .delivered_bytes = published * READERS * 120,
                   .expected = published * READERS,
                   .connected = READERS},
        .delivery = histogram_create(),
        .answer = histogram_create(),
        .server_cpu_s = (double)published * READERS * 0.48e-6,
        .server_seconds = seconds + 0.02,
    };
    fill(step->delivery, state, LATENCIES, median_ns);
    fill(step->answer, state, LATENCIES / 60, median_ns / 3);
}

static void fill_series(struct result *result, unsigned short state[3], double rate,
                        bool has_stall) {
    result->seconds = calloc(SECONDS, sizeof(result->seconds[0]));
    result->second_count = SECONDS;
    for (size_t i = 0; i < SECONDS; i++) {
        bool is_stalled = has_stall && (i == 31 || i == 32);
        bool is_behind = has_stall && i == 33;
        double published = rate * (1 + 0.06 * (draw(state) - 0.5)) * (is_stalled ? 0.3 : 1);
        published += is_behind ? 1.4 * rate : 0;
        double slower = is_stalled || is_behind ? 300 : 1;
        result->seconds[i] = (struct result_second){
            .from_s = (double)i,
            .length_s = 1,
            .due = (uint64_t)rate,
            .published = (uint64_t)published,
            .delivered = (uint64_t)published * READERS,
            .p50_ns = (uint64_t)(1.9e6 * slower * (1 + 0.1 * draw(state))),
            .p99_ns = (uint64_t)(5.1e6 * slower * (1 + 0.2 * draw(state))),
            .highest_ns = (uint64_t)(12e6 * slower * (1 + draw(state))),
        };
    }
}

static void make_bad(struct made *made, unsigned short state[3]) {
    fill(made->result.whole.delivery, state, LATENCIES / 25, 6e8);
    struct counts *counts = &made->result.whole.counts;
    counts->lost = 1203;
    counts->duplicates = 4;
    counts->reordered = 17;
    counts->closed = 3;
    counts->delivered -= 1199;
    made->result.signal = SIGINT;
}

/* Each step is faster by as much; latency goes up as the server comes near to what it can. */
static void make_steps(struct made *made, unsigned short state[3]) {
    made->settings.profile = "steps";
    made->settings.rate_to = 8000;
    made->settings.steps = STEPS;
    made->settings.duration = 10000000000ull;
    made->settings.name = "How much can it take?";
    made->result.step_count = STEPS;
    for (size_t i = 0; i < STEPS; i++) {
        double rate = 1000 * (double)(i + 1);
        fill_step(&made->result.steps[i], state, rate, 10, 1.6e6 / (1.02 - rate / 8000));
    }
    made->result.steps[6].counts.lost = 5;
    made->result.steps[7].counts.delivered /= 2;
    made->result.steps[7].counts.lost = made->result.steps[7].counts.delivered;
}

static void make_empty(struct made *made) {
    made->settings = (struct settings){.url = "http://localhost:8080",
                                       .publish = "none",
                                       .read = "websocket",
                                       .channel = "bench/{n}",
                                       .assertions = {"p99 < 30ms"},
                                       .assertion_count = 1};
}

static void make_hostile(struct made *made) {
    made->settings.name = "<script>window.hacked = 1</script><!-- </script> & \"quoted\"";
    made->settings.description = "{{report.js}} \xff\xfe </script><img src=x onerror='hacked=1'>";
    made->settings.channel = "- a: {b} #c\n\t\"d\"";
    made->settings.assertions[0] = "p99 < 30ms<script>alert(1)</script>";
}

struct result *sample_create(enum sample kind) {
    struct made *made = calloc(1, sizeof(*made));
    struct result *result = &made->result;
    unsigned short state[3] = {11, 22, 33};
    result->settings = &made->settings;
    result->started_unix_ms = 1770000000000ull;
    if (kind == SAMPLE_EMPTY) {
        make_empty(made);
        return result;
    }
    made->settings = make_settings();
    fill_step(&result->whole, state, made->settings.rate, SECONDS, 2e6);
    fill_series(result, state, made->settings.rate, kind == SAMPLE_BAD);
    result->connect = histogram_create();
    fill(result->connect, state, READERS, 4e5);
    result->connect_seconds = 0.31;
    result->connect_cpu_s = 0.055;
    result->server_rss_before_bytes = 9 << 20;
    result->server_rss_after_bytes = (9 << 20) + READERS * 2100;
    result->server_rss_highest_bytes = 14 << 20;
    if (kind == SAMPLE_BAD) {
        make_bad(made, state);
    } else if (kind == SAMPLE_STEPS) {
        make_steps(made, state);
    } else if (kind == SAMPLE_HOSTILE) {
        make_hostile(made);
    }
    return result;
}

void sample_destroy(struct result *result) {
    free(result->whole.delivery);
    free(result->whole.answer);
    for (size_t i = 0; i < result->step_count; i++) {
        free(result->steps[i].delivery);
        free(result->steps[i].answer);
    }
    free(result->connect);
    free(result->seconds);
    free(result); /* the first member of what was made */
}

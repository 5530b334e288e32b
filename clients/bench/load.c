/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/load.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clients/bench/fail.h"
#include "clients/bench/moment.h"
#include "clients/bench/secure.h"
#include "clients/bench/stage.h"
#include "clients/bench/subject.h"
#include "clients/bench/verdict.h"

#define CONNECT_TURN_MS 1
#define HOLD_TURN_MS 50
#define PUBLISHERS_WAIT_NS (15 * MOMENT_SECOND_NS) /* for the first of them to be open */
#define PRELOAD_STALL_NS (20 * MOMENT_SECOND_NS)   /* that nothing of a preload was answered */
#define PRELOAD_IN_FLIGHT 16                       /* at least: a preload is to be over soon */
#define SOAK_ROW_S 60.0
#define BUSY_SHARE 0.9 /* of its time; above it, the load measures itself */

struct load {
    const struct settings *settings;
    struct result *result;
    struct audience *audience;
    struct secure *secure; /* NULL: all is in the clear */
    struct target read_target;
    struct target publish_target;
    const struct protocol *read;    /* NULL: nobody reads */
    const struct protocol *publish; /* NULL: nobody publishes */
    uint32_t run;
    uint32_t lanes;
    struct sendings sendings;
    uint64_t *preloaded; /* by channel × lanes + lane */
    struct stage_parts parts;
};

/* --- beginning ------------------------------------------------------------------------------- */

static const struct protocol *find_protocol(const char *name) {
    return strcmp(name, "none") == 0 ? NULL : protocol_find(name);
}

static struct histogram *need_histogram(void) {
    struct histogram *histogram = histogram_create();
    if (histogram == NULL) {
        bench_fail("out of memory");
    }
    return histogram;
}

static void raise_limits(const struct settings *settings) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return;
    }
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    uint64_t wanted = settings->readers + settings->publishers;
    if (wanted > files.rlim_max) {
        fprintf(stderr,
                "tidings: bench: %" PRIu64 " connections are more than the limit of open files, "
                "%" PRIu64 "\n",
                wanted, (uint64_t)files.rlim_max);
    }
}

/* Blocked before there are threads, so that all of them have it blocked. */
static int watch_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int file = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (file < 0) {
        bench_fail("signalfd: %s", strerrordesc_np(errno));
    }
    return file;
}

static double row_seconds(const struct settings *settings) {
    double all = (double)settings->duration / (double)MOMENT_SECOND_NS;
    bool is_soak = strcmp(settings->profile, "soak") == 0;
    double row = is_soak ? SOAK_ROW_S : 1;
    double least = all * (double)settings->steps / RESULT_SECONDS_MAX;
    return row > least ? row : least;
}

static bool find_target(struct load *load, const char *url, const struct protocol *protocol,
                        struct target *target) {
    const struct settings *settings = load->settings;
    bool is_secure =
        protocol->secure_scheme != NULL && target_has_scheme(url, protocol->secure_scheme);
    if (is_secure && load->secure == NULL &&
        (load->secure = secure_create(settings->ca, settings->insecure)) == NULL) {
        return false;
    }
    bool is_found = is_secure
                        ? target_find(url, protocol->secure_scheme, protocol->secure_port, target)
                        : target_find(url, protocol->scheme, protocol->port, target);
    target->secure = is_secure ? load->secure : NULL;
    return is_found;
}

static bool find_targets(struct load *load) {
    const struct settings *settings = load->settings;
    const struct protocol *read = load->read;
    const struct protocol *publish = load->publish;
    if (publish != NULL &&
        !find_target(load, settings->publish_url, publish, &load->publish_target)) {
        return false;
    }
    if (read != NULL && read->is_listening) {
        return target_find_local(settings->listen, &load->read_target);
    }
    return read == NULL || find_target(load, settings->read_url, read, &load->read_target);
}

static bool create_sides(struct load *load) {
    const struct settings *settings = load->settings;
    const char *token = getenv(LOAD_TOKEN_VARIABLE);
    struct crew_order reading = {.settings = settings,
                                 .audience = load->audience,
                                 .sendings = &load->sendings,
                                 .protocol = load->read,
                                 .target = &load->read_target,
                                 .token = token,
                                 .run = load->run,
                                 .lanes = load->lanes,
                                 .crews = (uint32_t)settings->threads};
    struct publishers_order publishing = {.settings = settings,
                                          .audience = load->audience,
                                          .protocol = load->publish,
                                          .target = &load->publish_target,
                                          .sendings = &load->sendings,
                                          .token = token,
                                          .run = load->run,
                                          .lanes = load->lanes};
    if (load->read != NULL && load->read->is_listening) {
        reading.crews = 1;
    }
    if (load->read != NULL) {
        load->parts.readers = readers_create(&reading);
    }
    if (load->publish != NULL) {
        load->parts.publishers = publishers_create(&publishing);
    }
    return (load->read == NULL || load->parts.readers != NULL) &&
           (load->publish == NULL || load->parts.publishers != NULL);
}

static bool prepare(struct load *load) {
    const struct settings *settings = load->settings;
    struct stage_parts *parts = &load->parts;
    load->read = find_protocol(settings->read);
    load->publish = settings->hold ? NULL : find_protocol(settings->publish);
    bool is_channels_own = settings->channels >= settings->publishers;
    load->lanes = is_channels_own || load->publish == NULL ? 1 : (uint32_t)settings->publishers;
    if (getrandom(&load->run, sizeof(load->run), 0) != sizeof(load->run)) {
        bench_fail("getrandom: %s", strerrordesc_np(errno));
    }
    if (settings->pid != 0 && !subject_exists(settings->pid)) {
        fprintf(stderr, "tidings: bench: there is no process %" PRIu64 "\n", settings->pid);
        return false;
    }
    raise_limits(settings);
    parts->settings = settings;
    parts->connect = load->result->connect;
    parts->second = need_histogram();
    rows_init(&parts->rows, row_seconds(settings));
    live_init(&parts->live, settings->quiet);
    if (!find_targets(load) || (load->audience = audience_create(settings)) == NULL) {
        return false; /* names may take long; until here a signal ends all */
    }
    parts->signals = watch_signals();
    size_t counts = (size_t)settings->channels * load->lanes;
    sendings_init(&load->sendings, (uint32_t)settings->channels, load->lanes);
    parts->sendings = &load->sendings;
    load->preloaded = bench_need(counts, sizeof(uint64_t));
    parts->published = bench_need(counts, sizeof(uint64_t));
    return create_sides(load);
}

static void release(struct load *load) {
    struct stage_parts *parts = &load->parts;
    readers_destroy(parts->readers);
    publishers_destroy(parts->publishers);
    audience_destroy(load->audience);
    sendings_finish(&load->sendings);
    secure_destroy(load->secure);
    load->result->seconds = parts->rows.all;
    load->result->second_count = parts->rows.count;
    parts->rows.all = NULL;
    rows_finish(&parts->rows);
    free(parts->second);
    free(parts->published);
    free(load->preloaded);
    if (parts->signals >= 0) {
        close(parts->signals);
    }
}

/* --- connecting ------------------------------------------------------------------------------ */

static bool open_publishers(struct load *load) {
    struct publishers *publishers = load->parts.publishers;
    uint64_t deadline_ns = moment_now_ns() + PUBLISHERS_WAIT_NS;
    struct publishers_progress progress = {0};
    while (publishers != NULL && progress.settled < load->settings->publishers &&
           moment_now_ns() < deadline_ns && load->parts.interrupts == 0) {
        stage_wait_signal(&load->parts, CONNECT_TURN_MS);
        progress = publishers_look(publishers);
    }
    if (publishers == NULL || progress.open == load->settings->publishers) {
        return true;
    }
    if (progress.open == 0 && load->parts.interrupts == 0) {
        struct publishers_figures figures = {0};
        publishers_collect(publishers, &figures);
        live_finish(&load->parts.live);
        troubles_tell(&figures.troubles, "publisher");
        fprintf(stderr,
                "tidings: bench: no publisher could connect to %s: is it running there, or "
                "elsewhere (--url)?\n",
                load->settings->publish_url);
    }
    return progress.open > 0;
}

static void tell_reader_troubles(struct load *load) {
    struct readers_figures figures = {.connect = load->parts.connect,
                                      .delivery = load->parts.second};
    readers_collect(load->parts.readers, &figures);
    live_finish(&load->parts.live);
    troubles_tell(&figures.sums.troubles, "reader");
}

/* False: not one came to be ready. */
static bool connect_readers(struct load *load) {
    const struct settings *settings = load->settings;
    struct stage_parts *parts = &load->parts;
    struct result *result = load->result;
    if (parts->readers == NULL) {
        return true;
    }
    result->server_rss_before_bytes = subject_get_rss_bytes(settings->pid);
    double cpu_s = subject_get_cpu_s(settings->pid);
    uint64_t begin_ns = moment_now_ns();
    uint64_t told_ns = begin_ns;
    struct readers_progress progress = {0};
    readers_connect(parts->readers, load->preloaded);
    uint64_t wanted = load->read->is_listening ? 0 : settings->readers;
    while (progress.settled < wanted && parts->interrupts == 0) {
        stage_wait_signal(&load->parts, CONNECT_TURN_MS);
        progress = readers_look(parts->readers);
        if (moment_now_ns() - told_ns > MOMENT_SECOND_NS) {
            told_ns += MOMENT_SECOND_NS;
            live_tell_connecting(&parts->live, progress.ready, wanted);
        }
    }
    result->connect_seconds = (double)(moment_now_ns() - begin_ns) / (double)MOMENT_SECOND_NS;
    result->connect_cpu_s = subject_get_cpu_between_s(cpu_s, subject_get_cpu_s(settings->pid));
    result->server_rss_after_bytes = subject_get_rss_bytes(settings->pid);
    /* A reader that had read all there was is not ready any more, and no trouble. */
    bool is_any = wanted == 0 || progress.ready > 0 || progress.unconnected < wanted;
    if (!is_any) {
        tell_reader_troubles(load);
        fprintf(stderr,
                "tidings: bench: no reader could connect to %s: is it running there, or elsewhere "
                "(--url)?\n",
                settings->read_url);
    }
    return is_any;
}

/* --- stages ---------------------------------------------------------------------------------- */

static bool preload(struct load *load) {
    const struct settings *settings = load->settings;
    struct stage_parts *parts = &load->parts;
    if (settings->preload == 0 || parts->publishers == NULL) {
        return true;
    }
    uint64_t in_flight =
        settings->in_flight > PRELOAD_IN_FLIGHT ? settings->in_flight : PRELOAD_IN_FLIGHT;
    struct publishers_task task = {.is_closed = true,
                                   .begin_ns = moment_now_ns(),
                                   .end_ns = MOMENT_NEVER,
                                   .limit = settings->preload,
                                   .in_flight = in_flight};
    publishers_begin(parts->publishers, &task);
    uint64_t moved_ns = moment_now_ns();
    struct publishers_progress last = {0};
    struct publishers_progress now = {0};
    while ((!now.is_done || now.under_way > 0) && parts->interrupts == 0) {
        stage_wait_signal(&load->parts, CONNECT_TURN_MS);
        now = publishers_look(parts->publishers);
        if (now.expected != last.expected || now.under_way != last.under_way) {
            moved_ns = moment_now_ns();
            last = now;
        }
        if (moment_now_ns() - moved_ns > PRELOAD_STALL_NS) {
            fputs("tidings: bench: the preload stands still: the server answers no more\n", stderr);
            return false;
        }
    }
    if (parts->interrupts > 0) {
        publishers_stop(parts->publishers);
    }
    sendings_copy(&load->sendings, load->preloaded);
    parts->not_expected = settings->since == NULL ? now.expected : 0;
    return true;
}

static struct publishers_task make_task(const struct settings *settings, double rate) {
    struct publishers_task task = {.is_closed = rate <= 0, .in_flight = settings->in_flight};
    task.schedule = (struct schedule){.profile = SCHEDULE_CONSTANT,
                                      .is_poisson = strcmp(settings->arrivals, "poisson") == 0,
                                      .rate = rate,
                                      .rate_to = settings->rate_to,
                                      .duration_ns = settings->duration,
                                      .seed = settings->seed};
    if (strcmp(settings->profile, "ramp") == 0) {
        task.schedule.profile = SCHEDULE_RAMP;
    } else if (strcmp(settings->profile, "spike") == 0) {
        task.schedule.profile = SCHEDULE_SPIKE;
    }
    return task;
}

static void publish(struct load *load, struct stage *stage, double rate, uint64_t duration_ns) {
    struct publishers_task task = make_task(load->settings, rate);
    task.schedule.duration_ns = duration_ns;
    bool is_publishing = load->parts.publishers != NULL && duration_ns > 0;
    stage_publish(stage, is_publishing ? &task : NULL, duration_ns);
}

static void free_step(struct result_step *step) {
    free(step->delivery);
    free(step->answer);
    step->delivery = step->answer = NULL;
}

static void warm_up(struct load *load) {
    const struct settings *settings = load->settings;
    if (settings->warm_up == 0 || load->parts.publishers == NULL) {
        return;
    }
    struct stage stage;
    struct result_step ignored;
    struct publishers_task task = make_task(settings, settings->rate);
    task.schedule.profile = SCHEDULE_CONSTANT;
    task.schedule.duration_ns = settings->warm_up;
    stage_begin(&stage, &load->parts, false);
    stage_publish(&stage, &task, settings->warm_up);
    stage_end(&stage, &ignored);
    free_step(&ignored);
}

/* A pipe, or the terminal that is ours to read: somebody may type there, or end it. Anything else,
 * as /dev/null, is at its end at once. */
static bool is_input_watched(void) {
    struct stat input;
    return tcgetpgrp(STDIN_FILENO) == getpgrp() ||
           (fstat(STDIN_FILENO, &input) == 0 &&
            (S_ISFIFO(input.st_mode) || S_ISSOCK(input.st_mode)));
}

static void hold(struct load *load, struct stage *stage) {
    struct pollfd input = {.fd = is_input_watched() ? STDIN_FILENO : -1, .events = POLLIN};
    bool is_json_output = load->settings->json != NULL && strcmp(load->settings->json, "-") == 0;
    FILE *stream = is_json_output ? stderr : stdout;
    fputs("ready\n", stream);
    fflush(stream);
    while (load->parts.interrupts == 0 && !load->parts.is_gone && poll(&input, 1, 0) == 0) {
        stage_turn(stage, HOLD_TURN_MS);
    }
    load->parts.interrupts = 0; /* it was told to stop, and does */
}

static void add_counts(struct counts *sum, const struct counts *more) {
    sum->due += more->due;
    sum->published += more->published;
    sum->in_time += more->in_time;
    sum->answered += more->answered;
    sum->refused += more->refused;
    sum->unanswered += more->unanswered;
    sum->delivered += more->delivered;
    sum->delivered_bytes += more->delivered_bytes;
    sum->expected += more->expected;
    sum->lost += more->lost;
    sum->duplicates += more->duplicates;
    sum->reordered += more->reordered;
    sum->foreign += more->foreign;
}

/* Connections and memory count from the beginning of the load, not of the stage. */
static void add_step(struct load *load, const struct result_step *step) {
    struct result *result = load->result;
    struct result_step *whole = &result->whole;
    const struct counts *latest = &load->parts.latest;
    whole->seconds += step->seconds;
    whole->delivery_seconds += step->delivery_seconds;
    bool is_measured = whole->server_cpu_s >= 0 && step->server_cpu_s >= 0;
    whole->server_cpu_s =
        is_measured ? whole->server_cpu_s + step->server_cpu_s : SUBJECT_NOT_MEASURED;
    whole->server_seconds += step->server_seconds;
    add_counts(&whole->counts, &step->counts);
    histogram_merge(whole->delivery, step->delivery);
    histogram_merge(whole->answer, step->answer);
    whole->counts.connected = latest->connected;
    whole->counts.unconnected = latest->unconnected;
    whole->counts.closed = latest->closed;
    result->server_rss_highest_bytes = load->parts.rss_highest_bytes;
}

static void run_steps(struct load *load) {
    const struct settings *settings = load->settings;
    struct result *result = load->result;
    uint64_t count = settings->steps < RESULT_STEPS_MAX ? settings->steps : RESULT_STEPS_MAX;
    for (uint64_t index = 0; index < count; index++) {
        double share = count > 1 ? (double)index / (double)(count - 1) : 0;
        double rate = settings->rate + (settings->rate_to - settings->rate) * share;
        struct stage stage;
        struct result_step *step = &result->steps[result->step_count++];
        stage_begin(&stage, &load->parts, true);
        publish(load, &stage, rate, settings->duration);
        stage_end(&stage, step);
        step->rate = rate;
        add_step(load, step);
        struct verdict verdicts[SETTINGS_ASSERTIONS_MAX];
        bool is_held = verdict_judge(result, step, verdicts) == 0;
        if (!is_held || load->parts.interrupts > 0 || load->parts.is_gone) {
            return;
        }
    }
}

/* Everything but steps. What was preloaded counts from when the readers connect. */
static bool run_whole(struct load *load) {
    const struct settings *settings = load->settings;
    struct result_step step = {0};
    struct stage stage;
    bool is_catch_up = settings->preload > 0 && settings->since != NULL;
    bool is_early = is_catch_up && settings->warm_up == 0;
    if (!is_early && !connect_readers(load)) {
        return false;
    }
    warm_up(load);
    stage_begin(&stage, &load->parts, true);
    if (is_early && !connect_readers(load)) {
        free(stage.delivery);
        free(stage.answer);
        return false;
    }
    if (load->parts.interrupts == 0) {
        if (settings->hold) {
            hold(load, &stage);
        } else {
            publish(load, &stage, settings->rate, settings->duration);
        }
    }
    stage_end(&stage, &step);
    add_step(load, &step);
    free_step(&step);
    return true;
}

static bool run_all(struct load *load) {
    const struct settings *settings = load->settings;
    if (!open_publishers(load) || !preload(load)) {
        return false;
    }
    if (strcmp(settings->profile, "steps") != 0 || settings->hold) {
        return run_whole(load);
    }
    if (!connect_readers(load)) {
        return false;
    }
    warm_up(load);
    run_steps(load);
    return true;
}

static void tell_busy(double share, const char *who, const char *cure) {
    if (share > BUSY_SHARE) {
        fprintf(stderr,
                "tidings: bench: %s was busy %.0f%% of a second: rates and latencies may be the "
                "load's own; %s\n",
                who, share * 100, cure);
    }
}

static void tell_troubles(struct load *load) {
    struct publishers_figures out = {0};
    struct readers_figures in = {.connect = load->parts.connect};
    if (load->parts.readers != NULL) {
        readers_collect(load->parts.readers, &in);
        troubles_tell(&in.sums.troubles, "reader");
    }
    if (load->parts.publishers != NULL) {
        publishers_collect(load->parts.publishers, &out);
        troubles_tell(&out.troubles, "publisher");
        if (out.refusal != NULL) {
            fprintf(stderr, "tidings: bench: the first message that was refused: %s\n",
                    out.refusal);
        }
    }
}

enum load_end load_run(const struct settings *settings, struct result *ret_result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    memset(ret_result, 0, sizeof(*ret_result));
    ret_result->settings = settings;
    ret_result->started_unix_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    ret_result->connect = need_histogram();
    ret_result->whole.delivery = need_histogram();
    ret_result->whole.answer = need_histogram();
    ret_result->whole.rate = settings->rate;
    struct load load = {.settings = settings, .result = ret_result, .parts.signals = -1};
    enum load_end end = LOAD_FAILED;
    if (prepare(&load) && run_all(&load)) {
        live_finish(&load.parts.live);
        tell_troubles(&load);
        tell_busy(load.parts.busy_reading, "a thread that reads", "--threads takes more");
        tell_busy(load.parts.busy_publishing, "the thread that publishes",
                  "a second load beside this one takes more");
        end = load.parts.is_gone ? LOAD_GONE : LOAD_DONE;
    }
    ret_result->signal = load.parts.interrupts > 0 ? load.parts.signal : 0;
    release(&load);
    return end;
}

void load_finish(struct result *result) {
    free_step(&result->whole);
    for (size_t index = 0; index < result->step_count; index++) {
        free_step(&result->steps[index]);
    }
    free(result->connect);
    free(result->seconds);
    result->connect = NULL;
    result->seconds = NULL;
}

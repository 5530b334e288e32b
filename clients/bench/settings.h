/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h — what a load is to be: the flags of `tidings bench` and the keys of a scenario file.
 *
 * Place:   filled by settings.c (the command line) and scenario.c (YAML) from one table; read by
 *          everyone in clients/bench. manual.c writes --help and the reference page from it.
 * Thread:  main fills it; constant once the load runs.
 * Bounds:  SETTINGS_ASSERTIONS_MAX assertions; numbers have the limits of their rows.
 *
 * A flag is its key with dashes: `payload_bytes` is --payload-bytes. Flags win over the scenario.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_ASSERTIONS_MAX 32

/* X(name, kind, default, lowest, highest, argument, summary). The kinds:
 *   text      borrowed from the words, or kept by the settings; NULL where the default is ""
 *   choice    text that is one of the words of `argument`
 *   count     uint64_t; "1000", "100k", "1M"
 *   rate      double, a second; "1000", "1000/s", "20k"
 *   duration  uint64_t nanoseconds; "10s", "250ms", "5m"
 *   share     double from 0 to 1; "0.1" or "10%"
 *   toggle    bool; on the command line the flag alone
 * Both limits 0: it has none. */
#define SETTINGS_SERVER(X)                                                                         \
    X(url, text, "http://localhost:8080", 0, 0, "URL",                                             \
      "http(s)://, mqtt(s)://, nats:// or redis:// (TIDINGS_URL)")                                 \
    X(publish_url, text, "", 0, 0, "URL", "Where publishers connect to, if not to --url")          \
    X(read_url, text, "", 0, 0, "URL", "Where readers connect to, if not to --url")                \
    X(listen, text, "", 0, 0, "ADDR:PORT", "read webhook: where webhooks are received")            \
    X(ca, text, "", 0, 0, "FILE", "TLS: who signs the server's certificate (TIDINGS_CA)")          \
    X(insecure, toggle, "false", 0, 0, NULL, "TLS: believes any certificate, whatever --ca says")  \
    X(pid, count, "0", 0, 4194304, "PID", "The server's process, for its CPU time and memory")

#define SETTINGS_CHANNELS(X)                                                                       \
    X(channel, text, "bench/{n}", 0, 0, "NAME", "Name of a channel; {n} is its number, from 0")    \
    X(channels, count, "1", 1, 10000000, "N", "Channels that are published to")                    \
    X(pattern, text, "", 0, 0, "PATTERN",                                                          \
      "What readers subscribe to instead; {n}: their number modulo channels")

#define SETTINGS_PUBLISHING(X)                                                                     \
    X(publish, text, "rest", 0, 0, "PROTOCOL", "How messages are published; none: nobody does")    \
    X(publishers, count, "4", 1, 10000, "N", "Connections that publish")                           \
    X(rate, rate, "100", 0, 1e8, "N",                                                              \
      "Messages a second (open model); 0: as fast as answered (closed)")                           \
    X(in_flight, count, "1", 1, 65535, "N", "Closed model: unanswered publishes a connection")     \
    X(payload_bytes, count, "64", 48, 16777216, "N", "Bytes of a message")                         \
    X(batch, count, "1", 1, 100000, "N", "Messages a publish, where the protocol has batches")     \
    X(spread, choice, "turn", 0, 0, "turn|random", "Which channel is next")                        \
    X(preload, count, "0", 0, 1000000000, "N", "Messages published before the readers connect")

#define SETTINGS_READING(X)                                                                        \
    X(read, text, "websocket", 0, 0, "PROTOCOL", "How messages are read; none: nobody does")       \
    X(readers, count, "100", 1, 1000000, "N", "Connections that read")                             \
    X(subscriptions, count, "1", 1, 1000000, "N", "Channels of a reader, in turn over all")        \
    X(since, text, "", 0, 0, "PLACE",                                                              \
      "Where readers begin, for servers with history: earliest, ...")                              \
    X(connect_rate, rate, "0", 0, 1e6, "N",                                                        \
      "Readers that connect a second; 0: as fast as they can")                                     \
    X(churn, rate, "0", 0, 1e6, "N", "Readers that reconnect a second while the load runs")        \
    X(slow, share, "0", 0, 1, "SHARE", "Readers that are slow")                                    \
    X(slow_bytes, count, "0", 0, 1000000000, "N",                                                  \
      "Bytes a second that a slow reader takes; 0: none")                                          \
    X(threads, count, "1", 1, 64, "N", "Threads that read")

#define SETTINGS_TIME(X)                                                                           \
    X(profile, choice, "constant", 0, 0, "constant|ramp|steps|spike|soak",                         \
      "How the rate goes over time")                                                               \
    X(rate_to, rate, "0", 0, 1e8, "N", "ramp, steps: the last rate; spike: the rate of the spike") \
    X(steps, count, "10", 2, 64, "N", "steps: how many, from --rate to --rate-to")                 \
    X(arrivals, choice, "even", 0, 0, "even|poisson", "Open model: the gaps between messages")     \
    X(warm_up, duration, "0s", 0, 3600000000000, "TIME", "Published before, and not counted")      \
    X(duration, duration, "10s", 0, 604800000000000, "TIME",                                       \
      "How long is published; of steps, each")                                                     \
    X(drain, duration, "5s", 0, 3600000000000, "TIME",                                             \
      "How long what is under way may take at the end")                                            \
    X(hold, toggle, "false", 0, 0, NULL,                                                           \
      "Publish nothing: hold the readers until a signal, or the end of a pipe or terminal")        \
    X(seed, count, "1", 0, 0, "N", "Of everything that is drawn")

#define SETTINGS_REPORTS(X)                                                                        \
    X(name, text, "", 0, 0, "NAME", "What the reports call it")                                    \
    X(description, text, "", 0, 0, "TEXT", "What the reports say it is")                           \
    X(json, text, "", 0, 0, "FILE", "Writes the results as JSON; -: standard output")              \
    X(html, text, "", 0, 0, "FILE", "Writes the report as one HTML file")                          \
    X(quiet, toggle, "false", 0, 0, NULL, "No live line")

#define SETTINGS(X)                                                                                \
    SETTINGS_SERVER(X)                                                                             \
    SETTINGS_CHANNELS(X)                                                                           \
    SETTINGS_PUBLISHING(X)                                                                         \
    SETTINGS_READING(X)                                                                            \
    SETTINGS_TIME(X)                                                                               \
    SETTINGS_REPORTS(X)

#define SETTINGS_TYPE_text const char *
#define SETTINGS_TYPE_choice const char *
#define SETTINGS_TYPE_count uint64_t
#define SETTINGS_TYPE_rate double
#define SETTINGS_TYPE_duration uint64_t
#define SETTINGS_TYPE_share double
#define SETTINGS_TYPE_toggle bool

/* publish_url and read_url are set once settings_parse is done: to themselves, or to `url` where
 * the protocol has its scheme, or to the host of `url` with the protocol's scheme and port. */
struct settings {
#define SETTINGS_FIELD(name, kind, value, lowest, highest, argument, summary)                      \
    SETTINGS_TYPE_##kind name;
    SETTINGS(SETTINGS_FIELD)
#undef SETTINGS_FIELD
    const char *assertions[SETTINGS_ASSERTIONS_MAX]; /* --assert, once each; `assert:` a list */
    size_t assertion_count;
    struct settings_text *texts; /* what is not borrowed from the words */
};

enum settings_kind {
    SETTINGS_KIND_text,
    SETTINGS_KIND_choice,
    SETTINGS_KIND_count,
    SETTINGS_KIND_rate,
    SETTINGS_KIND_duration,
    SETTINGS_KIND_share,
    SETTINGS_KIND_toggle,
};

struct settings_row {
    const char *group;
    const char *name;
    enum settings_kind kind;
    const char *fallback; /* what stands when nothing is told */
    double lowest;
    double highest; /* 0: there are no limits */
    const char *argument;
    const char *summary;
    size_t at; /* of the field in struct settings */
};

/* Reads `[SCENARIO.yaml] [flags]`. True: go on; the caller frees with settings_finish. False: help
 * or every fault was printed, and `ret_exit` says what to leave with. */
bool settings_parse(int count, char *const *words, struct settings *ret_settings, int *ret_exit);

void settings_finish(struct settings *settings);

/* The rows in the order of the table; NULL behind the last. */
const struct settings_row *settings_row_at(size_t index);

/* Writes a setting as one would give it; "" where it is not set. Longer text is cut. */
void settings_format(const struct settings *settings, const struct settings_row *row, char *text,
                     size_t size);

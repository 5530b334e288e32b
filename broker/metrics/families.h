/* SPDX-License-Identifier: Apache-2.0 */
/* families.h — the metrics of what is declared by name: sinks and sources.
 *
 * Place:   written at a scrape by the operator's port, which asks the sinks thread; walked by the
 *          reference page and by the tests.
 * Thread:  constants.
 * Bounds:  FAMILIES_SUBJECTS_MAX sinks, and as many sources, have series of their own, the first in
 *          order of name; the rest is summed as "(other)", which nobody can be called.
 *
 * Unlike those of table.h their series come and go with what is declared: each has a label `sink`
 * or `source`, whose value is from whoever may declare one, never from a client.
 */
#pragma once

#include "broker/metrics/table.h"

#define FAMILIES_SUBJECTS_MAX 200
#define FAMILIES_OTHER "(other)"

/* X(family, name, type, unit, second label or "", help) */
#define FAMILIES_SINK_TABLE(X)                                                                     \
    X(SINK_STATE, "tidings_sink_state", GAUGE, COUNT, "state",                                     \
      "1 for the state that the sink is in, 0 for all others")                                     \
    X(SINK_BREAKER, "tidings_sink_breaker_open", GAUGE, COUNT, "",                                 \
      "1 while the breaker is open, and nothing is sent, or half open, and one request is tried")  \
    X(SINK_LAG, "tidings_sink_lag_messages", GAUGE, COUNT, "",                                     \
      "Messages that the sink has not delivered yet; perhaps more than there are where it is far " \
      "behind")                                                                                    \
    X(SINK_LAG_TIME, "tidings_sink_lag_seconds", GAUGE, MILLISECONDS, "",                          \
      "Age of the oldest message that it has not delivered; 0: none waits")                        \
    X(SINK_IN_FLIGHT, "tidings_sink_in_flight", GAUGE, COUNT, "",                                  \
      "Requests, or records of one that pipelines, under way now")                                 \
    X(SINK_WAITING, "tidings_sink_waiting", GAUGE, COUNT, "",                                      \
      "Channels (keys, or messages in parallel mode) that wait for their next attempt; the "       \
      "others go on beside 400 of them")                                                           \
    X(SINK_WINDOW, "tidings_sink_window", GAUGE, COUNT, "",                                        \
      "How many may be under way now: what the endpoint was found to take")                        \
    X(SINK_MEMORY, "tidings_sink_memory_bytes", GAUGE, BYTES, "", "Memory that it takes, about")   \
    X(SINK_MESSAGES, "tidings_sink_messages_total", COUNTER, COUNT, "", "Messages delivered")      \
    X(SINK_BYTES, "tidings_sink_bytes_total", COUNTER, BYTES, "", "Payload bytes delivered")       \
    X(SINK_ATTEMPTS, "tidings_sink_attempts_total", COUNTER, COUNT, "outcome",                     \
      "Requests that ended, by what became of them; a batch is one")                               \
    X(SINK_DEAD, "tidings_sink_dead_letters_total", COUNTER, COUNT, "",                            \
      "Messages given up and published to `$dlq/` and the sink's name")                            \
    X(SINK_GAPS, "tidings_sink_gaps_total", COUNTER, COUNT, "",                                    \
      "Times that messages were gone from the log before they were sent")                          \
    X(SINK_FAILING, "tidings_sink_failing_since_timestamp_seconds", GAUGE, MILLISECONDS, "",       \
      "Since when nothing was delivered and something failed, since 1970; 0: it works")            \
    X(SINK_NEXT, "tidings_sink_next_attempt_timestamp_seconds", GAUGE, MILLISECONDS, "",           \
      "When something is tried again, since 1970; 0: nothing waits for that")                      \
    X(SINK_DURATION, "tidings_sink_request_duration_seconds", HISTOGRAM, MICROSECONDS, "",         \
      "From the beginning of a request to its end, whatever became of it")

#define FAMILIES_SOURCE_TABLE(X)                                                                   \
    X(SOURCE_STATE, "tidings_source_state", GAUGE, COUNT, "state",                                 \
      "1 for the state that the source is in, 0 for all others")                                   \
    X(SOURCE_LAG, "tidings_source_lag_messages", GAUGE, COUNT, "",                                 \
      "Records of the other system that are not read yet, where it says so")                       \
    X(SOURCE_MESSAGES, "tidings_source_messages_total", COUNTER, COUNT, "", "Records published")   \
    X(SOURCE_BYTES, "tidings_source_bytes_total", COUNTER, BYTES, "", "Payload bytes published")   \
    X(SOURCE_REFUSED, "tidings_source_refused_total", COUNTER, COUNT, "",                          \
      "Records that no channel takes: too large, or of a name that is none")                       \
    X(SOURCE_OWN, "tidings_source_own_total", COUNTER, COUNT, "",                                  \
      "Records passed over because they came from this log")                                       \
    X(SOURCE_GAPS, "tidings_source_gaps_total", COUNTER, COUNT, "",                                \
      "Times that records were gone from the other system before they were read")

enum family {
#define FAMILY(family, ...) FAMILY_##family,
    FAMILIES_SINK_TABLE(FAMILY) FAMILIES_SOURCE_TABLE(FAMILY)
#undef FAMILY
        FAMILY_COUNT,
    FAMILY_SOURCES = FAMILY_SOURCE_STATE /* the first of them */
};

struct family_row {
    const char *name;
    enum metrics_type type;
    enum metrics_unit unit;
    const char *subject_label; /* "sink" or "source" */
    const char *second_label;  /* or "" */
    const char *help;
};

extern const struct family_row family_rows[FAMILY_COUNT];

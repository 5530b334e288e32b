/* SPDX-License-Identifier: Apache-2.0 */
/* kafka_options.h — how librdkafka is set up for a sink or a source: what the row says, and what
 * our promises need whatever it says.
 *
 * Place:   of kafka.c, kafka_exact.c and kafka_source.c; the checks are the configuration's.
 * Thread:  pure; any.
 * Bounds:  the row's options, KAFKA_QUEUE_KBYTES of records in a producer.
 *
 * Options go to the library as they are, but for those that are ours: they would break an order or
 * a guarantee, hold a secret where all can read it, print to standard error, or run a program. A
 * user needs `security.protocol` said too, or the library would leave the password out and go in
 * unencrypted; the mechanism is PLAIN unless told.
 */
#pragma once

#include <stdbool.h>

#include <librdkafka/rdkafka.h>

#include "broker/config/config.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"

/* Of one producer, with what the library adds; the sink's own window is 4 MiB of payloads. */
#define KAFKA_QUEUE_KBYTES "32768"

/* What rows of sinks and sources have in common. Borrowed. */
struct kafka_access {
    bool is_consumer;
    struct config_place place;
    const char *brokers;
    const char *username; /* NULL or empty: none */
    const char *password;
    const struct config_list *options;
};

/* Adds each fault of the options and of what they say with the user; `key` is the row's. */
void kafka_options_check(const struct kafka_access *access, const char *source, const char *key,
                         struct config_faults *faults);

/* How to reach the cluster, as rd_kafka_new() takes it. ERR_CONFIG. */
MUST_USE enum error_code kafka_options_create(const struct kafka_access *access,
                                              rd_kafka_conf_t **ret_conf, struct error *why);

/* And what a sink's producer needs: order, no repeats of its own, bounds. ERR_CONFIG. */
MUST_USE enum error_code kafka_options_promise(rd_kafka_conf_t *conf, struct error *why);

/* Sets one property that is ours. ERR_CONFIG: the library does not take it. */
MUST_USE enum error_code kafka_options_set(rd_kafka_conf_t *conf, const char *name,
                                           const char *value, struct error *why);

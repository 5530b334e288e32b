/* SPDX-License-Identifier: Apache-2.0 */
/* sink_rules.h — what the keys of one sink, or of one source, must be together.
 *
 * Place:   called by consistency.c for rows of the file, and for a sink that is declared at the
 *          operator's port.
 * Thread:  pure.
 * Bounds:  one walk through the row's keys.
 *
 * The kind is said by one key: webhook.url, kafka.brokers or mqtt.url. What was given and is not
 * for that kind is a fault: it would be read and ignored.
 */
#pragma once

#include <stdbool.h>

#include "broker/config/config.h"

enum sink_kind { SINK_KIND_NONE, SINK_KIND_WEBHOOK, SINK_KIND_KAFKA, SINK_KIND_MQTT };

/* Of what was given. SINK_KIND_NONE: nothing says it, or several do. */
enum sink_kind sink_rules_kind(const struct sink_row *row);

/* May a sink of the kind have this row of config_scope_sink? */
bool sink_rules_has_key(const struct config_row *row, enum sink_kind kind);

/* Adds every fault of the row; `source` and `key` ("sinks[2]") are what faults name. */
void sink_rules_check(const struct sink_row *row, const char *source, const char *key,
                      struct config_faults *faults);
void sink_rules_check_source(const struct source_row *row, const char *source, const char *key,
                             struct config_faults *faults);

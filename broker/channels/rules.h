/* SPDX-License-Identifier: Apache-2.0 */
/* rules.h — which rule of the configuration a channel lives under.
 *
 * Place:   made by main from the configuration; asked by admission, by the log, and by storage (for
 *          retention) through a callback. Calls pattern.h.
 * Thread:  immutable; any thread may ask.
 * Bounds:  CONFIG_RULES_MAX rules, tried one after the other.
 *
 * A reload makes new rules beside the old ones, which live on because any thread may still ask them
 * (reload.h). What rules_find() gives lives as long as its rules.
 */
#pragma once

#include "broker/config/config.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct metrics;
struct rules;

/* Copies what the configuration says about channels. Rules that ask for metrics are given series,
 * of which there may be too few. NULL: out of memory. */
MUST_USE struct rules *rules_create(const struct config *config, struct metrics *metrics);

/* Accepts NULL. */
void rules_destroy(struct rules *rules);

/* The first rule that matches this checked name, else the defaults; never NULL. A name of a tenant
 * is matched by what its clients call it: rules are the same for all tenants. */
const struct channel_rule *rules_find(const struct rules *rules, struct span channel);

/* Whether any of them has a flush_interval. */
bool rules_have_flush_interval(const struct rules *rules);

/* Whether any of them has a publish_rate; none has where there are no rules (NULL). */
bool rules_have_publish_rate(const struct rules *rules);

/* The largest payload that any of them takes. */
uint64_t rules_message_bytes_max(const struct rules *rules);

/* A config_check_pattern for config_load: a rule may name channels with empty segments, as MQTT
 * does. ERR_BAD_CHANNEL. */
MUST_USE enum error_code rules_check_pattern(struct span pattern, struct error *why);

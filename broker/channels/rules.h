/* SPDX-License-Identifier: Apache-2.0 */
/* rules.h — which rule of the configuration a channel lives under.
 *
 * Place:   made by main from the configuration; asked by admission, by the log, and by storage (for
 *          retention) through a callback. Calls pattern.h.
 * Thread:  immutable; the count is atomic, so any thread may ask while it holds a reference.
 * Bounds:  CONFIG_RULES_MAX rules, tried one after the other.
 *
 * A reload makes new rules and hands a reference to each thread; the old ones end with their last
 * reference. What rules_find() gives lives as long as the rules do.
 */
#pragma once

#include "broker/config/config.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct metrics;
struct rules;

/* Copies what the configuration says about channels; the caller holds the only reference. Rules
 * that ask for metrics are given series, of which there may be too few. NULL: out of memory. */
MUST_USE struct rules *rules_create(const struct config *config, struct metrics *metrics);

/* One more reference; returns `rules`. */
struct rules *rules_ref(struct rules *rules);

/* One reference less; the last one frees. Accepts NULL. */
void rules_unref(struct rules *rules);

/* The first rule that matches this checked name, else the defaults; never NULL. */
const struct channel_rule *rules_find(const struct rules *rules, struct span channel);

/* The largest payload that any of them takes. */
uint64_t rules_message_bytes_max(const struct rules *rules);

/* A config_check_pattern for config_load: a rule may name channels with empty segments, as MQTT
 * does. ERR_BAD_CHANNEL. */
MUST_USE enum error_code rules_check_pattern(struct span pattern, struct error *why);

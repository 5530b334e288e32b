/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/rules.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "broker/channels/pattern.h"
#include "broker/metrics/metrics.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"

/* One allocation: the struct, its rules, then the texts that their `match` points to. */
struct rules {
    atomic_uint reference_count;
    struct channel_rule rule_default;
    size_t count;
    struct channel_rule rules[];
};

static_assert(METRICS_MATCHES_MAX == 64, "the configuration's reference says so");

static uint8_t find_series(const struct channel_rule *rule, struct metrics *metrics) {
    if (!rule->metrics) {
        return 0;
    }
    size_t series = metrics_add_match(metrics, rule->match);
    if (series == METRICS_MATCHES_MAX) {
        log_event(METRICS_FULL, .match = rule->match);
        return 0;
    }
    return (uint8_t)(series + 1);
}

struct rules *rules_create(const struct config *config, struct metrics *metrics) {
    INVARIANT(config->rule_count <= CONFIG_RULES_MAX);
    size_t size = sizeof(struct rules) + config->rule_count * sizeof(struct channel_rule);
    size_t texts_at = size;
    for (size_t i = 0; i < config->rule_count; i++) {
        size += strlen(config->rules[i].match) + 1;
    }
    struct rules *rules = malloc(size);
    if (rules == NULL) {
        return NULL;
    }
    atomic_init(&rules->reference_count, 1);
    rules->rule_default = config->rule_default;
    rules->count = config->rule_count;
    char *text = (char *)rules + texts_at;
    for (size_t i = 0; i < config->rule_count; i++) {
        rules->rules[i] = config->rules[i];
        rules->rules[i].match = text;
        size_t length = strlen(config->rules[i].match) + 1;
        memcpy(text, config->rules[i].match, length);
        text += length;
        rules->rules[i].metrics_match = find_series(&rules->rules[i], metrics);
    }
    INVARIANT(text == (char *)rules + size);
    return rules;
}

struct rules *rules_ref(struct rules *rules) {
    atomic_fetch_add_explicit(&rules->reference_count, 1, memory_order_relaxed);
    return rules;
}

void rules_unref(struct rules *rules) {
    if (rules == NULL) {
        return;
    }
    /* Release: what other threads read of it stands before the free. Acquire by the last. */
    unsigned count = atomic_fetch_sub_explicit(&rules->reference_count, 1, memory_order_acq_rel);
    INVARIANT(count > 0);
    if (count == 1) {
        free(rules);
    }
}

const struct channel_rule *rules_find(const struct rules *rules, struct span channel) {
    for (size_t i = 0; i < rules->count; i++) {
        if (pattern_matches(span_of_string(rules->rules[i].match), channel)) {
            return &rules->rules[i];
        }
    }
    return &rules->rule_default;
}

uint64_t rules_message_bytes_max(const struct rules *rules) {
    uint64_t bytes_max = rules->rule_default.message_bytes_max;
    for (size_t i = 0; i < rules->count; i++) {
        uint64_t own = rules->rules[i].message_bytes_max;
        bytes_max = own > bytes_max ? own : bytes_max;
    }
    return bytes_max;
}

enum error_code rules_check_pattern(struct span pattern, struct error *why) {
    return pattern_check(pattern, true, why);
}

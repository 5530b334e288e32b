/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/channels/rules.h"

#include <stdlib.h>

#include "broker/channels/pattern.h"
#include "broker/channels/scope.h"
#include "broker/metrics/metrics.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"

/* One allocation: the struct, its rules, then the texts that their `match` points to. */
struct rules {
    struct channel_rule rule_default;
    bool have_flush_interval;
    bool have_publish_rate;
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
    rules->rule_default = config->rule_default;
    rules->count = config->rule_count;
    rules->have_flush_interval = config->rule_default.flush_interval_ms > 0;
    rules->have_publish_rate = config->rule_default.publish_rate != CONFIG_UNLIMITED;
    char *text = (char *)rules + texts_at;
    for (size_t i = 0; i < config->rule_count; i++) {
        rules->rules[i] = config->rules[i];
        rules->have_flush_interval |= config->rules[i].flush_interval_ms > 0;
        rules->have_publish_rate |= config->rules[i].publish_rate != CONFIG_UNLIMITED;
        rules->rules[i].match = text;
        size_t length = strlen(config->rules[i].match) + 1;
        memcpy(text, config->rules[i].match, length);
        text += length;
        rules->rules[i].metrics_match = find_series(&rules->rules[i], metrics);
    }
    INVARIANT(text == (char *)rules + size);
    return rules;
}

void rules_destroy(struct rules *rules) {
    free(rules);
}

const struct channel_rule *rules_find(const struct rules *rules, struct span channel) {
    struct span visible = scope_visible(channel);
    for (size_t i = 0; i < rules->count; i++) {
        if (pattern_matches(span_of_string(rules->rules[i].match), visible)) {
            return &rules->rules[i];
        }
    }
    return &rules->rule_default;
}

bool rules_have_flush_interval(const struct rules *rules) {
    return rules->have_flush_interval;
}

bool rules_have_publish_rate(const struct rules *rules) {
    return rules != NULL && rules->have_publish_rate;
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

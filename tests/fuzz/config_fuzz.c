/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/yaml.h"

#include "broker/channels/rules.h"
#include "tests/fuzz/fuzz.h"

static void check_rule(const struct channel_rule *rule) {
    CLAIM(rule->match != NULL);
    CLAIM(rules_check_pattern(span_of_string(rule->match), NULL) == OK);
    CLAIM(rule->message_bytes_max >= 1);
    CLAIM(rule->message_bytes_max <= 16777216);
    CLAIM(rule->history_age_ms_max >= 1000);
    CLAIM(rule->on_lag <= ON_LAG_AUTO);
    CLAIM(rule->retain <= RETAIN_LATEST);
}

/* Any file is read to its end, every fault has a place and a reason, and what has no fault is
 * within the bounds of the table. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    static struct config_faults faults;
    struct config_sources none = {0};
    struct config *config = NULL;
    CLAIM(config_load(&none, &config, &faults) == OK);
    yaml_read("fuzz.yaml", span_of(bytes, length), rules_check_pattern, config, &faults);
    for (size_t i = 0; i < faults.count; i++) {
        CLAIM(faults.rows[i].line >= 1);
        CLAIM(faults.rows[i].column >= 1);
        CLAIM(faults.rows[i].reason[0] != '\0');
    }
    CLAIM(config->rule_count <= CONFIG_RULES_MAX);
    for (size_t i = 0; i < config->rule_count && faults.count == 0; i++) {
        check_rule(&config->rules[i]);
    }
    CLAIM(config->send_budget_bytes >= 4096);
    CLAIM(config->send_budget_bytes <= 16777216);
    CLAIM(config->workers >= 1);
    config_destroy(config);
    return 0;
}

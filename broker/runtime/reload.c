/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/reload.h"

#include <stdlib.h>

#include "broker/channels/rules.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"

struct generation {
    struct config *config;
    struct rules *rules;
};

struct reloader {
    struct broker *broker;
    const struct config_sources *sources;
    struct generation generations[RELOADS_MAX + 1]; /* the first is what the broker began with */
    size_t generation_count;
};

static void on_answered(struct letter *letter, void *consumer) {
    struct reload *reload = CONTAINER_OF(letter, struct reload, letter);
    (void)consumer;
    reload->on_reloaded(reload);
}

/* On main. */
static void on_asked(struct letter *letter, void *consumer) {
    struct reload *reload = CONTAINER_OF(letter, struct reload, letter);
    struct reloader *reloader = consumer;
    reload->result = atomic_load(&reloader->broker->is_stopping)
                         ? ERR_DRAINING
                         : reloader_run(reloader, &reload->changes, &reload->faults);
    reload->letter.on_delivered = on_answered;
    mailbox_put_answer(reload->reply_to, &reload->letter);
}

enum error_code reload_ask(struct broker *broker, struct reload *reload) {
    if (atomic_load(&broker->is_stopping)) {
        return ERR_DRAINING; /* main does not look into its mailbox until the ports are closed */
    }
    reload->letter.on_delivered = on_asked;
    return mailbox_put(broker->mailbox, &reload->letter);
}

static void keep(struct reloader *reloader, struct config *config, struct rules *rules) {
    reloader->generations[reloader->generation_count++] = (struct generation){config, rules};
    atomic_store(&reloader->broker->rules, rules);
    atomic_store(&reloader->broker->configured, config);
}

enum error_code reloader_create(struct broker *broker, const struct config_sources *sources,
                                struct config *config, struct reloader **ret_reloader) {
    struct reloader *reloader = calloc(1, sizeof(*reloader));
    struct rules *rules = reloader == NULL ? NULL : rules_create(config, broker->metrics);
    if (rules == NULL) {
        free(reloader);
        return ERR_MEMORY;
    }
    reloader->broker = broker;
    reloader->sources = sources;
    broker->config = config;
    keep(reloader, config, rules);
    *ret_reloader = reloader;
    return OK;
}

/* Takes `config` over. */
static enum error_code adopt(struct reloader *reloader, struct config *config,
                             struct reload_changes *ret_changes) {
    const struct config *before = atomic_load(&reloader->broker->configured);
    struct reload_changes changes = {
        .has_new_rules = !config_has_equal_rules(before, config),
        .has_new_log_level = before->log_level != config->log_level,
    };
    if (!changes.has_new_rules && config_has_equal_keys(before, config)) {
        config_destroy(config);
        return OK;
    }
    if (reloader->generation_count > RELOADS_MAX) {
        config_destroy(config);
        return ERR_FULL;
    }
    struct rules *rules = rules_create(config, reloader->broker->metrics);
    if (rules == NULL) {
        config_destroy(config);
        return ERR_MEMORY;
    }
    keep(reloader, config, rules);
    logger_set_level(config->log_level);
    *ret_changes = changes;
    return OK;
}

static void tell_faults(const struct config_faults *faults) {
    for (size_t i = 0; i < faults->count; i++) {
        const struct config_fault *fault = &faults->rows[i];
        log_event(CONFIGURATION_FAULT, .source = fault->source, .line = fault->line,
                  .column = fault->column, .key = fault->key, .reason = fault->reason);
    }
    log_event(RELOAD_REFUSED, .faults = faults->count + faults->count_beyond);
}

static void tell_adopted(const struct reloader *reloader, enum error_code code) {
    if (code != OK) {
        log_event(RELOAD_REFUSED,
                  .reason = code == ERR_FULL ? "no room for more rules: restart" : "out of memory");
        return;
    }
    const struct config *configured = atomic_load(&reloader->broker->configured);
    char waiting[CONFIG_PATHS_BYTES];
    config_list_waiting(reloader->broker->config, configured, waiting);
    log_event(RELOADED, .rules = configured->rule_count,
              .waiting = waiting[0] == '\0' ? NULL : waiting);
}

enum error_code reloader_run(struct reloader *reloader, struct reload_changes *ret_changes,
                             struct config_faults *faults) {
    struct config *config = NULL;
    *ret_changes = (struct reload_changes){0};
    struct metrics_shard *metrics = metrics_shard(reloader->broker->metrics, METRICS_MAIN);
    enum error_code code = config_load(reloader->sources, &config, faults);
    if (code != OK) {
        tell_faults(faults);
    } else {
        code = adopt(reloader, config, ret_changes);
        tell_adopted(reloader, code);
    }
    metrics_add(metrics, code == OK ? METRIC_RELOADS : METRIC_RELOADS_REFUSED, 1);
    return code;
}

void reloader_destroy(struct reloader *reloader) {
    if (reloader == NULL) {
        return;
    }
    for (size_t i = 0; i < reloader->generation_count; i++) {
        rules_unref(reloader->generations[i].rules);
        config_destroy(reloader->generations[i].config);
    }
    free(reloader);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/reload.h"

#include <stdlib.h>

#include "broker/admission/policy.h"
#include "broker/channels/rules.h"
#include "broker/config/exposure.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/access.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/jwks.h"
#include "broker/runtime/sift.h"
#include "broker/runtime/tenants.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"

struct generation {
    struct config *config;
    struct rules *rules;
    struct policy *policy;
};

struct reloader {
    struct broker *broker;
    const struct config_sources *sources;
    struct generation generations[RELOADS_MAX + 1]; /* the first is what the broker began with */
    size_t generation_count;
    void (*on_adopted)(void *context); /* NULL: nobody asks */
    void *context;
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

static void destroy_generation(struct generation *generation) {
    rules_destroy(generation->rules);
    policy_unref(generation->policy);
    config_destroy(generation->config);
}

static void keep(struct reloader *reloader, const struct generation *generation) {
    reloader->generations[reloader->generation_count++] = *generation;
    atomic_store(&reloader->broker->rules, generation->rules);
    if (reloader->broker->jwks != NULL) {
        /* Without memory for a new URL its tokens are refused. */
        IGNORE_RESULT(jwks_follow(reloader->broker->jwks, generation->policy));
    }
    atomic_store(&reloader->broker->policy, generation->policy);
    atomic_store(&reloader->broker->configured, generation->config);
}

enum error_code reloader_create(struct broker *broker, const struct config_sources *sources,
                                struct config *config, struct reloader **ret_reloader,
                                struct error *why) {
    struct reloader *reloader = calloc(1, sizeof(*reloader));
    if (reloader == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the first tables");
    }
    reloader->broker = broker;
    reloader->sources = sources;
    struct generation generation = {.config = config};
    enum error_code code = policy_create(config, &generation.policy, why);
    if (code == OK) {
        generation.rules = rules_create(config, broker->metrics);
        code =
            generation.rules == NULL ? error_set(why, ERR_MEMORY, "no memory for the rules") : OK;
    }
    if (code != OK) {
        policy_unref(generation.policy);
        free(reloader);
        return code;
    }
    broker->config = config;
    keep(reloader, &generation);
    *ret_reloader = reloader;
    return OK;
}

void reloader_on_adopted(struct reloader *reloader, void (*on_adopted)(void *context),
                         void *context) {
    reloader->on_adopted = on_adopted;
    reloader->context = context;
}

enum error_code reloader_enroll(struct reloader *reloader, struct error *why) {
    INVARIANT(reloader->generation_count == 1);
    return policy_enroll(reloader->generations[0].policy, reloader->broker->accounts, why);
}

/* A file that `auth` names may hold something else although no row changed. */
static bool find_changes(const struct reloader *reloader, const struct generation *wanted,
                         struct reload_changes *ret_changes) {
    const struct config *before = atomic_load(&reloader->broker->configured);
    const struct policy *policy_before = atomic_load(&reloader->broker->policy);
    *ret_changes = (struct reload_changes){
        .has_new_rules = !config_has_equal_rules(before, wanted->config),
        .has_new_policy = !policy_is_equal(policy_before, wanted->policy),
        .has_new_tenants = !config_has_equal_tenants(before, wanted->config),
        .has_new_log_level = before->log_level != wanted->config->log_level,
    };
    return ret_changes->has_new_rules || ret_changes->has_new_policy ||
           ret_changes->has_new_tenants || !config_has_equal_sinks(before, wanted->config) ||
           !config_has_equal_keys(before, wanted->config);
}

/* --- who may stay ---------------------------------------------------------------------------- */

/* On each worker. Nobody's connection was let in when everyone was. */
static bool must_go(void *context, const struct identity *identity) {
    const struct policy *policy = context;
    return identity == NULL ? !policy_is_open(policy) : !policy_is_same_for(policy, identity);
}

/* Whose row changed may come back and be let in by what it is now. */
static enum close_reason reason_for(void *context, const struct identity *identity) {
    const struct policy *policy = context;
    if (identity == NULL || identity->facts.kind == IDENTITY_EVERYONE) {
        return CLOSE_UNAUTHORIZED;
    }
    return policy_has_place_for(policy, identity) ? CLOSE_TOKEN_EXPIRED : CLOSE_REVOKED;
}

static void forget_identities(void *context, struct worker *worker) {
    (void)context;
    access_forget_identities(worker_access(worker));
}

static void on_sifted(void *context, uint64_t gone_count) {
    (void)context;
    log_event(AUTH_RELOADED, .ended = gone_count);
}

/* Where credentials were needed before, nobody's connections are those that did not say yet who
 * they are: what they will say is held against the new policy. ERR_MEMORY. */
static enum error_code make_sift(struct broker *broker, const struct policy *policy,
                                 struct sift **ret_sift) {
    struct sift_options options = {
        .reply_to = broker->mailbox,
        .on_worker = forget_identities,
        .must_go = must_go,
        .includes_nobody = policy_is_open(atomic_load(&broker->policy)),
        .on_reason = reason_for,
        .on_over = on_sifted,
        .context = (void *)policy, /* is only read */
    };
    *ret_sift = broker->worker_count == 0 ? NULL : sift_create(broker, &options);
    return *ret_sift == NULL && broker->worker_count > 0 ? ERR_MEMORY : OK;
}

/* --- a reload -------------------------------------------------------------------------------- */

/* What is listened on stays until the next start, and who may do what does not: together they must
 * not let everyone in. */
static enum error_code check_exposure(const struct reloader *reloader, const struct config *wanted,
                                      struct error *why) {
    const struct config *running = reloader->broker->config;
    struct config both = *running;
    both.auth_keys = wanted->auth_keys;
    both.auth_key_count = wanted->auth_key_count;
    both.auth_issuer_count = wanted->auth_issuer_count;
    both.auth_certificate_count = wanted->auth_certificate_count;
    both.webhook_url = wanted->webhook_url;
    both.anonymous_publish = wanted->anonymous_publish;
    both.anonymous_subscribe = wanted->anonymous_subscribe;
    both.anonymous_history = wanted->anonymous_history;
    both.anonymous_presence = wanted->anonymous_presence;
    both.anonymous_delete = wanted->anonymous_delete;
    return exposure_check(&both, why);
}

/* Takes `config` over. */
static enum error_code adopt(struct reloader *reloader, struct config *config,
                             struct reload_changes *ret_changes, struct error *why) {
    struct generation generation = {.config = config};
    struct reload_changes changes;
    enum error_code code = check_exposure(reloader, config, why);
    code = code != OK ? code : policy_create(config, &generation.policy, why);
    if (code == OK && reloader->broker->accounts != NULL) {
        code = policy_enroll(generation.policy, reloader->broker->accounts, why);
    }
    if (code != OK || !find_changes(reloader, &generation, &changes)) {
        destroy_generation(&generation);
        return code;
    }
    if (reloader->generation_count > RELOADS_MAX) {
        destroy_generation(&generation);
        return error_set(why, ERR_FULL, "no room for more rules: restart");
    }
    struct sift *sift = NULL;
    generation.rules = rules_create(config, reloader->broker->metrics);
    code = generation.rules == NULL ? ERR_MEMORY : OK;
    if (code == OK && changes.has_new_policy) {
        code = make_sift(reloader->broker, generation.policy, &sift);
    }
    if (code != OK) {
        destroy_generation(&generation);
        return error_set(why, code, "out of memory");
    }
    if (!changes.has_new_policy) { /* the same one, so that nobody looks at it anew */
        policy_unref(generation.policy);
        generation.policy = policy_ref(atomic_load(&reloader->broker->policy));
    }
    keep(reloader, &generation);
    if (sift != NULL) {
        IGNORE_RESULT(sift_begin(sift)); /* not while all are told to go */
    }
    if (reloader->broker->tenants != NULL) {
        tenants_reload(reloader->broker->tenants);
    }
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

static void tell_adopted(const struct reloader *reloader, enum error_code code,
                         const struct error *why) {
    if (code != OK) {
        log_event(RELOAD_REFUSED, .reason = why->detail);
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
        struct error why = {0};
        code = adopt(reloader, config, ret_changes, &why);
        if (code == ERR_CONFIG) { /* what only the running broker can find is a fault like others */
            config_faults_add(faults, "configuration", 0, 0, why.field, "%s", why.detail);
        }
        tell_adopted(reloader, code, &why);
        if (code == OK && reloader->on_adopted != NULL) {
            reloader->on_adopted(reloader->context);
        }
    }
    metrics_add(metrics, code == OK ? METRIC_RELOADS : METRIC_RELOADS_REFUSED, 1);
    return code;
}

void reloader_destroy(struct reloader *reloader) {
    if (reloader == NULL) {
        return;
    }
    for (size_t i = 0; i < reloader->generation_count; i++) {
        destroy_generation(&reloader->generations[i]);
    }
    free(reloader);
}

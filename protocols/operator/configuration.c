/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/configuration.h"

#include <stdlib.h>

#include "broker/channels/rules.h"
#include "broker/config/config.h"
#include "broker/config/exposure.h"
#include "broker/config/value.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/reload.h"
#include "broker/support/invariant.h"
#include "protocols/operator/answer.h"
#include "protocols/rest/request.h"

/* --- what is in force ------------------------------------------------------------------------ */

static enum error_code put_named(struct buffer *body, const char *name,
                                 const struct config_row *row, const void *values) {
    TRY(buffer_printf(body, "\"%s\":", name));
    return value_put(row, values, body);
}

/* A rule has no nested sections: its keys are the ones that the reference names. */
static enum error_code put_rule(struct buffer *body, const struct channel_rule *rule) {
    const char *separator = "{";
    for (size_t i = 0; i < config_scope_rule.row_count; i++) {
        const struct config_row *row = &config_scope_rule.rows[i];
        if (row->type == CONFIG_PATTERN && rule->match == NULL) {
            continue; /* of what no rule matches */
        }
        TRY(buffer_printf(body, "%s", separator));
        TRY(put_named(body, row->path, row, rule));
        separator = ",";
    }
    return buffer_put_byte(body, '}');
}

static enum error_code put_key(struct buffer *body, size_t key, const struct config *config,
                               const struct config *configured, const struct config *defaults) {
    static const char *const sources[] = {[CONFIG_DEFAULT] = "default",
                                          [CONFIG_FILE] = "file",
                                          [CONFIG_ENVIRONMENT] = "environment",
                                          [CONFIG_FLAG] = "flag"};
    const struct config_row *row = &config_scope_file.rows[key];
    const struct config *shown = row->is_reloadable ? configured : config;
    TRY(buffer_printf(body, "%s{\"key\":\"%s\",", key == 0 ? "" : ",", row->path));
    TRY(put_named(body, "value", row, shown));
    TRY(buffer_put_byte(body, ','));
    TRY(put_named(body, "default", row, defaults));
    TRY(buffer_printf(body, ",\"source\":\"%s\",\"reloadable\":%s", sources[shown->source_of[key]],
                      row->is_reloadable ? "true" : "false"));
    if (config_does_wait(row, config, configured)) {
        TRY(buffer_put_byte(body, ','));
        TRY(put_named(body, "configured", row, configured));
    }
    return buffer_put_byte(body, '}');
}

static enum error_code put_configuration(struct buffer *body, const struct broker *broker,
                                         const struct config *defaults) {
    const struct config *configured = atomic_load(&broker->configured);
    TRY(answer_put_text(body, SPAN("{\"file\":"), broker->config->file));
    TRY(buffer_put(body, SPAN(",\"keys\":[")));
    for (size_t i = 0; i < config_scope_file.row_count; i++) {
        TRY(put_key(body, i, broker->config, configured, defaults));
    }
    TRY(buffer_put(body, SPAN("],\"channels\":[")));
    for (size_t i = 0; i < configured->rule_count; i++) {
        TRY(i == 0 ? OK : buffer_put_byte(body, ','));
        TRY(put_rule(body, &configured->rules[i]));
    }
    TRY(buffer_put(body, SPAN("],\"unmatched\":")));
    TRY(put_rule(body, &configured->rule_default));
    return buffer_put_byte(body, '}');
}

enum error_code configuration_show(struct request *request, struct error *why) {
    struct config_faults *faults = malloc(sizeof(*faults));
    struct config *defaults = NULL;
    enum error_code code =
        faults == NULL ? ERR_MEMORY : config_load(&(struct config_sources){0}, &defaults, faults);
    if (code == OK) {
        code = put_configuration(&request->reply.body, request->broker, defaults);
    }
    config_destroy(defaults);
    free(faults);
    return answer_as_json(request, 200, code, why);
}

/* --- faults ---------------------------------------------------------------------------------- */

static enum error_code put_fault(struct buffer *body, const struct config_fault *fault) {
    TRY(answer_put_text(body, SPAN("{\"source\":"), fault->source));
    if (fault->line > 0) {
        TRY(buffer_printf(body, ",\"line\":%u,\"column\":%u", fault->line, fault->column));
    }
    if (fault->key[0] != '\0') {
        TRY(answer_put_text(body, SPAN(",\"field\":"), fault->key));
    }
    TRY(answer_put_text(body, SPAN(",\"reason\":"), fault->reason));
    return buffer_put_byte(body, '}');
}

static enum error_code put_faults(struct buffer *body, const struct config_faults *faults) {
    TRY(buffer_put(body, SPAN(",\"faults\":[")));
    for (size_t i = 0; i < faults->count; i++) {
        TRY(i == 0 ? OK : buffer_put_byte(body, ','));
        TRY(put_fault(body, &faults->rows[i]));
    }
    return buffer_printf(body, "],\"faults_left_out\":%zu}", faults->count_beyond);
}

/* The problem has an extension member (RFC 9457, section 3.2). */
static void refuse_with_faults(struct request *request, const struct config_faults *faults) {
    size_t count = faults->count + faults->count_beyond;
    request_refuse_because(request, ERR_CONFIG, NULL, "%zu fault%s; nothing was changed", count,
                           count == 1 ? "" : "s");
    struct buffer *body = &request->reply.body;
    if (body->length > 0) {
        body->length--; /* its closing brace */
        if (put_faults(body, faults) != OK) {
            request_refuse(request, ERR_MEMORY, NULL);
        }
    }
}

/* --- a check --------------------------------------------------------------------------------- */

static enum error_code put_checked(struct buffer *body, const struct config *config) {
    struct error exposed = {0};
    TRY(buffer_printf(body, "{\"rules\":%zu", config->rule_count));
    if (exposure_check(config, &exposed) != OK) {
        TRY(answer_put_text(body, SPAN(",\"note\":"), exposed.detail));
    }
    return buffer_put_byte(body, '}');
}

enum error_code configuration_check(struct request *request, struct error *why) {
    struct config_sources sources = {.text = request->body, .check_pattern = rules_check_pattern};
    struct config_faults *faults = malloc(sizeof(*faults));
    struct config *config = NULL;
    enum error_code code = faults == NULL ? ERR_MEMORY : config_load(&sources, &config, faults);
    if (code == ERR_CONFIG) {
        refuse_with_faults(request, faults);
        code = OK;
    } else {
        code = code != OK ? code : put_checked(&request->reply.body, config);
        code = answer_as_json(request, 200, code, why);
    }
    config_destroy(config);
    free(faults);
    return code;
}

/* --- a reload -------------------------------------------------------------------------------- */

struct reloading {
    struct request *request;
    struct reload reload;
};

static enum error_code put_waiting(struct buffer *body, const struct config *config,
                                   const struct config *configured) {
    const char *separator = "";
    for (size_t i = 0; i < config_scope_file.row_count; i++) {
        const struct config_row *row = &config_scope_file.rows[i];
        if (!config_does_wait(row, config, configured)) {
            continue;
        }
        TRY(buffer_printf(body, "%s{\"key\":\"%s\",", separator, row->path));
        TRY(put_named(body, "value", row, config));
        TRY(buffer_put_byte(body, ','));
        TRY(put_named(body, "configured", row, configured));
        TRY(buffer_put_byte(body, '}'));
        separator = ",";
    }
    return OK;
}

static enum error_code put_reloaded(struct buffer *body, const struct broker *broker,
                                    const struct reload_changes *changes) {
    const struct config *configured = atomic_load(&broker->configured);
    TRY(buffer_printf(body, "{\"changed\":[%s%s%s],\"waiting\":[",
                      changes->has_new_rules ? "\"channels\"" : "",
                      changes->has_new_rules && changes->has_new_log_level ? "," : "",
                      changes->has_new_log_level ? "\"log.level\"" : ""));
    TRY(put_waiting(body, broker->config, configured));
    return buffer_printf(body, "],\"rules\":%zu}", configured->rule_count);
}

static void on_reloaded(struct reload *reload) {
    struct request *request = CONTAINER_OF(reload, struct reloading, reload)->request;
    struct error why = {0};
    enum error_code code = reload->result;
    if (!request_is_wanted(request)) {
        request_answer(request);
        return;
    }
    if (code == ERR_CONFIG) {
        refuse_with_faults(request, &reload->faults);
    } else {
        if (code == OK) {
            code = put_reloaded(&request->reply.body, request->broker, &reload->changes);
            code = answer_as_json(request, 200, code, &why);
        }
        if (code != OK) {
            request_refuse(request, code, &why);
        }
    }
    request_answer(request);
}

enum error_code configuration_reload(struct request *request, struct error *why) {
    struct reloading *reloading = calloc(1, sizeof(*reloading));
    if (reloading == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for a reload");
    }
    reloading->request = request;
    reloading->reload.reply_to = request->reply_to;
    reloading->reload.on_reloaded = on_reloaded;
    request->state = reloading;
    request->on_state_finish = free;
    enum error_code code = reload_ask(request->broker, &reloading->reload);
    if (code != OK) {
        return error_set(why, code,
                         code == ERR_BUSY ? "too much waits for the main thread"
                                          : "the broker goes down");
    }
    request_wait(request);
    return OK;
}

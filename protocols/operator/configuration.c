/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/configuration.h"

#include <stdlib.h>

#include "broker/admission/policy.h"
#include "broker/channels/rules.h"
#include "broker/config/config.h"
#include "broker/config/exposure.h"
#include "broker/config/value.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/reload.h"
#include "protocols/operator/answer.h"
#include "protocols/rest/request.h"
#include "protocols/sinks/declaration.h"

/* --- what is in force ------------------------------------------------------------------------ */

static enum error_code put_named(struct buffer *body, const char *name,
                                 const struct config_row *row, const void *values) {
    TRY(buffer_printf(body, "\"%s\":", name));
    return value_put(row, values, body);
}

/* A row has no nested sections: its keys are the ones that the reference names. Of what no rule
 * matches there is no `match`. */
static enum error_code put_row(struct buffer *body, const struct config_scope *scope,
                               const void *values, bool is_unmatched) {
    const char *separator = "{";
    for (size_t i = 0; i < scope->row_count; i++) {
        const struct config_row *row = &scope->rows[i];
        if (is_unmatched && row->type == CONFIG_PATTERN) {
            continue;
        }
        TRY(buffer_printf(body, "%s", separator));
        TRY(put_named(body, row->path, row, values));
        separator = ",";
    }
    return buffer_put_byte(body, '}');
}

static enum error_code put_lists(struct buffer *body, const struct config *configured) {
    for (size_t i = 0; i < config_scope_file.list_count; i++) {
        const struct config_rows *list = &config_scope_file.lists[i];
        TRY(buffer_printf(body, ",\"%s\":[", list->path));
        for (size_t j = 0; j < config_row_count(configured, list); j++) {
            TRY(j == 0 ? OK : buffer_put_byte(body, ','));
            TRY(put_row(body, list->scope, config_row_at(configured, list, j), false));
        }
        TRY(buffer_put_byte(body, ']'));
    }
    return OK;
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
    TRY(buffer_put_byte(body, ']'));
    TRY(put_lists(body, configured));
    TRY(buffer_put(body, SPAN(",\"unmatched\":")));
    TRY(put_row(body, &config_scope_rule, &configured->rule_default, true));
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
    struct config_sources sources = {.text = request->body,
                                     .check_pattern = rules_check_pattern,
                                     .check_rows = declaration_check_rows,
                                     .check_files = policy_check};
    struct config_faults *faults = malloc(sizeof(*faults));
    struct config *config = NULL;
    enum error_code code = faults == NULL ? ERR_MEMORY : config_load(&sources, &config, faults);
    if (code == ERR_CONFIG) {
        answer_refuse_with_faults(request, faults);
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
    const struct {
        bool is_new;
        const char *key;
    } parts[] = {{changes->has_new_rules, "channels"},
                 {changes->has_new_policy, "auth"},
                 {changes->has_new_tenants, "tenants"},
                 {changes->has_new_log_level, "log.level"}};
    const char *separator = "";
    TRY(buffer_put(body, SPAN("{\"changed\":[")));
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        if (parts[i].is_new) {
            TRY(buffer_printf(body, "%s\"%s\"", separator, parts[i].key));
            separator = ",";
        }
    }
    TRY(buffer_put(body, SPAN("],\"waiting\":[")));
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
        answer_refuse_with_faults(request, &reload->faults);
        request_answer(request);
    } else {
        if (code == OK) {
            code = put_reloaded(&request->reply.body, request->broker, &reload->changes);
            code = answer_as_json(request, 200, code, &why);
        }
        request_end(request, code, &why);
    }
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

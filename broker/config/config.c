/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "broker/config/exposure.h"
#include "broker/config/sources.h"
#include "broker/config/value.h"
#include "broker/config/yaml.h"
#include "broker/support/invariant.h"

void config_faults_add(struct config_faults *faults, const char *source, uint32_t line,
                       uint32_t column, const char *key, const char *format, ...) {
    if (faults->count >= CONFIG_FAULTS_MAX) {
        faults->count_beyond++;
        return;
    }
    struct config_fault *fault = &faults->rows[faults->count++];
    *fault = (struct config_fault){.line = line, .column = column};
    snprintf(fault->source, sizeof(fault->source), "%s", source);
    snprintf(fault->key, sizeof(fault->key), "%s", key);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault->reason, sizeof(fault->reason), format, arguments);
    va_end(arguments);
}

/* What a file holds may be meant to write to the terminal. */
static void print_safely(const char *text, FILE *stream) {
    for (const char *byte = text; *byte != '\0'; byte++) {
        bool is_control = (unsigned char)*byte < ' ' || *byte == 0x7f;
        fputc(is_control ? '?' : *byte, stream);
    }
}

void config_faults_print(const struct config_faults *faults, FILE *stream) {
    for (size_t i = 0; i < faults->count; i++) {
        const struct config_fault *fault = &faults->rows[i];
        print_safely(fault->source, stream);
        if (fault->line > 0) {
            fprintf(stream, ":%u:%u", fault->line, fault->column);
        }
        fputs(": ", stream);
        print_safely(fault->key, stream);
        fputs(fault->key[0] == '\0' ? "" : ": ", stream);
        print_safely(fault->reason, stream);
        fputc('\n', stream);
    }
    if (faults->count_beyond > 0) {
        fprintf(stream, "and %zu more\n", faults->count_beyond);
    }
}

static enum error_code set_defaults(const struct config_scope *scope, void *values) {
    for (size_t i = 0; i < scope->row_count; i++) {
        const struct config_row *row = &scope->rows[i];
        if (row->default_text == NULL) {
            continue;
        }
        enum error_code code = value_set(row, values, span_of_string(row->default_text), NULL);
        INVARIANT(code == OK || code == ERR_MEMORY); /* a default breaks its own row's rules */
        if (code != OK) {
            return code;
        }
    }
    return OK;
}

static void clear_values(const struct config_scope *scope, void *values) {
    for (size_t i = 0; i < scope->row_count; i++) {
        value_clear(&scope->rows[i], values);
    }
}

static void read_file(const char *name, config_check_pattern *check_pattern, struct config *config,
                      struct config_faults *faults) {
    FILE *file = fopen(name, "rbe");
    if (file == NULL) {
        config_faults_add(faults, name, 0, 0, "", "cannot be opened: %s", strerrordesc_np(errno));
        return;
    }
    uint8_t *bytes = malloc(CONFIG_FILE_BYTES_MAX + 1);
    size_t length = bytes == NULL ? 0 : fread(bytes, 1, CONFIG_FILE_BYTES_MAX + 1, file);
    if (bytes == NULL || ferror(file)) {
        config_faults_add(faults, name, 0, 0, "", "cannot be read: %s", strerrordesc_np(errno));
    } else if (length > CONFIG_FILE_BYTES_MAX) {
        config_faults_add(faults, name, 0, 0, "", "is larger than %d bytes", CONFIG_FILE_BYTES_MAX);
    } else {
        yaml_read(name, span_of(bytes, length), check_pattern, config, faults);
    }
    free(bytes);
    fclose(file);
}

/* Two keys may name one address only where each takes a free port there. */
static void check_ports(const char *first_key, const struct config_address *first, const char *key,
                        const struct config_address *second, struct config_faults *faults) {
    char first_text[EXPOSURE_ADDRESS_BYTES];
    char text[EXPOSURE_ADDRESS_BYTES];
    exposure_format_address(first, first_text);
    exposure_format_address(second, text);
    const char *port = strrchr(text, ':');
    if (strcmp(first_text, text) == 0 && port != NULL && strcmp(port, ":0") != 0) {
        config_faults_add(faults, "configuration", 0, 0, key,
                          "is %s, as %s is: they need two ports", text, first_key);
    }
}

/* What no single row can say. */
static void check_relations(const struct config *config, struct config_faults *faults) {
    const struct {
        const char *key;
        const struct config_address *address;
    } ports[] = {{"public.listen", &config->public_listen},
                 {"operator.listen", &config->operator_listen},
                 {"mqtt.listen", &config->mqtt_listen}};
    for (size_t i = 0; i < ARRAY_COUNT(ports); i++) {
        for (size_t earlier = 0; earlier < i; earlier++) {
            check_ports(ports[earlier].key, ports[earlier].address, ports[i].key, ports[i].address,
                        faults);
        }
    }
}

static void resolve_on_lag(struct channel_rule *rule) {
    if (rule->on_lag == ON_LAG_AUTO) {
        /* A channel without history has nothing from which a reader could catch up. */
        rule->on_lag = rule->history_messages_max == 0 ? ON_LAG_DROP : ON_LAG_CATCH_UP;
    }
}

/* Defaults that depend on other keys, when all keys are known. */
static void resolve(struct config *config) {
    resolve_on_lag(&config->rule_default);
    for (size_t i = 0; i < config->rule_count; i++) {
        resolve_on_lag(&config->rules[i]);
    }
}

enum error_code config_load(const struct config_sources *sources, struct config **ret_config,
                            struct config_faults *ret_faults) {
    *ret_faults = (struct config_faults){0};
    struct config *config = calloc(1, sizeof(*config));
    if (config == NULL || set_defaults(&config_scope_rule, &config->rule_default) != OK ||
        set_defaults(&config_scope_file, config) != OK) {
        config_destroy(config);
        config_faults_add(ret_faults, "configuration", 0, 0, "", "out of memory");
        return ERR_MEMORY;
    }
    if (sources->text.length > 0) {
        yaml_read("text", sources->text, sources->check_pattern, config, ret_faults);
    } else {
        config->file = sources_find_file(sources);
    }
    if (config->file != NULL) {
        read_file(config->file, sources->check_pattern, config, ret_faults);
    }
    sources_read_environment(sources->environment, config, ret_faults);
    sources_read_flags(sources->flag_count, sources->flags, config, ret_faults);
    check_relations(config, ret_faults);
    if (ret_faults->count > 0) {
        config_destroy(config);
        return ERR_CONFIG;
    }
    resolve(config);
    *ret_config = config;
    return OK;
}

#define PATH_BYTES(name, path, ...) +sizeof(path)
_Static_assert(0 CONFIG_TABLE(PATH_BYTES) <= CONFIG_PATHS_BYTES, "each path may differ");
#undef PATH_BYTES

bool config_does_wait(const struct config_row *row, const struct config *running,
                      const struct config *wanted) {
    return !row->is_reloadable && !value_is_equal(row, running, wanted);
}

void config_list_waiting(const struct config *running, const struct config *wanted,
                         char ret_paths[CONFIG_PATHS_BYTES]) {
    size_t length = 0;
    ret_paths[0] = '\0';
    for (size_t i = 0; i < config_scope_file.row_count; i++) {
        const struct config_row *row = &config_scope_file.rows[i];
        if (config_does_wait(row, running, wanted)) {
            length += (size_t)snprintf(ret_paths + length, CONFIG_PATHS_BYTES - length, "%s%s",
                                       length == 0 ? "" : ",", row->path);
        }
    }
}

void config_set_source(struct config *config, const struct config_row *row,
                       enum config_source source) {
    size_t key = (size_t)(row - config_scope_file.rows);
    INVARIANT(key < CONFIG_KEY_COUNT);
    config->source_of[key] = source;
}

static bool are_equal(const struct config_scope *scope, const void *left, const void *right) {
    for (size_t i = 0; i < scope->row_count; i++) {
        if (!value_is_equal(&scope->rows[i], left, right)) {
            return false;
        }
    }
    return true;
}

bool config_has_equal_rules(const struct config *left, const struct config *right) {
    bool is_equal = left->rule_count == right->rule_count;
    for (size_t i = 0; is_equal && i < left->rule_count; i++) {
        is_equal = are_equal(&config_scope_rule, &left->rules[i], &right->rules[i]);
    }
    return is_equal;
}

bool config_has_equal_keys(const struct config *left, const struct config *right) {
    return are_equal(&config_scope_file, left, right);
}

void config_destroy(struct config *config) {
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->rule_count; i++) {
        clear_values(&config_scope_rule, &config->rules[i]);
    }
    free(config->rules);
    clear_values(&config_scope_file, config);
    free(config);
}

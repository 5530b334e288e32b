/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "broker/config/consistency.h"
#include "broker/config/sources.h"
#include "broker/config/value.h"
#include "broker/config/yaml.h"
#include "broker/support/invariant.h"

PRINTF_LIKE(5, 0)
static void add_fault(struct config_faults *faults, const char *source, struct config_mark mark,
                      const char *key, const char *format, va_list arguments) {
    if (faults->count >= CONFIG_FAULTS_MAX) {
        faults->count_beyond++;
        return;
    }
    struct config_fault *fault = &faults->rows[faults->count++];
    *fault = (struct config_fault){.line = mark.line, .column = mark.column};
    snprintf(fault->source, sizeof(fault->source), "%s", source);
    snprintf(fault->key, sizeof(fault->key), "%s", key);
    vsnprintf(fault->reason, sizeof(fault->reason), format, arguments);
}

void config_faults_add(struct config_faults *faults, const char *source, uint32_t line,
                       uint32_t column, const char *key, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add_fault(faults, source, (struct config_mark){line, column}, key, format, arguments);
    va_end(arguments);
}

/* NULL: the value is not from the file. */
static const struct config_mark *find_mark(const struct config *config, const char *key) {
    const struct config_row *row = config_scope_find(&config_scope_file, span_of_string(key));
    size_t index = row == NULL ? 0 : (size_t)(row - config_scope_file.rows);
    bool is_of_file = row != NULL && config->source_of[index] == CONFIG_FILE;
    return is_of_file ? &config->mark_of[index] : NULL;
}

void config_faults_add_key(struct config_faults *faults, const struct config *config,
                           const char *key, const char *other, const char *format, ...) {
    const struct config_mark *mark = find_mark(config, key);
    const char *source = config->file == NULL ? "text" : config->file;
    if (mark == NULL && other != NULL) {
        mark = find_mark(config, other);
    }
    va_list arguments;
    va_start(arguments, format);
    add_fault(faults, mark == NULL ? "configuration" : source,
              mark == NULL ? (struct config_mark){0} : *mark, key, format, arguments);
    va_end(arguments);
}

bool config_faults_has(const struct config_faults *faults, const char *key) {
    for (size_t i = 0; i < faults->count; i++) {
        if (strcmp(faults->rows[i].key, key) == 0) {
            return true;
        }
    }
    return false;
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

enum error_code config_values_init(const struct config_scope *scope, void *values) {
    for (size_t i = 0; i < scope->row_count; i++) {
        const struct config_row *row = &scope->rows[i];
        if (row->default_text == NULL || config_row_must_be_given(row)) {
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

void config_values_finish(const struct config_scope *scope, void *values) {
    for (size_t i = 0; i < scope->row_count; i++) {
        value_clear(&scope->rows[i], values);
    }
}

size_t config_row_count(const struct config *config, const struct config_rows *list) {
    return *(const size_t *)(const void *)((const char *)config + list->count_offset);
}

void *config_row_at(const struct config *config, const struct config_rows *list, size_t index) {
    char *rows = *(char *const *)(const void *)((const char *)config + list->rows_offset);
    return rows + index * list->row_size;
}

void *config_row_add(struct config *config, const struct config_rows *list) {
    char **rows = (void *)((char *)config + list->rows_offset);
    size_t *count = (void *)((char *)config + list->count_offset);
    char *larger = *count < list->rows_max ? realloc(*rows, (*count + 1) * list->row_size) : NULL;
    if (larger == NULL) {
        return NULL;
    }
    *rows = larger;
    char *row = larger + *count * list->row_size;
    memset(row, 0, list->row_size);
    if (config_values_init(list->scope, row) != OK) {
        config_values_finish(list->scope, row);
        return NULL;
    }
    (*count)++;
    return row;
}

static void clear_rows(struct config *config, const struct config_rows *list) {
    char **rows = (void *)((char *)config + list->rows_offset);
    for (size_t i = 0; i < config_row_count(config, list); i++) {
        config_values_finish(list->scope, config_row_at(config, list, i));
    }
    free(*rows);
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
    if (config == NULL || config_values_init(&config_scope_rule, &config->rule_default) != OK ||
        config_values_init(&config_scope_tenant, &config->tenant_default) != OK ||
        config_values_init(&config_scope_file, config) != OK) {
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
    consistency_check(config, ret_faults);
    if (sources->check_rows != NULL) {
        sources->check_rows(config, ret_faults);
    }
    bool is_read = !config_faults_has(ret_faults, ""); /* else there is more than was read */
    if (is_read && sources->check_files != NULL) {
        sources->check_files(config, ret_faults);
    }
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
                       enum config_source source, struct config_mark mark) {
    size_t key = (size_t)(row - config_scope_file.rows);
    INVARIANT(key < CONFIG_KEY_COUNT);
    config->source_of[key] = source;
    config->mark_of[key] = mark;
}

static bool are_equal(const struct config_scope *scope, const void *left, const void *right) {
    for (size_t i = 0; i < scope->row_count; i++) {
        if (!value_is_equal(&scope->rows[i], left, right)) {
            return false;
        }
    }
    return true;
}

static bool are_rows_equal(const struct config_rows *list, const struct config *left,
                           const struct config *right) {
    bool is_equal = config_row_count(left, list) == config_row_count(right, list);
    for (size_t i = 0; is_equal && i < config_row_count(left, list); i++) {
        is_equal =
            are_equal(list->scope, config_row_at(left, list, i), config_row_at(right, list, i));
    }
    return is_equal;
}

bool config_has_equal_rules(const struct config *left, const struct config *right) {
    return are_rows_equal(config_scope_find_list(&config_scope_file, SPAN("channels")), left,
                          right);
}

bool config_has_equal_tenants(const struct config *left, const struct config *right) {
    return are_rows_equal(config_scope_find_list(&config_scope_file, SPAN("tenants")), left, right);
}

bool config_has_equal_sinks(const struct config *left, const struct config *right) {
    return are_rows_equal(config_scope_find_list(&config_scope_file, SPAN("sinks")), left, right) &&
           are_rows_equal(config_scope_find_list(&config_scope_file, SPAN("sources")), left, right);
}

bool config_is_equal_source(const struct source_row *left, const struct source_row *right) {
    return are_equal(&config_scope_source, left, right);
}

bool config_has_equal_keys(const struct config *left, const struct config *right) {
    return are_equal(&config_scope_file, left, right);
}

bool config_has_credentials(const struct config *config) {
    return config->auth_key_count > 0 || config->auth_issuer_count > 0 ||
           config->auth_certificate_count > 0 || config->webhook_url != NULL ||
           config->anonymous_publish.is_given || config->anonymous_subscribe.is_given ||
           config->anonymous_history.is_given || config->anonymous_presence.is_given ||
           config->anonymous_delete.is_given;
}

void config_destroy(struct config *config) {
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config_scope_file.list_count; i++) {
        clear_rows(config, &config_scope_file.lists[i]);
    }
    config_values_finish(&config_scope_file, config);
    free(config);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/sources.h"

#include <ctype.h>

#include "broker/config/value.h"

#define FILE_FLAG "--config"
#define FILE_VARIABLE CONFIG_VARIABLE_PREFIX "CONFIG"
#define TYPING_ERRORS_MAX 2 /* a variable this near to a known one was meant to be it */

/* Known, but read elsewhere. */
static const char *const other_variables[] = {FILE_VARIABLE, CONFIG_VARIABLE_PREFIX "URL"};

/* The value of `variable` if its name is `name`, else NULL. */
static const char *value_if_named(const char *variable, const char *name) {
    size_t length = strlen(name);
    bool is_it = strncmp(variable, name, length) == 0 && variable[length] == '=';
    return is_it ? variable + length + 1 : NULL;
}

static const char *find_variable(char *const *environment, const char *name) {
    for (char *const *variable = environment; variable != NULL && *variable != NULL; variable++) {
        const char *value = value_if_named(*variable, name);
        if (value != NULL && *value != '\0') {
            return value;
        }
    }
    return NULL;
}

static enum error_code set_row(const struct config_row *row, enum config_source source,
                               struct config *config, struct span text, struct error *why) {
    config_set_source(config, row, source, (struct config_mark){0});
    if (!config_type_is_list(row->type)) {
        return value_set(row, config, text, why);
    }
    value_clear(row, config);
    struct span rest = text;
    while (rest.length > 0) {
        struct span item = span_trim(span_split(&rest, ','));
        enum error_code code = value_add_item(row, config, item, why);
        if (code != OK) {
            return code;
        }
    }
    return OK;
}

/* Kubernetes gives each pod <SERVICE>_SERVICE_HOST, <SERVICE>_PORT_8080_TCP and the like. */
static bool is_from_kubernetes(struct span name) {
    return span_has_prefix(name, SPAN(CONFIG_VARIABLE_PREFIX "SERVICE_")) ||
           span_has_prefix(name, SPAN(CONFIG_VARIABLE_PREFIX "PORT"));
}

static const char *reason_to_refuse(struct span name) {
    char known[CONFIG_VARIABLE_BYTES];
    const struct config_scope *scope = &config_scope_file;
    for (size_t i = 0; i < scope->list_count; i++) {
        config_variable_name(scope->lists[i].path, known);
        if (span_is_equal(name, span_of_string(known))) {
            return "lists of mappings are taken from the file alone";
        }
    }
    return NULL;
}

/* Looks a flag up as its variable: TIDINGS_CHANNELS for `--channels`. */
static const char *reason_to_refuse_flag(struct span flag) {
    char name[CONFIG_VARIABLE_BYTES] = CONFIG_VARIABLE_PREFIX;
    size_t length = strlen(name);
    for (size_t i = 2; i < flag.length && length < sizeof(name); i++) {
        uint8_t byte = flag.bytes[i];
        name[length++] = byte == '-' || byte == '.' ? '_' : (char)toupper(byte);
    }
    return reason_to_refuse(span_of(name, length));
}

/* Tells what a variable that no row has was probably meant to be. */
static void check_unknown(struct span name, struct config_faults *faults) {
    char shown[96];
    snprintf(shown, sizeof(shown), "%.*s", name.length < 80 ? (int)name.length : 80,
             (const char *)name.bytes);
    const char *refused = reason_to_refuse(name);
    if (refused != NULL) {
        config_faults_add(faults, SOURCE_ENVIRONMENT, 0, 0, shown, "%s", refused);
        return;
    }
    const struct config_scope *scope = &config_scope_file;
    char nearest[CONFIG_VARIABLE_BYTES] = "";
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < scope->row_count; i++) {
        char known[CONFIG_VARIABLE_BYTES];
        config_variable_name(scope->rows[i].path, known);
        size_t distance = config_edit_distance(name, span_of_string(known));
        if (distance < best) {
            best = distance;
            memcpy(nearest, known, sizeof(nearest));
        }
    }
    /* A rule about credentials that is not read is a hole, however far from any name it is. */
    if (best <= TYPING_ERRORS_MAX || span_has_prefix(name, SPAN(CONFIG_VARIABLE_PREFIX "AUTH_"))) {
        config_faults_add(faults, SOURCE_ENVIRONMENT, 0, 0, shown,
                          "is not a variable; the nearest is `%s`", nearest);
    }
}

static bool is_known_variable(struct span name) {
    for (size_t i = 0; i < ARRAY_COUNT(other_variables); i++) {
        if (span_is_equal(name, span_of_string(other_variables[i]))) {
            return true;
        }
    }
    for (size_t i = 0; i < config_scope_file.row_count; i++) {
        char known[CONFIG_VARIABLE_BYTES];
        config_variable_name(config_scope_file.rows[i].path, known);
        if (span_is_equal(name, span_of_string(known))) {
            return true;
        }
    }
    return false;
}

void sources_read_environment(char *const *environment, struct config *config,
                              struct config_faults *faults) {
    for (size_t i = 0; i < config_scope_file.row_count; i++) {
        const struct config_row *row = &config_scope_file.rows[i];
        char name[CONFIG_VARIABLE_BYTES];
        config_variable_name(row->path, name);
        const char *value = find_variable(environment, name);
        struct error why = {0};
        if (value != NULL &&
            set_row(row, CONFIG_ENVIRONMENT, config, span_of_string(value), &why) != OK) {
            config_faults_add(faults, SOURCE_ENVIRONMENT, 0, 0, name, "%s", why.detail);
        }
    }
    for (char *const *variable = environment; variable != NULL && *variable != NULL; variable++) {
        struct span rest = span_of_string(*variable);
        struct span name = span_split(&rest, '=');
        if (rest.length > 0 && span_has_prefix(name, SPAN(CONFIG_VARIABLE_PREFIX)) &&
            !is_from_kubernetes(name) && !is_known_variable(name)) {
            check_unknown(name, faults);
        }
    }
}

static const struct config_row *find_flag(struct span name) {
    for (size_t i = 0; i < config_scope_file.row_count; i++) {
        const struct config_row *row = &config_scope_file.rows[i];
        if (row->flag != NULL && span_is_equal(span_of_string(row->flag), name)) {
            return row;
        }
    }
    return NULL;
}

static const char *nearest_flag(struct span name) {
    const char *nearest = FILE_FLAG;
    size_t best = config_edit_distance(name, span_of_string(nearest));
    for (size_t i = 0; i < config_scope_file.row_count; i++) {
        const char *flag = config_scope_file.rows[i].flag;
        if (flag == NULL) {
            continue;
        }
        size_t distance = config_edit_distance(name, span_of_string(flag));
        if (distance < best) {
            best = distance;
            nearest = flag;
        }
    }
    return nearest;
}

/* One flag with its value, from one word (`--data=x`) or two. */
struct flag {
    struct span name;
    const char *value; /* NULL: none was given */
};

/* Moves `index` behind the flag. A switch takes a value only in the same word. */
static struct flag next_flag(int count, char *const *flags, int *index) {
    struct flag flag = {.name = span_of_string(flags[*index])};
    const char *equals = strchr(flags[*index], '=');
    (*index)++;
    if (equals != NULL) {
        flag.name.length = (size_t)(equals - (const char *)flag.name.bytes);
        flag.value = equals + 1;
        return flag;
    }
    const struct config_row *row = find_flag(flag.name);
    bool is_known = row != NULL || span_is_equal(flag.name, SPAN(FILE_FLAG));
    bool is_flag = is_known || span_has_prefix(flag.name, SPAN("-"));
    if (row != NULL && row->type == CONFIG_SWITCH) {
        flag.value = "true";
    } else if (*index < count && is_flag && (is_known || flags[*index][0] != '-')) {
        flag.value = flags[(*index)++]; /* an unknown flag keeps its value: one fault, not two */
    }
    return flag;
}

static void refuse_flag(struct span name, const char *shown, struct config_faults *faults) {
    if (!span_has_prefix(name, SPAN("-"))) {
        config_faults_add(faults, SOURCE_FLAGS, 0, 0, shown,
                          "serve takes no words; a file is named with `%s`", FILE_FLAG);
        return;
    }
    const char *refused = reason_to_refuse_flag(name);
    if (refused != NULL) {
        config_faults_add(faults, SOURCE_FLAGS, 0, 0, shown, "%s", refused);
    } else {
        config_faults_add(faults, SOURCE_FLAGS, 0, 0, shown, "is not a flag; the nearest is `%s`",
                          nearest_flag(name));
    }
}

void sources_read_flags(int count, char *const *flags, struct config *config,
                        struct config_faults *faults) {
    for (int index = 0; index < count;) {
        struct flag flag = next_flag(count, flags, &index);
        char shown[96];
        snprintf(shown, sizeof(shown), "%.*s", flag.name.length < 80 ? (int)flag.name.length : 80,
                 (const char *)flag.name.bytes);
        const struct config_row *row = find_flag(flag.name);
        bool is_file = span_is_equal(flag.name, SPAN(FILE_FLAG));
        struct error why = {0};
        if (row == NULL && !is_file) {
            refuse_flag(flag.name, shown, faults);
        } else if (flag.value == NULL || *flag.value == '\0') {
            config_faults_add(faults, SOURCE_FLAGS, 0, 0, shown, "has no value");
        } else if (row != NULL &&
                   set_row(row, CONFIG_FLAG, config, span_of_string(flag.value), &why) != OK) {
            config_faults_add(faults, SOURCE_FLAGS, 0, 0, shown, "%s", why.detail);
        }
    }
}

const char *sources_find_file(const struct config_sources *sources) {
    const char *file = sources->file;
    for (int index = 0; index < sources->flag_count && sources->file == NULL;) {
        struct flag flag = next_flag(sources->flag_count, sources->flags, &index);
        if (span_is_equal(flag.name, SPAN(FILE_FLAG))) {
            file = flag.value;
        }
    }
    return file != NULL ? file : find_variable(sources->environment, FILE_VARIABLE);
}

bool sources_wants_help(int count, char *const *flags) {
    for (int i = 0; i < count; i++) {
        if (strcmp(flags[i], "--help") == 0 || strcmp(flags[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

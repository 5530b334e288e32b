/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/table.h"

#include <ctype.h>

#include "broker/config/config.h"
#include "broker/support/invariant.h"

#define EDIT_BYTES_MAX 63

#define ROW(row_struct, name, row_path, row_type, row_unit, row_default, row_minimum, row_maximum, \
            row_reloadable, row_flag, row_summary)                                                 \
    {                                                                                              \
        .path = row_path,                                                                          \
        .type = CONFIG_##row_type,                                                                 \
        .offset = offsetof(row_struct, name),                                                      \
        .unit = row_unit,                                                                          \
        .default_text = row_default,                                                               \
        .minimum = row_minimum,                                                                    \
        .maximum = row_maximum,                                                                    \
        .is_reloadable = row_reloadable,                                                           \
        .flag = row_flag,                                                                          \
        .summary = row_summary,                                                                    \
    },
#define FILE_ROW(...) ROW(struct config, __VA_ARGS__)
#define RULE_ROW(...) ROW(struct channel_rule, __VA_ARGS__)
#define REFUSED_ROW(row_path, row_reason) {.path = row_path, .reason = row_reason},

static const struct config_row file_rows[] = {CONFIG_TABLE(FILE_ROW)};
static const struct config_row rule_rows[] = {CONFIG_RULE_TABLE(RULE_ROW)};
static const struct config_refused_row file_refused[] = {CONFIG_REFUSED_TABLE(REFUSED_ROW)};
static const struct config_refused_row rule_refused[] = {CONFIG_RULE_REFUSED_TABLE(REFUSED_ROW)};

const struct config_scope config_scope_file = {
    file_rows, ARRAY_COUNT(file_rows), file_refused, ARRAY_COUNT(file_refused), "channels",
};
const struct config_scope config_scope_rule = {
    rule_rows, ARRAY_COUNT(rule_rows), rule_refused, ARRAY_COUNT(rule_refused), NULL,
};

const char *config_type_looks(enum config_type type) {
    static const char *const looks_of[] = {
#define LOOKS(name, c_type, looks) [CONFIG_##name] = looks,
        CONFIG_TYPE_TABLE(LOOKS)
#undef LOOKS
    };
    INVARIANT(type < CONFIG_TYPE_COUNT);
    return looks_of[type];
}

bool config_type_is_list(enum config_type type) {
    return type == CONFIG_ORIGINS || type == CONFIG_HOSTS || type == CONFIG_NETWORKS;
}

const struct config_row *config_scope_find(const struct config_scope *scope, struct span path) {
    for (size_t i = 0; i < scope->row_count; i++) {
        if (span_is_equal(span_of_string(scope->rows[i].path), path)) {
            return &scope->rows[i];
        }
    }
    return NULL;
}

const struct config_refused_row *config_scope_find_refused(const struct config_scope *scope,
                                                           struct span path) {
    for (size_t i = 0; i < scope->refused_count; i++) {
        if (span_is_equal(span_of_string(scope->refused[i].path), path)) {
            return &scope->refused[i];
        }
    }
    return NULL;
}

bool config_scope_is_section(const struct config_scope *scope, struct span path) {
    for (size_t i = 0; i < scope->row_count; i++) {
        struct span known = span_of_string(scope->rows[i].path);
        if (path.length > 0 && known.length > path.length && span_has_prefix(known, path) &&
            known.bytes[path.length] == '.') {
            return true;
        }
    }
    return false;
}

/* Levenshtein's distance with one row of the matrix: above[j] is the cost of making the first j
 * bytes of `right` from what has been seen of `left`. */
size_t config_edit_distance(struct span left, struct span right) {
    size_t costs[EDIT_BYTES_MAX + 1];
    size_t left_length = left.length < EDIT_BYTES_MAX ? left.length : EDIT_BYTES_MAX;
    size_t right_length = right.length < EDIT_BYTES_MAX ? right.length : EDIT_BYTES_MAX;
    for (size_t j = 0; j <= right_length; j++) {
        costs[j] = j;
    }
    for (size_t i = 1; i <= left_length; i++) {
        size_t diagonal = costs[0];
        costs[0] = i;
        for (size_t j = 1; j <= right_length; j++) {
            size_t replaced = diagonal + (left.bytes[i - 1] != right.bytes[j - 1]);
            size_t shorter = costs[j] < costs[j - 1] ? costs[j] : costs[j - 1];
            diagonal = costs[j];
            costs[j] = replaced < shorter + 1 ? replaced : shorter + 1;
        }
    }
    return costs[right_length];
}

static struct span last_segment(struct span path) {
    struct span rest = path;
    struct span segment = path;
    while (rest.length > 0) {
        segment = span_split(&rest, '.');
    }
    return segment;
}

/* A key on the wrong level (`listen` for `public.listen`) is one edit from where it belongs. */
static size_t distance_to(struct span path, struct span known) {
    size_t whole = config_edit_distance(path, known);
    size_t last = config_edit_distance(last_segment(path), last_segment(known)) + 1;
    return whole < last ? whole : last;
}

void config_scope_nearest(const struct config_scope *scope, struct span path,
                          char ret_path[CONFIG_PATH_BYTES]) {
    struct span nearest = span_of_string(scope->list);
    size_t best = scope->list == NULL ? SIZE_MAX : distance_to(path, nearest);
    for (size_t i = 0; i < scope->row_count; i++) {
        struct span known = span_of_string(scope->rows[i].path);
        size_t distance = distance_to(path, known);
        if (distance < best) {
            best = distance;
            nearest = known;
        }
        struct span rest = known;
        struct span section = span_split(&rest, '.');
        size_t to_section = config_edit_distance(path, section);
        if (rest.length > 0 && to_section < best) {
            best = to_section;
            nearest = section;
        }
    }
    INVARIANT(nearest.length < CONFIG_PATH_BYTES);
    memcpy(ret_path, nearest.bytes, nearest.length);
    ret_path[nearest.length] = '\0';
}

void config_variable_name(const char *path, char ret_name[CONFIG_VARIABLE_BYTES]) {
    static const char prefix[] = CONFIG_VARIABLE_PREFIX;
    size_t length = strlen(path);
    INVARIANT(sizeof(prefix) + length <= CONFIG_VARIABLE_BYTES);
    memcpy(ret_name, prefix, sizeof(prefix) - 1);
    char *end = ret_name + sizeof(prefix) - 1;
    for (size_t i = 0; i <= length; i++) { /* the NUL too */
        end[i] = path[i] == '.' ? '_' : (char)toupper((unsigned char)path[i]);
    }
}

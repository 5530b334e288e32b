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
#define KEY_ROW(...) ROW(struct auth_key, __VA_ARGS__)
#define ISSUER_ROW(...) ROW(struct auth_issuer, __VA_ARGS__)
#define CERTIFICATE_ROW(...) ROW(struct auth_certificate, __VA_ARGS__)
#define TENANT_ROW(...) ROW(struct tenant_quota, __VA_ARGS__)
#define SINK_ROW(...) ROW(struct sink_row, __VA_ARGS__)
#define SOURCE_ROW(...) ROW(struct source_row, __VA_ARGS__)

static const struct config_row file_rows[] = {CONFIG_TABLE(FILE_ROW)};
static const struct config_row rule_rows[] = {CONFIG_RULE_TABLE(RULE_ROW)};
static const struct config_row key_rows[] = {AUTH_KEY_TABLE(KEY_ROW)};
static const struct config_row issuer_rows[] = {AUTH_ISSUER_TABLE(ISSUER_ROW)};
static const struct config_row certificate_rows[] = {AUTH_CERTIFICATE_TABLE(CERTIFICATE_ROW)};
static const struct config_row tenant_rows[] = {TENANT_QUOTA_TABLE(TENANT_ROW)};
static const struct config_row sink_rows[] = {SINK_TABLE(SINK_ROW)};
static const struct config_row source_rows[] = {SOURCE_TABLE(SOURCE_ROW)};

static const struct config_rows file_lists[] = {
#define LIST(rows, count, list_path, row_struct, row_scope, most, list_example)                    \
    {                                                                                              \
        .path = list_path,                                                                         \
        .scope = &row_scope,                                                                       \
        .rows_offset = offsetof(struct config, rows),                                              \
        .count_offset = offsetof(struct config, count),                                            \
        .row_size = sizeof(struct row_struct),                                                     \
        .rows_max = most,                                                                          \
        .example = list_example,                                                                   \
    },
    CONFIG_LISTS_TABLE(LIST)
#undef LIST
};

/* Rows are read and freed by their lists alone: each begins with its place in the file. */
#define BEGINS_WITH_PLACE(rows, count, path, row_struct, ...)                                      \
    _Static_assert(offsetof(struct row_struct, place) == 0, "see config_row_place()");
CONFIG_LISTS_TABLE(BEGINS_WITH_PLACE)
#undef BEGINS_WITH_PLACE

const struct config_scope config_scope_file = {
    .rows = file_rows,
    .row_count = ARRAY_COUNT(file_rows),
    .lists = file_lists,
    .list_count = ARRAY_COUNT(file_lists),
};
const struct config_scope config_scope_rule = {.rows = rule_rows,
                                               .row_count = ARRAY_COUNT(rule_rows)};
const struct config_scope config_scope_key = {.rows = key_rows, .row_count = ARRAY_COUNT(key_rows)};
const struct config_scope config_scope_issuer = {.rows = issuer_rows,
                                                 .row_count = ARRAY_COUNT(issuer_rows)};
const struct config_scope config_scope_certificate = {.rows = certificate_rows,
                                                      .row_count = ARRAY_COUNT(certificate_rows)};
const struct config_scope config_scope_tenant = {.rows = tenant_rows,
                                                 .row_count = ARRAY_COUNT(tenant_rows)};

const struct config_scope config_scope_sink = {.rows = sink_rows,
                                               .row_count = ARRAY_COUNT(sink_rows)};
const struct config_scope config_scope_source = {.rows = source_rows,
                                                 .row_count = ARRAY_COUNT(source_rows)};

const char *config_type_looks(enum config_type type) {
    static const char *const looks_of[] = {
#define LOOKS(name, c_type, looks) [CONFIG_##name] = looks,
        CONFIG_TYPE_TABLE(LOOKS)
#undef LOOKS
    };
    INVARIANT(type < CONFIG_TYPE_COUNT);
    return looks_of[type];
}

#define TYPE_BIT(type) (UINT64_C(1) << CONFIG_##type)
_Static_assert(CONFIG_TYPE_COUNT <= 64, "a bit each");

bool config_type_is_list(enum config_type type) {
    return ((TYPE_BIT(ORIGINS) | TYPE_BIT(HOSTS) | TYPE_BIT(NETWORKS) | TYPE_BIT(PATTERNS) |
             TYPE_BIT(ALGORITHMS) | TYPE_BIT(EVENTS) | TYPE_BIT(CHANNELS) | TYPE_BIT(HEADERS) |
             TYPE_BIT(OPTIONS) | TYPE_BIT(TOPICS) | TYPE_BIT(DURATIONS)) >>
            type) &
           1;
}

bool config_type_is_text(enum config_type type) {
    return ((TYPE_BIT(TEXT) | TYPE_BIT(PATTERN) | TYPE_BIT(HASH) | TYPE_BIT(SECRET) |
             TYPE_BIT(KEY) | TYPE_BIT(LOCATION) | TYPE_BIT(URL) | TYPE_BIT(TENANT) |
             TYPE_BIT(TENANTS) | TYPE_BIT(SINK_NAME) | TYPE_BIT(START) | TYPE_BIT(SOURCE_START) |
             TYPE_BIT(MQTT_URL) | TYPE_BIT(SIGNING_SECRET)) >>
            type) &
           1;
}

bool config_type_is_number(enum config_type type) {
    return ((TYPE_BIT(BYTES) | TYPE_BIT(DURATION) | TYPE_BIT(COUNT) | TYPE_BIT(CORES) |
             TYPE_BIT(MEMORY) | TYPE_BIT(RATE) | TYPE_BIT(BYTES_RATE)) >>
            type) &
           1;
}

bool config_type_is_secret(enum config_type type) {
    return type == CONFIG_HASH || type == CONFIG_SECRET || type == CONFIG_KEY ||
           type == CONFIG_HEADERS || type == CONFIG_SIGNING_SECRET;
}

bool config_row_must_be_given(const struct config_row *row) {
    return row->default_text != NULL && row->default_text[0] == '\0';
}

const struct config_row *config_scope_find(const struct config_scope *scope, struct span path) {
    for (size_t i = 0; i < scope->row_count; i++) {
        if (span_is_equal(span_of_string(scope->rows[i].path), path)) {
            return &scope->rows[i];
        }
    }
    return NULL;
}

const struct config_rows *config_scope_find_list(const struct config_scope *scope,
                                                 struct span path) {
    for (size_t i = 0; i < scope->list_count; i++) {
        if (span_is_equal(span_of_string(scope->lists[i].path), path)) {
            return &scope->lists[i];
        }
    }
    return NULL;
}

static bool is_section_of(struct span path, const char *deeper) {
    struct span known = span_of_string(deeper);
    return path.length > 0 && known.length > path.length && span_has_prefix(known, path) &&
           known.bytes[path.length] == '.';
}

bool config_scope_is_section(const struct config_scope *scope, struct span path) {
    bool is_section = false;
    for (size_t i = 0; i < scope->row_count && !is_section; i++) {
        is_section = is_section_of(path, scope->rows[i].path);
    }
    for (size_t i = 0; i < scope->list_count && !is_section; i++) {
        is_section = is_section_of(path, scope->lists[i].path);
    }
    return is_section;
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

struct nearest {
    struct span path;
    size_t distance;
};

static void consider(struct span path, struct span known, struct nearest *nearest) {
    size_t distance = distance_to(path, known);
    if (distance < nearest->distance) {
        *nearest = (struct nearest){known, distance};
    }
    for (size_t i = 0; i < known.length; i++) {
        struct span section = span_of(known.bytes, i);
        distance = known.bytes[i] == '.' ? config_edit_distance(path, section) : SIZE_MAX;
        if (distance < nearest->distance) {
            *nearest = (struct nearest){section, distance};
        }
    }
}

void config_scope_nearest(const struct config_scope *scope, struct span path,
                          char ret_path[CONFIG_PATH_BYTES]) {
    struct nearest nearest = {.distance = SIZE_MAX};
    for (size_t i = 0; i < scope->list_count; i++) {
        consider(path, span_of_string(scope->lists[i].path), &nearest);
    }
    for (size_t i = 0; i < scope->row_count; i++) {
        consider(path, span_of_string(scope->rows[i].path), &nearest);
    }
    INVARIANT(nearest.path.length < CONFIG_PATH_BYTES);
    memcpy(ret_path, nearest.path.bytes, nearest.path.length);
    ret_path[nearest.path.length] = '\0';
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

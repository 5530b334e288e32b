/* SPDX-License-Identifier: Apache-2.0 */
/* Every claim here runs over all rows, so that a new row is tested by being written down. */
#include <stdlib.h>

#include "broker/config/value.h"
#include "tests/unit.h"

/* Room for the values of each scope. */
union values {
    struct config config;
    struct channel_rule rule;
    struct auth_key key;
    struct auth_issuer issuer;
    struct auth_certificate certificate;
    struct tenant_quota tenant;
    struct sink_row sink;
    struct source_row source;
};

static void each_row(void (*on_row)(const struct config_row *row, union values *values)) {
    const struct config_scope *const scopes[] = {
        &config_scope_file,        &config_scope_rule,   &config_scope_key,  &config_scope_issuer,
        &config_scope_certificate, &config_scope_tenant, &config_scope_sink, &config_scope_source};
    for (size_t i = 0; i < ARRAY_COUNT(scopes); i++) {
        for (size_t j = 0; j < scopes[i]->row_count; j++) {
            union values values = {0};
            on_row(&scopes[i]->rows[j], &values);
            value_clear(&scopes[i]->rows[j], &values);
        }
    }
}

static enum error_code set(const struct config_row *row, union values *values, const char *text) {
    struct error why = {0};
    enum error_code code = value_set(row, values, span_of_string(text), &why);
    if (code != OK) {
        EXPECT_EQ(code, ERR_CONFIG);
        EXPECT_TRUE(strlen(why.detail) > 0);
    }
    return code;
}

static uint64_t number(const struct config_row *row, const union values *values) {
    uint64_t value;
    memcpy(&value, (const char *)values + row->offset, sizeof(value));
    return value;
}

/* The number `value` in the smallest unit of the row's type. */
static void write_number(const struct config_row *row, uint64_t value, char ret_text[32]) {
    static const char *const units[CONFIG_TYPE_COUNT] = {
        [CONFIG_DURATION] = "ms", [CONFIG_RATE] = "/s", [CONFIG_BYTES_RATE] = "/s"};
    snprintf(ret_text, 32, "%llu%s", (unsigned long long)value,
             units[row->type] == NULL ? "" : units[row->type]);
}

static void check_default(const struct config_row *row, union values *values) {
    if (row->default_text != NULL && !config_row_must_be_given(row)) {
        EXPECT_EQ(set(row, values, row->default_text), OK);
    }
}

TEST(every_default_is_a_legal_value) {
    each_row(check_default);
}

static void check_bounds(const struct config_row *row, union values *values) {
    if (!config_type_is_number(row->type)) {
        return;
    }
    char text[32];
    EXPECT_EQ(set(row, values, row->minimum), OK);
    uint64_t minimum = number(row, values);
    if (minimum > 0) {
        write_number(row, minimum - 1, text);
        EXPECT_EQ(set(row, values, text), ERR_CONFIG);
    }
    write_number(row, minimum, text);
    EXPECT_EQ(set(row, values, text), OK);
    EXPECT_EQ(number(row, values), minimum);

    EXPECT_EQ(set(row, values, row->maximum), OK);
    uint64_t maximum = number(row, values);
    if (maximum == CONFIG_UNLIMITED) {
        return;
    }
    write_number(row, maximum + 1, text);
    EXPECT_EQ(set(row, values, text), ERR_CONFIG);
    EXPECT_EQ(number(row, values), maximum);
    EXPECT_EQ(set(row, values, "unlimited"), ERR_CONFIG);
}

TEST(every_number_is_taken_at_its_bounds_and_refused_beyond) {
    each_row(check_bounds);
}

static void check_rubbish(const struct config_row *row, union values *values) {
    static const char *const rubbish[] = {"",    "-1",  "1.5", "0x10",      "1 KiB",
                                          "KiB", "1e3", "٣",   "Unlimited", "18446744073709551616"};
    if (!config_type_is_number(row->type)) {
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(rubbish); i++) {
        EXPECT_EQ(set(row, values, rubbish[i]), ERR_CONFIG);
        EXPECT_EQ(number(row, values), 0);
    }
}

TEST(what_is_no_number_changes_nothing) {
    each_row(check_rubbish);
}

static void check_zero(const struct config_row *row, union values *values) {
    if (row->maximum != NULL && strcmp(row->maximum, "unlimited") == 0) {
        EXPECT_EQ(set(row, values, "unlimited"), OK);
        EXPECT_TRUE(number(row, values) == CONFIG_UNLIMITED);
        char zero[32];
        write_number(row, 0, zero);
        bool has_meaning = row->minimum[0] == '0';
        EXPECT_EQ(set(row, values, zero), has_meaning ? OK : ERR_CONFIG);
        EXPECT_TRUE(number(row, values) == (has_meaning ? 0 : CONFIG_UNLIMITED));
    }
}

TEST(unlimited_is_that_word_and_never_zero) {
    each_row(check_zero);
}

static void check_words(const struct config_row *row, union values *values) {
    (void)values;
    EXPECT_TRUE(strlen(row->summary) > 10);
    EXPECT_TRUE(row->summary[strlen(row->summary) - 1] != '.');
    EXPECT_TRUE(strlen(row->path) < CONFIG_PATH_BYTES);
    EXPECT_TRUE((row->minimum == NULL) == (row->maximum == NULL));
    EXPECT_TRUE(row->flag == NULL || strncmp(row->flag, "--", 2) == 0);
    EXPECT_TRUE(config_type_is_number(row->type) == (row->minimum != NULL));
}

TEST(every_row_is_whole) {
    each_row(check_words);
}

TEST(every_list_of_mappings_has_a_path_of_its_own) {
    for (size_t i = 0; i < config_scope_file.list_count; i++) {
        const struct config_rows *list = &config_scope_file.lists[i];
        struct span path = span_of_string(list->path);
        EXPECT_TRUE(config_scope_find_list(&config_scope_file, path) == list);
        EXPECT_NULL(config_scope_find(&config_scope_file, path));
        EXPECT_FALSE(config_scope_is_section(&config_scope_file, path));
        EXPECT_TRUE(list->scope->row_count <= 64); /* a bit each, in yaml.c */
    }
}

TEST(no_path_and_no_flag_is_used_twice) {
    const struct config_scope *scope = &config_scope_file;
    for (size_t i = 0; i < scope->row_count; i++) {
        struct span path = span_of_string(scope->rows[i].path);
        EXPECT_TRUE(config_scope_find(scope, path) == &scope->rows[i]);
        EXPECT_FALSE(config_scope_is_section(scope, path));
        for (size_t j = 0; j < i && scope->rows[i].flag != NULL; j++) {
            EXPECT_TRUE(scope->rows[j].flag == NULL ||
                        strcmp(scope->rows[i].flag, scope->rows[j].flag) != 0);
        }
    }
}

TEST(edit_distance_counts_letters) {
    EXPECT_EQ(config_edit_distance(SPAN("listen"), SPAN("listen")), 0);
    EXPECT_EQ(config_edit_distance(SPAN("listn"), SPAN("listen")), 1);
    EXPECT_EQ(config_edit_distance(SPAN("lissten"), SPAN("listen")), 1);
    EXPECT_EQ(config_edit_distance(SPAN("kitten"), SPAN("sitting")), 3);
    EXPECT_EQ(config_edit_distance(SPAN(""), SPAN("abc")), 3);
    EXPECT_EQ(config_edit_distance(SPAN("abc"), SPAN("")), 3);
}

TEST(nearest_key_is_named) {
    static const struct {
        const char *given;
        const char *nearest;
    } cases[] = {
        {"dta", "data"},
        {"publc", "public"},
        {"storge", "storage"},
        {"public.lissten", "public.listen"},
        {"operator.lsten", "operator.listen"},
        {"listen", "public.listen"},
        {"send_budget", "limits.send_budget"},
        {"chanels", "channels"},
        {"limits.conections", "limits.connections"},
        {"worker", "workers"},
        {"auth.key", "auth.keys"},
        {"auth.webhok", "auth.webhook"},
        {"auth.anonimous.publish", "auth.anonymous.publish"},
        {"tenant", "tenants"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char nearest[CONFIG_PATH_BYTES];
        config_scope_nearest(&config_scope_file, span_of_string(cases[i].given), nearest);
        EXPECT_STRING(nearest, cases[i].nearest);
    }
}

TEST(variable_is_named_after_its_path) {
    char name[CONFIG_VARIABLE_BYTES];
    config_variable_name("public.listen", name);
    EXPECT_STRING(name, "TIDINGS_PUBLIC_LISTEN");
}

UNIT_TESTS(UNIT(every_default_is_a_legal_value),
           UNIT(every_number_is_taken_at_its_bounds_and_refused_beyond),
           UNIT(what_is_no_number_changes_nothing), UNIT(unlimited_is_that_word_and_never_zero),
           UNIT(every_row_is_whole), UNIT(every_list_of_mappings_has_a_path_of_its_own),
           UNIT(no_path_and_no_flag_is_used_twice), UNIT(edit_distance_counts_letters),
           UNIT(nearest_key_is_named), UNIT(variable_is_named_after_its_path))

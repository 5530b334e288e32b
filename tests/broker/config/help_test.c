/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config/help.h"

#include "tests/broker/config/load.h"

TEST(reference_page_is_what_the_table_gives) {
    char *given = NULL;
    size_t given_size = 0;
    FILE *stream = open_memstream(&given, &given_size);
    help_write_reference(stream);
    fclose(stream);
    FILE *file = fopen(REFERENCE_PAGE, "rb");
    EXPECT_NOT_NULL(file);
    char *committed = calloc(1, given_size + 2);
    size_t length = fread(committed, 1, given_size + 1, file);
    fclose(file);
    EXPECT_EQ(length, given_size);
    EXPECT_STRING(committed, given);
    free(committed);
    free(given);
}

TEST(help_of_serve_names_every_flag_and_its_variable) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    help_write_serve(stream);
    fclose(stream);
    for (size_t i = 0; i < config_scope_file.row_count; i++) {
        const struct config_row *row = &config_scope_file.rows[i];
        char variable[CONFIG_VARIABLE_BYTES];
        config_variable_name(row->path, variable);
        EXPECT_TRUE(row->flag == NULL || strstr(text, row->flag) != NULL);
        EXPECT_TRUE(row->flag == NULL || strstr(text, variable) != NULL);
    }
    EXPECT_NOT_NULL(strstr(text, "--config FILE"));
    free(text);
}

UNIT_TESTS(UNIT(reference_page_is_what_the_table_gives),
           UNIT(help_of_serve_names_every_flag_and_its_variable))

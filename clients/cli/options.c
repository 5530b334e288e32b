/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/client.h"

static void write_help(const struct options_table *table, FILE *stream) {
    fprintf(stream, "Usage: %s\n\n%s\n", table->usage, table->about);
    for (size_t i = 0; i < table->row_count; i++) {
        const struct option_row *row = &table->rows[i];
        char left[48];
        snprintf(left, sizeof(left), "%s%s%s", row->flag, row->argument == NULL ? "" : " ",
                 row->argument == NULL ? "" : row->argument);
        fprintf(stream, "  %-18s %s\n", left, row->summary);
    }
    fprintf(stream, "  %-18s %s\n\n", "--help", "This text");
    fputs("Exit: 0 done, 1 failed, 2 the command line is wrong\n", stream);
}

/* The row of a word as `--url` or `--url=…`, or NULL. */
static const struct option_row *find_row(const struct options_table *table, const char *word) {
    size_t length = strcspn(word, "=");
    for (size_t i = 0; i < table->row_count; i++) {
        const char *flag = table->rows[i].flag;
        if (strlen(flag) == length && strncmp(flag, word, length) == 0) {
            return &table->rows[i];
        }
    }
    return NULL;
}

/* Reads the flag at `index` and moves on behind it. NULL, or what is wrong. */
static const char *read_flag(const struct options_table *table, int count, char *const *words,
                             int *index, struct options *options) {
    const char *word = words[(*index)++];
    const char *equals = strchr(word, '=');
    const struct option_row *row = find_row(table, word);
    if (row == NULL) {
        return "is not a flag";
    }
    const char **value = &options->values[row - table->rows];
    if (row->argument == NULL) {
        *value = "";
        return equals == NULL ? NULL : "takes no value";
    }
    if (equals != NULL) {
        *value = equals + 1;
    } else if (*index < count) {
        *value = words[(*index)++];
    } else {
        return "has no value";
    }
    return NULL;
}

static bool is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* Gives what is wrong, with the word it is about, or NULL. */
static const char *read_words(const struct options_table *table, int count, char *const *words,
                              struct options *options, char **operands, const char **ret_word) {
    bool has_flags = true;
    for (int index = 0; index < count;) {
        const char *word = words[index];
        *ret_word = word;
        if (has_flags && strcmp(word, "--") == 0) {
            has_flags = false;
            index++;
        } else if (has_flags && strncmp(word, "--", 2) == 0) {
            const char *wrong = read_flag(table, count, words, &index, options);
            if (wrong != NULL) {
                return wrong;
            }
        } else if (options->operand_count == table->operands_max) {
            return "is one word too many";
        } else {
            operands[options->operand_count++] = words[index++];
        }
    }
    *ret_word = "a word";
    return options->operand_count < table->operands_min ? "is missing" : NULL;
}

bool options_parse(const struct options_table *table, int count, char *const *words,
                   struct options *ret_options, int *ret_exit) {
    for (int i = 0; i < count && strcmp(words[i], "--") != 0; i++) {
        if (is_help(words[i])) {
            write_help(table, stdout);
            *ret_exit = CLIENT_OK;
            return false;
        }
    }
    char **operands = calloc((size_t)count + 1, sizeof(*operands));
    struct options options = {.operands = operands};
    const char *word = "the command";
    const char *wrong = operands == NULL
                            ? "is out of memory"
                            : read_words(table, count, words, &options, operands, &word);
    if (wrong != NULL) {
        fprintf(stderr, "tidings: %s %s\nUsage: %s\n", word, wrong, table->usage);
        free(operands);
        *ret_exit = CLIENT_USAGE;
        return false;
    }
    *ret_options = options;
    return true;
}

void options_finish(struct options *options) {
    free((void *)options->operands);
    *options = (struct options){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/cli/client.h"

#define LEFT_BYTES 48

/* "--url URL"; returns its length. */
static int put_left(const struct option_row *row, char ret_left[LEFT_BYTES]) {
    return snprintf(ret_left, LEFT_BYTES, "%s%s%s", row->flag, row->argument == NULL ? "" : " ",
                    row->argument == NULL ? "" : row->argument);
}

static void write_help(const struct options_table *table, FILE *stream) {
    char left[LEFT_BYTES];
    int width = 0;
    for (size_t i = 0; i < table->row_count; i++) {
        int length = put_left(&table->rows[i], left);
        width = length > width ? length : width;
    }
    fprintf(stream, "Usage: %s\n\n%s\n", table->usage, table->about);
    for (size_t i = 0; i < table->row_count; i++) {
        put_left(&table->rows[i], left);
        fprintf(stream, "  %-*s  %s\n", width, left, table->rows[i].summary);
    }
    fprintf(stream, "  %-*s  %s\n\n", width, "--help", "This text");
    fprintf(stream, "Exit: %s, 2 the command line is wrong\n",
            table->exits == NULL ? "0 done, 1 failed" : table->exits);
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
    options->given[options->given_count++] =
        (struct option_given){(size_t)(row - table->rows), *value};
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
    struct options options = {
        .operands = operands,
        .given = calloc((size_t)count + 1, sizeof(struct option_given)),
    };
    const char *word = "the command";
    const char *wrong = operands == NULL || options.given == NULL
                            ? "is out of memory"
                            : read_words(table, count, words, &options, operands, &word);
    if (wrong != NULL) {
        fprintf(stderr, "tidings: %s %s\nUsage: %s\n", word, wrong, table->usage);
        options_finish(&options);
        *ret_exit = CLIENT_USAGE;
        return false;
    }
    *ret_options = options;
    return true;
}

const char *options_next(const struct options *options, size_t row, size_t *cursor) {
    while (*cursor < options->given_count) {
        const struct option_given *given = &options->given[(*cursor)++];
        if (given->row == row) {
            return given->value;
        }
    }
    return NULL;
}

void options_finish(struct options *options) {
    free(options->given);
    free((void *)options->operands);
    *options = (struct options){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* options.h — a subcommand's words, read by a table from which its --help comes too.
 *
 * Place:   called first by each subcommand of clients/cli.
 * Thread:  pure, but for what it prints.
 * Bounds:  OPTIONS_MAX flags, and operands as many as the table allows.
 *
 * A flag begins with two dashes, so that `-5` and `-` are operands; behind `--` everything is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define OPTIONS_MAX 20

struct option_row {
    const char *flag;     /* "--url" */
    const char *argument; /* "URL"; NULL: a switch */
    const char *summary;
};

struct options_table {
    const char *usage; /* "tidings pub CHANNEL [DATA | -] [flags]" */
    const char *about; /* some lines for --help */
    const char *exits; /* what 0, 1 and so on mean; NULL: done and failed */
    const struct option_row *rows;
    size_t row_count;
    size_t operands_min;
    size_t operands_max;
};

struct option_given {
    size_t row;
    const char *value;
};

/* All borrowed from the words. */
struct options {
    const char *values[OPTIONS_MAX]; /* in the rows' order; NULL: not given; "" for a switch. Of a
                                      * flag that was given more than once it is the last … */
    struct option_given *given;      /* … and here are all, in the order of the words */
    size_t given_count;
    char *const *operands;
    size_t operand_count;
};

/* True: go on; the caller frees with options_finish. False: help or a complaint was printed, and
 * `ret_exit` says what to leave with. */
bool options_parse(const struct options_table *table, int count, char *const *words,
                   struct options *ret_options, int *ret_exit);

/* The next value of a flag that may be given more than once: start with `*cursor` 0. NULL: there is
 * no more. */
const char *options_next(const struct options *options, size_t row, size_t *cursor);

void options_finish(struct options *options);

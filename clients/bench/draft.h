/* SPDX-License-Identifier: Apache-2.0 */
/* draft.h — settings while they are put together: where each comes from, and what is wrong.
 *
 * Place:   settings.c reads the words into it, scenario.c the file, relations.c checks the whole.
 * Thread:  main.
 * Bounds:  DRAFT_ROWS_MAX rows. Faults are printed as they are found, and only counted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "clients/bench/settings.h"

#define DRAFT_ROWS_MAX 64

/* Where something was said. */
struct draft_place {
    const char *file; /* NULL: on the command line */
    unsigned line;    /* 0: it is about the file */
    bool is_told;     /* false: nobody said it, it is what stands in the table */
};

/* Lives as long as the settings; what is borrowed from a file outlives it this way. */
struct settings_text {
    struct settings_text *next;
    char bytes[];
};

struct draft {
    struct settings settings;
    struct draft_place places[DRAFT_ROWS_MAX];
    struct draft_place assertion_places[SETTINGS_ASSERTIONS_MAX];
    size_t fault_count;
};

/* Every row as the table has it. */
void draft_init(struct draft *draft);

/* Prints `FILE:LINE: name …` or `tidings bench: --name …`. */
void draft_complain(struct draft *draft, struct draft_place place, const char *name,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Reads `text` for a row; it must live as long as the settings. */
void draft_set(struct draft *draft, const struct settings_row *row, struct draft_place place,
               const char *text);

void draft_add_assertion(struct draft *draft, struct draft_place place, const char *text);

/* A copy that lives as long as the settings; NULL: out of memory, which is complained of. */
const char *draft_keep(struct draft *draft, const char *text, size_t length);

/* The row of a name with dashes or underlines. NULL: there is none, and then `ret_nearest` is the
 * row that was perhaps meant. */
const struct settings_row *draft_find_row(const char *name, size_t length,
                                          const struct settings_row **ret_nearest);

/* Where the row was said. */
struct draft_place draft_place_of(const struct draft *draft, const char *name);

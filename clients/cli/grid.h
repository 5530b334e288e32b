/* SPDX-License-Identifier: Apache-2.0 */
/* grid.h — a list of JSON objects as columns to read.
 *
 * Place:   sink.c.
 * Thread:  pure, but for the stream.
 * Bounds:  GRID_COLUMNS_MAX columns; a cell of GRID_CELL_BYTES, but for the last, which is free.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define GRID_COLUMNS_MAX 12
#define GRID_CELL_BYTES 72

struct grid_column {
    const char *title;
    const char *name; /* of the member */
    /* Writes the cell of `object`; may not fail. */
    void (*format)(const json_t *object, const char *name, char *ret_cell);
    bool is_number; /* stands at the right */
};

struct grid {
    struct grid_column columns[GRID_COLUMNS_MAX];
    size_t column_count;
    const char *last; /* the member that the last column shows as it is … */
    const char *last_title;
    const char *none; /* … and what is said where the list is empty */
};

extern const struct grid grid_sinks;
extern const struct grid grid_sources;

void grid_write(FILE *stream, const struct grid *grid, const json_t *list);

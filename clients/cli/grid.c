/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/cli/grid.h"

#include <string.h>

#include "clients/cli/output.h"

#define MINUTE_MS 60000
#define HOUR_MS 3600000
#define DAY_MS 86400000

/* --- cells ----------------------------------------------------------------------------------- */

static void format_text(const json_t *object, const char *name, char *ret_cell) {
    const char *text = json_string_value(json_object_get(object, name));
    snprintf(ret_cell, GRID_CELL_BYTES, "%s", text == NULL ? "-" : text);
}

static void format_number(const json_t *object, const char *name, char *ret_cell) {
    const json_t *number = json_object_get(object, name);
    if (json_is_integer(number)) {
        snprintf(ret_cell, GRID_CELL_BYTES, "%lld", (long long)json_integer_value(number));
    } else {
        snprintf(ret_cell, GRID_CELL_BYTES, "-");
    }
}

/* "1000+": as many were counted, and there are more. */
static void format_lag(const json_t *object, const char *name, char *ret_cell) {
    format_number(object, name, ret_cell);
    if (json_is_false(json_object_get(object, "lag_exact"))) {
        size_t length = strlen(ret_cell); /* a number leaves room for it */
        memcpy(ret_cell + length, "+", 2);
    }
}

/* "12s", "3m", "5h", "2d"; "-": nothing waits. */
static void format_age(const json_t *object, const char *name, char *ret_cell) {
    long long age_ms = json_integer_value(json_object_get(object, name));
    const struct {
        long long unit_ms;
        char unit;
    } units[] = {{DAY_MS, 'd'}, {HOUR_MS, 'h'}, {MINUTE_MS, 'm'}, {1000, 's'}};
    snprintf(ret_cell, GRID_CELL_BYTES, "-");
    for (size_t i = 0; age_ms > 0 && i < sizeof(units) / sizeof(units[0]); i++) {
        if (age_ms >= units[i].unit_ms || units[i].unit == 's') {
            snprintf(ret_cell, GRID_CELL_BYTES, "%lld%c", age_ms / units[i].unit_ms, units[i].unit);
            return;
        }
    }
}

/* Attempts that were not taken, of all kinds. */
static void format_failed(const json_t *object, const char *name, char *ret_cell) {
    json_t *attempts = json_object_get(object, name);
    const char *outcome;
    json_t *count;
    long long failed = 0;
    json_object_foreach(attempts, outcome, count) {
        failed += strcmp(outcome, "delivered") == 0 ? 0 : json_integer_value(count);
    }
    snprintf(ret_cell, GRID_CELL_BYTES, "%lld", failed);
}

/* --- grids ----------------------------------------------------------------------------------- */

const struct grid grid_sinks = {
    .columns = {{"SINK", "name", format_text, false},
                {"KIND", "kind", format_text, false},
                {"STATE", "state", format_text, false},
                {"LAG", "lag_messages", format_lag, true},
                {"OLDEST", "lag_ms", format_age, true},
                {"DELIVERED", "messages", format_number, true},
                {"FAILED", "attempts", format_failed, true},
                {"DEAD", "dead_letters", format_number, true}},
    .column_count = 8,
    .last = "detail",
    .last_title = "DETAIL",
    .none = "no sinks",
};

const struct grid grid_sources = {
    .columns = {{"SOURCE", "name", format_text, false},
                {"KIND", "kind", format_text, false},
                {"STATE", "state", format_text, false},
                {"LAG", "lag_messages", format_number, true},
                {"PUBLISHED", "messages", format_number, true},
                {"REFUSED", "refused", format_number, true}},
    .column_count = 6,
    .last = "detail",
    .last_title = "DETAIL",
    .none = "no sources",
};

static void write_cell(FILE *stream, const struct grid_column *column, const char *cell,
                       size_t width) {
    size_t blank = width - strlen(cell);
    fprintf(stream, "%*s", column->is_number ? (int)blank : 0, "");
    output_safely(stream, cell);
    fprintf(stream, "%*s", column->is_number ? 2 : (int)blank + 2, "");
}

static void measure(const struct grid *grid, const json_t *list, size_t widths[GRID_COLUMNS_MAX]) {
    char cell[GRID_CELL_BYTES];
    for (size_t i = 0; i < grid->column_count; i++) {
        widths[i] = strlen(grid->columns[i].title);
        for (size_t k = 0; k < json_array_size(list); k++) {
            grid->columns[i].format(json_array_get(list, k), grid->columns[i].name, cell);
            widths[i] = strlen(cell) > widths[i] ? strlen(cell) : widths[i];
        }
    }
}

void grid_write(FILE *stream, const struct grid *grid, const json_t *list) {
    char cell[GRID_CELL_BYTES];
    size_t widths[GRID_COLUMNS_MAX];
    if (json_array_size(list) == 0) {
        fprintf(stream, "%s\n", grid->none);
        return;
    }
    measure(grid, list, widths);
    for (size_t i = 0; i < grid->column_count; i++) {
        write_cell(stream, &grid->columns[i], grid->columns[i].title, widths[i]);
    }
    fprintf(stream, "%s\n", grid->last_title);
    for (size_t k = 0; k < json_array_size(list); k++) {
        const json_t *object = json_array_get(list, k);
        for (size_t i = 0; i < grid->column_count; i++) {
            grid->columns[i].format(object, grid->columns[i].name, cell);
            write_cell(stream, &grid->columns[i], cell, widths[i]);
        }
        const char *last = json_string_value(json_object_get(object, grid->last));
        output_safely(stream, last == NULL ? "" : last);
        fputc('\n', stream);
    }
}

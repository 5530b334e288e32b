/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/draft.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/bench/amount.h"
#include "clients/bench/spelling.h"

#define ROW_COUNT(name, kind, fallback, lowest, highest, argument, summary) +1
static_assert(SETTINGS(ROW_COUNT) <= DRAFT_ROWS_MAX, "each row has a place");

static size_t index_of(const struct settings_row *row) {
    return (size_t)(row - settings_row_at(0));
}

/* Is `text` one of the words of "a|b|c"? */
static bool is_choice(const char *choices, const char *text) {
    size_t length = strlen(text);
    for (const char *word = choices; length > 0;) {
        size_t word_length = strcspn(word, "|");
        if (word_length == length && strncmp(word, text, length) == 0) {
            return true;
        }
        if (word[word_length] == '\0') {
            return false;
        }
        word += word_length + 1;
    }
    return false;
}

/* NULL, or what it should have looked like. `ret_number` is what the limits are held against. */
static const char *read_value(const struct settings_row *row, const char *text, void *field,
                              double *ret_number) {
    const char *wrong = NULL;
    switch (row->kind) {
    case SETTINGS_KIND_text:
        *(const char **)field = text[0] == '\0' ? NULL : text;
        break;
    case SETTINGS_KIND_choice:
        *(const char **)field = text;
        return is_choice(row->argument, text) ? NULL : "is one of";
    case SETTINGS_KIND_count:
        wrong = amount_parse_count(text, field);
        *ret_number = (double)*(uint64_t *)field;
        break;
    case SETTINGS_KIND_duration:
        wrong = amount_parse_duration(text, field);
        *ret_number = (double)*(uint64_t *)field;
        break;
    case SETTINGS_KIND_rate:
        wrong = amount_parse_rate(text, field);
        *ret_number = *(double *)field;
        break;
    case SETTINGS_KIND_share:
        wrong = amount_parse_share(text, field);
        *ret_number = *(double *)field;
        break;
    case SETTINGS_KIND_toggle:
        *(bool *)field = strcmp(text, "true") == 0;
        return *(bool *)field || strcmp(text, "false") == 0 ? NULL : "is true or false";
    }
    return wrong;
}

void draft_init(struct draft *draft) {
    *draft = (struct draft){0};
    const struct settings_row *row;
    for (size_t i = 0; (row = settings_row_at(i)) != NULL; i++) {
        draft_set(draft, row, (struct draft_place){0}, row->fallback);
    }
}

void draft_complain(struct draft *draft, struct draft_place place, const char *name,
                    const char *format, ...) {
    draft->fault_count++;
    if (place.file != NULL && place.line > 0) {
        fprintf(stderr, "%s:%u: %s", place.file, place.line, name);
    } else if (place.file != NULL) {
        fprintf(stderr, "%s: %s", place.file, name);
    } else {
        fputs("tidings bench: --", stderr);
        for (const char *letter = name; *letter != '\0'; letter++) {
            fputc(*letter == '_' ? '-' : *letter, stderr);
        }
    }
    fputc(' ', stderr);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static void write_limit(const struct settings_row *row, double limit, char *text, size_t size) {
    if (row->kind == SETTINGS_KIND_duration) {
        amount_write_duration((uint64_t)limit, text, size);
    } else {
        snprintf(text, size, "%.15g", limit);
    }
}

void draft_set(struct draft *draft, const struct settings_row *row, struct draft_place place,
               const char *text) {
    union {
        const char *text;
        uint64_t count;
        double number;
        bool toggle;
    } value = {0};
    double number = 0;
    const char *wrong = read_value(row, text, &value, &number);
    if (wrong != NULL) {
        bool is_choice = row->kind == SETTINGS_KIND_choice;
        draft_complain(draft, place, row->name, "%s%s%s, not \"%s\"", wrong, is_choice ? " " : "",
                       is_choice ? row->argument : "", text);
    } else if (row->highest > 0 && (number < row->lowest || number > row->highest)) {
        char lowest[32];
        char highest[32];
        write_limit(row, row->lowest, lowest, sizeof(lowest));
        write_limit(row, row->highest, highest, sizeof(highest));
        draft_complain(draft, place, row->name, "is from %s to %s, not %s", lowest, highest, text);
    } else {
        static const size_t sizes[] = {
            [SETTINGS_KIND_text] = sizeof(const char *), [SETTINGS_KIND_choice] = sizeof(char *),
            [SETTINGS_KIND_count] = sizeof(uint64_t),    [SETTINGS_KIND_rate] = sizeof(double),
            [SETTINGS_KIND_duration] = sizeof(uint64_t), [SETTINGS_KIND_share] = sizeof(double),
            [SETTINGS_KIND_toggle] = sizeof(bool)};
        memcpy((char *)&draft->settings + row->at, &value, sizes[row->kind]);
    }
    draft->places[index_of(row)] = place;
}

void draft_add_assertion(struct draft *draft, struct draft_place place, const char *text) {
    size_t count = draft->settings.assertion_count;
    if (count == SETTINGS_ASSERTIONS_MAX) {
        draft_complain(draft, place, "assert", "is said more than %d times",
                       SETTINGS_ASSERTIONS_MAX);
        return;
    }
    draft->settings.assertions[count] = text;
    draft->assertion_places[count] = place;
    draft->settings.assertion_count = count + 1;
}

const char *draft_keep(struct draft *draft, const char *text, size_t length) {
    struct settings_text *kept = malloc(sizeof(*kept) + length + 1);
    if (kept == NULL) {
        draft->fault_count++;
        fputs("tidings bench: out of memory\n", stderr);
        return NULL;
    }
    memcpy(kept->bytes, text, length);
    kept->bytes[length] = '\0';
    kept->next = draft->settings.texts;
    draft->settings.texts = kept;
    return kept->bytes;
}

const struct settings_row *draft_find_row(const char *name, size_t length,
                                          const struct settings_row **ret_nearest) {
    const struct settings_row *nearest = settings_row_at(0);
    size_t least = SIZE_MAX;
    const struct settings_row *row;
    for (size_t i = 0; (row = settings_row_at(i)) != NULL; i++) {
        size_t found = spelling_distance(name, length, row->name);
        if (found < least) {
            least = found;
            nearest = row;
        }
    }
    *ret_nearest = nearest;
    return least == 0 ? nearest : NULL;
}

struct draft_place draft_place_of(const struct draft *draft, const char *name) {
    const struct settings_row *nearest;
    const struct settings_row *row = draft_find_row(name, strlen(name), &nearest);
    return row == NULL ? (struct draft_place){0} : draft->places[index_of(row)];
}

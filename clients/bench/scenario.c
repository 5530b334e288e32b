/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "clients/bench/fail.h"

#define SHOWN_KEY_MAX 40 /* bytes of an unknown key that a fault repeats */

struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    bool has_failed;
    const char *path;
    struct draft *draft;
};

static struct draft_place place_of(const struct reader *reader, size_t line) {
    return (struct draft_place){.file = reader->path, .line = (unsigned)line + 1, .is_told = true};
}

static struct draft_place here(const struct reader *reader) {
    return place_of(reader, reader->event.start_mark.line);
}

static void fail(struct reader *reader, const char *what) {
    draft_complain(reader->draft, place_of(reader, reader->parser.problem_mark.line),
                   "is not YAML:", "%s", what == NULL ? "out of memory" : what);
    reader->has_failed = true;
}

/* Moves on to the next event; false: the text is broken, and that was told. */
static bool next_event(struct reader *reader) {
    if (reader->has_event) {
        yaml_event_delete(&reader->event);
        reader->has_event = false;
    }
    if (!reader->has_failed && !yaml_parser_parse(&reader->parser, &reader->event)) {
        fail(reader, reader->parser.problem);
    }
    reader->has_event = !reader->has_failed;
    return reader->has_event;
}

static bool is_event(const struct reader *reader, yaml_event_type_t type) {
    return reader->has_event && reader->event.type == type;
}

/* Goes from the first event of a node to its last. */
static void skip_node(struct reader *reader) {
    size_t depth = 0;
    do {
        depth += is_event(reader, YAML_MAPPING_START_EVENT);
        depth += is_event(reader, YAML_SEQUENCE_START_EVENT);
        depth -= is_event(reader, YAML_MAPPING_END_EVENT);
        depth -= is_event(reader, YAML_SEQUENCE_END_EVENT);
    } while (depth > 0 && next_event(reader));
}

/* The scalar of the event, kept; NULL: it is none, or holds a NUL byte, which is told as a fault of
 * `name` and skipped. */
static const char *take_scalar(struct reader *reader, const char *name) {
    if (!is_event(reader, YAML_SCALAR_EVENT)) {
        draft_complain(reader->draft, here(reader), name, "is one value");
        skip_node(reader);
        return NULL;
    }
    const char *text = (const char *)reader->event.data.scalar.value;
    size_t length = reader->event.data.scalar.length;
    if (memchr(text, '\0', length) != NULL) {
        draft_complain(reader->draft, here(reader), name, "holds a NUL byte");
        return NULL;
    }
    return draft_keep(reader->draft, text, length);
}

static void take_assertion(struct reader *reader) {
    struct draft_place place = here(reader);
    const char *text = take_scalar(reader, "assert");
    if (text != NULL) {
        draft_add_assertion(reader->draft, place, text);
    }
}

static void take_assertions(struct reader *reader) {
    if (!is_event(reader, YAML_SEQUENCE_START_EVENT)) {
        take_assertion(reader);
        return;
    }
    while (next_event(reader) && !is_event(reader, YAML_SEQUENCE_END_EVENT)) {
        take_assertion(reader);
    }
}

static void take_setting(struct reader *reader, const struct settings_row *row,
                         struct draft_place place) {
    bool is_twice = draft_place_of(reader->draft, row->name).is_told;
    const char *text = take_scalar(reader, row->name);
    if (is_twice) {
        draft_complain(reader->draft, place, row->name, "is given twice");
    } else if (text != NULL) {
        draft_set(reader->draft, row, place, text);
    }
}

/* Entered with the key in the event; leaves at the last event of its value. */
static void take_pair(struct reader *reader) {
    struct draft_place place = here(reader);
    if (!is_event(reader, YAML_SCALAR_EVENT)) {
        draft_complain(reader->draft, place, "a key", "is a word");
        skip_node(reader);
        if (next_event(reader)) {
            skip_node(reader);
        }
        return;
    }
    char key[SHOWN_KEY_MAX + 1];
    const char *text = (const char *)reader->event.data.scalar.value;
    snprintf(key, sizeof(key), "%s", text);
    const struct settings_row *nearest;
    bool has_dash = strchr(text, '-') != NULL;
    const struct settings_row *row = draft_find_row(text, strlen(text), &nearest);
    if (!next_event(reader)) {
        return;
    }
    if (strcmp(key, "assert") == 0) {
        take_assertions(reader);
    } else if (row != NULL && !has_dash) {
        take_setting(reader, row, place);
    } else {
        if (strcmp(key, "compare") != 0) {
            draft_complain(reader->draft, place, key, "is no key; the nearest is `%s`",
                           nearest->name);
        }
        skip_node(reader);
    }
}

static void read_document(struct reader *reader) {
    if (!next_event(reader) || !next_event(reader)) { /* the stream's start, and what follows */
        return;
    }
    if (is_event(reader, YAML_DOCUMENT_START_EVENT) && !next_event(reader)) {
        return;
    }
    if (!is_event(reader, YAML_MAPPING_START_EVENT)) {
        draft_complain(reader->draft, here(reader), "a scenario", "is a map of keys");
        return;
    }
    while (next_event(reader) && !is_event(reader, YAML_MAPPING_END_EVENT)) {
        take_pair(reader);
    }
    if (next_event(reader) && next_event(reader) && !is_event(reader, YAML_STREAM_END_EVENT)) {
        draft_complain(reader->draft, here(reader), "a scenario", "is one document");
    }
}

void scenario_read(const char *path, struct draft *draft) {
    struct draft_place place = {.file = path, .is_told = true};
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        draft_complain(draft, place, "cannot be read:", "%s", strerrordesc_np(errno));
        return;
    }
    unsigned char *text = bench_need(SCENARIO_BYTES_MAX + 1, 1); /* too large for the stack */
    size_t length = fread(text, 1, SCENARIO_BYTES_MAX + 1, file);
    bool is_read = !ferror(file);
    fclose(file);
    struct reader reader = {.path = path, .draft = draft};
    if (!is_read || length > SCENARIO_BYTES_MAX) {
        draft_complain(draft, place, "cannot be read:", "it has more than %u bytes, or is no file",
                       SCENARIO_BYTES_MAX);
    } else if (!yaml_parser_initialize(&reader.parser)) {
        draft_complain(draft, place, "cannot be read:", "out of memory");
    } else {
        yaml_parser_set_input_string(&reader.parser, text, length);
        read_document(&reader);
        if (reader.has_event) {
            yaml_event_delete(&reader.event);
        }
        yaml_parser_delete(&reader.parser);
    }
    free(text);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Every read_… function is entered with the first event of its node in `event`, and leaves with the
 * node's last event there. A broken text sets has_failed, and then everything returns. */
#include "broker/config/yaml.h"

#include <stdlib.h>
#include <yaml.h>

#include "broker/config/value.h"
#include "broker/support/invariant.h"

#define KEYS_MAX 64      /* of one mapping that are remembered to find one given twice */
#define SHOWN_KEY_MAX 40 /* bytes of an unknown key that a fault repeats */

struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    bool has_failed;
    const char *name;
    struct span text;
    config_check_pattern *check_pattern;
    struct config *config;
    struct config_faults *faults;
};

/* Where in the table and in the values a mapping is read. */
struct level {
    const struct config_scope *scope;
    void *values;
    const char *prefix;  /* "" or "channels[2].": what a fault writes before the path */
    const char *section; /* "" or "public." */
    uint64_t *given; /* a bit for each row of the scope that was met, rightly or wrongly; or NULL */
};

struct key {
    char path[CONFIG_PATH_BYTES + SHOWN_KEY_MAX];
    char shown[CONFIG_PATH_BYTES + SHOWN_KEY_MAX + 24];
};

static struct config_mark mark_of(yaml_mark_t mark) {
    return (struct config_mark){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

#define FAULT_AT(reader, mark, key, ...)                                                           \
    config_faults_add((reader)->faults, (reader)->name, (uint32_t)(mark).line + 1,                 \
                      (uint32_t)(mark).column + 1, key, __VA_ARGS__)
#define FAULT(reader, key, ...) FAULT_AT(reader, (reader)->event.start_mark, key, __VA_ARGS__)

/* The parser says only that a token cannot begin so. */
static bool is_indented_by_tab(struct span text, size_t line) {
    size_t i = 0;
    for (; line > 0 && i < text.length; i++) {
        line -= text.bytes[i] == '\n';
    }
    while (i < text.length && text.bytes[i] == ' ') {
        i++;
    }
    return i < text.length && text.bytes[i] == '\t';
}

/* Bytes that are not UTF-8 are found before lines are counted, so their line is counted here. */
static void tell_syntax(struct reader *reader) {
    const yaml_parser_t *parser = &reader->parser;
    yaml_mark_t mark = parser->problem_mark;
    if (parser->error == YAML_READER_ERROR) {
        mark = (yaml_mark_t){0};
        for (size_t i = 0; i < parser->problem_offset && i < reader->text.length; i++) {
            bool is_line_end = reader->text.bytes[i] == '\n';
            mark.line += is_line_end;
            mark.column = is_line_end ? 0 : mark.column + 1;
        }
    }
    FAULT_AT(reader, mark, "", "is not YAML: %s%s%s%s",
             parser->context == NULL ? "" : parser->context, parser->context == NULL ? "" : ", ",
             parser->problem == NULL ? "out of memory" : parser->problem,
             is_indented_by_tab(reader->text, mark.line)
                 ? "; lines are indented by blanks, not tabs"
                 : "");
}

static bool next_event(struct reader *reader) {
    if (reader->has_event) {
        yaml_event_delete(&reader->event);
        reader->has_event = false;
    }
    if (reader->has_failed) {
        return false;
    }
    if (!yaml_parser_parse(&reader->parser, &reader->event)) {
        tell_syntax(reader);
        reader->has_failed = true;
        return false;
    }
    reader->has_event = true;
    return true;
}

static void skip_node(struct reader *reader) {
    size_t depth = 0;
    do {
        yaml_event_type_t type = reader->event.type;
        depth += type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT;
        depth -= type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT;
    } while (depth > 0 && next_event(reader));
}

static struct span scalar_of(const yaml_event_t *event) {
    INVARIANT(event->type == YAML_SCALAR_EVENT);
    return span_of(event->data.scalar.value, event->data.scalar.length);
}

/* YAML's null: nothing, `~` or `null` without quotes. */
static bool is_null(const yaml_event_t *event) {
    if (event->type != YAML_SCALAR_EVENT || event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
        return false;
    }
    struct span text = scalar_of(event);
    return text.length == 0 || span_is_equal(text, SPAN("~")) || span_is_equal(text, SPAN("null"));
}

static bool has_tag(const yaml_event_t *event) {
    return (event->type == YAML_SCALAR_EVENT && event->data.scalar.tag != NULL) ||
           (event->type == YAML_MAPPING_START_EVENT && event->data.mapping_start.tag != NULL) ||
           (event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.tag != NULL);
}

/* True: the node is a scalar that can be read. Else it was refused and skipped. */
static bool take_scalar(struct reader *reader, const char *key) {
    const char *reason = NULL;
    if (reader->event.type == YAML_ALIAS_EVENT) {
        reason = "is an alias (`*`), which is not taken here";
    } else if (has_tag(&reader->event)) {
        reason = "has a tag (`!`), which is not taken here";
    } else if (reader->event.type != YAML_SCALAR_EVENT) {
        reason = "must be one value, not a list or a mapping";
    } else if (is_null(&reader->event)) {
        reason = "has no value";
    }
    if (reason != NULL) {
        FAULT(reader, key, "%s", reason);
        skip_node(reader);
    }
    return reason == NULL;
}

/* True: the node starts a list or mapping, whichever is asked for. Null is an empty one. */
static bool take_start(struct reader *reader, yaml_event_type_t type, const char *key) {
    if (reader->event.type == type && !has_tag(&reader->event)) {
        return true;
    }
    if (!is_null(&reader->event)) {
        FAULT(reader, key, "must be a %s",
              type == YAML_MAPPING_START_EVENT ? "mapping of keys" : "list");
    }
    skip_node(reader);
    return false;
}

/* What no single type can say, because channels stand above the configuration. */
static enum error_code check_text(const struct reader *reader, const struct config_row *row,
                                  struct span text, struct error *why) {
    bool is_pattern =
        row->type == CONFIG_PATTERN || row->type == CONFIG_PATTERNS || row->type == CONFIG_CHANNELS;
    return is_pattern && reader->check_pattern != NULL ? reader->check_pattern(text, why) : OK;
}

static void read_list(struct reader *reader, const struct config_row *row, void *values,
                      const char *key) {
    value_set_given(row, values);
    if (!take_start(reader, YAML_SEQUENCE_START_EVENT, key)) {
        return;
    }
    while (next_event(reader) && reader->event.type != YAML_SEQUENCE_END_EVENT) {
        struct error why = {0};
        if (!take_scalar(reader, key)) {
            continue;
        }
        struct span text = scalar_of(&reader->event);
        if (check_text(reader, row, text, &why) != OK ||
            value_add_item(row, values, text, &why) != OK) {
            FAULT(reader, key, "%s", why.detail);
        }
    }
}

static void read_value(struct reader *reader, const struct config_row *row, void *values,
                       const char *key) {
    if (values == reader->config) {
        config_set_source(reader->config, row, CONFIG_FILE, mark_of(reader->event.start_mark));
    }
    if (config_type_is_list(row->type)) {
        read_list(reader, row, values, key);
        return;
    }
    if (!take_scalar(reader, key)) {
        return;
    }
    struct error why = {0};
    struct span text = scalar_of(&reader->event);
    enum error_code code = value_set(row, values, text, &why);
    code = code != OK ? code : check_text(reader, row, text, &why);
    if (code != OK) {
        FAULT(reader, key, "%s", why.detail);
    }
}

static void read_mapping(struct reader *reader, const struct level *level);

static void read_row(struct reader *reader, const struct config_rows *list, void *row,
                     size_t index) {
    char prefix[CONFIG_PATH_BYTES + 24];
    uint64_t given = 0;
    INVARIANT(list->scope->row_count <= 64);
    snprintf(prefix, sizeof(prefix), "%s[%zu].", list->path, index);
    struct level level = {list->scope, row, prefix, "", &given};
    yaml_mark_t mark = reader->event.start_mark;
    size_t faults_before = reader->faults->count + reader->faults->count_beyond;
    read_mapping(reader, &level);
    prefix[strlen(prefix) - 1] = '\0';
    for (size_t i = 0; i < list->scope->row_count && !reader->has_failed; i++) {
        const struct config_row *needed = &list->scope->rows[i];
        if (config_row_must_be_given(needed) && (given & (UINT64_C(1) << i)) == 0) {
            FAULT_AT(reader, mark, prefix, "has no `%s`: %s", needed->path, needed->summary);
        }
    }
    struct config_place *place = config_row_place(row);
    place->line = (uint32_t)mark.line + 1;
    place->column = (uint32_t)mark.column + 1;
    place->given = given;
    place->has_fault = reader->faults->count + reader->faults->count_beyond > faults_before;
}

static void read_rows(struct reader *reader, const struct config_rows *list, const char *key) {
    if (!take_start(reader, YAML_SEQUENCE_START_EVENT, key)) {
        return;
    }
    struct config *config = reader->config;
    while (next_event(reader) && reader->event.type != YAML_SEQUENCE_END_EVENT) {
        if (reader->event.type != YAML_MAPPING_START_EVENT || has_tag(&reader->event)) {
            FAULT(reader, key, "must hold mappings, as `%s`", list->example);
            skip_node(reader);
            continue;
        }
        size_t index = config_row_count(config, list);
        void *row = config_row_add(config, list);
        if (row == NULL) {
            FAULT(reader, key, "more than %zu rows, or no memory for them", list->rows_max);
            skip_node(reader);
            continue;
        }
        read_row(reader, list, row, index);
    }
}

static void refuse_key(struct reader *reader, const struct level *level, const struct key *key) {
    char nearest[CONFIG_PATH_BYTES];
    config_scope_nearest(level->scope, span_of_string(key->path), nearest);
    FAULT(reader, key->shown, "is not a key; the nearest is `%s`", nearest);
}

/* The key stands in `event`; its value is read or skipped. */
static void read_entry(struct reader *reader, const struct level *level, const struct key *key) {
    struct span path = span_of_string(key->path);
    const struct config_row *row = config_scope_find(level->scope, path);
    bool is_section = config_scope_is_section(level->scope, path);
    const struct config_rows *list = config_scope_find_list(level->scope, path);
    if (row == NULL && !is_section && list == NULL) {
        refuse_key(reader, level, key);
        if (next_event(reader)) {
            skip_node(reader);
        }
        return;
    }
    if (!next_event(reader)) {
        return;
    }
    if (row != NULL) {
        if (level->given != NULL) {
            *level->given |= UINT64_C(1) << (row - level->scope->rows);
        }
        read_value(reader, row, level->values, key->shown);
    } else if (list != NULL) {
        read_rows(reader, list, key->shown);
    } else if (take_start(reader, YAML_MAPPING_START_EVENT, key->shown)) {
        char section[CONFIG_PATH_BYTES + SHOWN_KEY_MAX + 1];
        snprintf(section, sizeof(section), "%s.", key->path);
        struct level inner = {level->scope, level->values, level->prefix, section, level->given};
        read_mapping(reader, &inner);
    }
}

static bool is_repeated(char (*seen)[CONFIG_PATH_BYTES + SHOWN_KEY_MAX], size_t *count,
                        const char *path) {
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(seen[i], path) == 0) {
            return true;
        }
    }
    if (*count < KEYS_MAX) {
        memcpy(seen[(*count)++], path, strlen(path) + 1);
    }
    return false;
}

static void read_mapping(struct reader *reader, const struct level *level) {
    char seen[KEYS_MAX][CONFIG_PATH_BYTES + SHOWN_KEY_MAX];
    size_t seen_count = 0;
    while (next_event(reader) && reader->event.type != YAML_MAPPING_END_EVENT) {
        struct key key;
        bool is_key = reader->event.type == YAML_SCALAR_EVENT && !has_tag(&reader->event);
        struct span name = is_key ? scalar_of(&reader->event) : SPAN("?");
        snprintf(key.path, sizeof(key.path), "%s%.*s", level->section,
                 (int)(name.length < SHOWN_KEY_MAX ? name.length : SHOWN_KEY_MAX),
                 (const char *)name.bytes);
        snprintf(key.shown, sizeof(key.shown), "%s%s", level->prefix, key.path);
        bool is_twice = is_key && is_repeated(seen, &seen_count, key.path);
        if (is_key && !is_twice) {
            read_entry(reader, level, &key);
            continue;
        }
        FAULT(reader, key.shown, "%s",
              is_twice ? "is given twice" : "is not a key: keys are plain words");
        skip_node(reader);
        if (next_event(reader)) {
            skip_node(reader);
        }
    }
}

static void read_stream(struct reader *reader) {
    struct level level = {&config_scope_file, reader->config, "", "", NULL};
    bool has_document = false;
    while (next_event(reader) && reader->event.type != YAML_STREAM_END_EVENT) {
        if (reader->event.type != YAML_DOCUMENT_START_EVENT) {
            continue;
        }
        if (has_document) {
            FAULT(reader, "", "a second document (`---`) is not taken");
            return;
        }
        has_document = true;
        if (next_event(reader) && take_start(reader, YAML_MAPPING_START_EVENT, "the file")) {
            read_mapping(reader, &level);
        }
    }
}

void yaml_read(const char *name, struct span text, config_check_pattern *check_pattern,
               struct config *config, struct config_faults *faults) {
    struct reader reader = {
        .name = name,
        .text = text,
        .check_pattern = check_pattern,
        .config = config,
        .faults = faults,
    };
    if (!yaml_parser_initialize(&reader.parser)) {
        config_faults_add(faults, name, 0, 0, "", "out of memory");
        return;
    }
    yaml_parser_set_input_string(&reader.parser, text.bytes, text.length);
    read_stream(&reader);
    if (reader.has_event) {
        yaml_event_delete(&reader.event);
    }
    yaml_parser_delete(&reader.parser);
}

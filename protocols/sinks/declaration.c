/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/declaration.h"

#include <stdlib.h>

#include "broker/channels/pattern.h"
#include "broker/channels/since.h"
#include "broker/config/sink_rules.h"
#include "broker/config/value.h"
#include "broker/support/json.h"
#include "protocols/sinks/driver.h"
#include "protocols/sinks/retries.h"
#include "protocols/sources/source.h"

#define ROW_KEY "sink"                     /* what faults of the whole row are about */
#define PATH_BYTES (2 * CONFIG_PATH_BYTES) /* of a key that may be unknown, cut */

static const struct config_scope *const scope = &config_scope_sink;

/* --- reading --------------------------------------------------------------------------------- */

struct parser {
    struct span json;
    enum declaration_use use;
    struct sink_row *row;
    struct config_faults *faults;
    struct buffer text; /* of the value that is read */
    uint64_t rows;      /* a bit for each that was met, be it with null */
    uint64_t sections;  /* a bit for the first row of each that was met */
};

static void add_fault(struct parser *parser, const uint8_t *at, const char *key,
                      const char *reason) {
    uint32_t line = 1;
    const uint8_t *line_begin = parser->json.bytes;
    for (const uint8_t *byte = parser->json.bytes; byte < at; byte++) {
        if (*byte == '\n') {
            line++;
            line_begin = byte + 1;
        }
    }
    config_faults_add(parser->faults, DECLARATION_SOURCE, line, (uint32_t)(at - line_begin) + 1,
                      key, "%s", reason);
}

/* What a value says as text: a string without its quotes, a number or a truth as it is written. */
static bool take_text(struct parser *parser, struct json_value value, const char *key,
                      struct span *ret_text) {
    const char *reason = NULL;
    buffer_clear(&parser->text);
    *ret_text = value.text;
    if (value.kind == JSON_KIND_STRING) {
        if (json_string_put(&parser->text, value.text) != OK) {
            reason = "is too long, or has half of a surrogate pair";
        }
        *ret_text = buffer_borrow(&parser->text);
    } else if (value.kind == JSON_KIND_ARRAY || value.kind == JSON_KIND_OBJECT) {
        reason = "must be one value, not a list or an object";
    } else if (value.kind == JSON_KIND_NULL) {
        reason = "has no value";
    }
    if (reason != NULL) {
        add_fault(parser, value.text.bytes, key, reason);
    }
    return reason == NULL;
}

/* "set" is what is shown instead of a secret: only a change may bring it back. */
static bool is_shown_secret(const struct config_row *row, struct span text) {
    return config_type_is_secret(row->type) && span_is_equal(text, SPAN("set"));
}

static void read_list(struct parser *parser, const struct config_row *row,
                      struct json_value value) {
    if (value.kind != JSON_KIND_ARRAY) {
        add_fault(parser, value.text.bytes, row->path, "must be a list");
        return;
    }
    struct json_walk walk = json_walk_of(value);
    struct json_value item;
    size_t shown_count = 0;
    size_t count = 0;
    for (; json_array_next(&walk, &item); count++) {
        struct span text;
        struct error why = {0};
        if (!take_text(parser, item, row->path, &text)) {
            continue;
        }
        if (parser->use == DECLARATION_CHANGE && is_shown_secret(row, text)) {
            shown_count++;
        } else if (value_add_item(row, parser->row, text, &why) != OK) {
            add_fault(parser, item.text.bytes, row->path, why.detail);
        }
    }
    if (shown_count > 0 && shown_count < count) {
        add_fault(parser, value.text.bytes, row->path,
                  "has new items beside `set`: give all of them, or none");
    } else if (shown_count == 0) {
        value_set_given(row, parser->row);
    }
}

/* Nothing is what was not given; of a secret that is changed, that there is none any more. */
static void read_null(struct parser *parser, const struct config_row *row) {
    if (parser->use != DECLARATION_CHANGE || !config_type_is_secret(row->type)) {
        return;
    }
    if (config_type_is_list(row->type)) {
        value_set_given(row, parser->row);
        return;
    }
    char **field = (void *)((char *)parser->row + row->offset);
    *field = strdup(""); /* no secret is empty: declaration_inherit() knows it */
    if (*field == NULL) {
        add_fault(parser, parser->json.bytes, row->path, "out of memory");
    }
}

static void read_value(struct parser *parser, const struct config_row *row,
                       struct json_value value) {
    if (value.kind == JSON_KIND_NULL) {
        read_null(parser, row);
        return;
    }
    parser->row->place.given |= UINT64_C(1) << (row - scope->rows);
    if (config_type_is_list(row->type)) {
        read_list(parser, row, value);
        return;
    }
    struct span text;
    struct error why = {0};
    if (!take_text(parser, value, row->path, &text)) {
        return;
    }
    if (is_shown_secret(row, text) && parser->use != DECLARATION_STORED) {
        if (parser->use == DECLARATION_NEW) {
            add_fault(parser, value.text.bytes, row->path,
                      "`set` is what is shown instead of a secret: give the secret itself");
        }
    } else if (value_set(row, parser->row, text, &why) != OK) {
        add_fault(parser, value.text.bytes, row->path, why.detail);
    }
}

/* The bit of a section: of the first row in it. */
static uint64_t section_bit(struct span section) {
    for (size_t i = 0; i < scope->row_count; i++) {
        struct span path = span_of_string(scope->rows[i].path);
        if (path.length > section.length && path.bytes[section.length] == '.' &&
            span_has_prefix(path, section)) {
            return UINT64_C(1) << i;
        }
    }
    return 0;
}

static void refuse_key(struct parser *parser, const uint8_t *at, const char *path) {
    char nearest[CONFIG_PATH_BYTES];
    char reason[CONFIG_PATH_BYTES + 40];
    config_scope_nearest(scope, span_of_string(path), nearest);
    snprintf(reason, sizeof(reason), "is not a key; the nearest is `%s`", nearest);
    add_fault(parser, at, path, reason);
}

static void read_member(struct parser *parser, const char *section, struct json_member member);

static void read_section(struct parser *parser, const char *path, struct json_value value) {
    if (value.kind == JSON_KIND_NULL) {
        return;
    }
    if (value.kind != JSON_KIND_OBJECT) {
        add_fault(parser, value.text.bytes, path, "must be an object of keys");
        return;
    }
    char section[PATH_BYTES + 1];
    snprintf(section, sizeof(section), "%s.", path);
    struct json_walk walk = json_walk_of(value);
    struct json_member member;
    while (json_object_next(&walk, &member)) {
        read_member(parser, section, member);
    }
}

/* A key of the table has no more sections than the table, so that this cannot go deep. */
static void read_member(struct parser *parser, const char *section, struct json_member member) {
    char path[PATH_BYTES];
    buffer_clear(&parser->text);
    if (json_string_put(&parser->text, member.name) != OK) {
        add_fault(parser, member.name.bytes, section, "is followed by something that is no key");
        return;
    }
    struct span name = buffer_borrow(&parser->text);
    int length = name.length < CONFIG_PATH_BYTES ? (int)name.length : CONFIG_PATH_BYTES;
    snprintf(path, sizeof(path), "%s%.*s", section, length, (const char *)name.bytes);
    struct span whole = span_of_string(path);
    const struct config_row *row = config_scope_find(scope, whole);
    uint64_t *seen = row != NULL ? &parser->rows : &parser->sections;
    uint64_t bit = row != NULL ? UINT64_C(1) << (row - scope->rows) : section_bit(whole);
    if (bit == 0) {
        refuse_key(parser, member.name.bytes, path);
    } else if ((*seen & bit) != 0) {
        add_fault(parser, member.name.bytes, path, "is given twice");
    } else if (row != NULL) {
        *seen |= bit;
        read_value(parser, row, member.value);
    } else {
        *seen |= bit;
        read_section(parser, path, member.value);
    }
}

/* What a change leaves as it is counts as given: a rule may need it. */
static uint64_t kept_bits(const struct sink_row *row) {
    uint64_t kept = 0;
    for (size_t i = 0; i < scope->row_count; i++) {
        const char *path = scope->rows[i].path;
        bool is_kept = (row->webhook_url != NULL && row->webhook_secret == NULL &&
                        strcmp(path, "webhook.secret") == 0) ||
                       (row->kafka_username != NULL && row->kafka_password == NULL &&
                        strcmp(path, "kafka.password") == 0);
        kept |= is_kept ? UINT64_C(1) << i : 0;
    }
    return kept;
}

static void check_needed(struct parser *parser) {
    for (size_t i = 0; i < scope->row_count; i++) {
        const struct config_row *row = &scope->rows[i];
        if (config_row_must_be_given(row) && ((parser->row->place.given >> i) & 1) == 0) {
            config_faults_add(parser->faults, DECLARATION_SOURCE, 1, 1, ROW_KEY, "has no `%s`: %s",
                              row->path, row->summary);
        }
    }
}

static void check_channels(const struct sink_row *row, const char *source, const char *key,
                           struct config_faults *faults);
static void check_driver(const struct sink_row *row, const char *source, const char *key,
                         struct config_faults *faults);

static void read_all(struct parser *parser, struct json_value value) {
    if (value.kind != JSON_KIND_OBJECT) {
        add_fault(parser, value.text.bytes, ROW_KEY, "must be an object of keys");
        return;
    }
    struct json_walk walk = json_walk_of(value);
    struct json_member member;
    while (json_object_next(&walk, &member)) {
        read_member(parser, "", member);
    }
    check_needed(parser);
    struct sink_row *row = parser->row;
    row->place.line = 1; /* what is wrong with all of it has no place of its own */
    row->place.column = 1;
    row->place.has_fault = parser->faults->count > 0;
    row->place.given |= parser->use == DECLARATION_CHANGE ? kept_bits(row) : 0;
    sink_rules_check(row, DECLARATION_SOURCE, ROW_KEY, parser->faults);
    check_channels(row, DECLARATION_SOURCE, ROW_KEY, parser->faults);
    if (parser->use != DECLARATION_STORED) {
        check_driver(row, DECLARATION_SOURCE, ROW_KEY, parser->faults);
    }
}

enum error_code declaration_parse(struct span json, enum declaration_use use,
                                  struct sink_row **ret_row, struct config_faults *faults) {
    struct parser parser = {.json = json, .use = use, .faults = faults};
    struct json_value value;
    size_t position = 0;
    const char *fault = NULL;
    *faults = (struct config_faults){0};
    if (json_parse(json, &value, &position, &fault) != OK) {
        char reason[120];
        snprintf(reason, sizeof(reason), "is not JSON: %s", fault);
        add_fault(&parser, json.bytes + position, "", reason);
        return ERR_CONFIG;
    }
    parser.row = calloc(1, sizeof(*parser.row));
    if (parser.row == NULL || config_values_init(scope, parser.row) != OK) {
        declaration_destroy(parser.row);
        return ERR_MEMORY;
    }
    buffer_init(&parser.text, DECLARATION_BYTES_MAX);
    read_all(&parser, value);
    buffer_finish(&parser.text);
    if (faults->count > 0) {
        declaration_destroy(parser.row);
        return ERR_CONFIG;
    }
    *ret_row = parser.row;
    return OK;
}

/* --- secrets that stay ----------------------------------------------------------------------- */

static enum error_code copy_list(const struct config_list *from, struct config_list *ret_list) {
    struct config_list copy = {.is_given = from->is_given};
    copy.items = from->count == 0 ? NULL : calloc(from->count, sizeof(*copy.items));
    enum error_code code = from->count > 0 && copy.items == NULL ? ERR_MEMORY : OK;
    for (; code == OK && copy.count < from->count; copy.count++) {
        copy.items[copy.count] = strdup(from->items[copy.count]);
        if (copy.items[copy.count] == NULL) {
            code = ERR_MEMORY;
            break;
        }
    }
    *ret_list = copy; /* of a failure what there is, to be freed with the row */
    return code;
}

static enum error_code copy_field(const struct config_row *row, const struct sink_row *from,
                                  struct sink_row *to) {
    const void *source = (const char *)from + row->offset;
    void *field = (char *)to + row->offset;
    if (config_type_is_list(row->type)) {
        return copy_list(source, field);
    }
    char *const *text = source;
    char **copy = field;
    *copy = *text == NULL ? NULL : strdup(*text);
    return *text != NULL && *copy == NULL ? ERR_MEMORY : OK;
}

/* Says the row nothing about this secret, so that the old one stays? Empties what says "none". */
static bool wants_old(const struct config_row *row, struct sink_row *values) {
    void *field = (char *)values + row->offset;
    if (config_type_is_list(row->type)) {
        return !((const struct config_list *)field)->is_given;
    }
    char **text = field;
    bool is_none = *text != NULL && **text == '\0';
    if (is_none) {
        value_clear(row, values);
    }
    return !is_none && *text == NULL;
}

/* A password belongs to a user: without one there is nothing that it could open. */
static bool has_use(const struct config_row *row, const struct sink_row *values) {
    size_t offset = row->offset;
    return (offset != offsetof(struct sink_row, kafka_password) ||
            values->kafka_username != NULL) &&
           (offset != offsetof(struct sink_row, mqtt_password) || values->mqtt_username != NULL);
}

enum error_code declaration_inherit(struct sink_row *row, const struct sink_row *old,
                                    struct error *why) {
    bool is_same_kind = old != NULL && sink_rules_kind(row) == sink_rules_kind(old);
    for (size_t i = 0; i < scope->row_count; i++) {
        const struct config_row *secret = &scope->rows[i];
        if (config_type_is_secret(secret->type) && wants_old(secret, row) && is_same_kind &&
            has_use(secret, row) && copy_field(secret, old, row) != OK) {
            return error_set(why, ERR_MEMORY, "no memory for a sink");
        }
    }
    if (row->kafka_username != NULL && row->kafka_password == NULL) {
        return error_set(why, ERR_CONFIG,
                         "has `kafka.username` and no `kafka.password`, and none that could stay");
    }
    if (row->webhook_secret_previous != NULL && row->webhook_secret == NULL) {
        return error_set(why, ERR_CONFIG,
                         "has `webhook.secret_previous` without `webhook.secret`: take both away");
    }
    return OK;
}

/* --- what the configuration cannot see ------------------------------------------------------- */

#define ROW_FAULT(row, ...)                                                                        \
    config_faults_add(faults, source, (row)->place.line, (row)->place.column, key, __VA_ARGS__)

/* Its dead letters and events would go through it, fail, and be dead letters and events again. */
static bool does_match_own(struct span pattern, const char *name) {
    static const char *const folders[] = {"$dlq", "$events/sinks"};
    bool does_match = false;
    for (size_t i = 0; i < ARRAY_COUNT(folders) && !does_match; i++) {
        char channel[SINK_NAME_BYTES_MAX + sizeof("$events/sinks/")];
        snprintf(channel, sizeof(channel), "%s/%s", folders[i], name);
        does_match = pattern_matches(pattern, span_of_string(channel));
    }
    return does_match;
}

static void check_start(const struct sink_row *row, const char *source, const char *key,
                        struct config_faults *faults) {
    struct since since = {0};
    struct error why = {0};
    if (since_parse(span_of_string(row->start), &since, &why) != OK) {
        ROW_FAULT(row, "`start`: %s", why.detail);
        return;
    }
    bool is_one =
        row->channels.count == 1 && !pattern_is_pattern(span_of_string(row->channels.items[0]));
    if ((since.kind == SINCE_OFFSET || since.kind == SINCE_LAST) && !is_one) {
        ROW_FAULT(row, "`start` counts messages of one channel, and `channels` names more");
    }
}

static void check_channels(const struct sink_row *row, const char *source, const char *key,
                           struct config_faults *faults) {
    for (size_t i = 0; i < row->channels.count; i++) {
        struct span pattern = span_of_string(row->channels.items[i]);
        struct error why = {0};
        if (pattern_check(pattern, true, &why) != OK) {
            ROW_FAULT(row, "`channels`, \"%s\": %s", row->channels.items[i], why.detail);
        } else if (row->name != NULL && does_match_own(pattern, row->name)) {
            ROW_FAULT(row, "`channels`, \"%s\": are the sink's own dead letters or events",
                      row->channels.items[i]);
        }
    }
    if (row->start != NULL) {
        check_start(row, source, key, faults);
    }
    if (row->retries.count > RETRIES_MAX) {
        ROW_FAULT(row, "has %zu waits in `retry.schedule`: %d are the most", row->retries.count,
                  RETRIES_MAX);
    }
}

static void check_driver(const struct sink_row *row, const char *source, const char *key,
                         struct config_faults *faults) {
    const struct driver *driver = driver_of(row);
    if (driver != NULL && driver->check != NULL) {
        driver->check(row, source, key, faults);
    }
}

static void check_source(const struct source_row *row, const char *source, const char *key,
                         struct config_faults *faults) {
    const struct source_driver *driver = source_driver_of(row);
    if (driver != NULL && driver->check != NULL) {
        driver->check(row, source, key, faults);
    }
}

/* Patterns were checked as they were read, where the line of each is known. */
void declaration_check_rows(const struct config *config, struct config_faults *faults) {
    const char *source = config->file == NULL ? "text" : config->file;
    char key[32];
    for (size_t i = 0; i < config->sink_count; i++) {
        snprintf(key, sizeof(key), "sinks[%zu]", i);
        check_channels(&config->sinks[i], source, key, faults);
        check_driver(&config->sinks[i], source, key, faults);
    }
    for (size_t i = 0; i < config->source_count; i++) {
        snprintf(key, sizeof(key), "sources[%zu]", i);
        check_source(&config->sources[i], source, key, faults);
    }
}

/* --- writing --------------------------------------------------------------------------------- */

/* What was not told, and what another kind of sink has, is left out. */
static bool is_told(const struct config_row *row, const struct sink_row *values) {
    const void *field = (const char *)values + row->offset;
    if (!sink_rules_has_key(row, sink_rules_kind(values))) {
        return false;
    }
    if (config_type_is_list(row->type)) {
        return ((const struct config_list *)field)->is_given;
    }
    return !config_type_is_text(row->type) || *(char *const *)field != NULL;
}

static enum error_code put_secret(struct buffer *buffer, const struct config_row *row,
                                  const struct sink_row *values) {
    const void *field = (const char *)values + row->offset;
    if (!config_type_is_list(row->type)) {
        return json_escape_put(buffer, span_of_string(*(char *const *)field));
    }
    const struct config_list *list = field;
    enum error_code code = buffer_put_byte(buffer, '[');
    for (size_t i = 0; code == OK && i < list->count; i++) {
        code = i == 0 ? OK : buffer_put_byte(buffer, ',');
        code = code != OK ? code : json_escape_put(buffer, span_of_string(list->items[i]));
    }
    return code != OK ? code : buffer_put_byte(buffer, ']');
}

/* Closes the section before and opens the row's; then its name. Rows of a section stand together.
 */
static enum error_code put_name(struct buffer *buffer, const char *path, struct span *section) {
    struct span name = span_of_string(path);
    struct span own = {0};
    const char *dot = strchr(path, '.');
    if (dot != NULL) {
        own = span_of(path, (size_t)(dot - path));
        name = span_of_string(dot + 1);
    }
    const char *separator = buffer->bytes[buffer->length - 1] == '{' ? "" : ",";
    if (span_is_equal(own, *section)) {
        return buffer_printf(buffer, "%s\"%.*s\":", separator, SPAN_PRINTF(name));
    }
    const char *close = section->length > 0 ? "}" : "";
    *section = own;
    return own.length == 0
               ? buffer_printf(buffer, "%s%s\"%.*s\":", close, separator, SPAN_PRINTF(name))
               : buffer_printf(buffer, "%s%s\"%.*s\":{\"%.*s\":", close, separator,
                               SPAN_PRINTF(own), SPAN_PRINTF(name));
}

enum error_code declaration_put(struct buffer *buffer, const struct sink_row *row,
                                bool with_secrets) {
    struct span section = {0};
    enum error_code code = buffer_put_byte(buffer, '{');
    for (size_t i = 0; code == OK && i < scope->row_count; i++) {
        const struct config_row *key = &scope->rows[i];
        if (!is_told(key, row)) {
            continue;
        }
        code = put_name(buffer, key->path, &section);
        if (code == OK) {
            code = with_secrets && config_type_is_secret(key->type) ? put_secret(buffer, key, row)
                                                                    : value_put(key, row, buffer);
        }
    }
    return code != OK ? code : buffer_put(buffer, section.length > 0 ? SPAN("}}") : SPAN("}"));
}

/* --- whole rows ------------------------------------------------------------------------------ */

enum error_code declaration_copy(const struct sink_row *row, struct sink_row **ret_row) {
    struct sink_row *copy = malloc(sizeof(*copy));
    if (copy == NULL) {
        return ERR_MEMORY;
    }
    memcpy(copy, row, sizeof(*copy));
    enum error_code code = OK;
    for (size_t i = 0; i < scope->row_count; i++) {
        const struct config_row *key = &scope->rows[i];
        void *field = (char *)copy + key->offset;
        if (config_type_is_list(key->type)) {
            *(struct config_list *)field = (struct config_list){0};
        } else if (config_type_is_text(key->type)) {
            *(char **)field = NULL;
        } else {
            continue;
        }
        code = code != OK ? code : copy_field(key, row, copy);
    }
    if (code != OK) {
        declaration_destroy(copy);
        return code;
    }
    *ret_row = copy;
    return OK;
}

bool declaration_is_equal(const struct sink_row *left, const struct sink_row *right) {
    for (size_t i = 0; i < scope->row_count; i++) {
        if (!value_is_equal(&scope->rows[i], left, right)) {
            return false;
        }
    }
    return true;
}

void declaration_destroy(struct sink_row *row) {
    if (row != NULL) {
        config_values_finish(scope, row);
        free(row);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* config.h — the values that the broker runs with, and everything that is wrong with them.
 *
 * Place:   loaded by main at start and at a reload; read by everyone above.
 * Thread:  immutable once loaded; may be read by any thread.
 * Bounds:  CONFIG_FILE_BYTES_MAX, CONFIG_RULES_MAX, CONFIG_LIST_ITEMS_MAX, CONFIG_FAULTS_MAX.
 *
 * Flags win over environment over file over the defaults of table.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "broker/config/table.h"
#include "broker/support/error.h"
#include "broker/support/logger.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

#define CONFIG_UNLIMITED UINT64_MAX
#define CONFIG_FILE_BYTES_MAX 1048576 /* larger than any hand writes; it is read into memory */
#define CONFIG_RULES_MAX 1000         /* a channel that is new may be tried against them all */
#define CONFIG_LIST_ITEMS_MAX 256
#define CONFIG_FAULTS_MAX 100 /* told at once; the rest is counted */

enum durability { DURABILITY_ASYNC, DURABILITY_FSYNC };
/* ON_LAG_AUTO: nothing was chosen. No rule of a loaded configuration has it. */
enum on_lag { ON_LAG_CATCH_UP, ON_LAG_CONFLATE, ON_LAG_DROP, ON_LAG_DISCONNECT, ON_LAG_AUTO };
enum retain { RETAIN_FLAGGED, RETAIN_LATEST };

/* Where to listen: ready for bind(2). */
struct config_address {
    struct sockaddr_storage socket; /* AF_UNSPEC: nowhere, as rows of the type LISTENER may say */
    socklen_t length;
};

struct config_list {
    char **items;
    size_t count;
};

/* The C type behind each row of CONFIG_TYPE_TABLE: config_value_BYTES is uint64_t. */
#define CONFIG_VALUE_TYPE(type, c_type, looks) typedef c_type config_value_##type;
CONFIG_TYPE_TABLE(CONFIG_VALUE_TYPE)
#undef CONFIG_VALUE_TYPE

#define CONFIG_FIELD(name, path, type, ...) config_value_##type name;

/* The rows of CONFIG_TABLE by number. */
#define CONFIG_KEY(name, ...) CONFIG_KEY_##name,
enum config_key { CONFIG_TABLE(CONFIG_KEY) CONFIG_KEY_COUNT };
#undef CONFIG_KEY

/* Where a value comes from; each wins over those before it. */
enum config_source { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_FLAG };

/* One rule of `channels`, with all its values; also what unmatched channels get. */
struct channel_rule {
    CONFIG_RULE_TABLE(CONFIG_FIELD)
    uint8_t metrics_match; /* its series + 1; 0: none. Given by rules_create() */
};

/* A field for each row of the table, named as in its first column; then the rules. */
struct config {
    CONFIG_TABLE(CONFIG_FIELD)
    struct channel_rule *rules; /* in the file's order; the first match decides */
    size_t rule_count;
    struct channel_rule rule_default; /* for channels that no rule matches; its `match` is NULL */
    enum config_source source_of[CONFIG_KEY_COUNT];
    const char *file; /* that was read: borrowed from the sources; NULL: none */
};
#undef CONFIG_FIELD

/* Says whether a rule's pattern is one, as broker/channels/pattern.h's pattern_check does: handed
 * in, because channels stand above the configuration. */
typedef enum error_code config_check_pattern(struct span pattern, struct error *why);

/* Where values come from. All of it is borrowed and may be read again at a reload. */
struct config_sources {
    const char *file;         /* NULL: what --config or TIDINGS_CONFIG names, else no file */
    struct span text;         /* not empty: read instead of a file; faults call it "text" */
    char *const *environment; /* as environ: ends with NULL; NULL: none */
    int flag_count;           /* words behind "serve" */
    char *const *flags;
    config_check_pattern *check_pattern;
};

struct config_fault {
    char source[96]; /* the file's name, "environment" or "command line" */
    uint32_t line;   /* from 1; 0 where there are no lines */
    uint32_t column;
    char key[96]; /* "public.listen", "channels[2].history.age", "TIDINGS_OPEN", "--open", or "" */
    char reason[320];
};

/* In the order in which they were met. */
struct config_faults {
    struct config_fault rows[CONFIG_FAULTS_MAX];
    size_t count;
    size_t count_beyond; /* that found no room in `rows` */
};

/* Adds one fault; what does not fit is cut or counted. */
void config_faults_add(struct config_faults *faults, const char *source, uint32_t line,
                       uint32_t column, const char *key, const char *format, ...) PRINTF_LIKE(6, 7);

/* A line a fault: "tidings.yaml:4:11: public.listen: reason". */
void config_faults_print(const struct config_faults *faults, FILE *stream);

/* Reads all sources and checks them. ERR_CONFIG, ERR_MEMORY: `ret_faults` holds every fault, and
 * `ret_config` is untouched. The caller owns the result. */
MUST_USE enum error_code config_load(const struct config_sources *sources,
                                     struct config **ret_config, struct config_faults *ret_faults);

/* The row of config_scope_file is read at a start alone, and its values differ. */
bool config_does_wait(const struct config_row *row, const struct config *running,
                      const struct config *wanted);

/* The paths of all those rows, parted by commas: what a reload leaves for the next start. Empty:
 * none. */
#define CONFIG_PATHS_BYTES 1024 /* of all paths: asserted */
void config_list_waiting(const struct config *running, const struct config *wanted,
                         char ret_paths[CONFIG_PATHS_BYTES]);

/* Notes where the value of a row of config_scope_file is from. */
void config_set_source(struct config *config, const struct config_row *row,
                       enum config_source source);

/* Do both say the same about channels; about everything else? */
bool config_has_equal_rules(const struct config *left, const struct config *right);
bool config_has_equal_keys(const struct config *left, const struct config *right);

/* Frees. Accepts NULL. */
void config_destroy(struct config *config);

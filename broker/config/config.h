/* SPDX-License-Identifier: Apache-2.0 */
/* config.h — the values that the broker runs with, and everything that is wrong with them.
 *
 * Place:   loaded by main at start and at a reload; read by everyone above.
 * Thread:  immutable once loaded; may be read by any thread.
 * Bounds:  CONFIG_FILE_BYTES_MAX, the most rows of CONFIG_LISTS_TABLE, CONFIG_LIST_ITEMS_MAX,
 *          CONFIG_FAULTS_MAX.
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
#include "broker/limits.h"
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
enum when_down { WHEN_DOWN_DENY, WHEN_DOWN_ALLOW };
enum sink_format { SINK_FORMAT_ENVELOPE, SINK_FORMAT_DATA, SINK_FORMAT_CLOUDEVENTS };
enum sink_mode { SINK_MODE_ORDERED, SINK_MODE_PARALLEL };
enum sink_order { SINK_ORDER_CHANNEL, SINK_ORDER_KEY, SINK_ORDER_ALL };
enum sink_batch { SINK_BATCH_ARRAY, SINK_BATCH_NDJSON };
enum sink_delivery { SINK_DELIVERY_AT_LEAST_ONCE, SINK_DELIVERY_EXACTLY_ONCE };

/* Where to listen: ready for bind(2). */
struct config_address {
    struct sockaddr_storage socket; /* AF_UNSPEC: nowhere, as rows of the type LISTENER may say */
    socklen_t length;
};

struct config_list {
    char **items;
    size_t count;
    bool is_given; /* an empty list that was given is not one that was not */
};

/* Where a row of a list stands in the file; 0: it is from nowhere. */
struct config_place {
    uint32_t line;
    uint32_t column;
    bool has_fault; /* something of the row was refused: what it lacks is no second fault */
    uint64_t given; /* a bit for each row of its scope that was met, rightly or wrongly */
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

/* Where a value stands in the file, both from 1. */
struct config_mark {
    uint32_t line;
    uint32_t column;
};

/* One rule of `channels`, with all its values; also what unmatched channels get. */
struct channel_rule {
    struct config_place place;
    CONFIG_RULE_TABLE(CONFIG_FIELD)
    uint8_t metrics_match; /* its series + 1; 0: none. Given by rules_create() */
};

/* One row of `auth.keys`. */
struct auth_key {
    struct config_place place;
    AUTH_KEY_TABLE(CONFIG_FIELD)
};

/* One row of `auth.jwt`. */
struct auth_issuer {
    struct config_place place;
    AUTH_ISSUER_TABLE(CONFIG_FIELD)
};

/* One row of `auth.certificates`. */
struct auth_certificate {
    struct config_place place;
    AUTH_CERTIFICATE_TABLE(CONFIG_FIELD)
};

/* One row of `tenants`. */
struct tenant_quota {
    struct config_place place;
    TENANT_QUOTA_TABLE(CONFIG_FIELD)
};

/* One row of `sinks`, or a sink that was declared at the operator's port. */
struct sink_row {
    struct config_place place;
    SINK_TABLE(CONFIG_FIELD)
};

/* One row of `sources`. */
struct source_row {
    struct config_place place;
    SOURCE_TABLE(CONFIG_FIELD)
};

/* A field for each row of the table, named as in its first column; then the lists of mappings, each
 * in the file's order: the first match decides. */
struct config {
    CONFIG_TABLE(CONFIG_FIELD)
#define CONFIG_ROWS(rows, count, path, row_struct, ...)                                            \
    struct row_struct *rows;                                                                       \
    size_t count;
    CONFIG_LISTS_TABLE(CONFIG_ROWS)
#undef CONFIG_ROWS
    struct channel_rule rule_default;   /* for channels that no rule matches; its `match` is NULL */
    struct tenant_quota tenant_default; /* for tenants that no row names; its `name` is NULL */
    enum config_source source_of[CONFIG_KEY_COUNT];
    struct config_mark mark_of[CONFIG_KEY_COUNT]; /* of those that are from the file */
    const char *file; /* that was read: borrowed from the sources; NULL: none */
};
#undef CONFIG_FIELD

/* Says whether a rule's pattern is one, as broker/channels/pattern.h's pattern_check does: handed
 * in, because channels stand above the configuration. */
typedef enum error_code config_check_pattern(struct span pattern, struct error *why);

/* Adds a fault for each file that a configuration names and that cannot be used, whatever else is
 * wrong: likewise handed in by main. */
struct config_faults;
typedef void config_check_files(const struct config *config, struct config_faults *faults);

/* Adds what only the layers above know to be wrong with single rows, whatever else is wrong. */
typedef void config_check_rows(const struct config *config, struct config_faults *faults);

/* Where values come from. All of it is borrowed and may be read again at a reload. */
struct config_sources {
    const char *file;         /* NULL: what --config or TIDINGS_CONFIG names, else no file */
    struct span text;         /* not empty: read instead of a file; faults call it "text" */
    char *const *environment; /* as environ: ends with NULL; NULL: none */
    int flag_count;           /* words behind "serve" */
    char *const *flags;
    config_check_pattern *check_pattern;
    config_check_files *check_files; /* NULL: no file is looked at */
    config_check_rows *check_rows;   /* NULL: none are */
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

/* Adds one of a key of config_scope_file, or of its section, told where the file has it; else where
 * the file has `other` (may be NULL), with which it does not go. */
void config_faults_add_key(struct config_faults *faults, const struct config *config,
                           const char *key, const char *other, const char *format, ...)
    PRINTF_LIKE(5, 6);

/* A fault of exactly that key was told. */
bool config_faults_has(const struct config_faults *faults, const char *key);

/* A line a fault: "tidings.yaml:4:11: public.listen: reason". */
void config_faults_print(const struct config_faults *faults, FILE *stream);

/* Gives zeroed values of the scope their defaults; and empties them. ERR_MEMORY: finish them. */
MUST_USE enum error_code config_values_init(const struct config_scope *scope, void *values);
void config_values_finish(const struct config_scope *scope, void *values);

/* The rows of one list of mappings. */
size_t config_row_count(const struct config *config, const struct config_rows *list);
void *config_row_at(const struct config *config, const struct config_rows *list, size_t index);

/* Every row begins with it. */
static inline struct config_place *config_row_place(void *row) {
    return row;
}

/* A new row behind the last one, with its defaults. NULL: there are rows_max, or no memory. */
void *config_row_add(struct config *config, const struct config_rows *list);

/* Reads all sources and checks them. ERR_CONFIG, ERR_MEMORY: `ret_faults` holds every fault, and
 * `ret_config` is untouched. The caller owns the result. */
MUST_USE enum error_code config_load(const struct config_sources *sources,
                                     struct config **ret_config, struct config_faults *ret_faults);

/* The row of config_scope_file is read at a start alone, and its values differ. */
bool config_does_wait(const struct config_row *row, const struct config *running,
                      const struct config *wanted);

/* The paths of all those rows, parted by commas: what a reload leaves for the next start. Empty:
 * none. */
#define CONFIG_PATHS_BYTES 2048 /* of all paths: asserted */
void config_list_waiting(const struct config *running, const struct config *wanted,
                         char ret_paths[CONFIG_PATHS_BYTES]);

/* Notes where the value of a row of config_scope_file is from; of CONFIG_FILE also the place. */
void config_set_source(struct config *config, const struct config_row *row,
                       enum config_source source, struct config_mark mark);

/* Do both say the same about channels; about tenants; about all that is in no list? */
bool config_has_equal_rules(const struct config *left, const struct config *right);
bool config_has_equal_tenants(const struct config *left, const struct config *right);
bool config_has_equal_sinks(const struct config *left,
                            const struct config *right); /* and sources */
bool config_is_equal_source(const struct source_row *left, const struct source_row *right);
bool config_has_equal_keys(const struct config *left, const struct config *right);

/* Anything of `auth` that lets somebody in is given: without it the broker is open. */
bool config_has_credentials(const struct config *config);

/* Frees. Accepts NULL. */
void config_destroy(struct config *config);

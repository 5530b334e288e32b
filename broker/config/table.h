/* SPDX-License-Identifier: Apache-2.0 */
/* table.h — every configuration key as one row.
 *
 * Place:   expanded by config.h into the structs of values; walked by the readers of YAML,
 *          environment and flags, by --help, by the reference page and by the tests.
 * Thread:  constants.
 * Bounds:  these rows; each value is bounded by its own row.
 *
 * Defaults, minima and maxima are written as a user writes them and read by the same parser. A row
 * whose maximum is "unlimited" takes that word; no row takes 0 for it. A row whose
 * minimum is 0 says what it means by it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/support/span.h"

/* X(type, type of the value in C, how a value looks) */
#define CONFIG_TYPE_TABLE(X)                                                                       \
    X(TEXT, char *, "text")                                                                        \
    X(PATTERN, char *, "a channel pattern, as `tennis/*` or `chat/**`")                            \
    X(ADDRESS, struct config_address, "`ADDRESS:PORT`, as `127.0.0.1:8080`, `[::1]:80`, `:80`")    \
    X(LISTENER, struct config_address, "`ADDRESS:PORT`, as `127.0.0.1:1883`, or `off`")            \
    X(BYTES, uint64_t, "a size, as `4096`, `64KiB`, `1MB`, `10GiB`")                               \
    X(DURATION, uint64_t, "a duration, as `500ms`, `30s`, `5m`, `24h`, `7d`")                      \
    X(COUNT, uint64_t, "a whole number")                                                           \
    X(CORES, uint64_t, "a whole number, or `cores`")                                               \
    X(SWITCH, bool, "`true` or `false`")                                                           \
    X(ORIGINS, struct config_list, "a list of origins, as `https://example.org`")                  \
    X(HOSTS, struct config_list, "a list of host names without scheme and port")                   \
    X(NETWORKS, struct config_list, "a list of networks, as `10.0.0.0/8`")                         \
    X(DURABILITY, enum durability, "`async` or `fsync`")                                           \
    X(ON_LAG, enum on_lag, "`auto`, `catch_up`, `conflate`, `drop` or `disconnect`")               \
    X(RETAIN, enum retain, "`flagged` or `latest`")                                                \
    X(LOG_LEVEL, enum log_level, "`debug`, `info`, `warning` or `error`")                          \
    X(LOG_FORMAT, enum log_format, "`logfmt` or `json`")

#define AT_START false
#define RELOADABLE true

/* X(name, path, type, unit, default, minimum, maximum, reloadable, flag, summary) */
#define CONFIG_TABLE(X)                                                                            \
    X(data, "data", TEXT, "", "./tidings-data", NULL, NULL, AT_START, "--data",                    \
      "Directory of the log; made if it is not there")                                             \
    X(public_listen, "public.listen", ADDRESS, "", "127.0.0.1:8080", NULL, NULL, AT_START,         \
      "--listen", "Where clients connect; port 0 takes a free one")                                \
    X(public_origins, "public.origins", ORIGINS, "", NULL, NULL, NULL, AT_START, NULL,             \
      "Web pages that may use the broker from another origin")                                     \
    X(public_hosts, "public.hosts", HOSTS, "", NULL, NULL, NULL, AT_START, NULL,                   \
      "Host names that are served beside the address listened on")                                 \
    X(public_trusted_proxies, "public.trusted_proxies", NETWORKS, "", NULL, NULL, NULL, AT_START,  \
      NULL, "Networks of reverse proxies: not held to limits.connections_per_address")             \
    X(operator_listen, "operator.listen", ADDRESS, "", "127.0.0.1:8081", NULL, NULL, AT_START,     \
      "--operator", "Where operators, probes and trusted back ends connect")                       \
    X(mqtt_listen, "mqtt.listen", LISTENER, "", "127.0.0.1:1883", NULL, NULL, AT_START, "--mqtt",  \
      "Where MQTT clients connect; port 0 takes a free one, `off` none: MQTT over WebSocket is "   \
      "on the public port all the same")                                                           \
    X(mqtt_receive_max, "mqtt.receive_max", COUNT, "messages", "1024", "1", "32767", AT_START,     \
      NULL, "Messages of QoS 1 and 2 under way at once, to and from one MQTT client")              \
    X(mqtt_topic_aliases, "mqtt.topic_aliases", COUNT, "aliases", "64", "0", "1000", AT_START,     \
      NULL, "Topic aliases that one MQTT client may set, and is sent at most; 0 allows none")      \
    X(mqtt_keep_alive_max_ms, "mqtt.keep_alive_max", DURATION, "milliseconds", "65535s", "1s",     \
      "65535s", AT_START, NULL,                                                                    \
      "The longest keep alive; MQTT 5 clients that want more are told, but for those without")     \
    X(mqtt_session_expiry_max_ms, "mqtt.session_expiry_max", DURATION, "milliseconds", "7d", "0s", \
      "unlimited", AT_START, NULL,                                                                 \
      "How long an MQTT session may outlive its connection; 0s keeps none")                        \
    X(mqtt_sessions_max, "mqtt.sessions_max", COUNT, "sessions", "1000000", "1", "10000000",       \
      AT_START, NULL, "MQTT sessions, with and without a connection")                              \
    X(mqtt_acknowledge_offsets, "mqtt.acknowledge_offsets", SWITCH, "", "true", NULL, NULL,        \
      AT_START, NULL,                                                                              \
      "Tell `offset` and `id`, or why it was refused, in the acknowledgements of MQTT 5; `false` " \
      "for clients that take none longer than four bytes")                                         \
    X(storage_bytes_max, "storage.bytes_max", BYTES, "bytes", "10GiB", "64MiB", "64TiB", AT_START, \
      NULL, "Disk for messages; above it the oldest go, and gaps are told")                        \
    X(workers, "workers", CORES, "threads", "cores", "1", "256", AT_START, "--workers",            \
      "Threads that serve connections; `cores` is one for each core")                              \
    X(open, "open", SWITCH, "", "false", NULL, NULL, AT_START, "--open",                           \
      "Listen beyond loopback although everyone may then do everything")                           \
    X(connections_max, "limits.connections", COUNT, "connections", "100000", "1", "10000000",      \
      AT_START, NULL, "Connections of the whole broker")                                           \
    X(connections_per_address_max, "limits.connections_per_address", COUNT, "connections",         \
      "unlimited", "1", "unlimited", AT_START, NULL, "Connections of one client address")          \
    X(send_budget_bytes, "limits.send_budget", BYTES, "bytes", "256KiB", "4KiB", "16MiB",          \
      AT_START, NULL, "Unsent bytes one reader may have before it falls back to the log")          \
    X(stall_timeout_ms, "limits.stall_timeout", DURATION, "milliseconds", "5m", "1s", "24h",       \
      AT_START, NULL, "A peer that takes nothing of what waits for it for so long is closed")      \
    X(log_level, "log.level", LOG_LEVEL, "", "info", NULL, NULL, RELOADABLE, NULL,                 \
      "The least important lines that are written to standard error")                              \
    X(log_format, "log.format", LOG_FORMAT, "", "logfmt", NULL, NULL, AT_START, NULL,              \
      "How they are written; docs/reference/logs.md lists the events")

/* The keys of one rule in the list `channels`; same columns. */
#define CONFIG_RULE_TABLE(X)                                                                       \
    X(match, "match", PATTERN, "", NULL, NULL, NULL, RELOADABLE, NULL,                             \
      "The channels that the rule is for; the first rule that matches decides")                    \
    X(history_messages_max, "history.messages", COUNT, "messages", "10000", "0", "unlimited",      \
      RELOADABLE, NULL, "The newest messages that a channel keeps; 0 keeps no history")            \
    X(history_age_ms_max, "history.age", DURATION, "milliseconds", "24h", "1s", "unlimited",       \
      RELOADABLE, NULL, "How long a channel keeps a message")                                      \
    X(history_bytes_max, "history.bytes", BYTES, "bytes", "unlimited", "1KiB", "unlimited",        \
      RELOADABLE, NULL, "The bytes that a channel keeps")                                          \
    X(durability, "durability", DURABILITY, "", "async", NULL, NULL, RELOADABLE, NULL,             \
      "Answer a publish once a killed process (`async`) or a power cut (`fsync`) cannot lose it")  \
    X(on_lag, "on_lag", ON_LAG, "", "auto", NULL, NULL, RELOADABLE, NULL,                          \
      "What happens to a reader that falls behind its send budget and chose nothing itself; "      \
      "`auto` is `catch_up`, but `drop` where history.messages is 0")                              \
    X(retain, "retain", RETAIN, "", "flagged", NULL, NULL, RELOADABLE, NULL,                       \
      "Which message is the channel's retained one: the last that was published as such "          \
      "(`flagged`), or the last of all (`latest`)")                                                \
    X(deflate, "deflate", SWITCH, "", "true", NULL, NULL, RELOADABLE, NULL,                        \
      "Compress WebSocket frames for clients that offer it")                                       \
    X(message_bytes_max, "message_bytes_max", BYTES, "bytes", "1MiB", "1", "16MiB", RELOADABLE,    \
      NULL, "The largest payload that is taken")                                                   \
    X(metrics, "metrics", SWITCH, "", "false", NULL, NULL, RELOADABLE, NULL,                       \
      "Count what is published to these channels under the rule's `match` in `/metrics`; 64 "      \
      "patterns in the life of a process")

/* Keys that are planned and that this version would not act on. Refused, because a credential rule
 * that is read and ignored is a hole. X(path, what to say) */
#define CONFIG_REFUSED_TABLE(X)                                                                    \
    X("auth", "credentials are not in this version")                                               \
    X("sinks", "sinks are not in this version")                                                    \
    X("public.tls", "TLS is not in this version; put a proxy in front")                            \
    X("limits.publish_rate", "publish rates are not in this version")

#define CONFIG_RULE_REFUSED_TABLE(X) X("publish_rate", "publish rates are not in this version")

enum config_type {
#define CONFIG_TYPE(type, c_type, looks) CONFIG_##type,
    CONFIG_TYPE_TABLE(CONFIG_TYPE)
#undef CONFIG_TYPE
        CONFIG_TYPE_COUNT
};

struct config_row {
    const char *path; /* "public.listen" */
    enum config_type type;
    size_t offset; /* of its value in the struct that the scope makes */
    const char *unit;
    const char *default_text; /* NULL: empty */
    const char *minimum;      /* NULL: none */
    const char *maximum;
    bool is_reloadable;
    const char *flag; /* NULL: none */
    const char *summary;
};

struct config_refused_row {
    const char *path;
    const char *reason;
};

/* The rows that keys are looked up in: those of the file, or those of one rule. */
struct config_scope {
    const struct config_row *rows;
    size_t row_count;
    const struct config_refused_row *refused;
    size_t refused_count;
    const char *list; /* the one list of mappings here ("channels"), or NULL */
};

extern const struct config_scope config_scope_file;
extern const struct config_scope config_scope_rule;

/* How a value of the type looks, for --help and the reference page. */
const char *config_type_looks(enum config_type type);
bool config_type_is_list(enum config_type type);

/* NULL: no row has this path. */
const struct config_row *config_scope_find(const struct config_scope *scope, struct span path);
const struct config_refused_row *config_scope_find_refused(const struct config_scope *scope,
                                                           struct span path);

/* True for "public", of which only deeper paths have rows. */
bool config_scope_is_section(const struct config_scope *scope, struct span path);

/* How many letters must be put in, left out or replaced to make `right` of `left`; texts above 63
 * bytes count as 63 bytes. */
size_t config_edit_distance(struct span left, struct span right);

/* The known key or section that is the fewest edits away from `path`. */
#define CONFIG_PATH_BYTES 48
void config_scope_nearest(const struct config_scope *scope, struct span path,
                          char ret_path[CONFIG_PATH_BYTES]);

/* "TIDINGS_PUBLIC_LISTEN" and a NUL for "public.listen". */
#define CONFIG_VARIABLE_PREFIX "TIDINGS_"
#define CONFIG_VARIABLE_BYTES (CONFIG_PATH_BYTES + sizeof(CONFIG_VARIABLE_PREFIX))
void config_variable_name(const char *path, char ret_name[CONFIG_VARIABLE_BYTES]);

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

#include "broker/config/sink_table.h"
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
    X(MEMORY, uint64_t, "a size, as `512MiB`, or `auto`")                                          \
    X(SWITCH, bool, "`true` or `false`")                                                           \
    X(ORIGINS, struct config_list, "a list of origins, as `https://example.org`")                  \
    X(HOSTS, struct config_list, "a list of host names without scheme and port")                   \
    X(NETWORKS, struct config_list, "a list of networks, as `10.0.0.0/8`")                         \
    X(PATTERNS, struct config_list,                                                                \
      "a list of channel patterns, in which `{sub}` and `{tenant}` are who asks")                  \
    X(ALGORITHMS, struct config_list, "a list of `HS256`, `RS256`, `PS256`, `ES256`, `EdDSA`")     \
    X(EVENTS, struct config_list, "a list of `connect`, `subscribe`, `publish`")                   \
    X(HASH, char *, "`sha256:` and 64 hexadecimal digits, as `tidings key` prints it")             \
    X(SECRET, char *, "a secret text; it is shown to nobody")                                      \
    X(KEY, char *, "a file of PEM or JWK, or `base64:` and a secret; it is shown to nobody")       \
    X(LOCATION, char *, "a file, or a URL of `https://` or `http://`")                             \
    X(URL, char *, "a URL of `https://` or `http://`")                                             \
    X(TENANT, char *, "1 to 28 letters, digits, `-`, `_` or `.`")                                  \
    X(TENANTS, char *, "the name of a tenant, or `*` for all that no row names")                   \
    X(SINK_NAME, char *,                                                                           \
      "1 to 64 small letters, digits, `-`, `_` or `.`, the first a letter or digit")               \
    X(SIGNING_SECRET, char *,                                                                      \
      "`whsec_` and the base64 of 24 to 64 random bytes, as Standard Webhooks has it; it is "      \
      "shown to nobody")                                                                           \
    X(START, char *,                                                                               \
      "`now`, `earliest`, an id, a time as `2026-01-31T08:05:09Z`, or `-5m` (ago); of one "        \
      "channel also an offset")                                                                    \
    X(SOURCE_START, char *, "`now` or `earliest`")                                                 \
    X(MQTT_URL, char *, "a URL of `mqtt://` or `mqtts://`, host and port")                         \
    X(CHANNELS, struct config_list, "a list of channels and patterns, as `orders/**`")             \
    X(HEADERS, struct config_list, "a list of `Name: value`; they are shown to nobody")            \
    X(OPTIONS, struct config_list, "a list of `name=value`")                                       \
    X(TOPICS, struct config_list, "a list of topics")                                              \
    X(DURATIONS, struct config_list, "a list of durations, as `5s`")                               \
    X(SINK_FORMAT, enum sink_format, "`envelope`, `data` or `cloudevents`")                        \
    X(SINK_MODE, enum sink_mode, "`ordered` or `parallel`")                                        \
    X(SINK_ORDER, enum sink_order, "`channel`, `key` or `all`")                                    \
    X(SINK_BATCH, enum sink_batch, "`array` or `ndjson`")                                          \
    X(SINK_DELIVERY, enum sink_delivery, "`at_least_once` or `exactly_once`")                      \
    X(RATE, uint64_t, "a rate, as `1000/s`")                                                       \
    X(BYTES_RATE, uint64_t, "a rate of bytes, as `1MiB/s`")                                        \
    X(WHEN_DOWN, enum when_down, "`deny` or `allow`")                                              \
    X(DURABILITY, enum durability, "`async` or `fsync`")                                           \
    X(ON_LAG, enum on_lag, "`auto`, `catch_up`, `conflate`, `drop` or `disconnect`")               \
    X(RETAIN, enum retain, "`flagged` or `latest`")                                                \
    X(LOG_LEVEL, enum log_level, "`debug`, `info`, `warning` or `error`")                          \
    X(LOG_FORMAT, enum log_format, "`logfmt` or `json`")

#define AT_START false
#define RELOADABLE true
#define MUST_BE_GIVEN "" /* as a default */

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
    X(public_demo, "public.demo", SWITCH, "", "true", NULL, NULL, AT_START, NULL,                  \
      "Serve the demo, and the JavaScript client with it, below `/demo`")                          \
    X(public_trusted_proxies, "public.trusted_proxies", NETWORKS, "", NULL, NULL, NULL, AT_START,  \
      NULL, "Networks of reverse proxies: not held to the limits of an address")                   \
    X(public_tls_certificate, "public.tls.certificate", TEXT, "", NULL, NULL, NULL, AT_START,      \
      NULL,                                                                                        \
      "PEM file of the certificate and those between it and its authority; the public "            \
      "port then speaks TLS alone. The file is read again at a reload")                            \
    X(public_tls_key, "public.tls.key", TEXT, "", NULL, NULL, NULL, AT_START, NULL,                \
      "PEM file of its private key, without a password; read again likewise")                      \
    X(public_tls_client_ca, "public.tls.client_ca", TEXT, "", NULL, NULL, NULL, AT_START, NULL,    \
      "PEM file of the authorities that clients' certificates are verified against; read again "   \
      "likewise")                                                                                  \
    X(public_tls_client_certificates, "public.tls.client_certificates", TEXT, "", "off", NULL,     \
      NULL, AT_START, NULL, "Whether clients show a certificate: `off`, `optional` or `required`") \
    X(operator_listen, "operator.listen", ADDRESS, "", "127.0.0.1:8081", NULL, NULL, AT_START,     \
      "--operator", "Where operators, probes and trusted back ends connect")                       \
    X(operator_tls_certificate, "operator.tls.certificate", TEXT, "", NULL, NULL, NULL, AT_START,  \
      NULL, "PEM file of the certificate of the operator's port, which then speaks TLS alone")     \
    X(operator_tls_key, "operator.tls.key", TEXT, "", NULL, NULL, NULL, AT_START, NULL,            \
      "PEM file of its private key, without a password")                                           \
    X(mqtt_listen, "mqtt.listen", LISTENER, "", "127.0.0.1:1883", NULL, NULL, AT_START, "--mqtt",  \
      "Where MQTT clients connect; port 0 takes a free one, `off` none: MQTT over WebSocket is "   \
      "on the public port all the same")                                                           \
    X(mqtt_tls_listen, "mqtt.tls_listen", LISTENER, "", "off", NULL, NULL, AT_START, "--mqtts",    \
      "Where MQTT clients connect with TLS, usually `:8883`; the certificate is public.tls's")     \
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
    X(user, "user", TEXT, "", NULL, NULL, NULL, AT_START, NULL,                                    \
      "The account that the process goes on as when it was started by root and has bound its "     \
      "ports")                                                                                     \
    X(open, "open", SWITCH, "", "false", NULL, NULL, AT_START, "--open",                           \
      "Listen beyond loopback although everyone may then do everything")                           \
    X(anonymous_publish, "auth.anonymous.publish", PATTERNS, "", NULL, NULL, NULL, RELOADABLE,     \
      NULL, "Where they may publish who come without credentials")                                 \
    X(anonymous_subscribe, "auth.anonymous.subscribe", PATTERNS, "", NULL, NULL, NULL, RELOADABLE, \
      NULL, "What they may read from now on, and resume by id")                                    \
    X(anonymous_history, "auth.anonymous.history", PATTERNS, "", NULL, NULL, NULL, RELOADABLE,     \
      NULL, "What they may read pages of, and streams from any other `since`")                     \
    X(anonymous_presence, "auth.anonymous.presence", PATTERNS, "", NULL, NULL, NULL, RELOADABLE,   \
      NULL, "Where they may ask who is there")                                                     \
    X(anonymous_delete, "auth.anonymous.delete", PATTERNS, "", NULL, NULL, NULL, RELOADABLE, NULL, \
      "Where they may delete messages")                                                            \
    X(cookie, "auth.cookie", TEXT, "", "tidings_token", NULL, NULL, RELOADABLE, NULL,              \
      "The cookie that may carry a token; the application sets it, HttpOnly")                      \
    X(webhook_url, "auth.webhook.url", URL, "", NULL, NULL, NULL, RELOADABLE, NULL,                \
      "The application, which is asked by POST whether somebody may")                              \
    X(webhook_secret, "auth.webhook.secret", SECRET, "", NULL, NULL, NULL, RELOADABLE, NULL,       \
      "What the questions are signed with")                                                        \
    X(webhook_ca, "auth.webhook.ca", TEXT, "", NULL, NULL, NULL, RELOADABLE, NULL,                 \
      "Whose certificates are believed there, as a file of PEM; unless told, those that the "      \
      "system believes")                                                                           \
    X(webhook_events, "auth.webhook.on", EVENTS, "", NULL, NULL, NULL, RELOADABLE, NULL,           \
      "What it is asked about; all three unless told")                                             \
    X(webhook_timeout_ms, "auth.webhook.timeout", DURATION, "milliseconds", "2s", "10ms", "30s",   \
      RELOADABLE, NULL, "How long its answer is waited for")                                       \
    X(webhook_cache_ms, "auth.webhook.cache", DURATION, "milliseconds", "30s", "0s", "1h",         \
      RELOADABLE, NULL, "How long an answer is good for; 0s asks each time")                       \
    X(webhook_when_down, "auth.webhook.when_down", WHEN_DOWN, "", "deny", NULL, NULL, RELOADABLE,  \
      NULL, "What counts where no answer comes")                                                   \
    X(connections_max, "limits.connections", COUNT, "connections", "100000", "1", "10000000",      \
      AT_START, NULL, "Connections of the whole broker")                                           \
    X(connections_per_address_max, "limits.connections_per_address", COUNT, "connections",         \
      "10000", "1", "unlimited", AT_START, NULL, "Connections of one client address")              \
    X(connections_per_identity_max, "limits.connections_per_identity", COUNT, "connections",       \
      "10000", "1", "unlimited", AT_START, NULL,                                                   \
      "Connections of one subject: of a key, of a token's `sub`, of a certificate")                \
    X(handshakes_per_address, "limits.handshakes_per_address", RATE, "connections a second",       \
      "1000/s", "1/s", "unlimited", AT_START, NULL,                                                \
      "New connections of one client address, TLS handshakes included")                            \
    X(login_failures_per_address, "limits.login_failures_per_address", RATE, "failures a second",  \
      "10/s", "1/s", "unlimited", AT_START, NULL,                                                  \
      "Bad credentials from one client address, ten seconds of them at once; above it none are "   \
      "looked at")                                                                                 \
    X(holds_loopback, "limits.loopback", SWITCH, "", "false", NULL, NULL, AT_START, NULL,          \
      "Hold clients on this machine to the limits of an address too")                              \
    X(publish_rate, "limits.publish_rate", RATE, "messages a second", "1000000/s", "1/s",          \
      "unlimited", AT_START, NULL, "Messages that one connection may publish")                     \
    X(publish_bytes, "limits.publish_bytes", BYTES_RATE, "bytes a second", "256MiB/s", "1KiB/s",   \
      "unlimited", AT_START, NULL, "Bytes of payloads that one connection may publish")            \
    X(publish_rate_per_identity, "limits.publish_rate_per_identity", RATE, "messages a second",    \
      "1000000/s", "1/s", "unlimited", AT_START, NULL,                                             \
      "Messages that one subject may publish, over all its connections")                           \
    X(publish_bytes_per_identity, "limits.publish_bytes_per_identity", BYTES_RATE,                 \
      "bytes a second", "512MiB/s", "1KiB/s", "unlimited", AT_START, NULL,                         \
      "Bytes of payloads that one subject may publish, over all its connections")                  \
    X(subscriptions_max, "limits.subscriptions", COUNT, "subscriptions", "1000", "1", "1000",      \
      AT_START, NULL, "Channels and patterns that one connection or request reads at once")        \
    X(patterns_max, "limits.patterns", COUNT, "patterns", "200", "1", "1000", AT_START, NULL,      \
      "Those of them that are patterns: each message is held against them")                        \
    X(channels_max, "limits.channels", COUNT, "channels", "4000000", "1", "100000000", AT_START,   \
      NULL,                                                                                        \
      "Channels that have messages, of the whole broker; about 200 bytes of memory each. "         \
      "Its own (`$…`) count too, and are never refused")                                           \
    X(memory_max, "limits.memory", MEMORY, "bytes", "auto", "32MiB", "unlimited", AT_START, NULL,  \
      "Memory of the process (RssAnon). From 80 % of it on new connections are refused, from "     \
      "90 % on publishes, and from 95 % on (and where that lasts) the readers that hold or lag "   \
      "most are closed, until there is enough; `auto` is 80 % "                                    \
      "of what the machine or the control group has")                                              \
    X(handshake_timeout_ms, "limits.handshake_timeout", DURATION, "milliseconds", "10s", "100ms",  \
      "5m", AT_START, NULL, "From a connection to its first whole request or CONNECT")             \
    X(body_timeout_ms, "limits.body_timeout", DURATION, "milliseconds", "30s", "100ms", "5m",      \
      AT_START, NULL, "How long a request or packet that has begun may stand still")               \
    X(idle_timeout_ms, "limits.idle_timeout", DURATION, "milliseconds", "75s", "1s", "24h",        \
      AT_START, NULL, "Between two requests of one HTTP connection")                               \
    X(send_budget_bytes, "limits.send_budget", BYTES, "bytes", "256KiB", "4KiB", "16MiB",          \
      AT_START, NULL, "Unsent bytes one reader may have before it falls back to the log")          \
    X(stall_timeout_ms, "limits.stall_timeout", DURATION, "milliseconds", "5m", "1s", "24h",       \
      AT_START, NULL, "A peer that takes nothing of what waits for it for so long is closed")      \
    X(egress_allow, "egress.allow", NETWORKS, "", NULL, NULL, NULL, RELOADABLE, NULL,              \
      "Private networks that webhooks may be sent to; unless told public addresses alone, so "     \
      "that nobody who may declare a sink reaches what is behind the broker")                      \
    X(log_level, "log.level", LOG_LEVEL, "", "info", NULL, NULL, RELOADABLE, NULL,                 \
      "The least important lines that are written to standard error")                              \
    X(log_format, "log.format", LOG_FORMAT, "", "logfmt", NULL, NULL, AT_START, NULL,              \
      "How they are written; docs/reference/logs.md lists the events")

/* The keys of one rule in the list `channels`; same columns. */
#define CONFIG_RULE_TABLE(X)                                                                       \
    X(match, "match", PATTERN, "", MUST_BE_GIVEN, NULL, NULL, RELOADABLE, NULL,                    \
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
    X(flush_interval_ms, "flush_interval", DURATION, "milliseconds", "0s", "0s", "1s", RELOADABLE, \
      NULL,                                                                                        \
      "Readers are sent what came at most once in so long, but the first message after a pause "   \
      "at once, and so is what is more than 256 KiB: fewer and larger writes where very much is "  \
      "published; 0s never waits. Long polls and shared subscriptions wait too")                   \
    X(message_bytes_max, "message_bytes_max", BYTES, "bytes", "1MiB", "1", "16MiB", RELOADABLE,    \
      NULL, "The largest payload that is taken")                                                   \
    X(publish_rate, "publish_rate", RATE, "messages a second", "unlimited", "1/s", "unlimited",    \
      RELOADABLE, NULL,                                                                            \
      "Messages that are taken for each channel by itself, whoever publishes them; exact while "   \
      "fewer than some 60,000 channels of such rules are published to in a second")                \
    X(metrics, "metrics", SWITCH, "", "false", NULL, NULL, RELOADABLE, NULL,                       \
      "Count what is published to these channels under the rule's `match` in `/metrics`; 64 "      \
      "patterns in the life of a process")

/* What keys, issuers and certificates have in common: what whoever presents them may do. */
#define CONFIG_RIGHTS_TABLE(X)                                                                     \
    X(publish, "publish", PATTERNS, "", NULL, NULL, NULL, RELOADABLE, NULL,                        \
      "The channels to which they may publish")                                                    \
    X(subscribe, "subscribe", PATTERNS, "", NULL, NULL, NULL, RELOADABLE, NULL,                    \
      "The channels that they may read from now on, and resume by id")                             \
    X(history, "history", PATTERNS, "", NULL, NULL, NULL, RELOADABLE, NULL,                        \
      "The channels of which they may read pages, and streams from any other `since`")             \
    X(presence, "presence", PATTERNS, "", NULL, NULL, NULL, RELOADABLE, NULL,                      \
      "The channels of which they may ask who is there")                                           \
    X(delete, "delete", PATTERNS, "", NULL, NULL, NULL, RELOADABLE, NULL,                          \
      "The channels in which they may delete messages")

/* The keys of one row in the list `auth.keys`. */
#define AUTH_KEY_TABLE(X)                                                                          \
    X(name, "name", TEXT, "", MUST_BE_GIVEN, NULL, NULL, RELOADABLE, NULL,                         \
      "What the key is called: `{sub}`, in logs, and as an MQTT user name")                        \
    X(hash, "hash", HASH, "", MUST_BE_GIVEN, NULL, NULL, RELOADABLE, NULL,                         \
      "The hash of the key, which itself is written nowhere")                                      \
    X(tenant, "tenant", TENANT, "", NULL, NULL, NULL, RELOADABLE, NULL,                            \
      "The tenant in whose name space the key is good")                                            \
    X(is_operator, "operator", SWITCH, "", "false", NULL, NULL, RELOADABLE, NULL,                  \
      "Whether the key opens the operator's port; where one does, that port needs such a key")     \
    CONFIG_RIGHTS_TABLE(X)

/* The keys of one row in the list `auth.jwt`. */
#define AUTH_ISSUER_TABLE(X)                                                                       \
    X(issuer, "issuer", TEXT, "", NULL, NULL, NULL, RELOADABLE, NULL,                              \
      "What the claim `iss` must be; unless told it is not looked at")                             \
    X(audience, "audience", TEXT, "", NULL, NULL, NULL, RELOADABLE, NULL,                          \
      "What the claim `aud` must hold; unless told a token may have no audience at all")           \
    X(algorithms, "algorithms", ALGORITHMS, "", NULL, NULL, NULL, RELOADABLE, NULL,                \
      "What a token may be signed with; must be given but with a key of `base64:`: HS256 then")    \
    X(jwks, "jwks", LOCATION, "", NULL, NULL, NULL, RELOADABLE, NULL,                              \
      "Where the issuer's keys are, as a JWK Set (RFC 7517)")                                      \
    X(ca, "ca", TEXT, "", NULL, NULL, NULL, RELOADABLE, NULL,                                      \
      "Whose certificates are believed at a `jwks` of https://, as a file of PEM; unless told, "   \
      "those that the system believes")                                                            \
    X(key, "key", KEY, "", NULL, NULL, NULL, RELOADABLE, NULL, "Or the issuer's only key")         \
    X(tenant, "tenant", TENANT, "", NULL, NULL, NULL, RELOADABLE, NULL,                            \
      "The tenant of all its tokens; unless told the claim `tenant` says it")                      \
    CONFIG_RIGHTS_TABLE(X)

/* The keys of one row in the list `auth.certificates`. */
#define AUTH_CERTIFICATE_TABLE(X)                                                                  \
    X(subject, "subject", TEXT, "", MUST_BE_GIVEN, NULL, NULL, RELOADABLE, NULL,                   \
      "The subject as RFC 4514 writes it, as `CN=device-*,O=Example`; `*` is any text within one " \
      "value. The first row that fits decides")                                                    \
    X(name, "name", TEXT, "", NULL, NULL, NULL, RELOADABLE, NULL,                                  \
      "What who presents it is called: `{sub}`; `{cn}` in it is the common name. Unless told, "    \
      "the whole subject")                                                                         \
    X(tenant, "tenant", TENANT, "", NULL, NULL, NULL, RELOADABLE, NULL,                            \
      "The tenant of the client")                                                                  \
    CONFIG_RIGHTS_TABLE(X)

/* The keys of one row in the list `tenants`. */
#define TENANT_QUOTA_TABLE(X)                                                                      \
    X(name, "name", TENANTS, "", MUST_BE_GIVEN, NULL, NULL, RELOADABLE, NULL,                      \
      "The tenant that the row is for")                                                            \
    X(connections_max, "connections", COUNT, "connections", "50000", "1", "unlimited", RELOADABLE, \
      NULL, "Connections at a time")                                                               \
    X(publish_rate, "publish_rate", RATE, "messages a second", "1000000/s", "1/s", "unlimited",    \
      RELOADABLE, NULL, "Messages that it may publish")                                            \
    X(publish_bytes, "publish_bytes", BYTES_RATE, "bytes a second", "512MiB/s", "1KiB/s",          \
      "unlimited", RELOADABLE, NULL, "Bytes that it may publish")                                  \
    X(channels_max, "channels", COUNT, "channels", "1000000", "1", "unlimited", RELOADABLE, NULL,  \
      "Channels that have messages")                                                               \
    X(stored_bytes_max, "stored_bytes", BYTES, "bytes", "unlimited", "1MiB", "unlimited",          \
      RELOADABLE, NULL,                                                                            \
      "Bytes of its messages that are kept; storage.bytes_max holds for all together")

/* The lists of mappings, from the file alone; for each struct config has the rows and their count.
 * X(rows, count, path, struct of a row, scope, most rows, example) */
#define CONFIG_LISTS_TABLE(X)                                                                      \
    X(rules, rule_count, "channels", channel_rule, config_scope_rule, CONFIG_RULES_MAX,            \
      "- match: \"tennis/**\"")                                                                    \
    X(auth_keys, auth_key_count, "auth.keys", auth_key, config_scope_key, AUTH_ROWS_MAX,           \
      "- { name: backend, hash: \"sha256:…\" }")                                                   \
    X(auth_issuers, auth_issuer_count, "auth.jwt", auth_issuer, config_scope_issuer,               \
      AUTH_ROWS_MAX, "- { issuer: …, jwks: … }")                                                   \
    X(auth_certificates, auth_certificate_count, "auth.certificates", auth_certificate,            \
      config_scope_certificate, AUTH_ROWS_MAX, "- subject: \"CN=device-*,O=Example\"")             \
    X(tenants, tenant_count, "tenants", tenant_quota, config_scope_tenant, TENANT_ROWS_MAX,        \
      "- { name: acme, publish_rate: 1000/s }")                                                    \
    X(sinks, sink_count, "sinks", sink_row, config_scope_sink, SINKS_MAX,                          \
      "- { name: orders, channels: [\"orders/**\"], webhook: { url: \"https://…\" } }")            \
    X(sources, source_count, "sources", source_row, config_scope_source, SOURCES_MAX,              \
      "- { name: lake, kafka: { brokers: \"…\", topics: [scores] } }")

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
    const char *default_text; /* NULL: empty; MUST_BE_GIVEN */
    const char *minimum;      /* NULL: none */
    const char *maximum;
    bool is_reloadable;
    const char *flag; /* NULL: none */
    const char *summary;
};

/* One list of mappings. */
struct config_rows {
    const char *path;                 /* "auth.keys" */
    const struct config_scope *scope; /* of each row */
    size_t rows_offset;               /* in struct config: a pointer to its rows … */
    size_t count_offset;              /* … and a size_t */
    size_t row_size;
    size_t rows_max;
    const char *example;
};

/* The rows that keys are looked up in: those of the file, or those of one rule. */
struct config_scope {
    const struct config_row *rows;
    size_t row_count;
    const struct config_rows *lists; /* of mappings: of the file alone */
    size_t list_count;
};

extern const struct config_scope config_scope_file;
extern const struct config_scope config_scope_rule;
extern const struct config_scope config_scope_key;
extern const struct config_scope config_scope_issuer;
extern const struct config_scope config_scope_certificate;
extern const struct config_scope config_scope_tenant;
extern const struct config_scope config_scope_sink;
extern const struct config_scope config_scope_source;

/* How a value of the type looks, for --help and the reference page. */
const char *config_type_looks(enum config_type type);
bool config_type_is_list(enum config_type type);
bool config_type_is_text(enum config_type type);   /* a `char *` */
bool config_type_is_number(enum config_type type); /* a `uint64_t` */
bool config_type_is_secret(enum config_type type); /* shown as set or not set, and no more */

/* The row has no default and no value until the file gives one. */
bool config_row_must_be_given(const struct config_row *row);

/* NULL: no row has this path. */
const struct config_row *config_scope_find(const struct config_scope *scope, struct span path);
const struct config_rows *config_scope_find_list(const struct config_scope *scope,
                                                 struct span path);

/* True for "public", of which only deeper paths have rows or lists. */
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

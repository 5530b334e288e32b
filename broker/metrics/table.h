/* SPDX-License-Identifier: Apache-2.0 */
/* table.h — every metric as one row, and every label as a closed list of values.
 *
 * Place:   expanded by metrics.h into the layout of a shard; walked by the exposition, by the
 *          reference page and by the tests. Whoever counts names a row.
 * Thread:  constants.
 * Bounds:  these rows. No label takes a value from a client (a channel, an address, a path): the
 *          number of series is fixed when the broker is built and its threads are counted, but for
 *          METRICS_MATCHES_MAX patterns that the configuration names.
 *
 * Names follow Prometheus: a counter ends with _total, a unit is a base unit and stands last
 * (before _total). Integers are stored, also for seconds: the row's unit says how they are written.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "broker/limits.h"
#include "broker/support/error.h"

/* X(protocol, the name it has in struct protocol and in the label) */
#define METRICS_PROTOCOL_TABLE(X)                                                                  \
    X(METRICS_PROTOCOL_HTTP, "http")                                                               \
    X(METRICS_PROTOCOL_SSE, "sse")                                                                 \
    X(METRICS_PROTOCOL_WEBSOCKET, "websocket")                                                     \
    X(METRICS_PROTOCOL_MQTT, "mqtt")                                                               \
    X(METRICS_PROTOCOL_OTHER, "other")

/* X(what a request asks for, label value). A path is never a label. */
#define METRICS_ROUTE_TABLE(X)                                                                     \
    X(METRICS_ROUTE_PUBLISH, "publish")                                                            \
    X(METRICS_ROUTE_DELETE, "delete")                                                              \
    X(METRICS_ROUTE_PAGE, "page")                                                                  \
    X(METRICS_ROUTE_POLL, "poll")                                                                  \
    X(METRICS_ROUTE_STREAM, "stream")                                                              \
    X(METRICS_ROUTE_DEMO, "demo")                                                                  \
    X(METRICS_ROUTE_OPERATOR, "operator")                                                          \
    X(METRICS_ROUTE_OTHER, "other")

/* X(class of HTTP status, label value). In order: 1xx is 0. */
#define METRICS_STATUS_TABLE(X)                                                                    \
    X(METRICS_STATUS_1XX, "1xx")                                                                   \
    X(METRICS_STATUS_2XX, "2xx")                                                                   \
    X(METRICS_STATUS_3XX, "3xx")                                                                   \
    X(METRICS_STATUS_4XX, "4xx")                                                                   \
    X(METRICS_STATUS_5XX, "5xx")

/* X(reason, label value). In the order of enum gap_reason (storage.h), so that its value is the
 * label's; the operator's port asserts that. */
#define METRICS_GAP_TABLE(X)                                                                       \
    X(METRICS_GAP_EXPIRED, "expired")                                                              \
    X(METRICS_GAP_DROPPED, "dropped")                                                              \
    X(METRICS_GAP_DELETED, "deleted")                                                              \
    X(METRICS_GAP_AHEAD, "ahead")                                                                  \
    X(METRICS_GAP_EPOCH, "epoch")

/* X(policy, label value). In the order of enum on_lag (config.h): the figures assert that. */
#define METRICS_LAG_TABLE(X)                                                                       \
    X(METRICS_LAG_CATCH_UP, "catch_up")                                                            \
    X(METRICS_LAG_CONFLATE, "conflate")                                                            \
    X(METRICS_LAG_DROP, "drop")                                                                    \
    X(METRICS_LAG_DISCONNECT, "disconnect")

/* X(command of a WebSocket, label value). In the order of enum command_kind (command.h). */
#define METRICS_COMMAND_TABLE(X)                                                                   \
    X(METRICS_COMMAND_NONE, "none")                                                                \
    X(METRICS_COMMAND_PUBLISH, "publish")                                                          \
    X(METRICS_COMMAND_SUBSCRIBE, "subscribe")                                                      \
    X(METRICS_COMMAND_UNSUBSCRIBE, "unsubscribe")                                                  \
    X(METRICS_COMMAND_AUTH, "auth")

/* X(packet of MQTT, label value). In the order of its type numbers: mqtt.c asserts that. */
#define METRICS_PACKET_TABLE(X)                                                                    \
    X(METRICS_PACKET_NONE, "none")                                                                 \
    X(METRICS_PACKET_CONNECT, "connect")                                                           \
    X(METRICS_PACKET_CONNACK, "connack")                                                           \
    X(METRICS_PACKET_PUBLISH, "publish")                                                           \
    X(METRICS_PACKET_PUBACK, "puback")                                                             \
    X(METRICS_PACKET_PUBREC, "pubrec")                                                             \
    X(METRICS_PACKET_PUBREL, "pubrel")                                                             \
    X(METRICS_PACKET_PUBCOMP, "pubcomp")                                                           \
    X(METRICS_PACKET_SUBSCRIBE, "subscribe")                                                       \
    X(METRICS_PACKET_SUBACK, "suback")                                                             \
    X(METRICS_PACKET_UNSUBSCRIBE, "unsubscribe")                                                   \
    X(METRICS_PACKET_UNSUBACK, "unsuback")                                                         \
    X(METRICS_PACKET_PINGREQ, "pingreq")                                                           \
    X(METRICS_PACKET_PINGRESP, "pingresp")                                                         \
    X(METRICS_PACKET_DISCONNECT, "disconnect")                                                     \
    X(METRICS_PACKET_AUTH, "auth")

/* X(outcome of a TLS handshake, label value). In the order of enum tunnel_outcome (tunnel.h). */
#define METRICS_HANDSHAKE_TABLE(X)                                                                 \
    X(METRICS_HANDSHAKE_FULL, "full")                                                              \
    X(METRICS_HANDSHAKE_RESUMED, "resumed")                                                        \
    X(METRICS_HANDSHAKE_REFUSED, "refused")                                                        \
    X(METRICS_HANDSHAKE_CLEAR, "clear")                                                            \
    X(METRICS_HANDSHAKE_ABANDONED, "abandoned")

/* X(version of TLS, label value) */
#define METRICS_TLS_TABLE(X)                                                                       \
    X(METRICS_TLS_NONE, "none")                                                                    \
    X(METRICS_TLS_1_2, "1.2")                                                                      \
    X(METRICS_TLS_1_3, "1.3")
/* X(kind of credentials, label value). A bearer with two dots in it counts as a token. */
#define METRICS_CREDENTIALS_TABLE(X)                                                               \
    X(METRICS_CREDENTIALS_NONE, "none")                                                            \
    X(METRICS_CREDENTIALS_KEY, "key")                                                              \
    X(METRICS_CREDENTIALS_TOKEN, "token")                                                          \
    X(METRICS_CREDENTIALS_TICKET, "ticket")                                                        \
    X(METRICS_CREDENTIALS_CERTIFICATE, "certificate")
/* X(limit, label value, what it is called where it is set). In the order in which the reference
 * tells them. */
#define METRICS_LIMIT_TABLE(X)                                                                     \
    X(METRICS_LIMIT_CONNECTIONS, "connections", "limits.connections")                              \
    X(METRICS_LIMIT_OPENING, "opening", "limits.connections")                                      \
    X(METRICS_LIMIT_ADDRESS_CONNECTIONS, "connections_per_address",                                \
      "limits.connections_per_address")                                                            \
    X(METRICS_LIMIT_IDENTITY_CONNECTIONS, "connections_per_identity",                              \
      "limits.connections_per_identity")                                                           \
    X(METRICS_LIMIT_TENANT_CONNECTIONS, "tenant_connections", "tenants[].connections")             \
    X(METRICS_LIMIT_HANDSHAKES, "handshakes_per_address", "limits.handshakes_per_address")         \
    X(METRICS_LIMIT_LOGIN_FAILURES, "login_failures_per_address",                                  \
      "limits.login_failures_per_address")                                                         \
    X(METRICS_LIMIT_PUBLISH_RATE, "publish_rate", "limits.publish_rate")                           \
    X(METRICS_LIMIT_PUBLISH_BYTES, "publish_bytes", "limits.publish_bytes")                        \
    X(METRICS_LIMIT_IDENTITY_RATE, "publish_rate_per_identity",                                    \
      "limits.publish_rate_per_identity")                                                          \
    X(METRICS_LIMIT_IDENTITY_BYTES, "publish_bytes_per_identity",                                  \
      "limits.publish_bytes_per_identity")                                                         \
    X(METRICS_LIMIT_TENANT_RATE, "tenant_publish_rate", "tenants[].publish_rate")                  \
    X(METRICS_LIMIT_TENANT_BYTES, "tenant_publish_bytes", "tenants[].publish_bytes")               \
    X(METRICS_LIMIT_TENANT_CHANNELS, "tenant_channels", "tenants[].channels")                      \
    X(METRICS_LIMIT_TENANT_STORED, "tenant_stored_bytes", "tenants[].stored_bytes")                \
    X(METRICS_LIMIT_CHANNEL_RATE, "channel_publish_rate", "channels[].publish_rate")               \
    X(METRICS_LIMIT_SUBSCRIPTIONS, "subscriptions", "limits.subscriptions")                        \
    X(METRICS_LIMIT_PATTERNS, "patterns", "limits.patterns")                                       \
    X(METRICS_LIMIT_CHANNELS, "channels", "limits.channels")                                       \
    X(METRICS_LIMIT_MESSAGE_BYTES, "message_bytes", "channels[].message_bytes_max")                \
    X(METRICS_LIMIT_JSON_DEPTH, "json_depth", "the depth of JSON")                                 \
    X(METRICS_LIMIT_HEADERS, "headers", "the size of a request's head")                            \
    X(METRICS_LIMIT_MEMORY, "memory", "limits.memory")

#define METRICS_ENUM(value, name) value,
enum metrics_protocol { METRICS_PROTOCOL_TABLE(METRICS_ENUM) METRICS_PROTOCOL_COUNT };
enum metrics_route { METRICS_ROUTE_TABLE(METRICS_ENUM) METRICS_ROUTE_COUNT };
enum metrics_status { METRICS_STATUS_TABLE(METRICS_ENUM) METRICS_STATUS_COUNT };
enum metrics_gap { METRICS_GAP_TABLE(METRICS_ENUM) METRICS_GAP_COUNT };
enum metrics_lag { METRICS_LAG_TABLE(METRICS_ENUM) METRICS_LAG_COUNT };
enum metrics_command { METRICS_COMMAND_TABLE(METRICS_ENUM) METRICS_COMMAND_COUNT };
enum metrics_packet { METRICS_PACKET_TABLE(METRICS_ENUM) METRICS_PACKET_COUNT };
enum metrics_handshake { METRICS_HANDSHAKE_TABLE(METRICS_ENUM) METRICS_HANDSHAKE_COUNT };
enum metrics_tls { METRICS_TLS_TABLE(METRICS_ENUM) METRICS_TLS_COUNT };
enum metrics_credentials { METRICS_CREDENTIALS_TABLE(METRICS_ENUM) METRICS_CREDENTIALS_COUNT };
#undef METRICS_ENUM

#define METRICS_LIMIT_ENUM(value, name, path) value,
enum metrics_limit { METRICS_LIMIT_TABLE(METRICS_LIMIT_ENUM) METRICS_LIMIT_COUNT };
#undef METRICS_LIMIT_ENUM

/* X(label, name in the text, how many values). THREAD is told apart by shard, not within one; the
 * values of MATCH are patterns that metrics_add_match() was given. */
#define METRICS_LABEL_TABLE(X)                                                                     \
    X(NONE, "", 1)                                                                                 \
    X(PROTOCOL, "protocol", METRICS_PROTOCOL_COUNT)                                                \
    X(REASON, "reason", CLOSE_REASON_COUNT)                                                        \
    X(RESULT, "result", ERROR_CODE_COUNT)                                                          \
    X(ROUTE, "route", METRICS_ROUTE_COUNT)                                                         \
    X(STATUS, "status", METRICS_STATUS_COUNT)                                                      \
    X(GAP, "reason", METRICS_GAP_COUNT)                                                            \
    X(ON_LAG, "on_lag", METRICS_LAG_COUNT)                                                         \
    X(COMMAND, "command", METRICS_COMMAND_COUNT)                                                   \
    X(PACKET, "packet", METRICS_PACKET_COUNT)                                                      \
    X(HANDSHAKE, "outcome", METRICS_HANDSHAKE_COUNT)                                               \
    X(TLS, "version", METRICS_TLS_COUNT)                                                           \
    X(CREDENTIALS, "credentials", METRICS_CREDENTIALS_COUNT)                                       \
    X(LIMIT, "limit", METRICS_LIMIT_COUNT)                                                         \
    X(MATCH, "match", METRICS_MATCHES_MAX)                                                         \
    X(THREAD, "thread", 1)

enum metrics_label {
#define METRICS_LABEL(label, name, count) METRICS_LABEL_##label,
    METRICS_LABEL_TABLE(METRICS_LABEL)
#undef METRICS_LABEL
        METRICS_LABEL_COUNT
};

/* A histogram has this many buckets, each a power of two, so that the bucket is a count of leading
 * zeros and no search. The unit says which powers: metrics_bucket_bound(). */
#define METRICS_BUCKETS 18
/* Of one series: the buckets, the one above them, the sum. */
#define METRICS_HISTOGRAM_SLOTS (METRICS_BUCKETS + 2)

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

/* What the stored integer is, and so how it is written. */
enum metrics_unit {
    METRICS_COUNT,        /* a plain number of things */
    METRICS_BYTES,        /* bytes; the name ends with _bytes */
    METRICS_MILLISECONDS, /* written in seconds; the name ends with _seconds */
    METRICS_MICROSECONDS, /* likewise */
};

/* X(metric, name, type, unit, first label, second label, help) */
#define METRICS_TABLE(X)                                                                           \
    X(CONNECTIONS_OPEN, "tidings_connections_open", GAUGE, COUNT, PROTOCOL, NONE,                  \
      "Connections that are open now, by what they speak now")                                     \
    X(CONNECTIONS_LIMIT, "tidings_connections_limit", GAUGE, COUNT, NONE, NONE,                    \
      "Connections that may be open (limits.connections)")                                         \
    X(CONNECTIONS_ACCEPTED, "tidings_connections_accepted_total", COUNTER, COUNT, NONE, NONE,      \
      "Connections accepted on the public port and on that of MQTT")                               \
    X(CONNECTIONS_CLOSED, "tidings_connections_closed_total", COUNTER, COUNT, PROTOCOL, REASON,    \
      "Connections that ended, by what they spoke last and why")                                   \
    X(CONNECTIONS_OPENING, "tidings_connections_opening", GAUGE, COUNT, NONE, NONE,                \
      "Connections that have sent no whole request or CONNECT yet")                                \
    X(LIMITS_REFUSED, "tidings_limits_refused_total", COUNTER, COUNT, LIMIT, PROTOCOL,             \
      "What a limit turned away or, where nothing can be answered, made wait: connections, "       \
      "publishes, subscriptions, requests")                                                        \
    X(ACCEPT_PAUSES, "tidings_accept_pauses_total", COUNTER, COUNT, NONE, NONE,                    \
      "Times accepting paused because descriptors or connections were used up")                    \
    X(RECEIVED_BYTES, "tidings_received_bytes_total", COUNTER, BYTES, PROTOCOL, NONE,              \
      "Bytes read from sockets of these ports")                                                    \
    X(SENT_BYTES, "tidings_sent_bytes_total", COUNTER, BYTES, PROTOCOL, NONE,                      \
      "Bytes written to sockets of these ports")                                                   \
    X(WRITES, "tidings_writes_total", COUNTER, COUNT, PROTOCOL, NONE,                              \
      "System calls that wrote to sockets; far below deliveries where they are coalesced")         \
    X(TLS_HANDSHAKES, "tidings_tls_handshakes_total", COUNTER, COUNT, HANDSHAKE, TLS,              \
      "TLS handshakes that ended: `full` and `resumed` are open, `clear` was HTTP without TLS, "   \
      "`abandoned` went or took too long")                                                         \
    X(TLS_HANDSHAKE, "tidings_tls_handshake_duration_seconds", HISTOGRAM, MICROSECONDS, NONE,      \
      NONE, "From the first byte of a TLS handshake to its end, the peer's time included")         \
    X(TLS_CERTIFICATE_EXPIRES, "tidings_tls_certificate_expiry_timestamp_seconds", GAUGE,          \
      MILLISECONDS, NONE, NONE, "When the certificate of public.tls expires, since 1970; 0: none") \
    X(HTTP_REQUESTS, "tidings_http_requests_total", COUNTER, COUNT, ROUTE, STATUS,                 \
      "HTTP requests answered on both ports, by what they asked for and class of status")          \
    X(HTTP_REQUEST, "tidings_http_request_duration_seconds", HISTOGRAM, MICROSECONDS, ROUTE, NONE, \
      "From the end of a request's head to its reply, or of a stream to its first byte; a "        \
      "poll waits for a message")                                                                  \
    X(COMMANDS, "tidings_websocket_commands_total", COUNTER, COUNT, COMMAND, RESULT,               \
      "Commands of WebSockets answered, by command (none: it was none) and result")                \
    X(MQTT_RECEIVED, "tidings_mqtt_packets_received_total", COUNTER, COUNT, PACKET, NONE,          \
      "MQTT packets taken from clients, by type")                                                  \
    X(MQTT_SENT, "tidings_mqtt_packets_sent_total", COUNTER, COUNT, PACKET, NONE,                  \
      "MQTT packets sent to clients, by type; but for messages of subscriptions, which are "       \
      "deliveries")                                                                                \
    X(MQTT_REFUSED, "tidings_mqtt_refused_total", COUNTER, COUNT, RESULT, NONE,                    \
      "Packets and publishes of MQTT clients that were refused, by the slug of the error")         \
    X(MQTT_FILTERS_DROPPED, "tidings_mqtt_filters_dropped_total", COUNTER, COUNT, NONE, NONE,      \
      "Subscriptions taken off a session that came back, because they are not allowed any more")   \
    X(MQTT_IN_FLIGHT, "tidings_mqtt_in_flight", GAUGE, COUNT, NONE, NONE,                          \
      "Messages of QoS 1 and 2 that MQTT clients were sent and have not acknowledged")             \
    X(MQTT_SUBSCRIPTIONS, "tidings_mqtt_subscriptions_open", GAUGE, COUNT, NONE, NONE,             \
      "Subscriptions of MQTT clients that are connected")                                          \
    X(MQTT_SHARED, "tidings_mqtt_shared_subscriptions_open", GAUGE, COUNT, NONE, NONE,             \
      "Those of them that are shared")                                                             \
    X(AUTHENTICATIONS, "tidings_authentications_total", COUNTER, COUNT, CREDENTIALS, RESULT,       \
      "Times somebody said who he is, by the kind of credentials and the result (the slug of the " \
      "error, or ok); not counted where no credentials are configured")                            \
    X(CALLS, "tidings_calls_total", COUNTER, COUNT, RESULT, NONE,                                  \
      "HTTP calls of the broker that ended, for keys of issuers and to auth.webhook, by result")   \
    X(JWKS_FETCHES, "tidings_jwks_fetches_total", COUNTER, COUNT, RESULT, NONE,                    \
      "Times the keys of an issuer were fetched, by result; the old ones stay where it failed")    \
    X(JWKS_OLDEST, "tidings_jwks_oldest_time_seconds", GAUGE, MILLISECONDS, NONE, NONE,            \
      "When the oldest of the issuers' keys were fetched, since 1970; 0: none were, or some "      \
      "never could be")                                                                            \
    X(CONSENTS, "tidings_webhook_answers_total", COUNTER, COUNT, RESULT, NONE,                     \
      "Questions to auth.webhook that were answered, by result, also from the cache")              \
    X(BODIES, "tidings_bodies_bytes", GAUGE, BYTES, NONE, NONE,                                    \
      "Memory that request bodies and pipelined requests take now")                                \
    X(PUBLISHES, "tidings_publishes_total", COUNTER, COUNT, PROTOCOL, RESULT,                      \
      "Publishes that the log answered, by result (the slug of the error, or ok); a batch is "     \
      "one")                                                                                       \
    X(PUBLISHES_TURNED_AWAY, "tidings_publishes_turned_away_total", COUNTER, COUNT, NONE, NONE,    \
      "Publishes that found no room to wait for the log and were answered busy")                   \
    X(PUBLISHES_REPEATED, "tidings_publishes_repeated_total", COUNTER, COUNT, NONE, NONE,          \
      "Publishes that repeated an earlier one: answered alike, and nothing was stored")            \
    X(PUBLISHES_WAITING, "tidings_publishes_waiting", GAUGE, COUNT, NONE, NONE,                    \
      "Publishes between their submission to the log and its answer now")                          \
    X(PUBLISHES_WAITING_BYTES, "tidings_publishes_waiting_bytes", GAUGE, BYTES, NONE, NONE,        \
      "Memory of these")                                                                           \
    X(PUBLISH, "tidings_publish_duration_seconds", HISTOGRAM, MICROSECONDS, PROTOCOL, NONE,        \
      "From the submission of a publish to the log to its answer; with durability fsync the "      \
      "disk is in it")                                                                             \
    X(PUBLISHED_MESSAGES, "tidings_published_messages_total", COUNTER, COUNT, PROTOCOL, NONE,      \
      "Messages of publishes that succeeded")                                                      \
    X(PUBLISHED_BYTES, "tidings_published_bytes_total", COUNTER, BYTES, PROTOCOL, NONE,            \
      "Payload bytes of publishes that succeeded")                                                 \
    X(MATCH_MESSAGES, "tidings_match_published_messages_total", COUNTER, COUNT, MATCH, NONE,       \
      "Messages published to channels of a rule that asks for metrics, by its pattern")            \
    X(MATCH_BYTES, "tidings_match_published_bytes_total", COUNTER, BYTES, MATCH, NONE,             \
      "Payload bytes of these")                                                                    \
    X(READERS_OPEN, "tidings_readers_open", GAUGE, COUNT, PROTOCOL, NONE,                          \
      "Readers that stream now")                                                                   \
    X(READERS_OPENED, "tidings_readers_opened_total", COUNTER, COUNT, PROTOCOL, NONE,              \
      "Readers that began to stream")                                                              \
    X(READERS_BEHIND, "tidings_readers_behind", GAUGE, COUNT, NONE, NONE,                          \
      "Readers that lacked something when each was last looked at; a census of all takes 5 s "     \
      "or more")                                                                                   \
    X(READER_LAG, "tidings_reader_lag_positions", HISTOGRAM, COUNT, NONE, NONE,                    \
      "How far readers stand behind the head, in records of the whole log; each is observed "      \
      "once a census")                                                                             \
    X(READERS_LAGGED, "tidings_readers_lagged_total", COUNTER, COUNT, ON_LAG, NONE,                \
      "Times a reader fell behind its send budget, by the policy that decided what happened")      \
    X(DELIVERIES, "tidings_deliveries_total", COUNTER, COUNT, PROTOCOL, NONE,                      \
      "Frames with a message handed to sockets of readers")                                        \
    X(DELIVERED_BYTES, "tidings_delivered_bytes_total", COUNTER, BYTES, PROTOCOL, NONE,            \
      "Bytes of frames handed to sockets of readers")                                              \
    X(PUBLISH_TO_WRITE, "tidings_publish_to_write_seconds", HISTOGRAM, MICROSECONDS, NONE, NONE,   \
      "From the submission of a publish to the log until a worker has written it to all its "      \
      "readers that could take it: once a fan-out and worker, from the oldest publish in it; not " \
      "of what a flush_interval held back")                                                        \
    X(GAPS, "tidings_gaps_total", COUNTER, COUNT, GAP, NONE,                                       \
      "Gaps that streaming readers were told from the log, by reason; a delete that a live "       \
      "reader is told counts as a delivery")                                                       \
    X(GAP_MESSAGES, "tidings_gap_messages_total", COUNTER, COUNT, GAP, NONE,                       \
      "Messages that these gaps stand for, where the offsets are known (readers of one "           \
      "channel)")                                                                                  \
    X(SKIPPED, "tidings_skipped_messages_total", COUNTER, COUNT, NONE, NONE,                       \
      "Messages that conflation left out")                                                         \
    X(WATCHES, "tidings_watches_open", GAUGE, COUNT, NONE, NONE,                                   \
      "Requests that wait for a next message now")                                                 \
    X(GROUPS, "tidings_groups", GAUGE, COUNT, NONE, NONE,                                          \
      "Groups that share what they read, with members or waiting for them")                        \
    X(GROUP_MEMBERS, "tidings_group_members", GAUGE, COUNT, NONE, NONE, "Their members now")       \
    X(GROUP_LEASES, "tidings_group_leases", GAUGE, COUNT, NONE, NONE,                              \
      "Messages that members of groups have and did not acknowledge")                              \
    X(GROUP_LAG, "tidings_group_lag_positions", GAUGE, COUNT, NONE, NONE,                          \
      "How far the log has gone on without groups that have members, all added up")                \
    X(GROUP_REDELIVERIES, "tidings_group_redeliveries_total", COUNTER, COUNT, NONE, NONE,          \
      "Messages given once more to a member of a group, because nobody was done with them")        \
    X(PAGES_READ, "tidings_pages_read_total", COUNTER, COUNT, NONE, NONE,                          \
      "Pages read from the log for streaming readers; one may serve many")                         \
    X(CATCH_UP_READS, "tidings_catch_up_reads_total", COUNTER, COUNT, NONE, NONE,                  \
      "Pages asked for by readers that stood behind the tail")                                     \
    X(READS_WAITING, "tidings_reads_waiting", GAUGE, COUNT, NONE, NONE,                            \
      "Reads that wait for a read thread now")                                                     \
    X(READ_WAIT, "tidings_read_wait_seconds", HISTOGRAM, MICROSECONDS, NONE, NONE,                 \
      "How long a read waited for a read thread")                                                  \
    X(READ, "tidings_read_duration_seconds", HISTOGRAM, MICROSECONDS, NONE, NONE,                  \
      "How long a read thread worked on a read")                                                   \
    X(READ_TRANSACTIONS, "tidings_read_transactions_open", GAUGE, COUNT, NONE, NONE,               \
      "Read transactions of LMDB that are open now")                                               \
    X(READ_TRANSACTION_AGE, "tidings_read_transaction_oldest_seconds", GAUGE, MICROSECONDS, NONE,  \
      NONE,                                                                                        \
      "Age of the oldest of these; 0 without any. Pages that are freed meanwhile cannot be "       \
      "used again")                                                                                \
    X(FEEDS_OPEN, "tidings_feeds_open", GAUGE, COUNT, NONE, NONE,                                  \
      "Feeds that somebody reads now, each worker's counted")                                      \
    X(PATTERN_FEEDS_OPEN, "tidings_pattern_feeds_open", GAUGE, COUNT, NONE, NONE,                  \
      "Those of them that are of a pattern: each new message is matched against these")            \
    X(TAILS_BYTES, "tidings_tails_bytes", GAUGE, BYTES, NONE, NONE,                                \
      "Memory of the newest messages that workers keep for their feeds")                           \
    X(COMMITS_WAITING, "tidings_commits_waiting_bytes", GAUGE, BYTES, THREAD, NONE,                \
      "Commits on their way to a worker now")                                                      \
    X(COMMITS_MISSED, "tidings_commits_missed_total", COUNTER, COUNT, NONE, NONE,                  \
      "Times a worker fell behind the log and its readers went to the disk")                       \
    X(THREAD_BUSY, "tidings_thread_busy_seconds_total", COUNTER, MICROSECONDS, THREAD, NONE,       \
      "Time in which a thread was not asleep, disk and processor alike: its rate is the "          \
      "utilisation")                                                                               \
    X(THREAD_CPU, "tidings_thread_cpu_seconds_total", COUNTER, MICROSECONDS, THREAD, NONE,         \
      "Processor time of a thread")                                                                \
    X(TURNS, "tidings_thread_turns_total", COUNTER, COUNT, THREAD, NONE,                           \
      "Turns of a thread's loop: how often it fell asleep or looked")                              \
    X(LETTERS, "tidings_thread_letters_total", COUNTER, COUNT, THREAD, NONE,                       \
      "Letters delivered from a thread's mailbox; a turn brings letters / turns")                  \
    X(MAILBOX_LETTERS, "tidings_mailbox_letters", GAUGE, COUNT, THREAD, NONE,                      \
      "Letters that wait in a thread's mailbox now")                                               \
    X(MAILBOX_LIMIT, "tidings_mailbox_letters_limit", GAUGE, COUNT, THREAD, NONE,                  \
      "Letters that may wait there; told for the log and the workers")                             \
    X(LOG_MESSAGES, "tidings_log_messages_total", COUNTER, COUNT, NONE, NONE,                      \
      "Messages that the log ordered since the start")                                             \
    X(COMMIT_RECORDS, "tidings_commit_records", HISTOGRAM, COUNT, NONE, NONE,                      \
      "Records of a commit: one journal write of all publishes that waited")                       \
    X(COMMIT_BYTES, "tidings_commit_bytes", HISTOGRAM, BYTES, NONE, NONE,                          \
      "Memory of the messages of a commit")                                                        \
    X(JOURNAL_APPEND, "tidings_journal_append_duration_seconds", HISTOGRAM, MICROSECONDS, NONE,    \
      NONE, "How long the write of a commit to the journal took")                                  \
    X(JOURNAL_APPEND_FAILURES, "tidings_journal_append_failures_total", COUNTER, COUNT, NONE,      \
      NONE, "Writes to the journal that failed: their publishes were refused")                     \
    X(JOURNAL_SYNC, "tidings_journal_sync_duration_seconds", HISTOGRAM, MICROSECONDS, NONE, NONE,  \
      "How long a sync of the journal took; one serves all commits that wait")                     \
    X(LOG_CHANNELS, "tidings_log_channels", GAUGE, COUNT, NONE, NONE,                              \
      "Channels that the log knows")                                                               \
    X(LOG_REPEATS, "tidings_log_idempotency_keys", GAUGE, COUNT, NONE, NONE,                       \
      "Idempotency keys that the log keeps to know a repeated publish")                            \
    X(SESSIONS_CONNECTED, "tidings_mqtt_sessions_connected", GAUGE, COUNT, NONE, NONE,             \
      "MQTT sessions that a connection has")                                                       \
    X(SESSIONS_AWAY, "tidings_mqtt_sessions_away", GAUGE, COUNT, NONE, NONE,                       \
      "MQTT sessions that are kept for a client to come back")                                     \
    X(SESSIONS_BYTES, "tidings_mqtt_sessions_away_bytes", GAUGE, BYTES, NONE, NONE,                \
      "State of the MQTT sessions that are away, and their wills")                                 \
    X(SESSIONS_LIMIT, "tidings_mqtt_sessions_limit", GAUGE, COUNT, NONE, NONE,                     \
      "MQTT sessions that there may be: mqtt.sessions_max")                                        \
    X(SESSIONS_EXPIRED, "tidings_mqtt_sessions_expired_total", COUNTER, COUNT, NONE, NONE,         \
      "MQTT sessions that ended because their client stayed away")                                 \
    X(SESSIONS_TAKEN_OVER, "tidings_mqtt_sessions_taken_over_total", COUNTER, COUNT, NONE, NONE,   \
      "Connections that lost their MQTT client id to another")                                     \
    X(SESSIONS_REFUSED, "tidings_mqtt_sessions_refused_total", COUNTER, COUNT, NONE, NONE,         \
      "MQTT connections refused because there were too many sessions")                             \
    X(JOURNAL_BYTES, "tidings_journal_bytes", GAUGE, BYTES, NONE, NONE,                            \
      "Bytes of the journal's files")                                                              \
    X(JOURNAL_FILES, "tidings_journal_files", GAUGE, COUNT, NONE, NONE, "Files of the journal")    \
    X(OPEN_BATCH_BYTES, "tidings_open_batch_bytes", GAUGE, BYTES, NONE, NONE,                      \
      "Messages that are in the journal and not yet in LMDB, in bytes")                            \
    X(OPEN_BATCH_LIMIT, "tidings_open_batch_limit_bytes", GAUGE, BYTES, NONE, NONE,                \
      "Above it publishers wait for a fold")                                                       \
    X(OPEN_BATCH_MESSAGES, "tidings_open_batch_messages", GAUGE, COUNT, NONE, NONE,                \
      "Messages that are in the journal and not yet in LMDB")                                      \
    X(FOLD, "tidings_fold_duration_seconds", HISTOGRAM, MICROSECONDS, NONE, NONE,                  \
      "How long a fold of the open batch into LMDB took, with its sync")                           \
    X(FOLD_RECORDS, "tidings_fold_records", HISTOGRAM, COUNT, NONE, NONE, "Records of a fold")     \
    X(FOLD_BYTES, "tidings_fold_bytes", HISTOGRAM, BYTES, NONE, NONE,                              \
      "Memory of the messages of a fold")                                                          \
    X(FOLD_FAILURES, "tidings_fold_failures_total", COUNTER, COUNT, NONE, NONE,                    \
      "Folds that failed and are tried again each second")                                         \
    X(RETENTION, "tidings_retention_duration_seconds", HISTOGRAM, MICROSECONDS, NONE, NONE,        \
      "How long a step of retention took: it erases, moves and drops what is not kept any "        \
      "more")                                                                                      \
    X(RETENTION_FAILURES, "tidings_retention_failures_total", COUNTER, COUNT, NONE, NONE,          \
      "Steps of retention that failed and are tried again")                                        \
    X(STORE_USED, "tidings_store_used_bytes", GAUGE, BYTES, NONE, NONE,                            \
      "Bytes that LMDB uses inside its file")                                                      \
    X(STORE_FILE, "tidings_store_file_bytes", GAUGE, BYTES, NONE, NONE, "Size of LMDB's file")     \
    X(STORE_LIMIT, "tidings_store_limit_bytes", GAUGE, BYTES, NONE, NONE,                          \
      "Disk for messages (storage.bytes_max): above it the oldest go")                             \
    X(STORE_SEGMENTS, "tidings_store_segments", GAUGE, COUNT, NONE, NONE,                          \
      "Segments of the log in LMDB")                                                               \
    X(STORE_CHANNELS, "tidings_store_channels", GAUGE, COUNT, NONE, NONE,                          \
      "Channels that have a row in LMDB")                                                          \
    X(DISK_FREE, "tidings_disk_free_bytes", GAUGE, BYTES, NONE, NONE,                              \
      "What the file system of the data directory has left for the broker")                        \
    X(DISK_SIZE, "tidings_disk_size_bytes", GAUGE, BYTES, NONE, NONE, "Size of that file system")  \
    X(POSITION_READABLE, "tidings_position_readable", GAUGE, COUNT, NONE, NONE,                    \
      "The newest position of the log that may be read")                                           \
    X(POSITION_FOLDED, "tidings_position_folded", GAUGE, COUNT, NONE, NONE,                        \
      "The newest position of the log that is in LMDB")                                            \
    X(READY, "tidings_ready", GAUGE, COUNT, NONE, NONE,                                            \
      "1 when the broker takes traffic, as /readyz says")                                          \
    X(DRAINING, "tidings_draining", GAUGE, COUNT, NONE, NONE,                                      \
      "1 when the broker drains or goes down")                                                     \
    X(RELOADS, "tidings_reloads_total", COUNTER, COUNT, NONE, NONE,                                \
      "Times the configuration was read again and taken")                                          \
    X(RELOADS_REFUSED, "tidings_reloads_refused_total", COUNTER, COUNT, NONE, NONE,                \
      "Times it had faults, and the old one stayed")                                               \
    X(MEMORY_ANONYMOUS, "tidings_memory_anonymous_bytes", GAUGE, BYTES, NONE, NONE,                \
      "Resident memory without mapped files (RssAnon); LMDB's pages are the kernel's")             \
    X(MEMORY_LIMIT, "tidings_memory_limit_bytes", GAUGE, BYTES, NONE, NONE,                        \
      "What that may be (limits.memory); 0: no limit")                                             \
    X(MEMORY_LEVEL, "tidings_memory_level", GAUGE, COUNT, NONE, NONE,                              \
      "0: there is memory; 1: new connections are refused; 2: publishes too; 3: the readers that " \
      "lag most are closed")                                                                       \
    X(MEMORY_SHED, "tidings_memory_shed_total", COUNTER, COUNT, PROTOCOL, NONE,                    \
      "Connections that were closed because memory was short")                                     \
    X(ACCOUNTS, "tidings_accounts", GAUGE, COUNT, NONE, NONE,                                      \
      "Subjects and tenants whose limits are kept")                                                \
    X(ADDRESSES, "tidings_addresses", GAUGE, COUNT, NONE, NONE,                                    \
      "Client addresses whose limits are kept")                                                    \
    X(LOG_SUPPRESSED, "tidings_log_lines_suppressed_total", COUNTER, COUNT, NONE, NONE,            \
      "Lines of the log on standard error held back because their event came too fast")            \
    X(PROCESS_CPU, "process_cpu_seconds_total", COUNTER, MILLISECONDS, NONE, NONE,                 \
      "Processor time of the process, user and system")                                            \
    X(PROCESS_OPEN_FDS, "process_open_fds", GAUGE, COUNT, NONE, NONE, "Open file descriptors")     \
    X(PROCESS_MAX_FDS, "process_max_fds", GAUGE, COUNT, NONE, NONE,                                \
      "Most file descriptors that may be open")                                                    \
    X(PROCESS_VIRTUAL, "process_virtual_memory_bytes", GAUGE, BYTES, NONE, NONE,                   \
      "Virtual memory; most of it is LMDB's map")                                                  \
    X(PROCESS_VIRTUAL_MAX, "process_virtual_memory_max_bytes", GAUGE, BYTES, NONE, NONE,           \
      "Most virtual memory that may be taken; -1: no limit")                                       \
    X(PROCESS_RESIDENT, "process_resident_memory_bytes", GAUGE, BYTES, NONE, NONE,                 \
      "Resident memory")                                                                           \
    X(PROCESS_THREADS, "process_threads", GAUGE, COUNT, NONE, NONE, "Threads of the process")      \
    X(PROCESS_START, "process_start_time_seconds", GAUGE, MILLISECONDS, NONE, NONE,                \
      "When the process began, since 1970")

/* The one metric that is no number: a row of its own in the text. */
#define METRICS_BUILD_INFO "tidings_build_info"
#define METRICS_BUILD_INFO_HELP "Always 1; the label says which version runs"

enum metric {
#define METRIC(metric, ...) METRIC_##metric,
    METRICS_TABLE(METRIC)
#undef METRIC
        METRIC_COUNT
};

struct metrics_row {
    const char *name;
    enum metrics_type type;
    enum metrics_unit unit;
    enum metrics_label labels[2];
    const char *help;
    uint32_t slot_first;   /* in a shard */
    uint32_t series_count; /* of both labels, in one shard */
    uint32_t second_count; /* values of the second label */
    uint32_t series_slots; /* METRICS_HISTOGRAM_SLOTS, or 1 */
};

extern const struct metrics_row metrics_rows[METRIC_COUNT];

/* "protocol"; empty for NONE. */
const char *metrics_label_name(enum metrics_label label);

/* How many values a label has; 1 for NONE and for THREAD, METRICS_MATCHES_MAX for MATCH. */
size_t metrics_label_count(enum metrics_label label);

/* "websocket". Not for NONE, THREAD and MATCH, which have no closed list. */
const char *metrics_label_value(enum metrics_label label, size_t index);

/* "limits.publish_rate": what is to be set. */
const char *metrics_limit_path(enum metrics_limit limit);

/* The protocol of that name (struct protocol has it); METRICS_PROTOCOL_OTHER for any other. */
enum metrics_protocol metrics_find_protocol(const char *name);

/* What bucket `bucket` of METRICS_BUCKETS holds at most, in that unit. */
uint64_t metrics_bucket_bound(enum metrics_unit unit, uint32_t bucket);

/* The first bucket whose bound is not below `value`; METRICS_BUCKETS: above all of them. */
uint32_t metrics_bucket_of(enum metrics_unit unit, uint64_t value);

/* The class of an HTTP status; what is none counts as 5xx. */
enum metrics_status metrics_status_of(unsigned status);

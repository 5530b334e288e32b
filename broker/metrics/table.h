/* SPDX-License-Identifier: Apache-2.0 */
/* table.h — every metric as one row, and every label as a closed list of values.
 *
 * Place:   expanded by metrics.h into the layout of a shard; walked by the exposition, by the
 *          reference page and by the tests. Whoever counts names a row.
 * Thread:  constants.
 * Bounds:  these rows. No label takes a value from outside (a channel, an address, a path): the
 *          number of series is fixed when the broker is built and its threads are counted.
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

/* X(class of routes, label value). A path is never a label. */
#define METRICS_ROUTE_TABLE(X)                                                                     \
    X(METRICS_ROUTE_CHANNELS, "channels")                                                          \
    X(METRICS_ROUTE_PUBLISH, "publish")                                                            \
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

#define METRICS_ENUM(value, name) value,
enum metrics_protocol { METRICS_PROTOCOL_TABLE(METRICS_ENUM) METRICS_PROTOCOL_COUNT };
enum metrics_route { METRICS_ROUTE_TABLE(METRICS_ENUM) METRICS_ROUTE_COUNT };
enum metrics_status { METRICS_STATUS_TABLE(METRICS_ENUM) METRICS_STATUS_COUNT };
enum metrics_gap { METRICS_GAP_TABLE(METRICS_ENUM) METRICS_GAP_COUNT };
#undef METRICS_ENUM

/* X(label, name in the text, how many values). THREAD is told apart by shard, not within one. */
#define METRICS_LABEL_TABLE(X)                                                                     \
    X(NONE, "", 1)                                                                                 \
    X(PROTOCOL, "protocol", METRICS_PROTOCOL_COUNT)                                                \
    X(REASON, "reason", CLOSE_REASON_COUNT)                                                        \
    X(RESULT, "result", ERROR_CODE_COUNT)                                                          \
    X(ROUTE, "route", METRICS_ROUTE_COUNT)                                                         \
    X(STATUS, "status", METRICS_STATUS_COUNT)                                                      \
    X(GAP, "reason", METRICS_GAP_COUNT)                                                            \
    X(THREAD, "thread", 1)

enum metrics_label {
#define METRICS_LABEL(label, name, count) METRICS_LABEL_##label,
    METRICS_LABEL_TABLE(METRICS_LABEL)
#undef METRICS_LABEL
        METRICS_LABEL_COUNT
};

/* A histogram's bucket i holds values up to 64 << i microseconds; the last one all that is above.
 * 64 us to 8.4 s by doubling: the bucket is a count of leading zeros, without a search. */
#define METRICS_BUCKET_SHIFT 6
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
    X(CONNECTIONS_ACCEPTED, "tidings_connections_accepted_total", COUNTER, COUNT, NONE, NONE,      \
      "Connections accepted on the public port")                                                   \
    X(CONNECTIONS_CLOSED, "tidings_connections_closed_total", COUNTER, COUNT, PROTOCOL, REASON,    \
      "Connections that ended, by what they spoke last and why")                                   \
    X(ACCEPT_PAUSES, "tidings_accept_pauses_total", COUNTER, COUNT, NONE, NONE,                    \
      "Times accepting paused because descriptors or connections were used up")                    \
    X(RECEIVED_BYTES, "tidings_received_bytes_total", COUNTER, BYTES, PROTOCOL, NONE,              \
      "Bytes read from sockets of the public port")                                                \
    X(SENT_BYTES, "tidings_sent_bytes_total", COUNTER, BYTES, PROTOCOL, NONE,                      \
      "Bytes written to sockets of the public port")                                               \
    X(WRITES, "tidings_writes_total", COUNTER, COUNT, PROTOCOL, NONE,                              \
      "System calls that wrote to sockets; far below deliveries where they are coalesced")         \
    X(HTTP_REQUESTS, "tidings_http_requests_total", COUNTER, COUNT, ROUTE, STATUS,                 \
      "HTTP requests answered on both ports, by class of route and of status")                     \
    X(BODIES, "tidings_bodies_bytes", GAUGE, BYTES, NONE, NONE,                                    \
      "Memory that request bodies take now")                                                       \
    X(PUBLISHES, "tidings_publishes_total", COUNTER, COUNT, RESULT, NONE,                          \
      "Publishes answered, by result (the slug of the error, or ok); a batch is one")              \
    X(PUBLISHED_MESSAGES, "tidings_published_messages_total", COUNTER, COUNT, PROTOCOL, NONE,      \
      "Messages of publishes that succeeded")                                                      \
    X(PUBLISHED_BYTES, "tidings_published_bytes_total", COUNTER, BYTES, PROTOCOL, NONE,            \
      "Payload bytes of publishes that succeeded")                                                 \
    X(PUBLISH_ANSWER, "tidings_publish_answer_seconds", HISTOGRAM, MICROSECONDS, NONE, NONE,       \
      "From the submission of a publish to its answer")                                            \
    X(READERS_OPEN, "tidings_readers_open", GAUGE, COUNT, PROTOCOL, NONE,                          \
      "Readers that stream now")                                                                   \
    X(READERS_OPENED, "tidings_readers_opened_total", COUNTER, COUNT, PROTOCOL, NONE,              \
      "Readers that began to stream")                                                              \
    X(DELIVERIES, "tidings_deliveries_total", COUNTER, COUNT, PROTOCOL, NONE,                      \
      "Frames with a message handed to sockets of readers")                                        \
    X(DELIVERED_BYTES, "tidings_delivered_bytes_total", COUNTER, BYTES, PROTOCOL, NONE,            \
      "Bytes of frames handed to sockets of readers")                                              \
    X(PUBLISH_TO_WRITE, "tidings_publish_to_write_seconds", HISTOGRAM, MICROSECONDS, NONE, NONE,   \
      "From a commit's arrival at a worker to the write of its frames")                            \
    X(GAPS, "tidings_gaps_total", COUNTER, COUNT, GAP, NONE,                                       \
      "Gaps that readers and pages were told, by reason")                                          \
    X(SKIPPED, "tidings_skipped_messages_total", COUNTER, COUNT, NONE, NONE,                       \
      "Messages that conflation left out")                                                         \
    X(WATCHES, "tidings_watches_open", GAUGE, COUNT, NONE, NONE,                                   \
      "Requests that wait for a next message now")                                                 \
    X(PAGES_READ, "tidings_pages_read_total", COUNTER, COUNT, NONE, NONE,                          \
      "Pages read from the log")                                                                   \
    X(CATCH_UP_READS, "tidings_catch_up_reads_total", COUNTER, COUNT, NONE, NONE,                  \
      "Pages asked for by readers that stood behind the tail")                                     \
    X(READS_WAITING, "tidings_reads_waiting", GAUGE, COUNT, NONE, NONE,                            \
      "Reads that wait for a read thread now")                                                     \
    X(FEEDS_OPEN, "tidings_feeds_open", GAUGE, COUNT, NONE, NONE,                                  \
      "Feeds that somebody reads now, each worker's counted")                                      \
    X(PATTERN_FEEDS_OPEN, "tidings_pattern_feeds_open", GAUGE, COUNT, NONE, NONE,                  \
      "Those of them that are of a pattern: each new message is matched against these")            \
    X(TAILS_BYTES, "tidings_tails_bytes", GAUGE, BYTES, NONE, NONE,                                \
      "Memory of the newest messages that workers keep for their feeds")                           \
    X(COMMITS_MISSED, "tidings_commits_missed_total", COUNTER, COUNT, NONE, NONE,                  \
      "Times a worker fell behind the log and its readers went to the disk")                       \
    X(TURNS, "tidings_turns_total", COUNTER, COUNT, THREAD, NONE, "Turns of a thread's loop")      \
    X(MAILBOX_LETTERS, "tidings_mailbox_letters", GAUGE, COUNT, THREAD, NONE,                      \
      "Letters that wait in a thread's mailbox now")                                               \
    X(LOG_COMMITS, "tidings_log_commits_total", COUNTER, COUNT, NONE, NONE,                        \
      "Commits: journal writes, each of all publishes that waited")                                \
    X(LOG_MESSAGES, "tidings_log_messages_total", COUNTER, COUNT, NONE, NONE,                      \
      "Messages that the log ordered since the start")                                             \
    X(LOG_REFUSED, "tidings_log_refused_total", COUNTER, COUNT, NONE, NONE,                        \
      "Publishes that the log refused")                                                            \
    X(LOG_SYNCS, "tidings_log_syncs_total", COUNTER, COUNT, NONE, NONE,                            \
      "Times the journal was put on the disk, each for all messages that asked")                   \
    X(LOG_WAITING, "tidings_log_waiting", GAUGE, COUNT, NONE, NONE,                                \
      "Publishes that wait for the log thread now")                                                \
    X(LOG_CHANNELS, "tidings_log_channels", GAUGE, COUNT, NONE, NONE,                              \
      "Channels that the log knows")                                                               \
    X(LOG_REPEATS, "tidings_log_idempotency_keys", GAUGE, COUNT, NONE, NONE,                       \
      "Idempotency keys that the log keeps to know a repeated publish")                            \
    X(LOG_REPEATED, "tidings_log_repeated_total", COUNTER, COUNT, NONE, NONE,                      \
      "Publishes that repeated an earlier one: answered alike, and nothing was stored")            \
    X(JOURNAL_BYTES, "tidings_journal_bytes", GAUGE, BYTES, NONE, NONE,                            \
      "Bytes of the journal's files")                                                              \
    X(JOURNAL_FILES, "tidings_journal_files", GAUGE, COUNT, NONE, NONE, "Files of the journal")    \
    X(JOURNAL_APPEND, "tidings_journal_last_append_seconds", GAUGE, MICROSECONDS, NONE, NONE,      \
      "How long the newest write to the journal took")                                             \
    X(JOURNAL_SYNC, "tidings_journal_last_sync_seconds", GAUGE, MICROSECONDS, NONE, NONE,          \
      "How long the newest sync of the journal took")                                              \
    X(OPEN_BATCH_BYTES, "tidings_open_batch_bytes", GAUGE, BYTES, NONE, NONE,                      \
      "Messages that are in the journal and not yet in LMDB, in bytes")                            \
    X(OPEN_BATCH_MESSAGES, "tidings_open_batch_messages", GAUGE, COUNT, NONE, NONE,                \
      "Messages that are in the journal and not yet in LMDB")                                      \
    X(STORE_USED, "tidings_store_used_bytes", GAUGE, BYTES, NONE, NONE,                            \
      "Bytes that LMDB uses inside its file")                                                      \
    X(STORE_FILE, "tidings_store_file_bytes", GAUGE, BYTES, NONE, NONE, "Size of LMDB's file")     \
    X(STORE_SEGMENTS, "tidings_store_segments", GAUGE, COUNT, NONE, NONE,                          \
      "Segments of the log in LMDB")                                                               \
    X(STORE_CHANNELS, "tidings_store_channels", GAUGE, COUNT, NONE, NONE,                          \
      "Channels that have a row in LMDB")                                                          \
    X(FOLDS, "tidings_folds_total", COUNTER, COUNT, NONE, NONE,                                    \
      "Times the open batch was put into LMDB")                                                    \
    X(FOLD_LAST, "tidings_last_fold_seconds", GAUGE, MICROSECONDS, NONE, NONE,                     \
      "How long the newest fold took")                                                             \
    X(POSITION_READABLE, "tidings_position_readable", GAUGE, COUNT, NONE, NONE,                    \
      "The newest position of the log that may be read")                                           \
    X(POSITION_FOLDED, "tidings_position_folded", GAUGE, COUNT, NONE, NONE,                        \
      "The newest position of the log that is in LMDB")                                            \
    X(MEMORY_ANONYMOUS, "tidings_memory_anonymous_bytes", GAUGE, BYTES, NONE, NONE,                \
      "Resident memory without mapped files (RssAnon); LMDB's pages are the kernel's")             \
    X(READY, "tidings_ready", GAUGE, COUNT, NONE, NONE,                                            \
      "1 when the broker takes traffic, as /readyz says")                                          \
    X(DRAINING, "tidings_draining", GAUGE, COUNT, NONE, NONE, "1 when the broker goes down")       \
    X(PROCESS_CPU, "process_cpu_seconds_total", COUNTER, MILLISECONDS, NONE, NONE,                 \
      "Processor time of the process, user and system")                                            \
    X(PROCESS_OPEN_FDS, "process_open_fds", GAUGE, COUNT, NONE, NONE, "Open file descriptors")     \
    X(PROCESS_MAX_FDS, "process_max_fds", GAUGE, COUNT, NONE, NONE,                                \
      "Most file descriptors that may be open")                                                    \
    X(PROCESS_VIRTUAL, "process_virtual_memory_bytes", GAUGE, BYTES, NONE, NONE,                   \
      "Virtual memory; most of it is LMDB's map")                                                  \
    X(PROCESS_RESIDENT, "process_resident_memory_bytes", GAUGE, BYTES, NONE, NONE,                 \
      "Resident memory")                                                                           \
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

/* How many values a label has; 1 for NONE and for THREAD. */
size_t metrics_label_count(enum metrics_label label);

/* "websocket". Not for NONE and THREAD, which have no closed list. */
const char *metrics_label_value(enum metrics_label label, size_t index);

/* The protocol of that name (struct protocol has it); METRICS_PROTOCOL_OTHER for any other. */
enum metrics_protocol metrics_find_protocol(const char *name);

/* The class of an HTTP status; what is none counts as 5xx. */
enum metrics_status metrics_status_of(unsigned status);

/* SPDX-License-Identifier: Apache-2.0 */
/* log_event.h — every line that the broker can log as one row: its name, level, keys and meaning.
 *
 * Place:   expanded here into the types that log_event() of logger.h takes; walked by the line's
 *          writer, by the reference page docs/reference/logs.md and by the tests.
 * Thread:  constants.
 * Bounds:  these rows; LOG_TEXTS_MAX texts in one of them, so that each line fits.
 *
 * A name that has no row, a key that the row has not, and a value of another type do not compile.
 * Names and keys are an interface: alerts are written against them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

#define LOG_TEXTS_MAX 7

/* X(event, level, what happened: on each line; what it means and what to do: on the page; keys)
 *
 * A key is LOG_COUNT (uint64_t), LOG_SWITCH (bool), LOG_TEXT (const char *) or LOG_SPAN (struct
 * span). Texts that are empty are left out of the line. No payload, and nothing that is secret. */
#define LOG_EVENT_TABLE(X)                                                                         \
    X(STARTED, INFO, "the broker takes traffic", "The start is over and the ports are open.",      \
      LOG_TEXT(version) LOG_TEXT(public_listen) LOG_TEXT(operator_listen) LOG_TEXT(mqtt_listen)    \
          LOG_TEXT(data) LOG_COUNT(workers) LOG_SWITCH(open))                                      \
    X(START_FAILED, ERROR, "the broker does not start",                                            \
      "The detail says what stands in the way; the process ends with 1.", LOG_TEXT(detail))        \
    X(STOPPING, INFO, "a signal asked for the end",                                                \
      "Readers are told to come back, publishes under way are answered, what is not folded yet "   \
      "is folded.",                                                                                \
      LOG_COUNT(signal) LOG_COUNT(connections))                                                    \
    X(REVOKED, INFO, "tokens were revoked",                                                        \
      "The operator asked for it: `claim` is jti, sub or tenant. So many connections were ended.", \
      LOG_TEXT(claim) LOG_SPAN(name) LOG_SPAN(tenant) LOG_COUNT(connections))                      \
    X(REVOCATION_LIFTED, INFO, "a revocation was taken back", "The operator asked for it.",        \
      LOG_TEXT(claim) LOG_SPAN(name) LOG_SPAN(tenant))                                             \
    X(USAGE_NOT_READ, WARNING, "what a tenant has used is not known",                              \
      "Its stored counters are of a later version, or there are too many tenants; it is counted "  \
      "from zero.",                                                                                \
      LOG_SPAN(tenant))                                                                            \
    X(DRAINING, INFO, "the broker goes out of service",                                            \
      "The operator asked for it: /readyz is 503, and readers are told to go, evenly over "        \
      "`over_ms`. The process goes on.",                                                           \
      LOG_COUNT(over_ms) LOG_COUNT(connections))                                                   \
    X(DRAIN_ENDED, INFO, "the broker is back in service",                                          \
      "The operator ended the drain: who was not told to go stays.", LOG_COUNT(connections))       \
    X(DRAIN_OVER, INFO, "connections were cut off that did not end by themselves",                 \
      "They had not read their goodbye in time; a line a worker.", LOG_COUNT(connections))         \
    X(STOPPED, INFO, "the broker has ended", "The last line of a process that ended as told.",     \
      LOG_COUNT(exit_code) LOG_COUNT(took_ms))                                                     \
    X(RELOADED, INFO, "the configuration was read again",                                          \
      "The rules of channels, `auth`, `tenants` and log.level changed at once. `waiting` names "   \
      "what differs from what the broker runs with and waits for the next start.",                 \
      LOG_COUNT(rules) LOG_TEXT(waiting))                                                          \
    X(AUTH_RELOADED, INFO, "who may do what is other than before",                                 \
      "A reload brought another `auth`, or another key in a file that it names. `ended` "          \
      "connections were told to go: the row that let them in is gone, or is another.",             \
      LOG_COUNT(ended))                                                                            \
    X(RELOAD_REFUSED, ERROR, "the old configuration stays",                                        \
      "The new one has faults, each of which is a line before this one (`tidings check` tells "    \
      "them too); or there were so many reloads that a restart is needed, or no memory for it.",   \
      LOG_COUNT(faults) LOG_TEXT(reason))                                                          \
    X(CONFIGURATION_FAULT, ERROR, "the configuration has a fault",                                 \
      "One fault of a configuration that was refused at a reload.",                                \
      LOG_TEXT(source) LOG_COUNT(line) LOG_COUNT(column) LOG_TEXT(key) LOG_TEXT(reason))           \
    X(METRICS_FULL, WARNING, "a channel rule has no series of its own",                            \
      "More rules with `metrics: true` were loaded since the start than have room: `match` is "    \
      "not counted until a restart.",                                                              \
      LOG_TEXT(match))                                                                             \
    X(LINES_SUPPRESSED, WARNING, "lines were held back",                                           \
      "So many lines of the event `of` came too fast and none has followed to say so.",            \
      LOG_TEXT(of) LOG_COUNT(suppressed))                                                          \
    X(STORAGE_OPENED, INFO, "the data directory is open",                                          \
      "`clean`: the last end was as it should be; else a generation begins, and `replayed` "       \
      "records came back from the journal. `position` is the log's newest.",                       \
      LOG_TEXT(data) LOG_SWITCH(clean) LOG_COUNT(generation) LOG_COUNT(position)                   \
          LOG_COUNT(replayed) LOG_COUNT(channels) LOG_COUNT(took_ms))                              \
    X(JOURNAL_TAIL_TORN, WARNING, "the journal breaks off inside a record",                        \
      "What an unclean end left half written and had not answered (or answered as `async` "        \
      "before a power cut) is gone. Ids behind `position` are answered with a gap.",               \
      LOG_TEXT(file) LOG_COUNT(byte) LOG_COUNT(lost_bytes) LOG_COUNT(position))                    \
    X(JOURNAL_PUBLISH_LOST, WARNING, "the journal ends inside a publish",                          \
      "A publish of several messages is all or none: its beginning was dropped.",                  \
      LOG_COUNT(position) LOG_COUNT(messages) LOG_COUNT(missing))                                  \
    X(JOURNAL_FILE_LOST, WARNING, "a file of the journal is behind the log's end",                 \
      "It belongs to a tail that a power cut destroyed and is passed over.",                       \
      LOG_COUNT(position_first) LOG_COUNT(position))                                               \
    X(JOURNAL_NOT_REMOVED, WARNING, "a folded file of the journal stays",                          \
      "It takes room on the disk, and the next start passes it over.", LOG_TEXT(detail))           \
    X(STORAGE_FAILED, ERROR, "nothing is stored until a new start",                                \
      "A write or sync failed in a way that a second try cannot mend. Look at the disk.",          \
      LOG_TEXT(part))                                                                              \
    X(STORAGE_END_UNCLEAN, WARNING, "the data directory could not be closed as clean",             \
      "The next start replays the journal and begins a generation.", LOG_TEXT(detail))             \
    X(STORAGE_LIMIT_REACHED, WARNING, "the oldest messages went to make room",                     \
      "Channels hold more than storage.bytes_max allows: `segments` were dropped before their "    \
      "retention asked for it, and readers behind `position` are told a gap. Raise the limit or "  \
      "lower the history of the rules.",                                                           \
      LOG_COUNT(segments) LOG_COUNT(position) LOG_COUNT(bytes_max))                                \
    X(OBJECT_FULL, WARNING, "a state has no room for what happened last",                          \
      "Of a session (kind 1) or a group (kind 2) the last steps are not kept, until its whole "    \
      "state is written again. Of a tenant's, `name` has the tenant between \\u0001 and a slash.", \
      LOG_COUNT(kind) LOG_SPAN(name) LOG_COUNT(bytes_max))                                         \
    X(DISK_FULL, WARNING, "nothing is published until there is room",                              \
      "Publishes are refused with 507, reading goes on. Retention makes room by itself; else "     \
      "free some.",                                                                                \
      LOG_COUNT(reserve_bytes))                                                                    \
    X(DISK_HAS_ROOM, INFO, "the disk has room again", "Publishes are taken again.",                \
      LOG_COUNT(reserve_bytes))                                                                    \
    X(DISK_FAILED, ERROR, "the process ends because the disk failed",                              \
      "All that was answered is in the journal; the next start reads what the disk holds.",        \
      LOG_COUNT(exit_code))                                                                        \
    X(DISK_SLOW, WARNING, "the disk took long",                                                    \
      "`step` is `append` (publishers wait), `sync` (those who asked for fsync wait) or `fold` "   \
      "(the journal grows). Something else uses the disk, or it is too slow.",                     \
      LOG_TEXT(step) LOG_COUNT(took_ms))                                                           \
    X(APPEND_FAILED, ERROR, "publishes could not be written",                                      \
      "They were refused. Said once until a write succeeds.",                                      \
      LOG_COUNT(messages) LOG_TEXT(code) LOG_TEXT(detail))                                         \
    X(SYNC_FAILED, ERROR, "the process ends because a sync failed",                                \
      "After a failed fdatasync nobody knows what is on the disk but a new start.",                \
      LOG_TEXT(detail))                                                                            \
    X(FOLD_FAILED, ERROR, "the journal could not be folded",                                       \
      "Tried again each second. Once the open batch is full publishes are refused.",               \
      LOG_TEXT(code) LOG_TEXT(detail))                                                             \
    X(FOLD_RECOVERED, INFO, "the journal is folded again", "After so many failures.",              \
      LOG_COUNT(failures))                                                                         \
    X(OPEN_BATCH_FULL, WARNING, "publishers wait for the fold",                                    \
      "Messages come faster than the disk takes them.", LOG_COUNT(bytes_max))                      \
    X(RETAIN_FAILED, ERROR, "old messages could not be removed",                                   \
      "Tried again each second; meanwhile the data grows.", LOG_TEXT(code) LOG_TEXT(detail))       \
    X(READ_FAILED, WARNING, "a page could not be read from the log",                               \
      "Its readers were told and may come back.", LOG_TEXT(code) LOG_TEXT(detail))                 \
    X(GROUPS_RESTORED, INFO, "groups were brought back",                                           \
      "They wait for their members where they stood.", LOG_COUNT(groups))                          \
    X(GROUP_NOT_RESTORED, ERROR, "a group could not be brought back",                              \
      "Its members begin a new one.",                                                              \
      LOG_SPAN(group) LOG_SPAN(filter) LOG_SPAN(tenant) LOG_TEXT(code))                            \
    X(GROUP_NOT_STORED, WARNING, "what a group has done could not be stored",                      \
      "Tried again each second. A new start would give again what was done with since.",           \
      LOG_SPAN(group) LOG_SPAN(filter) LOG_SPAN(tenant) LOG_TEXT(code))                            \
    X(ACCEPT_PAUSED, WARNING, "connections wait because the system gives no more",                 \
      "`error` is the system's: raise the limit of descriptors (ulimit -n) or its memory.",        \
      LOG_TEXT(error) LOG_COUNT(connections))                                                      \
    X(CONNECTIONS_FULL, WARNING, "connections wait because limits.connections is reached",         \
      "They are in the kernel's queue until others end.", LOG_COUNT(connections))                  \
    X(CONNECTION_REFUSED, WARNING, "a connection was closed at once",                              \
      "`reason` is `too_many` (LIMIT_REACHED says which limit) or `memory`.", LOG_TEXT(reason))    \
    X(LIMIT_REACHED, WARNING, "a limit turned somebody away",                                      \
      "`limit` is what the configuration calls it and `most` what it is set to; `identity` is "    \
      "who it was, as far as it is known. tidings_limits_refused_total counts each.",              \
      LOG_TEXT(limit) LOG_COUNT(most) LOG_TEXT(protocol) LOG_TEXT(peer) LOG_TEXT(identity))        \
    X(MEMORY_SHORT, WARNING, "memory is short",                                                    \
      "Of limits.memory so much is used that from now on new connections are refused (`stage` "    \
      "1), publishes too (2), or the readers that lag most are closed (3).",                       \
      LOG_COUNT(stage) LOG_COUNT(used_bytes) LOG_COUNT(bytes_max))                                 \
    X(MEMORY_ENOUGH, INFO, "there is enough memory again", "Everything is taken again.",           \
      LOG_COUNT(used_bytes) LOG_COUNT(bytes_max))                                                  \
    X(MEMORY_SHED, WARNING, "readers were closed because memory is short",                         \
      "Those of a worker that hold most, or lag most; they may resume from their last id. "        \
      "`kept_most_bytes` were kept for one of them.",                                              \
      LOG_COUNT(connections) LOG_COUNT(kept_most_bytes))                                           \
    X(CONNECTION_STALLED, WARNING, "a peer took nothing for limits.stall_timeout",                 \
      "It was closed with so much unsent. It may resume from its last id.",                        \
      LOG_TEXT(peer) LOG_SPAN(client_id) LOG_TEXT(protocol) LOG_COUNT(unsent_bytes))               \
    X(TLS_REFUSED, INFO, "a TLS handshake failed",                                                 \
      "`reason` is OpenSSL's: the peer speaks no TLS (`http request`), offers only what is out "   \
      "of date (`unsupported protocol`, `no shared cipher`), does not trust our certificate "      \
      "(`… alert unknown ca`) or shows none that we trust (`certificate verify failed`).",         \
      LOG_TEXT(peer) LOG_TEXT(reason))                                                             \
    X(TLS_CERTIFICATE_LOADED, INFO, "a certificate is in force",                                   \
      "New connections get it; those that are open keep theirs.",                                  \
      LOG_TEXT(file) LOG_TEXT(subject) LOG_TEXT(expires))                                          \
    X(TLS_CERTIFICATE_EXPIRED, WARNING, "the certificate has expired",                             \
      "Clients will refuse it. Put a new one in its place and reload.",                            \
      LOG_TEXT(file) LOG_TEXT(expires))                                                            \
    X(TLS_KEY_EXPOSED, WARNING, "others may read the file of a private key",                       \
      "Or its group may write it: chmod 640, or 600.", LOG_TEXT(file))                             \
    X(TLS_NOT_RELOADED, ERROR, "the old certificate stays",                                        \
      "The files could not be read again; the detail says which and why.", LOG_TEXT(detail))       \
    X(RUNS_AS_ROOT, WARNING, "the broker runs as root",                                            \
      "It does not need to: name an account in `user`, or start it as one.", LOG_TEXT(user))       \
    X(CONNECTION_CLOSED, DEBUG, "a connection ended", "`reason` as in the metrics.",               \
      LOG_TEXT(peer) LOG_SPAN(client_id) LOG_TEXT(protocol) LOG_TEXT(reason) LOG_COUNT(sent_bytes) \
          LOG_COUNT(open_ms))                                                                      \
    X(READER_TOO_SLOW, WARNING, "a reader was disconnected because it fell behind",                \
      "Its policy is on_lag=disconnect. `channels` are its selectors, `positions` how far the "    \
      "log has gone on without it.",                                                               \
      LOG_TEXT(peer) LOG_SPAN(client_id) LOG_TEXT(protocol) LOG_COUNT(channels)                    \
          LOG_COUNT(positions))                                                                    \
    X(SESSION_TAKEN_OVER, INFO, "a client id was claimed by another connection",                   \
      "The connection that had it was told to go. Where this goes on and on, two clients have "    \
      "the same id.",                                                                              \
      LOG_SPAN(client_id) LOG_SPAN(tenant))                                                        \
    X(SESSION_NOT_THEIRS, INFO, "a client id that is another's was claimed",                       \
      "The session was made by another identity, which still has it: the claimer is refused "      \
      "(not authorized), the owner hears nothing of it.",                                          \
      LOG_SPAN(client_id) LOG_SPAN(tenant) LOG_SWITCH(connected))                                  \
    X(SESSION_EXPIRED, DEBUG, "a session ended because its client stayed away",                    \
      "It had been away for its session expiry. A client that comes back begins anew.",            \
      LOG_SPAN(client_id) LOG_SPAN(tenant) LOG_COUNT(away_ms))                                     \
    X(SESSION_DISMISSED, INFO, "the operator ended a session",                                     \
      "A client that has it is told to go.",                                                       \
      LOG_SPAN(client_id) LOG_SPAN(tenant) LOG_SWITCH(connected))                                  \
    X(SESSIONS_FULL, WARNING, "a new session was refused",                                         \
      "There are mqtt.sessions_max sessions, or those that are away take too much memory. Raise "  \
      "the limit, or lower mqtt.session_expiry_max.",                                              \
      LOG_SPAN(client_id) LOG_SPAN(tenant) LOG_COUNT(sessions) LOG_COUNT(state_bytes))             \
    X(SESSION_UNREADABLE, ERROR, "a stored session cannot be read",                                \
      "It is of a later version, or damaged, and left as it is. Its client begins anew.",          \
      LOG_SPAN(client_id) LOG_SPAN(tenant))                                                        \
    X(SESSION_NOT_STORED, ERROR, "the end or the state of a session was not stored",               \
      "The disk took nothing for long. The next start may find the session as it was before; a "   \
      "will that was due is lost.",                                                                \
      LOG_SPAN(client_id) LOG_SPAN(tenant) LOG_TEXT(code))                                         \
    X(ORIGIN_REFUSED, WARNING, "a page or host was refused",                                       \
      "`misdirected`: `host` is none of public.hosts (DNS rebinding, or a name that is missing "   \
      "there). `forbidden-origin`: a page of `origin` may not use the broker; list it in "         \
      "public.origins if it should.",                                                              \
      LOG_TEXT(peer) LOG_TEXT(code) LOG_SPAN(host) LOG_SPAN(origin) LOG_SPAN(fetch_site)           \
          LOG_SPAN(path))                                                                          \
    X(AUTH_REFUSED, INFO, "somebody was not let in",                                               \
      "`detail` names the claim or the row of the configuration. Nothing of the credentials is "   \
      "ever logged. Many of these lines are somebody who guesses, or an issuer whose keys "        \
      "changed.",                                                                                  \
      LOG_TEXT(peer) LOG_TEXT(protocol) LOG_TEXT(credentials) LOG_TEXT(code) LOG_TEXT(detail))     \
    X(JWKS_FETCHED, INFO, "keys of an issuer were fetched",                                        \
      "Said the first time, when there are more or fewer keys, and after failures.",               \
      LOG_TEXT(url) LOG_COUNT(keys) LOG_COUNT(failures))                                           \
    X(JWKS_FAILED, WARNING, "keys of an issuer could not be fetched",                              \
      "Those that were fetched before stay good; tried again in a minute at most. Without any, "   \
      "all tokens of the issuer are refused.",                                                     \
      LOG_TEXT(url) LOG_COUNT(status) LOG_TEXT(code) LOG_TEXT(detail) LOG_COUNT(failures)          \
          LOG_COUNT(keys))                                                                         \
    X(WEBHOOK_FAILED, WARNING, "the application did not answer a question",                        \
      "auth.webhook did not say yes or no; auth.webhook.when_down decides.",                       \
      LOG_TEXT(url) LOG_COUNT(status) LOG_TEXT(code) LOG_TEXT(detail))                             \
    X(SINK_STATE, INFO, "a sink is in another state",                                              \
      "It is `live` again, or was paused. The channel $events/sinks/NAME tells it, too.",          \
      LOG_TEXT(sink) LOG_TEXT(state) LOG_TEXT(before))                                             \
    X(SINK_TROUBLE, WARNING, "a sink does not get rid of its messages",                            \
      "`broken`: what it sends to does not take them, and is tried again by itself; nothing is "   \
      "lost meanwhile but what the channels' retention takes. `disabled`: not before it is "       \
      "resumed. `detail` says what came back last.",                                               \
      LOG_TEXT(sink) LOG_TEXT(state) LOG_TEXT(before) LOG_COUNT(status) LOG_TEXT(detail))          \
    X(SINK_DEAD_LETTER, WARNING, "a sink has given a message up",                                  \
      "After its last attempt, or because it will never be taken. It is in the channel "           \
      "$dlq/NAME, from where it can be sent again.",                                               \
      LOG_TEXT(sink) LOG_SPAN(channel) LOG_SPAN(tenant) LOG_SPAN(id) LOG_COUNT(attempts)           \
          LOG_COUNT(status) LOG_TEXT(detail))                                                      \
    X(SINK_GAP, WARNING, "messages were gone before a sink could send them",                       \
      "Retention, a delete or storage.bytes_max took them; it goes on behind. `from` and `to` "    \
      "are offsets of a channel, where they are known.",                                           \
      LOG_TEXT(sink) LOG_SPAN(selector) LOG_TEXT(reason) LOG_COUNT(from) LOG_COUNT(to))            \
    X(SINK_NOT_STORED, WARNING, "where a sink stands could not be stored",                         \
      "Tried again each second. A new start would send again what was sent since.",                \
      LOG_TEXT(sink) LOG_TEXT(code) LOG_TEXT(detail))                                              \
    X(SINK_NOT_MADE, ERROR, "a sink is not there",                                                 \
      "Its row, or what is stored of it, could not be read, or there is no memory: nothing is "    \
      "sent. What is stored stays.",                                                               \
      LOG_TEXT(sink) LOG_TEXT(code) LOG_TEXT(detail))                                              \
    X(SOURCE_NOT_MADE, ERROR, "a source is not there",                                             \
      "`detail` says why: nothing comes from it.",                                                 \
      LOG_TEXT(source) LOG_TEXT(code) LOG_TEXT(detail))                                            \
    X(PUBLISH_FAILED, WARNING, "a publish was refused through no fault of its own",                \
      "The status was 5xx: the broker is busy, drains, or its disk is full.",                      \
      LOG_TEXT(peer) LOG_SPAN(channel) LOG_SPAN(tenant) LOG_TEXT(code) LOG_TEXT(detail)            \
          LOG_SPAN(trace_id))                                                                      \
    X(MQTT_REFUSED, INFO, "an MQTT client was refused",                                            \
      "What it sent breaks the protocol, or asks for what is not granted; the connection ended. "  \
      "`statement` is the normative statement of the specification.",                              \
      LOG_TEXT(peer) LOG_SPAN(client_id) LOG_TEXT(statement) LOG_TEXT(detail))                     \
    X(MQTT_PUBLISH_REFUSED, DEBUG, "a publish of an MQTT client was refused",                      \
      "The client was told by a reason code, or MQTT_PUBLISH_DROPPED stands before it.",           \
      LOG_TEXT(peer) LOG_SPAN(client_id) LOG_SPAN(channel) LOG_SPAN(tenant) LOG_TEXT(code)         \
          LOG_TEXT(detail))                                                                        \
    X(MQTT_PUBLISH_DROPPED, INFO, "a publish of an MQTT client was refused, and it is not told",   \
      "With 3.1.1, or QoS 0. It counts as acknowledged; where it was too large and not of QoS 0, " \
      "the connection ended instead. Further ones of the connection are MQTT_PUBLISH_REFUSED.",    \
      LOG_TEXT(peer) LOG_SPAN(client_id) LOG_SPAN(channel) LOG_SPAN(tenant) LOG_TEXT(code)         \
          LOG_TEXT(detail))                                                                        \
    X(MQTT_FILTER_DROPPED, INFO, "a session came back, and may not read all that it did",          \
      "The subscription is taken off: `detail` says what rule does not allow it any more.",        \
      LOG_SPAN(client_id) LOG_SPAN(filter) LOG_SPAN(tenant) LOG_TEXT(detail))                      \
    X(MQTT_SESSION_LOST, ERROR, "a session of an MQTT client begins anew",                         \
      "Its stored state could not be read (`detail`), or not be kept: what it subscribed to and "  \
      "what was in flight is gone.",                                                               \
      LOG_SPAN(client_id) LOG_SPAN(tenant) LOG_TEXT(detail))                                       \
    X(SOURCE_UP, INFO, "a source reads",                                                           \
      "Said at the start, and when it reads again after SOURCE_DOWN.",                             \
      LOG_TEXT(source) LOG_TEXT(driver))                                                           \
    X(SOURCE_DOWN, WARNING, "a source cannot read",                                                \
      "The other system is not there, or refuses; `detail` is its word. It is tried again, from "  \
      "the same position.",                                                                        \
      LOG_TEXT(source) LOG_TEXT(driver) LOG_TEXT(detail) LOG_COUNT(retry_ms))                      \
    X(SOURCE_WAITS, WARNING, "what a source brought could not be published",                       \
      "The disk is full, a quota is used up, or the log is overloaded: it waits and is tried "     \
      "again; nothing more is read meanwhile.",                                                    \
      LOG_TEXT(source) LOG_TEXT(code) LOG_TEXT(detail) LOG_COUNT(retry_ms))                        \
    X(SOURCE_PASSED_OVER, WARNING, "a record of a source was not published",                       \
      "No channel takes it: its name breaks the rules, or it is too large. Counted as refused; "   \
      "the source goes on behind it. `partition` and `at` say which it was.",                      \
      LOG_TEXT(source) LOG_SPAN(topic) LOG_SPAN(partition) LOG_SPAN(at) LOG_TEXT(code)             \
          LOG_TEXT(detail))                                                                        \
    X(SOURCE_GAP, WARNING, "records were gone before a source read them",                          \
      "The other system keeps less than what the source has still to read. It goes on with the "   \
      "first that is kept; also told on `$events/sources/NAME`. `records` is 0 where it is not "   \
      "known.",                                                                                    \
      LOG_TEXT(source) LOG_SPAN(partition) LOG_COUNT(records) LOG_TEXT(detail))                    \
    X(REQUEST, DEBUG, "a request was answered", "One line a request, on both ports.",              \
      LOG_TEXT(peer) LOG_SPAN(method) LOG_SPAN(path) LOG_COUNT(status) LOG_COUNT(body_bytes)       \
          LOG_SPAN(trace_id))                                                                      \
    X(INVARIANT_BROKEN, ERROR, "the broker aborts because it is not what it should be",            \
      "A defect: report it with this line. A new start recovers what was answered.",               \
      LOG_TEXT(claim) LOG_TEXT(file) LOG_COUNT(line))

enum log_event {
#define LOG_EVENT(event, ...) LOG_EVENT_##event,
    LOG_EVENT_TABLE(LOG_EVENT)
#undef LOG_EVENT
        LOG_EVENT_NUMBER
};

/* Each value has a slot of the same size, in the order of the keys: so a line is written from a
 * pointer and the row. */
#define LOG_SLOT_BYTES 16
#define LOG_COUNT(key) _Alignas(LOG_SLOT_BYTES) uint64_t key;
#define LOG_SWITCH(key) _Alignas(LOG_SLOT_BYTES) bool key;
#define LOG_TEXT(key) _Alignas(LOG_SLOT_BYTES) const char *key;
#define LOG_SPAN(key) _Alignas(LOG_SLOT_BYTES) struct span key;
#define LOG_VALUES(event, level, happened, advice, keys)                                           \
    struct log_values_##event {                                                                    \
        keys                                                                                       \
    };
LOG_EVENT_TABLE(LOG_VALUES)
#undef LOG_VALUES
#undef LOG_COUNT
#undef LOG_SWITCH
#undef LOG_TEXT
#undef LOG_SPAN

enum log_kind { LOG_KIND_COUNT, LOG_KIND_SWITCH, LOG_KIND_TEXT, LOG_KIND_SPAN };

struct log_key {
    const char *name;
    enum log_kind kind;
};

struct log_event_row {
    const char *name;
    enum log_level level;
    const char *happened;
    const char *advice;
    const struct log_key *keys;
    size_t key_count;
};

extern const struct log_event_row log_event_rows[LOG_EVENT_NUMBER];

/* "warning": what the configuration calls it, too. */
const char *log_level_name(enum log_level level);

/* Appends the whole of docs/reference/logs.md. ERR_TOO_LARGE, ERR_MEMORY. */
#define LOG_REFERENCE_BYTES_MAX 65536
MUST_USE enum error_code log_event_put_reference(struct buffer *buffer);

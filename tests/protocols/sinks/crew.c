/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/sinks/crew.h"

#include <stdlib.h>

#include "tests/broker/config/load.h"

struct crew crew;

/* --- in front of storage, broker/runtime and sink.c ------------------------------------------- */

enum error_code __wrap_storage_each_object(struct storage *storage, enum storage_object_kind kind,
                                           storage_on_object *on_object, void *context,
                                           struct error *why);
void __wrap_storage_get_state(const struct storage *storage, struct storage_state *ret_state);
uint64_t __wrap_log_position_readable(const struct log *log);

enum error_code __wrap_storage_each_object(struct storage *storage, enum storage_object_kind kind,
                                           storage_on_object *on_object, void *context,
                                           struct error *why) {
    (void)storage;
    (void)why;
    const char *state = kind == STORAGE_OBJECT_SINK     ? crew.stored_row
                        : kind == STORAGE_OBJECT_LEDGER ? crew.stored_ledger
                                                        : NULL;
    if (crew.stored_name != NULL && state != NULL) {
        on_object(context, span_of_string(crew.stored_name), span_of_string(state));
    }
    return OK;
}

void __wrap_storage_get_state(const struct storage *storage, struct storage_state *ret_state) {
    (void)storage;
    *ret_state = (struct storage_state){.position_next = HEAD + 1};
}

uint64_t __wrap_log_position_readable(const struct log *log) {
    (void)log;
    return crew.readable;
}

enum error_code sink_create(struct sinks *sinks, const struct sink_row *row, bool owns_row,
                            struct span record, struct sink **ret_sink, struct error *why) {
    struct sink_row *owned = owns_row ? (struct sink_row *)row : NULL;
    if (crew.making != OK) {
        declaration_destroy(owned);
        return error_set(why, crew.making, "no sink");
    }
    EXPECT_TRUE(crew.made_count < SINKS_MADE_MAX && record.length < RECORD_BYTES_MAX);
    struct sink *sink = &crew.made[crew.made_count++];
    *sink = (struct sink){.sinks = sinks, .row = row, .owned = owned};
    if (record.length > 0) {
        memcpy(sink->record, record.bytes, record.length);
    }
    *ret_sink = sink;
    return OK;
}

void sink_start(struct sink *sink) {
    sink->is_started = true;
    sink->interest.sink = sink;
    EXPECT_EQ(interests_put(&sink->sinks->interests, span_of_string(sink->row->channels.items[0]),
                            &sink->interest),
              OK);
}

void sink_destroy(struct sink *sink) {
    interests_remove(&sink->sinks->interests, &sink->interest);
    declaration_destroy(sink->owned);
    sink->is_gone = true;
}

void sink_abort(struct sink *sink) {
    if (sink != NULL) {
        sink_destroy(sink);
    }
}

void sink_end(struct sink *sink, bool is_ledger_wanted, void (*on_ended)(struct sink *sink)) {
    EXPECT_NULL(sink->on_ended);
    sink->is_ledger_wanted = is_ledger_wanted;
    sink->on_ended = on_ended;
}

bool sink_is_ending(const struct sink *sink) {
    return sink->on_ended != NULL;
}

const struct sink_row *sink_row(const struct sink *sink) {
    return sink->row;
}

struct span sink_name(const struct sink *sink) {
    return span_of_string(sink->row->name);
}

struct sinks *sink_owner(const struct sink *sink) {
    return sink->sinks;
}

/* It goes on from what it was made of. */
enum error_code sink_put_ledger(const struct sink *sink, struct buffer *buffer) {
    TRY(buffer_put(buffer, span_of_string(sink->record)));
    return buffer_put_byte(buffer, '+');
}

void sink_on_message(struct sink *sink, struct message *message) {
    (void)message;
    sink->message_count++;
}

void sink_on_delete(struct sink *sink, struct message *message) {
    (void)message;
    sink->delete_count++;
}

void sink_on_missed(struct sink *sink) {
    sink->missed_count++;
}

enum error_code __wrap_log_submit(struct log *log, struct publish *publish);

enum error_code __wrap_log_submit(struct log *log, struct publish *publish) {
    (void)log;
    EXPECT_NULL(crew.publish);
    crew.publish = crew.submitting == OK ? publish : NULL;
    return crew.submitting;
}

void sink_pause(struct sink *sink, struct sinks_question *question) {
    (void)sink;
    (void)question;
}

void sink_resume(struct sink *sink, struct sinks_question *question) {
    sinks_answer_with(sink->sinks, question, OK, "");
}

void sink_replay(struct sink *sink, struct sinks_question *question) {
    (void)sink;
    (void)question;
}

void sink_test(struct sink *sink, struct sinks_question *question) {
    (void)sink;
    (void)question;
}

void sink_get_figures(const struct sink *sink, struct sink_figures *ret_figures) {
    (void)sink;
    (void)ret_figures;
}

void sink_measure(struct sink *sink) {
    (void)sink;
}

/* What drivers call, of which none is opened here. */
void sink_on_up(struct sink *sink, const struct place *place, uint64_t course) {
    (void)sink;
    (void)place;
    (void)course;
}

void sink_on_down(struct sink *sink, const struct verdict *verdict) {
    (void)sink;
    (void)verdict;
}

void sink_on_settled(struct shipment *shipment, const struct verdict *verdict) {
    (void)shipment;
    (void)verdict;
}

void sink_on_stopped(struct sink *sink) {
    (void)sink;
}

/* --- what a test does ------------------------------------------------------------------------- */

static struct mailbox *mailbox(void) {
    return sinks_listener(crew.broker.sinks)->mailbox;
}

/* The configuration is those rows from now on. */
static void configure(const char *rows) {
    char text[1024];
    snprintf(text, sizeof(text), "workers: 1\n%s%s", rows[0] == '\0' ? "" : "sinks:\n", rows);
    struct config *config = load((struct config_sources){.text = span_of_string(text)});
    EXPECT_TRUE(crew.config_count < CONFIGS_MAX);
    crew.configs[crew.config_count++] = config;
    atomic_store(&crew.broker.configured, config);
}

void crew_follow(const char *rows) {
    configure(rows);
    sinks_reload(crew.broker.sinks);
    sinks_reload(crew.broker.sinks);
    EXPECT_EQ(mailbox_deliver_all(mailbox(), NULL), 1);
}

void crew_create(void) {
    struct error why = {0};
    EXPECT_EQ(sinks_create(&crew.broker, &crew.broker.sinks, &why), OK);
    crew.broker.log = (struct log *)(void *)&crew;
}

int crew_begin(void **state) {
    (void)state;
    memset(&crew, 0, sizeof(crew));
    crew.readable = HEAD;
    crew.position = HEAD + 1;
    EXPECT_EQ(metrics_create(1, &crew.broker.metrics), OK);
    return 0;
}

int crew_begin_empty(void **state) {
    crew_begin(state);
    crew_create();
    return 0;
}

int crew_end(void **state) {
    (void)state;
    sinks_destroy(crew.broker.sinks);
    for (size_t i = 0; i < crew.made_count; i++) {
        EXPECT_TRUE(crew.made[i].is_gone);
    }
    for (size_t i = 0; i < crew.config_count; i++) {
        config_destroy(crew.configs[i]);
    }
    metrics_destroy(crew.broker.metrics);
    return 0;
}

static struct message *put_message(enum message_kind kind, const char *channel) {
    uint8_t payload[MESSAGE_DELETE_BYTES];
    message_put_deleted(1, 2, payload);
    struct message_fields fields = {.kind = kind,
                                    .channel = span_of_string(channel),
                                    .payload = span_of(payload, sizeof(payload))};
    struct message *message = message_create(&fields);
    struct place place = {.log_id = 1, .generation = 1, .position = crew.position++};
    message_order(message, &place, 1);
    return message;
}

void crew_commit(const char *channels) {
    struct log_listener *listener = sinks_listener(crew.broker.sinks);
    struct commit *commit = commit_create(strlen(channels));
    for (const char *at = channels; *at != '\0'; at++) {
        bool is_delete = *at < 'a';
        const char name[] = {is_delete ? (char)(*at - 'A' + 'a') : *at, '\0'};
        struct message *message = put_message(is_delete ? MESSAGE_DELETE : MESSAGE_DATA, name);
        commit_put(commit, message);
        message_unref(message);
    }
    crew.readable = commit->position_last;
    atomic_fetch_add(&listener->bytes_waiting, commit->bytes);
    listener->on_commit(listener, commit);
    EXPECT_EQ(mailbox_deliver_all(mailbox(), NULL), 1);
    EXPECT_EQ(listener->bytes_waiting, 0);
}

void crew_finish(struct sink *sink) {
    EXPECT_NOT_NULL(sink->on_ended);
    sink->on_ended(sink);
    EXPECT_TRUE(sink->is_gone);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/fakes.h"

#include <stdlib.h>

#include "broker/channels/rules.h"
#include "broker/config/config.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/log.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "protocols/rest/routes.h"

#define START_MS 1000000

struct connection {
    int unused;
};
struct worker {
    int unused;
};
struct stream {
    int unused;
};

struct fakes fakes;

static struct connection connection;
static struct worker worker;
static struct worker *workers[] = {&worker};
static struct stream streams[FAKES_STREAMS_MAX];
static void *protocol_state;
static void (*on_protocol_finish)(void *state);
static struct mailbox mailbox;
static struct metrics_shard metrics;
static struct config *config;
static unsigned replied_count;
static uint64_t offset_last;

/* --- the connection --------------------------------------------------------------------------- */

void connection_set_protocol(struct connection *self, const struct protocol *protocol,
                             void *state) {
    (void)self;
    fakes.protocol = protocol;
    fakes.state = state;
}

struct worker *connection_worker(const struct connection *self) {
    (void)self;
    return &worker;
}

uint64_t connection_id(const struct connection *self) {
    (void)self;
    return 7;
}

uint64_t connection_opened_ms(const struct connection *self) {
    (void)self;
    return START_MS;
}

uint64_t connection_sent_ms(const struct connection *self) {
    (void)self;
    return fakes.sent_ms;
}

uint64_t connection_bytes_sent(const struct connection *self) {
    (void)self;
    return fakes.sent.length;
}

enum error_code connection_admit(struct connection *self, struct identity *identity,
                                 struct error *why) {
    (void)self;
    if (identity != NULL && fakes.has_no_place) {
        return error_set(why, ERR_RATE, "there are 2 connections already");
    }
    identity_ref(identity);
    identity_unref(fakes.identity);
    fakes.identity = identity;
    return OK;
}

struct identity *connection_identity(const struct connection *self) {
    (void)self;
    return fakes.identity;
}

struct span connection_certificate(const struct connection *self, uint64_t *ret_ends_s) {
    (void)self;
    *ret_ends_s = 0;
    return fakes.certificate;
}

bool connection_is_secure(const struct connection *self) {
    (void)self;
    return fakes.certificate.length > 0;
}

const char *connection_peer(const struct connection *self) {
    (void)self;
    return "127.0.0.1:40001";
}

void connection_write(struct connection *self, struct span bytes) {
    (void)self;
    if (!fakes.is_closing) {
        INVARIANT(buffer_put(&fakes.sent, bytes) == OK);
        fakes.write_count++;
    }
}

void connection_give(struct connection *self, struct buffer *bytes) {
    connection_write(self, buffer_borrow(bytes));
    buffer_finish(bytes);
}

bool connection_is_blocked(const struct connection *self) {
    (void)self;
    return fakes.is_blocked || fakes.is_closing;
}

size_t connection_unsent_bytes(const struct connection *self) {
    (void)self;
    return fakes.unsent_bytes;
}

void connection_want_writable(struct connection *self) {
    (void)self;
    fakes.wants_writable = true;
}

void connection_pause_reading(struct connection *self) {
    (void)self;
    fakes.is_paused = true;
}

void connection_resume_reading(struct connection *self) {
    (void)self;
    fakes.is_paused = false;
}

void connection_set_deadline(struct connection *self, uint64_t due_ms) {
    (void)self;
    fakes.deadline_ms = due_ms;
}

void connection_close(struct connection *self, enum close_reason reason) {
    (void)self;
    if (!fakes.is_closing) {
        fakes.is_closing = true;
        fakes.reason = reason;
    }
}

void connection_abort(struct connection *self, enum close_reason reason) {
    connection_close(self, reason);
    fakes.is_aborted = true;
}

bool connection_is_closing(const struct connection *self) {
    (void)self;
    return fakes.is_closing;
}

void connection_settle(struct connection *self) {
    (void)self;
}

/* --- the worker ------------------------------------------------------------------------------- */

struct broker *worker_broker(const struct worker *self) {
    (void)self;
    return &fakes.broker;
}

struct access *worker_access(const struct worker *self) {
    return (struct access *)(uintptr_t)self; /* somebody: nothing is known of it here */
}

struct mailbox *worker_mailbox(struct worker *self) {
    (void)self;
    return &mailbox;
}

struct metrics_shard *worker_metrics(const struct worker *self) {
    (void)self;
    return &metrics;
}

uint64_t worker_now_ms(const struct worker *self) {
    (void)self;
    return fakes.now_ms;
}

void chore_init(struct chore *chore, void (*on_due)(struct chore *chore)) {
    list_init(&chore->in_worker);
    chore->on_due = on_due;
}

void worker_put_chore(struct worker *self, struct chore *chore) {
    (void)self;
    if (list_is_empty(&chore->in_worker)) {
        list_put_tail(&fakes.chores, &chore->in_worker);
    }
}

void chore_take_back(struct chore *chore) {
    list_remove(&chore->in_worker);
}

struct buffer *worker_borrow_scratch(struct worker *self) {
    (void)self;
    buffer_clear(&fakes.scratch);
    return &fakes.scratch;
}

bool worker_take_body_room(struct worker *self, size_t bytes) {
    (void)self;
    if (bytes > fakes.body_room_max - fakes.body_room_bytes) {
        return false;
    }
    fakes.body_room_bytes += bytes;
    return true;
}

void worker_give_body_room(struct worker *self, size_t bytes) {
    (void)self;
    INVARIANT(bytes <= fakes.body_room_bytes);
    fakes.body_room_bytes -= bytes;
}

void worker_count_pipeline(struct worker *self, size_t bytes_before, size_t bytes) {
    (void)self;
    INVARIANT(fakes.pipelines_bytes >= bytes_before);
    fakes.pipelines_bytes += bytes - bytes_before;
}

bool worker_has_pipeline_room(const struct worker *self) {
    (void)self;
    return fakes.pipelines_bytes < fakes.pipelines_max;
}

void *worker_borrow_protocol_state(const struct worker *self) {
    (void)self;
    return protocol_state;
}

void worker_set_protocol_state(struct worker *self, void *state, void (*on_finish)(void *state)) {
    (void)self;
    protocol_state = state;
    on_protocol_finish = on_finish;
}

/* --- the log, the reads, the streams ---------------------------------------------------------- */

enum error_code log_submit_quietly(struct log *log, struct publish *publish) {
    fakes.quiet_count++;
    return log_submit(log, publish);
}

bool log_is_relaxed(const struct log *log) {
    (void)log;
    return !fakes.is_log_short;
}

enum error_code log_submit(struct log *log, struct publish *publish) {
    (void)log;
    if (fakes.submit_result == OK) {
        INVARIANT(fakes.publish_waiting < FAKES_PUBLISHES_MAX);
        fakes.publishes[fakes.publish_waiting++] = publish;
        fakes.publish = fakes.publishes[0];
        fakes.publish_count++;
    }
    return fakes.submit_result;
}

void reads_submit(struct reads *reads, struct read *read) {
    (void)reads;
    fakes.read = read;
}

enum error_code storage_read(struct storage *storage, const struct storage_query *query,
                             struct storage_page *ret_page, struct error *why) {
    (void)storage;
    (void)query;
    (void)why;
    *ret_page = fakes.page;
    fakes.page = fakes.page_behind;
    fakes.page_behind = (struct storage_page){0};
    return fakes.read_result;
}

enum error_code watch_create(const struct watch_options *options, struct watch **ret_watch) {
    INVARIANT(fakes.watch_options.on_done == NULL);
    if (fakes.watch_result == OK) {
        fakes.watch_options = *options;
        *ret_watch = (struct watch *)&fakes;
    }
    return fakes.watch_result;
}

void watch_cancel(struct watch *watch) {
    INVARIANT(watch == (struct watch *)&fakes);
    fakes.is_watch_cancelled = true;
}

void reads_release(struct reads *reads, struct read *read) {
    (void)reads;
    storage_page_finish(&read->page);
}

static struct fake_stream *fake_of(const struct stream *self) {
    return &fakes.streams[self - streams];
}

enum error_code stream_create(const struct stream_options *options, struct stream **ret_stream) {
    struct span channel = options->selectors[0].text;
    if (fakes.stream_result != OK) {
        return fakes.stream_result;
    }
    INVARIANT(fakes.stream_total < FAKES_STREAMS_MAX);
    INVARIANT(channel.length < sizeof(fakes.stream_channel));
    memcpy(fakes.stream_channel, channel.bytes, channel.length);
    fakes.stream_channel[channel.length] = '\0';
    struct fake_stream *fake = &fakes.streams[fakes.stream_total];
    *fake = (struct fake_stream){.options = *options, .is_open = true};
    fake->selector_length = channel.length < sizeof(fake->selector) ? channel.length : 0;
    memcpy(fake->selector, channel.bytes, fake->selector_length);
    fakes.stream_options = *options;
    fakes.stream_count++;
    *ret_stream = &streams[fakes.stream_total++];
    return OK;
}

void stream_destroy(struct stream *self) {
    if (self != NULL) {
        INVARIANT(fake_of(self)->is_open);
        fake_of(self)->is_open = false;
        fakes.stream_count--;
    }
}

void stream_get_selector(const struct stream *self, size_t index,
                         struct storage_selector *ret_selector) {
    const struct fake_stream *fake = fake_of(self);
    INVARIANT(index == 0);
    *ret_selector = (struct storage_selector){
        .text = span_of((const uint8_t *)fake->selector, fake->selector_length)};
}

void stream_on_writable(struct stream *self) {
    fake_of(self)->writable_at = ++fakes.writable_count;
}

void stream_get_place(struct stream *self, struct place *ret_place) {
    const struct fake_stream *fake = fake_of(self);
    *ret_place = fake->place.position == 0 ? fakes.stream_place : fake->place;
}

/* --- what tests call -------------------------------------------------------------------------- */

int fakes_begin(void **state) {
    struct config_faults *faults = calloc(1, sizeof(*faults));
    struct config_sources sources = {.check_pattern = rules_check_pattern};
    (void)state;
    fakes = (struct fakes){
        .now_ms = START_MS, .body_room_max = 100000000, .pipelines_max = PIPELINES_BYTES_MAX};
    list_init(&fakes.chores);
    INVARIANT(faults != NULL);
    INVARIANT(mailbox_init(&mailbox, MAILBOX_NODES_MAX) == OK);
    INVARIANT(config_load(&sources, &config, faults) == OK);
    free(faults);
    fakes.broker.config = config;
    fakes.broker.workers = workers;
    fakes.broker.worker_count = ARRAY_COUNT(workers);
    fakes.broker.rules = rules_create(config, NULL);
    buffer_init(&fakes.sent, SIZE_MAX / 2);
    buffer_init(&fakes.scratch, SIZE_MAX / 2);
    replied_count = 0;
    offset_last = 0;
    return 0;
}

int fakes_end(void **state) {
    (void)state;
    while (fakes.publish_waiting > 0) {
        fakes_answer_publish(ERR_DRAINING);
    }
    fakes_turn();
    identity_unref(fakes.identity);
    mailbox_finish(&mailbox);
    INVARIANT(fakes.body_room_bytes == 0);
    INVARIANT(fakes.pipelines_bytes == 0);
    INVARIANT(fakes.stream_count == 0);
    if (protocol_state != NULL) {
        on_protocol_finish(protocol_state);
        protocol_state = NULL;
    }
    rules_destroy((struct rules *)(uintptr_t)fakes.broker.rules);
    config_destroy(config);
    buffer_finish(&fakes.sent);
    buffer_finish(&fakes.scratch);
    return 0;
}

struct connection *fakes_connection(void) {
    return &connection;
}

static void do_chores(void) {
    for (struct list *node; (node = list_take_head(&fakes.chores)) != NULL;) {
        struct chore *chore = CONTAINER_OF(node, struct chore, in_worker);
        chore->on_due(chore);
    }
}

void fakes_turn(void) {
    while (mailbox_deliver_all(&mailbox, &worker) > 0) {
    }
    do_chores();
}

void fakes_receive_bytes(struct span bytes) {
    uint8_t *copy = malloc(bytes.length + 1); /* at its exact size, so that ASan sees overruns */
    INVARIANT(copy != NULL);
    if (bytes.length > 0) {
        memcpy(copy, bytes.bytes, bytes.length);
    }
    if (!fakes.is_closing) {
        fakes.protocol->on_bytes(&connection, fakes.state, span_of(copy, bytes.length));
    }
    free(copy);
}

void fakes_receive(const char *text) {
    fakes_receive_bytes(span_of_string(text));
}

void fakes_drain_socket(void) {
    fakes.is_blocked = false;
    if (!fakes.is_closing) {
        fakes.protocol->on_writable(&connection, fakes.state);
    }
}

void fakes_pass(uint64_t ms) {
    fakes.now_ms += ms;
    if (fakes.deadline_ms != 0 && fakes.now_ms >= fakes.deadline_ms && !fakes.is_closing) {
        fakes.deadline_ms = 0;
        fakes.protocol->on_deadline(&connection, fakes.state);
    }
}

void fakes_hang_up(void) {
    fakes.is_closing = true;
    fakes.protocol->on_closed(&connection, fakes.state, CLOSE_PEER_GONE);
}

bool fakes_has_sent(const char *text) {
    return fakes.sent.length > 0 &&
           memmem(fakes.sent.bytes, fakes.sent.length, text, strlen(text)) != NULL;
}

void fakes_forget_sent(void) {
    buffer_clear(&fakes.sent);
}

static void answer_oldest(enum error_code code) {
    struct publish *publish = fakes.publish;
    INVARIANT(publish != NULL);
    fakes.publish_waiting--;
    memmove(fakes.publishes, fakes.publishes + 1, fakes.publish_waiting * sizeof(struct publish *));
    fakes.publish = fakes.publish_waiting == 0 ? NULL : fakes.publishes[0];
    publish->result = code;
    for (size_t i = 0; code == OK && i < publish->count; i++) {
        offset_last++;
        struct place place = {.log_id = 1,
                              .generation = 1,
                              .position = offset_last,
                              .channel_id = 1,
                              .offset = offset_last};
        message_order(publish->messages[i], &place, 1700000000000);
    }
    publish->on_answered(publish);
}

void fakes_answer_publish(enum error_code code) {
    answer_oldest(code);
    do_chores();
}

void fakes_answer_all(void) {
    while (fakes.publish_waiting > 0) {
        answer_oldest(OK);
    }
    do_chores();
}

void fakes_answer_read(enum error_code code) {
    struct read *read = fakes.read;
    INVARIANT(read != NULL);
    fakes.read = NULL;
    if (fakes.page.end.log_id == 0) {
        fakes.page = (struct storage_page){
            .at_head = true, .start.log_id = 1, .end.log_id = 1, .end.position = 1};
    }
    fakes.read_result = code;
    read->result = read->on_work != NULL
                       ? read->on_work(read, NULL)
                       : storage_read(NULL, &read->query, &read->page, &read->why);
    read->on_read(read);
    do_chores();
}

void fakes_end_watch(void) {
    struct watch_options options = fakes.watch_options;
    INVARIANT(options.on_done != NULL);
    fakes.watch_options = (struct watch_options){0};
    options.on_done(options.context);
    do_chores();
}

/* --- requests --------------------------------------------------------------------------------- */

static void on_replied(struct request *request) {
    (void)request;
    replied_count++;
}

unsigned fakes_replied(void) {
    return replied_count;
}

struct request *fakes_request(const char *method, const char *path, const char *query,
                              const char *headers) {
    static struct request_header rows[32];
    struct request *request = request_create();
    struct span rest = span_of_string(headers);
    INVARIANT(request != NULL);
    request->broker = &fakes.broker;
    request->on_replied = on_replied;
    request->method = span_of_string(method);
    request->path = span_of_string(path);
    request->query = span_of_string(query);
    request->headers = rows;
    request->can_switch = true;
    while (rest.length > 0) {
        struct span line = span_split(&rest, '\n');
        struct span name = span_split(&line, ':');
        rows[request->header_count++] = (struct request_header){name, span_trim(line)};
    }
    return request;
}

unsigned fakes_ask(const char *method, const char *path, const char *headers, bool is_operator,
                   const struct static_assets *assets, struct request **ret_request) {
    struct request *request = fakes_request(method, path, NULL, headers);
    request->assets = assets;
    request->is_operator = is_operator;
    if (routes_admit(request)) {
        routes_handle(request);
    }
    *ret_request = request;
    return request->reply.status;
}

unsigned fakes_status_of(const char *method, const char *path, const struct static_assets *assets) {
    struct request *request;
    unsigned status = fakes_ask(method, path, "Host: localhost", false, assets, &request);
    request_destroy(request);
    return status;
}

struct span fakes_reply_header(const struct request *request, const char *name) {
    struct span rest = buffer_borrow(&request->reply.headers);
    struct span found, value;
    while (reply_next_header(&rest, &found, &value)) {
        if (span_is_equal(found, span_of_string(name))) {
            return value;
        }
    }
    return (struct span){0};
}

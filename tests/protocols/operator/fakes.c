/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/protocols/operator/fakes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/admission/accounts.h"
#include "broker/admission/addresses.h"
#include "broker/admission/policy.h"
#include "broker/channels/pattern.h"
#include "broker/config/config.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/log.h"
#include "broker/runtime/muster.h"
#include "broker/runtime/reads.h"
#include "broker/runtime/reload.h"
#include "broker/runtime/revoking.h"
#include "broker/runtime/survey.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"
#include "broker/support/mailbox.h"
#include "protocols/rest/request.h"
#include "protocols/rest/routes.h"
#include "storage/storage.h"

enum error_code fakes_reload;

struct storage {
    int unused;
};
struct log {
    int unused;
};
struct reads {
    int unused;
};
struct worker {
    struct mailbox mailbox;
    struct log_listener listener;
};

static atomic_uint health; /* enum error_code */
static atomic_uint read_count;

/* --- figures --------------------------------------------------------------------------------- */

void storage_get_figures(struct storage *storage, struct storage_figures *ret_figures) {
    (void)storage;
    *ret_figures = (struct storage_figures){.journal_bytes = 101, .snapshot_us_oldest = 2500000};
}

enum error_code log_health(const struct log *log) {
    (void)log;
    return (enum error_code)atomic_load(&health);
}

void fakes_set_health(enum error_code code) {
    atomic_store(&health, (unsigned)code);
}

uint64_t log_position_readable(const struct log *log) {
    (void)log;
    return 105;
}

void log_get_figures(const struct log *log, struct log_figures *ret_figures) {
    (void)log;
    *ret_figures = (struct log_figures){.channels = 102, .waiting = 103, .letters = 107};
}

size_t reads_waiting(const struct reads *reads) {
    (void)reads;
    return 104;
}

struct mailbox *worker_mailbox(struct worker *worker) {
    return &worker->mailbox;
}

struct log_listener *worker_listener(struct worker *worker) {
    return &worker->listener;
}

/* --- the disk -------------------------------------------------------------------------------- */

static void on_read(struct letter *letter, void *consumer) {
    struct read *read = CONTAINER_OF(letter, struct read, letter);
    (void)consumer;
    read->on_read(read);
}

void reads_submit(struct reads *reads, struct read *read) {
    static struct storage storage;
    (void)reads;
    atomic_fetch_add(&read_count, 1);
    read->result = read->on_work(read, &storage);
    read->letter.on_delivered = on_read;
    mailbox_put_answer(read->reply_to, &read->letter);
}

unsigned fakes_reads(void) {
    return atomic_load(&read_count);
}

enum error_code storage_list_channels(struct storage *storage, struct span pattern,
                                      struct span after, size_t limit, storage_on_row *on_row,
                                      void *context, struct error *why) {
    (void)storage;
    (void)why;
    for (size_t i = 0; i < FAKES_CHANNELS && limit > 0; i++) {
        char name[] = "a/0";
        name[2] = (char)('0' + i);
        struct storage_channel row = {.name = span_of_string(name), .first = i + 1, .last = 10};
        bool is_wanted = pattern.length == 0 || pattern_matches(pattern, row.name);
        if (!is_wanted || (after.length > 0 && memcmp(row.name.bytes, after.bytes, 3) <= 0)) {
            continue;
        }
        limit--;
        if (!on_row(context, &row)) {
            break;
        }
    }
    return OK;
}

enum error_code storage_measure(struct storage *storage, const struct storage_query *query,
                                const struct place *place, uint64_t *ret_messages,
                                uint64_t *ret_bytes, bool *ret_is_exact, struct error *why) {
    (void)storage;
    (void)query;
    (void)why;
    *ret_messages = 100 - place->position;
    *ret_bytes = 1000;
    *ret_is_exact = true;
    return OK;
}

/* --- the workers ----------------------------------------------------------------------------- */

struct survey {
    struct letter letter;
    survey_on_answered *on_answered;
    void *context;
    struct survey_answer answer;
    struct survey_row *rows[FAKES_CONNECTIONS];
    uint64_t counts[FAKES_CHANNELS];
};

static void on_surveyed(struct letter *letter, void *consumer) {
    struct survey *survey = CONTAINER_OF(letter, struct survey, letter);
    (void)consumer;
    survey->on_answered(survey->context, survey);
}

/* Connection 1 is live; 2 and 3 are behind, 3 further in messages and less in positions. */
static struct survey_row *make_row(uint64_t id) {
    static struct storage_selector selector = {.text = {(const uint8_t *)"a/**", 4},
                                               .is_pattern = true};
    struct survey_row *row = calloc(1, sizeof(*row) + sizeof(struct survey_reader));
    INVARIANT(row != NULL);
    row->rank = (struct survey_rank){.key = id == 1 ? 0 : 50 - id, .id = id};
    snprintf(row->peer, sizeof(row->peer), "127.0.0.1:%d", 40000 + (int)id);
    row->protocol = "websocket";
    row->reader_count = 1;
    row->readers[0] = (struct survey_reader){.subscription = id,
                                             .is_live = id == 1,
                                             .place = {.log_id = 1, .position = 90 - id * 10},
                                             .lag_positions = row->rank.key,
                                             .selector_count = 1,
                                             .selectors = &selector};
    return row;
}

enum error_code survey_reserve(struct broker *broker) {
    if (broker->survey_count == SURVEYS_MAX) {
        return ERR_BUSY;
    }
    broker->survey_count++;
    return OK;
}

void survey_release(struct broker *broker) {
    broker->survey_count--;
}

enum error_code survey_ask(struct broker *broker, const struct survey_question *question,
                           struct mailbox *reply_to, survey_on_answered *on_answered,
                           void *context) {
    static const uint64_t ids[FAKES_CONNECTIONS] = {2, 3, 1};
    if (atomic_load(&broker->is_stopping)) {
        return ERR_DRAINING;
    }
    struct survey *survey = calloc(1, sizeof(*survey));
    INVARIANT(survey != NULL);
    survey->letter.on_delivered = on_surveyed;
    survey->on_answered = on_answered;
    survey->context = context;
    survey->answer.rows = survey->rows;
    survey->answer.counts = survey->counts;
    survey->answer.was_found = question->id == 1;
    for (size_t i = 0; i < question->channel_count; i++) {
        survey->counts[i] = question->channels[i].bytes[2];
    }
    for (size_t i = 0; i < FAKES_CONNECTIONS; i++) {
        struct survey_row *row = make_row(ids[i]);
        survey->rows[i] = row;
        survey->answer.row_count += i < question->limit;
    }
    if (question->id > 1) {
        survey->answer.row_count = 0;
    }
    survey->answer.has_more = survey->answer.row_count < FAKES_CONNECTIONS;
    mailbox_put_answer(reply_to, &survey->letter);
    return OK;
}

const struct survey_answer *survey_answer(const struct survey *survey) {
    return &survey->answer;
}

void survey_destroy(struct survey *survey) {
    for (size_t i = 0; survey != NULL && i < FAKES_CONNECTIONS; i++) {
        free(survey->rows[i]);
    }
    free(survey);
}

bool survey_rank_is_before(const struct survey_rank *left, const struct survey_rank *right) {
    return left->key != right->key ? left->key > right->key : left->id < right->id;
}

/* --- the log --------------------------------------------------------------------------------- */

struct muster {
    struct letter letter;
    muster_on_answered *on_answered;
    void *context;
    struct muster_answer answer;
    const struct muster_row *rows[FAKES_SESSIONS];
};

static void on_mustered(struct letter *letter, void *consumer) {
    struct muster *muster = CONTAINER_OF(letter, struct muster, letter);
    (void)consumer;
    muster->on_answered(muster->context, muster);
}

static enum error_code muster_send(struct muster *muster, struct mailbox *reply_to,
                                   muster_on_answered *on_answered, void *context) {
    muster->letter.on_delivered = on_mustered;
    muster->on_answered = on_answered;
    muster->context = context;
    mailbox_put_answer(reply_to, &muster->letter);
    return OK;
}

enum error_code muster_ask(struct log *log, struct span after, size_t limit,
                           struct mailbox *reply_to, muster_on_answered *on_answered,
                           void *context) {
    static const struct muster_row rows[FAKES_SESSIONS] = {
        {.client_id = "a/\"1", .client_id_length = 4, .is_connected = true, .connection_id = 7},
        {.client_id = "b",
         .client_id_length = 1,
         .away_since_ms = 1769846709123,
         .expires_ms = 1769850309123,
         .state_bytes = 17,
         .has_will = true},
        {.client_id = "c", .client_id_length = 1, .away_since_ms = 1, .expires_ms = UINT64_MAX},
    };
    (void)log;
    struct muster *muster = calloc(1, sizeof(*muster));
    INVARIANT(muster != NULL);
    muster->answer.rows = muster->rows;
    for (size_t i = after.length > 0; i < FAKES_SESSIONS; i++) { /* behind the first, or all */
        muster->answer.has_more = muster->answer.row_count == limit;
        if (!muster->answer.has_more) {
            muster->rows[muster->answer.row_count++] = &rows[i];
        }
    }
    return muster_send(muster, reply_to, on_answered, context);
}

enum error_code muster_dismiss(struct log *log, struct span client_id, struct mailbox *reply_to,
                               muster_on_answered *on_answered, void *context) {
    (void)log;
    struct muster *muster = calloc(1, sizeof(*muster));
    INVARIANT(muster != NULL);
    muster->answer.was_found = span_is_equal(client_id, SPAN("a/\"1"));
    return muster_send(muster, reply_to, on_answered, context);
}

const struct muster_answer *muster_answer(const struct muster *muster) {
    return &muster->answer;
}

void muster_destroy(struct muster *muster) {
    free(muster);
}

/* --- revocations ------------------------------------------------------------------------------ */

struct revoking {
    struct revocations *set;
};

struct change {
    struct letter letter;
    revoking_on_answered *on_answered;
    void *context;
};

const struct revocations *revoking_borrow(const struct revoking *revoking) {
    return revoking->set;
}

static void on_change_answered(struct letter *letter, void *consumer) {
    (void)consumer;
    struct change *change = CONTAINER_OF(letter, struct change, letter);
    change->on_answered(change->context, OK, NULL);
    free(change);
}

enum error_code revoking_ask(struct revoking *revoking, const struct revocation *revocation,
                             bool is_lifted, struct mailbox *reply_to,
                             revoking_on_answered *on_answered, void *context, struct error *why) {
    struct change *change = calloc(1, sizeof(*change));
    INVARIANT(change != NULL);
    if (!is_lifted && span_is_equal(revocation->value, SPAN("full"))) {
        free(change);
        return error_set(why, ERR_FULL, "no more");
    }
    if (is_lifted) {
        revocations_lift(revoking->set, revocation);
    } else {
        INVARIANT(revocations_put(revoking->set, revocation) == OK);
    }
    *change = (struct change){
        .letter.on_delivered = on_change_answered, .on_answered = on_answered, .context = context};
    mailbox_put_answer(reply_to, &change->letter);
    return OK;
}

/* --- main ------------------------------------------------------------------------------------ */

static void on_reload_answered(struct letter *letter, void *consumer) {
    struct reload *reload = CONTAINER_OF(letter, struct reload, letter);
    (void)consumer;
    reload->on_reloaded(reload);
}

/* Comes back with what the test has put into `fakes_reload`. */
enum error_code reload_ask(struct broker *broker, struct reload *reload) {
    (void)broker;
    reload->result = fakes_reload;
    reload->changes.has_new_rules = fakes_reload == OK;
    if (fakes_reload == ERR_CONFIG) {
        config_faults_add(&reload->faults, "tidings.yaml", 3, 7, "channels[0].\xc3", "is \"bad\"");
    }
    reload->letter.on_delivered = on_reload_answered;
    mailbox_put_answer(reload->reply_to, &reload->letter);
    return OK;
}

/* --- the broker ------------------------------------------------------------------------------ */

struct fakes {
    struct broker broker;
    struct config config;
    struct storage storage;
    struct log log;
    struct reads reads;
    struct revoking revoking;
    struct worker workers[2];
    struct worker *worker_list[2];
};

struct broker *fakes_create(const struct config_address *address) {
    struct fakes *fakes = calloc(1, sizeof(*fakes));
    INVARIANT(fakes != NULL);
    for (size_t i = 0; i < 2; i++) {
        fakes->worker_list[i] = &fakes->workers[i];
        atomic_store(&fakes->workers[i].mailbox.letter_count, (unsigned)(105 + i));
        atomic_store(&fakes->workers[i].listener.bytes_waiting, 200 + i);
        fakes->workers[i].mailbox.letters_max = 1000;
    }
    if (address != NULL) {
        fakes->config.operator_listen = *address;
    }
    fakes->broker.config = &fakes->config;
    atomic_store(&fakes->broker.configured, &fakes->config);
    const struct quota quota = {0};
    const struct address_limits limits = {0};
    INVARIANT(addresses_create(&limits, &fakes->broker.addresses) == OK);
    INVARIANT(accounts_create(&quota, &fakes->broker.accounts) == OK);
    struct policy *policy = NULL;
    INVARIANT(policy_create(&fakes->config, &policy, NULL) == OK);
    atomic_store(&fakes->broker.policy, policy);
    fakes->broker.storage = &fakes->storage;
    fakes->broker.log = &fakes->log;
    fakes->broker.reads = &fakes->reads;
    fakes->broker.sinks = (struct sinks *)fakes; /* never looked into: pushing.c */
    fakes->broker.workers = fakes->worker_list;
    fakes->broker.worker_count = 2;
    INVARIANT(metrics_create(2, &fakes->broker.metrics) == OK);
    fakes->revoking.set = revocations_create();
    INVARIANT(fakes->revoking.set != NULL);
    fakes->broker.revoking = &fakes->revoking;
    atomic_store(&fakes->broker.is_ready, true);
    return &fakes->broker;
}

void fakes_destroy(struct broker *broker) {
    metrics_destroy(broker->metrics);
    policy_unref(atomic_load(&broker->policy));
    accounts_destroy(broker->accounts);
    addresses_destroy(broker->addresses);
    revocations_destroy(broker->revoking->set);
    free(CONTAINER_OF(broker, struct fakes, broker));
}

/* --- routes ---------------------------------------------------------------------------------- */

/* An answer on its way, as the log's and the read threads' are. */
struct answer {
    struct letter letter;
    struct request *request;
    struct mailbox *reply_to;
    struct answer *next;
};

static _Atomic(struct answer *) held_answers;
static atomic_uint held_count;
static atomic_uint thread_count; /* of answers on their way */

static void reply_ok(struct request *request, const char *text) {
    request->reply.status = 200;
    reply_add_header(&request->reply, "Content-Type", "text/plain");
    INVARIANT(buffer_put(&request->reply.body, span_of_string(text)) == OK);
    request_answer(request);
}

static void on_answer(struct letter *letter, void *consumer) {
    struct answer *answer = CONTAINER_OF(letter, struct answer, letter);
    struct request *request = answer->request;
    (void)consumer;
    free(answer);
    if (request_is_wanted(request)) {
        reply_ok(request, "later\n");
    } else {
        request_answer(request);
    }
}

static void *answer_thread(void *argument) {
    struct answer *answer = argument;
    mailbox_put_answer(answer->reply_to, &answer->letter);
    atomic_fetch_sub(&thread_count, 1);
    return NULL;
}

static struct answer *answer_create(struct request *request) {
    struct answer *answer = calloc(1, sizeof(*answer));
    INVARIANT(answer != NULL);
    answer->letter.on_delivered = on_answer;
    answer->request = request;
    answer->reply_to = request->reply_to;
    request_wait(request);
    return answer;
}

static void handle_now(struct request *request) {
    reply_ok(request, "now\n");
}

static void handle_later(struct request *request) {
    pthread_t thread;
    atomic_fetch_add(&thread_count, 1);
    INVARIANT(pthread_create(&thread, NULL, answer_thread, answer_create(request)) == 0);
    pthread_detach(thread);
}

static void handle_held(struct request *request) {
    struct answer *answer = answer_create(request);
    answer->next = atomic_load(&held_answers);
    while (!atomic_compare_exchange_weak(&held_answers, &answer->next, answer)) {
    }
    atomic_fetch_add(&held_count, 1);
}

static void handle_echo(struct request *request) {
    request->reply.status = 200;
    INVARIANT(buffer_put(&request->reply.body, request->body) == OK);
    request_answer(request);
}

static void handle_empty(struct request *request) {
    request->reply.status = 204;
    reply_add_header(&request->reply, "X-Path", "%.*s?%.*s", SPAN_PRINTF(request->path),
                     SPAN_PRINTF(request->query));
    request_answer(request);
}

static void handle_large(struct request *request) {
    request->reply.status = 200;
    INVARIANT(buffer_reserve(&request->reply.body, FAKES_LARGE_BYTES) == OK);
    memset(request->reply.body.bytes, 'x', FAKES_LARGE_BYTES);
    request->reply.body.length = FAKES_LARGE_BYTES;
    request_answer(request);
}

static const struct {
    const char *path;
    uint64_t body_bytes_max;
    void (*on_request)(struct request *request);
} fake_routes[] = {
    {"/channels/now", 0, handle_now},     {"/channels/later", 0, handle_later},
    {"/channels/held", 0, handle_held},   {"/channels/echo", FAKES_ECHO_BYTES_MAX, handle_echo},
    {"/channels/a%20b", 0, handle_empty}, {"/channels/large", 0, handle_large},
};

bool routes_admit(struct request *request) {
    for (size_t i = 0; i < ARRAY_COUNT(fake_routes); i++) {
        if (span_is_equal(request->path, span_of_string(fake_routes[i].path))) {
            request->body_bytes_max = fake_routes[i].body_bytes_max;
            return true;
        }
    }
    request_refuse_because(request, ERR_NOT_FOUND, NULL, "there are only fakes");
    return false;
}

void routes_handle(struct request *request) {
    for (size_t i = 0; i < ARRAY_COUNT(fake_routes); i++) {
        if (span_is_equal(request->path, span_of_string(fake_routes[i].path))) {
            fake_routes[i].on_request(request);
            return;
        }
    }
    INVARIANT(false);
}

void fakes_release(void) {
    struct answer *answer = atomic_exchange(&held_answers, NULL);
    while (answer != NULL) {
        struct answer *next = answer->next;
        atomic_fetch_sub(&held_count, 1);
        mailbox_put_answer(answer->reply_to, &answer->letter);
        answer = next;
    }
    while (atomic_load(&thread_count) > 0) {
        usleep(1000);
    }
}

unsigned fakes_held(void) {
    return atomic_load(&held_count);
}

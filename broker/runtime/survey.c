/* SPDX-License-Identifier: Apache-2.0 */
/* Each worker has a part: a letter that comes back to the worker's own mailbox until the walk is
 * over, so that sockets and commits have their turns in between. The place of a walk is a
 * connection, and one that ends moves the walks that stand at it (surveys_on_gone). Connections
 * that come during a walk are put behind it, with higher ids: it stops at the highest id that was
 * given when it began, else it might never end.
 *
 * A part keeps the first `limit` rows of its worker in order, and as many as SURVEY_BYTES_MAX has
 * room for. What it left out for want of room may stand before what another worker kept; so each
 * part remembers the first rank that it lost, and the answer ends before the first of these. */
#include "broker/runtime/survey.h"

#include <stdlib.h>

#include "broker/channels/pattern.h"
#include "broker/runtime/stream.h"
#include "broker/runtime/worker_private.h"

#define STEPS_SELECTORS 8 /* selectors looked at for a step */
#define STEPS_CHANNEL 4   /* looking a channel up: one map, one trie */

struct survey_part {
    struct letter letter;
    struct list in_worker; /* while it walks */
    struct survey *survey;
    struct worker *worker;
    struct connection *next; /* to be looked at; NULL: the walk is over */
    uint64_t id_end;         /* younger connections came after it began */
    size_t channels_done;
    uint64_t *counts; /* of the channels, by this worker */
    struct survey_row **rows;
    size_t row_count;
    size_t bytes;
    bool has_begun;
    bool has_lost;
    bool was_found;
    struct survey_rank lost; /* the first one that is not among the rows */
    enum error_code result;
};

struct survey {
    struct letter letter;
    struct broker *broker;
    struct mailbox *reply_to;
    survey_on_answered *on_answered;
    void *context;
    struct survey_question question; /* its spans point into `text` and `channels` */
    struct survey_answer answer;
    uint64_t *counts; /* the sums, then each part's */
    struct span *channels;
    uint8_t *text;
    atomic_size_t parts_left;
    size_t part_count;
    struct survey_part parts[];
};

/* --- rows ------------------------------------------------------------------------------------ */

bool survey_rank_is_before(const struct survey_rank *left, const struct survey_rank *right) {
    return left->key != right->key ? left->key > right->key : left->id < right->id;
}

static void lose(struct survey_part *part, const struct survey_rank *rank) {
    if (!part->has_lost || survey_rank_is_before(rank, &part->lost)) {
        part->has_lost = true;
        part->lost = *rank;
    }
}

static void lose_last(struct survey_part *part) {
    struct survey_row *row = part->rows[--part->row_count];
    lose(part, &row->rank);
    part->bytes -= row->size;
    free(row);
}

/* The rows are few enough to be moved, and sorted from the beginning. */
static void keep_row(struct survey_part *part, struct survey_row *row) {
    const struct survey *survey = part->survey;
    size_t bytes_max = SURVEY_BYTES_MAX / survey->part_count;
    size_t index = part->row_count;
    if (part->row_count == survey->question.limit) {
        lose_last(part);
        index--;
    }
    while (index > 0 && survey_rank_is_before(&row->rank, &part->rows[index - 1]->rank)) {
        part->rows[index] = part->rows[index - 1];
        index--;
    }
    part->rows[index] = row;
    part->row_count++;
    part->bytes += row->size;
    while (part->bytes > bytes_max && part->row_count > 1) {
        lose_last(part);
    }
}

/* A row is laid out twice by the same steps: without a row, to learn what it takes; then into
 * it. */
struct layout {
    struct survey_row *row;
    size_t bytes;
    size_t reader_count;
    size_t selector_count;
    size_t text_bytes;
    size_t left_out;
    struct storage_selector *selectors;
    uint8_t *text;
};

static bool take_room(struct layout *layout, size_t bytes) {
    if (layout->bytes + bytes > SURVEY_ROW_BYTES_MAX) {
        return false;
    }
    layout->bytes += bytes;
    return true;
}

static size_t lay_selectors(struct layout *layout, const struct stream *stream, size_t count) {
    size_t index = 0;
    for (; index < count; index++) {
        struct storage_selector selector;
        stream_get_selector(stream, index, &selector);
        if (!take_room(layout, sizeof(selector) + selector.text.length)) {
            break;
        }
        if (layout->row != NULL) {
            uint8_t *text = layout->text + layout->text_bytes;
            memcpy(text, selector.text.bytes, selector.text.length);
            selector.text.bytes = text;
            layout->selectors[layout->selector_count] = selector;
        }
        layout->selector_count++;
        layout->text_bytes += selector.text.length;
    }
    return index;
}

static void lay_reader(struct layout *layout, struct stream *stream, uint64_t head) {
    struct stream_status status;
    stream_get_status(stream, &status);
    if (!take_room(layout, sizeof(struct survey_reader))) {
        layout->left_out++;
        return;
    }
    size_t selectors_first = layout->selector_count;
    size_t count = lay_selectors(layout, stream, status.selector_count);
    if (layout->row != NULL) {
        layout->row->readers[layout->reader_count] = (struct survey_reader){
            .subscription = status.subscription,
            .on_lag = status.on_lag,
            .place = status.place,
            .is_live = status.is_live,
            .lag_positions = stream_positions_behind(&status, head),
            .lag_messages = status.lag_messages,
            .lag_bytes = status.lag_bytes,
            .skipped = status.skipped,
            .selector_count = count,
            .selectors_left_out = status.selector_count - count,
            .selectors = layout->selectors + selectors_first,
        };
    }
    layout->reader_count++;
}

static bool does_read(const struct stream *stream, size_t selector_count, struct span channel) {
    for (size_t i = 0; i < selector_count; i++) {
        struct storage_selector selector;
        stream_get_selector(stream, i, &selector);
        if (selector.is_pattern ? pattern_matches(selector.text, channel)
                                : span_is_equal(selector.text, channel)) {
            return true;
        }
    }
    return channel.length == 0;
}

static void lay_readers(struct layout *layout, const struct survey_part *part,
                        struct connection *connection, uint64_t head) {
    struct span channel = part->survey->question.channel;
    for (struct stream *stream = stream_next(connection, NULL); stream != NULL;
         stream = stream_next(connection, stream)) {
        struct stream_status status;
        stream_get_status(stream, &status);
        if (channel.length == 0 || does_read(stream, status.selector_count, channel)) {
            lay_reader(layout, stream, head);
        }
    }
}

static void fill_row(struct survey_row *row, const struct survey_part *part,
                     struct connection *connection, const struct connection_client *client) {
    const struct broker *broker = part->worker->broker;
    struct span client_id = client->client_id;
    uint8_t *text = (uint8_t *)row + row->size - client_id.length;
    if (client_id.length > 0) {
        memcpy(text, client_id.bytes, client_id.length);
    }
    row->client = *client;
    row->client.client_id.bytes = text;
    const struct identity *identity = connection_identity(connection);
    if (identity != NULL && identity->facts.kind != IDENTITY_EVERYONE) {
        identity_format_label(identity, row->identity);
        snprintf(row->tenant, sizeof(row->tenant), "%.*s", SPAN_PRINTF(identity->facts.tenant));
    }
    snprintf(row->peer, sizeof(row->peer), "%s", connection_peer(connection));
    row->protocol = connection_protocol_name(connection);
    row->opened_ms =
        broker->started_ms + connection_opened_ms(connection) - broker->started_monotonic_ms;
    row->bytes_sent = connection_bytes_sent(connection);
    row->bytes_unsent = connection_unsent_bytes(connection);
    row->is_blocked = connection_is_blocked(connection);
}

/* NULL: out of memory. */
static struct survey_row *make_row(const struct survey_part *part, struct connection *connection,
                                   const struct survey_rank *rank, uint64_t head) {
    struct connection_client client;
    connection_get_client(connection, &client);
    size_t id_size = client.client_id.length; /* behind all else */
    struct layout layout = {.bytes = sizeof(struct survey_row) + id_size};
    lay_readers(&layout, part, connection, head);
    size_t readers_size = layout.reader_count * sizeof(struct survey_reader);
    size_t selectors_size = layout.selector_count * sizeof(struct storage_selector);
    size_t size =
        sizeof(struct survey_row) + readers_size + selectors_size + layout.text_bytes + id_size;
    struct survey_row *row = calloc(1, size);
    if (row == NULL) {
        return NULL;
    }
    uint8_t *behind = (uint8_t *)(row + 1) + readers_size;
    struct layout filled = {.row = row,
                            .bytes = sizeof(struct survey_row) + id_size,
                            .selectors = (void *)behind,
                            .text = behind + selectors_size};
    lay_readers(&filled, part, connection, head);
    INVARIANT(filled.bytes == layout.bytes);
    INVARIANT(filled.bytes == size);
    row->rank = *rank;
    row->size = size;
    row->reader_count = filled.reader_count;
    row->readers_left_out = filled.left_out;
    fill_row(row, part, connection, &client);
    return row;
}

/* --- walks ----------------------------------------------------------------------------------- */

static struct span tenant_of(const struct connection *connection) {
    const struct identity *identity = connection_identity(connection);
    return identity == NULL ? (struct span){0} : identity->facts.tenant;
}

/* What a connection is worth in the order of the question. False: it is not asked for. */
static bool rate(const struct survey_part *part, struct connection *connection, uint64_t head,
                 struct survey_rank *ret_rank, size_t *steps) {
    const struct survey_question *question = &part->survey->question;
    bool is_wanted = question->channel.length == 0;
    if ((question->id != 0 && connection_id(connection) != question->id) ||
        (question->has_tenant &&
         !span_is_equal(tenant_of(connection), span_of_string(question->tenant)))) {
        return false;
    }
    uint64_t lag = 0;
    for (struct stream *stream = stream_next(connection, NULL); stream != NULL;
         stream = stream_next(connection, stream)) {
        struct stream_status status;
        stream_get_status(stream, &status);
        *steps += 1 + status.selector_count / STEPS_SELECTORS;
        if (question->channel.length > 0 &&
            !does_read(stream, status.selector_count, question->channel)) {
            continue;
        }
        uint64_t behind = stream_positions_behind(&status, head);
        is_wanted = true;
        lag = behind > lag ? behind : lag;
    }
    ret_rank->id = connection_id(connection);
    ret_rank->key = question->order == SURVEY_BY_LAG     ? lag
                    : question->order == SURVEY_BY_BYTES ? connection_bytes_sent(connection)
                                                         : 0;
    return is_wanted && (!question->has_after || survey_rank_is_before(&question->after, ret_rank));
}

static void look_at(struct survey_part *part, struct connection *connection, size_t *steps) {
    const struct survey_question *question = &part->survey->question;
    uint64_t head = log_position_readable(part->worker->broker->log);
    struct survey_rank rank;
    if (connection_is_closing(connection) || !rate(part, connection, head, &rank, steps)) {
        return;
    }
    bool is_full = part->row_count == question->limit;
    if ((is_full && survey_rank_is_before(&part->rows[part->row_count - 1]->rank, &rank)) ||
        (part->has_lost && survey_rank_is_before(&part->lost, &rank))) {
        lose(part, &rank);
        return;
    }
    struct survey_row *row = make_row(part, connection, &rank, head);
    if (row == NULL) {
        part->result = ERR_MEMORY;
        return;
    }
    *steps += 1 + row->reader_count;
    keep_row(part, row);
}

static void dismiss(struct survey_part *part, struct connection *connection, size_t *steps) {
    (void)steps;
    if (connection_id(connection) == part->survey->question.id &&
        !connection_is_closing(connection)) {
        part->was_found = true;
        connection_dismiss(connection, CLOSE_OPERATOR);
    }
}

/* Looks at one connection after the other. True: the walk is over. */
static bool walk(struct survey_part *part, size_t *steps,
                 void (*on_connection)(struct survey_part *part, struct connection *connection,
                                       size_t *steps)) {
    while (part->next != NULL && connection_id(part->next) < part->id_end && part->result == OK &&
           *steps < SURVEY_STEPS_MAX) {
        struct connection *connection = part->next;
        part->next = connections_next(part->worker, connection);
        (*steps)++;
        on_connection(part, connection, steps);
    }
    return part->next == NULL || connection_id(part->next) >= part->id_end || part->result != OK;
}

static bool list_connections(struct survey_part *part, size_t *steps) {
    return walk(part, steps, look_at);
}

static bool count_readers(struct survey_part *part, size_t *steps) {
    const struct survey_question *question = &part->survey->question;
    while (part->channels_done < question->channel_count && *steps < SURVEY_STEPS_MAX) {
        size_t index = part->channels_done++;
        part->counts[index] = feeds_count_readers(&part->worker->feeds, question->channels[index]);
        *steps += STEPS_CHANNEL;
    }
    return part->channels_done == question->channel_count;
}

static bool dismiss_one(struct survey_part *part, size_t *steps) {
    return walk(part, steps, dismiss) || part->was_found;
}

void surveys_on_gone(struct worker *worker, const struct connection *connection) {
    LIST_EACH(&worker->surveys, node) {
        struct survey_part *part = CONTAINER_OF(node, struct survey_part, in_worker);
        if (part->next == connection) {
            part->next = connections_next(worker, connection);
        }
    }
}

/* --- letters --------------------------------------------------------------------------------- */

static void part_is_done(struct survey_part *part) {
    struct survey *survey = part->survey;
    list_remove(&part->in_worker);
    if (atomic_fetch_sub(&survey->parts_left, 1) == 1) {
        mailbox_put_answer(survey->reply_to, &survey->letter);
    }
}

/* On the worker's thread: one slice. */
static void on_slice(struct letter *letter, void *consumer) {
    static bool (*const slices[])(struct survey_part * part, size_t * steps) = {
        [SURVEY_CONNECTIONS] = list_connections,
        [SURVEY_READERS] = count_readers,
        [SURVEY_DISMISS] = dismiss_one,
    };
    struct survey_part *part = CONTAINER_OF(letter, struct survey_part, letter);
    struct worker *worker = consumer;
    INVARIANT(part->worker == worker);
    if (!part->has_begun) {
        part->has_begun = true;
        part->id_end = atomic_load(&worker->broker->connection_id_next);
        part->next = connections_next(worker, NULL);
        list_put_tail(&worker->surveys, &part->in_worker);
    }
    size_t steps = 0;
    if (slices[part->survey->question.kind](part, &steps)) {
        part_is_done(part);
    } else {
        mailbox_put_answer(&worker->mailbox, letter); /* for the next turn */
    }
}

/* --- the asker's side ------------------------------------------------------------------------ */

static int compare_rows(const void *left, const void *right) {
    const struct survey_row *const *one = left;
    const struct survey_row *const *other = right;
    return survey_rank_is_before(&(*one)->rank, &(*other)->rank) ? -1 : 1;
}

static bool is_lost(const struct survey *survey, const struct survey_rank *rank) {
    for (size_t i = 0; i < survey->part_count; i++) {
        const struct survey_part *part = &survey->parts[i];
        if (part->has_lost && survey_rank_is_before(&part->lost, rank)) {
            return true;
        }
    }
    return false;
}

static enum error_code merge_rows(struct survey *survey) {
    struct survey_answer *answer = &survey->answer;
    size_t count = 0;
    for (size_t i = 0; i < survey->part_count; i++) {
        count += survey->parts[i].row_count;
        answer->has_more |= survey->parts[i].has_lost;
    }
    answer->rows = calloc(count + 1, sizeof(struct survey_row *));
    if (answer->rows == NULL) {
        return ERR_MEMORY;
    }
    size_t filled = 0;
    for (size_t i = 0; i < survey->part_count; i++) {
        const struct survey_part *part = &survey->parts[i];
        for (size_t j = 0; j < part->row_count; j++) {
            answer->rows[filled++] = part->rows[j];
        }
    }
    qsort(answer->rows, count, sizeof(struct survey_row *), compare_rows);
    while (answer->row_count < count && answer->row_count < survey->question.limit &&
           !is_lost(survey, &answer->rows[answer->row_count]->rank)) {
        answer->row_count++;
    }
    answer->has_more |= answer->row_count < count;
    return OK;
}

/* On the asker's thread: all parts are done. */
static void on_all_done(struct letter *letter, void *consumer) {
    struct survey *survey = CONTAINER_OF(letter, struct survey, letter);
    struct survey_answer *answer = &survey->answer;
    size_t channel_count = survey->question.channel_count;
    (void)consumer;
    for (size_t i = 0; i < survey->part_count; i++) {
        const struct survey_part *part = &survey->parts[i];
        answer->result = part->result != OK ? part->result : answer->result;
        answer->was_found |= part->was_found;
        for (size_t j = 0; j < channel_count; j++) {
            survey->counts[j] += part->counts[j];
        }
    }
    answer->counts = survey->counts;
    if (answer->result == OK) {
        answer->result = merge_rows(survey);
    }
    survey->on_answered(survey->context, survey);
}

/* The texts of the question become the survey's own. */
static enum error_code copy_question(struct survey *survey,
                                     const struct survey_question *question) {
    size_t count = question->channel_count;
    size_t size = question->channel.length + 1;
    for (size_t i = 0; i < count; i++) {
        size += question->channels[i].length;
    }
    survey->question = *question;
    survey->text = malloc(size);
    survey->channels = calloc(count + 1, sizeof(*survey->channels));
    survey->counts = calloc(count * (survey->part_count + 1) + 1, sizeof(*survey->counts));
    if (survey->text == NULL || survey->channels == NULL || survey->counts == NULL) {
        return ERR_MEMORY;
    }
    uint8_t *text = survey->text;
    memcpy(text, question->channel.length == 0 ? (const void *)"" : question->channel.bytes,
           question->channel.length);
    survey->question.channel = span_of(text, question->channel.length);
    text += question->channel.length;
    for (size_t i = 0; i < count; i++) {
        memcpy(text, question->channels[i].bytes, question->channels[i].length);
        survey->channels[i] = span_of(text, question->channels[i].length);
        text += question->channels[i].length;
    }
    survey->question.channels = survey->channels;
    return OK;
}

static enum error_code init_parts(struct survey *survey) {
    size_t row_count_max = survey->question.kind == SURVEY_CONNECTIONS ? survey->question.limit : 0;
    size_t channel_count = survey->question.channel_count;
    for (size_t i = 0; i < survey->part_count; i++) {
        struct survey_part *part = &survey->parts[i];
        part->letter.on_delivered = on_slice;
        part->survey = survey;
        part->worker = survey->broker->workers[i];
        part->counts = survey->counts + channel_count * (i + 1);
        list_init(&part->in_worker);
        part->rows = calloc(row_count_max + 1, sizeof(struct survey_row *));
        if (part->rows == NULL) {
            return ERR_MEMORY;
        }
    }
    return OK;
}

static void finish(struct survey *survey) {
    for (size_t i = 0; i < survey->part_count; i++) {
        struct survey_part *part = &survey->parts[i];
        for (size_t j = 0; j < part->row_count; j++) {
            free(part->rows[j]);
        }
        free(part->rows);
    }
    free(survey->answer.rows);
    free(survey->counts);
    free(survey->channels);
    free(survey->text);
    free(survey);
}

/* The one that is not its asker's. */
static void give_place_back(struct broker *broker, const struct survey_question *question) {
    if (!question->has_place) {
        survey_release(broker);
    }
}

enum error_code survey_reserve(struct broker *broker) {
    if (atomic_fetch_add(&broker->survey_count, 1) >= SURVEYS_MAX) {
        survey_release(broker);
        return ERR_BUSY;
    }
    return OK;
}

void survey_release(struct broker *broker) {
    atomic_fetch_sub(&broker->survey_count, 1);
}

/* NULL: out of memory. */
static struct survey *create(struct broker *broker, const struct survey_question *question) {
    size_t count = broker->worker_count;
    struct survey *survey = calloc(1, sizeof(*survey) + count * sizeof(struct survey_part));
    if (survey == NULL) {
        return NULL;
    }
    survey->broker = broker;
    survey->part_count = count;
    if (copy_question(survey, question) != OK || init_parts(survey) != OK) {
        finish(survey);
        return NULL;
    }
    return survey;
}

enum error_code survey_ask(struct broker *broker, const struct survey_question *question,
                           struct mailbox *reply_to, survey_on_answered *on_answered,
                           void *context) {
    size_t count = broker->worker_count;
    INVARIANT(count > 0);
    INVARIANT(question->limit <= SURVEY_ROWS_MAX);
    INVARIANT(question->limit > 0 || question->kind != SURVEY_CONNECTIONS);
    if (atomic_load(&broker->is_stopping)) {
        return ERR_DRAINING;
    }
    TRY(question->has_place ? OK : survey_reserve(broker));
    struct survey *survey = create(broker, question);
    if (survey == NULL) {
        give_place_back(broker, question);
        return ERR_MEMORY;
    }
    survey->letter.on_delivered = on_all_done;
    survey->reply_to = reply_to;
    survey->on_answered = on_answered;
    survey->context = context;
    atomic_init(&survey->parts_left, count);
    for (size_t i = 0; i < count; i++) {
        struct survey_part *part = &survey->parts[i];
        if (mailbox_put(&part->worker->mailbox, &part->letter) != OK) {
            part->result = ERR_BUSY;
            part_is_done(part);
        }
    }
    return OK;
}

const struct survey_answer *survey_answer(const struct survey *survey) {
    return &survey->answer;
}

void survey_destroy(struct survey *survey) {
    if (survey != NULL) {
        give_place_back(survey->broker, &survey->question);
        finish(survey);
    }
}

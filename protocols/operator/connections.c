/* SPDX-License-Identifier: Apache-2.0 */
/* The workers choose by the distance in positions, which costs them nothing; what a page shows is
 * then measured in messages, and sorted by these. */
#include "protocols/operator/connections.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/channels/name.h"
#include "broker/channels/scope.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/reads.h"
#include "broker/runtime/survey.h"
#include "broker/support/invariant.h"
#include "protocols/http/query.h"
#include "protocols/operator/answer.h"
#include "protocols/operator/listing.h"
#include "protocols/rest/request.h"

#define NO_SUCH_ID "no connection has this id"

/* A row with the lags of its readers. */
struct entry {
    const struct survey_row *row;
    struct listing_lag *lags;
    uint64_t lag_messages; /* the highest of them */
};

/* A list under way: first with the workers, then on a read thread. */
struct connections {
    struct request *request;
    struct read read;
    struct survey_question question;
    struct survey *survey;
    struct entry *entries;
    struct listing_lag *lags;
};

static void on_state_finish(void *state) {
    struct connections *connections = state;
    survey_destroy(connections->survey);
    free(connections->entries);
    free(connections->lags);
    free(connections);
}

static struct connections *begin(struct request *request) {
    struct connections *connections = calloc(1, sizeof(*connections));
    if (connections != NULL) {
        connections->request = request;
        request->state = connections;
        request->on_state_finish = on_state_finish;
    }
    return connections;
}

/* --- the reply ------------------------------------------------------------------------------- */

static int compare_entries(const void *left, const void *right) {
    const struct entry *one = left;
    const struct entry *other = right;
    if (one->lag_messages != other->lag_messages) {
        return one->lag_messages > other->lag_messages ? -1 : 1;
    }
    return survey_rank_is_before(&one->row->rank, &other->row->rank) ? -1 : 1;
}

static void sort(struct connections *connections, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = &connections->entries[i];
        for (size_t j = 0; j < entry->row->reader_count; j++) {
            uint64_t messages = entry->lags[j].messages;
            entry->lag_messages = messages > entry->lag_messages ? messages : entry->lag_messages;
        }
    }
    qsort(connections->entries, count, sizeof(*connections->entries), compare_entries);
}

static enum error_code put_list(struct connections *connections) {
    const struct survey_answer *answer = survey_answer(connections->survey);
    struct reply *reply = &connections->request->reply;
    uint64_t budget_bytes = connections->request->broker->config->send_budget_bytes;
    if (connections->question.id != 0) {
        const struct entry *only = &connections->entries[0];
        return listing_put_connection(&reply->body, only->row, only->lags, budget_bytes);
    }
    enum error_code code = buffer_put(&reply->body, SPAN("{\"connections\":["));
    for (size_t i = 0; code == OK && i < answer->row_count; i++) {
        const struct entry *entry = &connections->entries[i];
        code = i == 0 ? OK : buffer_put_byte(&reply->body, ',');
        if (code == OK) {
            code = listing_put_connection(&reply->body, entry->row, entry->lags, budget_bytes);
        }
    }
    if (code != OK) {
        return code;
    }
    bool has_more = answer->has_more && answer->row_count > 0;
    return listing_put_end_connections(
        &reply->body, has_more ? &answer->rows[answer->row_count - 1]->rank : NULL);
}

static void reply_with_list(struct connections *connections) {
    struct request *request = connections->request;
    enum error_code code = OK;
    if (request_is_wanted(request)) {
        if (connections->question.order == SURVEY_BY_LAG) {
            sort(connections, survey_answer(connections->survey)->row_count);
        }
        code = answer_as_json(request, 200, put_list(connections), NULL);
    }
    request_end(connections->request, code, NULL);
}

/* --- on a read thread ------------------------------------------------------------------------ */

static void measure(struct storage *storage, const struct survey_reader *reader,
                    struct listing_lag *lag) {
    struct storage_query query = {.selectors = reader->selectors,
                                  .selector_count = reader->selector_count};
    struct listing_lag measured = {.is_known = true};
    struct error why; /* where the storage does not know, what the worker said stands, or null */
    if (storage_measure(storage, &query, &reader->place, &measured.messages, &measured.bytes,
                        &measured.is_exact, &why) == OK) {
        measured.is_exact = measured.is_exact && reader->selectors_left_out == 0;
        *lag = measured;
    }
}

/* A worker knows exactly that a live reader lacks nothing. What one lacks may be in no tail. */
static bool needs_measure(const struct survey_reader *reader) {
    return (!reader->is_live || reader->lag_messages > 0) && reader->place.position > 0 &&
           reader->selector_count > 0;
}

static enum error_code work(struct read *read, struct storage *storage) {
    struct connections *connections = CONTAINER_OF(read, struct connections, read);
    const struct survey_answer *answer = survey_answer(connections->survey);
    size_t count = 0;
    for (size_t i = 0; i < answer->row_count; i++) {
        const struct survey_row *row = answer->rows[i];
        for (size_t j = 0; j < row->reader_count; j++) {
            if (needs_measure(&row->readers[j]) && count++ < CONNECTIONS_MEASURES_MAX) {
                measure(storage, &row->readers[j], &connections->entries[i].lags[j]);
            }
        }
    }
    return OK;
}

static void on_measured(struct read *read) {
    struct connections *connections = CONTAINER_OF(read, struct connections, read);
    if (read->result == OK) {
        reply_with_list(connections);
    } else {
        request_end(connections->request, read->result, &read->why);
    }
}

/* --- with the workers ------------------------------------------------------------------------ */

/* Entries for all rows. The lags of live readers are known; `ret_is_known` says that all are. */
static enum error_code make_entries(struct connections *connections, bool *ret_is_known) {
    const struct survey_answer *answer = survey_answer(connections->survey);
    size_t reader_count = 0;
    for (size_t i = 0; i < answer->row_count; i++) {
        reader_count += answer->rows[i]->reader_count;
    }
    connections->entries = calloc(answer->row_count + 1, sizeof(*connections->entries));
    connections->lags = calloc(reader_count + 1, sizeof(*connections->lags));
    if (connections->entries == NULL || connections->lags == NULL) {
        return ERR_MEMORY;
    }
    struct listing_lag *lag = connections->lags;
    *ret_is_known = true;
    for (size_t i = 0; i < answer->row_count; i++) {
        const struct survey_row *row = answer->rows[i];
        connections->entries[i] = (struct entry){.row = row, .lags = lag};
        for (size_t j = 0; j < row->reader_count; j++, lag++) {
            const struct survey_reader *reader = &row->readers[j];
            *lag = (struct listing_lag){.is_known = reader->is_live,
                                        .is_exact = !needs_measure(reader),
                                        .messages = reader->lag_messages,
                                        .bytes = reader->lag_bytes};
            *ret_is_known = *ret_is_known && !needs_measure(reader);
        }
    }
    return OK;
}

static void on_surveyed(void *context, struct survey *survey) {
    struct connections *connections = context;
    struct request *request = connections->request;
    bool is_known = true;
    connections->survey = survey;
    enum error_code code = survey_answer(survey)->result;
    struct error why = {0};
    if (code == OK && connections->question.id != 0 && survey_answer(survey)->row_count == 0) {
        code = error_set(&why, ERR_NOT_FOUND, NO_SUCH_ID);
    }
    if (code == OK) {
        code = make_entries(connections, &is_known);
    }
    if (code != OK) {
        request_end(connections->request, code, &why);
    } else if (is_known || !request_is_wanted(request)) {
        reply_with_list(connections);
    } else {
        connections->read.reply_to = request->reply_to;
        connections->read.on_work = work;
        connections->read.on_read = on_measured;
        reads_submit(request->broker->reads, &connections->read);
    }
}

/* One parameter into `buffer`, which is empty where it was not given. */
static enum error_code find(struct span query, const char *name, struct buffer *buffer,
                            struct error *why) {
    bool is_found;
    buffer_clear(buffer);
    return query_find(query, name, buffer, &is_found, why);
}

/* Of a tenant, or of none, and the readers of a channel of theirs. */
static enum error_code take_tenant(struct survey_question *question, struct span query,
                                   struct buffer *text, struct error *why) {
    TRY(listing_find_tenant(query, "tenant", text, &question->has_tenant, why));
    snprintf(question->tenant, sizeof(question->tenant), "%.*s", SPAN_PRINTF(buffer_borrow(text)));
    TRY(listing_find_scoped(query, "channel", span_of_string(question->tenant), text, why));
    question->channel = buffer_borrow(text);
    return text->length == 0 ? OK : channel_name_check(scope_visible(question->channel), true, why);
}

static enum error_code take_query(struct survey_question *question, struct span query,
                                  struct buffer *text, struct error *why) {
    enum error_code code = find(query, "sort", text, why);
    if (code == OK) {
        code = listing_parse_order(buffer_borrow(text), &question->order, why);
    }
    if (code == OK) {
        code = find(query, "limit", text, why);
    }
    if (code == OK) {
        code = listing_parse_limit(buffer_borrow(text), &question->limit, why);
    }
    if (code == OK) {
        code = find(query, "after", text, why);
    }
    question->has_after = text->length > 0;
    if (code == OK && question->has_after) {
        code = listing_parse_rank(buffer_borrow(text), &question->after, why);
    }
    return code == OK ? take_tenant(question, query, text, why) : code;
}

enum error_code connections_list(struct request *request, struct error *why) {
    struct connections *connections = begin(request);
    if (connections == NULL) {
        return ERR_MEMORY;
    }
    struct buffer text;
    buffer_init(&text, HTTP_TARGET_BYTES_MAX);
    struct survey_question *question = &connections->question;
    question->kind = SURVEY_CONNECTIONS;
    enum error_code code = take_query(question, request->query, &text, why);
    if (code == OK) {
        code = survey_ask(request->broker, question, request->reply_to, on_surveyed, connections);
    }
    question->channel = (struct span){0}; /* the survey has its own */
    buffer_finish(&text);
    if (code == OK) {
        request_wait(request);
    }
    return code;
}

/* --- one ------------------------------------------------------------------------------------- */

/* The rest of the path as a number; the first connection has 1. */
static enum error_code find_id(const struct request *request, uint64_t *ret_id, struct error *why) {
    struct span prefix = SPAN("/api/v1/connections/");
    INVARIANT(request->path.length > prefix.length);
    struct span text =
        span_of(request->path.bytes + prefix.length, request->path.length - prefix.length);
    return span_parse_u64(text, ret_id) && *ret_id > 0
               ? OK
               : error_set(why, ERR_NOT_FOUND, "the id of a connection is a number");
}

/* Puts a question about the connection that the path names. */
static enum error_code ask_about(struct request *request, struct survey_question question,
                                 survey_on_answered *on_answered, struct error *why) {
    enum error_code code = find_id(request, &question.id, why);
    if (code != OK) {
        return code;
    }
    struct connections *connections = begin(request);
    if (connections == NULL) {
        return ERR_MEMORY;
    }
    connections->question = question;
    code = survey_ask(request->broker, &question, request->reply_to, on_answered, connections);
    if (code == OK) {
        request_wait(request);
    }
    return code;
}

enum error_code connections_show(struct request *request, struct error *why) {
    struct survey_question question = {
        .kind = SURVEY_CONNECTIONS, .order = SURVEY_BY_AGE, .limit = 1};
    return ask_about(request, question, on_surveyed, why);
}

static void on_dismissed(void *context, struct survey *survey) {
    struct connections *connections = context;
    struct request *request = connections->request;
    connections->survey = survey;
    enum error_code code = survey_answer(survey)->result;
    struct error why = {0};
    if (survey_answer(survey)->was_found) {
        code = OK;
        request->reply.status = 204;
    } else if (code == OK) {
        code = error_set(&why, ERR_NOT_FOUND, NO_SUCH_ID);
    }
    request_end(connections->request, code, &why);
}

enum error_code connections_dismiss(struct request *request, struct error *why) {
    return ask_about(request, (struct survey_question){.kind = SURVEY_DISMISS}, on_dismissed, why);
}

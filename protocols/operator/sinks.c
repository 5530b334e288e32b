/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/sinks.h"

#include <stdlib.h>

#include "broker/runtime/broker.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "protocols/http/query.h"
#include "protocols/operator/answer.h"
#include "protocols/operator/listing.h"
#include "protocols/operator/sink_listing.h"
#include "protocols/rest/request.h"
#include "protocols/sinks/sinks.h"

#define PREFIX "/api/v1/sinks/"
#define NO_SUCH_SINK "no sink has this name"

/* A question under way. */
struct asking {
    struct request *request;
    struct sinks_question question;
    enum error_code (*put)(struct buffer *body, const struct asking *asking);
    uint16_t status;   /* of a good answer; 204: it has no body */
    size_t rows_max;   /* of a page … */
    struct span after; /* … behind this name, which is in `text` */
    struct buffer text;
};

static void on_state_finish(void *state) {
    struct asking *asking = state;
    sinks_question_finish(&asking->question);
    declaration_destroy(asking->question.row);
    buffer_finish(&asking->text);
    free(asking);
}

static struct asking *begin(struct request *request, enum sinks_question_kind kind) {
    struct asking *asking = calloc(1, sizeof(*asking));
    if (asking != NULL) {
        asking->request = request;
        asking->question.kind = kind;
        asking->question.wants_rows = true;
        buffer_init(&asking->text, HTTP_TARGET_BYTES_MAX);
        request->state = asking;
        request->on_state_finish = on_state_finish;
    }
    return asking;
}

static enum error_code put_sink(struct buffer *body, const struct asking *asking);

/* What was changed is shown as it is then. */
static bool show_changed(struct asking *asking) {
    struct sinks_question *question = &asking->question;
    if (question->result != OK || asking->put != put_sink || question->figure_count > 0 ||
        asking->status == 204) {
        return false;
    }
    question->kind = SINKS_SHOW;
    question->result = sinks_ask(asking->request->broker->sinks, question);
    return question->result == OK;
}

/* A change that lacks a secret is known only beside what it replaces: a fault as all others. */
static void refuse(struct request *request, enum error_code code, const struct error *why) {
    struct config_faults *faults = code == ERR_CONFIG ? calloc(1, sizeof(*faults)) : NULL;
    if (faults == NULL) {
        request_refuse(request, code, why);
        return;
    }
    config_faults_add(faults, DECLARATION_SOURCE, 1, 1, "sink", "%s", why->detail);
    answer_refuse_with_faults(request, faults);
    free(faults);
}

static void on_answered(struct sinks_question *question) {
    struct asking *asking = question->context;
    struct request *request = asking->request;
    if (request_is_wanted(request) && show_changed(asking)) {
        return;
    }
    enum error_code code = question->result;
    struct error why = question->why;
    if (request_is_wanted(request)) {
        if (code == OK && asking->status == 204) {
            request->reply.status = 204;
        } else if (code == OK) {
            code = answer_as_json(request, asking->status,
                                  asking->put(&request->reply.body, asking), &why);
        }
        if (code != OK) {
            refuse(request, code, &why);
        } else if (asking->status == 201) {
            reply_add_header(&request->reply, "Location", PREFIX "%s", question->name);
        }
    }
    request_answer(request);
}

static enum error_code ask(struct asking *asking, struct error *why) {
    struct request *request = asking->request;
    struct sinks_question *question = &asking->question;
    question->reply_to = request->reply_to;
    question->on_answered = on_answered;
    question->context = asking;
    if (request->broker->sinks == NULL) {
        return error_set(why, ERR_BUSY, "the broker is starting");
    }
    enum error_code code = sinks_ask(request->broker->sinks, question);
    if (code == OK) {
        request_wait(request);
    }
    return code;
}

/* --- lists ----------------------------------------------------------------------------------- */

static int compare_names(const void *left, const void *right) {
    const struct sink_figures *one = left;
    const struct sink_figures *other = right;
    return strcmp(one->name, other->name);
}

/* The thread gives them in no order, and the copy is ours. */
static enum error_code put_page(struct buffer *body, const struct asking *asking) {
    struct sink_figures *rows = asking->question.figures;
    size_t row_count = asking->question.figure_count;
    size_t first = 0;
    if (row_count > 0) {
        qsort(rows, row_count, sizeof(*rows), compare_names);
    }
    while (first < row_count &&
           span_compare(span_of_string(rows[first].name), asking->after) <= 0) {
        first++;
    }
    size_t count = row_count - first < asking->rows_max ? row_count - first : asking->rows_max;
    TRY(buffer_put(body, SPAN("{\"sinks\":[")));
    for (size_t i = first; i < first + count; i++) {
        TRY(i == first ? OK : buffer_put_byte(body, ','));
        TRY(sink_listing_put(body, &rows[i]));
    }
    return first + count == row_count
               ? buffer_put(body, SPAN("],\"next\":null}"))
               : buffer_printf(body, "],\"next\":\"%s\"}", rows[first + count - 1].name);
}

static enum error_code take_page(struct asking *asking, struct span query, struct error *why) {
    bool is_found = false;
    TRY(query_find(query, "limit", &asking->text, &is_found, why));
    asking->rows_max = SINKS_PAGE_ROWS_MAX;
    if (is_found) {
        TRY(listing_parse_limit(buffer_borrow(&asking->text), &asking->rows_max, why));
    }
    buffer_clear(&asking->text);
    TRY(query_find(query, "after", &asking->text, &is_found, why));
    asking->after = buffer_borrow(&asking->text);
    return OK;
}

enum error_code sinks_list(struct request *request, struct error *why) {
    struct asking *asking = begin(request, SINKS_LIST);
    if (asking == NULL) {
        return ERR_MEMORY;
    }
    asking->put = put_page;
    asking->status = 200;
    TRY(take_page(asking, request->query, why));
    return ask(asking, why);
}

static enum error_code put_sources(struct buffer *body, const struct asking *asking) {
    TRY(buffer_put(body, SPAN("{\"sources\":[")));
    for (size_t i = 0; i < asking->question.source_count; i++) {
        TRY(i == 0 ? OK : buffer_put_byte(body, ','));
        TRY(sink_listing_put_source(body, &asking->question.sources[i]));
    }
    return buffer_put(body, SPAN("]}"));
}

enum error_code sinks_list_sources(struct request *request, struct error *why) {
    struct asking *asking = begin(request, SINKS_LIST);
    if (asking == NULL) {
        return ERR_MEMORY;
    }
    asking->question.wants_rows = false;
    asking->put = put_sources;
    asking->status = 200;
    return ask(asking, why);
}

/* --- one ------------------------------------------------------------------------------------- */

static enum error_code put_sink(struct buffer *body, const struct asking *asking) {
    INVARIANT(asking->question.figure_count == 1);
    return sink_listing_put(body, &asking->question.figures[0]);
}

/* What stands in the path between its beginning and `suffix`; a name needs no escapes. */
static enum error_code take_name(struct asking *asking, const char *suffix, struct error *why) {
    struct span path = asking->request->path;
    size_t around = strlen(PREFIX) + strlen(suffix);
    INVARIANT(path.length > around);
    struct span name = span_of(path.bytes + strlen(PREFIX), path.length - around);
    if (name.length > SINK_NAME_BYTES_MAX || memchr(name.bytes, '/', name.length) != NULL) {
        return error_set(why, ERR_NOT_FOUND, NO_SUCH_SINK);
    }
    memcpy(asking->question.name, name.bytes, name.length);
    return OK;
}

/* A question about the sink of the path, whose answer is the sink; with 204 nothing. */
static enum error_code ask_about(struct request *request, enum sinks_question_kind kind,
                                 const char *suffix, uint16_t status, struct error *why) {
    struct asking *asking = begin(request, kind);
    if (asking == NULL) {
        return ERR_MEMORY;
    }
    asking->put = put_sink;
    asking->status = status;
    TRY(take_name(asking, suffix, why));
    return ask(asking, why);
}

enum error_code sinks_show(struct request *request, struct error *why) {
    return ask_about(request, SINKS_SHOW, "", 200, why);
}

enum error_code sinks_remove(struct request *request, struct error *why) {
    return ask_about(request, SINKS_DELETE, "", 204, why);
}

enum error_code sinks_pause(struct request *request, struct error *why) {
    return ask_about(request, SINKS_PAUSE, "/pause", 200, why);
}

enum error_code sinks_resume(struct request *request, struct error *why) {
    return ask_about(request, SINKS_RESUME, "/resume", 200, why);
}

/* --- definitions ----------------------------------------------------------------------------- */

/* Reads the body, which is about the sink `name` where it is not empty. ERR_CONFIG: the reply
 * already tells every fault. */
static enum error_code take_row(struct asking *asking, enum declaration_use use, const char *name) {
    struct request *request = asking->request;
    struct config_faults *faults = malloc(sizeof(*faults)); /* 50 KB: not on a stack */
    if (faults == NULL) {
        return ERR_MEMORY;
    }
    struct sink_row **row = &asking->question.row;
    enum error_code code = declaration_parse(request->body, use, row, faults);
    if (code == OK && name[0] != '\0' && strcmp(name, (*row)->name) != 0) {
        config_faults_add(faults, DECLARATION_SOURCE, 0, 0, "name",
                          "the sink of this path is called \"%s\": a name cannot be changed, "
                          "because its place in the log belongs to it",
                          name);
        code = ERR_CONFIG;
    }
    if (code == ERR_CONFIG) {
        answer_refuse_with_faults(request, faults);
    } else if (code == OK) {
        snprintf(asking->question.name, sizeof(asking->question.name), "%s", (*row)->name);
    }
    free(faults);
    return code;
}

enum error_code sinks_declare(struct request *request, struct error *why) {
    struct asking *asking = begin(request, SINKS_CREATE);
    enum error_code code = asking == NULL ? ERR_MEMORY : take_row(asking, DECLARATION_NEW, "");
    if (code != OK) {
        return code == ERR_CONFIG ? OK : code;
    }
    asking->put = put_sink;
    asking->status = 201;
    return ask(asking, why);
}

enum error_code sinks_redeclare(struct request *request, struct error *why) {
    struct asking *asking = begin(request, SINKS_CHANGE);
    if (asking == NULL) {
        return ERR_MEMORY;
    }
    asking->put = put_sink;
    asking->status = 200;
    TRY(take_name(asking, "", why));
    char name[SINK_NAME_BYTES_MAX + 1];
    memcpy(name, asking->question.name, sizeof(name));
    enum error_code code = take_row(asking, DECLARATION_CHANGE, name);
    return code == OK ? ask(asking, why) : code == ERR_CONFIG ? OK : code;
}

/* --- replay ---------------------------------------------------------------------------------- */

static enum error_code put_replayed(struct buffer *body, const struct asking *asking) {
    return buffer_printf(body, "{\"replayed\":%llu}",
                         (unsigned long long)asking->question.replayed);
}

static enum error_code take_since(struct asking *asking, struct json_value value,
                                  struct error *why) {
    struct since *since = &asking->question.since;
    buffer_clear(&asking->text);
    if (value.kind == JSON_KIND_NUMBER) {
        TRY(buffer_put(&asking->text, value.text));
    } else if (value.kind == JSON_KIND_STRING) {
        TRY(json_string_put(&asking->text, value.text));
    }
    struct error bad = {0};
    return since_parse(buffer_borrow(&asking->text), since, &bad) == OK
               ? OK
               : error_set_field(why, ERR_UNPROCESSABLE, "since", "%s", bad.detail);
}

static enum error_code take_member(struct asking *asking, const struct json_member *member,
                                   struct error *why) {
    if (json_string_is(member->name, "since")) {
        return take_since(asking, member->value, why);
    }
    if (json_string_is(member->name, "dead_letters") && member->value.kind == JSON_KIND_TRUE) {
        asking->question.is_dead_letters = true;
        return OK;
    }
    return error_set(why, ERR_UNPROCESSABLE, "a replay has `since`, or `dead_letters`: true");
}

static enum error_code take_replay(struct asking *asking, struct error *why) {
    struct json_value object;
    struct json_member member;
    const char *fault = NULL;
    size_t position = 0;
    if (json_parse(asking->request->body, &object, &position, &fault) != OK) {
        return error_set(why, ERR_BAD_JSON, "at byte %zu: %s", position, fault);
    }
    struct json_walk walk = json_walk_of(object);
    while (json_object_next(&walk, &member)) {
        TRY(take_member(asking, &member, why));
    }
    bool has_since = asking->question.since.kind != SINCE_NOT_GIVEN;
    return has_since != asking->question.is_dead_letters
               ? OK
               : error_set(why, ERR_UNPROCESSABLE, "one of `since` and `dead_letters` is needed");
}

enum error_code sinks_replay(struct request *request, struct error *why) {
    struct asking *asking = begin(request, SINKS_REPLAY);
    if (asking == NULL) {
        return ERR_MEMORY;
    }
    TRY(take_name(asking, "/replay", why));
    TRY(take_replay(asking, why));
    asking->put = asking->question.is_dead_letters ? put_replayed : put_sink;
    asking->status = 200;
    return ask(asking, why);
}

/* --- a test ---------------------------------------------------------------------------------- */

static enum error_code put_verdict(struct buffer *body, const struct asking *asking) {
    return sink_listing_put_verdict(body, &asking->question.verdict, asking->question.took_us);
}

enum error_code sinks_test(struct request *request, struct error *why) {
    struct asking *asking = begin(request, SINKS_TEST);
    if (asking == NULL) {
        return ERR_MEMORY;
    }
    asking->put = put_verdict;
    asking->status = 200;
    TRY(take_name(asking, "/test", why));
    return ask(asking, why);
}

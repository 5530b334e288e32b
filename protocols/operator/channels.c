/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/channels.h"

#include <stdlib.h>

#include "broker/channels/name.h"
#include "broker/channels/pattern.h"
#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/reads.h"
#include "broker/runtime/survey.h"
#include "broker/support/invariant.h"
#include "broker/support/percent.h"
#include "protocols/http/query.h"
#include "protocols/operator/answer.h"
#include "protocols/operator/listing.h"
#include "protocols/rest/request.h"

/* A list under way: first on a read thread, then with the workers; from its beginning on it has the
 * place of a survey. */
struct channels {
    struct request *request;
    struct broker *broker; /* of whose places it has one; NULL: it has none */
    struct read read;
    struct buffer match; /* from here on the request's spans do not live */
    struct buffer after;
    size_t limit;
    bool is_one; /* by its name: the row alone is the answer */
    bool has_more;
    struct buffer names; /* of all rows, one after the other */
    size_t row_count;
    struct span *spans; /* of the names, for the survey */
    struct storage_channel
        rows[]; /* `limit`; a row's name has its length alone until all are read */
};

static void on_state_finish(void *state) {
    struct channels *channels = state;
    if (channels->broker != NULL) {
        survey_release(channels->broker);
    }
    buffer_finish(&channels->match);
    buffer_finish(&channels->after);
    buffer_finish(&channels->names);
    free(channels->spans);
    free(channels);
}

/* --- with the workers ------------------------------------------------------------------------ */

static enum error_code put_list(struct buffer *buffer, const struct channels *channels,
                                const uint64_t *reader_counts) {
    if (channels->is_one) {
        return listing_put_channel(buffer, &channels->rows[0], reader_counts[0]);
    }
    enum error_code code = buffer_put(buffer, SPAN("{\"channels\":["));
    for (size_t i = 0; code == OK && i < channels->row_count; i++) {
        code = i == 0 ? OK : buffer_put_byte(buffer, ',');
        code =
            code != OK ? code : listing_put_channel(buffer, &channels->rows[i], reader_counts[i]);
    }
    if (code != OK) {
        return code;
    }
    const struct span *next =
        channels->has_more ? &channels->rows[channels->row_count - 1].name : NULL;
    return listing_put_end_names(buffer, next);
}

static void on_counted(void *context, struct survey *survey) {
    struct channels *channels = context;
    struct request *request = channels->request;
    const struct survey_answer *answer = survey_answer(survey);
    enum error_code code = answer->result;
    if (code == OK && request_is_wanted(request)) {
        code = put_list(&request->reply.body, channels, answer->counts);
        code = answer_as_json(request, 200, code, NULL);
    }
    survey_destroy(survey);
    request_end(request, code, NULL);
}

/* --- on a read thread ------------------------------------------------------------------------ */

static bool on_row(void *context, const struct storage_channel *row) {
    struct channels *channels = context;
    if (channels->row_count == channels->limit) {
        channels->has_more = true;
        return false;
    }
    if (buffer_put(&channels->names, row->name) != OK) {
        channels->read.result = ERR_MEMORY;
        return false;
    }
    channels->rows[channels->row_count++] = *row;
    return true;
}

static enum error_code work(struct read *read, struct storage *storage) {
    struct channels *channels = CONTAINER_OF(read, struct channels, read);
    read->result = OK;
    enum error_code code = storage_list_channels(storage, buffer_borrow(&channels->match),
                                                 buffer_borrow(&channels->after),
                                                 channels->limit + 1, on_row, channels, &read->why);
    return code != OK ? code : read->result;
}

static void find_names(struct channels *channels) {
    const uint8_t *bytes = channels->names.bytes;
    for (size_t i = 0; i < channels->row_count; i++) {
        struct span *name = &channels->rows[i].name;
        name->bytes = bytes;
        channels->spans[i] = *name;
        bytes += name->length;
    }
}

static void on_listed(struct read *read) {
    struct channels *channels = CONTAINER_OF(read, struct channels, read);
    struct request *request = channels->request;
    enum error_code code = read->result;
    if (code == OK && channels->is_one && channels->row_count == 0) {
        code = error_set(&read->why, ERR_NOT_FOUND, "nothing was ever published there");
    }
    if (code == OK && request_is_wanted(request)) {
        find_names(channels);
        struct survey_question question = {.kind = SURVEY_READERS,
                                           .has_place = true,
                                           .channels = channels->spans,
                                           .channel_count = channels->row_count};
        code = survey_ask(request->broker, &question, request->reply_to, on_counted, channels);
        if (code == OK) {
            return;
        }
    }
    request_end(request, code, &read->why);
}

/* --- the request ----------------------------------------------------------------------------- */

/* All channels of a tenant, or of none, where no pattern is given and the tenant is. */
static enum error_code take_match(struct channels *channels, struct span query, struct span tenant,
                                  bool has_tenant, struct error *why) {
    TRY(listing_find_scoped(query, "match", tenant, &channels->match, why));
    if (channels->match.length > 0) {
        return pattern_check(scope_visible(buffer_borrow(&channels->match)), true, why);
    }
    return has_tenant ? scope_put(&channels->match, tenant, SPAN("**")) : OK;
}

/* The last one of the page before may be of any tenant. */
static enum error_code take_after(struct channels *channels, struct span query,
                                  struct buffer *tenant, struct error *why) {
    struct buffer after_tenant;
    bool is_given = false;
    buffer_init(&after_tenant, HTTP_TARGET_BYTES_MAX);
    enum error_code code =
        listing_find_tenant(query, "after_tenant", &after_tenant, &is_given, why);
    if (code == OK) {
        code = listing_find_scoped(query, "after", buffer_borrow(is_given ? &after_tenant : tenant),
                                   &channels->after, why);
    }
    buffer_finish(&after_tenant);
    return code;
}

static enum error_code take_query(struct channels *channels, struct span query, struct error *why) {
    struct buffer tenant;
    bool has_tenant = false;
    buffer_init(&tenant, HTTP_TARGET_BYTES_MAX);
    enum error_code code = listing_find_tenant(query, "tenant", &tenant, &has_tenant, why);
    if (code == OK) {
        code = take_match(channels, query, buffer_borrow(&tenant), has_tenant, why);
    }
    if (code == OK) {
        code = take_after(channels, query, &tenant, why);
    }
    buffer_finish(&tenant);
    return code;
}

static enum error_code find_limit(struct span query, size_t *ret_limit, struct error *why) {
    struct buffer text;
    bool is_found;
    buffer_init(&text, HTTP_TARGET_BYTES_MAX);
    enum error_code code = query_find(query, "limit", &text, &is_found, why);
    if (code == OK) {
        code = listing_parse_limit(buffer_borrow(&text), ret_limit, why);
    }
    buffer_finish(&text);
    return code;
}

/* NULL: out of memory. */
static struct channels *begin(struct request *request, size_t limit) {
    struct channels *channels =
        calloc(1, sizeof(*channels) + limit * sizeof(struct storage_channel));
    if (channels == NULL) {
        return NULL;
    }
    request->state = channels;
    request->on_state_finish = on_state_finish;
    channels->request = request;
    channels->limit = limit;
    buffer_init(&channels->match, SCOPED_BYTES_MAX);
    buffer_init(&channels->after, SCOPED_BYTES_MAX);
    buffer_init(&channels->names, limit * SCOPED_BYTES_MAX);
    channels->spans = calloc(limit, sizeof(*channels->spans));
    return channels->spans == NULL ? NULL : channels; /* the request frees what there is */
}

static enum error_code submit(struct channels *channels) {
    struct broker *broker = channels->request->broker;
    TRY(survey_reserve(broker));
    channels->broker = broker;
    channels->read.reply_to = channels->request->reply_to;
    channels->read.on_work = work;
    channels->read.on_read = on_listed;
    request_wait(channels->request);
    reads_submit(broker->reads, &channels->read);
    return OK;
}

enum error_code channels_list(struct request *request, struct error *why) {
    size_t limit = 0;
    enum error_code code = find_limit(request->query, &limit, why);
    if (code != OK) {
        return code;
    }
    struct channels *channels = begin(request, limit);
    code = channels == NULL ? ERR_MEMORY : take_query(channels, request->query, why);
    return code == OK ? submit(channels) : code;
}

/* The end of the path, in the scope of ?tenant=. */
static enum error_code take_name(struct channels *channels, const struct request *request,
                                 struct error *why) {
    struct span prefix = SPAN("/api/v1/channels/");
    struct span path = request->path;
    struct buffer tenant;
    bool has_tenant = false;
    INVARIANT(path.length > prefix.length);
    buffer_init(&tenant, HTTP_TARGET_BYTES_MAX);
    enum error_code code = listing_find_tenant(request->query, "tenant", &tenant, &has_tenant, why);
    if (code == OK) {
        code = scope_put(&channels->match, buffer_borrow(&tenant), SPAN(""));
    }
    buffer_finish(&tenant);
    if (code != OK) {
        return code;
    }
    size_t scope = channels->match.length;
    code = percent_put_decoded(&channels->match,
                               span_of(path.bytes + prefix.length, path.length - prefix.length),
                               PERCENT_PATH);
    if (code == ERR_MEMORY) {
        return code;
    }
    struct span name = span_of(channels->match.bytes + scope, channels->match.length - scope);
    return code == OK ? channel_name_check(name, true, why)
                      : error_set_field(why, ERR_BAD_CHANNEL, "channel",
                                        "the path does not end with the name of a channel");
}

enum error_code channels_show(struct request *request, struct error *why) {
    struct channels *channels = begin(request, 1);
    enum error_code code = channels == NULL ? ERR_MEMORY : take_name(channels, request, why);
    if (code != OK) {
        return code;
    }
    channels->is_one = true;
    return submit(channels);
}

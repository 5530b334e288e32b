/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/sessions.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/muster.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "broker/support/percent.h"
#include "protocols/http/query.h"
#include "protocols/operator/answer.h"
#include "protocols/operator/listing.h"
#include "protocols/rest/request.h"

#define NO_SUCH_SESSION "no session has this client id"

static_assert(LISTING_ROWS_MAX <= MUSTER_ROWS_MAX, "what may be asked can be answered");

/* A question under way. */
struct sessions {
    struct request *request;
    struct muster *muster;
    uint8_t scope_length; /* of the tenant whose sessions are asked for; 0: of all behind `after` */
    uint8_t scope[SCOPE_BYTES_MAX];
};

static void on_state_finish(void *state) {
    struct sessions *sessions = state;
    muster_destroy(sessions->muster);
    free(sessions);
}

static struct sessions *begin(struct request *request) {
    struct sessions *sessions = calloc(1, sizeof(*sessions));
    if (sessions != NULL) {
        sessions->request = request;
        request->state = sessions;
        request->on_state_finish = on_state_finish;
    }
    return sessions;
}

/* --- a page --------------------------------------------------------------------------------- */

static struct span client_id(const struct muster_row *row) {
    return span_of(row->client_id, row->client_id_length);
}

static enum error_code put_time(struct buffer *body, const char *name, bool is_known,
                                uint64_t time_ms) {
    char text[CLOCK_RFC3339_BYTES];
    if (!is_known) {
        return buffer_printf(body, ",\"%s\":null", name);
    }
    clock_format_rfc3339(time_ms, text);
    return buffer_printf(body, ",\"%s\":\"%s\"", name, text);
}

static enum error_code put_row(struct buffer *body, const struct muster_row *row) {
    bool is_away = !row->is_connected;
    TRY(buffer_put(body, SPAN("{\"client_id\":")));
    TRY(json_escape_put(body, scope_visible(client_id(row))));
    TRY(listing_put_tenant(body, client_id(row)));
    TRY(buffer_printf(body, ",\"connected\":%s", row->is_connected ? "true" : "false"));
    TRY(is_away
            ? buffer_put(body, SPAN(",\"connection\":null"))
            : buffer_printf(body, ",\"connection\":%llu", (unsigned long long)row->connection_id));
    TRY(put_time(body, "away_since", is_away, row->away_since_ms));
    TRY(put_time(body, "expires", is_away && row->expires_ms != UINT64_MAX, row->expires_ms));
    return is_away ? buffer_printf(body, ",\"state_bytes\":%llu,\"will\":%s}",
                                   (unsigned long long)row->state_bytes,
                                   row->has_will ? "true" : "false")
                   : buffer_put(body, SPAN(",\"state_bytes\":null,\"will\":null}"));
}

/* Rows up to the first that is of another tenant than asked for. */
static enum error_code put_page(struct buffer *body, const struct sessions *sessions,
                                const struct muster_answer *answer) {
    struct span scope = span_of(sessions->scope, sessions->scope_length);
    size_t count = 0;
    TRY(buffer_put(body, SPAN("{\"sessions\":[")));
    while (count < answer->row_count && span_has_prefix(client_id(answer->rows[count]), scope)) {
        TRY(count == 0 ? OK : buffer_put_byte(body, ','));
        TRY(put_row(body, answer->rows[count++]));
    }
    bool has_more = answer->has_more && count == answer->row_count;
    struct span last = has_more ? client_id(answer->rows[count - 1]) : SPAN("");
    return listing_put_end_names(body, has_more ? &last : NULL);
}

static void on_listed(void *context, struct muster *muster) {
    struct sessions *sessions = context;
    struct request *request = sessions->request;
    sessions->muster = muster;
    const struct muster_answer *answer = muster_answer(muster);
    enum error_code code = answer->result;
    if (code == OK && request_is_wanted(request)) {
        code = answer_as_json(request, 200, put_page(&request->reply.body, sessions, answer), NULL);
    }
    request_end(sessions->request, code, NULL);
}

/* Sessions stand in order of their scoped client ids: those of a tenant are neighbours, and come
 * before those of none. */
static enum error_code take_scope(struct sessions *sessions, struct span query,
                                  struct buffer *tenant, struct buffer *after, struct error *why) {
    static const uint8_t behind_tenants[] = {SCOPE_MARK, UINT8_MAX};
    bool has_tenant = false;
    bool has_after_tenant = false;
    struct buffer after_tenant;
    TRY(listing_find_tenant(query, "tenant", tenant, &has_tenant, why));
    buffer_init(&after_tenant, HTTP_TARGET_BYTES_MAX);
    enum error_code code =
        listing_find_tenant(query, "after_tenant", &after_tenant, &has_after_tenant, why);
    if (code == OK) {
        code = listing_find_scoped(
            query, "after", buffer_borrow(has_after_tenant ? &after_tenant : tenant), after, why);
    }
    buffer_finish(&after_tenant);
    if (code != OK || !has_tenant) {
        return code;
    }
    if (tenant->length == 0) {
        return after->length > 0
                   ? OK
                   : buffer_put(after, span_of(behind_tenants, sizeof(behind_tenants)));
    }
    code = after->length > 0 ? OK : scope_put(after, buffer_borrow(tenant), SPAN(""));
    if (code == OK) {
        sessions->scope_length = (uint8_t)scope_length(buffer_borrow(after));
        memcpy(sessions->scope, after->bytes, sessions->scope_length);
    }
    return code;
}

static enum error_code take_query(struct sessions *sessions, struct span query, size_t *ret_limit,
                                  struct buffer *after, struct error *why) {
    bool is_found;
    struct buffer tenant;
    TRY(query_find(query, "limit", after, &is_found, why));
    TRY(listing_parse_limit(buffer_borrow(after), ret_limit, why));
    buffer_init(&tenant, HTTP_TARGET_BYTES_MAX);
    enum error_code code = take_scope(sessions, query, &tenant, after, why);
    buffer_finish(&tenant);
    if (code != OK) {
        return code;
    }
    return scope_visible(buffer_borrow(after)).length <= CLIENT_ID_BYTES_MAX
               ? OK
               : error_set_field(why, ERR_BAD_REQUEST, "after", "no client id is so long");
}

enum error_code sessions_list(struct request *request, struct error *why) {
    struct sessions *sessions = begin(request);
    size_t limit;
    struct buffer after;
    if (sessions == NULL) {
        return ERR_MEMORY;
    }
    buffer_init(&after, HTTP_TARGET_BYTES_MAX);
    enum error_code code = take_query(sessions, request->query, &limit, &after, why);
    if (code == OK) {
        code = muster_ask(request->broker->log, buffer_borrow(&after), limit, request->reply_to,
                          on_listed, sessions);
    }
    buffer_finish(&after);
    if (code == OK) {
        request_wait(request);
    }
    return code;
}

/* --- the end of one ------------------------------------------------------------------------- */

static void on_dismissed(void *context, struct muster *muster) {
    struct sessions *sessions = context;
    struct error why = {0};
    sessions->muster = muster;
    enum error_code code = muster_answer(muster)->result;
    if (code == OK && muster_answer(muster)->was_found) {
        sessions->request->reply.status = 204;
    } else if (code == OK) {
        code = error_set(&why, ERR_NOT_FOUND, NO_SUCH_SESSION);
    }
    request_end(sessions->request, code, &why);
}

/* The rest of the path, decoded, in the scope of ?tenant=: a client id may hold slashes. */
static enum error_code take_client_id(const struct request *request, struct buffer *name,
                                      struct error *why) {
    struct span prefix = SPAN("/api/v1/sessions/");
    struct span path = request->path;
    bool has_tenant = false;
    struct buffer tenant;
    INVARIANT(path.length > prefix.length);
    buffer_init(&tenant, HTTP_TARGET_BYTES_MAX);
    enum error_code code = listing_find_tenant(request->query, "tenant", &tenant, &has_tenant, why);
    code = code == OK ? scope_put(name, buffer_borrow(&tenant), SPAN("")) : code;
    buffer_finish(&tenant);
    if (code != OK) {
        return code;
    }
    size_t scope = name->length;
    code = percent_put_decoded(
        name, span_of(path.bytes + prefix.length, path.length - prefix.length), PERCENT_PATH);
    if (code == ERR_MEMORY) {
        return code;
    }
    bool is_one = code == OK && name->length > scope &&
                  name->length - scope <= CLIENT_ID_BYTES_MAX && name->bytes[scope] != SCOPE_MARK;
    return is_one ? OK : error_set(why, ERR_NOT_FOUND, NO_SUCH_SESSION);
}

enum error_code sessions_dismiss(struct request *request, struct error *why) {
    struct sessions *sessions = begin(request);
    struct buffer name;
    if (sessions == NULL) {
        return ERR_MEMORY;
    }
    buffer_init(&name, HTTP_TARGET_BYTES_MAX);
    enum error_code code = take_client_id(request, &name, why);
    if (code == OK) {
        code = muster_dismiss(request->broker->log, buffer_borrow(&name), request->reply_to,
                              on_dismissed, sessions);
    }
    buffer_finish(&name);
    if (code == OK) {
        request_wait(request);
    }
    return code;
}

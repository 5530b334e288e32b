/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/authorization.h"

#include <stdio.h>

#include "broker/admission/identity.h"
#include "broker/admission/policy.h"
#include "broker/channels/scope.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/access.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/throttle.h"
#include "protocols/petition.h"
#include "protocols/rest/credentials.h"
#include "protocols/rest/reading.h"
#include "protocols/rest/request.h"
#include "protocols/rest/routes.h"
#include "protocols/rest/selectors.h"

/* --- who ------------------------------------------------------------------------------------- */

static void on_answered(struct petition *petition) {
    struct request *request = petition->context;
    if (request->is_handed) {
        authorization_proceed(request);
    }
}

static const char *protocol_of(const struct request *request) {
    return request->is_upgrade ? "websocket" : "http";
}

static void take_identity(struct request *request) {
    request->is_identified = true;
    if (request->identity->facts.kind == IDENTITY_EVERYONE) {
        identity_unref(request->identity); /* NULL says the same, and is asked nothing */
        request->identity = NULL;
    } else {
        request->tenant = request->identity->facts.tenant;
    }
}

static enum error_code identify(struct request *request, struct error *why) {
    const char *cookie_name = atomic_load(&request->broker->configured)->cookie;
    struct buffer text;
    struct credentials credentials = {.certificate = request->certificate,
                                      .certificate_ends_s = request->certificate_ends_s,
                                      .peer = request->peer,
                                      .protocol = protocol_of(request)};
    buffer_init(&text, TOKEN_BYTES_MAX);
    enum error_code code = credentials_find(request, cookie_name, &text, &credentials, why);
    request->has_credentials =
        code != OK || credentials.bearer.length > 0 || credentials.ticket.length > 0;
    if (request->identifies_later && !request->has_credentials) {
        request->is_identified = true;
        buffer_finish(&text);
        return OK;
    }
    bool is_login = request->connection != NULL &&
                    (request->has_credentials || credentials.certificate.length > 0);
    if (code == OK && is_login) {
        code = throttle_may_log_in(request->connection, why);
    }
    if (code == OK) {
        code = petition_identify(&request->petition, &credentials, &request->identity, why);
    }
    if (is_login) {
        throttle_note_login(request->connection, code);
    }
    buffer_finish(&text);
    if (code == OK) {
        take_identity(request);
    }
    return code;
}

bool authorization_is_open(const struct request *request) {
    const struct policy *policy = atomic_load(&request->broker->policy);
    return policy == NULL || policy_is_open(policy);
}

/* The operator's back ends may act in the name space of any tenant. */
static enum error_code take_operators_tenant(struct request *request, struct error *why) {
    if (!request_find_header(request, "Tidings-Tenant", &request->tenant)) {
        return OK;
    }
    return scope_is_tenant(request->tenant)
               ? OK
               : error_set_field(why, ERR_BAD_REQUEST, "Tidings-Tenant",
                                 "a tenant has 1 to %d letters, digits, `-`, `_` or `.`",
                                 TENANT_BYTES_MAX);
}

/* Taken on probation. */
static enum error_code wait_for_it(struct request *request, enum error_code code) {
    if (code != ERR_AGAIN) {
        return code;
    }
    request->can_overlap = false;
    return OK;
}

enum error_code authorization_identify(struct request *request, struct error *why) {
    request->petition.context = request;
    request->petition.on_answered = on_answered;
    request->petition.reply_to = request->reply_to;
    if (request->is_operator) {
        request->is_identified = true;
        return take_operators_tenant(request, why);
    }
    if (authorization_is_open(request)) {
        request->is_identified = true;
        return OK;
    }
    reply_put_header(&request->reply, SPAN("Vary"), SPAN("Authorization, Cookie"));
    return wait_for_it(request, identify(request, why));
}

/* --- what ------------------------------------------------------------------------------------- */

static enum error_code ask(struct request *request, enum action action, struct span text,
                           struct error *why) {
    return petition_permit(&request->petition, request->identity, action, text, why);
}

static enum error_code ask_of_reading(struct request *request, struct error *why) {
    const struct reading *reading = request->reading;
    unsigned rights = reading_rights(reading->kind, reading->query.start);
    for (size_t i = 0; i < reading->selector_count; i++) {
        for (unsigned action = 0; action < ACTION_COUNT; action++) {
            enum error_code code =
                (rights & 1u << action) == 0
                    ? OK
                    : ask(request, (enum action)action, reading->selectors[i].text, why);
            if (code != OK) {
                return code;
            }
        }
    }
    return OK;
}

/* Readings go on under the names that the log knows. */
static enum error_code scope(struct request *request, struct error *why) {
    struct reading *reading = request->reading;
    if (request->tenant.length == 0 || reading == NULL || reading->selector_count == 0) {
        return OK;
    }
    enum error_code code =
        selectors_scope(&reading->selectors, reading->selector_count, request->tenant);
    return code == OK ? OK : error_set(why, code, "there was no memory for the names");
}

/* All that the head asks for. */
static enum error_code settle(struct request *request, struct error *why) {
    enum error_code code = request->is_identified ? OK : identify(request, why);
    if (code == OK && request->reading != NULL) {
        code = ask_of_reading(request, why);
    } else if (code == OK && request->channel.length > 0) {
        code = ask(request, request->method_bit == METHOD_DELETE ? ACTION_DELETE : ACTION_PUBLISH,
                   buffer_borrow(&request->channel), why);
    }
    if (code == OK) {
        code = scope(request, why);
        request->is_permitted = code == OK;
    }
    return code;
}

enum error_code authorization_admit(struct request *request, struct error *why) {
    if (petition_is_under_way(&request->petition)) {
        return wait_for_it(request, ERR_AGAIN);
    }
    enum error_code code = settle(request, why);
    if (code != ERR_AGAIN) {
        petition_finish(&request->petition); /* its memory serves the next request */
    }
    return wait_for_it(request, code);
}

/* A body may take hours, if it comes in small pieces: who was good at its begin has to be so at its
 * end. */
static enum error_code check_still(const struct request *request, struct error *why) {
    return request->is_late && request->identity != NULL
               ? access_check_still(request->petition.access, request->identity, why)
               : OK;
}

void authorization_proceed(struct request *request) {
    struct error why = {0};
    request->is_handed = true;
    if (petition_is_under_way(&request->petition)) {
        request->keeps_body = true;
        return;
    }
    petition_begin_round(&request->petition);
    enum error_code code = request->is_permitted ? OK : settle(request, &why);
    code = code == OK ? check_still(request, &why) : code;
    if (code == OK && request->body_result != OK) {
        code = error_set(&why, request->body_result, "too many bodies are under way");
    }
    if (code == OK) {
        request->route->on_request(request);
    } else if (code == ERR_AGAIN) {
        request->keeps_body = true;
    } else {
        request_end(request, code, &why);
    }
}

/* The head of such a request names no channel, so that this question is the first of its round. */
enum error_code authorization_permit(struct request *request, enum action action,
                                     struct span channel, struct error *why) {
    enum error_code code = ask(request, action, channel, why);
    if (code != ERR_AGAIN) {
        return code;
    }
    if (++request->question_count > PUBLISH_QUESTIONS_MAX) {
        petition_finish(&request->petition);
        return error_set(why, ERR_TOO_LARGE,
                         "the application is asked about %d channels of one request at most",
                         PUBLISH_QUESTIONS_MAX);
    }
    request->can_overlap = false;
    request->keeps_body = true;
    return ERR_AGAIN;
}

/* --- refusals --------------------------------------------------------------------------------- */

/* What may stand in an error_description (RFC 6750, section 3). */
static void copy_description(const char *detail, char *ret_text, size_t size) {
    size_t length = 0;
    for (; detail[length] != '\0' && length + 1 < size; length++) {
        bool may_stand = detail[length] >= 0x20 && detail[length] < 0x7f && detail[length] != '"' &&
                         detail[length] != '\\';
        ret_text[length] = may_stand ? detail[length] : '\'';
    }
    ret_text[length] = '\0';
}

void authorization_challenge(struct request *request, enum error_code code,
                             const struct error *why) {
    char description[sizeof(why->detail)];
    bool is_scope = code == ERR_FORBIDDEN && request->identity != NULL;
    if (!is_scope && error_row(code)->http_status != 401) {
        return;
    }
    if (!is_scope && (!request->has_credentials || request->identity != NULL)) {
        reply_add_header(&request->reply, "WWW-Authenticate", "Bearer realm=\"tidings\"");
        return;
    }
    copy_description(why == NULL ? error_row(code)->title : why->detail, description,
                     sizeof(description));
    reply_add_header(&request->reply, "WWW-Authenticate",
                     "Bearer realm=\"tidings\", error=\"%s\", error_description=\"%s\"",
                     is_scope ? "insufficient_scope" : "invalid_token", description);
}

void authorization_finish(struct request *request) {
    petition_finish(&request->petition);
    identity_unref(request->identity);
    request->identity = NULL;
}

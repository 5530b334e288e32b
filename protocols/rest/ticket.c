/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/ticket.h"

#include "broker/admission/identity.h"
#include "broker/limits.h"
#include "broker/runtime/access.h"
#include "protocols/rest/request.h"

enum error_code ticket_admit(struct request *request, struct error *why) {
    (void)why;
    request->counted_as = METRICS_ROUTE_OTHER; /* though it is a POST, it publishes nothing */
    return OK;
}

/* A ticket is of somebody. Where all may do everything, so may its bearer. */
static enum error_code issue(struct request *request, char ret_text[TICKET_TEXT_BYTES],
                             struct error *why) {
    struct identity *identity = identity_ref(request->identity);
    if (identity != NULL && identity->facts.kind == IDENTITY_ANONYMOUS) {
        identity_unref(identity);
        return error_set(why, ERR_UNAUTHORIZED, "a ticket stands for credentials: none came");
    }
    if (identity == NULL) {
        identity = identity_create_everyone();
    }
    enum error_code code = identity == NULL
                               ? ERR_MEMORY
                               : access_issue_ticket(request->petition.access, identity, ret_text);
    identity_unref(identity);
    return code == OK ? OK : error_set(why, code, "there is no room for another ticket");
}

static enum error_code answer(struct request *request, struct error *why) {
    char text[TICKET_TEXT_BYTES];
    struct reply *reply = &request->reply;
    enum error_code code = issue(request, text, why);
    if (code != OK) {
        return code;
    }
    reply->status = 200;
    reply_add_header(reply, "Content-Type", "application/json");
    reply_add_header(reply, "Cache-Control", "no-store");
    return buffer_printf(&reply->body, "{\"ticket\":\"%s\",\"expires_in\":%d}", text,
                         TICKET_AGE_MS / 1000);
}

void ticket_handle(struct request *request) {
    struct error why = {0};
    enum error_code code = answer(request, &why);
    request_end(request, code, &why);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/channels/name.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/reads.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/percent.h"
#include "protocols/http/accept.h"
#include "protocols/http/query.h"
#include "protocols/rest/page.h"
#include "protocols/rest/publish.h"
#include "protocols/rest/reading.h"
#include "protocols/rest/request.h"
#include "protocols/rest/routes.h"
#include "protocols/websocket/handshake.h"

/* --- which channel ---------------------------------------------------------------------------- */

static enum error_code admit_name(struct request *request, struct error *why) {
    struct span rest = request->path;
    size_t prefix_length = sizeof("/channels/") - 1;
    bool is_found = false;
    rest = span_of(rest.bytes + prefix_length, rest.length - prefix_length);
    enum error_code code =
        rest.length == 0 ? query_find(request->query, "channel", &request->channel, &is_found, why)
                         : percent_put_decoded(&request->channel, rest, PERCENT_PATH);
    if (code == ERR_BAD_REQUEST || (code == OK && rest.length == 0 && !is_found)) {
        return error_set_field(why, ERR_BAD_CHANNEL, "channel",
                               rest.length == 0 && code == OK
                                   ? "the channel's name is the rest of the path"
                                   : "an escape in the name is no two hexadecimal digits");
    }
    if (code != OK) {
        return code;
    }
    struct span name = buffer_borrow(&request->channel);
    if (request->method_bit != METHOD_POST && memchr(name.bytes, '*', name.length) != NULL) {
        return error_set_field(why, ERR_NOT_IMPLEMENTED, "channel",
                               "reading by pattern is not in this version");
    }
    code = channel_name_check(name, rest.length == 0, why);
    if (code != OK) {
        snprintf(why->field, sizeof(why->field), "channel");
        return code;
    }
    if (request->method_bit == METHOD_POST && channel_name_is_reserved(name)) {
        return error_set_field(why, ERR_FORBIDDEN, "channel",
                               "channels that begin with $ are the broker's own");
    }
    return OK;
}

/* --- in which form ---------------------------------------------------------------------------- */

static enum error_code choose_kind(const struct request *request, enum reading_kind *ret_kind,
                                   struct error *why) {
    static const char *const offers[] = {"application/json", "text/event-stream"};
    struct span accept = {0};
    size_t index = 0;
    if (request->is_upgrade && request->can_switch) {
        *ret_kind = READING_WEBSOCKET;
        return OK;
    }
    if (!request_find_header(request, "Accept", &accept)) {
        accept = (struct span){0};
    }
    if (!accept_choose(accept, offers, request->can_switch ? 2 : 1, &index)) {
        return error_set_field(why, ERR_NOT_ACCEPTABLE, "Accept", "there is application/json%s",
                               request->can_switch ? " and text/event-stream"
                                                   : "; streams are on the public port");
    }
    *ret_kind = index == 0 ? READING_PAGE : READING_EVENTS;
    return OK;
}

static void reply_with_events(struct request *request) {
    struct reply *reply = &request->reply;
    reply->status = 200;
    reply->has_no_length = true;
    reply->kind = request_is_head(request) ? REPLY_WHOLE : REPLY_EVENT_STREAM;
    reply_add_header(reply, "Content-Type", "text/event-stream");
    reply_add_header(reply, "Cache-Control", "no-store");
    reply_add_header(reply, "Vary", "Accept, Authorization");
    /* nginx would hold events back until its buffer is full. */
    reply_add_header(reply, "X-Accel-Buffering", "no");
}

/* --- whether bare payloads can be sent -------------------------------------------------------- */

/* The first message of a stream without envelope, looked at before the status goes out: an
 * EventSource that was closed because of a binary message comes back to the same one, and only a
 * status that is not 200 makes it stop. */
struct peek {
    struct request *request;
    struct read read;
};

static void on_peeked(struct read *read) {
    struct peek *peek = CONTAINER_OF(read, struct peek, read);
    struct request *request = peek->request;
    const struct storage_page *page = &read->page;
    if (request_is_wanted(request)) {
        if (read->result != OK) {
            request_refuse(request, read->result, &read->why);
        } else if (page->count > 0 && page->messages[0]->fields.payload_kind == PAYLOAD_BINARY) {
            request_refuse_because(request, ERR_NOT_ACCEPTABLE, "envelope",
                                   "the next message is binary, which needs the envelope");
        } else {
            reply_with_events(request);
        }
    }
    reads_release(request->broker->reads, read);
    request_answer(request);
}

static void peek(struct request *request) {
    struct peek *peek = calloc(1, sizeof(*peek));
    if (peek == NULL) {
        request_refuse(request, ERR_MEMORY, NULL);
        request_answer(request);
        return;
    }
    request->state = peek;
    request->on_state_finish = free;
    peek->request = request;
    peek->read.reply_to = request->reply_to;
    peek->read.on_read = on_peeked;
    peek->read.query = request->reading->query;
    peek->read.query.channel = buffer_borrow(&request->channel);
    peek->read.query.limit = 1;
    peek->read.query.bytes_max = 1;
    request_wait(request);
    reads_submit(request->broker->reads, &peek->read);
}

static enum error_code admit_reading(struct request *request, struct error *why) {
    enum reading_kind kind = READING_PAGE;
    struct span last_event_id = {0};
    struct reading reading;
    enum error_code code = choose_kind(request, &kind, why);
    if (code != OK) {
        return code;
    }
    if (kind == READING_EVENTS && !request_find_header(request, "Last-Event-ID", &last_event_id)) {
        last_event_id = (struct span){0};
    }
    code = reading_parse(request->query, last_event_id, kind, clock_wall_ms(), &reading, why);
    if (code != OK) {
        return code;
    }
    request->reading = malloc(sizeof(*request->reading));
    if (request->reading == NULL) {
        return ERR_MEMORY;
    }
    *request->reading = reading;
    return OK;
}

/* --- the resource ----------------------------------------------------------------------------- */

enum error_code channel_admit(struct request *request, struct error *why) {
    enum error_code code = admit_name(request, why);
    if (code != OK) {
        return code;
    }
    return request->method_bit == METHOD_POST ? publish_admit(request, why)
                                              : admit_reading(request, why);
}

void channel_handle(struct request *request) {
    if (request->method_bit == METHOD_POST) {
        publish_handle(request);
        return;
    }
    INVARIANT(request->reading != NULL);
    if (request->reading->kind == READING_PAGE) {
        page_handle(request);
        return;
    }
    if (request->reading->is_bare && request->reading->has_start) {
        peek(request);
        return;
    }
    struct error why = {0};
    enum error_code code = OK;
    if (request->reading->kind == READING_EVENTS) {
        reply_with_events(request);
    } else {
        code = handshake_accept(request, &why);
    }
    if (code != OK) {
        request_refuse(request, code, &why);
    }
    request_answer(request);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/get.h"

#include <stdlib.h>

#include "broker/config/config.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/reads.h"
#include "broker/runtime/throttle.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/http/accept.h"
#include "protocols/rest/page.h"
#include "protocols/rest/reading.h"
#include "protocols/rest/request.h"
#include "protocols/rest/selectors.h"
#include "protocols/websocket/handshake.h"

/* --- in which form ---------------------------------------------------------------------------- */

/* What there is, the form first that somebody gets who takes any. */
struct forms {
    const char *const offers[2];
    enum reading_kind kinds[2];
};

static const struct forms forms_of_channel = {
    .offers = {"application/json", "text/event-stream"},
    .kinds = {READING_PAGE, READING_EVENTS},
};

static const struct forms forms_of_stream = {
    .offers = {"text/event-stream", "application/json"},
    .kinds = {READING_EVENTS, READING_PAGE},
};

/* Where no stream can be opened there are pages. */
static const struct forms forms_without_streams = {
    .offers = {"application/json"},
    .kinds = {READING_PAGE},
};

static enum error_code choose_kind(struct request *request, const struct forms *forms,
                                   enum reading_kind *ret_kind, struct error *why) {
    struct span accept = {0};
    size_t index = 0;
    if (request->is_upgrade && request->can_switch) {
        *ret_kind = READING_WEBSOCKET;
        return OK;
    }
    if (!request_find_header(request, "Accept", &accept)) {
        accept = (struct span){0};
    }
    forms = request->can_switch ? forms : &forms_without_streams;
    if (!accept_choose(accept, forms->offers, request->can_switch ? 2 : 1, &index)) {
        reply_add_header(&request->reply, "Vary", "Accept, Authorization");
        return error_set_field(why, ERR_NOT_ACCEPTABLE, "Accept", "there is application/json%s",
                               request->can_switch ? " and text/event-stream"
                                                   : "; streams are on the public port");
    }
    *ret_kind = forms->kinds[index];
    /* Here, so that refusals have it too. Event streams are never compressed. */
    reply_add_header(&request->reply, "Vary",
                     *ret_kind == READING_PAGE ? "Accept, Accept-Encoding, Authorization"
                                               : "Accept, Authorization");
    return OK;
}

static void reply_with_events(struct request *request) {
    struct reply *reply = &request->reply;
    reply->status = 200;
    reply->has_no_length = true;
    reply->kind = request_is_head(request) ? REPLY_WHOLE : REPLY_EVENT_STREAM;
    reply_add_header(reply, "Content-Type", "text/event-stream");
    reply_add_header(reply, "Cache-Control", "no-store");
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
        request_end(request, ERR_MEMORY, NULL);
        return;
    }
    request->state = peek;
    request->on_state_finish = free;
    peek->request = request;
    peek->read.reply_to = request->reply_to;
    peek->read.on_read = on_peeked;
    reading_get_query(request->reading, &peek->read.query);
    peek->read.query.limit = 1;
    peek->read.query.bytes_max = 1;
    request_wait(request);
    reads_submit(request->broker->reads, &peek->read);
}

/* --- admission -------------------------------------------------------------------------------- */

static enum error_code begin(struct request *request, const struct forms *forms,
                             struct error *why) {
    request->reading = calloc(1, sizeof(*request->reading));
    return request->reading == NULL ? ERR_MEMORY
                                    : choose_kind(request, forms, &request->reading->kind, why);
}

/* Each is a feed that lives as long as the stream, and each message is held against all patterns. A
 * page is over at once. */
static enum error_code check_count(const struct request *request, struct error *why) {
    const struct reading *reading = request->reading;
    const struct config *config = request->broker->config;
    size_t patterns = 0;
    if (request->connection == NULL || reading->kind == READING_PAGE) {
        return OK;
    }
    for (size_t i = 0; i < reading->selector_count; i++) {
        patterns += reading->selectors[i].is_pattern;
    }
    if (reading->selector_count > config->subscriptions_max) {
        throttle_note(request->connection, METRICS_LIMIT_SUBSCRIPTIONS, config->subscriptions_max);
        return error_set_field(why, ERR_RATE, "channel", "limits.subscriptions lets %llu be read",
                               (unsigned long long)config->subscriptions_max);
    }
    if (patterns > config->patterns_max) {
        throttle_note(request->connection, METRICS_LIMIT_PATTERNS, config->patterns_max);
        return error_set_field(why, ERR_RATE, "channel", "limits.patterns lets %llu be read",
                               (unsigned long long)config->patterns_max);
    }
    return OK;
}

static enum error_code parse(struct request *request, struct error *why) {
    struct reading *reading = request->reading;
    struct span last_event_id = {0};
    if (reading->kind != READING_EVENTS ||
        !request_find_header(request, "Last-Event-ID", &last_event_id)) {
        last_event_id = (struct span){0};
    }
    return reading_parse(reading, request->query, last_event_id, clock_wall_ms(), why);
}

enum error_code get_admit_channel(struct request *request, bool is_of_query, struct error *why) {
    enum error_code code = begin(request, &forms_of_channel, why);
    struct reading *reading = request->reading;
    if (code == OK) {
        reading->selector_count = 1;
        code = is_of_query ? selectors_create_of_query(request->query, &reading->selectors,
                                                       &reading->selector_count, why)
                           : selectors_create_one(buffer_borrow(&request->channel), false,
                                                  &reading->selectors, why);
    }
    if (code != OK) {
        return code;
    }
    if (reading->selector_count != 1) {
        return error_set_field(why, ERR_BAD_REQUEST, "channel",
                               "one is read here; several are read at /stream");
    }
    return parse(request, why);
}

enum error_code get_admit_stream(struct request *request, struct error *why) {
    enum error_code code = begin(request, &forms_of_stream, why);
    struct reading *reading = request->reading;
    if (code == OK) {
        code = selectors_create_of_query(request->query, &reading->selectors,
                                         &reading->selector_count, why);
    }
    if (code != OK) {
        return code;
    }
    if (reading->selector_count == 0 && reading->kind != READING_WEBSOCKET) {
        return error_set_field(why, ERR_BAD_REQUEST, "channel",
                               "what is to be read? /stream?channel=a&channel=b/**");
    }
    code = check_count(request, why);
    return code != OK ? code : parse(request, why);
}

/* --- the answer ------------------------------------------------------------------------------- */

static enum error_code stay(struct request *request, struct error *why) {
    return request->reading->wait_ms == 0 || request->on_stay == NULL
               ? OK
               : request->on_stay(request, why);
}

void get_handle(struct request *request) {
    const struct reading *reading = request->reading;
    struct error why = {0};
    enum error_code code = OK;
    INVARIANT(reading != NULL);
    if (reading->kind == READING_PAGE) {
        code = stay(request, &why);
        if (code == OK) {
            page_handle(request);
            return;
        }
        request_end(request, code, &why);
        return;
    }
    if (reading->is_bare && reading->has_start) {
        peek(request);
        return;
    }
    if (reading->kind == READING_EVENTS) {
        reply_with_events(request);
    } else {
        code = handshake_accept(request, &why);
    }
    request_end(request, code, &why);
}

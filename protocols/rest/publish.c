/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/publish.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/admission/idempotency.h"
#include "broker/channels/rules.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "broker/support/logger.h"
#include "protocols/envelope.h"
#include "protocols/http/media_type.h"
#include "protocols/rest/batch.h"
#include "protocols/rest/bodies.h"
#include "protocols/rest/media.h"
#include "protocols/rest/message_head.h"
#include "protocols/rest/request.h"

/* What a body can be, by its type. */
struct form {
    const char *media_type; /* NULL: any other */
    body_read *on_body;
    bool has_results; /* answered with a list, even of one */
    bool has_events;  /* CloudEvents: `ce-*` only repeat what the body says */
};

/* On a channel: the first row that fits. */
static const struct form forms[] = {
    {"application/x-ndjson", body_read_lines, true, false},
    {"application/ndjson", body_read_lines, true, false},
    {"application/jsonl", body_read_lines, true, false},
    {"application/cloudevents+json", body_read_event, false, true},
    {"application/cloudevents-batch+json", body_read_events, true, true},
    {NULL, body_read_whole, false, false},
};

/* On /publish. */
static const struct form form_objects = {NULL, body_read_objects, true, false};

/* A publish on its way: first what the head says of it, then its messages, then the log's
 * letter. */
struct publishing {
    struct request *request;
    const struct form *form;
    struct message_head head;
    uint8_t idempotency_hash[IDEMPOTENCY_HASH_BYTES];
    struct batch batch;
    struct publish publish;
};

static void on_state_finish(void *state) {
    struct publishing *publishing = state;
    message_head_finish(&publishing->head);
    batch_finish(&publishing->batch);
    free(publishing);
}

/* --- the head --------------------------------------------------------------------------------- */

static enum error_code create(struct request *request, const struct form *form,
                              struct publishing **ret_publishing, struct error *why) {
    struct publishing *publishing = calloc(1, sizeof(*publishing));
    if (publishing == NULL) {
        return ERR_MEMORY;
    }
    publishing->request = request;
    publishing->form = form;
    message_head_init(&publishing->head);
    publishing->head.passes_over_events = form->has_events;
    request->state = publishing;
    request->on_state_finish = on_state_finish;
    *ret_publishing = publishing;
    return message_head_read(&publishing->head, request->headers, request->header_count, why);
}

static const struct form *find_form(const struct request *request) {
    struct span type = {0};
    size_t row = 0;
    if (!request_find_header(request, "Content-Type", &type)) {
        type = (struct span){0};
    }
    while (forms[row].media_type != NULL && !media_type_is(type, forms[row].media_type)) {
        row++;
    }
    return &forms[row];
}

enum error_code publish_admit(struct request *request, struct error *why) {
    struct publishing *publishing = NULL;
    enum error_code code = create(request, find_form(request), &publishing, why);
    if (code != OK) {
        return code;
    }
    const struct message_head *head = &publishing->head;
    if (head->is_event) {
        /* In binary mode the body is the event's data, whatever its type (HTTP binding, 3.1.2). */
        publishing->form = &forms[ARRAY_COUNT(forms) - 1];
    }
    if (publishing->form->media_type != NULL && !media_is_utf8(head->content_type)) {
        return error_set_field(why, ERR_MEDIA_TYPE, "Content-Type", "text is taken as UTF-8 only");
    }
    const struct channel_rule *rule =
        rules_find(request->broker->rules, buffer_borrow(&request->channel));
    request->body_bytes_max =
        publishing->form->media_type != NULL ? PUBLISH_BYTES_MAX : rule->message_bytes_max;
    return OK;
}

/* JSON, or a type that says nothing. */
static bool is_json(struct span type) {
    static const char *const types[] = {"application/json", "text/json",
                                        "application/x-www-form-urlencoded",
                                        "application/octet-stream"};
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (media_type_is(type, types[i])) {
            return true;
        }
    }
    return type.length == 0;
}

enum error_code publish_admit_objects(struct request *request, struct error *why) {
    struct publishing *publishing = NULL;
    enum error_code code = create(request, &form_objects, &publishing, why);
    if (code != OK) {
        return code;
    }
    const struct message_head *head = &publishing->head;
    if (!is_json(head->content_type) || !media_is_utf8(head->content_type)) {
        return error_set_field(why, ERR_MEDIA_TYPE, "Content-Type",
                               "this takes application/json: an array of messages");
    }
    if (head->describing.length > 0) {
        char field[sizeof(why->field)];
        snprintf(field, sizeof(field), "%.*s", SPAN_PRINTF(head->describing));
        return error_set_field(why, ERR_BAD_REQUEST, field,
                               "each message in the body says this for itself");
    }
    request->body_bytes_max = PUBLISH_BYTES_MAX;
    return OK;
}

/* --- the answer ------------------------------------------------------------------------------- */

enum error_code publish_put_answer(struct buffer *buffer, const struct message *message,
                                   bool with_channel) {
    enum error_code code = buffer_put(buffer, SPAN("{"));
    if (code == OK && with_channel) {
        code = buffer_put(buffer, SPAN("\"channel\":"));
        if (code == OK) {
            code = json_escape_put(buffer, message->fields.channel);
        }
        if (code == OK) {
            code = buffer_put(buffer, SPAN(","));
        }
    }
    if (code == OK) {
        code = buffer_printf(buffer, "\"offset\":%llu,", (unsigned long long)message->place.offset);
    }
    if (code == OK) {
        code = envelope_put_id(buffer, "id", &message->place);
    }
    return code != OK ? code : buffer_put(buffer, SPAN("}"));
}

static enum error_code put_results(struct buffer *buffer, const struct batch *batch) {
    enum error_code code = buffer_put(buffer, SPAN("{\"results\":["));
    for (size_t i = 0; code == OK && i < batch->count; i++) {
        if (i > 0) {
            code = buffer_put(buffer, SPAN(",\n"));
        }
        if (code == OK) {
            code = publish_put_answer(buffer, batch->messages[i], true);
        }
    }
    return code != OK ? code : buffer_put(buffer, SPAN("]}"));
}

/* Refused through no fault of the publisher's. */
static void note_failure(const struct request *request, enum error_code code,
                         const struct error *why) {
    if (error_row(code)->http_status >= 500) {
        const struct publishing *publishing = request->state;
        log_event(PUBLISH_FAILED, .peer = request->peer,
                  .channel = buffer_borrow(&request->channel), .code = error_row(code)->slug,
                  .detail = why->detail, .trace_id = publishing->head.trace.id);
    }
}

static void on_answered(struct publish *publish) {
    struct publishing *publishing = CONTAINER_OF(publish, struct publishing, publish);
    struct request *request = publishing->request;
    struct batch *batch = &publishing->batch;
    enum error_code code = publish->result;
    if (request_is_wanted(request) && code == OK) {
        INVARIANT(batch->messages[0]->place.offset > 0);
        code = publishing->form->has_results
                   ? put_results(&request->reply.body, batch)
                   : publish_put_answer(&request->reply.body, batch->messages[0], true);
        request->reply.status = 200;
        reply_add_header(&request->reply, "Content-Type", "application/json");
        reply_add_header(&request->reply, "Cache-Control", "no-store");
    }
    if (request_is_wanted(request) && code != OK) {
        note_failure(request, code, &publish->why);
        request_refuse(request, code, code == publish->result ? &publish->why : NULL);
    }
    batch_finish(batch); /* not kept for as long as the client takes to read its answer */
    request_answer(request);
}

/* --- the body --------------------------------------------------------------------------------- */

/* Whose keys an idempotency key is one of. */
static struct span identity_of(const struct request *request) {
    (void)request;
    return SPAN(IDEMPOTENCY_SCOPE_ANONYMOUS);
}

/* A repeat is the same if the channel, what the head says of the messages, and the body are. Its
 * trace is not asked: a retry is a new span. */
static enum error_code hash_request(struct publishing *publishing, struct error *why) {
    const struct request *request = publishing->request;
    const struct message_head *head = &publishing->head;
    char figures[64];
    int length = snprintf(figures, sizeof(figures), "ttl %llu flags %u",
                          (unsigned long long)head->fields.ttl_ms, head->fields.flags);
    INVARIANT(length > 0);
    const struct span parts[] = {
        buffer_borrow(&request->channel),
        head->content_type,
        head->fields.event,
        head->fields.key,
        span_of(figures, (size_t)length),
        buffer_borrow(&head->headers),
        request->body,
    };
    enum error_code code = idempotency_hash(
        identity_of(request), span_of(head->idempotency_key, head->idempotency_key_length), parts,
        ARRAY_COUNT(parts), publishing->idempotency_hash);
    if (code != OK) {
        return error_set_field(why, code, "Idempotency-Key", "the key could not be hashed");
    }
    publishing->batch.idempotency_hash =
        span_of(publishing->idempotency_hash, sizeof(publishing->idempotency_hash));
    return OK;
}

static enum error_code read_body(struct publishing *publishing, struct error *why) {
    struct request *request = publishing->request;
    const struct body body = {.bytes = request->body,
                              .channel = buffer_borrow(&request->channel),
                              .head = &publishing->head,
                              .rules = request->broker->rules,
                              .batch = &publishing->batch};
    publishing->batch.trace = &publishing->head.trace;
    enum error_code code =
        publishing->head.idempotency_key_length > 0 ? hash_request(publishing, why) : OK;
    if (code == OK) {
        code = publishing->form->on_body(&body, why);
    }
    return code == OK ? batch_close(&publishing->batch, why) : code;
}

/* Makes the messages and hands them to the log. OK: on_answered follows. */
static enum error_code submit(struct request *request, struct error *why) {
    struct publishing *publishing = request->state;
    enum error_code code = read_body(publishing, why);
    if (code != OK) {
        return code;
    }
    publishing->publish = (struct publish){.reply_to = request->reply_to,
                                           .on_answered = on_answered,
                                           .messages = publishing->batch.messages,
                                           .count = publishing->batch.count};
    code = log_submit(request->broker->log, &publishing->publish);
    return code == OK ? OK : error_set(why, code, "the log takes nothing more at the moment");
}

void publish_handle(struct request *request) {
    struct error why = {0};
    request_wait(request);
    enum error_code code = submit(request, &why);
    if (code != OK) {
        batch_finish(&((struct publishing *)request->state)->batch);
        note_failure(request, code, &why);
        request_refuse(request, code, &why);
        request_answer(request);
    }
}

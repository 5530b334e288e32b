/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/publish.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/admission/idempotency.h"
#include "broker/admission/identity.h"
#include "broker/channels/rules.h"
#include "broker/channels/scope.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/connection.h"
#include "broker/runtime/log.h"
#include "broker/runtime/throttle.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "broker/support/logger.h"
#include "protocols/envelope.h"
#include "protocols/http/media_type.h"
#include "protocols/rest/authorization.h"
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
    struct batch batch;
    struct publish publish; /* filled when it goes */
};

/* Of 1 KiB and more it would be a large block to glibc, which no thread keeps at hand: each
 * malloc() searches for one, and merges what was freed of the fast bins. */
#define PUBLISHING_BYTES_MAX 1000
static_assert(sizeof(struct publishing) <= PUBLISHING_BYTES_MAX, "it is a small block");

static void on_state_finish(void *state) {
    struct publishing *publishing = state;
    message_head_finish(&publishing->head);
    batch_finish(&publishing->batch);
    free(publishing);
}

/* --- the head --------------------------------------------------------------------------------- */

static enum error_code create(struct request *request, const struct form *form,
                              struct publishing **ret_publishing, struct error *why) {
    struct publishing *publishing = malloc(sizeof(*publishing));
    if (publishing == NULL) {
        return ERR_MEMORY;
    }
    publishing->request = request;
    publishing->form = form;
    publishing->batch = (struct batch){0};
    message_head_init(&publishing->head);
    publishing->head.passes_over_events = form->has_events;
    publishing->head.passes_over_tenant = request->is_operator;
    request->can_overlap = true;
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

/* {"channel":…,"offset":…,"id":…} of an ordered message. */
static enum error_code put_result(struct buffer *buffer, const struct message *message) {
    uint8_t digits[SPAN_U64_DIGITS];
    TRY(buffer_put(buffer, SPAN("{\"channel\":")));
    TRY(json_escape_put(buffer, scope_visible(message->fields.channel)));
    TRY(buffer_put(buffer, SPAN(",\"offset\":")));
    TRY(buffer_put(buffer, span_format_u64(message->place.offset, digits)));
    TRY(buffer_put(buffer, SPAN(",")));
    TRY(envelope_put_id(buffer, "id", &message->place));
    return buffer_put(buffer, SPAN("}"));
}

static enum error_code put_results(struct buffer *buffer, const struct batch *batch) {
    TRY(buffer_put(buffer, SPAN("{\"results\":[")));
    for (size_t i = 0; i < batch->count; i++) {
        TRY(buffer_put(buffer, i > 0 ? SPAN(",\n") : SPAN("")));
        TRY(put_result(buffer, batch->messages[i]));
    }
    return buffer_put(buffer, SPAN("]}"));
}

/* Refused through no fault of the publisher's. */
static void note_failure(const struct request *request, enum error_code code,
                         const struct error *why) {
    if (error_row(code)->http_status >= 500) {
        const struct trace_context *trace = ((struct publishing *)request->state)->head.trace;
        log_event(PUBLISH_FAILED, .peer = request->peer,
                  .channel = buffer_borrow(&request->channel), .tenant = request->tenant,
                  .code = error_row(code)->slug, .detail = why->detail,
                  .trace_id = trace == NULL ? (struct span){0} : trace->id);
    }
}

static void on_answered(struct publish *publish) {
    struct publishing *publishing = CONTAINER_OF(publish, struct publishing, publish);
    struct request *request = publishing->request;
    struct batch *batch = &publishing->batch;
    enum error_code code = publish->result;
    if (request_is_wanted(request) && code == OK) {
        INVARIANT(batch->messages[0]->place.offset > 0);
        code = publishing->form->has_results ? put_results(&request->reply.body, batch)
                                             : put_result(&request->reply.body, batch->messages[0]);
        request->reply.status = 200;
        reply_put_header(&request->reply, SPAN("Content-Type"), SPAN("application/json"));
        reply_put_header(&request->reply, SPAN("Cache-Control"), SPAN("no-store"));
    }
    if (request_is_wanted(request) && code != OK) {
        note_failure(request, code, &publish->why);
    }
    batch_finish(batch); /* not kept for as long as the client takes to read its answer */
    request_end(request, code, code == publish->result ? &publish->why : NULL);
}

/* --- the body --------------------------------------------------------------------------------- */

/* Whose keys an idempotency key is one of. */
static struct span scope_of(const struct request *request, uint8_t room[IDENTITY_HASH_BYTES]) {
    if (request->identity != NULL) {
        identity_hash(request->identity, room);
        return span_of(room, IDENTITY_HASH_BYTES);
    }
    return request->tenant.length > 0 ? request->tenant : SPAN(IDEMPOTENCY_SCOPE_ANONYMOUS);
}

/* A repeat is the same if the channel, what the head says of the messages, and the body are. Its
 * trace is not asked: a retry is a new span. */
static enum error_code hash_request(const struct publishing *publishing,
                                    uint8_t ret_hash[IDEMPOTENCY_HASH_BYTES], struct error *why) {
    const struct request *request = publishing->request;
    const struct message_head *head = &publishing->head;
    char figures[64];
    uint8_t identity[IDENTITY_HASH_BYTES];
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
    enum error_code code =
        idempotency_hash(scope_of(request, identity), buffer_borrow(&head->idempotency_key), parts,
                         ARRAY_COUNT(parts), ret_hash);
    return code == OK
               ? OK
               : error_set_field(why, code, "Idempotency-Key", "the key could not be hashed");
}

/* Messages often are of the channel of the one before. */
static enum error_code may_publish(void *context, struct span channel, struct error *why) {
    const struct publishing *publishing = context;
    const struct batch *batch = &publishing->batch;
    bool is_same =
        batch->count > 0 &&
        span_is_equal(scope_visible(batch->messages[batch->count - 1]->fields.channel), channel);
    return is_same ? OK : authorization_permit(publishing->request, ACTION_PUBLISH, channel, why);
}

static enum error_code read_body(struct publishing *publishing, struct error *why) {
    struct request *request = publishing->request;
    const struct body body = {.bytes = request->body,
                              .channel = buffer_borrow(&request->channel),
                              .head = &publishing->head,
                              .rules = request->broker->rules,
                              .batch = &publishing->batch,
                              .may_publish = request->identity == NULL ? NULL : may_publish,
                              .context = publishing};
    uint8_t hash[IDEMPOTENCY_HASH_BYTES];
    enum error_code code = OK;
    publishing->batch.trace = publishing->head.trace;
    publishing->batch.tenant = request->tenant;
    if (publishing->head.idempotency_key.length > 0) {
        code = hash_request(publishing, hash, why);
        publishing->batch.idempotency_hash = span_of(hash, sizeof(hash));
    }
    if (code == OK) {
        code = publishing->form->on_body(&body, why);
    }
    publishing->batch.idempotency_hash = (struct span){0}; /* the first message has a copy */
    return code == OK ? batch_close(&publishing->batch, why) : code;
}

/* draft-ietf-httpapi-ratelimit-headers-10. */
static void put_rate(struct reply *reply, const struct throttle_told *told) {
    if (told->policy != NULL) {
        reply_add_header(reply, "RateLimit-Policy", "\"%s\";q=%llu;w=%llu", told->policy,
                         (unsigned long long)told->quota, (unsigned long long)told->window_s);
        reply_add_header(reply, "RateLimit", "\"%s\";r=%llu;t=%llu", told->policy,
                         (unsigned long long)told->left, (unsigned long long)told->window_s);
    }
}

/* Whoever publishes on the operator's port is trusted. */
static enum error_code take_rate(struct publishing *publishing, struct error *why) {
    struct request *request = publishing->request;
    const struct batch *batch = &publishing->batch;
    struct throttle_told told = {0};
    uint64_t bytes = 0;
    if (request->connection == NULL) {
        return OK;
    }
    for (size_t i = 0; i < batch->count; i++) {
        bytes += batch->messages[i]->fields.payload.length;
    }
    const struct throttle_offer offer = {
        .count = batch->count, .bytes = bytes, .messages = batch->messages};
    enum error_code code =
        throttle_publish(request->connection, request->identity, &offer, &told, why);
    put_rate(&request->reply, &told);
    return code;
}

/* Makes the messages and hands them to the log. OK: on_answered follows. */
static enum error_code submit(struct request *request, struct error *why) {
    struct publishing *publishing = request->state;
    enum error_code code = read_body(publishing, why);
    code = code == OK ? take_rate(publishing, why) : code;
    if (code != OK) {
        return code;
    }
    publishing->publish = (struct publish){.reply_to = request->reply_to,
                                           .on_answered = on_answered,
                                           .messages = publishing->batch.messages,
                                           .count = publishing->batch.count};
    request->kept_bytes = sizeof(*publishing) + publishing->batch.bytes;
    request_wait(request);
    code = request->is_operator ? log_submit(request->broker->log, &publishing->publish)
                                : log_submit_quietly(request->broker->log, &publishing->publish);
    return code == OK ? OK : error_set(why, code, "the log takes nothing more at the moment");
}

void publish_handle(struct request *request) {
    struct error why = {0};
    enum error_code code = submit(request, &why);
    if (code == ERR_AGAIN) { /* whether it may publish is still asked */
        batch_finish(&((struct publishing *)request->state)->batch);
    } else if (code != OK) {
        batch_finish(&((struct publishing *)request->state)->batch);
        note_failure(request, code, &why);
        request_end(request, code, &why);
    }
}

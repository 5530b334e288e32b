/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/publish.h"

#include <stdlib.h>

#include "broker/channels/rules.h"
#include "broker/config/config.h"
#include "broker/limits.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "broker/support/string_map.h"
#include "broker/support/utf8.h"
#include "protocols/envelope.h"
#include "protocols/http/media_type.h"
#include "protocols/rest/media.h"
#include "protocols/rest/request.h"

#define HEADER_PREFIX "Tidings-Header-"

/* One message on its way: first what the head says of it, then the message, then the log's
 * letter. */
struct publishing {
    struct request *request;
    struct message_fields fields; /* spans into the request's headers and body */
    struct buffer headers;        /* a string map */
    struct span content_type;
    struct message *message;
    struct publish publish;
};

static void on_state_finish(void *state) {
    struct publishing *publishing = state;
    buffer_finish(&publishing->headers);
    message_unref(publishing->message);
    free(publishing);
}

/* --- the head --------------------------------------------------------------------------------- */

/* A value that becomes a text of the message: UTF-8 without control characters. */
static enum error_code check_text(struct span value, size_t bytes_max, struct error *why) {
    if (value.length == 0 || value.length > bytes_max) {
        return error_set(why, ERR_BAD_REQUEST, "1 to %zu bytes are taken here", bytes_max);
    }
    for (size_t i = 0; i < value.length; i++) {
        if (value.bytes[i] < 0x20 || value.bytes[i] == 0x7f) {
            return error_set(why, ERR_BAD_REQUEST, "control characters are not taken here");
        }
    }
    return utf8_is_valid(value) ? OK : error_set(why, ERR_BAD_UTF8, "this is not UTF-8");
}

static enum error_code on_event(struct publishing *publishing, struct span value,
                                struct error *why) {
    publishing->fields.event = value;
    return check_text(value, EVENT_BYTES_MAX, why);
}

static enum error_code on_key(struct publishing *publishing, struct span value, struct error *why) {
    publishing->fields.key = value;
    return check_text(value, KEY_BYTES_MAX, why);
}

static enum error_code on_ttl(struct publishing *publishing, struct span value, struct error *why) {
    uint64_t seconds = 0;
    if (!span_parse_u64(value, &seconds) || seconds == 0 || seconds > TTL_S_MAX) {
        return error_set(why, ERR_BAD_REQUEST, "a lifetime is a whole number of seconds, from 1");
    }
    publishing->fields.ttl_ms = seconds * 1000;
    return OK;
}

static enum error_code on_retain(struct publishing *publishing, struct span value,
                                 struct error *why) {
    if (span_is_equal(value, SPAN("true"))) {
        publishing->fields.flags |= MESSAGE_RETAIN;
        return OK;
    }
    return span_is_equal(value, SPAN("false"))
               ? OK
               : error_set(why, ERR_BAD_REQUEST, "this is either true or false");
}

static enum error_code on_content_type(struct publishing *publishing, struct span value,
                                       struct error *why) {
    struct media_type type;
    publishing->content_type = value;
    if (value.length > MEDIA_TYPE_BYTES_MAX ||
        (value.length > 0 && !media_type_parse(value, &type))) {
        return error_set(why, ERR_MEDIA_TYPE, "this is no media type");
    }
    if (media_type_is(value, "application/x-ndjson") ||
        media_type_is(value, "application/cloudevents+json") ||
        media_type_is(value, "application/cloudevents-batch+json")) {
        return error_set(why, ERR_MEDIA_TYPE, "this media type is not in this version");
    }
    if (value.length > 0 && span_is_equal_nocase(type.type, SPAN("multipart"))) {
        return error_set(why, ERR_MEDIA_TYPE, "one body is one message; parts are not taken");
    }
    return OK;
}

static enum error_code on_content_encoding(struct publishing *publishing, struct span value,
                                           struct error *why) {
    (void)publishing;
    return span_is_equal_nocase(value, SPAN("identity")) || value.length == 0
               ? OK
               : error_set(why, ERR_MEDIA_TYPE, "bodies are taken without content coding");
}

/* Promises that this version cannot keep are refused: ignoring them would break them silently. */
static enum error_code on_later(struct publishing *publishing, struct span value,
                                struct error *why) {
    (void)publishing;
    (void)value;
    return error_set(why, ERR_NOT_IMPLEMENTED, "this header is not in this version");
}

static const struct {
    const char *name;
    enum error_code (*on_value)(struct publishing *publishing, struct span value,
                                struct error *why);
} rows[] = {
    {"Content-Type", on_content_type}, {"Content-Encoding", on_content_encoding},
    {"Tidings-Event", on_event},       {"Tidings-Key", on_key},
    {"Tidings-TTL", on_ttl},           {"Tidings-Retain", on_retain},
    {"Idempotency-Key", on_later},     {"ce-specversion", on_later},
};

/* Names of HTTP fields have no case of their own, and proxies change it: they are kept in lower
 * case (RFC 9113, section 8.2.1). `bytes` has room for a whole head. */
static struct span lower(uint8_t *bytes, struct span name) {
    INVARIANT(name.length <= HTTP_HEAD_BYTES_MAX);
    for (size_t i = 0; i < name.length; i++) {
        bool is_upper = name.bytes[i] >= 'A' && name.bytes[i] <= 'Z';
        bytes[i] = is_upper ? (uint8_t)(name.bytes[i] + ('a' - 'A')) : name.bytes[i];
    }
    return span_of(bytes, name.length);
}

static bool has_name(struct span map, struct span wanted) {
    struct span name;
    struct span value;
    while (string_map_next(&map, &name, &value)) {
        if (span_is_equal(name, wanted)) {
            return true;
        }
    }
    return false;
}

static enum error_code on_prefixed(struct publishing *publishing, struct span name,
                                   struct span value, struct error *why) {
    struct span prefix = SPAN(HEADER_PREFIX);
    if (name.length <= prefix.length ||
        !span_is_equal_nocase(span_of(name.bytes, prefix.length), prefix)) {
        return error_set(why, ERR_BAD_REQUEST, "the broker has no such header");
    }
    uint8_t own_bytes[HTTP_HEAD_BYTES_MAX];
    struct span own =
        lower(own_bytes, span_of(name.bytes + prefix.length, name.length - prefix.length));
    if (has_name(buffer_borrow(&publishing->headers), own)) {
        return error_set(why, ERR_BAD_REQUEST, "this header came twice");
    }
    if (value.length > 0) {
        enum error_code code = check_text(value, MESSAGE_HEADERS_BYTES_MAX, why);
        if (code != OK) {
            return code;
        }
    }
    enum error_code code = string_map_put(&publishing->headers, own, value);
    return code == ERR_TOO_LARGE
               ? error_set(why, ERR_HEADERS_TOO_LARGE, "a message's headers have %d bytes at most",
                           MESSAGE_HEADERS_BYTES_MAX)
               : code;
}

static enum error_code read_header(struct publishing *publishing, unsigned *seen,
                                   const struct request_header *header, struct error *why) {
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!span_is_equal_nocase(header->name, span_of_string(rows[i].name))) {
            continue;
        }
        if ((*seen & 1U << i) != 0) {
            return error_set(why, ERR_BAD_REQUEST, "this header came twice");
        }
        *seen |= 1U << i;
        return rows[i].on_value(publishing, header->value, why);
    }
    size_t prefix_length = sizeof("Tidings-") - 1;
    if (header->name.length > prefix_length &&
        span_is_equal_nocase(span_of(header->name.bytes, prefix_length), SPAN("Tidings-"))) {
        return on_prefixed(publishing, header->name, header->value, why);
    }
    return OK;
}

enum error_code publish_admit(struct request *request, struct error *why) {
    struct publishing *publishing = calloc(1, sizeof(*publishing));
    unsigned seen = 0;
    if (publishing == NULL) {
        return ERR_MEMORY;
    }
    publishing->request = request;
    buffer_init(&publishing->headers, MESSAGE_HEADERS_BYTES_MAX);
    request->state = publishing;
    request->on_state_finish = on_state_finish;
    for (size_t i = 0; i < request->header_count; i++) {
        struct error fault = {0};
        enum error_code code = read_header(publishing, &seen, &request->headers[i], &fault);
        if (code != OK) {
            char field[sizeof(fault.field)];
            snprintf(field, sizeof(field), "%.*s", SPAN_PRINTF(request->headers[i].name));
            return error_set_field(why, code, field, "%s", fault.detail);
        }
    }
    const struct channel_rule *rule =
        rules_find(request->broker->rules, buffer_borrow(&request->channel));
    publishing->fields.kind = MESSAGE_DATA;
    publishing->fields.flags |= rule->durability == DURABILITY_FSYNC ? MESSAGE_FSYNC : 0;
    request->body_bytes_max = rule->message_bytes_max;
    return OK;
}

/* --- the message ------------------------------------------------------------------------------ */

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

static void on_answered(struct publish *publish) {
    struct publishing *publishing = CONTAINER_OF(publish, struct publishing, publish);
    struct request *request = publishing->request;
    enum error_code code = publish->result;
    if (request_is_wanted(request) && code == OK) {
        INVARIANT(publishing->message->place.offset > 0);
        code = publish_put_answer(&request->reply.body, publishing->message, true);
        request->reply.status = 200;
        reply_add_header(&request->reply, "Content-Type", "application/json");
        reply_add_header(&request->reply, "Cache-Control", "no-store");
    }
    if (request_is_wanted(request) && code != OK) {
        request_refuse(request, code, code == publish->result ? &publish->why : NULL);
    }
    request_answer(request);
}

/* Makes the message and hands it to the log. OK: on_answered follows. */
static enum error_code submit(struct request *request, struct error *why) {
    struct publishing *publishing = request->state;
    struct message_fields *fields = &publishing->fields;
    struct media media = {0};
    enum error_code code = media_classify(publishing->content_type, request->body, &media, why);
    if (code != OK) {
        return code;
    }
    fields->payload_kind = media.payload_kind;
    fields->type = media.type;
    fields->payload = request->body;
    fields->channel = buffer_borrow(&request->channel);
    fields->headers = buffer_borrow(&publishing->headers);
    publishing->message = message_create(fields);
    if (publishing->message == NULL) {
        return error_set(why, ERR_MEMORY, "there was no memory for the message");
    }
    publishing->publish = (struct publish){.reply_to = request->reply_to,
                                           .on_answered = on_answered,
                                           .messages = &publishing->message,
                                           .count = 1};
    code = log_submit(request->broker->log, &publishing->publish);
    return code == OK ? OK : error_set(why, code, "the log takes nothing more at the moment");
}

void publish_handle(struct request *request) {
    struct error why = {0};
    request_wait(request);
    enum error_code code = submit(request, &why);
    if (code != OK) {
        request_refuse(request, code, &why);
        request_answer(request);
    }
}

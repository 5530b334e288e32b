/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/message_head.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/support/invariant.h"
#include "protocols/http/head.h"
#include "protocols/http/media_type.h"
#include "protocols/message_text.h"
#include "protocols/rest/request.h"

#define TIDINGS_PREFIX "Tidings-"
#define HEADER_PREFIX "Tidings-Header-"
#define EVENT_PREFIX "ce-"
#define MS_PER_SECOND 1000

/* --- values ----------------------------------------------------------------------------------- */

static enum error_code on_event(struct message_head *head, struct span value, struct error *why) {
    head->fields.event = value;
    return message_text_check(value, EVENT_BYTES_MAX, why);
}

static enum error_code on_key(struct message_head *head, struct span value, struct error *why) {
    head->fields.key = value;
    return message_text_check(value, KEY_BYTES_MAX, why);
}

static enum error_code on_ttl(struct message_head *head, struct span value, struct error *why) {
    uint64_t seconds = 0;
    if (!span_parse_u64(value, &seconds) || seconds == 0 || seconds > TTL_S_MAX) {
        return error_set(why, ERR_BAD_REQUEST, "a lifetime is a whole number of seconds, from 1");
    }
    head->fields.ttl_ms = seconds * MS_PER_SECOND;
    return OK;
}

static enum error_code on_retain(struct message_head *head, struct span value, struct error *why) {
    if (span_is_equal(value, SPAN("true"))) {
        head->fields.flags |= MESSAGE_RETAIN;
        return OK;
    }
    return span_is_equal(value, SPAN("false"))
               ? OK
               : error_set(why, ERR_BAD_REQUEST, "this is either true or false");
}

static enum error_code on_content_type(struct message_head *head, struct span value,
                                       struct error *why) {
    struct media_type type;
    head->content_type = value;
    if (value.length > MEDIA_TYPE_BYTES_MAX ||
        (value.length > 0 && (!media_type_parse(value, &type) || media_type_is_range(&type)))) {
        return error_set(why, ERR_MEDIA_TYPE, "this is no media type");
    }
    if (value.length > 0 && span_is_equal_nocase(type.type, SPAN("multipart"))) {
        return error_set(why, ERR_MEDIA_TYPE, "one body is one message; parts are not taken");
    }
    return OK;
}

static enum error_code on_content_encoding(struct message_head *head, struct span value,
                                           struct error *why) {
    (void)head;
    return span_is_equal_nocase(value, SPAN("identity")) || value.length == 0
               ? OK
               : error_set(why, ERR_MEDIA_TYPE, "bodies are taken without content coding");
}

/* What a key may hold outside of quotes: what no list or parameter would need quotes for. */
static bool is_bare(uint8_t byte) {
    return byte > 0x20 && byte < 0x7F && byte != '"' && byte != '\\' && byte != ',' && byte != ';';
}

static enum error_code refuse_key(struct error *why) {
    return error_set(why, ERR_BAD_REQUEST,
                     "a key is a string in quotes, or a word, of 1 to %d printable characters",
                     IDEMPOTENCY_KEY_BYTES_MAX);
}

/* A string of RFC 8941, section 3.3.3, as draft-ietf-httpapi-idempotency-key-header asks for; or
 * the bare word that clients of earlier APIs send. Both mean the same key. */
static enum error_code on_idempotency_key(struct message_head *head, struct span value,
                                          struct error *why) {
    bool is_quoted = value.length >= 2 && value.bytes[0] == '"';
    if (is_quoted && value.bytes[value.length - 1] != '"') {
        return refuse_key(why);
    }
    struct span rest = is_quoted ? span_of(value.bytes + 1, value.length - 2) : value;
    while (rest.length > 0) {
        uint8_t byte = rest.bytes[0];
        size_t taken = 1;
        bool is_good = is_quoted ? byte >= 0x20 && byte < 0x7F && byte != '"' : is_bare(byte);
        if (is_quoted && byte == '\\') {
            byte = rest.length > 1 ? rest.bytes[1] : 0;
            is_good = byte == '"' || byte == '\\';
            taken = 2;
        }
        enum error_code code =
            is_good ? buffer_put_byte(&head->idempotency_key, byte) : ERR_BAD_REQUEST;
        if (code != OK) {
            return code == ERR_MEMORY ? code : refuse_key(why);
        }
        rest = span_of(rest.bytes + taken, rest.length - taken);
    }
    return head->idempotency_key.length == 0 ? refuse_key(why) : OK;
}

/* What it says has been taken by authorization.h. */
static enum error_code on_tenant(struct message_head *head, struct span value, struct error *why) {
    (void)value;
    return head->passes_over_tenant
               ? OK
               : error_set(why, ERR_BAD_REQUEST, "credentials say whose the channels are here");
}

static const struct {
    struct span name;
    enum error_code (*on_value)(struct message_head *head, struct span value, struct error *why);
    bool describes_message;
} rows[] = {
    {SPAN_ROW("Content-Type"), on_content_type, false},
    {SPAN_ROW("Content-Encoding"), on_content_encoding, false},
    {SPAN_ROW("Idempotency-Key"), on_idempotency_key, false},
    {SPAN_ROW("Tidings-Event"), on_event, true},
    {SPAN_ROW("Tidings-Key"), on_key, true},
    {SPAN_ROW("Tidings-TTL"), on_ttl, true},
    {SPAN_ROW("Tidings-Retain"), on_retain, true},
    {SPAN_ROW("Tidings-Tenant"), on_tenant, false},
};

/* --- names that begin with a prefix ----------------------------------------------------------- */

/* True: `ret_own`, of at least one byte, is what follows the prefix, in lower case. Names of HTTP
 * fields have no case of their own, and proxies change it: RFC 9113, section 8.2.1, has them in
 * lower case. `bytes` has room for a whole head. */
static bool take_prefix(struct span name, struct span prefix, uint8_t *bytes,
                        struct span *ret_own) {
    INVARIANT(name.length <= HTTP_HEAD_BYTES_MAX);
    if (name.length <= prefix.length ||
        !span_is_equal_nocase(span_of(name.bytes, prefix.length), prefix)) {
        return false;
    }
    size_t length = name.length - prefix.length;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = name.bytes[prefix.length + i];
        bytes[i] = byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
    }
    *ret_own = span_of(bytes, length);
    return true;
}

static enum error_code on_own_header(struct message_head *head, struct span own, struct span value,
                                     struct error *why) {
    /* The operator's port is read by a library that lets other bytes pass. */
    if (!head_is_token(own)) {
        return error_set(why, ERR_BAD_REQUEST, "this is no name of a header");
    }
    enum error_code code =
        value.length == 0 ? OK : message_text_check(value, MESSAGE_HEADERS_BYTES_MAX, why);
    return code != OK ? code : message_headers_put(&head->headers, own, value, why);
}

/* HTTP binding, sections 3.1.1 and 3.1.3. */
static enum error_code on_attribute(struct message_head *head, struct span own, struct span value,
                                    struct error *why) {
    struct span text;
    if (head->passes_over_events) {
        return OK;
    }
    if (span_is_equal(own, SPAN("datacontenttype"))) {
        return error_set(why, ERR_BAD_REQUEST, "an event says this in Content-Type");
    }
    if (!head->is_event) {
        head->is_event = true;
        cloudevent_init(&head->event, &head->headers);
        enum error_code code = buffer_reserve(&head->scratch, HTTP_HEAD_BYTES_MAX);
        if (code != OK) {
            return code;
        }
    }
    enum error_code code = cloudevent_decode_header(value, &head->scratch, &text, why);
    return code != OK ? code : cloudevent_put(&head->event, own, text, why);
}

static enum error_code read_header(struct message_head *head, const struct request_header *header,
                                   struct error *why) {
    uint8_t bytes[HTTP_HEAD_BYTES_MAX];
    struct span own;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!span_is_equal_nocase(header->name, rows[i].name)) {
            continue;
        }
        if ((head->seen & 1U << i) != 0) {
            return error_set(why, ERR_BAD_REQUEST, "this header came twice");
        }
        head->seen |= 1U << i;
        head->describing = rows[i].describes_message ? header->name : head->describing;
        return rows[i].on_value(head, header->value, why);
    }
    if (take_prefix(header->name, SPAN(HEADER_PREFIX), bytes, &own)) {
        head->describing = header->name;
        return on_own_header(head, own, header->value, why);
    }
    if (take_prefix(header->name, SPAN(EVENT_PREFIX), bytes, &own)) {
        head->describing = head->passes_over_events ? head->describing : header->name;
        return on_attribute(head, own, header->value, why);
    }
    return take_prefix(header->name, SPAN(TIDINGS_PREFIX), bytes, &own)
               ? error_set(why, ERR_BAD_REQUEST, "the broker has no such header")
               : OK;
}

/* --- all of them ------------------------------------------------------------------------------ */

void message_head_init(struct message_head *head) {
    *head = (struct message_head){.fields.kind = MESSAGE_DATA};
    buffer_init(&head->headers, MESSAGE_HEADERS_BYTES_MAX);
    buffer_init(&head->idempotency_key, IDEMPOTENCY_KEY_BYTES_MAX);
    buffer_init(&head->scratch, HTTP_HEAD_BYTES_MAX);
}

void message_head_finish(struct message_head *head) {
    free(head->trace);
    buffer_finish(&head->headers);
    buffer_finish(&head->idempotency_key);
    buffer_finish(&head->scratch);
}

/* An event brings its own event and key; a header that says another is refused. */
static enum error_code conclude_event(struct message_head *head, struct error *why) {
    struct error fault = {0};
    enum error_code code = cloudevent_check(&head->event, &fault);
    if (code != OK) {
        char field[sizeof(EVENT_PREFIX) + sizeof(fault.field)];
        snprintf(field, sizeof(field), EVENT_PREFIX "%s", fault.field);
        return error_set_field(why, code, field, "%s", fault.detail);
    }
    if (head->fields.event.length > 0) {
        return error_set_field(why, ERR_BAD_REQUEST, "Tidings-Event",
                               "an event says this in its `type`");
    }
    if (head->fields.key.length > 0 && head->event.key.length > 0) {
        return error_set_field(why, ERR_BAD_REQUEST, "Tidings-Key",
                               "an event says this in its `partitionkey`");
    }
    head->fields.event = head->event.event;
    head->fields.key = head->event.key.length > 0 ? head->event.key : head->fields.key;
    return OK;
}

/* Kept apart, for it is larger than all the rest, and most requests have none. */
static enum error_code read_trace(struct message_head *head, const struct request_header *headers,
                                  size_t header_count, struct error *why) {
    struct trace_context trace;
    trace_context_read(headers, header_count, &trace);
    if (trace.parent.length == 0) {
        return OK;
    }
    head->trace = malloc(sizeof(*head->trace));
    if (head->trace == NULL) {
        return error_set(why, ERR_MEMORY, "there was no memory for the trace");
    }
    *head->trace = trace;
    return OK;
}

enum error_code message_head_read(struct message_head *head, const struct request_header *headers,
                                  size_t header_count, struct error *why) {
    struct error fault = {0};
    for (size_t i = 0; i < header_count; i++) {
        enum error_code code = read_header(head, &headers[i], &fault);
        if (code != OK) {
            char field[sizeof(fault.field)];
            snprintf(field, sizeof(field), "%.*s", SPAN_PRINTF(headers[i].name));
            return error_set_field(why, code, field, "%s", fault.detail);
        }
    }
    enum error_code code = read_trace(head, headers, header_count, why);
    return code == OK && head->is_event ? conclude_event(head, why) : code;
}

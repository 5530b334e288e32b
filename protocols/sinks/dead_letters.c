/* SPDX-License-Identifier: Apache-2.0 */
/* A dead letter is the message as it was, in the channel `$dlq/<sink>`, with these headers behind
 * its own, of which those of the same names are left out: who reads the first would believe its
 * publisher:
 *
 *     tidings-channel    the channel, as the tenant calls it
 *     tidings-tenant     whose channel it is; left out where it is nobody's
 *     tidings-offset     its offset there
 *     tidings-id         its id, with its place
 *     tidings-time       milliseconds since 1970
 *     tidings-attempts   how often it was sent
 *     tidings-status     of the last answer
 *     tidings-detail     what was wrong with it
 *
 * So it can be sent again as the message that it was. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/channels/id.h"
#include "broker/channels/name.h"
#include "broker/channels/scope.h"
#include "broker/support/string_map.h"
#include "protocols/sinks/sink_private.h"

#define OWN_HEADERS_BYTES 4096 /* of the rows above, at their longest */

struct span dead_letters_channel(const struct sink *sink, char text[DEAD_LETTERS_CHANNEL_BYTES]) {
    int length = snprintf(text, DEAD_LETTERS_CHANNEL_BYTES, "$dlq/%s", sink->row->name);
    return span_of(text, (size_t)length);
}

/* --- making one ------------------------------------------------------------------------------ */

static enum error_code put_number(struct buffer *headers, struct span name, uint64_t number) {
    uint8_t digits[SPAN_U64_DIGITS];
    return string_map_put(headers, name, span_format_u64(number, digits));
}

static bool is_own_name(struct span name) {
    static const char *const names[] = {"tidings-channel", "tidings-tenant", "tidings-offset",
                                        "tidings-id",      "tidings-time",   "tidings-attempts",
                                        "tidings-status",  "tidings-detail"};
    bool is_own = false;
    for (size_t i = 0; i < ARRAY_COUNT(names) && !is_own; i++) {
        is_own = span_is_equal_nocase(name, span_of_string(names[i]));
    }
    return is_own;
}

/* In a channel of its own nobody but the broker writes: what a letter says there is so. */
static enum error_code put_given(struct buffer *headers, const struct message_fields *fields) {
    bool is_ours = channel_name_is_reserved(fields->channel);
    struct span rest = fields->headers;
    struct span name;
    struct span value;
    enum error_code code = OK;
    while (code == OK && string_map_next(&rest, &name, &value)) {
        code = !is_ours && is_own_name(name) ? OK : string_map_put(headers, name, value);
    }
    return code;
}

static enum error_code put_headers(struct buffer *headers, const struct message *message,
                                   uint32_t attempts, const struct verdict *verdict) {
    char id[ID_TEXT_BYTES_MAX];
    struct span channel = message->fields.channel;
    struct span tenant = scope_tenant(channel);
    enum error_code code = put_given(headers, &message->fields);
    code = code != OK ? code
                      : string_map_put(headers, SPAN("tidings-channel"), scope_visible(channel));
    if (code == OK && tenant.length > 0) {
        code = string_map_put(headers, SPAN("tidings-tenant"), tenant);
    }
    code = code != OK ? code : put_number(headers, SPAN("tidings-offset"), message->place.offset);
    code = code != OK ? code
                      : string_map_put(headers, SPAN("tidings-id"),
                                       span_of(id, id_format(&message->place, id)));
    code = code != OK ? code : put_number(headers, SPAN("tidings-time"), message->time_ms);
    code = code != OK ? code : put_number(headers, SPAN("tidings-attempts"), attempts);
    code = code != OK ? code : put_number(headers, SPAN("tidings-status"), verdict->status);
    return code != OK
               ? code
               : string_map_put(headers, SPAN("tidings-detail"), span_of_string(verdict->detail));
}

struct message *dead_letters_create(const struct sink *sink, const struct message *message,
                                    uint32_t attempts, const struct verdict *verdict) {
    char channel[DEAD_LETTERS_CHANNEL_BYTES];
    struct buffer headers;
    struct message *letter = NULL;
    buffer_init(&headers, message->fields.headers.length + OWN_HEADERS_BYTES);
    if (put_headers(&headers, message, attempts, verdict) == OK) {
        struct message_fields fields = {.kind = MESSAGE_DATA,
                                        .payload_kind = message->fields.payload_kind,
                                        .channel = dead_letters_channel(sink, channel),
                                        .type = message->fields.type,
                                        .event = message->fields.event,
                                        .key = message->fields.key,
                                        .headers = buffer_borrow(&headers),
                                        .publisher = message->fields.publisher,
                                        .payload = message->fields.payload};
        letter = message_create(&fields);
    }
    buffer_finish(&headers);
    return letter;
}

/* --- opening one ----------------------------------------------------------------------------- */

/* What the headers of a letter say. */
struct opened {
    struct span channel;
    struct span tenant;
    struct span id;
    uint64_t time_ms;
    size_t own_length; /* of the message's own headers */
};

static void note_header(struct opened *opened, struct span name, struct span value) {
    if (span_is_equal(name, SPAN("tidings-channel"))) {
        opened->channel = value;
    } else if (span_is_equal(name, SPAN("tidings-tenant"))) {
        opened->tenant = value;
    } else if (span_is_equal(name, SPAN("tidings-id"))) {
        opened->id = value;
    } else if (span_is_equal(name, SPAN("tidings-time"))) {
        span_parse_u64(value, &opened->time_ms);
    }
}

/* The last header of that name begins what the sink put there: a message that was a dead letter
 * itself has the others among its own. */
static void read_headers(struct span headers, struct opened *ret_opened) {
    struct span rest = headers;
    struct span name;
    struct span value;
    for (size_t begin = 0; string_map_next(&rest, &name, &value);
         begin = headers.length - rest.length) {
        if (span_is_equal(name, SPAN("tidings-channel"))) {
            *ret_opened = (struct opened){.own_length = begin};
        }
        note_header(ret_opened, name, value);
    }
}

enum error_code dead_letters_open(const struct message *letter, struct message **ret_message) {
    struct opened opened = {0};
    struct place place;
    struct buffer channel;
    struct message *message = NULL;
    enum error_code code = OK;
    read_headers(letter->fields.headers, &opened);
    buffer_init(&channel, SCOPED_BYTES_MAX);
    if (opened.channel.length > 0 && id_parse(opened.id, &place) && place.position > 0) {
        code = scope_put(&channel, opened.tenant, opened.channel);
        if (code == OK) {
            struct message_fields fields = letter->fields;
            fields.channel = buffer_borrow(&channel);
            fields.headers.length = opened.own_length;
            message = message_create(&fields);
            code = message == NULL ? ERR_MEMORY : OK;
        }
    }
    buffer_finish(&channel);
    if (code == ERR_MEMORY) {
        return code;
    }
    if (message != NULL) {
        message_order(message, &place, opened.time_ms);
    }
    *ret_message = message;
    return OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Written once a message, worker and kind of framing, so it is on the hot path: no printf, numbers
 * and times by hand. A failed put sticks in the writer, and the end takes everything back. */
#include "protocols/envelope.h"

#include "broker/channels/id.h"
#include "broker/channels/scope.h"
#include "broker/support/base64.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/json.h"
#include "broker/support/string_map.h"

struct writer {
    struct buffer *buffer;
    size_t length_before;
    enum error_code code;
};

static struct writer writer_of(struct buffer *buffer) {
    return (struct writer){.buffer = buffer, .length_before = buffer->length};
}

static enum error_code finish(struct writer *writer) {
    if (writer->code != OK) {
        writer->buffer->length = writer->length_before;
    }
    return writer->code;
}

static void put(struct writer *writer, struct span text) {
    if (writer->code == OK) {
        writer->code = buffer_put(writer->buffer, text);
    }
}

/* `name` holds the punctuation around it: `,"key":`. */
static void put_string(struct writer *writer, struct span name, struct span value) {
    put(writer, name);
    if (writer->code == OK) {
        writer->code = json_escape_put(writer->buffer, value);
    }
}

static void put_given(struct writer *writer, struct span name, struct span value) {
    if (value.length > 0) {
        put_string(writer, name, value);
    }
}

static void put_number(struct writer *writer, struct span name, uint64_t number) {
    uint8_t digits[SPAN_U64_DIGITS];
    put(writer, name);
    put(writer, span_format_u64(number, digits));
}

/* The id as a string, with its quotes. */
static void put_id(struct writer *writer, struct span name, const struct place *place) {
    char text[ID_TEXT_BYTES_MAX + 2];
    size_t length = id_format(place, text + 1);
    text[0] = text[length + 1] = '"';
    put(writer, name);
    put(writer, span_of(text, length + 2));
}

static void put_time(struct writer *writer, struct span name, uint64_t time_ms) {
    char text[CLOCK_RFC3339_BYTES];
    clock_format_rfc3339(time_ms, text);
    put(writer, name);
    put(writer, span_of(text, CLOCK_RFC3339_BYTES - 1));
    put(writer, SPAN("\""));
}

static void put_payload(struct writer *writer, const struct message_fields *fields) {
    switch (fields->payload_kind) {
    case PAYLOAD_JSON:
        put(writer, SPAN(",\"data\":"));
        put(writer, fields->payload);
        return;
    case PAYLOAD_TEXT:
        put_string(writer, SPAN(",\"data\":"), fields->payload);
        return;
    case PAYLOAD_BINARY:
        put(writer, SPAN(",\"data_base64\":\""));
        if (writer->code == OK) {
            writer->code = base64_put(writer->buffer, fields->payload);
        }
        put(writer, SPAN("\""));
        return;
    }
    INVARIANT(!"a kind of payload that is not in the table");
}

/* JSON is what goes without saying; an MQTT publisher need not name the type of anything. */
static void put_type(struct writer *writer, const struct message_fields *fields) {
    static const struct span unnamed[] = {
        [PAYLOAD_JSON] = {0},
        [PAYLOAD_TEXT] = {(const uint8_t *)"text/plain", 10},
        [PAYLOAD_BINARY] = {(const uint8_t *)"application/octet-stream", 24},
    };
    struct span type = fields->type.length > 0 ? fields->type : unnamed[fields->payload_kind];
    if (!span_is_equal(type, SPAN("application/json"))) {
        put_given(writer, SPAN(",\"type\":"), type);
    }
}

/* The values of one name, of which readers of JSON would keep one: as those of a field of HTTP.
 * `rest` stands behind the first; what is joined is shorter than that. */
static void put_joined(struct writer *writer, struct span name, struct span value,
                       struct span rest) {
    struct span other;
    struct buffer joined;
    buffer_init(&joined, value.length + rest.length);
    struct writer values = writer_of(&joined);
    put(&values, value);
    while (string_map_next(&rest, &other, &value)) {
        if (span_is_equal(other, name)) {
            put(&values, SPAN(", "));
            put(&values, value);
        }
    }
    put_string(writer, SPAN(":"), buffer_borrow(&joined));
    writer->code = writer->code == OK ? values.code : writer->code;
    buffer_finish(&joined);
}

/* Publishers of MQTT, and of Kafka, may give a name more than once. */
static void put_headers(struct writer *writer, struct span headers) {
    struct span rest = headers, name, value;
    size_t index;
    bool has_repeats = false;
    put(writer, SPAN(",\"headers\":{"));
    for (size_t i = 0; string_map_next(&rest, &name, &value); i++) {
        if (has_repeats && string_map_find(headers, name, &index) && index < i) {
            continue;
        }
        put_string(writer, i == 0 ? SPAN("") : SPAN(","), name);
        if (string_map_find(rest, name, &index)) {
            has_repeats = true;
            put_joined(writer, name, value, rest);
        } else {
            put_string(writer, SPAN(":"), value);
        }
    }
    put(writer, SPAN("}"));
}

enum error_code envelope_put(struct buffer *buffer, const struct message *message,
                             const struct envelope_options *options) {
    const struct message_fields *fields = &message->fields;
    struct writer writer = writer_of(buffer);
    put(&writer, SPAN("{"));
    if (options != NULL && options->subscription != 0) {
        put_number(&writer, SPAN("\"sub\":"), options->subscription);
        put(&writer, SPAN(","));
    }
    put_string(&writer, SPAN("\"channel\":"), scope_visible(fields->channel));
    put_number(&writer, SPAN(",\"offset\":"), message->place.offset);
    put_id(&writer, SPAN(",\"id\":"), &message->place);
    put_time(&writer, SPAN(",\"time\":\""), message->time_ms);
    put_payload(&writer, fields);
    put_type(&writer, fields);
    put_given(&writer, SPAN(",\"event\":"), fields->event);
    put_given(&writer, SPAN(",\"key\":"), fields->key);
    if (fields->headers.length > 0) {
        put_headers(&writer, fields->headers);
    }
    if (options != NULL && options->skipped != 0) {
        put_number(&writer, SPAN(",\"skipped\":"), options->skipped);
    }
    put(&writer, SPAN("}"));
    return finish(&writer);
}

const char *envelope_gap_reason(enum gap_reason reason) {
    static const char *const names[] = {
        [GAP_EXPIRED] = "expired", [GAP_DROPPED] = "dropped", [GAP_DELETED] = "deleted",
        [GAP_AHEAD] = "ahead",     [GAP_EPOCH] = "epoch",
    };
    INVARIANT((size_t)reason < ARRAY_COUNT(names));
    return names[reason];
}

static void put_pattern_gap(struct writer *writer, const struct storage_gap *gap) {
    put_string(writer, SPAN("{\"pattern\":"), scope_visible(gap->selector));
    if (gap->after.log_id != 0) {
        put_id(writer, SPAN(",\"after\":"), &gap->after);
    }
    put_id(writer, SPAN(",\"resumed\":"), &gap->resumed);
    put_string(writer, SPAN(",\"reason\":"), span_of_string(envelope_gap_reason(gap->gap.reason)));
    put_id(writer, SPAN(",\"id\":"), &gap->resumed);
    put(writer, SPAN("}"));
}

static void put_gap(struct writer *writer, const struct storage_gap *gap) {
    if (gap->is_pattern) {
        put_pattern_gap(writer, gap);
        return;
    }
    put_string(writer, SPAN("{\"channel\":"), scope_visible(gap->selector));
    if (gap->gap.from != 0) {
        put_number(writer, SPAN(",\"from\":"), gap->gap.from);
    }
    if (gap->gap.to != 0) {
        put_number(writer, SPAN(",\"to\":"), gap->gap.to);
    }
    put_string(writer, SPAN(",\"reason\":"), span_of_string(envelope_gap_reason(gap->gap.reason)));
    put_id(writer, SPAN(",\"id\":"), &gap->resumed);
    if (gap->first != 0 && gap->last == 0) {
        /* Told by the delete itself, which does not know what else is kept. */
    } else if (gap->last == 0) {
        put(writer, SPAN(",\"first\":null,\"last\":null"));
    } else {
        put_number(writer, SPAN(",\"first\":"), gap->first);
        put_number(writer, SPAN(",\"last\":"), gap->last);
    }
    put(writer, SPAN("}"));
}

enum error_code envelope_put_gap(struct buffer *buffer, const struct storage_gap *gap) {
    struct writer writer = writer_of(buffer);
    put_gap(&writer, gap);
    return finish(&writer);
}

enum error_code envelope_put_page_head(struct buffer *buffer) {
    return buffer_put(buffer, SPAN("{\"messages\":["));
}

static void put_offset_or_null(struct writer *writer, struct span name, uint64_t offset) {
    if (offset == 0) {
        put(writer, name);
        put(writer, SPAN("null"));
    } else {
        put_number(writer, name, offset);
    }
}

static void put_id_or_null(struct writer *writer, struct span name, const struct place *place) {
    if (place == NULL) {
        put(writer, name);
        put(writer, SPAN("null"));
    } else {
        put_id(writer, name, place);
    }
}

enum error_code envelope_put_page_tail(struct buffer *buffer, const struct envelope_page *page) {
    struct writer writer = writer_of(buffer);
    put_offset_or_null(&writer, SPAN("],\"first\":"), page->first);
    put_offset_or_null(&writer, SPAN(",\"last\":"), page->last);
    put_id_or_null(&writer, SPAN(",\"prev\":"), page->prev);
    put_id_or_null(&writer, SPAN(",\"next\":"), page->next);
    put(&writer, page->at_head ? SPAN(",\"at_head\":true") : SPAN(",\"at_head\":false"));
    if (page->gap != NULL) {
        put(&writer, SPAN(",\"gap\":"));
        put_gap(&writer, page->gap);
    }
    for (size_t i = 0; page->gap_count > 1 && i < page->gap_count; i++) {
        put(&writer, i == 0 ? SPAN(",\"gaps\":[") : SPAN(","));
        put_gap(&writer, &page->gaps[i]);
    }
    put(&writer, page->gap_count > 1 ? SPAN("]}") : SPAN("}"));
    return finish(&writer);
}

enum error_code envelope_put_id(struct buffer *buffer, const char *name,
                                const struct place *place) {
    struct writer writer = writer_of(buffer);
    put_string(&writer, SPAN(""), span_of_string(name));
    put_id(&writer, SPAN(":"), place);
    return finish(&writer);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/bodies.h"

#include <stdio.h>

#include "broker/limits.h"
#include "broker/support/buffer.h"
#include "broker/support/json.h"
#include "protocols/cloudevents.h"
#include "protocols/message_object.h"
#include "protocols/rest/batch.h"
#include "protocols/rest/media.h"
#include "protocols/rest/message_head.h"

/* Base64 that is escaped is decoded twice. */
#define SCRATCH_BYTES_MAX (2 * PUBLISH_BYTES_MAX + 64)

/* What the head says of each message, and its channel. */
static struct message_fields fields_of(const struct body *body) {
    struct message_fields fields = body->head->fields;
    fields.channel = body->channel;
    fields.headers = buffer_borrow(&body->head->headers);
    return fields;
}

/* --- one message ------------------------------------------------------------------------------ */

enum error_code body_read_whole(const struct body *body, struct error *why) {
    struct message_fields fields = fields_of(body);
    struct media media = {0};
    bool is_empty_event = body->head->is_event && body->bytes.length == 0;
    enum error_code code =
        media_classify(is_empty_event ? (struct span){0} : body->head->content_type,
                       is_empty_event ? SPAN("null") : body->bytes, &media, why);
    if (code != OK) {
        return code;
    }
    fields.payload_kind = media.payload_kind;
    fields.type = media.type;
    fields.payload = is_empty_event ? SPAN("null") : body->bytes;
    return batch_add(body->batch, body->rules, &fields, why);
}

/* --- lines ------------------------------------------------------------------------------------ */

static enum error_code read_line(const struct body *body, struct span line, struct error *why) {
    struct message_fields fields = fields_of(body);
    struct json_value value;
    size_t position;
    const char *fault;
    if (json_parse(line, &value, &position, &fault) != OK) {
        return json_refuse(why, "the line", position, fault);
    }
    fields.payload_kind = PAYLOAD_JSON;
    fields.payload = value.text;
    return batch_add(body->batch, body->rules, &fields, why);
}

static bool is_blank(struct span line) {
    struct span text = span_trim(line);
    return text.length == 0 || (text.length == 1 && text.bytes[0] == '\r');
}

enum error_code body_read_lines(const struct body *body, struct error *why) {
    struct span rest = body->bytes;
    for (size_t number = 1; rest.length > 0; number++) {
        struct error fault = {0};
        struct span line = span_split(&rest, '\n');
        enum error_code code = is_blank(line) ? OK : read_line(body, line, &fault);
        if (code != OK) {
            char field[sizeof(fault.field)];
            snprintf(field, sizeof(field), "line %zu", number);
            error_set_field(why, code, field, "line %zu: %s", number, fault.detail);
            why->is_too_deep = fault.is_too_deep;
            return code;
        }
    }
    return OK;
}

/* --- JSON objects ----------------------------------------------------------------------------- */

typedef enum error_code element_read(const struct body *body, struct json_value element,
                                     struct buffer *scratch, struct error *why);

static enum error_code read_object(const struct body *body, struct json_value element,
                                   struct buffer *scratch, struct error *why) {
    struct message_object object;
    enum error_code code = message_object_parse(element, false, scratch, &object, why);
    if (code != OK) {
        return code;
    }
    if (object.fields.channel.length == 0) {
        return error_set_field(why, ERR_BAD_REQUEST, "channel", "`channel` is missing");
    }
    code = batch_check_channel(object.fields.channel, true, why);
    if (code == OK && body->may_publish != NULL) {
        code = body->may_publish(body->context, object.fields.channel, why);
    }
    return code == OK ? batch_add(body->batch, body->rules, &object.fields, why) : code;
}

static enum error_code read_event(const struct body *body, struct json_value element,
                                  struct buffer *scratch, struct error *why) {
    struct message_fields fields = fields_of(body);
    struct buffer *headers = &body->head->headers;
    size_t headers_length = headers->length;
    struct span key = fields.key;
    enum error_code code = cloudevent_parse(element, scratch, headers, &fields, why);
    if (code == OK && key.length > 0 && fields.key.length > 0) {
        code =
            error_set_field(why, ERR_BAD_REQUEST, "partitionkey", "Tidings-Key says a key already");
    }
    if (code == OK) {
        fields.key = key.length > 0 ? key : fields.key;
        fields.headers = buffer_borrow(headers);
        code = batch_add(body->batch, body->rules, &fields, why);
    }
    headers->length = headers_length;
    return code;
}

/* With room for its decoded texts; the batch copies what they say. */
static enum error_code read_element(const struct body *body, struct json_value element,
                                    struct buffer *scratch, element_read *read, struct error *why) {
    buffer_clear(scratch);
    enum error_code code = buffer_reserve(scratch, message_object_scratch_bytes(element.text));
    return code == OK ? read(body, element, scratch, why)
                      : error_set(why, code, "there was no memory for the message");
}

static enum error_code read_array(const struct body *body, struct json_value array,
                                  struct buffer *scratch, element_read *read, struct error *why) {
    struct json_walk walk = json_walk_of(array);
    struct json_value element;
    for (size_t index = 0; json_array_next(&walk, &element); index++) {
        struct error fault = {0};
        enum error_code code = read_element(body, element, scratch, read, &fault);
        if (code != OK) {
            char field[sizeof(fault.field) + 32];
            snprintf(field, sizeof(field), "[%zu]%s%s", index, fault.field[0] == '\0' ? "" : ".",
                     fault.field);
            return error_set_field(why, code, field, "message [%zu]: %s", index, fault.detail);
        }
    }
    return OK;
}

/* Which element of an array a fault stands in, by the text before it, which has none. False: it
 * stands in no array. */
static bool find_element(struct span text, size_t *ret_index) {
    bool is_array = false;
    bool is_in_string = false;
    size_t depth = 0;
    *ret_index = 0;
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.bytes[i];
        if (is_in_string) {
            i += byte == '\\';
            is_in_string = byte != '"';
            continue;
        }
        is_in_string = byte == '"';
        is_array |= depth == 0 && byte == '[';
        depth += byte == '[' || byte == '{';
        depth -= depth > 0 && (byte == ']' || byte == '}');
        *ret_index += depth == 1 && byte == ',';
    }
    return is_array && depth > 0;
}

static enum error_code parse(struct span text, struct json_value *ret_value, struct error *why) {
    size_t position;
    const char *what;
    size_t index;
    if (json_parse(text, ret_value, &position, &what) == OK) {
        return OK;
    }
    enum error_code code = json_refuse(why, "the body", position, what);
    if (find_element(span_of(text.bytes, position), &index)) {
        struct error fault = *why;
        char field[32];
        snprintf(field, sizeof(field), "[%zu]", index);
        error_set_field(why, code, field, "message [%zu]: %s", index, fault.detail);
        why->is_too_deep = fault.is_too_deep;
    }
    return code;
}

enum error_code body_read_objects(const struct body *body, struct error *why) {
    struct json_value value;
    struct buffer scratch;
    enum error_code code = parse(body->bytes, &value, why);
    if (code != OK) {
        return code;
    }
    buffer_init(&scratch, SCRATCH_BYTES_MAX);
    code = value.kind == JSON_KIND_ARRAY ? read_array(body, value, &scratch, read_object, why)
                                         : read_element(body, value, &scratch, read_object, why);
    buffer_finish(&scratch);
    return code;
}

/* An event brings its own `type`, which is the message's event. */
static enum error_code check_head_of_events(const struct body *body, struct error *why) {
    return body->head->fields.event.length == 0
               ? OK
               : error_set_field(why, ERR_BAD_REQUEST, "Tidings-Event",
                                 "an event says this in its `type`");
}

enum error_code body_read_event(const struct body *body, struct error *why) {
    struct json_value value;
    struct buffer scratch;
    enum error_code code = check_head_of_events(body, why);
    if (code == OK) {
        code = parse(body->bytes, &value, why);
    }
    if (code != OK) {
        return code;
    }
    buffer_init(&scratch, SCRATCH_BYTES_MAX);
    code = read_element(body, value, &scratch, read_event, why);
    buffer_finish(&scratch);
    return code;
}

enum error_code body_read_events(const struct body *body, struct error *why) {
    struct json_value value;
    struct buffer scratch;
    enum error_code code = check_head_of_events(body, why);
    if (code == OK) {
        code = parse(body->bytes, &value, why);
    }
    if (code == OK && value.kind != JSON_KIND_ARRAY) {
        code = error_set(why, ERR_BAD_REQUEST, "a batch of events is an array");
    }
    if (code != OK) {
        return code;
    }
    buffer_init(&scratch, SCRATCH_BYTES_MAX);
    code = read_array(body, value, &scratch, read_event, why);
    buffer_finish(&scratch);
    return code;
}

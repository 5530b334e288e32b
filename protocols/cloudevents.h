/* SPDX-License-Identifier: Apache-2.0 */
/* cloudevents.h — CloudEvents 1.0 as messages: attributes of HTTP headers or of a JSON object.
 *
 * Place:   publishing over HTTP; what sinks send (protocols/sinks/format.h, Kafka's headers).
 * Thread:  pure; texts are decoded into a buffer of the caller's.
 * Bounds:  those of the fields that attributes become, which name the attribute.
 *
 *     attribute                          field of the message
 *     type                               event
 *     datacontenttype                    type
 *     partitionkey (an extension)        key
 *     all others, extensions too         headers: ce-id, ce-source, ce-time, …
 *     data, data_base64                  payload; an event without data has JSON null
 *
 * The other way round a message that came as an event is that one again, but that what was a
 * number or a truth value is its text (an event without data and one whose data is null are one).
 * Any other gets `id`: its own; `source`: "/channels/" and its name; `type`: its event, or
 * "message"; `time`; `datacontenttype`; and the extensions `tidingsoffset` (a string: it has 64
 * bits), `partitionkey`, `traceparent` and `tracestate`.
 *
 * Sources: CloudEvents 1.0.2, "Context attributes"; JSON event format 1.0.2; HTTP protocol binding
 * 1.0.2, section 3.1; the partitioning and distributed tracing extensions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/json.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

/* The attributes of one event as they come, in any order. */
struct cloudevent {
    struct buffer *headers; /* a string map, the caller's, to which `ce-…` are added */
    struct span event;      /* as they were given to cloudevent_put() */
    struct span key;
    struct span type;
    uint32_t seen; /* cloudevents.c's */
};

void cloudevent_init(struct cloudevent *event, struct buffer *headers);

/* Adds an attribute: its name in lower case, its value in the canonical string form. The value must
 * live as long as the event is asked. An error's field is the name. ERR_BAD_REQUEST: a name, value
 * or version that the specification does not allow, an attribute that came twice. ERR_BAD_UTF8,
 * ERR_HEADERS_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code cloudevent_put(struct cloudevent *event, struct span name,
                                        struct span value, struct error *why);

/* ERR_BAD_REQUEST names the first of the required attributes (specversion, id, source, type) that
 * did not come. */
MUST_USE enum error_code cloudevent_check(const struct cloudevent *event, struct error *why);

/* The value of a `ce-` header as text: a quoted string is unescaped, then percent-escapes are
 * decoded (HTTP binding, section 3.1.3.2). Appends to `scratch`, which has room for it.
 * ERR_BAD_REQUEST: broken quotes or escapes. */
MUST_USE enum error_code cloudevent_decode_header(struct span value, struct buffer *scratch,
                                                  struct span *ret_text, struct error *why);

/* One event of the JSON format, out of JSON that was checked. `scratch` has
 * message_object_scratch_bytes() of room. Fills kind, payload, payload_kind, type, event and key of
 * the fields; adds to the string map `headers`. */
MUST_USE enum error_code cloudevent_parse(struct json_value object, struct buffer *scratch,
                                          struct buffer *headers, struct message_fields *fields,
                                          struct error *why);

/* --- messages as events ----------------------------------------------------------------------- */

/* Is there data? Else the payload stands for its absence. */
bool cloudevent_has_data(const struct message *message);

/* The attributes of an ordered message as an event, `datacontenttype` among them if it has data,
 * each once, the required ones first. Spans live until on_attribute returns. What it returns but OK
 * ends the walk and is the result; ERR_MEMORY. */
typedef enum error_code cloudevent_on_attribute(void *context, struct span name, struct span value);
MUST_USE enum error_code cloudevent_each(const struct message *message,
                                         cloudevent_on_attribute *on_attribute, void *context);

/* Appends it as an object of the JSON format. JSON data goes out byte for byte. All or nothing:
 * ERR_MEMORY, ERR_TOO_LARGE. */
MUST_USE enum error_code cloudevent_put_json(struct buffer *buffer, const struct message *message);

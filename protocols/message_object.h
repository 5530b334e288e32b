/* SPDX-License-Identifier: Apache-2.0 */
/* message_object.h — a message that somebody publishes, written as a JSON object.
 *
 * Place:   elements of POST /publish; "publish" on a WebSocket. CloudEvents use its `data`.
 * Thread:  pure; texts are decoded into a buffer of the caller's.
 * Bounds:  each member by its own limit, which names the member as the field to blame.
 *
 *     {"channel":"chat/7","data":{"text":"hi"} or "data_base64":"…","type"?,"event"?,"key"?,
 *      "headers"?:{…},"ttl"?:seconds,"retain"?:true,"idempotency_key"?}
 *
 * A member that is not known is refused and named, so that a misspelt one does not pass silently.
 * JSON passes through untouched: `data` is a span of the text that was parsed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/json.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

/* Empty spans were not given. Spans point into the JSON or into the scratch buffer. */
struct message_object {
    /* kind, payload_kind, ttl_ms, flags (retain), channel (not checked), type, event, key, headers
     * and payload; the rest is the caller's. */
    struct message_fields fields;
    struct span idempotency_key;
};

/* How much room `scratch` needs for what `text` holds, so that it does not move meanwhile. */
size_t message_object_scratch_bytes(struct span text);

/* Reads one object out of JSON that was checked. `scratch` has room: decoded texts are appended.
 * ERR_BAD_REQUEST and others with the member in why->field. */
MUST_USE enum error_code message_object_parse(struct json_value object,
                                              bool may_have_idempotency_key, struct buffer *scratch,
                                              struct message_object *ret_object, struct error *why);

/* The payload that a member `data` stands for: JSON as it is, or a string, which is text of
 * fields->type. Sets payload, payload_kind and type. */
MUST_USE enum error_code message_object_take_data(struct json_value data, struct buffer *scratch,
                                                  struct message_fields *fields, struct error *why);

/* … and `data_base64`: bytes, which fields->type may say to be JSON or text. */
MUST_USE enum error_code message_object_take_data_base64(struct json_value data,
                                                         struct buffer *scratch,
                                                         struct message_fields *fields,
                                                         struct error *why);

/* Refuses a member that nobody knows, naming it as far as it can be shown. */
enum error_code message_object_refuse_member(struct span name_literal, struct error *why);

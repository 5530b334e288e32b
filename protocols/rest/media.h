/* SPDX-License-Identifier: Apache-2.0 */
/* media.h — what a published body is: JSON, text or bytes, by its media type and by a look at it.
 *
 * Place:   publishing over HTTP; MQTT and WebSocket use it for a `type` that is given.
 * Thread:  pure.
 * Bounds:  MEDIA_TYPE_BYTES_MAX; one pass over the body.
 *
 *     Content-Type                                payload                     type kept
 *     none, application/octet-stream,             JSON if it parses (400      none (JSON),
 *       application/x-www-form-urlencoded           if it is too deep), else   text/plain,
 *                                                   text if UTF-8,
 *                                                   else bytes        application/octet-stream
 *     application/json                            JSON, else 400              none
 *     application/…+json, text/json               JSON, else 400              as given
 *     text/…                                      text, 400 if not UTF-8      as given
 *     application/xml, …+xml, application/yaml,   text if UTF-8, else bytes   as given
 *       application/javascript
 *     any other                                   bytes                       as given
 *
 * A charset other than UTF-8 or US-ASCII on JSON or text/… is 415: nothing here is re-encoded.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

struct media {
    enum payload_kind payload_kind;
    struct span type; /* for message_fields.type: of the given text, or constant; empty: JSON */
};

/* By Content-Type; empty: none was given. ERR_BAD_JSON with the position of the fault,
 * ERR_BAD_UTF8, ERR_MEDIA_TYPE. */
MUST_USE enum error_code media_classify(struct span content_type, struct span body,
                                        struct media *ret_media, struct error *why);

/* What is sent as that has to be JSON. */
bool media_is_json(struct span content_type);

/* Whether text of this type is taken: it names no charset, or UTF-8 or US-ASCII. No type (empty)
 * names none. */
bool media_is_utf8(struct span content_type);

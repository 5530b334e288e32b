/* SPDX-License-Identifier: Apache-2.0 */
/* command.h — what a client may say on a WebSocket: publish, subscribe, unsubscribe, auth.
 *
 * Place:   each whole text message of protocols/websocket.
 * Thread:  pure; texts are decoded into a buffer of the caller's.
 * Bounds:  one message; an event, key, channel … by its own limit, which names the field.
 *
 *     {"publish":{"channel":"chat/7","data":{"text":"hi"},"key":"k",…},"ref":2}
 *     {"subscribe":"tennis/court-1","since":"t1…","on_lag":"conflate","limit":9,"ref":1}
 *     {"unsubscribe":1,"ref":3}      {"auth":"<token>"}
 *
 * Exactly one verb. A member that is not known is refused and named, so that a misspelt option does
 * not pass silently. On a socket of one channel `channel` may be left out; whether a given one is
 * the right one is the caller's question.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

/* COMMAND_NONE: none of them was found. */
enum command_kind {
    COMMAND_NONE,
    COMMAND_PUBLISH,
    COMMAND_SUBSCRIBE,
    COMMAND_UNSUBSCRIBE,
    COMMAND_AUTH,
};

/* Empty spans were not given. Spans point into the text or into the scratch buffer. */
struct command {
    enum command_kind kind;
    struct span ref; /* JSON as it came (a number or string), to be sent back; empty: no answer */

    /* publish: kind, payload_kind, ttl_ms, flags (retain), channel, type, event, key, headers (a
     * string map) and payload are filled; the rest is the caller's. */
    struct message_fields publish;
    struct span idempotency_key;

    struct span subscribe; /* a channel or pattern, not checked */
    struct span since;     /* text for since_parse(); a JSON number counts as an offset */
    struct span on_lag;
    uint64_t limit; /* 0: not given */
    uint64_t unsubscribe;
    struct span auth;
};

/* `scratch` is cleared first; it and the text must live as long as the command. ERR_BAD_JSON: no
 * JSON; ERR_BAD_REQUEST and others with the field to blame. On an error `ret_command->ref` is set
 * where it could be read, so that the answer finds its question. */
MUST_USE enum error_code command_parse(struct span text, struct buffer *scratch,
                                       struct command *ret_command, struct error *why);

/* SPDX-License-Identifier: Apache-2.0 */
/* publications.h — what one WebSocket has published and not been answered yet.
 *
 * Place:   part of protocols/websocket/websocket.c; submits to the log.
 * Thread:  its worker's; answers come through the worker's mailbox.
 * Bounds:  PUBLICATIONS_MAX; the owner stops reading there.
 *
 * What the log answers in one turn the owner hears of at the turn's end, so that it can answer with
 * one write.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/runtime/worker.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

#define PUBLICATIONS_MAX 64

/* One answer. OK: `message` is ordered; else `why` says what happened. `ref` is as it was given. */
struct publication_answer {
    struct span ref;
    enum error_code code;
    const struct message *message;
    const struct error *why;
};

/* `out` is the worker's scratch buffer: empty at first, and handed on from call to call. */
struct publications_owner {
    void (*on_answered)(void *context, const struct publication_answer *answer, struct buffer *out);
    void (*on_all_answered)(void *context, struct buffer *out); /* of this turn */
};

struct publications;

/* ERR_MEMORY. */
MUST_USE enum error_code publications_create(struct worker *worker,
                                             const struct publications_owner *owner, void *context,
                                             struct publications **ret_publications);

/* What is under way ends by itself; the owner is not called any more. Accepts NULL. */
void publications_destroy(struct publications *publications);

/* PUBLICATIONS_MAX are under way. Accepts NULL. */
bool publications_is_full(const struct publications *publications);

/* Checks channel and size against the rules and the connection's limits, and submits what its
 * identity (NULL: everyone) may publish, in its scope; ref and fields are copied. A repeat of an
 * `idempotency_key` (empty: none) is answered as the first was, and stores nothing. OK: an answer
 * follows. */
MUST_USE enum error_code publications_submit(struct publications *publications,
                                             struct connection *connection,
                                             const struct message_fields *fields,
                                             struct span idempotency_key, struct span ref,
                                             struct error *why);

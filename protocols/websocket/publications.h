/* SPDX-License-Identifier: Apache-2.0 */
/* publications.h — what one WebSocket has published and the log has not answered yet.
 *
 * Place:   part of protocols/websocket/websocket.c; submits to the log.
 * Thread:  its worker's; answers come through the worker's mailbox.
 * Bounds:  PUBLICATIONS_MAX; the owner stops reading there.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/runtime/broker.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/mailbox.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

#define PUBLICATIONS_MAX 64

/* Embedded by value; all members belong to publications.c. */
struct publications {
    struct list list;
    size_t count;
    struct broker *broker;
    struct mailbox *reply_to;
    /* OK: `message` is ordered; else `why` says what happened. `ref` is as it was given. */
    void (*on_answered)(void *context, struct span ref, enum error_code code,
                        const struct message *message, const struct error *why);
    void *context;
};

void publications_init(struct publications *publications);

/* Checks channel and size against the rules, and submits; ref and fields are copied. A repeat of an
 * `idempotency_key` (empty: none) is answered as the first was, and stores nothing. OK: on_answered
 * follows. */
MUST_USE enum error_code publications_submit(struct publications *publications,
                                             const struct message_fields *fields,
                                             struct span idempotency_key, struct span ref,
                                             struct error *why);

/* What is under way ends by itself; on_answered is not called any more. */
void publications_abandon(struct publications *publications);

/* SPDX-License-Identifier: Apache-2.0 */
/* subscriptions.h — the readers of one WebSocket on /stream: opened, numbered, served in turn.
 *
 * Place:   part of protocols/websocket; each subscription is one stream (broker/runtime).
 * Thread:  its worker's.
 * Bounds:  SUBSCRIPTIONS_MAX; each a stream and a small struct.
 *
 * Numbers count from 1 for the socket's life and are not given again. The answer to `subscribe`
 * goes out when the stream knows where it starts; frames of the subscription follow it.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct command;
struct identity;
struct petition;
struct reading;
struct websocket;

/* Opens those that the URL names, numbered in its order and not answered. ERR_MEMORY: some may be
 * open. */
MUST_USE enum error_code subscriptions_create(struct websocket *websocket,
                                              const struct reading *reading);

/* Ends all of them. Harmless where there are none. */
void subscriptions_destroy(struct websocket *websocket);

/* OK: the answer follows. ERR_BAD_CHANNEL, ERR_BAD_SINCE, ERR_BAD_REQUEST; ERR_RATE: there are as
 * many as there may be; ERR_FORBIDDEN and its kin: it is not allowed; ERR_AGAIN: the petition is
 * under way; ERR_MEMORY. */
MUST_USE enum error_code subscriptions_open(struct websocket *websocket,
                                            const struct command *command,
                                            struct petition *petition, struct error *why);

/* Ends those that `identity`, whose socket it is now, may not have, and says so of each. */
void subscriptions_review(struct websocket *websocket, const struct identity *identity);

/* Answers, too. ERR_NOT_FOUND. */
MUST_USE enum error_code subscriptions_close(struct websocket *websocket,
                                             const struct command *command, struct error *why);

/* The socket takes bytes again: those that were served longest ago are served first. */
void subscriptions_on_writable(struct websocket *websocket);

/* {"sub":1,"at":"<id>"} for each that the log passed by. */
void subscriptions_tell_progress(struct websocket *websocket);

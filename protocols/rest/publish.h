/* SPDX-License-Identifier: Apache-2.0 */
/* publish.h — messages by POST: the head, the body in one of its forms, the log's answer.
 *
 * Place:   called by protocols/rest/channel.c and a row of routes.c; submits to the log.
 * Thread:  the request's; the log answers through the request's mailbox.
 * Bounds:  message_bytes_max of the channel's rule where the body is the message, else
 *          PUBLISH_BYTES_MAX; the bounds of batch.h and message_head.h.
 */
#pragma once

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"

struct request;

/* Reads the headers that describe the messages, for a channel that was checked, and says how large
 * the body may be. */
MUST_USE enum error_code publish_admit(struct request *request, struct error *why);

/* The same for POST /publish, where each message names its channel. */
MUST_USE enum error_code publish_admit_objects(struct request *request, struct error *why);

void publish_handle(struct request *request);

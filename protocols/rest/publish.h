/* SPDX-License-Identifier: Apache-2.0 */
/* publish.h — one message by POST: its headers, its body, the log's answer.
 *
 * Place:   called by protocols/rest/channel.c; submits to the log.
 * Thread:  the request's; the log answers through the request's mailbox.
 * Bounds:  message_bytes_max of the channel's rule, and the limits of each header.
 */
#pragma once

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"

struct request;

/* Reads the headers that describe the message and says how large it may be. */
MUST_USE enum error_code publish_admit(struct request *request, struct error *why);

/* {"channel":…,"offset":…,"id":…} of an ordered message. ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code publish_put_answer(struct buffer *buffer, const struct message *message,
                                            bool with_channel);

void publish_handle(struct request *request);

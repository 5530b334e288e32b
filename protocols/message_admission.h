/* SPDX-License-Identifier: Apache-2.0 */
/* message_admission.h — may this message be published, and how durable will it be? One message.
 *
 * Place:   a publish on a WebSocket or over MQTT, a will; before the message is made.
 * Thread:  the publisher's worker, which holds the rules.
 * Bounds:  message_bytes_max of the channel's rule.
 */
#pragma once

#include <stdint.h>

#include "broker/admission/idempotency.h"
#include "broker/channels/rules.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"

struct identity;

/* Checks channel and size, and adds to the fields what the channel's rule asks for.
 * ERR_BAD_CHANNEL, ERR_FORBIDDEN, ERR_TOO_LARGE with the field to blame. */
MUST_USE enum error_code message_admit(const struct rules *rules, struct message_fields *fields,
                                       struct error *why);

/* What a message with an idempotency key is known by when it comes again: all that a publisher says
 * belongs to it, so that a repeat that differs anywhere is another one. The keys of one identity
 * (NULL: everyone) are not those of another. ERR_INTERNAL. */
MUST_USE enum error_code message_hash(const struct identity *identity,
                                      const struct message_fields *fields,
                                      struct span idempotency_key,
                                      uint8_t ret_hash[IDEMPOTENCY_HASH_BYTES]);

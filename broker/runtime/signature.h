/* SPDX-License-Identifier: Apache-2.0 */
/* signature.h — who sent a webhook, proved: the signatures of Standard Webhooks 1.0.0.
 *
 * Place:   consent.h, which asks the application, and protocols/sinks/webhook.c, which tells it.
 * Thread:  pure.
 * Bounds:  SIGNATURE_SECRETS_MAX secrets, SIGNATURE_TEXT_BYTES.
 *
 * "v1," and base64 of HMAC-SHA256 of `id.time.body`, once for each secret, with a blank between
 * two: a receiver that changes its secret finds one that it knows. A secret "whsec_…" is base64
 * behind its prefix, another one its bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

#define SIGNATURE_SECRETS_MAX 2
#define SIGNATURE_BYTES 48 /* of one, and what divides it from the next, or a NUL */
#define SIGNATURE_TEXT_BYTES (SIGNATURE_SECRETS_MAX * SIGNATURE_BYTES)

/* The value of webhook-signature; a secret that is NULL is passed over. ERR_MEMORY. */
MUST_USE enum error_code signature_write(const char *const *secrets, size_t count, const char *id,
                                         uint64_t time_s, struct span body,
                                         char ret_text[SIGNATURE_TEXT_BYTES]);

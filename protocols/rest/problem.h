/* SPDX-License-Identifier: Apache-2.0 */
/* problem.h — an error as application/problem+json (RFC 9457).
 *
 * Place:   every HTTP answer that is an error; the same detail goes into WebSocket errors.
 * Thread:  pure.
 * Bounds:  some 700 bytes.
 *
 *     {"type":"/problems/bad-since","title":"The starting point means nothing","status":400,
 *      "detail":"`since` is …","field":"since"}
 *
 * `type` is a relative URI reference; its last segment is the slug of the error's row (error.h).
 */
#pragma once

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"

#define PROBLEM_MEDIA_TYPE "application/problem+json"

/* Appends the object for `code`; `why` may add detail and field. ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code problem_put(struct buffer *buffer, enum error_code code,
                                     const struct error *why);

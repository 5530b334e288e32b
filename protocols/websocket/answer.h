/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h — what the broker says on a WebSocket beside envelopes and gaps, as JSON.
 *
 * Place:   websocket.c, subscriptions.c and clocks.c put it into text frames.
 * Thread:  pure.
 * Bounds:  a ref, an id, an error's texts.
 *
 *     {"ref":1,"ok":{…}}      {"ref":1,"error":{"code","message","field"?}}
 *     {"sub":1,"at":"<id>"}   {"sub":1,"done":true,"at":"<id>"}
 *     {"sub":1,"closed":{"code","message"}}
 *
 * `ref` is JSON as it came; an empty one is left out, and so is a subscription of 0. A call that
 * fails (ERR_MEMORY, ERR_TOO_LARGE) may have added a part.
 */
#pragma once

#include <stdint.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

/* {"ref":…,"ok":{"offset":8,"id":"t1…"}} */
MUST_USE enum error_code answer_put_published(struct buffer *buffer, struct span ref,
                                              const struct message *message);

/* {"ref":…,"ok":{"sub":1,"at":"t1…"}}; without `at` where the place is not known (log_id 0): the
 * gap that follows tells it. */
MUST_USE enum error_code answer_put_subscribed(struct buffer *buffer, struct span ref,
                                               uint64_t subscription, const struct place *place);

/* {"ref":…,"ok":{}} */
MUST_USE enum error_code answer_put_done(struct buffer *buffer, struct span ref);

/* {"ref":…,"error":{…}}; `why` may be NULL. */
MUST_USE enum error_code answer_put_error(struct buffer *buffer, struct span ref,
                                          enum error_code result, const struct error *why);

/* {"sub":1,"at":"t1…"}: nothing up to there was for the reader. */
MUST_USE enum error_code answer_put_progress(struct buffer *buffer, uint64_t subscription,
                                             const struct place *place);

/* {"sub":1,"done":true,"at":"t1…"}: its `limit` is reached, and it is gone. */
MUST_USE enum error_code answer_put_limit(struct buffer *buffer, uint64_t subscription,
                                          const struct place *place);

/* {"sub":1,"closed":{"code":"forbidden","message":"…"}}: it has ended, and why. `why` may be
 * NULL. */
MUST_USE enum error_code answer_put_closed(struct buffer *buffer, uint64_t subscription,
                                           enum error_code result, const struct error *why);

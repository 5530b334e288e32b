/* SPDX-License-Identifier: Apache-2.0 */
/* permission.h — who a client is and what it may do, asked one question at a time.
 *
 * Place:   identify.c, intake.c and subscribe.c ask; asks broker/runtime/access.h.
 * Thread:  its connection's worker.
 * Bounds:  one question under way a connection, on the heap while it is.
 *
 * Nearly all is answered at once. Where the application or a key set has to be asked over the
 * network the answer comes later: ERR_AGAIN, and the asker holds the connection (mqtt_hold) until
 * then, so that nothing overtakes what waits. A client that has gone is asked no more for.
 */
#pragma once

#include "broker/admission/grants.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct credentials;
struct mqtt;

/* The late answer: OK, or why not. Not after permission_cancel(); the connection may be closed. */
typedef void permission_on_answer(struct mqtt *mqtt, void *context, enum error_code code,
                                  const struct error *why);

/* OK: the connection has its identity, or it is everyone's, which is NULL. Else what
 * access_identify() or connection_admit() says; ERR_AGAIN: later. */
MUST_USE enum error_code permission_identify(struct mqtt *mqtt,
                                             const struct credentials *credentials,
                                             permission_on_answer *on_answer, void *context,
                                             struct error *why);

/* May it do that with a checked name or pattern that has no scope? Of a client that has gone what
 * cannot be answered at once is refused. */
MUST_USE enum error_code permission_ask(struct mqtt *mqtt, enum action action, struct span text,
                                        permission_on_answer *on_answer, void *context,
                                        struct error *why);

/* Nobody waits for the answer any more. Harmless where none is under way. */
void permission_cancel(struct mqtt *mqtt);

/* SPDX-License-Identifier: Apache-2.0 */
/* probation.h — a command that waits until somebody has said whether it may be obeyed.
 *
 * Place:   part of protocols/websocket/websocket.c, which reads nothing more meanwhile.
 * Thread:  its worker's.
 * Bounds:  one a socket; a copy of the command, out of the worker's room for bodies.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"
#include "protocols/petition.h"

struct probation;
struct worker;

/* Takes the petition over, which is under way, and copies the command. When it is answered,
 * `on_due` is called, exactly once; what it is handed lives until probation_destroy(). ERR_BUSY,
 * ERR_MEMORY: the petition is finished. */
MUST_USE enum error_code probation_create(struct worker *worker, struct petition *petition,
                                          struct span text, void (*on_due)(void *context),
                                          void *context, struct probation **ret_probation);

struct petition *probation_petition(struct probation *probation);
struct span probation_text(const struct probation *probation);

/* Accepts NULL. */
void probation_destroy(struct probation *probation);

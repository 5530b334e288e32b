/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h — the Host and Origin rules for what the operator's port answers by itself.
 *
 * Place:   asked by pages.c and api.c before anything else; calls admission/origin.h.
 * Thread:  the operator's.
 * Bounds:  none of its own.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct request;

/* As routes_admit() does for channels; no page of another origin is listed for this port.
 * ERR_MISDIRECTED, ERR_FORBIDDEN_ORIGIN, ERR_BAD_REQUEST. */
MUST_USE enum error_code guard_check(const struct request *request, bool changes_state,
                                     struct error *why);

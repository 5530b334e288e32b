/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h — who may use the operator's port: by a key, and by Host and Origin.
 *
 * Place:   guard_identify() is asked by call.c for each request, guard_check() by pages.c and api.c
 *          before anything else; calls admission/policy.h, admission/origin.h and
 *          runtime/throttle.h.
 * Thread:  the operator's.
 * Bounds:  none of its own.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct metrics_shard;
struct request;

/* As routes_admit() does for channels; no page of another origin is listed for this port.
 * ERR_MISDIRECTED, ERR_FORBIDDEN_ORIGIN, ERR_BAD_REQUEST. */
MUST_USE enum error_code guard_check(const struct request *request, bool changes_state,
                                     struct error *why);

/* Where a key of auth.keys has `operator: true`, or the port is reached from beyond loopback and is
 * not --open, such a key is asked for: as a Bearer token, or as the password of Basic, so that a
 * browser asks for it by itself and the console works. /healthz and /readyz answer anybody. What
 * comes of it is counted in `metrics`, and a refusal is logged. OK, or ERR_UNAUTHORIZED,
 * ERR_FORBIDDEN with the reason; ERR_RATE: so many bad ones came from `address` that none is
 * looked at. */
MUST_USE enum error_code guard_identify(const struct request *request,
                                        const struct sockaddr_storage *address,
                                        struct metrics_shard *metrics, struct error *why);

/* Adds to the refusal that Basic is taken too, beside the Bearer that every 401 asks for. */
void guard_challenge(struct request *request);

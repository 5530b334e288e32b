/* SPDX-License-Identifier: Apache-2.0 */
/* home.h — the groups whose home a worker is: it reads the log for them, gives and stores.
 *
 * Place:   a worker has one; members come to it through sharing.h. home.c: who comes and goes;
 *          dealing.c: what is read and given; keeping.c: what is stored.
 * Thread:  its worker's, but for home_restore().
 * Bounds:  GROUPS_MAX groups; of each what group.h says, one page while it is being given, and one
 *          stored state on its way a second.
 */
#pragma once

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct broker;
struct home;
struct worker;

/* ERR_MEMORY. */
MUST_USE enum error_code home_create(struct worker *worker, struct home **ret_home);

/* All members have left, and all letters were delivered. Accepts NULL. */
void home_destroy(struct home *home);

/* Brings back the groups that the storage has. Workers were created, and none was started. */
MUST_USE enum error_code home_restore(struct broker *broker, struct error *why);

/* Stores what changed now rather than at the next second: the broker ends. */
void home_flush(struct home *home);

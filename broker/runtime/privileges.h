/* SPDX-License-Identifier: Apache-2.0 */
/* privileges.h — what the process may do less of once it has what it needs.
 *
 * Place:   called by main: at the start, and when ports are bound and keys are read.
 * Thread:  main, before any other thread runs.
 * Bounds:  none of its own.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"

/* No program that is started from here gets more rights than this process has. */
void privileges_give_up_new(void);

/* No core is dumped, and no other process of this account looks into the memory: it holds keys. */
void privileges_hide_memory(void);

/* Goes on as the account of that name, if root; for good, which is tried out. The directory is made
 * for it where there is none. NULL or empty: nothing happens, but root is warned of. ERR_CONFIG,
 * ERR_IO: the detail says what stands in the way. */
MUST_USE enum error_code privileges_drop(const char *user, const char *directory,
                                         struct error *why);

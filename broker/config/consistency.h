/* SPDX-License-Identifier: Apache-2.0 */
/* consistency.h — what values may not be together, which no single row can say.
 *
 * Place:   called by config_load when all sources were read.
 * Thread:  pure.
 * Bounds:  none.
 */
#pragma once

#include "broker/config/config.h"

/* Adds a fault for each, at the row's line where a row of a list is to blame. */
void consistency_check(const struct config *config, struct config_faults *faults);

/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h — how much memory this process may take, as far as the system says.
 *
 * Place:   called by the reader of the row limits.memory.
 * Thread:  any.
 * Bounds:  reads two small files at most.
 */
#pragma once

#include <stdint.h>

/* What the machine has, or the memory.max of the process's control group (version 2) or of one
 * above it, where that is less. */
uint64_t memory_available_bytes(void);

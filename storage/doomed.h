/* SPDX-License-Identifier: Apache-2.0 */
/* doomed.h — what a fold brings and the same fold deletes: it never gets to the disk.
 *
 * Place:   made by the fold from all of its messages, asked by apply for each.
 * Thread:  the store thread.
 * Bounds:  24 bytes for each delete of one fold.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/message.h"

struct doomed;

/* NULL in *ret_doomed if nothing is deleted. ERR_MEMORY. */
MUST_USE enum error_code doomed_create(struct message *const *messages, size_t count,
                                       struct doomed **ret_doomed, struct error *why);

/* Whether one of the deletes covers the offset. `doomed` may be NULL. */
bool doomed_has(const struct doomed *doomed, uint64_t channel_id, uint64_t offset);

/* Accepts NULL. */
void doomed_destroy(struct doomed *doomed);

/* SPDX-License-Identifier: Apache-2.0 */
/* each.h — what the log thread goes on from: walks of whole tables before the first append.
 *
 * Place:   called by storage.c.
 * Thread:  any, with a snapshot of its own.
 * Bounds:  one row at a time.
 */
#pragma once

#include "storage/storage.h"
#include "storage/store.h"

MUST_USE enum error_code each_channel(struct store *store, storage_on_channel *on_channel,
                                      void *context, struct error *why);

/* All are folded then: recovery folds what the journal had. */
MUST_USE enum error_code each_repeat(struct store *store, storage_on_repeat *on_repeat,
                                     void *context, struct error *why);

MUST_USE enum error_code each_object(struct store *store, enum storage_object_kind kind,
                                     storage_on_object *on_object, void *context,
                                     struct error *why);

/* SPDX-License-Identifier: Apache-2.0 */
/* objects.h — small states with a name, as the commands of the log left them.
 *
 * Place:   written by apply, read by storage_each_object(); knows the table `objects`.
 * Thread:  that of the transaction handed in.
 * Bounds:  a state of STORAGE_OBJECT_BYTES_MAX; OBJECTS_GATHERED_MAX objects are gathered before
 *          they are written, with no more bytes than their commands have and a value each.
 *
 * An append for which a state has no room is passed over, as are those behind it until the next
 * put: a state is always its last put with the first so many appends, never with one left out
 * between. What fits is counted from the state alone, so it is the same however folds are cut.
 */
#pragma once

#include "storage/storage.h"
#include "storage/store.h"

#define OBJECTS_GATHERED_MAX 4096

/* The steps of one fold. */
struct objects;

MUST_USE enum error_code objects_create(const struct store *store, MDB_txn *txn,
                                        struct objects **ret_objects, struct error *why);

/* Accepts the next command; one of a later version does nothing. */
MUST_USE enum error_code objects_apply(struct objects *objects, const struct message *message,
                                       struct error *why);

/* Writes what was gathered. */
MUST_USE enum error_code objects_flush(struct objects *objects, struct error *why);

/* Accepts NULL. */
void objects_destroy(struct objects *objects);

/* Calls on_object for each of the kind, in no order that means anything. */
MUST_USE enum error_code objects_each(const struct store *store, MDB_txn *txn,
                                      enum storage_object_kind kind, storage_on_object *on_object,
                                      void *context, struct error *why);

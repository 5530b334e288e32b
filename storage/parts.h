/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h — what a read needs of a log that is open.
 *
 * Place:   given by storage.c, used by reading.c.
 * Thread:  any; the parts live as long as the storage.
 * Bounds:  none.
 */
#pragma once

#include "storage/open_batch.h"
#include "storage/storage.h"
#include "storage/store.h"

struct storage_parts {
    struct store *store;
    struct open_batch *batch;
    const struct storage_options *options;
};

struct storage_parts storage_borrow_parts(struct storage *storage);

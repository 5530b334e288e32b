/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are declared and not there yet: this file goes with the last of them. */
#include "storage/storage.h"

enum error_code storage_each_retained(struct storage *storage, const struct storage_query *query,
                                      size_t limit, storage_on_message *on_message, void *context,
                                      struct error *why) {
    (void)storage;
    (void)query;
    (void)limit;
    (void)on_message;
    (void)context;
    return error_set(why, ERR_NOT_IMPLEMENTED, "not yet");
}

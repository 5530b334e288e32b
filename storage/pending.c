/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are declared and not there yet: this file goes with the last of them. */
#include "storage/storage.h"

enum error_code storage_each_repeat(struct storage *storage, storage_on_repeat *on_repeat,
                                    void *context, struct error *why) {
    (void)storage;
    (void)on_repeat;
    (void)context;
    (void)why;
    return OK;
}

enum error_code storage_measure(struct storage *storage, const struct storage_query *query,
                                const struct place *place, uint64_t *ret_messages,
                                uint64_t *ret_bytes, bool *ret_is_exact, struct error *why) {
    (void)storage;
    (void)query;
    (void)place;
    (void)ret_messages;
    (void)ret_bytes;
    (void)ret_is_exact;
    return error_set(why, ERR_NOT_IMPLEMENTED, "not yet");
}

enum error_code storage_list_channels(struct storage *storage, struct span pattern,
                                      struct span after, size_t limit, storage_on_row *on_row,
                                      void *context, struct error *why) {
    (void)storage;
    (void)pattern;
    (void)after;
    (void)limit;
    (void)on_row;
    (void)context;
    return error_set(why, ERR_NOT_IMPLEMENTED, "not yet");
}

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

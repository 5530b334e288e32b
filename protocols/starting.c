/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/starting.h"

void starting_set_query(struct storage_query *query, const struct since *since, uint64_t now_ms) {
    switch (since->kind) {
    case SINCE_EARLIEST:
        query->start = STORAGE_EARLIEST;
        break;
    case SINCE_OFFSET:
        query->start = STORAGE_AFTER_OFFSET;
        query->place.offset = since->offset;
        break;
    case SINCE_PLACE:
        query->start = STORAGE_AFTER_PLACE;
        query->place = since->place;
        break;
    case SINCE_LAST:
        query->start = STORAGE_NEWEST;
        query->newest = since->count;
        break;
    case SINCE_TIME:
        query->start = STORAGE_AFTER_TIME;
        query->time_ms = since->time_ms;
        break;
    case SINCE_AGO:
        query->start = STORAGE_AFTER_TIME;
        query->time_ms = since->ago_ms < now_ms ? now_ms - since->ago_ms : 0;
        break;
    case SINCE_NOT_GIVEN:
    case SINCE_NOW:
        query->start = STORAGE_NOW;
        break;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Of each lane only what is first is not done for sure; what of it was let go of stands behind
 * that. So the first of each says all there is to say, however much was read and is done. */
#include <stdlib.h>

#include "protocols/sinks/backlog_private.h"
#include "protocols/sinks/lane_key.h"

enum error_code backlog_list_holds(const struct backlog *backlog, struct stratum_hold **ret_holds,
                                   size_t *ret_count, uint64_t *ret_reach) {
    struct stratum_hold *holds = malloc((backlog->count + 1) * sizeof(*holds));
    size_t count = 0;
    if (holds == NULL) {
        return ERR_MEMORY;
    }
    LIST_EACH(&backlog->items, node) {
        const struct backlog_item *item = ITEM_OF(node, in_order);
        const struct backlog_lane *lane = item->lane;
        if (lane != NULL && lane->items.next == &item->in_lane) {
            holds[count++] =
                (struct stratum_hold){.lane = lane_key_hash(backlog->options.order, item->message),
                                      .first = item->message->place.position};
        }
    }
    *ret_holds = holds;
    *ret_count = count;
    *ret_reach = backlog->has_lanes ? backlog->newest : 0;
    return OK;
}

size_t backlog_waiting(const struct backlog *backlog) {
    return backlog->ready.waiting.count;
}

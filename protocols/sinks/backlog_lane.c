/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/backlog_lane.h"

#include <stdlib.h>

#include "broker/support/invariant.h"
#include "protocols/sinks/lane_key.h"

#define KEY_BYTES_GUESSED 32

struct backlog_lane *backlog_lanes_open(struct backlog_lanes *lanes, enum sink_order order,
                                        const struct message *message) {
    uint8_t key[LANE_KEY_BYTES_MAX];
    size_t length = lane_key_make(order, message, key);
    if (!lanes->is_made && map_init(&lanes->map) != OK) {
        return NULL;
    }
    lanes->is_made = true;
    struct map_node *node = map_find(&lanes->map, span_of(key, length));
    if (node != NULL) {
        return CONTAINER_OF(node, struct backlog_lane, in_lanes);
    }
    struct backlog_lane *lane = malloc(sizeof(*lane) + length);
    if (lane != NULL) {
        *lane = (struct backlog_lane){0};
        memcpy(lane->key, key, length);
        list_init(&lane->items);
        map_put(&lanes->map, &lane->in_lanes, span_of(lane->key, length));
    }
    return lane;
}

void backlog_lanes_close(struct backlog_lanes *lanes, struct backlog_lane *lane) {
    if (lane != NULL && list_is_empty(&lane->items)) {
        map_remove(&lanes->map, &lane->in_lanes);
        free(lane);
    }
}

void backlog_lanes_finish(struct backlog_lanes *lanes) {
    if (lanes->is_made) {
        INVARIANT(map_count(&lanes->map) == 0);
        map_finish(&lanes->map);
        lanes->is_made = false;
    }
}

size_t backlog_lanes_bytes(const struct backlog_lanes *lanes) {
    return lanes->is_made
               ? map_count(&lanes->map) * (sizeof(struct backlog_lane) + KEY_BYTES_GUESSED) +
                     lanes->map.bucket_count * sizeof(struct map_node *)
               : 0;
}

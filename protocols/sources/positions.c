/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sources/positions.h"

#include <stdlib.h>
#include <string.h>

#include "broker/support/invariant.h"

struct positions {
    struct map map;
};

enum error_code positions_create(struct positions **ret_positions) {
    struct positions *positions = calloc(1, sizeof(*positions));
    if (positions == NULL || map_init(&positions->map) != OK) {
        free(positions);
        return ERR_MEMORY;
    }
    *ret_positions = positions;
    return OK;
}

void positions_destroy(struct positions *positions) {
    if (positions == NULL) {
        return;
    }
    for (struct map_node *node = map_first(&positions->map), *next; node != NULL; node = next) {
        next = map_next(&positions->map, node);
        free(CONTAINER_OF(node, struct position, in_map));
    }
    map_finish(&positions->map);
    free(positions);
}

static struct position *get(struct positions *positions, struct span name) {
    struct map_node *node = map_find(&positions->map, name);
    if (node != NULL) {
        return CONTAINER_OF(node, struct position, in_map);
    }
    struct position *position = calloc(1, sizeof(*position) + name.length);
    if (position == NULL) {
        return NULL;
    }
    memcpy(position->name, name.bytes, name.length);
    position->name_length = (uint16_t)name.length;
    list_init(&position->in_batch);
    map_put(&positions->map, &position->in_map, position_name(position));
    return position;
}

enum error_code positions_learn(struct positions *positions, struct span name, struct span text) {
    if (name.length > STORAGE_OBJECT_NAME_BYTES_MAX || text.length > POSITION_BYTES_MAX) {
        return ERR_TOO_LARGE;
    }
    struct position *position = get(positions, name);
    if (position == NULL) {
        return ERR_MEMORY;
    }
    position_set(position, text);
    return OK;
}

struct position *positions_get(struct positions *positions, struct span source, struct span name) {
    char whole[STORAGE_OBJECT_NAME_BYTES_MAX];
    size_t length = source.length + 1 + name.length;
    INVARIANT(source.length > 0);
    if (source.length >= sizeof(whole) || length > sizeof(whole)) {
        return NULL;
    }
    memcpy(whole, source.bytes, source.length);
    whole[source.length] = '\0';
    if (name.length > 0) {
        memcpy(whole + source.length + 1, name.bytes, name.length);
    }
    return get(positions, span_of(whole, length));
}

void position_set(struct position *position, struct span text) {
    INVARIANT(text.length <= POSITION_BYTES_MAX);
    if (text.length > 0) {
        memcpy(position->text, text.bytes, text.length);
    }
    position->length = (uint16_t)text.length;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/announced.h"

#include <stdlib.h>
#include <string.h>

#include "broker/support/invariant.h"

struct alias {
    char *channel; /* owned */
    size_t length;
    uint64_t position; /* of the oldest message whose frame announces it and may leave; 0: none */
    bool is_known;
};

struct announced {
    uint16_t count_max;
    uint16_t count;
    uint16_t doubtful_count; /* that have a position */
    struct alias aliases[];  /* alias n is at n - 1 */
};

struct announced *announced_create(uint16_t count_max) {
    INVARIANT(count_max > 0);
    struct announced *announced = calloc(1, sizeof(*announced) + count_max * sizeof(struct alias));
    if (announced != NULL) {
        announced->count_max = count_max;
    }
    return announced;
}

void announced_destroy(struct announced *announced) {
    for (size_t i = 0; announced != NULL && i < announced->count; i++) {
        free(announced->aliases[i].channel);
    }
    free(announced);
}

static struct alias *find(struct announced *announced, struct span channel) {
    for (size_t i = 0; i < announced->count; i++) {
        struct alias *alias = &announced->aliases[i];
        if (span_is_equal(span_of(alias->channel, alias->length), channel)) {
            return alias;
        }
    }
    return NULL;
}

/* NULL: no alias is left, or no memory; the topic is sent then. */
static struct alias *add(struct announced *announced, struct span channel) {
    if (announced->count == announced->count_max) {
        return NULL;
    }
    struct alias *alias = &announced->aliases[announced->count];
    *alias = (struct alias){.channel = malloc(channel.length), .length = channel.length};
    if (alias->channel == NULL) {
        return NULL;
    }
    memcpy(alias->channel, channel.bytes, channel.length);
    announced->count++;
    return alias;
}

uint16_t announced_choose(struct announced *announced, struct span channel, uint64_t position,
                          bool *ret_is_known) {
    struct alias *alias = find(announced, channel);
    if (alias == NULL) {
        alias = add(announced, channel);
    }
    if (alias == NULL) {
        return 0;
    }
    *ret_is_known = alias->is_known;
    if (!alias->is_known && alias->position == 0) {
        alias->position = position;
        announced->doubtful_count++;
    }
    return (uint16_t)(alias - announced->aliases + 1);
}

static void settle(struct announced *announced, struct alias *alias, bool is_known) {
    INVARIANT(announced->doubtful_count > 0);
    announced->doubtful_count--;
    alias->position = 0;
    alias->is_known = is_known;
}

void announced_forget(struct announced *announced, uint16_t alias, uint64_t position) {
    INVARIANT(alias > 0);
    INVARIANT(alias <= announced->count);
    struct alias *mine = &announced->aliases[alias - 1];
    if (mine->position == position) {
        settle(announced, mine, false);
    }
}

void announced_forget_at(struct announced *announced, struct span channel, uint64_t position) {
    const struct alias *alias = find(announced, channel);
    if (alias != NULL) {
        announced_forget(announced, (uint16_t)(alias - announced->aliases + 1), position);
    }
}

static bool has_position(const struct stream_item *items, size_t count, uint64_t position) {
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (items[middle].place.position < position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && items[low].place.position == position;
}

void announced_on_left(struct announced *announced, const struct stream_item *items, size_t count) {
    for (size_t i = 0; announced->doubtful_count > 0 && i < announced->count; i++) {
        struct alias *alias = &announced->aliases[i];
        bool is_over = alias->position != 0 && alias->position <= items[count - 1].place.position;
        if (is_over) {
            settle(announced, alias, has_position(items, count, alias->position));
        }
    }
}

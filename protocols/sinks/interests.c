/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/interests.h"

#include <stdlib.h>

#include "broker/channels/pattern.h"
#include "broker/support/invariant.h"

/* A text, and the selectors that are it. */
struct topic {
    struct map_node in_map;
    struct trie_leaf leaf; /* of a pattern */
    struct list interests;
    bool is_pattern;
    size_t length;
    uint8_t text[];
};

enum error_code interests_init(struct interests *interests) {
    enum error_code code = map_init(&interests->names);
    if (code != OK) {
        return code;
    }
    code = map_init(&interests->patterns);
    if (code == OK && (code = trie_init(&interests->trie)) != OK) {
        map_finish(&interests->patterns);
    }
    if (code != OK) {
        map_finish(&interests->names);
    }
    return code;
}

void interests_finish(struct interests *interests) {
    INVARIANT(map_count(&interests->names) == 0);
    INVARIANT(map_count(&interests->patterns) == 0);
    trie_finish(&interests->trie);
    map_finish(&interests->patterns);
    map_finish(&interests->names);
}

static struct map *map_of(struct interests *interests, bool is_pattern) {
    return is_pattern ? &interests->patterns : &interests->names;
}

/* NULL: out of memory. */
static struct topic *create_topic(struct interests *interests, struct span text) {
    struct topic *topic = calloc(1, sizeof(*topic) + text.length);
    if (topic == NULL) {
        return NULL;
    }
    list_init(&topic->interests);
    topic->is_pattern = pattern_is_pattern(text);
    topic->length = text.length;
    memcpy(topic->text, text.bytes, text.length);
    struct span copy = span_of(topic->text, topic->length);
    if (topic->is_pattern && trie_put(&interests->trie, copy, &topic->leaf) != OK) {
        free(topic);
        return NULL;
    }
    map_put(map_of(interests, topic->is_pattern), &topic->in_map, copy);
    return topic;
}

enum error_code interests_put(struct interests *interests, struct span text,
                              struct interest *interest) {
    INVARIANT(interest->topic == NULL);
    struct map_node *node = map_find(map_of(interests, pattern_is_pattern(text)), text);
    struct topic *topic =
        node == NULL ? create_topic(interests, text) : CONTAINER_OF(node, struct topic, in_map);
    if (topic == NULL) {
        return ERR_MEMORY;
    }
    interest->topic = topic;
    list_put_tail(&topic->interests, &interest->in_topic);
    return OK;
}

void interests_remove(struct interests *interests, struct interest *interest) {
    struct topic *topic = interest->topic;
    if (topic == NULL) {
        return;
    }
    interest->topic = NULL;
    list_remove(&interest->in_topic);
    if (!list_is_empty(&topic->interests)) {
        return;
    }
    if (topic->is_pattern) {
        trie_remove(&interests->trie, &topic->leaf);
    }
    map_remove(map_of(interests, topic->is_pattern), &topic->in_map);
    free(topic);
}

struct span interest_text(const struct interest *interest) {
    return span_of(interest->topic->text, interest->topic->length);
}

bool interest_is_pattern(const struct interest *interest) {
    return interest->topic->is_pattern;
}

struct matching {
    struct message *message;
    void (*on_interest)(struct sink *sink, struct message *message);
};

static void tell(const struct topic *topic, const struct matching *matching) {
    LIST_EACH(&topic->interests, node) {
        matching->on_interest(CONTAINER_OF(node, struct interest, in_topic)->sink,
                              matching->message);
    }
}

static void on_leaf(void *context, struct trie_leaf *leaf) {
    tell(CONTAINER_OF(leaf, struct topic, leaf), context);
}

void interests_match(const struct interests *interests, struct message *message,
                     void (*on_interest)(struct sink *sink, struct message *message)) {
    struct matching matching = {.message = message, .on_interest = on_interest};
    struct span channel = message->fields.channel;
    struct map_node *node = map_find(&interests->names, channel);
    if (node != NULL) {
        tell(CONTAINER_OF(node, struct topic, in_map), &matching);
    }
    trie_match(&interests->trie, channel, on_leaf, &matching);
}

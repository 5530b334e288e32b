/* SPDX-License-Identifier: Apache-2.0 */
/* interests.h — who gets a message: the channels and patterns of all sinks, asked for each message
 * of a commit.
 *
 * Place:   of sinks.c; a sink says what it reads, and is told what came.
 * Thread:  the sinks thread's.
 * Bounds:  an entry a channel or pattern of a sink, about 200 bytes and its text; trie.h's.
 *
 * A message costs one look at the map of channels and one at the trie of patterns, however many
 * sinks there are, and a call for each selector that it fits.
 */
#pragma once

#include <stddef.h>

#include "broker/channels/trie.h"
#include "broker/support/error.h"
#include "broker/support/list.h"
#include "broker/support/macros.h"
#include "broker/support/map.h"
#include "broker/support/message.h"
#include "broker/support/span.h"

struct sink;

/* Embedded by value; all members belong to it. */
struct interests {
    struct map names;
    struct map patterns; /* by their texts, so that each is in the trie once */
    struct trie trie;
};

/* One channel or pattern of a sink. */
struct interest {
    struct list in_topic;
    struct topic *topic;
    struct sink *sink;
};

/* ERR_MEMORY. */
MUST_USE enum error_code interests_init(struct interests *interests);
void interests_finish(struct interests *interests); /* nobody is interested any more */

/* `text` is scoped and checked; it is copied. ERR_MEMORY: nothing was added. */
MUST_USE enum error_code interests_put(struct interests *interests, struct span text,
                                       struct interest *interest);

/* Harmless for zeroed memory. */
void interests_remove(struct interests *interests, struct interest *interest);

/* The text that it was put with. */
struct span interest_text(const struct interest *interest);
bool interest_is_pattern(const struct interest *interest);

/* Calls on_interest for each selector that the message's channel fits: twice for a sink of which
 * two fit. */
void interests_match(const struct interests *interests, struct message *message,
                     void (*on_interest)(struct sink *sink, struct message *message));

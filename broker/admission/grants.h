/* SPDX-License-Identifier: Apache-2.0 */
/* grants.h — what may be done with which channels: for each action a list of patterns.
 *
 * Place:   made from a token's claim, a row of the configuration, or an answer of the application;
 *          asked through identity.h.
 * Thread:  immutable once made.
 * Bounds:  GRANT_PATTERNS_MAX patterns an action, each a pattern of broker/channels/pattern.h.
 *
 * A list that was not given is no empty list: a token whose claim leaves out "publish" may publish
 * nothing, a configuration row that leaves it out adds no limit (grants_set_all).
 *
 * `{sub}` and `{tenant}` are put in literally when grants are bound to an identity: a subject with
 * one of `/ * + #`, a control character, or none at all, makes the pattern match nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* X(action, name in claims and configuration, what it allows) */
#define ACTION_TABLE(X)                                                                            \
    X(ACTION_PUBLISH, "publish", "publish messages")                                               \
    X(ACTION_SUBSCRIBE, "subscribe", "read from now on, and resume by id")                         \
    X(ACTION_HISTORY, "history", "read pages, and streams from any other `since`")                 \
    X(ACTION_PRESENCE, "presence", "ask who is there")                                             \
    X(ACTION_DELETE, "delete", "delete messages")

enum action {
#define ACTION(action, name, allows) action,
    ACTION_TABLE(ACTION)
#undef ACTION
        ACTION_COUNT
};

/* "publish". */
const char *action_name(enum action action);

/* False: no action has that name. */
MUST_USE bool action_parse(struct span name, enum action *ret_action);

struct grants;

/* Allows nothing yet. NULL: out of memory. */
struct grants *grants_create(void);

/* Accepts NULL. */
void grants_destroy(struct grants *grants);

/* Allows the action on all channels but `$…`. */
void grants_set_all(struct grants *grants, enum action action);

/* Adds a pattern (copied), perhaps with placeholders. ERR_BAD_CHANNEL with the rule that is broken,
 * ERR_FULL, ERR_MEMORY. */
MUST_USE enum error_code grants_add(struct grants *grants, enum action action, struct span pattern,
                                    struct error *why);

/* A copy with the placeholders put in; empty spans stand for nobody. NULL: out of memory. */
MUST_USE struct grants *grants_bind(const struct grants *grants, struct span subject,
                                    struct span tenant);

/* The pattern, as it was written, that allows the action on the whole of `text`, a checked channel
 * or pattern without its scope; empty: none does. All of an asked pattern must be covered by one
 * granted pattern. */
MUST_USE bool grants_allow(const struct grants *grants, enum action action, struct span text,
                           struct span *ret_pattern);

/* Walks the patterns of an action as they were written: start with `*cursor` 0. False at the
 * end. */
bool grants_next(const struct grants *grants, enum action action, size_t *cursor,
                 struct span *ret_pattern);

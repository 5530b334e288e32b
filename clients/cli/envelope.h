/* SPDX-License-Identifier: Apache-2.0 */
/* envelope.h — finds the members of a message's envelope without building anything.
 *
 * Place:   sub.c, to write the payload as the publisher sent it: jansson would write numbers anew.
 * Thread:  pure.
 * Bounds:  one pass over the text; no recursion, no allocation.
 *
 * Takes what a broker sends, and gives "not there" for what is no JSON object; it judges no JSON.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A piece of the text: a value from its first to its last byte, a string with its quotes. */
struct envelope_value {
    const char *bytes;
    size_t length;
};

/* The value of the object's own member `name`, which has no escapes. False: there is none. */
bool envelope_find(const char *text, size_t length, const char *name,
                   struct envelope_value *ret_value);

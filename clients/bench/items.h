/* SPDX-License-Identifier: Apache-2.0 */
/* items.h — where a JSON object ends.
 *
 * Place:   history.c and webhook.c, whose bodies have many messages.
 * Thread:  pure.
 * Bounds:  one pass; nesting of any depth.
 *
 * What is no JSON gives some end or none; nothing is validated.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Behind the bracket that closes the outermost of the `depth` (1 or more) that are open at the
 * front. 0: it is not there yet. */
size_t items_find_end(const uint8_t *bytes, size_t length, size_t depth);

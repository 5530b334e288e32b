/* SPDX-License-Identifier: Apache-2.0 */
/* spelling.h — how far a name is from another, so that a fault can say what was perhaps meant.
 *
 * Place:   draft.c for settings, measure.c for measures.
 * Thread:  pure.
 * Bounds:  SPELLING_BYTES_MAX of a name; what is longer is like nothing.
 */
#pragma once

#include <stddef.h>

#define SPELLING_BYTES_MAX 40

/* Letters to add, take away or change between the two; a dash is an underline. SIZE_MAX: one is too
 * long to be compared. */
size_t spelling_distance(const char *name, size_t length, const char *other);

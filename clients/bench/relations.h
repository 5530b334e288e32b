/* SPDX-License-Identifier: Apache-2.0 */
/* relations.h — what settings must be to each other, when each alone is right.
 *
 * Place:   settings.c, behind the words and the file.
 * Thread:  main.
 * Bounds:  one row a relation (relations.c).
 */
#pragma once

#include "clients/bench/draft.h"

/* Complains of each relation that does not hold. */
void relations_check(struct draft *draft);

/* Sets publish_url and read_url to where the protocols really connect to. */
void relations_resolve(struct draft *draft);

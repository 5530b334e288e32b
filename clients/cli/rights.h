/* SPDX-License-Identifier: Apache-2.0 */
/* rights.h — refuses to give rights that the broker could not use.
 *
 * Place:   key.c and token.c, before they make anything.
 * Thread:  pure, but for what it prints.
 * Bounds:  none of its own.
 */
#pragma once

#include "clients/cli/client.h"
#include "clients/cli/options.h"

/* Of the rows `tenant` and from `first` to `last`, which are patterns. False: each fault was
 * complained about, with its flag. */
bool rights_check(const struct options_table *table, const struct options *options, size_t tenant,
                  size_t first, size_t last, const struct client_judges *judges);

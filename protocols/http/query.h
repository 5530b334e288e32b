/* SPDX-License-Identifier: Apache-2.0 */
/* query.h — the pairs of a query or form body, decoded only where somebody asks.
 *
 * Place:   routes ask for their parameters.
 * Thread:  pure.
 * Bounds:  the query's own length.
 *
 * application/x-www-form-urlencoded (URL standard, section 5.1): pairs divided by `&`, `+` is a
 * blank. A pair without `=` has an empty value; empty pairs are left out.
 */
#pragma once

#include <stdbool.h>

#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* Takes the next pair off the front of `rest`, both parts still encoded. False at the end. */
bool query_next(struct span *rest, struct span *ret_name, struct span *ret_value);

/* Does the encoded name mean that word? */
bool query_name_is(struct span encoded_name, const char *word);

/* How many pairs have that name; no value is decoded. */
size_t query_count(struct span query, const char *name);

/* Appends the decoded value of the first pair of that name; `ret_is_found` says whether there is
 * one. ERR_BAD_REQUEST: a broken escape, with the name as its field; ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code query_find(struct span query, const char *name, struct buffer *buffer,
                                    bool *ret_is_found, struct error *why);

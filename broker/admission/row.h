/* SPDX-License-Identifier: Apache-2.0 */
/* row.h — what the rows of `auth` have in common: rights, and a number that tells them apart.
 *
 * Place:   policy.c and issuer.c, which are made of rows.
 * Thread:  pure.
 * Bounds:  those of the rows.
 */
#pragma once

#include <stdint.h>

#include "broker/admission/grants.h"
#include "broker/config/config.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* "auth.certificates[255]" and a NUL. */
#define ROW_SOURCE_BYTES 32

/* The lists of a row in the order of ACTION_TABLE. */
#define ROW_RIGHTS_OF(row)                                                                         \
    ((const struct config_list *const[ACTION_COUNT]){                                              \
        [ACTION_PUBLISH] = &(row)->publish,                                                        \
        [ACTION_SUBSCRIBE] = &(row)->subscribe,                                                    \
        [ACTION_HISTORY] = &(row)->history,                                                        \
        [ACTION_PRESENCE] = &(row)->presence,                                                      \
        [ACTION_DELETE] = &(row)->delete,                                                          \
    })

/* Any number that differs where the row does: SHA-256 of each value with its length before it, cut.
 * What else the row rests on is `beside`. ERR_MEMORY, ERR_INTERNAL. */
MUST_USE enum error_code row_make_fingerprint(const struct config_scope *scope, const void *values,
                                              struct span kind, struct span beside,
                                              uint64_t *ret_fingerprint);

/* The patterns of a row's lists, not bound. ERR_BAD_CHANNEL, ERR_FULL, ERR_MEMORY. */
MUST_USE enum error_code row_make_rights(const struct config_list *const *lists,
                                         struct grants **ret_rights, struct error *why);

/* Bits of 1 << enum action: the lists that were given. */
unsigned row_given_of(const struct config_list *const *lists);

/* NULL stays NULL. ERR_MEMORY. */
MUST_USE enum error_code row_copy_text(const char *text, char **ret_copy);

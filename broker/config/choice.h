/* SPDX-License-Identifier: Apache-2.0 */
/* choice.h — values that are one word of a few.
 *
 * Place:   called by value.h.
 * Thread:  pure.
 * Bounds:  the words of these tables.
 */
#pragma once

#include "broker/config/config.h"

/* The type has words. */
bool choice_is(enum config_type type);

/* ERR_CONFIG with a sentence that names the words. */
MUST_USE enum error_code choice_parse(enum config_type type, struct span text, int *ret_value,
                                      struct error *why);

const char *choice_name(enum config_type type, int value);

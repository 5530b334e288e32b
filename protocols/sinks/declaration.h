/* SPDX-License-Identifier: Apache-2.0 */
/* declaration.h — one sink's row as JSON: at the operator's port, and as it is stored.
 *
 * Place:   protocols/operator/sinks.c reads and shows rows with it, sinks.c stores them; main hands
 *          declaration_check_rows() to the configuration.
 * Thread:  pure, but that checks may open files.
 * Bounds:  DECLARATION_BYTES_MAX; the row's own bounds.
 *
 * Keys are those of the configuration (sink_table.h), with objects for its sections:
 *
 *     {"name":"orders","channels":["orders"],"webhook":{"url":"https://…","secret":"whsec_…"}}
 *
 * Secrets are write only: they are shown as "set". A change that does not speak of one, or gives
 * back "set", leaves it as it is; null takes it away.
 */
#pragma once

#include <stdbool.h>

#include "broker/config/config.h"
#include "broker/support/buffer.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

/* All texts of a row at their longest are more; no real one is. */
#define DECLARATION_BYTES_MAX 262144
#define DECLARATION_SOURCE "body" /* what faults name as their source */

enum declaration_use {
    DECLARATION_NEW,    /* everything is checked, files too */
    DECLARATION_CHANGE, /* likewise; then declaration_inherit() must follow */
    DECLARATION_STORED, /* what it names was looked at when it was stored */
};

/* ERR_CONFIG: `faults` has every fault, with lines; ERR_MEMORY. The row is the caller's:
 * declaration_destroy(). */
MUST_USE enum error_code declaration_parse(struct span json, enum declaration_use use,
                                           struct sink_row **ret_row, struct config_faults *faults);

/* Gives a row of DECLARATION_CHANGE the secrets of the one that it replaces, where it does not
 * speak of them and is of the same kind. NULL: there was none. ERR_CONFIG: one that it needs is
 * not there to be kept. ERR_MEMORY. */
MUST_USE enum error_code declaration_inherit(struct sink_row *row, const struct sink_row *old,
                                             struct error *why);

/* Adds the faults of all sinks and sources that the configuration cannot see, because it stands
 * below: of channels, of `start`, and what the drivers say to their keys and files. A
 * config_check_rows, handed in by main. */
void declaration_check_rows(const struct config *config, struct config_faults *faults);

/* Appends one object. ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code declaration_put(struct buffer *buffer, const struct sink_row *row,
                                         bool with_secrets);

MUST_USE enum error_code declaration_copy(const struct sink_row *row, struct sink_row **ret_row);

/* Would both sinks do the same? Where they stand in a file is not looked at. */
bool declaration_is_equal(const struct sink_row *left, const struct sink_row *right);

void declaration_destroy(struct sink_row *row); /* accepts NULL */

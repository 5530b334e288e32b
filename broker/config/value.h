/* SPDX-License-Identifier: Apache-2.0 */
/* value.h — one value as text, read and checked against its row.
 *
 * Place:   called by the readers of defaults, YAML, environment and flags.
 * Thread:  pure, but for the copies of texts that it makes.
 * Bounds:  VALUE_TEXT_BYTES_MAX a value; CONFIG_LIST_ITEMS_MAX items a list.
 *
 * Sizes are whole numbers, plain or with B, KB, MB, GB, TB (thousands) or KiB, MiB, GiB, TiB
 * (1024s); durations whole numbers with ms, s, m, h or d. `unlimited` gives CONFIG_UNLIMITED.
 */
#pragma once

#include "broker/config/config.h"
#include "broker/support/buffer.h"

#define VALUE_TEXT_BYTES_MAX 1024

/* For printf's "%.*s": as much of a wrong value as an error has room for. Never of a secret. */
#define VALUE_SHOWN_BYTES_MAX 64
#define VALUE_SHOWN(span)                                                                          \
    (int)((span).length < VALUE_SHOWN_BYTES_MAX ? (span).length : VALUE_SHOWN_BYTES_MAX),          \
        (const char *)(span).bytes

/* All give ERR_CONFIG with one sentence in `why` that can follow the key's name. */
MUST_USE enum error_code value_parse_bytes(struct span text, uint64_t *ret_bytes,
                                           struct error *why);
MUST_USE enum error_code value_parse_duration_ms(struct span text, uint64_t *ret_ms,
                                                 struct error *why);
MUST_USE enum error_code value_parse_address(struct span text, struct config_address *ret_address,
                                             struct error *why);
MUST_USE enum error_code value_check_network(struct span text, struct error *why);
MUST_USE enum error_code value_check_host(struct span text, struct error *why);
/* "host" or "host:8443"; a host is a name, an IPv4 address, or an IPv6 address in brackets. */
bool value_is_host_and_port(struct span text);

MUST_USE enum error_code value_check_origin(struct span text, struct error *why);

/* Reads `text` into the row's field of `values` (a struct config or struct channel_rule), replacing
 * what is there. Not for rows that are lists. ERR_CONFIG and ERR_MEMORY leave the field. */
MUST_USE enum error_code value_set(const struct config_row *row, void *values, struct span text,
                                   struct error *why);

/* Checks and appends one item to a row that is a list. */
MUST_USE enum error_code value_add_item(const struct config_row *row, void *values,
                                        struct span text, struct error *why);

/* Notes that the list was given, be it empty. */
void value_set_given(const struct config_row *row, void *values);

/* Appends the field as JSON, as a user writes it: "10GiB", "1d", 100000, true, ["a"], "unlimited";
 * null where a text is not set; "set" for a secret that is. All else that is appended reads back
 * to the same value. ERR_TOO_LARGE, ERR_MEMORY. */
MUST_USE enum error_code value_put(const struct config_row *row, const void *values,
                                   struct buffer *buffer);

/* Whether the row has the same value in two structs of its scope. */
bool value_is_equal(const struct config_row *row, const void *left_values,
                    const void *right_values);

/* Empties the field and frees what it held. */
void value_clear(const struct config_row *row, void *values);

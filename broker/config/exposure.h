/* SPDX-License-Identifier: Apache-2.0 */
/* exposure.h — addresses to listen on, and who can reach them.
 *
 * Place:   called by command.h before the broker listens; by main to print where it does.
 * Thread:  pure.
 * Bounds:  none.
 */
#pragma once

#include "broker/config/config.h"

bool exposure_is_loopback(const struct config_address *address);

/* "127.0.0.1:8080" or "[::1]:8080" and a NUL; a socket of another family gives "?". */
#define EXPOSURE_ADDRESS_BYTES 64
void exposure_format_address(const struct config_address *address,
                             char ret_text[EXPOSURE_ADDRESS_BYTES]);

/* The port that was really taken, where 0 was asked for. */
void exposure_set_port(struct config_address *address, uint16_t port);

/* 0.0.0.0 and [::] become the loopback address of their family. */
void exposure_replace_wildcard(struct config_address *address);

/* The refusal rule: without credentials (and this version has none) neither port may listen beyond
 * loopback, unless `open` says so. ERR_CONFIG: the detail says what to do. */
MUST_USE enum error_code exposure_check(const struct config *config, struct error *why);

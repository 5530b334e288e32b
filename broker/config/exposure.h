/* SPDX-License-Identifier: Apache-2.0 */
/* exposure.h — addresses to listen on, and who can reach them.
 *
 * Place:   called by command.h before the broker listens; by main to print where it does.
 * Thread:  pure.
 * Bounds:  none.
 */
#pragma once

#include "broker/config/config.h"

/* An address, or the word for none. ERR_CONFIG with one sentence that can follow the key's name. */
MUST_USE enum error_code exposure_parse_listener(struct span text,
                                                 struct config_address *ret_address,
                                                 struct error *why);

/* Nothing is listened on at all. */
bool exposure_is_off(const struct config_address *address);

bool exposure_is_loopback(const struct config_address *address);

/* "127.0.0.1:8080" or "[::1]:8080" or "off" and a NUL; a socket of another family gives "?". */
#define EXPOSURE_ADDRESS_BYTES 64
#define EXPOSURE_OFF "off"
void exposure_format_address(const struct config_address *address,
                             char ret_text[EXPOSURE_ADDRESS_BYTES]);

/* The port that was really taken, where 0 was asked for. */
void exposure_set_port(struct config_address *address, uint16_t port);

/* What a person on this machine types: "localhost:8080" where that leads there, for a page of
 * localhost and one of 127.0.0.1 are two origins, and all that is written down says localhost. */
void exposure_format_reachable(const struct config_address *address,
                               char ret_text[EXPOSURE_ADDRESS_BYTES]);

/* The refusal rule: without credentials no port may listen beyond loopback, and the operator's port
 * only with a key that opens it, unless `open` says so. ERR_CONFIG: the detail says what to do. */
MUST_USE enum error_code exposure_check(const struct config *config, struct error *why);

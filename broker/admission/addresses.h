/* SPDX-License-Identifier: Apache-2.0 */
/* addresses.h — how many connections each client address has, over all workers.
 *
 * Place:   asked by the acceptors before they take a connection, told when one ends.
 * Thread:  any; one mutex, held for one look-up. Not asked at all where the limit is unlimited.
 * Bounds:  one small entry an address that is connected, so never more than there are connections.
 *
 * An IPv6 client is counted by its /64: that is what one customer is given (RFC 6177).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"

struct addresses;

/* The part of an address that is counted. */
struct address_key {
    uint8_t bytes[9]; /* family, then IPv4 or the IPv6 prefix */
};

/* ERR_MEMORY. */
MUST_USE enum error_code addresses_create(struct addresses **ret_addresses);

/* Accepts NULL. */
void addresses_destroy(struct addresses *addresses);

struct address_key address_key_of(const struct sockaddr_storage *address);

/* `network` is "10.0.0.0/8" or "2001:db8::/32", checked by the configuration. */
bool address_is_in_network(const struct sockaddr_storage *address, const char *network);

/* Counts one more connection. False: there are `connections_max` already, or there is no memory. */
MUST_USE bool addresses_take(struct addresses *addresses, const struct address_key *key,
                             uint64_t connections_max);

/* One connection less. */
void addresses_give(struct addresses *addresses, const struct address_key *key);

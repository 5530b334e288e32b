/* SPDX-License-Identifier: Apache-2.0 */
/* addresses.h — what each client address has and does: connections, handshakes, bad credentials.
 *
 * Place:   asked by the acceptors before they take a connection, told when one ends; asked before
 *          credentials are looked at, told when they were bad (broker/runtime/throttle.h).
 * Thread:  any; one mutex, held for one look-up.
 * Bounds:  one entry of 112 bytes an address that is connected, and ADDRESSES_IDLE_MAX of those
 *          that are not and may still be held to what they did.
 *
 * An IPv6 client is counted by its /64: that is what one customer is given (RFC 6177). An IPv4
 * address that an IPv6 socket has mapped (::ffff:0:0/96) counts as what it is.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "broker/admission/allowance.h"
#include "broker/support/error.h"
#include "broker/support/macros.h"

struct addresses;

/* The part of an address that is counted. */
struct address_key {
    uint8_t bytes[9]; /* family, then IPv4 or the IPv6 prefix */
};

/* What one address may. */
struct address_limits {
    uint64_t connections; /* at a time; UINT64_MAX: no limit */
    struct rate handshakes;
    struct rate login_failures;
};

/* What came of the question for one more connection. */
enum address_answer {
    ADDRESS_TAKEN,
    ADDRESS_HAS_TOO_MANY,  /* connections */
    ADDRESS_COMES_TOO_OFT, /* handshakes */
    ADDRESS_WITHOUT_MEMORY,
};

/* `limits` is copied. ERR_MEMORY. */
MUST_USE enum error_code addresses_create(const struct address_limits *limits,
                                          struct addresses **ret_addresses);

/* Accepts NULL. */
void addresses_destroy(struct addresses *addresses);

struct address_key address_key_of(const struct sockaddr_storage *address);

/* "127.0.0.1:40001" or "[::1]:40001" and a NUL. */
#define ADDRESS_PEER_BYTES (INET6_ADDRSTRLEN + sizeof("[]:65535"))
void address_format_peer(const struct sockaddr_storage *address, char ret_peer[ADDRESS_PEER_BYTES]);

bool address_is_loopback(const struct sockaddr_storage *address);

/* `network` is "10.0.0.0/8" or "2001:db8::/32", checked by the configuration. */
bool address_is_in_network(const struct sockaddr_storage *address, const char *network);

/* Counts one more connection; one that is refused counts as nothing. */
MUST_USE enum address_answer addresses_take(struct addresses *addresses,
                                            const struct address_key *key, uint64_t now_us);

/* One connection less of an address that has one. */
void addresses_give(struct addresses *addresses, const struct address_key *key, uint64_t now_us);

/* Credentials of an address were bad, whether its connections are counted or not. Without memory it
 * is forgotten. */
void addresses_note_failure(struct addresses *addresses, const struct address_key *key,
                            uint64_t now_us);

/* False: so many were that no more are looked at for `ret_wait_us`. */
MUST_USE bool addresses_may_log_in(struct addresses *addresses, const struct address_key *key,
                                   uint64_t now_us, uint64_t *ret_wait_us);

/* How many addresses are known. */
uint64_t addresses_count(struct addresses *addresses);

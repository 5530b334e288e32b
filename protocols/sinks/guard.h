/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h — which addresses a webhook may be sent to: whoever may declare a sink is not let into
 * the network behind the broker.
 *
 * Place:   post.h asks for each connection, with the address that was resolved: a name that is
 *          written oddly, or that resolves otherwise the second time, gains nothing.
 * Thread:  pure.
 * Bounds:  none of its own.
 *
 * An IPv4 address within an IPv6 one (mapped, NAT64, 6to4) is judged as what it is.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "broker/config/config.h"

/* X(kind, what it is called) */
#define GUARD_TABLE(X)                                                                             \
    X(GUARD_PUBLIC, "a public address")                                                            \
    X(GUARD_UNSPECIFIED, "an unspecified address")                                                 \
    X(GUARD_LOOPBACK, "a loopback address")                                                        \
    X(GUARD_PRIVATE, "a private address")                                                          \
    X(GUARD_LINK_LOCAL, "a link-local address")                                                    \
    X(GUARD_METADATA, "a cloud's metadata address")                                                \
    X(GUARD_SHARED, "an address of a provider's own network")                                      \
    X(GUARD_MULTICAST, "a multicast address")                                                      \
    X(GUARD_BROADCAST, "a broadcast address")                                                      \
    X(GUARD_DOCUMENTATION, "an address for documentation")                                         \
    X(GUARD_RESERVED, "a reserved address")                                                        \
    X(GUARD_OWN, "this broker itself")                                                             \
    X(GUARD_FOREIGN, "no address of the internet")

enum guard_kind {
#define GUARD(kind, name) kind,
    GUARD_TABLE(GUARD)
#undef GUARD
        GUARD_COUNT
};

enum guard_kind guard_classify(const struct sockaddr_storage *address);
const char *guard_kind_name(enum guard_kind kind);

/* Of that kind: public, or in one of the networks that are allowed. The kind is guard_classify()'s,
 * or GUARD_OWN where a public address leads back here. */
bool guard_is_allowed(enum guard_kind kind, const struct sockaddr_storage *address,
                      const struct config_list *allowed);

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/home.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "broker/config/config.h"
#include "broker/runtime/broker.h"
#include "broker/support/macros.h"

/* All that is listened on: where, and the port that was really taken. */
static const struct {
    size_t address; /* in struct config */
    size_t port;    /* in struct broker */
} doors[] = {
    {offsetof(struct config, public_listen), offsetof(struct broker, public_port)},
    {offsetof(struct config, operator_listen), offsetof(struct broker, operator_port)},
    {offsetof(struct config, mqtt_listen), offsetof(struct broker, mqtt_port)},
    {offsetof(struct config, mqtt_tls_listen), offsetof(struct broker, mqtt_tls_port)},
};

/* Host and port, an IPv4 address as what IPv6 calls it: so both families compare. False: neither.
 */
static bool take_apart(const struct sockaddr *address, struct in6_addr *ret_host,
                       uint16_t *ret_port) {
    static const uint8_t mapped[] = {[10] = 0xff, [11] = 0xff};
    const struct sockaddr_in *ipv4 = (const void *)address;
    const struct sockaddr_in6 *ipv6 = (const void *)address;
    if (address->sa_family == AF_INET) {
        memcpy(ret_host->s6_addr, mapped, sizeof(mapped));
        memcpy(ret_host->s6_addr + sizeof(mapped), &ipv4->sin_addr, sizeof(ipv4->sin_addr));
        *ret_port = ntohs(ipv4->sin_port);
        return true;
    }
    if (address->sa_family == AF_INET6) {
        *ret_host = ipv6->sin6_addr;
        *ret_port = ntohs(ipv6->sin6_port);
        return true;
    }
    return false;
}

static bool is_same(const struct in6_addr *left, const struct in6_addr *right) {
    return memcmp(left, right, sizeof(*left)) == 0;
}

static bool is_any(const struct in6_addr *host) {
    static const struct in6_addr any_ipv4 = {{{[10] = 0xff, [11] = 0xff}}};
    return is_same(host, &in6addr_any) || is_same(host, &any_ipv4);
}

/* Where nobody can say, it is taken for one. */
static bool is_of_this_machine(const struct in6_addr *host) {
    struct ifaddrs *interfaces;
    struct in6_addr own;
    uint16_t port;
    bool is_own = false;
    if (getifaddrs(&interfaces) != 0) {
        return true;
    }
    for (const struct ifaddrs *one = interfaces; one != NULL && !is_own; one = one->ifa_next) {
        is_own =
            one->ifa_addr != NULL && take_apart(one->ifa_addr, &own, &port) && is_same(&own, host);
    }
    freeifaddrs(interfaces);
    return is_own;
}

bool home_has(const struct broker *broker, const struct sockaddr_storage *address) {
    struct in6_addr host, listened;
    uint16_t port, configured;
    if (!take_apart((const void *)address, &host, &port) || port == 0) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(doors); i++) {
        const struct config_address *door =
            (const void *)((const char *)broker->config + doors[i].address);
        uint16_t taken;
        memcpy(&taken, (const char *)broker + doors[i].port, sizeof(taken));
        if (taken == port && take_apart((const void *)&door->socket, &listened, &configured) &&
            (is_any(&listened) ? is_of_this_machine(&host) : is_same(&listened, &host))) {
            return true;
        }
    }
    return false;
}

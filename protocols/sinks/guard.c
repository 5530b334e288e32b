/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/guard.h"

#include <stdint.h>
#include <string.h>

#include "broker/admission/addresses.h"
#include "broker/support/invariant.h"

/* A range of addresses; the first row that has one decides. */
struct range {
    uint8_t bytes[16];
    uint8_t bits;
    enum guard_kind kind;
};

/* The registry of special addresses (RFC 6890 and its successors), and where clouds put theirs. */
static const struct range ipv4_ranges[] = {
    {{169, 254, 169, 254}, 32, GUARD_METADATA}, /* of most clouds */
    {{169, 254, 170, 2}, 32, GUARD_METADATA},   /* of containers at Amazon's … */
    {{169, 254, 170, 23}, 32, GUARD_METADATA},
    {{100, 100, 100, 200}, 32, GUARD_METADATA}, /* … of Alibaba's */
    {{192, 0, 0, 192}, 32, GUARD_METADATA},     /* … of Oracle's */
    {{168, 63, 129, 16}, 32, GUARD_METADATA},   /* … of Microsoft's, within a public range */
    {{0}, 8, GUARD_UNSPECIFIED},
    {{10}, 8, GUARD_PRIVATE},
    {{100, 64}, 10, GUARD_SHARED},
    {{127}, 8, GUARD_LOOPBACK},
    {{169, 254}, 16, GUARD_LINK_LOCAL},
    {{172, 16}, 12, GUARD_PRIVATE},
    {{192, 0, 0}, 24, GUARD_RESERVED},
    {{192, 0, 2}, 24, GUARD_DOCUMENTATION},
    {{192, 88, 99}, 24, GUARD_RESERVED},
    {{192, 168}, 16, GUARD_PRIVATE},
    {{198, 18}, 15, GUARD_RESERVED}, /* for measuring */
    {{198, 51, 100}, 24, GUARD_DOCUMENTATION},
    {{203, 0, 113}, 24, GUARD_DOCUMENTATION},
    {{224}, 4, GUARD_MULTICAST},
    {{255, 255, 255, 255}, 32, GUARD_BROADCAST},
    {{240}, 4, GUARD_RESERVED},
    {{0}, 0, GUARD_PUBLIC},
};

static const struct range ipv6_ranges[] = {
    {{0xfd, 0, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}, 128, GUARD_METADATA}, /* of Amazon's */
    {{0xfd, 0x20, 0, 0xce, [14] = 0x02, [15] = 0x54}, 128, GUARD_METADATA}, /* of Google's */
    {{0}, 128, GUARD_UNSPECIFIED},
    {{[15] = 1}, 128, GUARD_LOOPBACK},
    /* NAT64 of a site's own (RFC 8215): the IPv4 address stands where the site has put it, and what
     * looks like a public one may be another's rest. */
    {{0x00, 0x64, 0xff, 0x9b, 0, 1}, 48, GUARD_PRIVATE},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, GUARD_DOCUMENTATION},
    {{0x3f, 0xff}, 20, GUARD_DOCUMENTATION},
    {{0x20, 0x01, 0, 0}, 23, GUARD_RESERVED}, /* of protocols: Teredo, ORCHID, measuring */
    {{0x20}, 3, GUARD_PUBLIC},                /* all that is given to anyone */
    {{0xfc}, 7, GUARD_PRIVATE},
    {{0xfe, 0x80}, 10, GUARD_LINK_LOCAL},
    {{0xfe, 0xc0}, 10, GUARD_PRIVATE}, /* site-local, as it was */
    {{0xff}, 8, GUARD_MULTICAST},
    {{0}, 0, GUARD_RESERVED},
};

/* Prefixes behind which an IPv4 address stands, and where. */
static const struct {
    uint8_t bytes[12];
    uint8_t bits;
    uint8_t at;
} embedding[] = {
    {{[10] = 0xff, [11] = 0xff}, 96, 12}, /* mapped: what an IPv6 socket calls IPv4 */
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12},   /* NAT64 (RFC 6052) */
    {{0x20, 0x02}, 16, 2},                /* 6to4 */
};

static bool has_prefix(const uint8_t *bytes, const uint8_t *prefix, size_t bits) {
    size_t whole = bits / 8;
    size_t rest = bits % 8;
    return memcmp(bytes, prefix, whole) == 0 &&
           (rest == 0 || (bytes[whole] ^ prefix[whole]) >> (8 - rest) == 0);
}

static enum guard_kind find(const struct range *range, const uint8_t *bytes) {
    while (!has_prefix(bytes, range->bytes, range->bits)) {
        range++; /* the last one has every address */
    }
    return range->kind;
}

/* The IPv4 address that it is, or carries; NULL: none. */
static const uint8_t *find_ipv4(const struct sockaddr_storage *address) {
    const struct sockaddr_in *ipv4 = (const void *)address;
    const struct sockaddr_in6 *ipv6 = (const void *)address;
    if (address->ss_family == AF_INET) {
        return (const void *)&ipv4->sin_addr;
    }
    for (size_t i = 0; i < ARRAY_COUNT(embedding); i++) {
        if (has_prefix(ipv6->sin6_addr.s6_addr, embedding[i].bytes, embedding[i].bits)) {
            return ipv6->sin6_addr.s6_addr + embedding[i].at;
        }
    }
    return NULL;
}

enum guard_kind guard_classify(const struct sockaddr_storage *address) {
    const struct sockaddr_in6 *ipv6 = (const void *)address;
    if (address->ss_family != AF_INET && address->ss_family != AF_INET6) {
        return GUARD_FOREIGN;
    }
    const uint8_t *ipv4 = find_ipv4(address);
    return ipv4 != NULL ? find(ipv4_ranges, ipv4) : find(ipv6_ranges, ipv6->sin6_addr.s6_addr);
}

const char *guard_kind_name(enum guard_kind kind) {
    static const char *const names[] = {
#define GUARD(kind, name) [kind] = name,
        GUARD_TABLE(GUARD)
#undef GUARD
    };
    INVARIANT(kind < GUARD_COUNT);
    return names[kind];
}

/* The networks are of the address itself and of what it carries. */
static bool is_listed(const struct sockaddr_storage *address, const struct config_list *allowed) {
    struct sockaddr_storage carried = {.ss_family = AF_INET};
    const uint8_t *ipv4 = find_ipv4(address);
    if (ipv4 != NULL) {
        memcpy(&((struct sockaddr_in *)(void *)&carried)->sin_addr, ipv4, sizeof(struct in_addr));
    }
    for (size_t i = 0; i < allowed->count; i++) {
        if (address_is_in_network(address, allowed->items[i]) ||
            (ipv4 != NULL && address_is_in_network(&carried, allowed->items[i]))) {
            return true;
        }
    }
    return false;
}

bool guard_is_allowed(enum guard_kind kind, const struct sockaddr_storage *address,
                      const struct config_list *allowed) {
    return kind == GUARD_PUBLIC || (kind != GUARD_FOREIGN && is_listed(address, allowed));
}

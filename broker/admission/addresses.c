/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/support/invariant.h"
#include "broker/support/map.h"

#define IPV6_PREFIX_BYTES 8

struct address {
    struct map_node in_map;
    struct address_key key;
    uint64_t connection_count;
};

struct addresses {
    pthread_mutex_t mutex;
    struct map by_key;
};

enum error_code addresses_create(struct addresses **ret_addresses) {
    struct addresses *addresses = calloc(1, sizeof(*addresses));
    if (addresses == NULL || map_init(&addresses->by_key) != OK) {
        free(addresses);
        return ERR_MEMORY;
    }
    pthread_mutex_init(&addresses->mutex, NULL);
    *ret_addresses = addresses;
    return OK;
}

void addresses_destroy(struct addresses *addresses) {
    if (addresses == NULL) {
        return;
    }
    struct map_node *node = map_first(&addresses->by_key);
    while (node != NULL) {
        struct map_node *next = map_next(&addresses->by_key, node);
        free(CONTAINER_OF(node, struct address, in_map));
        node = next;
    }
    map_finish(&addresses->by_key);
    pthread_mutex_destroy(&addresses->mutex);
    free(addresses);
}

struct address_key address_key_of(const struct sockaddr_storage *address) {
    struct address_key key = {{(uint8_t)address->ss_family}};
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *ipv6 = (const void *)address;
        memcpy(&key.bytes[1], &ipv6->sin6_addr, IPV6_PREFIX_BYTES);
    } else if (address->ss_family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const void *)address;
        memcpy(&key.bytes[1], &ipv4->sin_addr, sizeof(ipv4->sin_addr));
    }
    return key;
}

/* The first `bits` bits of both are the same. */
static bool has_prefix(const uint8_t *left, const uint8_t *right, size_t bits) {
    size_t whole = bits / 8;
    uint8_t mask = (uint8_t)(0xff00u >> (bits % 8));
    return memcmp(left, right, whole) == 0 &&
           (bits % 8 == 0 || ((left[whole] ^ right[whole]) & mask) == 0);
}

bool address_is_in_network(const struct sockaddr_storage *address, const char *network) {
    char host[INET6_ADDRSTRLEN] = "";
    uint8_t bytes[sizeof(struct in6_addr)];
    struct span rest = span_of_string(network);
    struct span prefix = span_split(&rest, '/');
    uint64_t bits = 0;
    bool is_ipv6 = address->ss_family == AF_INET6;
    const void *own = is_ipv6 ? (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr
                              : (const void *)&((const struct sockaddr_in *)address)->sin_addr;
    if (prefix.length >= sizeof(host) || !span_parse_u64(rest, &bits) ||
        bits > (is_ipv6 ? 128 : 32)) {
        return false;
    }
    memcpy(host, prefix.bytes, prefix.length);
    return inet_pton(address->ss_family, host, bytes) == 1 && has_prefix(own, bytes, (size_t)bits);
}

static struct address *find(const struct addresses *addresses, const struct address_key *key) {
    struct map_node *node = map_find(&addresses->by_key, span_of(key->bytes, sizeof(key->bytes)));
    return node == NULL ? NULL : CONTAINER_OF(node, struct address, in_map);
}

static struct address *add(struct addresses *addresses, const struct address_key *key) {
    struct address *address = calloc(1, sizeof(*address));
    if (address != NULL) {
        address->key = *key;
        map_put(&addresses->by_key, &address->in_map,
                span_of(address->key.bytes, sizeof(address->key.bytes)));
    }
    return address;
}

bool addresses_take(struct addresses *addresses, const struct address_key *key,
                    uint64_t connections_max) {
    pthread_mutex_lock(&addresses->mutex);
    struct address *address = find(addresses, key);
    if (address == NULL) {
        address = add(addresses, key);
    }
    bool is_taken = address != NULL && address->connection_count < connections_max;
    if (is_taken) {
        address->connection_count++;
    }
    pthread_mutex_unlock(&addresses->mutex);
    return is_taken;
}

void addresses_give(struct addresses *addresses, const struct address_key *key) {
    pthread_mutex_lock(&addresses->mutex);
    struct address *address = find(addresses, key);
    INVARIANT(address != NULL);
    INVARIANT(address->connection_count > 0);
    if (--address->connection_count == 0) {
        map_remove(&addresses->by_key, &address->in_map);
        free(address);
    }
    pthread_mutex_unlock(&addresses->mutex);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/addresses.h"

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

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/limits.h"
#include "broker/support/invariant.h"
#include "broker/support/list.h"
#include "broker/support/map.h"

#define IPV6_PREFIX_BYTES 8
#define IPV4_MAPPED_AT 12 /* behind ::ffff: */

struct address {
    struct map_node in_map;
    struct list in_idle; /* while it has no connection: the longest first */
    struct address_key key;
    uint64_t connection_count;
    struct allowance handshakes;
    struct allowance login_failures;
};

struct addresses {
    pthread_mutex_t mutex;
    struct map by_key;
    struct list idle;
    size_t idle_count;
    struct address_limits limits;
};

enum error_code addresses_create(const struct address_limits *limits,
                                 struct addresses **ret_addresses) {
    struct addresses *addresses = calloc(1, sizeof(*addresses));
    if (addresses == NULL || map_init(&addresses->by_key) != OK) {
        free(addresses);
        return ERR_MEMORY;
    }
    pthread_mutex_init(&addresses->mutex, NULL);
    list_init(&addresses->idle);
    addresses->limits = *limits;
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

static bool is_mapped(const struct sockaddr_storage *address) {
    return address->ss_family == AF_INET6 &&
           IN6_IS_ADDR_V4MAPPED(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

struct address_key address_key_of(const struct sockaddr_storage *address) {
    const struct sockaddr_in6 *ipv6 = (const void *)address;
    struct address_key key = {{(uint8_t)address->ss_family}};
    if (is_mapped(address)) {
        key.bytes[0] = AF_INET;
        memcpy(&key.bytes[1], ipv6->sin6_addr.s6_addr + IPV4_MAPPED_AT, sizeof(struct in_addr));
    } else if (address->ss_family == AF_INET6) {
        memcpy(&key.bytes[1], &ipv6->sin6_addr, IPV6_PREFIX_BYTES);
    } else if (address->ss_family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const void *)address;
        memcpy(&key.bytes[1], &ipv4->sin_addr, sizeof(ipv4->sin_addr));
    }
    return key;
}

void address_format_peer(const struct sockaddr_storage *address,
                         char ret_peer[ADDRESS_PEER_BYTES]) {
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *ipv6 = (const void *)address;
        inet_ntop(AF_INET6, &ipv6->sin6_addr, host, sizeof(host));
        snprintf(ret_peer, ADDRESS_PEER_BYTES, "[%s]:%u", host, ntohs(ipv6->sin6_port));
    } else {
        const struct sockaddr_in *ipv4 = (const void *)address;
        inet_ntop(AF_INET, &ipv4->sin_addr, host, sizeof(host));
        snprintf(ret_peer, ADDRESS_PEER_BYTES, "%s:%u", host, ntohs(ipv4->sin_port));
    }
}

bool address_is_loopback(const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET6 && !is_mapped(address)) {
        const struct sockaddr_in6 *ipv6 = (const void *)address;
        return IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr);
    }
    return address_key_of(address).bytes[1] == IN_LOOPBACKNET;
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
    bool is_ipv6 = address->ss_family == AF_INET6 && !is_mapped(address);
    const struct sockaddr_in6 *ipv6 = (const void *)address;
    const struct sockaddr_in *ipv4 = (const void *)address;
    const void *own = is_ipv6              ? (const void *)&ipv6->sin6_addr
                      : is_mapped(address) ? ipv6->sin6_addr.s6_addr + IPV4_MAPPED_AT
                                           : (const void *)&ipv4->sin_addr;
    if (prefix.length >= sizeof(host) || !span_parse_u64(rest, &bits) ||
        bits > (is_ipv6 ? 128 : 32)) {
        return false;
    }
    memcpy(host, prefix.bytes, prefix.length);
    return inet_pton(is_ipv6 ? AF_INET6 : AF_INET, host, bytes) == 1 &&
           has_prefix(own, bytes, (size_t)bits);
}

static struct address *find(const struct addresses *addresses, const struct address_key *key) {
    struct map_node *node = map_find(&addresses->by_key, span_of(key->bytes, sizeof(key->bytes)));
    return node == NULL ? NULL : CONTAINER_OF(node, struct address, in_map);
}

/* --- under the mutex ------------------------------------------------------------------------- */

static struct address *find_or_add(struct addresses *addresses, const struct address_key *key) {
    struct address *address = find(addresses, key);
    if (address == NULL && (address = calloc(1, sizeof(*address))) != NULL) {
        list_init(&address->in_idle);
        address->key = *key;
        map_put(&addresses->by_key, &address->in_map,
                span_of(address->key.bytes, sizeof(address->key.bytes)));
    }
    return address;
}

static void forget(struct addresses *addresses, struct address *address) {
    addresses->idle_count -= !list_is_empty(&address->in_idle);
    list_remove(&address->in_idle);
    map_remove(&addresses->by_key, &address->in_map);
    free(address);
}

static struct address *oldest_idle(const struct addresses *addresses) {
    return CONTAINER_OF(addresses->idle.next, struct address, in_idle);
}

static bool is_blameless(const struct address *address, uint64_t now_us) {
    return allowance_is_full(&address->handshakes, now_us) &&
           allowance_is_full(&address->login_failures, now_us);
}

/* Without a connection it is known for as long as something is held against it. Those that were
 * left longest ago are looked at on the way, two for each that comes, and go if there are too
 * many. */
static void put_idle(struct addresses *addresses, struct address *address, uint64_t now_us) {
    if (!list_is_empty(&address->in_idle)) {
        return;
    }
    list_put_tail(&addresses->idle, &address->in_idle);
    addresses->idle_count++;
    for (int i = 0; i < 2 && addresses->idle_count > 0; i++) {
        struct address *oldest = oldest_idle(addresses);
        if (!is_blameless(oldest, now_us) && addresses->idle_count <= ADDRESSES_IDLE_MAX) {
            return;
        }
        forget(addresses, oldest);
    }
}

static enum address_answer take(struct addresses *addresses, struct address *address,
                                uint64_t now_us) {
    const struct address_limits *limits = &addresses->limits;
    struct allowance_state state;
    if (address->connection_count >= limits->connections) {
        return ADDRESS_HAS_TOO_MANY;
    }
    if (limits->handshakes.units_a_second != RATE_UNLIMITED &&
        !allowance_take(&address->handshakes, &limits->handshakes, 1, now_us, &state)) {
        return ADDRESS_COMES_TOO_OFT;
    }
    if (address->connection_count++ == 0 && !list_is_empty(&address->in_idle)) {
        addresses->idle_count--;
        list_remove(&address->in_idle);
    }
    return ADDRESS_TAKEN;
}

/* --- from outside ---------------------------------------------------------------------------- */

enum address_answer addresses_take(struct addresses *addresses, const struct address_key *key,
                                   uint64_t now_us) {
    enum address_answer answer = ADDRESS_WITHOUT_MEMORY;
    pthread_mutex_lock(&addresses->mutex);
    struct address *address = find_or_add(addresses, key);
    if (address != NULL) {
        answer = take(addresses, address, now_us);
    }
    pthread_mutex_unlock(&addresses->mutex);
    return answer;
}

void addresses_give(struct addresses *addresses, const struct address_key *key, uint64_t now_us) {
    pthread_mutex_lock(&addresses->mutex);
    struct address *address = find(addresses, key);
    INVARIANT(address != NULL);
    INVARIANT(address->connection_count > 0);
    if (--address->connection_count == 0) {
        put_idle(addresses, address, now_us);
    }
    pthread_mutex_unlock(&addresses->mutex);
}

void addresses_note_failure(struct addresses *addresses, const struct address_key *key,
                            uint64_t now_us) {
    const struct rate *rate = &addresses->limits.login_failures;
    struct allowance_state state;
    if (rate->units_a_second == RATE_UNLIMITED) {
        return;
    }
    pthread_mutex_lock(&addresses->mutex);
    struct address *address = find_or_add(addresses, key);
    if (address != NULL) {
        IGNORE_RESULT(allowance_take(&address->login_failures, rate, 1, now_us, &state)); /* … or
                                                                     it is empty already */
        if (address->connection_count == 0) {
            put_idle(addresses, address, now_us);
        }
    }
    pthread_mutex_unlock(&addresses->mutex);
}

/* Whether one more failure would fit: it is taken and given back. */
bool addresses_may_log_in(struct addresses *addresses, const struct address_key *key,
                          uint64_t now_us, uint64_t *ret_wait_us) {
    const struct rate *rate = &addresses->limits.login_failures;
    struct allowance_state state = {0};
    bool may = true;
    pthread_mutex_lock(&addresses->mutex);
    struct address *address = find(addresses, key);
    if (address != NULL && rate->units_a_second != RATE_UNLIMITED) {
        may = allowance_take(&address->login_failures, rate, 1, now_us, &state);
        if (may) {
            allowance_give(&address->login_failures, rate, 1);
        }
    }
    pthread_mutex_unlock(&addresses->mutex);
    *ret_wait_us = state.wait_us;
    return may;
}

uint64_t addresses_count(struct addresses *addresses) {
    pthread_mutex_lock(&addresses->mutex);
    uint64_t count = map_count(&addresses->by_key);
    pthread_mutex_unlock(&addresses->mutex);
    return count;
}

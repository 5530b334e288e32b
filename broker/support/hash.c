/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/support/hash.h"

#include <sys/random.h>

#include "broker/support/clock.h"

struct sip {
    uint64_t a, b, c, d;
};

static inline uint64_t rotate(uint64_t word, unsigned bits) {
    return word << bits | word >> (64 - bits);
}

static inline void sip_round(struct sip *sip) {
    sip->a += sip->b;
    sip->b = rotate(sip->b, 13) ^ sip->a;
    sip->a = rotate(sip->a, 32);
    sip->c += sip->d;
    sip->d = rotate(sip->d, 16) ^ sip->c;
    sip->a += sip->d;
    sip->d = rotate(sip->d, 21) ^ sip->a;
    sip->c += sip->b;
    sip->b = rotate(sip->b, 17) ^ sip->c;
    sip->c = rotate(sip->c, 32);
}

void hash_key_draw(struct hash_key *ret_key) {
    /* At most 256 bytes never come short; before the kernel's pool is ready the call waits. */
    if (getrandom(ret_key, sizeof(*ret_key), 0) != (ssize_t)sizeof(*ret_key)) {
        /* Only a sandbox that forbids the call comes here: a weak key beats no broker. */
        ret_key->words[0] = clock_monotonic_us() * 0x9E3779B97F4A7C15u;
        ret_key->words[1] = clock_wall_ms() ^ (uint64_t)(uintptr_t)ret_key;
    }
}

uint64_t hash_bytes(const struct hash_key *key, struct span bytes) {
    struct sip sip = {
        .a = key->words[0] ^ 0x736F6D6570736575u,
        .b = key->words[1] ^ 0x646F72616E646F6Du,
        .c = key->words[0] ^ 0x6C7967656E657261u,
        .d = key->words[1] ^ 0x7465646279746573u,
    };
    const uint8_t *next = bytes.bytes;
    size_t rest = bytes.length;
    for (; rest >= 8; rest -= 8, next += 8) {
        uint64_t word;
        memcpy(&word, next, 8);
        sip.d ^= word;
        sip_round(&sip);
        sip.a ^= word;
    }
    uint64_t last = (uint64_t)bytes.length << 56;
    for (size_t i = 0; i < rest; i++) {
        last |= (uint64_t)next[i] << (8 * i);
    }
    sip.d ^= last;
    sip_round(&sip);
    sip.a ^= last;
    sip.c ^= 0xFF;
    sip_round(&sip);
    sip_round(&sip);
    sip_round(&sip);
    return sip.a ^ sip.b ^ sip.c ^ sip.d;
}

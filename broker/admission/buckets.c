/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/buckets.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/support/hash.h"

struct bucket {
    atomic_uint_fast64_t name; /* its hash; 0: nobody's yet */
    struct allowance allowance;
};

/* As long as a line of the processor's cache: a name is looked for in two of them at most. */
struct places {
    struct bucket ways[CHANNEL_BUCKET_WAYS];
};

struct buckets {
    struct hash_key key;
    struct places places[CHANNEL_BUCKETS / CHANNEL_BUCKET_WAYS];
};

static_assert(CHANNEL_BUCKETS % CHANNEL_BUCKET_WAYS == 0, "all places are whole");

enum error_code buckets_create(struct buckets **ret_buckets) {
    struct buckets *buckets =
        calloc(1, sizeof(*buckets)); /* the system's zeros, until written to */
    if (buckets == NULL) {
        return ERR_MEMORY;
    }
    hash_key_draw(&buckets->key);
    *ret_buckets = buckets;
    return OK;
}

void buckets_destroy(struct buckets *buckets) {
    free(buckets);
}

static struct bucket *find_named(struct places *places, uint64_t name) {
    for (size_t i = 0; i < CHANNEL_BUCKET_WAYS; i++) {
        struct bucket *bucket = &places->ways[i];
        if (atomic_load_explicit(&bucket->name, memory_order_relaxed) == name) {
            return bucket;
        }
    }
    return NULL;
}

static uint64_t full_at(const struct bucket *bucket) {
    return atomic_load_explicit(&bucket->allowance.full_at, memory_order_relaxed);
}

/* The first that is full, or else the one that will be soonest. */
static struct bucket *find_fullest(struct places *places, uint64_t now_us) {
    struct bucket *fullest = &places->ways[0];
    for (size_t i = 0; i < CHANNEL_BUCKET_WAYS; i++) {
        struct bucket *bucket = &places->ways[i];
        if (allowance_is_full(&bucket->allowance, now_us)) {
            return bucket;
        }
        fullest = full_at(bucket) < full_at(fullest) ? bucket : fullest;
    }
    return fullest;
}

static uint64_t name_of(const struct buckets *buckets, struct span channel) {
    uint64_t hash = hash_bytes(&buckets->key, channel);
    return hash == 0 ? 1 : hash;
}

static struct places *places_of(struct buckets *buckets, uint64_t name) {
    return &buckets->places[name % ARRAY_COUNT(buckets->places)];
}

struct allowance *buckets_find(struct buckets *buckets, struct span channel, uint64_t now_us) {
    uint64_t name = name_of(buckets, channel);
    struct places *places = places_of(buckets, name);
    struct bucket *bucket = find_named(places, name);
    if (bucket == NULL) {
        bucket = find_fullest(places, now_us);
        atomic_store_explicit(&bucket->name, name, memory_order_relaxed);
    }
    return &bucket->allowance;
}

struct allowance *buckets_find_kept(struct buckets *buckets, struct span channel) {
    uint64_t name = name_of(buckets, channel);
    struct bucket *bucket = find_named(places_of(buckets, name), name);
    return bucket == NULL ? NULL : &bucket->allowance;
}

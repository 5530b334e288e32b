/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/revocations.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/support/heap.h"
#include "broker/support/invariant.h"
#include "broker/support/map.h"

static_assert(TOKEN_ID_BYTES_MAX <= SUBJECT_BYTES_MAX, "a key has room for every kind of value");
static_assert(TENANT_BYTES_MAX <= UINT8_MAX, "a key has one byte for the tenant's length");

struct kind_row {
    const char *name;
    size_t bytes_max;
};

static const struct kind_row KINDS[REVOCATION_COUNT] = {
#define REVOCATION(kind, name, bytes_max) [kind] = {name, bytes_max},
    REVOCATION_TABLE(REVOCATION)
#undef REVOCATION
};

struct revocation_entry {
    struct map_node in_map; /* by its key */
    struct heap_node in_ends;
    uint64_t revoked_s;
    size_t key_length;
    uint8_t key[];
};

struct revocations {
    struct map map;
    struct heap ends; /* due in seconds */
};

const char *revocation_kind_name(enum revocation_kind kind) {
    INVARIANT(kind < REVOCATION_COUNT);
    return KINDS[kind].name;
}

size_t revocation_value_bytes_max(enum revocation_kind kind) {
    INVARIANT(kind < REVOCATION_COUNT);
    return KINDS[kind].bytes_max;
}

/* --- keys --- */

size_t revocation_put_key(const struct revocation *revocation,
                          uint8_t ret_key[REVOCATION_KEY_BYTES_MAX]) {
    bool is_tenant = revocation->kind == REVOCATION_TENANT;
    struct span tenant = is_tenant ? (struct span){0} : revocation->tenant;
    struct span value = revocation->value;
    INVARIANT(tenant.length <= TENANT_BYTES_MAX);
    INVARIANT(value.length <= KINDS[revocation->kind].bytes_max);
    ret_key[0] = (uint8_t)revocation->kind;
    ret_key[1] = (uint8_t)tenant.length;
    if (tenant.length > 0) {
        memcpy(ret_key + 2, tenant.bytes, tenant.length);
    }
    if (value.length > 0) {
        memcpy(ret_key + 2 + tenant.length, value.bytes, value.length);
    }
    return 2 + tenant.length + value.length;
}

bool revocation_parse_key(struct span key, struct revocation *ret_revocation) {
    if (key.length < 2 || key.bytes[0] >= REVOCATION_COUNT || key.bytes[1] > TENANT_BYTES_MAX ||
        key.length < 2 + (size_t)key.bytes[1]) {
        return false;
    }
    size_t tenant_length = key.bytes[1];
    struct revocation it = {
        .kind = (enum revocation_kind)key.bytes[0],
        .tenant = span_of(key.bytes + 2, tenant_length),
        .value = span_of(key.bytes + 2 + tenant_length, key.length - 2 - tenant_length),
    };
    if (it.value.length > KINDS[it.kind].bytes_max) {
        return false;
    }
    *ret_revocation = it;
    return true;
}

/* --- one --- */

/* Which member of the identity that kind is about. */
static struct span value_of(enum revocation_kind kind, const struct identity_facts *facts) {
    return kind == REVOCATION_TOKEN     ? facts->token_id
           : kind == REVOCATION_SUBJECT ? facts->subject
                                        : facts->tenant;
}

static bool can_be_revoked(const struct identity *identity) {
    return identity != NULL &&
           (identity->facts.kind == IDENTITY_TOKEN || identity->facts.kind == IDENTITY_APPLICATION);
}

/* A token is revoked whenever it was issued; what may have others after it up to a moment. One
 * whose `iat` is still to come was issued by a clock that is ahead, by how much is not known. */
static bool is_early(enum revocation_kind kind, uint64_t revoked_s, uint64_t issued_s,
                     uint64_t now_s) {
    uint64_t ahead_s_max = issued_s > now_s ? TOKEN_LEEWAY_S : 0;
    return kind == REVOCATION_TOKEN || issued_s <= revoked_s + ahead_s_max;
}

bool revocation_is_of(const struct revocation *revocation, const struct identity *identity,
                      uint64_t now_s) {
    if (!can_be_revoked(identity) || revocation->value.length == 0) {
        return false;
    }
    const struct identity_facts *facts = &identity->facts;
    bool is_any = revocation->kind == REVOCATION_TENANT ||
                  (revocation->kind == REVOCATION_TOKEN && revocation->tenant.length == 0);
    return span_is_equal(revocation->value, value_of(revocation->kind, facts)) &&
           (is_any || span_is_equal(revocation->tenant, facts->tenant)) &&
           is_early(revocation->kind, revocation->revoked_s, facts->issued_s, now_s);
}

/* --- an entry --- */

struct revocation_entry *revocation_entry_create(const struct revocation *revocation) {
    uint8_t key[REVOCATION_KEY_BYTES_MAX];
    size_t length = revocation_put_key(revocation, key);
    struct revocation_entry *entry = calloc(1, sizeof(*entry) + length);
    if (entry == NULL) {
        return NULL;
    }
    memcpy(entry->key, key, length);
    entry->key_length = length;
    entry->revoked_s = revocation->revoked_s;
    entry->in_ends.due = revocation->until_s;
    return entry;
}

void revocation_entry_destroy(struct revocation_entry *entry) {
    free(entry);
}

struct revocation revocation_entry_describe(const struct revocation_entry *entry) {
    struct revocation it = {0};
    bool is_one = revocation_parse_key(span_of(entry->key, entry->key_length), &it);
    INVARIANT(is_one);
    it.revoked_s = entry->revoked_s;
    it.until_s = entry->in_ends.due;
    return it;
}

/* --- the set --- */

struct revocations *revocations_create(void) {
    struct revocations *revocations = calloc(1, sizeof(*revocations));
    if (revocations == NULL || heap_reserve(&revocations->ends, REVOCATIONS_MAX) != OK) {
        free(revocations);
        return NULL;
    }
    if (map_init(&revocations->map) != OK) {
        heap_finish(&revocations->ends);
        free(revocations);
        return NULL;
    }
    return revocations;
}

static void take_out(struct revocations *revocations, struct revocation_entry *entry) {
    map_remove(&revocations->map, &entry->in_map);
    heap_remove(&revocations->ends, &entry->in_ends);
}

void revocations_destroy(struct revocations *revocations) {
    if (revocations == NULL) {
        return;
    }
    revocations_expire(revocations, UINT64_MAX);
    map_finish(&revocations->map);
    heap_finish(&revocations->ends);
    free(revocations);
}

static struct revocation_entry *find(const struct revocations *revocations,
                                     const struct revocation *revocation) {
    uint8_t key[REVOCATION_KEY_BYTES_MAX];
    size_t length = revocation_put_key(revocation, key);
    struct map_node *node = map_find(&revocations->map, span_of(key, length));
    return node == NULL ? NULL : CONTAINER_OF(node, struct revocation_entry, in_map);
}

void revocations_put_entry(struct revocations *revocations, struct revocation_entry *entry) {
    struct revocation it = revocation_entry_describe(entry);
    revocations_lift(revocations, &it);
    INVARIANT(map_count(&revocations->map) < REVOCATIONS_MAX);
    map_put(&revocations->map, &entry->in_map, span_of(entry->key, entry->key_length));
    heap_put(&revocations->ends, &entry->in_ends, it.until_s);
}

enum error_code revocations_put(struct revocations *revocations,
                                const struct revocation *revocation) {
    if (map_count(&revocations->map) >= REVOCATIONS_MAX && find(revocations, revocation) == NULL) {
        return ERR_FULL;
    }
    struct revocation_entry *entry = revocation_entry_create(revocation);
    if (entry == NULL) {
        return ERR_MEMORY;
    }
    revocations_put_entry(revocations, entry);
    return OK;
}

struct revocation_entry *revocations_take(struct revocations *revocations,
                                          const struct revocation *revocation) {
    struct revocation_entry *entry = find(revocations, revocation);
    if (entry != NULL) {
        take_out(revocations, entry);
    }
    return entry;
}

bool revocations_lift(struct revocations *revocations, const struct revocation *revocation) {
    struct revocation_entry *entry = revocations_take(revocations, revocation);
    revocation_entry_destroy(entry);
    return entry != NULL;
}

bool revocations_find(const struct revocations *revocations, const struct revocation *revocation,
                      struct revocation *ret_revocation) {
    const struct revocation_entry *entry = find(revocations, revocation);
    if (entry != NULL) {
        *ret_revocation = revocation_entry_describe(entry);
    }
    return entry != NULL;
}

static bool has_entry(const struct revocations *revocations, const struct identity *identity,
                      enum revocation_kind kind, struct span tenant, uint64_t now_s) {
    struct revocation asked = {
        .kind = kind, .value = value_of(kind, &identity->facts), .tenant = tenant};
    if (asked.value.length == 0) {
        return false;
    }
    const struct revocation_entry *entry = find(revocations, &asked);
    return entry != NULL && is_early(kind, entry->revoked_s, identity->facts.issued_s, now_s);
}

bool revocations_have(const struct revocations *revocations, const struct identity *identity,
                      uint64_t now_s) {
    if (map_count(&revocations->map) == 0 || !can_be_revoked(identity)) {
        return false;
    }
    struct span tenant = identity->facts.tenant;
    struct span any = {0};
    return has_entry(revocations, identity, REVOCATION_TOKEN, any, now_s) ||
           has_entry(revocations, identity, REVOCATION_SUBJECT, tenant, now_s) ||
           (tenant.length > 0 &&
            (has_entry(revocations, identity, REVOCATION_TOKEN, tenant, now_s) ||
             has_entry(revocations, identity, REVOCATION_TENANT, any, now_s)));
}

bool revocations_first(const struct revocations *revocations, struct revocation *ret_revocation) {
    struct heap_node *node = heap_first(&revocations->ends);
    if (node != NULL) {
        *ret_revocation =
            revocation_entry_describe(CONTAINER_OF(node, struct revocation_entry, in_ends));
    }
    return node != NULL;
}

void revocations_expire(struct revocations *revocations, uint64_t now_s) {
    for (struct heap_node *node;
         (node = heap_first(&revocations->ends)) != NULL && node->due <= now_s;) {
        struct revocation_entry *entry = CONTAINER_OF(node, struct revocation_entry, in_ends);
        take_out(revocations, entry);
        revocation_entry_destroy(entry);
    }
}

size_t revocations_count(const struct revocations *revocations) {
    return map_count(&revocations->map);
}

void revocations_each(const struct revocations *revocations,
                      void (*on_revocation)(void *context, const struct revocation *revocation),
                      void *context) {
    for (struct map_node *node = map_first(&revocations->map); node != NULL;
         node = map_next(&revocations->map, node)) {
        struct revocation it =
            revocation_entry_describe(CONTAINER_OF(node, struct revocation_entry, in_map));
        on_revocation(context, &it);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/accounts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/limits.h"
#include "broker/support/invariant.h"

struct accounts {
    pthread_mutex_t mutex;
    struct map subjects;
    struct map tenants;
    struct list idle; /* of subjects, that nobody holds: the longest first */
    size_t idle_count;
    uint64_t latest_issue_s; /* of who has no tenant */
    struct quota subject_quota;
    accounts_on_tenant *on_tenant;
    void *context;
};

/* An account with the way back to its table, which callers need not see. */
struct entry {
    struct account account;
    struct accounts *owner;
};

static struct account *account_of(struct map_node *node) {
    return CONTAINER_OF(node, struct account, in_accounts);
}

static void copy_quota(struct quota *quota, const struct quota *from) {
    atomic_store(&quota->connections, atomic_load(&from->connections));
    atomic_store(&quota->publish_rate, atomic_load(&from->publish_rate));
    atomic_store(&quota->publish_bytes, atomic_load(&from->publish_bytes));
    atomic_store(&quota->channels, atomic_load(&from->channels));
    atomic_store(&quota->stored_bytes, atomic_load(&from->stored_bytes));
}

static const struct quota unlimited = {.connections = UINT64_MAX,
                                       .publish_rate = UINT64_MAX,
                                       .publish_bytes = UINT64_MAX,
                                       .channels = UINT64_MAX,
                                       .stored_bytes = UINT64_MAX};

enum error_code accounts_create(const struct quota *subject_quota, struct accounts **ret_accounts) {
    struct accounts *accounts = calloc(1, sizeof(*accounts));
    if (accounts == NULL || map_init(&accounts->subjects) != OK) {
        free(accounts);
        return ERR_MEMORY;
    }
    if (map_init(&accounts->tenants) != OK) {
        map_finish(&accounts->subjects);
        free(accounts);
        return ERR_MEMORY;
    }
    pthread_mutex_init(&accounts->mutex, NULL);
    list_init(&accounts->idle);
    copy_quota(&accounts->subject_quota, subject_quota);
    *ret_accounts = accounts;
    return OK;
}

static void free_all(struct map *map) {
    struct map_node *node = map_first(map);
    while (node != NULL) {
        struct map_node *next = map_next(map, node);
        free(CONTAINER_OF(account_of(node), struct entry, account));
        node = next;
    }
    map_finish(map);
}

void accounts_destroy(struct accounts *accounts) {
    if (accounts == NULL) {
        return;
    }
    free_all(&accounts->subjects);
    free_all(&accounts->tenants);
    pthread_mutex_destroy(&accounts->mutex);
    free(accounts);
}

void accounts_set_on_tenant(struct accounts *accounts, accounts_on_tenant *on_tenant,
                            void *context) {
    accounts->on_tenant = on_tenant;
    accounts->context = context;
}

/* --- under the mutex ------------------------------------------------------------------------- */

static struct account *create(struct accounts *accounts, const struct quota *quota) {
    struct entry *entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        return NULL;
    }
    entry->owner = accounts;
    list_init(&entry->account.in_idle);
    copy_quota(&entry->account.quota, quota);
    return &entry->account;
}

static enum error_code find_tenant(struct accounts *accounts, struct span tenant,
                                   struct account **ret_account) {
    struct map_node *node = map_find(&accounts->tenants, tenant);
    if (node != NULL) {
        *ret_account = account_of(node);
        return OK;
    }
    INVARIANT(tenant.length <= TENANT_BYTES_MAX);
    if (map_count(&accounts->tenants) >= TENANTS_MAX) {
        return ERR_FULL;
    }
    struct account *account = create(accounts, &unlimited);
    if (account == NULL) {
        return ERR_MEMORY;
    }
    account->is_tenant = true;
    account->name_length = (uint8_t)tenant.length;
    memcpy(account->name, tenant.bytes, tenant.length);
    if (accounts->on_tenant != NULL) {
        accounts->on_tenant(accounts->context, tenant, &account->quota);
    }
    map_put(&accounts->tenants, &account->in_accounts,
            span_of(account->name, account->name_length));
    *ret_account = account;
    return OK;
}

static enum error_code find_subject(struct accounts *accounts, const uint8_t *key,
                                    struct account **ret_account) {
    struct map_node *node = map_find(&accounts->subjects, span_of(key, IDENTITY_HASH_BYTES));
    if (node != NULL) {
        struct account *account = account_of(node);
        accounts->idle_count -= account->holder_count == 0;
        list_remove(&account->in_idle);
        *ret_account = account;
        return OK;
    }
    struct account *account = create(accounts, &accounts->subject_quota);
    if (account == NULL) {
        return ERR_MEMORY;
    }
    memcpy(account->key, key, IDENTITY_HASH_BYTES);
    map_put(&accounts->subjects, &account->in_accounts,
            span_of(account->key, sizeof(account->key)));
    *ret_account = account;
    return OK;
}

/* The one that was left longest ago makes room. */
static void put_idle(struct accounts *accounts, struct account *account) {
    list_put_tail(&accounts->idle, &account->in_idle);
    accounts->idle_count++;
    if (accounts->idle_count > ACCOUNTS_IDLE_MAX) {
        struct account *oldest =
            CONTAINER_OF(list_take_head(&accounts->idle), struct account, in_idle);
        accounts->idle_count--;
        map_remove(&accounts->subjects, &oldest->in_accounts);
        free(CONTAINER_OF(oldest, struct entry, account));
    }
}

/* Of that tenant, or of none. NULL: the tenant has no account. */
static uint64_t *find_latest_issue(struct accounts *accounts, struct span tenant) {
    if (tenant.length == 0) {
        return &accounts->latest_issue_s;
    }
    struct map_node *node = map_find(&accounts->tenants, tenant);
    return node == NULL ? NULL : &account_of(node)->latest_issue_s;
}

static void note_issue(struct accounts *accounts, const struct identity_facts *facts) {
    uint64_t *latest_s = find_latest_issue(accounts, facts->tenant);
    *latest_s = facts->issued_s > *latest_s ? facts->issued_s : *latest_s;
}

/* --- from outside ---------------------------------------------------------------------------- */

enum error_code accounts_enroll(struct accounts *accounts, struct identity *identity) {
    const struct identity_facts *facts = &identity->facts;
    uint8_t key[IDENTITY_HASH_BYTES];
    enum error_code code = OK;
    bool has_subject = facts->subject.length > 0 && facts->kind != IDENTITY_EVERYONE &&
                       facts->kind != IDENTITY_ANONYMOUS;
    INVARIANT(identity->account == NULL);
    INVARIANT(identity->tenant_account == NULL);
    if (has_subject) {
        identity_hash(identity, key);
    }
    pthread_mutex_lock(&accounts->mutex);
    if (facts->tenant.length > 0) {
        code = find_tenant(accounts, facts->tenant, &identity->tenant_account);
    }
    if (code == OK && has_subject) {
        code = find_subject(accounts, key, &identity->account);
    }
    if (code == OK && has_subject) {
        identity->account->holder_count++;
    }
    if (code == OK) {
        note_issue(accounts, facts);
    }
    pthread_mutex_unlock(&accounts->mutex);
    return code;
}

enum error_code accounts_find_tenant(struct accounts *accounts, struct span tenant,
                                     struct account **ret_account) {
    pthread_mutex_lock(&accounts->mutex);
    enum error_code code = find_tenant(accounts, tenant, ret_account);
    pthread_mutex_unlock(&accounts->mutex);
    return code;
}

void accounts_each_tenant(struct accounts *accounts,
                          void (*on_account)(void *context, struct account *account),
                          void *context) {
    pthread_mutex_lock(&accounts->mutex);
    for (struct map_node *node = map_first(&accounts->tenants); node != NULL;
         node = map_next(&accounts->tenants, node)) {
        on_account(context, account_of(node));
    }
    pthread_mutex_unlock(&accounts->mutex);
}

uint64_t accounts_latest_issue_s(struct accounts *accounts, struct span tenant) {
    pthread_mutex_lock(&accounts->mutex);
    const uint64_t *latest_s = find_latest_issue(accounts, tenant);
    uint64_t issue_s = latest_s == NULL ? 0 : *latest_s;
    pthread_mutex_unlock(&accounts->mutex);
    return issue_s;
}

uint64_t accounts_count(struct accounts *accounts) {
    pthread_mutex_lock(&accounts->mutex);
    uint64_t count = map_count(&accounts->subjects) + map_count(&accounts->tenants);
    pthread_mutex_unlock(&accounts->mutex);
    return count;
}

void account_release(struct account *account) {
    if (account == NULL || account->is_tenant) {
        return;
    }
    struct accounts *accounts = CONTAINER_OF(account, struct entry, account)->owner;
    pthread_mutex_lock(&accounts->mutex);
    INVARIANT(account->holder_count > 0);
    if (--account->holder_count == 0) {
        put_idle(accounts, account);
    }
    pthread_mutex_unlock(&accounts->mutex);
}

void account_lose_bytes(struct account *account, uint64_t bytes) {
    uint_fast64_t before = atomic_load(&account->stored_bytes);
    while (!atomic_compare_exchange_weak(&account->stored_bytes, &before,
                                         before > bytes ? before - bytes : 0)) {
        /* another thread changed it: `before` is what it left */
    }
}

/* Counted where it is compared: two that ask at the same moment do not both get the last place. */
static bool take_connection(struct account *account, const struct account *present) {
    if (account == NULL) {
        return true;
    }
    if (account == present) { /* of the two one is given back at once: no more are open */
        atomic_fetch_add(&account->connections, 1);
        return true;
    }
    uint_fast64_t most = atomic_load(&account->quota.connections);
    uint_fast64_t before = atomic_load(&account->connections);
    do {
        if (before >= most) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&account->connections, &before, before + 1));
    uint_fast64_t peak = atomic_load(&account->usage.connections_peak);
    while (before + 1 > peak &&
           !atomic_compare_exchange_weak(&account->usage.connections_peak, &peak, before + 1)) {
        /* another one came in between: `peak` is what it left */
    }
    return true;
}

static void give_connection(struct account *account) {
    if (account != NULL) {
        uint64_t before = atomic_fetch_sub(&account->connections, 1);
        INVARIANT(before > 0);
    }
}

bool accounts_take_connection(const struct identity *identity, const struct identity *present,
                              struct account **ret_full) {
    static const struct identity nobody;
    present = present == NULL ? &nobody : present;
    if (identity == NULL) {
        return true;
    }
    if (!take_connection(identity->account, present->account)) {
        *ret_full = identity->account;
        return false;
    }
    if (!take_connection(identity->tenant_account, present->tenant_account)) {
        give_connection(identity->account);
        *ret_full = identity->tenant_account;
        return false;
    }
    return true;
}

void accounts_give_connection(const struct identity *identity) {
    if (identity != NULL) {
        give_connection(identity->account);
        give_connection(identity->tenant_account);
    }
}

void accounts_note_delivered(const struct identity *identity, uint64_t messages, uint64_t bytes) {
    if (identity != NULL && identity->tenant_account != NULL) {
        struct usage *usage = &identity->tenant_account->usage;
        atomic_fetch_add_explicit(&usage->delivered_messages, messages, memory_order_relaxed);
        atomic_fetch_add_explicit(&usage->delivered_bytes, bytes, memory_order_relaxed);
    }
}

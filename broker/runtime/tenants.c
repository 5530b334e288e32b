/* SPDX-License-Identifier: Apache-2.0 */
/* The object of a tenant's usage, named by the tenant: u8 version (1), then u64 little-endian since
 * (milliseconds, wall clock), published messages, published bytes, delivered messages, delivered
 * bytes, refused, most connections at a time. Counters only grow, so their sum says whether one has
 * changed. */
#include "broker/runtime/tenants.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "broker/admission/accounts.h"
#include "broker/channels/scope.h"
#include "broker/config/config.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "storage/storage.h"

#define USAGE_VERSION 1

static const size_t COUNTERS[] = {
    offsetof(struct usage, since_ms),         offsetof(struct usage, published_messages),
    offsetof(struct usage, published_bytes),  offsetof(struct usage, delivered_messages),
    offsetof(struct usage, delivered_bytes),  offsetof(struct usage, refused),
    offsetof(struct usage, connections_peak),
};

static_assert(1 + 8 * ARRAY_COUNT(COUNTERS) == USAGE_RECORD_BYTES, "a record has all counters");
static_assert(USAGE_BATCH_MAX <= PUBLISH_MESSAGES_MAX, "a batch is one publish");

struct tenants {
    struct broker *broker;
    uint64_t stored_ms; /* monotonic: when the last store began */
    size_t under_way;   /* batches */
};

/* Some tenants whose usage is being stored. */
struct batch {
    struct tenants *tenants;
    struct publish publish;
    struct message *messages[USAGE_BATCH_MAX];
    struct account *accounts[USAGE_BATCH_MAX];
    uint64_t sums[USAGE_BATCH_MAX];
};

/* --- counters -------------------------------------------------------------------------------- */

static atomic_uint_fast64_t *counter_of(const struct account *account, size_t index) {
    return (atomic_uint_fast64_t *)((uintptr_t)&account->usage + COUNTERS[index]);
}

static uint64_t sum_of(const struct account *account) {
    uint64_t sum = 0;
    for (size_t i = 0; i < ARRAY_COUNT(COUNTERS); i++) {
        sum += atomic_load(counter_of(account, i));
    }
    return sum;
}

/* --- quotas ---------------------------------------------------------------------------------- */

static const struct tenant_quota *find_row(const struct config *config, struct span tenant) {
    const struct tenant_quota *others = NULL;
    for (size_t i = 0; i < config->tenant_count; i++) {
        const struct tenant_quota *row = &config->tenants[i];
        struct span name = span_of_string(row->name);
        if (span_is_equal(name, tenant)) {
            return row;
        }
        others = others == NULL && span_is_equal(name, SPAN("*")) ? row : others;
    }
    return others;
}

static void set_quota(const struct config *config, struct span tenant, struct quota *quota) {
    const struct tenant_quota *row = find_row(config, tenant);
    row = row == NULL ? &config->tenant_default : row;
    atomic_store(&quota->connections, row->connections_max);
    atomic_store(&quota->publish_rate, row->publish_rate);
    atomic_store(&quota->publish_bytes, row->publish_bytes);
    atomic_store(&quota->channels, row->channels_max);
    atomic_store(&quota->stored_bytes, row->stored_bytes_max);
}

static void on_tenant(void *context, struct span tenant, struct quota *ret_quota) {
    const struct tenants *tenants = context;
    set_quota(atomic_load(&tenants->broker->configured), tenant, ret_quota);
}

static void on_object(void *context, struct span name, struct span state) {
    struct tenants *tenants = context;
    struct account *account = NULL;
    if (!scope_is_tenant(name) ||
        accounts_find_tenant(tenants->broker->accounts, name, &account) != OK ||
        !usage_read(state, account)) {
        log_event(USAGE_NOT_READ, .tenant = name);
        return;
    }
    account->usage_stored = sum_of(account);
}

/* --- beginning and end ----------------------------------------------------------------------- */

enum error_code tenants_create(struct broker *broker, struct tenants **ret_tenants,
                               struct error *why) {
    struct tenants *tenants = calloc(1, sizeof(*tenants));
    if (tenants == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the tenants");
    }
    tenants->broker = broker;
    tenants->stored_ms = clock_monotonic_ms();
    accounts_set_on_tenant(broker->accounts, on_tenant, tenants);
    enum error_code code =
        storage_each_object(broker->storage, STORAGE_OBJECT_USAGE, on_object, tenants, why);
    if (code != OK) {
        tenants_destroy(tenants);
        return code;
    }
    tenants_reload(tenants); /* keys of the configuration have accounts already */
    *ret_tenants = tenants;
    return OK;
}

void tenants_destroy(struct tenants *tenants) {
    if (tenants != NULL) {
        INVARIANT(tenants->under_way == 0);
        free(tenants);
    }
}

/* --- a reload -------------------------------------------------------------------------------- */

static void set_anew(void *context, struct account *account) {
    set_quota(context, span_of(account->name, account->name_length), &account->quota);
}

/* A tenant that has a row of its own is known before it comes. */
static void make_known(const struct tenants *tenants) {
    const struct config *config = atomic_load(&tenants->broker->configured);
    struct account *account = NULL;
    for (size_t i = 0; i < config->tenant_count; i++) {
        struct span name = span_of_string(config->tenants[i].name);
        if (!span_is_equal(name, SPAN("*"))) {
            IGNORE_RESULT(accounts_find_tenant(tenants->broker->accounts, name, &account));
        }
    }
}

void tenants_reload(struct tenants *tenants) {
    const struct config *config = atomic_load(&tenants->broker->configured);
    make_known(tenants);
    accounts_each_tenant(tenants->broker->accounts, set_anew, (void *)(uintptr_t)config);
}

/* --- what is stored -------------------------------------------------------------------------- */

/* Those whose counters have changed since they were stored. The pointers stay good: accounts of
 * tenants are there until the end. */
struct changed {
    struct account **accounts;
    size_t count;
    size_t room;
};

static void note_changed(void *context, struct account *account) {
    struct changed *changed = context;
    if (atomic_load(&account->usage.since_ms) == 0) {
        atomic_store(&account->usage.since_ms, clock_wall_ms());
    }
    if (sum_of(account) == account->usage_stored) {
        return;
    }
    if (changed->count == changed->room) {
        size_t room = changed->room == 0 ? 64 : changed->room * 2;
        struct account **grown = realloc(changed->accounts, room * sizeof(struct account *));
        if (grown == NULL) {
            return; /* the next beat tries again */
        }
        changed->accounts = grown;
        changed->room = room;
    }
    changed->accounts[changed->count++] = account;
}

static void destroy(struct batch *batch) {
    for (size_t i = 0; i < batch->publish.count; i++) {
        message_unref(batch->messages[i]);
    }
    free(batch);
}

static void on_stored(struct publish *publish) {
    struct batch *batch = CONTAINER_OF(publish, struct batch, publish);
    for (size_t i = 0; publish->result == OK && i < publish->count; i++) {
        batch->accounts[i]->usage_stored = batch->sums[i];
    }
    batch->tenants->under_way--;
    destroy(batch);
}

static struct message *make_message(const struct account *account) {
    uint8_t record[USAGE_RECORD_BYTES];
    usage_write(account, record);
    return storage_object_message(STORAGE_OBJECT_USAGE, STORAGE_OBJECT_PUT,
                                  span_of(account->name, account->name_length),
                                  span_of(record, sizeof(record)));
}

/* What cannot be stored now is stored at the next beat. */
static void store_batch(struct tenants *tenants, struct account *const *accounts, size_t count) {
    struct batch *batch = calloc(1, sizeof(*batch));
    if (batch == NULL) {
        return;
    }
    batch->tenants = tenants;
    batch->publish = (struct publish){.reply_to = tenants->broker->mailbox,
                                      .on_answered = on_stored,
                                      .counted_as = METRICS_PROTOCOL_OTHER,
                                      .messages = batch->messages};
    for (size_t i = 0; i < count; i++) {
        uint64_t sum = sum_of(accounts[i]); /* before: what is counted meanwhile is stored later */
        struct message *message = make_message(accounts[i]);
        if (message != NULL) {
            batch->accounts[batch->publish.count] = accounts[i];
            batch->sums[batch->publish.count] = sum;
            batch->messages[batch->publish.count++] = message;
        }
    }
    if (batch->publish.count == 0 || log_submit(tenants->broker->log, &batch->publish) != OK) {
        destroy(batch);
        return;
    }
    tenants->under_way++;
}

void tenants_store(struct tenants *tenants, bool is_end) {
    uint64_t now_ms = clock_monotonic_ms();
    bool is_due = now_ms - tenants->stored_ms >= USAGE_INTERVAL_MS && tenants->under_way == 0;
    if (!is_due && !is_end) {
        return;
    }
    struct changed changed = {0};
    tenants->stored_ms = now_ms;
    accounts_each_tenant(tenants->broker->accounts, note_changed, &changed);
    for (size_t i = 0; i < changed.count; i += USAGE_BATCH_MAX) {
        size_t left = changed.count - i;
        store_batch(tenants, changed.accounts + i, left < USAGE_BATCH_MAX ? left : USAGE_BATCH_MAX);
    }
    free(changed.accounts);
}

void tenants_on_lost(struct tenants *tenants, struct span channel, uint64_t bytes) {
    struct span tenant = scope_tenant(channel);
    struct account *account = NULL;
    if (tenants != NULL && tenant.length > 0 &&
        accounts_find_tenant(tenants->broker->accounts, tenant, &account) == OK) {
        account_lose_bytes(account, bytes);
    }
}

/* --- records --------------------------------------------------------------------------------- */

void usage_write(const struct account *account, uint8_t ret_record[USAGE_RECORD_BYTES]) {
    uint8_t *to = ret_record;
    *to++ = USAGE_VERSION;
    for (size_t i = 0; i < ARRAY_COUNT(COUNTERS); i++) {
        uint64_t number = atomic_load(counter_of(account, i));
        for (size_t byte = 0; byte < 8; byte++) {
            *to++ = (uint8_t)(number >> (8 * byte));
        }
    }
}

bool usage_read(struct span record, struct account *account) {
    if (record.length < USAGE_RECORD_BYTES || record.bytes[0] != USAGE_VERSION) {
        return false;
    }
    const uint8_t *at = record.bytes + 1;
    for (size_t i = 0; i < ARRAY_COUNT(COUNTERS); i++) {
        uint64_t number = 0;
        for (size_t byte = 0; byte < 8; byte++) {
            number |= (uint64_t)*at++ << (8 * byte);
        }
        atomic_store(counter_of(account, i), number);
    }
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* tenants.h — what each tenant may have and has used: quotas of the configuration, and counters
 * that outlive the process.
 *
 * Place:   made by main before the log; the numbers are in the accounts of admission/accounts.h,
 *          where workers, the log thread (order.h) and the store thread count.
 * Thread:  main's, but for tenants_on_lost().
 * Bounds:  TENANTS_MAX tenants; USAGE_BATCH_MAX objects a publish.
 *
 * Counters are stored each USAGE_INTERVAL_MS where they have changed, and at the end: a process
 * that is killed loses what was counted since. What a tenant has now (connections, channels, stored
 * bytes) is counted anew by each process, exactly.
 *
 * A quota is read where it is asked for, so another one counts from the reload on; who has more
 * than that already keeps it.
 */
#pragma once

#include <stdint.h>

#include "broker/support/error.h"
#include "broker/support/macros.h"
#include "broker/support/span.h"

struct account;
struct broker;
struct tenants;

#define USAGE_INTERVAL_MS 10000
#define USAGE_BATCH_MAX 1024

/* Sets what tenants may have and learns what they have used, before any of them comes.
 * ERR_MEMORY, ERR_IO, ERR_CORRUPT. */
MUST_USE enum error_code tenants_create(struct broker *broker, struct tenants **ret_tenants,
                                        struct error *why);

/* Nothing is under way. Accepts NULL. */
void tenants_destroy(struct tenants *tenants);

/* The configuration is another: quotas anew. */
void tenants_reload(struct tenants *tenants);

/* Stores what has changed, if it is time, or if `is_end`. Answers come to main's mailbox. */
void tenants_store(struct tenants *tenants, bool is_end);

/* Retention let go of so many bytes of a channel. The store thread's; accepts NULL. */
void tenants_on_lost(struct tenants *tenants, struct span channel, uint64_t bytes);

/* The counters of an account as an object, and back; pure. False: it is of a later version, or
 * damaged. */
#define USAGE_RECORD_BYTES 57
void usage_write(const struct account *account, uint8_t ret_record[USAGE_RECORD_BYTES]);
MUST_USE bool usage_read(struct span record, struct account *account);

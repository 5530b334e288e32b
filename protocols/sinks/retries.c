/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/retries.h"

#include <assert.h>
#include <string.h>

#include "broker/config/value.h"
#include "broker/limits.h"
#include "broker/support/invariant.h"

/* Standard Webhooks 1.0.0, "Deliverability and reliability"; its first, at once, is the first
 * attempt. */
static const uint64_t standard_ms[] = {
    5 * UINT64_C(1000),     5 * UINT64_C(60000),    30 * UINT64_C(60000),
    2 * UINT64_C(3600000),  5 * UINT64_C(3600000),  10 * UINT64_C(3600000),
    14 * UINT64_C(3600000), 20 * UINT64_C(3600000), 24 * UINT64_C(3600000),
};

static_assert(ARRAY_COUNT(standard_ms) <= RETRIES_MAX, "all have room");

void retries_init(struct retries *retries, const struct sink_row *row) {
    *retries = (struct retries){.after_ms_max = row->retry_after_max_ms};
    if (!row->retries.is_given) {
        memcpy(retries->waits_ms, standard_ms, sizeof(standard_ms));
        retries->count = ARRAY_COUNT(standard_ms);
        return;
    }
    for (size_t i = 0; i < row->retries.count && retries->count < RETRIES_MAX; i++) {
        struct span text = span_of_string(row->retries.items[i]);
        enum error_code code =
            value_parse_duration_ms(text, &retries->waits_ms[retries->count], NULL);
        INVARIANT(code == OK); /* the row was checked */
        retries->count++;
    }
}

uint64_t retries_cut(const struct retries *retries, uint64_t retry_after_ms) {
    return retry_after_ms < retries->after_ms_max ? retry_after_ms : retries->after_ms_max;
}

bool retries_next(const struct retries *retries, uint32_t attempts, uint64_t now_ms,
                  uint64_t retry_after_ms, uint64_t random, uint64_t *ret_due_ms) {
    INVARIANT(attempts > 0);
    if (attempts > retries->count) {
        return false;
    }
    uint64_t wait_ms = retries->waits_ms[attempts - 1];
    uint64_t spread_ms = wait_ms * RETRIES_JITTER_PERCENT / 100;
    wait_ms = wait_ms - spread_ms + random % (2 * spread_ms + 1);
    uint64_t after_ms = retries_cut(retries, retry_after_ms);
    *ret_due_ms = now_ms + (wait_ms > after_ms ? wait_ms : after_ms);
    return true;
}

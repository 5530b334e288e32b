/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/driver.h"

#include "broker/support/invariant.h"

const struct driver *driver_of(const struct sink_row *row) {
    const struct driver *found = NULL;
    size_t count = 0;
    if (row->webhook_url != NULL) {
        found = &webhook_driver;
        count++;
    }
    if (row->kafka_brokers != NULL) {
        found = &kafka_driver;
        count++;
    }
    if (row->mqtt_url != NULL) {
        found = &mqtt_driver;
        count++;
    }
    return count == 1 ? found : NULL;
}

const char *outcome_name(enum outcome outcome) {
    static const char *const names[] = {
#define OUTCOME(outcome, name, follows) [outcome] = name,
        OUTCOME_TABLE(OUTCOME)
#undef OUTCOME
    };
    INVARIANT((size_t)outcome < OUTCOME_COUNT);
    return names[outcome];
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/fault.h"

#include <stddef.h>

#include "broker/support/invariant.h"

static const struct mqtt_fault_row fault_rows[MQTT_FAULT_COUNT] = {
#define FAULT_ROW(name, error, reason, statement_311, statement_5, text)                           \
    [MQTT_FAULT_##name] = {error, MQTT_REASON_##reason, statement_311, statement_5, text},
    MQTT_FAULT_TABLE(FAULT_ROW)
#undef FAULT_ROW
};

const struct mqtt_fault_row *mqtt_fault_row(enum mqtt_fault fault) {
    INVARIANT(fault != MQTT_FAULT_NONE);
    INVARIANT(fault < MQTT_FAULT_COUNT);
    return &fault_rows[fault];
}

enum error_code mqtt_fault_tell(enum mqtt_fault fault, enum mqtt_version version,
                                struct mqtt_refusal *ret_refusal, struct error *why) {
    if (fault == MQTT_FAULT_NONE) {
        return OK;
    }
    const struct mqtt_fault_row *row = mqtt_fault_row(fault);
    if (ret_refusal != NULL) {
        *ret_refusal = (struct mqtt_refusal){
            .fault = fault,
            .reason = row->reason,
            .statement = version == MQTT_VERSION_3_1_1 ? row->statement_311 : row->statement_5,
            .answer = MQTT_VERSION_NONE,
        };
    }
    return error_set(why, row->error, "%s", row->text);
}

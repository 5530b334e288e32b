/* SPDX-License-Identifier: Apache-2.0 */
/* What the log remembers of sinks: the rows that were declared at the operator's port, and the
 * ledgers of all sinks there ever were. A ledger without a sink waits for one of its name. */
#include <stdlib.h>

#include "broker/support/logger.h"
#include "protocols/sinks/declaration.h"
#include "protocols/sinks/sinks_private.h"
#include "storage/storage.h"

struct learning {
    struct sinks *sinks;
    struct config_faults *faults; /* too large for the stack */
    enum error_code code;
};

/* NULL: no name of a sink, or no memory. */
static struct sinks_seat *seat_of(struct learning *learning, struct span name) {
    struct sinks_seat *seat = NULL;
    if (name.length > 0 && name.length <= SINK_NAME_BYTES_MAX &&
        sinks_put_seat(learning->sinks, name, &seat) != OK) {
        learning->code = ERR_MEMORY;
    }
    return seat;
}

static void on_row(void *context, struct span name, struct span state) {
    struct learning *learning = context;
    struct sinks_seat *seat = seat_of(learning, name);
    if (seat == NULL) {
        return;
    }
    struct sink_row *row = NULL;
    *learning->faults = (struct config_faults){0};
    enum error_code code = declaration_parse(state, DECLARATION_STORED, &row, learning->faults);
    if (code != OK) {
        log_event(SINK_NOT_MADE, .sink = seat->name, .code = error_row(code)->slug,
                  .detail = learning->faults->count == 0 ? "" : learning->faults->rows[0].reason);
        return;
    }
    seat->row_next = row;
}

static void on_ledger(void *context, struct span name, struct span state) {
    struct learning *learning = context;
    struct sinks_seat *seat = seat_of(learning, name);
    if (seat == NULL || state.length == 0) {
        return;
    }
    seat->record = malloc(state.length);
    if (seat->record == NULL) {
        learning->code = ERR_MEMORY;
        return;
    }
    memcpy(seat->record, state.bytes, state.length);
    seat->record_length = state.length;
}

enum error_code sinks_learn(struct sinks *sinks, struct error *why) {
    struct learning learning = {.sinks = sinks, .faults = calloc(1, sizeof(*learning.faults))};
    if (learning.faults == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the sinks");
    }
    struct storage *storage = sinks->broker->storage;
    enum error_code code =
        storage_each_object(storage, STORAGE_OBJECT_SINK, on_row, &learning, why);
    if (code == OK) {
        code = storage_each_object(storage, STORAGE_OBJECT_LEDGER, on_ledger, &learning, why);
    }
    free(learning.faults);
    if (code == OK && learning.code != OK) {
        code = error_set(why, learning.code, "no memory for the sinks");
    }
    return code;
}

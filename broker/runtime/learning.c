/* SPDX-License-Identifier: Apache-2.0 */
/* What the storage has of sessions, once, when the registry is made. */
#include <stdlib.h>
#include <string.h>

#include "broker/runtime/registry_private.h"
#include "broker/runtime/session_record.h"
#include "broker/support/logger.h"

/* What storage_each_object() tells. */
struct learning {
    struct registry *registry;
    enum error_code code;
    struct error *why;
};

static enum error_code learn(struct registry *registry, struct span client_id, struct span bytes,
                             struct error *why) {
    struct session_record record;
    if (client_id.length == 0 || client_id.length > SCOPED_CLIENT_ID_BYTES_MAX ||
        !session_record_parse(bytes, &record)) {
        log_event(SESSION_UNREADABLE, .client_id = scope_visible(client_id),
                  .tenant = scope_tenant(client_id));
        return OK; /* no reason to serve nobody */
    }
    struct registry_entry *entry = registry_add(registry, client_id);
    struct absence *absence = calloc(1, sizeof(*absence));
    uint8_t *state = malloc(record.state.length + 1);
    struct message *will = record.has_will ? message_create(&record.will) : NULL;
    if (entry == NULL || absence == NULL || state == NULL || (record.has_will && will == NULL)) {
        free(absence);
        free(state); /* the entry goes with the registry */
        message_unref(will);
        return error_set(why, ERR_MEMORY, "no memory for the sessions");
    }
    if (record.state.length > 0) {
        memcpy(state, record.state.bytes, record.state.length);
    }
    *absence = (struct absence){
        .expiry_ms = record.expiry_ms,
        .released_ms = record.is_held ? registry->time_ms : record.released_ms,
        .will_due_ms = record.is_held ? registry_add_times(registry->time_ms, record.will_due_ms)
                                      : record.will_due_ms,
        .owner = record.owner,
        .state = state,
        .state_length = record.state.length};
    registry_put_absence(registry, entry, absence);
    registry_put_will(registry, absence, will);
    entry->is_stored = true;
    entry->is_adopted = record.is_held;
    entry->has_shares =
        record.has_shares || record.is_held; /* its groups are stored for themselves */
    if (registry_is_too_much(registry)) {
        absence->will_due_ms = registry->time_ms;
    }
    registry_wait_for_due(registry, absence);
    return OK;
}

static void on_object(void *context, struct span name, struct span state) {
    struct learning *learning = context;
    if (learning->code == OK) {
        learning->code = learn(learning->registry, name, state, learning->why);
    }
}

enum error_code learning_run(struct registry *registry, struct error *why) {
    struct learning learning = {.registry = registry, .why = why};
    enum error_code code =
        storage_each_object(registry->storage, STORAGE_OBJECT_SESSION, on_object, &learning, why);
    return code == OK ? learning.code : code;
}

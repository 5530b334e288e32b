/* SPDX-License-Identifier: Apache-2.0 */
/* The object of a group: a byte of version (1), what group_encode() and then roster_encode() put.
 * It is put whole each time; one without anybody who may come back is deleted. The log takes what a
 * worker submits in order, so several may be on their way. */
#include <stdlib.h>

#include "broker/channels/scope.h"
#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/sharing_private.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"

#define STATE_VERSION 1

static_assert(GROUP_KEPT_MAX * (SCOPED_CLIENT_ID_BYTES_MAX + 22) + GROUP_LEASES_MAX * 10 + 128 <=
                  STORAGE_OBJECT_BYTES_MAX,
              "whatever a group may be is one object");
static_assert(GROUP_KEY_BYTES_MAX <= STORAGE_OBJECT_NAME_BYTES_MAX, "a key names an object");

struct store_step {
    struct publish publish;
    struct message *message; /* the publish's array of one */
    struct shared_group *shared;
    uint64_t number;
};

static void on_answered(struct publish *publish) {
    struct store_step *step = CONTAINER_OF(publish, struct store_step, publish);
    struct shared_group *shared = step->shared;
    uint64_t number = step->number;
    enum error_code code = publish->result;
    if (code != OK) {
        struct span filter = home_key(shared);
        struct span group = span_split(&filter, '/');
        log_event(GROUP_NOT_STORED, .group = group, .filter = scope_visible(filter),
                  .tenant = scope_tenant(filter), .code = error_row(code)->slug);
    }
    message_unref(step->message);
    free(step);
    shared->stores_under_way--;
    if (home_release(shared)) {
        return;
    }
    if (code != OK) {
        shared->is_stored = true; /* perhaps: what is deleted once more does no harm */
        home_touch(shared);
    }
    home_on_stored(shared, number, code); /* false: it is gone, and nothing follows here */
}

static enum error_code encode(const struct shared_group *shared, struct buffer *buffer) {
    enum error_code code = buffer_put_byte(buffer, STATE_VERSION);
    code = code == OK ? group_encode(shared->group, buffer) : code;
    return code == OK ? roster_encode(&shared->roster, buffer) : code;
}

static enum error_code create_message(const struct shared_group *shared, bool is_put,
                                      struct message **ret_message) {
    struct buffer *scratch = worker_borrow_scratch(shared->home->worker);
    enum error_code code = is_put ? encode(shared, scratch) : OK;
    if (code != OK) {
        return code;
    }
    *ret_message = storage_object_message(STORAGE_OBJECT_GROUP,
                                          is_put ? STORAGE_OBJECT_PUT : STORAGE_OBJECT_DELETE,
                                          home_key(shared), buffer_borrow(scratch));
    return *ret_message == NULL ? ERR_MEMORY : OK;
}

enum error_code keeping_store(struct shared_group *shared) {
    struct worker *worker = shared->home->worker;
    bool is_put = roster_count(&shared->roster) > 0;
    struct message *message = NULL;
    if (!shared->is_resolved) {
        return OK; /* there is no place yet; it is as dirty as before */
    }
    if (!is_put && !shared->is_stored) {
        shared->is_dirty = false;
        return OK;
    }
    enum error_code code = create_message(shared, is_put, &message);
    struct store_step *step = code == OK ? calloc(1, sizeof(*step)) : NULL;
    if (step == NULL) {
        message_unref(message);
        return code == OK ? ERR_MEMORY : code;
    }
    step->message = message;
    step->shared = shared;
    step->number = shared->store_number + 1;
    step->publish = (struct publish){.reply_to = worker_mailbox(worker),
                                     .on_answered = on_answered,
                                     .counted_as = METRICS_PROTOCOL_OTHER,
                                     .messages = &step->message,
                                     .count = 1};
    code = log_submit(worker->broker->log, &step->publish);
    if (code != OK) {
        message_unref(message);
        free(step);
        return code;
    }
    shared->store_number++;
    shared->stores_under_way++;
    shared->is_dirty = false;
    shared->is_stored = is_put;
    return OK;
}

enum error_code keeping_load(struct shared_group *shared, struct span state) {
    if (state.length == 0 || state.bytes[0] != STATE_VERSION) {
        return ERR_CORRUPT;
    }
    struct span rest = span_of(state.bytes + 1, state.length - 1);
    enum error_code code = group_decode(shared->group, &rest);
    if (code == OK) {
        code = roster_decode(&shared->roster, &rest, clock_wall_ms());
    }
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* `exp` is wall time and the wheel is not: so the wall clock is asked again when the timer is due,
 * and at least every TENURE_CHECK_MS, in case somebody has set it meanwhile. */
#include "broker/runtime/tenure.h"

#include <stdlib.h>

#include "broker/admission/accounts.h"
#include "broker/admission/identity.h"
#include "broker/limits.h"
#include "broker/runtime/connection.h"
#include "broker/runtime/throttle.h"
#include "broker/runtime/worker.h"
#include "broker/support/clock.h"

struct tenure {
    struct connection *connection;
    struct identity *identity;
    uint64_t until_ms; /* wall clock; 0: for ever */
    enum close_reason reason;
    struct wheel_timer timer;
};

static void arm(struct tenure *tenure) {
    uint64_t wall_ms = clock_wall_ms();
    uint64_t left_ms = tenure->until_ms > wall_ms ? tenure->until_ms - wall_ms : 0;
    struct worker *worker = connection_worker(tenure->connection);
    worker_arm(worker, &tenure->timer,
               worker_now_ms(worker) + (left_ms < TENURE_CHECK_MS ? left_ms : TENURE_CHECK_MS));
}

static void on_due(struct wheel_timer *timer) {
    struct tenure *tenure = CONTAINER_OF(timer, struct tenure, timer);
    if (clock_wall_ms() < tenure->until_ms) {
        arm(tenure);
    } else {
        connection_dismiss(tenure->connection, tenure->reason);
    }
}

/* When it is over, on the wall clock. */
static uint64_t end_of(const struct identity *identity) {
    uint64_t expires_s = identity->facts.expires_s;
    if (expires_s == 0 || expires_s > UINT64_MAX / 1000 - TOKEN_LEEWAY_S) {
        return 0;
    }
    bool is_over = expires_s * 1000 <= clock_wall_ms();
    return (expires_s + (is_over ? TOKEN_LEEWAY_S : 0)) * 1000;
}

enum error_code tenure_create(struct connection *connection, struct identity *identity,
                              struct tenure **ret_tenure, struct error *why) {
    struct tenure *tenure = calloc(1, sizeof(*tenure));
    if (tenure == NULL) {
        return ERR_MEMORY;
    }
    enum error_code code = throttle_admit(connection, identity, why);
    if (code != OK) {
        free(tenure);
        return code;
    }
    tenure->connection = connection;
    tenure->identity = identity_ref(identity);
    tenure->timer.on_due = on_due;
    tenure->reason = CLOSE_TOKEN_EXPIRED;
    tenure->until_ms = end_of(identity);
    if (tenure->until_ms > 0) {
        arm(tenure);
    }
    *ret_tenure = tenure;
    return OK;
}

void tenure_end(struct tenure *tenure, enum close_reason reason) {
    tenure->reason = reason;
    tenure->until_ms = clock_wall_ms();
    arm(tenure);
}

struct identity *tenure_identity(const struct tenure *tenure) {
    return tenure == NULL ? NULL : tenure->identity;
}

void tenure_destroy(struct tenure *tenure) {
    if (tenure != NULL) {
        worker_disarm(connection_worker(tenure->connection), &tenure->timer);
        accounts_give_connection(tenure->identity);
        identity_unref(tenure->identity);
        free(tenure);
    }
}

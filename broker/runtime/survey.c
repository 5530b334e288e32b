/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/worker_private.h"

void surveys_on_gone(struct worker *worker, const struct connection *connection) {
    (void)worker;
    (void)connection;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/asking.h"

#include <stdlib.h>

#include "broker/runtime/broker.h"
#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"

struct asking {
    struct read read;
    struct reads *reads;
    asking_on_answer *on_answer; /* NULL: nobody waits any more */
    void *context;
    struct storage_selector selectors[]; /* their texts behind them */
};

static void on_read(struct read *read) {
    struct asking *asking = CONTAINER_OF(read, struct asking, read);
    if (asking->on_answer != NULL) {
        asking->on_answer(asking->context, read);
    }
    reads_release(asking->reads, read);
    free(asking);
}

enum error_code asking_submit(struct worker *worker, const struct storage_query *query,
                              const struct storage_selector *selectors, size_t selector_count,
                              asking_on_answer *on_answer, void *context,
                              struct asking **ret_asking) {
    INVARIANT(selector_count > 0);
    struct asking *asking =
        calloc(1, sizeof(*asking) + storage_selectors_size(selectors, selector_count));
    if (asking == NULL) {
        return ERR_MEMORY;
    }
    storage_selectors_copy(asking->selectors, selectors, selector_count);
    asking->reads = worker_broker(worker)->reads;
    asking->on_answer = on_answer;
    asking->context = context;
    asking->read.reply_to = worker_mailbox(worker);
    asking->read.on_read = on_read;
    asking->read.query = *query;
    if (selector_count == 1 && !selectors[0].is_pattern) { /* offsets count in one channel */
        asking->read.query.channel = asking->selectors[0].text;
    } else {
        asking->read.query.selectors = asking->selectors;
        asking->read.query.selector_count = selector_count;
    }
    *ret_asking = asking;
    reads_submit(asking->reads, &asking->read);
    return OK;
}

void asking_cancel(struct asking *asking) {
    if (asking != NULL) {
        asking->on_answer = NULL;
        asking->context = NULL;
    }
}

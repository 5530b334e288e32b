/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/moment.h"

static enum error_code take_snapshot(void *context, struct error *why) {
    struct moment *moment = context;
    return store_take_snapshot(moment->store, &moment->txn, why);
}

enum error_code moment_init(struct moment *moment, struct store *store, struct open_batch *batch,
                            struct error *why) {
    *moment = (struct moment){.store = store};
    enum error_code result =
        open_batch_take_moment(batch, take_snapshot, moment, &moment->batch, why);
    if (result != OK) {
        return result;
    }
    result = store_get_meta(store, moment->txn, &moment->meta, why);
    if (result != OK) {
        moment_finish(moment);
    }
    return result;
}

void moment_finish(struct moment *moment) {
    open_batch_release_moment(&moment->batch);
    store_release(moment->store, moment->txn);
    moment->txn = NULL;
}

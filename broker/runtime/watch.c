/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/watch.h"

enum error_code watch_create(const struct watch_options *options, struct watch **ret_watch) {
    (void)options;
    (void)ret_watch;
    return ERR_MEMORY;
}

void watch_cancel(struct watch *watch) {
    (void)watch;
}

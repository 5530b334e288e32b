/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/erasure.h"

#include "storage/erase.h"

void erasure_init(struct erasure *erasure) {
    *erasure = (struct erasure){.may_erase = true, .may_scrub = true};
}

void erasure_note_delete(struct erasure *erasure) {
    erasure->may_erase = true;
}

enum error_code erasure_step(struct erasure *erasure, struct store *store,
                             const struct segments *segments, bool *ret_more, struct error *why) {
    enum error_code result = OK;
    *ret_more = false;
    if (erasure->may_erase) {
        erasure->may_scrub = true;
        result = erase_step(store, segments, ret_more, why);
        scrub_note_erased(&erasure->scrub);
        erasure->may_erase = result != OK || *ret_more;
    }
    if (result == OK && !erasure->may_erase && erasure->may_scrub) {
        result = scrub_step(&erasure->scrub, store, ret_more, why);
        erasure->may_scrub = result != OK || *ret_more || erasure->scrub.is_running;
    }
    return result;
}

bool erasure_has_work(const struct erasure *erasure) {
    return erasure->may_erase;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/tally.h"

void tally_reset(struct tally *tally) {
    *tally = (struct tally){.first = TALLY_NEVER};
}

void tally_begin(struct tally *tally, uint64_t first) {
    if (first < tally->first) {
        tally->first = first;
    }
}

enum tally_note tally_note(struct tally *tally, uint64_t sequence) {
    if (sequence >= tally->next || tally->unique == 0) {
        uint64_t skipped = tally->unique == 0 ? 0 : sequence - tally->next;
        tally->window = skipped + 1 < TALLY_WINDOW ? tally->window << (skipped + 1) | 1 : 1;
        tally->next = sequence + 1;
        tally->unique++;
        tally_begin(tally, sequence);
        return skipped == 0 ? TALLY_NEXT : TALLY_AHEAD;
    }
    uint64_t behind = tally->next - 1 - sequence;
    if (behind >= TALLY_WINDOW || (tally->window >> behind & 1) != 0) {
        return TALLY_DUPLICATE;
    }
    tally->window |= 1ull << behind;
    tally->unique++;
    tally_begin(tally, sequence);
    return TALLY_LATE;
}

uint64_t tally_lost(const struct tally *tally, uint64_t end) {
    if (tally->first == TALLY_NEVER) {
        return 0;
    }
    uint64_t there = tally->first + tally->unique;
    return end > there ? end - there : 0;
}

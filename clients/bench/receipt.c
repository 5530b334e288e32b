/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/receipt.h"

#include "clients/bench/stamp.h"

void receipt_take(struct receipt *receipt, struct inbox *inbox, const uint8_t *payload,
                  size_t length, uint64_t now_ns) {
    struct stamp stamp;
    struct receipt_counts *counts = &receipt->counts;
    uint32_t slot = AUDIENCE_NONE;
    if (stamp_find(payload, length, &receipt->hint, &stamp) && stamp.run == receipt->run &&
        stamp.lane < receipt->lanes) {
        slot = audience_slot(receipt->audience, inbox->reader, stamp.channel, inbox->next_slot);
    }
    if (slot == AUDIENCE_NONE) {
        counts->foreign++;
        return;
    }
    inbox->next_slot = slot + 1;
    counts->bytes += length;
    counts->last_ns = now_ns;
    struct tally *tally = &inbox->tallies[(size_t)slot * receipt->lanes + stamp.lane];
    enum tally_note note = tally_note(tally, stamp.sequence);
    if (note == TALLY_DUPLICATE) {
        counts->duplicates++;
        return;
    }
    counts->unique++;
    counts->reordered += note == TALLY_LATE;
    if (stamp.due_ns < inbox->ready_ns) {
        return; /* history, or under way when it came */
    }
    counts->overdue += stamp.due_ns < receipt->stage_ns;
    if (!inbox->is_slow && stamp.due_ns >= receipt->from_ns) {
        histogram_add(receipt->delivery, now_ns > stamp.due_ns ? now_ns - stamp.due_ns : 0);
    }
}

/* The tallies of a slot, by lane. */
static struct tally *tallies_of(const struct receipt *receipt, const struct inbox *inbox,
                                uint32_t slot) {
    return &inbox->tallies[(size_t)slot * receipt->lanes];
}

static size_t count_tallies(const struct receipt *receipt, const struct inbox *inbox) {
    return (size_t)audience_count(receipt->audience, inbox->reader) * receipt->lanes;
}

void receipt_reset(const struct receipt *receipt, struct inbox *inbox) {
    size_t count = count_tallies(receipt, inbox);
    for (size_t index = 0; index < count; index++) {
        tally_reset(&inbox->tallies[index]);
    }
}

void receipt_begin(const struct receipt *receipt, struct inbox *inbox, bool is_from_start) {
    uint32_t slots = audience_count(receipt->audience, inbox->reader);
    for (uint32_t slot = 0; slot < slots; slot++) {
        uint32_t channel = audience_channel(receipt->audience, inbox->reader, slot);
        struct tally *tallies = tallies_of(receipt, inbox, slot);
        for (uint32_t lane = 0; lane < receipt->lanes; lane++) {
            uint64_t first = is_from_start ? 0 : sendings_count(receipt->sendings, channel, lane);
            tally_begin(&tallies[lane], first);
        }
    }
}

uint64_t receipt_lost(const struct receipt *receipt, const struct inbox *inbox,
                      const uint64_t *published) {
    uint64_t lost = 0;
    uint32_t slots = audience_count(receipt->audience, inbox->reader);
    for (uint32_t slot = 0; slot < slots; slot++) {
        uint32_t channel = audience_channel(receipt->audience, inbox->reader, slot);
        const struct tally *tallies = tallies_of(receipt, inbox, slot);
        for (uint32_t lane = 0; lane < receipt->lanes; lane++) {
            lost += tally_lost(&tallies[lane], published[(size_t)channel * receipt->lanes + lane]);
        }
    }
    return lost;
}

void receipt_note_ends(const struct receipt *receipt, const struct inbox *inbox, uint64_t *ends) {
    uint32_t slots = audience_count(receipt->audience, inbox->reader);
    for (uint32_t slot = 0; slot < slots; slot++) {
        uint32_t channel = audience_channel(receipt->audience, inbox->reader, slot);
        for (uint32_t lane = 0; lane < receipt->lanes; lane++) {
            *ends++ = sendings_count(receipt->sendings, channel, lane);
        }
    }
}

uint64_t receipt_missing(const struct receipt *receipt, const struct inbox *inbox,
                         const uint64_t *ends) {
    uint64_t missing = 0;
    size_t count = count_tallies(receipt, inbox);
    for (size_t index = 0; index < count; index++) {
        const struct tally *tally = &inbox->tallies[index];
        uint64_t end = tally->next > ends[index] ? tally->next : ends[index];
        missing += tally_lost(tally, end);
    }
    return missing;
}

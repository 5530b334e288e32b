/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored of a sink: what is read keeps every promise of ledger.h, and is written and read
 * again as the same. */
#include "protocols/sinks/ledger_record.h"
#include "tests/fuzz/fuzz.h"

static enum ledger_mark find(const struct ledger *ledger, uint64_t position,
                             struct ledger_failure *ret_failure) {
    const struct message message = {.place = {.position = position},
                                    .fields = {.channel = SPAN("a/b")}};
    return ledger_find(ledger, &message, ret_failure);
}

static void check_ranges(const struct ledger *ledger) {
    uint64_t last = ledger->floor.position;
    struct ledger_failure failure;
    CLAIM(ledger->now.range_count <= STRATUM_RANGES_MAX);
    for (size_t i = 0; i < ledger->now.range_count; i++) {
        const struct stratum_range *range = &ledger->now.ranges[i];
        CLAIM(range->first > last && range->last >= range->first && range->before < range->first);
        bool is_of_all = ledger->now.texts == NULL; /* else perhaps not of that channel */
        CLAIM(!is_of_all || find(ledger, range->first, &failure) == LEDGER_DONE);
        CLAIM(!is_of_all || find(ledger, range->last, &failure) == LEDGER_DONE);
        last = range->last;
    }
    bool is_all = ledger->past_count == 0 && last >= ledger->now.reach;
    CLAIM(!is_all || find(ledger, last + 1, &failure) != LEDGER_DONE);
}

static void check_holds(const struct ledger *ledger, const struct stratum *stratum) {
    CLAIM(stratum->reach == 0 || stratum->reach > ledger->floor.position);
    CLAIM(stratum->hold_count == 0 || (stratum->has_lanes && stratum->reach != 0));
    for (size_t i = 1; i < stratum->hold_count; i++) {
        CLAIM(stratum->holds[i].lane > stratum->holds[i - 1].lane);
    }
}

static void check_past(const struct ledger *ledger) {
    CLAIM(ledger->past_count <= LEDGER_PAST_MAX);
    check_holds(ledger, &ledger->now);
    for (size_t i = 0; i < ledger->past_count; i++) {
        CLAIM(!stratum_is_empty(&ledger->past[i]));
        CLAIM(stratum_last(&ledger->past[i]) > ledger->floor.position);
        check_holds(ledger, &ledger->past[i]);
    }
}

static void check_failures(const struct ledger *ledger) {
    CLAIM(ledger->failure_count <= LEDGER_FAILURES_MAX);
    for (size_t i = 0; i < ledger->failure_count; i++) {
        struct ledger_failure failure = {0};
        uint64_t position = ledger->failures[i].position;
        CLAIM(position > ledger->floor.position);
        CLAIM(i == 0 || position > ledger->failures[i - 1].position);
        CLAIM(find(ledger, position, &failure) == LEDGER_DONE || failure.position == position);
    }
}

static void check_batches(const struct ledger *ledger) {
    size_t count = 0;
    CLAIM(ledger->batch_count <= LEDGER_BATCHES_MAX);
    for (size_t i = 0; i < ledger->batch_count; i++) {
        const struct ledger_batch *batch = &ledger->batches[i];
        CLAIM(batch->count > 0 && batch->count <= LEDGER_BATCH_MESSAGES_MAX);
        count += batch->count;
        for (size_t j = 0; j < batch->count; j++) {
            CLAIM(j == 0 || batch->positions[j] > batch->positions[j - 1]);
            CLAIM(ledger_find_batch(ledger, batch->positions[j]) == batch);
        }
    }
    CLAIM(count == ledger->batched_count && count <= LEDGER_BATCHED_MAX);
}

/* Fields that are not known go. */
static void check_again(const struct ledger *ledger) {
    struct buffer first, second;
    struct ledger again;
    buffer_init(&first, LEDGER_RECORD_BYTES_MAX);
    buffer_init(&second, LEDGER_RECORD_BYTES_MAX);
    ledger_init(&again);
    CLAIM(ledger_record_put(&first, ledger) == OK);
    CLAIM(ledger_record_parse(buffer_borrow(&first), &again) == OK);
    CLAIM(ledger_record_put(&second, &again) == OK);
    CLAIM(span_is_equal(buffer_borrow(&first), buffer_borrow(&second)));
    CLAIM(again.now.range_count == ledger->now.range_count);
    CLAIM(again.past_count == ledger->past_count);
    CLAIM(again.failure_count == ledger->failure_count);
    CLAIM(again.batch_count == ledger->batch_count);
    ledger_finish(&again);
    buffer_finish(&first);
    buffer_finish(&second);
}

/* Below a floor in the middle nothing is left. */
static void check_floor(struct ledger *ledger) {
    struct place floor = ledger->floor;
    if (ledger->now.range_count > 0) {
        floor.position = ledger->now.ranges[ledger->now.range_count / 2].first;
    }
    ledger_move_floor(ledger, &floor);
    check_ranges(ledger);
    check_past(ledger);
    check_failures(ledger);
    check_batches(ledger);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct ledger ledger;
    ledger_init(&ledger);
    if (ledger_record_parse(span_of(bytes, length), &ledger) == OK) {
        check_ranges(&ledger);
        check_past(&ledger);
        check_failures(&ledger);
        check_batches(&ledger);
        check_again(&ledger);
        check_floor(&ledger);
    }
    ledger_finish(&ledger);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/ledger.h"

#include <assert.h>
#include <stdlib.h>

#include "broker/support/invariant.h"
#include "broker/support/seek.h"

#define CAPACITY_MIN 8

static_assert(LEDGER_PAST_HOLDS_MAX >= STRATUM_HOLDS_MAX &&
                  LEDGER_PAST_TEXTS_BYTES_MAX >= STRATUM_TEXTS_BYTES_MAX,
              "a stratum has room in the past, alone at least");
static_assert(LEDGER_FAILURES_MAX >= SINK_WINDOW_MAX, "all of a window may fail");

/* --- arrays ----------------------------------------------------------------------------------- */

/* Room for one more of `size` bytes. */
static enum error_code grow(void **array, size_t *capacity, size_t count, size_t count_max,
                            size_t size) {
    if (count >= count_max) {
        return ERR_FULL;
    }
    if (count < *capacity) {
        return OK;
    }
    size_t wanted = *capacity == 0 ? CAPACITY_MIN : *capacity * 2;
    void *grown = realloc(*array, wanted * size);
    if (grown == NULL) {
        return ERR_MEMORY;
    }
    *array = grown;
    *capacity = wanted;
    return OK;
}

static void make_gap(void *array, size_t count, size_t index, size_t size) {
    uint8_t *at = (uint8_t *)array + index * size;
    memmove(at + size, at, (count - index) * size);
}

static void close_gap(void *array, size_t count, size_t index, size_t removed, size_t size) {
    uint8_t *at = (uint8_t *)array + index * size;
    memmove(at, at + removed * size, (count - index - removed) * size);
}

/* The first failure at or behind `position`. */
static size_t seek_failure(const struct ledger *ledger, uint64_t position) {
    return SEEK_ROW(ledger->failures, ledger->failure_count, struct ledger_failure, position,
                    position);
}

static bool is_failure_at(const struct ledger *ledger, size_t index, uint64_t position) {
    return index < ledger->failure_count && ledger->failures[index].position == position;
}

static uint64_t batch_first(const struct ledger_batch *batch) {
    return batch->positions[0];
}

static uint64_t batch_last(const struct ledger_batch *batch) {
    return batch->positions[batch->count - 1];
}

static void remove_batch_at(struct ledger *ledger, size_t index) {
    ledger->batched_count -= ledger->batches[index].count;
    free(ledger->batches[index].positions);
    close_gap(ledger->batches, ledger->batch_count, index, 1, sizeof(struct ledger_batch));
    ledger->batch_count--;
}

static void remove_past_at(struct ledger *ledger, size_t index) {
    stratum_finish(&ledger->past[index]);
    close_gap(ledger->past, ledger->past_count, index, 1, sizeof(struct stratum));
    if (--ledger->past_count == 0) {
        free(ledger->past);
        ledger->past = NULL;
    }
}

/* --- what is known ---------------------------------------------------------------------------- */

void ledger_init(struct ledger *ledger) {
    *ledger = (struct ledger){0};
}

/* But for the view. */
static void forget(struct ledger *ledger) {
    while (ledger->batch_count > 0) {
        remove_batch_at(ledger, ledger->batch_count - 1);
    }
    while (ledger->past_count > 0) {
        remove_past_at(ledger, ledger->past_count - 1);
    }
    stratum_clear(&ledger->now);
    free(ledger->failures);
    free(ledger->batches);
    ledger->failures = NULL;
    ledger->batches = NULL;
    ledger->failure_count = ledger->failure_capacity = ledger->batch_capacity = 0;
}

void ledger_finish(struct ledger *ledger) {
    if (ledger != NULL) {
        forget(ledger);
        stratum_finish(&ledger->now);
        *ledger = (struct ledger){0};
    }
}

static bool is_below_floor(const struct ledger *ledger, uint64_t position) {
    return ledger->has_floor && position <= ledger->floor.position;
}

static size_t count_past_ranges(const struct ledger *ledger) {
    size_t count = 0;
    for (size_t i = 0; i < ledger->past_count; i++) {
        count += ledger->past[i].range_count;
    }
    return count;
}

static bool is_done(const struct ledger *ledger, const struct message *message) {
    bool is_done =
        is_below_floor(ledger, message->place.position) || stratum_is_done(&ledger->now, message);
    for (size_t i = 0; i < ledger->past_count && !is_done; i++) {
        is_done = stratum_is_done(&ledger->past[i], message);
    }
    return is_done;
}

enum ledger_mark ledger_find(const struct ledger *ledger, const struct message *message,
                             struct ledger_failure *ret_failure) {
    if (is_done(ledger, message)) {
        return LEDGER_DONE;
    }
    size_t failure = seek_failure(ledger, message->place.position);
    if (is_failure_at(ledger, failure, message->place.position)) {
        *ret_failure = ledger->failures[failure];
        return LEDGER_FAILED;
    }
    return LEDGER_UNKNOWN;
}

bool ledger_has_room(const struct ledger *ledger, uint64_t position) {
    size_t count = ledger->now.range_count + count_past_ranges(ledger);
    uint64_t last = stratum_last(&ledger->now);
    for (size_t i = 0; i < ledger->past_count; i++) {
        uint64_t past_last = stratum_last(&ledger->past[i]);
        last = past_last > last ? past_last : last;
    }
    return count + SINK_WINDOW_MAX <= STRATUM_RANGES_MAX || position <= last;
}

static bool has_position(const struct ledger_batch *batch, uint64_t position) {
    size_t index =
        seek_number(batch->positions, batch->count, sizeof(batch->positions[0]), 0, position);
    return index < batch->count && batch->positions[index] == position;
}

const struct ledger_batch *ledger_find_batch(const struct ledger *ledger, uint64_t position) {
    for (size_t i = 0; i < ledger->batch_count && batch_first(&ledger->batches[i]) <= position;
         i++) {
        if (has_position(&ledger->batches[i], position)) {
            return &ledger->batches[i];
        }
    }
    return NULL;
}

/* --- another view ----------------------------------------------------------------------------- */

static bool has_room_for_past(const struct ledger *ledger, const struct stratum *stratum) {
    size_t holds = stratum->hold_count;
    size_t bytes = stratum->texts_length;
    size_t ranges = stratum->range_count + count_past_ranges(ledger);
    ranges += stratum == &ledger->now ? 0 : ledger->now.range_count;
    for (size_t i = 0; i < ledger->past_count; i++) {
        holds += ledger->past[i].hold_count;
        bytes += ledger->past[i].texts_length;
    }
    return ledger->past_count < LEDGER_PAST_MAX && holds <= LEDGER_PAST_HOLDS_MAX &&
           bytes <= LEDGER_PAST_TEXTS_BYTES_MAX && ranges <= STRATUM_RANGES_MAX;
}

enum error_code ledger_put_past(struct ledger *ledger, const struct stratum *stratum) {
    INVARIANT(!stratum_is_empty(stratum));
    if (!has_room_for_past(ledger, stratum)) {
        return ERR_FULL;
    }
    struct stratum *grown =
        realloc(ledger->past, (ledger->past_count + 1) * sizeof(struct stratum));
    if (grown == NULL) {
        return ERR_MEMORY;
    }
    ledger->past = grown;
    ledger->past[ledger->past_count++] = *stratum;
    return OK;
}

/* What does not find room is forgotten, oldest first: that is sent again. */
enum error_code ledger_take_view(struct ledger *ledger, const struct stratum_view *view,
                                 bool *ret_is_changed) {
    struct stratum next = {0};
    bool is_known = ledger->now.texts != NULL;
    *ret_is_changed = false;
    if (stratum_has_view(&ledger->now, view)) {
        return OK;
    }
    if (!is_known || stratum_is_empty(&ledger->now)) {
        *ret_is_changed = is_known;
        return stratum_set_view(&ledger->now, view);
    }
    enum error_code code = stratum_set_view(&next, view);
    while (code == OK && ledger->past_count > 0 && !has_room_for_past(ledger, &ledger->now)) {
        remove_past_at(ledger, 0);
    }
    code = code == OK ? ledger_put_past(ledger, &ledger->now) : code;
    if (code != OK) {
        stratum_finish(&next);
        return code;
    }
    ledger->now = next;
    *ret_is_changed = true;
    return OK;
}

/* --- changes ---------------------------------------------------------------------------------- */

static void remove_failure(struct ledger *ledger, uint64_t position) {
    size_t index = seek_failure(ledger, position);
    if (is_failure_at(ledger, index, position)) {
        close_gap(ledger->failures, ledger->failure_count, index, 1, sizeof(struct ledger_failure));
        ledger->failure_count--;
    }
}

enum error_code ledger_put_done(struct ledger *ledger, uint64_t position, uint64_t previous) {
    INVARIANT(position > previous);
    remove_failure(ledger, position);
    if (is_below_floor(ledger, position)) {
        return OK;
    }
    size_t ranges_max = STRATUM_RANGES_MAX - count_past_ranges(ledger);
    return stratum_put_done(&ledger->now, position, previous, ranges_max);
}

enum error_code ledger_put_failure(struct ledger *ledger, const struct ledger_failure *failure) {
    if (is_below_floor(ledger, failure->position)) {
        return OK;
    }
    size_t index = seek_failure(ledger, failure->position);
    if (!is_failure_at(ledger, index, failure->position)) {
        void *failures = ledger->failures;
        enum error_code code = grow(&failures, &ledger->failure_capacity, ledger->failure_count,
                                    LEDGER_FAILURES_MAX, sizeof(*failure));
        if (code != OK) {
            return code;
        }
        ledger->failures = failures;
        make_gap(ledger->failures, ledger->failure_count, index, sizeof(*failure));
        ledger->failure_count++;
    }
    ledger->failures[index] = *failure;
    return OK;
}

static bool is_shared(const struct ledger_batch *batch, const uint64_t *positions, size_t count) {
    if (batch_last(batch) < positions[0] || batch_first(batch) > positions[count - 1]) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (has_position(batch, positions[i])) {
            return true;
        }
    }
    return false;
}

enum error_code ledger_put_batch(struct ledger *ledger, const uint64_t *positions, size_t count) {
    INVARIANT(count > 0);
    INVARIANT(count <= LEDGER_BATCH_MESSAGES_MAX);
    for (size_t i = ledger->batch_count; i > 0; i--) {
        if (is_shared(&ledger->batches[i - 1], positions, count)) {
            remove_batch_at(ledger, i - 1);
        }
    }
    void *batches = ledger->batches;
    enum error_code code = ledger->batched_count + count > LEDGER_BATCHED_MAX
                               ? ERR_FULL
                               : grow(&batches, &ledger->batch_capacity, ledger->batch_count,
                                      LEDGER_BATCHES_MAX, sizeof(struct ledger_batch));
    if (code != OK) {
        return code;
    }
    ledger->batches = batches;
    uint64_t *copy = malloc(count * sizeof(uint64_t));
    if (copy == NULL) {
        return ERR_MEMORY;
    }
    memcpy(copy, positions, count * sizeof(uint64_t));
    size_t index = 0;
    while (index < ledger->batch_count && batch_first(&ledger->batches[index]) < positions[0]) {
        index++;
    }
    make_gap(ledger->batches, ledger->batch_count, index, sizeof(struct ledger_batch));
    ledger->batches[index] = (struct ledger_batch){count, copy};
    ledger->batch_count++;
    ledger->batched_count += count;
    return OK;
}

void ledger_remove_batch(struct ledger *ledger, uint64_t position_first) {
    for (size_t i = 0; i < ledger->batch_count; i++) {
        if (batch_first(&ledger->batches[i]) == position_first) {
            remove_batch_at(ledger, i);
            return;
        }
    }
}

void ledger_move_floor(struct ledger *ledger, const struct place *floor) {
    INVARIANT(!ledger->has_floor || floor->position >= ledger->floor.position);
    ledger->floor = *floor;
    ledger->has_floor = true;
    size_t failures = seek_failure(ledger, floor->position + 1);
    stratum_move_floor(&ledger->now, floor->position);
    for (size_t i = ledger->past_count; i > 0; i--) {
        stratum_move_floor(&ledger->past[i - 1], floor->position);
        if (stratum_is_empty(&ledger->past[i - 1])) {
            remove_past_at(ledger, i - 1);
        }
    }
    if (failures > 0) {
        close_gap(ledger->failures, ledger->failure_count, 0, failures,
                  sizeof(struct ledger_failure));
        ledger->failure_count -= failures;
    }
    for (size_t i = ledger->batch_count; i > 0; i--) {
        if (batch_last(&ledger->batches[i - 1]) <= floor->position) {
            remove_batch_at(ledger, i - 1);
        }
    }
}

void ledger_rewind(struct ledger *ledger, const struct place *floor) {
    forget(ledger);
    ledger->floor = *floor;
    ledger->has_floor = true;
}

void ledger_forgive(struct ledger *ledger) {
    ledger->failure_count = 0;
    ledger->failing_since_ms = 0;
    ledger->breaker = LEDGER_CLOSED;
    ledger->breaker_trips = 0;
    ledger->breaker_until_ms = 0;
}

size_t ledger_memory_bytes(const struct ledger *ledger) {
    size_t bytes = stratum_memory_bytes(&ledger->now);
    for (size_t i = 0; i < ledger->past_count; i++) {
        bytes += sizeof(struct stratum) + stratum_memory_bytes(&ledger->past[i]);
    }
    return bytes + ledger->failure_capacity * sizeof(struct ledger_failure) +
           ledger->batch_capacity * sizeof(struct ledger_batch) +
           ledger->batched_count * sizeof(uint64_t);
}

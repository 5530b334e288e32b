/* SPDX-License-Identifier: Apache-2.0 */
/* The rate is kept by the moment at which the next shipment is due if all came evenly ("virtual
 * scheduling", ITU-T I.371): it moves on by one interval a shipment, and may lie BURST_NS ahead of
 * the clock. One number instead of a bucket and the time it was last filled. */
#include "protocols/sinks/tempo.h"

#include "broker/support/invariant.h"

#define BURST_NS UINT64_C(100000000) /* so that a turn of some milliseconds loses nothing */
#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_US 1000
#define US_PER_MS 1000

void tempo_init(struct tempo *tempo, size_t window_max, uint64_t rate) {
    INVARIANT(window_max > 0);
    INVARIANT(rate > 0);
    *tempo = (struct tempo){
        .window = window_max < TEMPO_BEGIN ? (double)window_max : TEMPO_BEGIN,
        .window_max = window_max,
        .is_starting = true,
        .rate = rate,
    };
}

static uint64_t credit_due_us(const struct tempo *tempo) {
    bool is_ahead = tempo->next_ns > BURST_NS;
    return is_ahead ? (tempo->next_ns - BURST_NS + NS_PER_US - 1) / NS_PER_US : 0;
}

bool tempo_may_begin(const struct tempo *tempo, uint64_t now_us, uint64_t *ret_due_us) {
    uint64_t due_us = tempo->paused_until_us;
    if (tempo->rate != UINT64_MAX && credit_due_us(tempo) > due_us) {
        due_us = credit_due_us(tempo);
    }
    if (tempo->under_way >= tempo_window(tempo)) {
        *ret_due_us = UINT64_MAX;
        return false;
    }
    if (now_us < due_us) {
        *ret_due_us = due_us;
        return false;
    }
    return true;
}

static void note_use(struct tempo *tempo, uint64_t now_us) {
    if (tempo->under_way >= tempo_window(tempo)) {
        tempo->full_us = now_us;
    }
}

void tempo_on_begun(struct tempo *tempo, uint64_t now_us) {
    tempo->under_way++;
    note_use(tempo, now_us);
    if (tempo->rate != UINT64_MAX) {
        uint64_t now_ns = now_us * NS_PER_US;
        uint64_t from_ns = tempo->next_ns > now_ns ? tempo->next_ns : now_ns;
        tempo->next_ns = from_ns + NS_PER_S / tempo->rate;
    }
}

/* Only where the window was used up meanwhile: one that is not says nothing of what the endpoint
 * can take (as RFC 7661 has it). */
static void grow(struct tempo *tempo) {
    tempo->window += tempo->is_starting ? 1 : 1 / tempo->window;
    if (tempo->window > (double)tempo->window_max) {
        tempo->window = (double)tempo->window_max;
    }
}

static void halve(struct tempo *tempo, uint64_t begun_us, uint64_t now_us) {
    tempo->is_starting = false;
    if (begun_us >= tempo->halved_us) {
        tempo->window = tempo->window / 2 < 1 ? 1 : tempo->window / 2;
        tempo->halved_us = now_us;
    }
}

void tempo_on_settled(struct tempo *tempo, enum outcome outcome, uint64_t begun_us, uint64_t now_us,
                      uint64_t retry_after_ms) {
    uint64_t until_us = now_us + retry_after_ms * US_PER_MS;
    INVARIANT(tempo->under_way > 0);
    note_use(tempo, now_us);
    tempo->under_way--;
    switch (outcome) {
    case OUTCOME_DELIVERED:
        if (tempo->full_us >= begun_us && begun_us >= tempo->halved_us) {
            grow(tempo);
        }
        break;
    case OUTCOME_THROTTLED:
        tempo->paused_until_us =
            until_us > tempo->paused_until_us ? until_us : tempo->paused_until_us;
        halve(tempo, begun_us, now_us);
        break;
    case OUTCOME_UNREACHED:
        halve(tempo, begun_us, now_us);
        break;
    case OUTCOME_FAILED: /* it answered, which says nothing of how many it can take */
    case OUTCOME_REFUSED:
    case OUTCOME_GONE:
    case OUTCOME_ABANDONED:
    case OUTCOME_COUNT:
        break;
    }
}

size_t tempo_window(const struct tempo *tempo) {
    return (size_t)tempo->window;
}

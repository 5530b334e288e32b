/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/churn.h"

#include <stdlib.h>

#include "clients/bench/crew_private.h"
#include "clients/bench/fail.h"

/* It goes and comes again. What it lacked counts, and its count begins anew. */
static void go(struct crew *crew, struct reader *reader, uint64_t now_ns) {
    uint64_t late_ns = reader->late_ns;
    crew->closed_lost += receipt_missing(&crew->receipt, &reader->inbox, reader->ends);
    receipt_reset(&crew->receipt, &reader->inbox);
    reader->is_from_start = false;
    crew_leave(crew, reader, READER_NEW);
    crew_connect_reader(crew, reader, now_ns - late_ns, now_ns);
}

/* The next in turn is asked to go; false: nobody is there who could. */
static bool ask_one(struct crew *crew, uint64_t due_ns, uint64_t now_ns) {
    bool is_any = crew->ready > crew->leaving;
    for (uint32_t tried = 0; is_any && tried < crew->count; tried++) {
        struct reader *reader = &crew->readers[crew->next_churn];
        crew->next_churn = (crew->next_churn + 1) % crew->count;
        if (reader->state != READER_READY || reader->inbox.is_slow || reader->ends != NULL) {
            continue;
        }
        size_t tallies = audience_count(crew->order.audience, reader->inbox.reader);
        reader->ends = bench_need(tallies * crew->order.lanes + 1, sizeof(reader->ends[0]));
        crew->leaving++;
        receipt_note_ends(&crew->receipt, &reader->inbox, reader->ends);
        reader->leave_ns = now_ns + crew->order.settings->drain;
        reader->late_ns = now_ns - due_ns;
        churn_look(crew, reader, now_ns);
        return true;
    }
    return false;
}

/* The time that a stall takes counts for all who were to go in it. */
void churn_some(struct crew *crew, uint64_t now_ns) {
    double rate = crew->order.settings->churn;
    while (crew->is_begun && rate > 0 && now_ns >= crew->next_churn_ns &&
           ask_one(crew, crew->next_churn_ns, now_ns)) {
        crew->next_churn_ns += crew_gap_ns(crew, rate);
    }
}

void churn_look(struct crew *crew, struct reader *reader, uint64_t now_ns) {
    if (reader->state == READER_READY && reader->ends != NULL &&
        (now_ns >= reader->leave_ns ||
         receipt_missing(&crew->receipt, &reader->inbox, reader->ends) == 0)) {
        go(crew, reader, now_ns);
    }
}

void churn_cancel(struct crew *crew, struct reader *reader) {
    crew->leaving -= reader->ends != NULL;
    free(reader->ends);
    reader->ends = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Sinks become what the configuration says. One that is there and is to be another ends first, and
 * its successor goes on from its ledger. A sink of the configuration stands before one of the same
 * name that was declared at the operator's port, which is there again when the row goes. */
#include <stdlib.h>

#include "broker/support/logger.h"
#include "protocols/sinks/declaration.h"
#include "protocols/sinks/sinks_private.h"

static void follow_row(struct sinks *sinks, const struct sink_row *row) {
    struct sinks_seat *seat = NULL;
    struct error why = {0};
    if (sinks_put_seat(sinks, span_of_string(row->name), &seat) != OK) {
        log_event(SINK_NOT_MADE, .sink = row->name, .code = error_row(ERR_MEMORY)->slug,
                  .detail = "no memory for a sink");
        return;
    }
    seat->is_wanted = true;
    if (seat->is_gone || (seat->sink != NULL && sink_is_ending(seat->sink))) {
        seat->next = row;
    } else if (seat->sink == NULL) {
        IGNORE_RESULT(sinks_seat_sink(seat, row, false, &why)); /* it is logged */
    } else if (!seat->is_configured || !declaration_is_equal(sink_row(seat->sink), row)) {
        seat->next = row;
        if (!seat->is_configured) { /* it comes back when this row goes */
            IGNORE_RESULT(declaration_copy(sink_row(seat->sink), &seat->row_next));
        }
        sinks_unseat(seat, true);
    }
}

/* The row is gone from the file, or was never there. */
static void follow_others(struct sinks_seat *seat) {
    struct error why = {0};
    seat->next = NULL;
    if (seat->sink == NULL && seat->row_next != NULL && seat->declaring == 0) {
        struct sink_row *row = seat->row_next;
        seat->row_next = NULL;
        IGNORE_RESULT(sinks_seat_sink(seat, row, true, &why)); /* it is logged */
    } else if (seat->sink != NULL && seat->is_configured && !sink_is_ending(seat->sink)) {
        sinks_unseat(seat, true);
    }
    sinks_mind_seat(seat);
}

void sinks_follow(struct sinks *sinks) {
    const struct config *config = atomic_load(&sinks->broker->configured);
    if (sinks->is_ending) {
        return;
    }
    for (size_t i = 0; i < config->sink_count; i++) {
        follow_row(sinks, &config->sinks[i]);
    }
    struct map_node *next = NULL;
    for (struct map_node *node = map_first(&sinks->seats); node != NULL; node = next) {
        struct sinks_seat *seat = CONTAINER_OF(node, struct sinks_seat, in_sinks);
        next = map_next(&sinks->seats, node);
        if (!seat->is_wanted) {
            follow_others(seat);
        } else {
            seat->is_wanted = false;
        }
    }
    feeders_follow(sinks);
}

void sinks_on_follow(struct letter *letter, void *consumer) {
    (void)consumer;
    struct sinks *sinks = CONTAINER_OF(letter, struct sinks, follow);
    atomic_store(&sinks->is_follow_sent, false);
    sinks_follow(sinks);
}

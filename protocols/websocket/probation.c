/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/websocket/probation.h"

#include <stdlib.h>
#include <string.h>

#include "broker/runtime/worker.h"
#include "broker/support/invariant.h"

struct probation {
    struct worker *worker;
    struct petition petition;
    void (*on_due)(void *context);
    void *context;
    size_t length;
    uint8_t text[];
};

static void on_answered(struct petition *petition) {
    struct probation *probation = petition->context;
    probation->on_due(probation->context);
}

enum error_code probation_create(struct worker *worker, struct petition *petition, struct span text,
                                 void (*on_due)(void *context), void *context,
                                 struct probation **ret_probation) {
    size_t bytes = sizeof(struct probation) + text.length;
    INVARIANT(petition_is_under_way(petition));
    if (!worker_take_body_room(worker, bytes)) {
        petition_finish(petition);
        return ERR_BUSY;
    }
    struct probation *probation = malloc(bytes);
    if (probation == NULL) {
        worker_give_body_room(worker, bytes);
        petition_finish(petition);
        return ERR_MEMORY;
    }
    probation->worker = worker;
    probation->on_due = on_due;
    probation->context = context;
    probation->length = text.length;
    memcpy(probation->text, text.bytes, text.length);
    petition_move(&probation->petition, petition);
    probation->petition.on_answered = on_answered;
    probation->petition.context = probation;
    *ret_probation = probation;
    return OK;
}

struct petition *probation_petition(struct probation *probation) {
    return &probation->petition;
}

struct span probation_text(const struct probation *probation) {
    return span_of(probation->text, probation->length);
}

void probation_destroy(struct probation *probation) {
    if (probation != NULL) {
        petition_finish(&probation->petition);
        worker_give_body_room(probation->worker, sizeof(*probation) + probation->length);
        free(probation);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Each worker has a part: a letter that comes back to the worker's own mailbox until its walk is
 * over. The place of a walk is a connection, and one that ends moves the walks that stand at it
 * (sifts_on_gone). Connections that come meanwhile have higher ids and are not looked at. */
#include "broker/runtime/sift.h"

#include <stdlib.h>

#include "broker/runtime/worker_private.h"

struct sift_part {
    struct letter letter;
    struct list in_worker; /* while it walks */
    struct sift *sift;
    struct worker *worker;
    struct connection *next; /* to be looked at; NULL: the walk is over */
    uint64_t id_end;
    bool has_begun;
};

struct sift {
    struct broker *broker;
    struct sift_options options;
    struct letter told;
    struct letter over;
    atomic_size_t untold_count;
    atomic_size_t walking_count;
    atomic_uint_fast64_t gone_count;
    struct sift_part parts[];
};

/* --- the workers' ---------------------------------------------------------------------------- */

static void begin(struct sift_part *part) {
    struct sift *sift = part->sift;
    struct worker *worker = part->worker;
    part->has_begun = true;
    part->id_end = atomic_load(&worker->broker->connection_id_next);
    part->next = connections_next(worker, NULL);
    list_put_tail(&worker->sifts, &part->in_worker);
    if (sift->options.on_worker != NULL) {
        sift->options.on_worker(sift->options.context, worker);
    }
    if (atomic_fetch_sub(&sift->untold_count, 1) == 1) {
        mailbox_put_answer(sift->options.reply_to, &sift->told);
    }
}

static bool is_over(const struct sift_part *part) {
    return part->next == NULL || connection_id(part->next) >= part->id_end ||
           part->sift->options.must_go == NULL;
}

/* Returns how many steps it was. */
static size_t look_at(struct sift_part *part, struct connection *connection) {
    struct sift *sift = part->sift;
    const struct sift_options *options = &sift->options;
    const struct identity *identity = connection_identity(connection);
    bool is_asked = identity != NULL || options->includes_nobody;
    if (!is_asked || connection_is_closing(connection) ||
        !options->must_go(options->context, identity)) {
        return 1;
    }
    atomic_fetch_add(&sift->gone_count, 1);
    connection_dismiss(connection, options->on_reason == NULL
                                       ? options->reason
                                       : options->on_reason(options->context, identity));
    return SIFT_STEPS_GONE;
}

static void on_slice(struct letter *letter, void *consumer) {
    struct sift_part *part = CONTAINER_OF(letter, struct sift_part, letter);
    struct sift *sift = part->sift;
    struct worker *worker = consumer;
    INVARIANT(part->worker == worker);
    if (!part->has_begun) {
        begin(part);
    }
    for (size_t steps = 0; !is_over(part) && steps < SIFT_STEPS_MAX;) {
        struct connection *connection = part->next;
        part->next = connections_next(worker, connection);
        steps += look_at(part, connection);
    }
    if (!is_over(part)) {
        mailbox_put_answer(&worker->mailbox, letter); /* for the next turn */
        return;
    }
    list_remove(&part->in_worker);
    if (atomic_fetch_sub(&sift->walking_count, 1) == 1) {
        mailbox_put_answer(sift->options.reply_to, &sift->over);
    }
}

void sifts_on_gone(struct worker *worker, const struct connection *connection) {
    LIST_EACH(&worker->sifts, node) {
        struct sift_part *part = CONTAINER_OF(node, struct sift_part, in_worker);
        if (part->next == connection) {
            part->next = connections_next(worker, connection);
        }
    }
}

/* --- the beginner's -------------------------------------------------------------------------- */

static void on_told(struct letter *letter, void *consumer) {
    (void)consumer;
    struct sift *sift = CONTAINER_OF(letter, struct sift, told);
    if (sift->options.on_told != NULL) {
        sift->options.on_told(sift->options.context);
    }
}

static void on_over(struct letter *letter, void *consumer) {
    (void)consumer;
    struct sift *sift = CONTAINER_OF(letter, struct sift, over);
    if (sift->options.on_over != NULL) {
        sift->options.on_over(sift->options.context, atomic_load(&sift->gone_count));
    }
    sift_destroy(sift);
}

struct sift *sift_create(struct broker *broker, const struct sift_options *options) {
    size_t count = broker->worker_count;
    INVARIANT(count > 0);
    struct sift *sift = calloc(1, sizeof(*sift) + count * sizeof(struct sift_part));
    if (sift == NULL) {
        return NULL;
    }
    sift->broker = broker;
    sift->options = *options;
    sift->told.on_delivered = on_told;
    sift->over.on_delivered = on_over;
    atomic_init(&sift->untold_count, count);
    atomic_init(&sift->walking_count, count);
    for (size_t i = 0; i < count; i++) {
        struct sift_part *part = &sift->parts[i];
        part->letter.on_delivered = on_slice;
        part->sift = sift;
        part->worker = broker->workers[i];
        list_init(&part->in_worker);
    }
    return sift;
}

void sift_destroy(struct sift *sift) {
    free(sift);
}

enum error_code sift_begin(struct sift *sift) {
    struct broker *broker = sift->broker;
    if (atomic_load(&broker->is_stopping)) {
        sift_destroy(sift);
        return ERR_DRAINING;
    }
    for (size_t i = 0, count = broker->worker_count; i < count; i++) {
        mailbox_put_answer(&sift->parts[i].worker->mailbox, &sift->parts[i].letter);
    }
    return OK;
}

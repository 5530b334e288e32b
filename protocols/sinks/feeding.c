/* SPDX-License-Identifier: Apache-2.0 */
/* The sources of the configuration: they come, change and go with it, and where each stands is
 * remembered beside them (protocols/sources/positions.h). */
#include <stdlib.h>

#include "broker/config/config.h"
#include "broker/support/logger.h"
#include "protocols/sinks/sinks_private.h"
#include "protocols/sources/positions.h"
#include "protocols/sources/source.h"

struct feeder {
    struct list in_sinks;
    struct sinks *sinks;
    struct source *source;
    const struct source_row *row;
    const struct source_row *next; /* what it is to be once it has stopped; NULL: it goes */
    bool is_stopping;
    bool is_wanted;
};

struct feeders_learning {
    struct positions *positions;
    enum error_code code;
};

static void on_position(void *context, struct span name, struct span state) {
    struct feeders_learning *learning = context;
    enum error_code code = positions_learn(learning->positions, name, state);
    learning->code = learning->code == OK ? code : learning->code;
}

enum error_code feeders_learn(struct sinks *sinks, struct error *why) {
    enum error_code code = positions_create(&sinks->positions);
    if (code != OK) {
        return error_set(why, code, "no memory for the sources");
    }
    struct feeders_learning learning = {.positions = sinks->positions};
    code = storage_each_object(sinks->broker->storage, STORAGE_OBJECT_SOURCE, on_position,
                               &learning, why);
    if (code == OK && learning.code != OK) {
        code = error_set(why, learning.code, "where the sources stand cannot be learned");
    }
    return code;
}

/* --- one source ------------------------------------------------------------------------------ */

static void create(struct sinks *sinks, const struct source_row *row) {
    struct error why = {0};
    struct feeder *feeder = calloc(1, sizeof(*feeder));
    enum error_code code = feeder == NULL
                               ? error_set(&why, ERR_MEMORY, "no memory for a source")
                               : source_create(sinks->broker, sinks->loop, sinks->positions, row,
                                               &feeder->source, &why);
    if (code != OK) {
        log_event(SOURCE_NOT_MADE, .source = row->name, .code = error_row(code)->slug,
                  .detail = why.detail);
        free(feeder);
        return;
    }
    feeder->sinks = sinks;
    feeder->row = row;
    feeder->is_wanted = true;
    list_put_tail(&sinks->feeders, &feeder->in_sinks);
    source_start(feeder->source);
}

static void on_stopped(void *context) {
    struct feeder *feeder = context;
    struct sinks *sinks = feeder->sinks;
    const struct source_row *next = feeder->next;
    list_remove(&feeder->in_sinks);
    list_put_tail(&sinks->feeders_over, &feeder->in_sinks);
    if (next != NULL && !sinks->is_ending) {
        create(sinks, next);
    }
}

static void stop(struct feeder *feeder, const struct source_row *next) {
    feeder->next = next;
    if (!feeder->is_stopping) {
        feeder->is_stopping = true;
        source_stop(feeder->source, on_stopped, feeder);
    }
}

/* Those that have stopped: not while they are on the stack. */
void feeders_bury(struct sinks *sinks) {
    struct list *node;
    while ((node = list_take_head(&sinks->feeders_over)) != NULL) {
        struct feeder *feeder = CONTAINER_OF(node, struct feeder, in_sinks);
        source_destroy(feeder->source);
        free(feeder);
    }
}

/* --- all of them ----------------------------------------------------------------------------- */

static struct feeder *find(const struct sinks *sinks, const char *name) {
    LIST_EACH(&sinks->feeders, node) {
        struct feeder *feeder = CONTAINER_OF(node, struct feeder, in_sinks);
        if (strcmp(feeder->row->name, name) == 0) {
            return feeder;
        }
    }
    return NULL;
}

void feeders_follow(struct sinks *sinks) {
    const struct config *config = atomic_load(&sinks->broker->configured);
    for (size_t i = 0; i < config->source_count; i++) {
        const struct source_row *row = &config->sources[i];
        struct feeder *feeder = find(sinks, row->name);
        if (feeder == NULL) {
            create(sinks, row);
            continue;
        }
        feeder->is_wanted = true;
        if (feeder->is_stopping || !config_is_equal_source(feeder->row, row)) {
            stop(feeder, row);
        }
    }
    LIST_EACH(&sinks->feeders, node) {
        struct feeder *feeder = CONTAINER_OF(node, struct feeder, in_sinks);
        if (!feeder->is_wanted) {
            stop(feeder, NULL);
        }
        feeder->is_wanted = false;
    }
}

void feeders_end(struct sinks *sinks) {
    LIST_EACH(&sinks->feeders, node) {
        stop(CONTAINER_OF(node, struct feeder, in_sinks), NULL);
    }
}

bool feeders_are_over(const struct sinks *sinks) {
    return list_is_empty(&sinks->feeders);
}

void feeders_destroy(struct sinks *sinks) {
    list_put_all(&sinks->feeders_over, &sinks->feeders); /* if any: it was never started */
    feeders_bury(sinks);
    positions_destroy(sinks->positions);
}

size_t feeders_count(const struct sinks *sinks) {
    size_t count = 0;
    LIST_EACH(&sinks->feeders, node) {
        count++;
    }
    return count;
}

void feeders_get_figures(const struct sinks *sinks, struct source_figures *ret_figures) {
    LIST_EACH(&sinks->feeders, node) {
        source_get_figures(CONTAINER_OF(node, struct feeder, in_sinks)->source, ret_figures++);
    }
}

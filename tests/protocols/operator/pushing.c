/* SPDX-License-Identifier: Apache-2.0 */
/* The sinks: the part of fakes.h that stands in for protocols/sinks. There are "orders", which is
 * of the configuration, and "audit", which is the operator's; each question is answered at the
 * next turn of the mailbox. */
#include <stdlib.h>

#include "broker/support/buffer.h"
#include "broker/support/invariant.h"
#include "protocols/sinks/declaration.h"
#include "protocols/sinks/sinks.h"
#include "protocols/sources/source.h"
#include "tests/protocols/operator/fakes.h"

static const struct driver no_driver = {.kind = "webhook"};

const uint64_t sink_latency_bounds_us[SINK_LATENCY_BUCKETS] = {
    1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000, 5000000, 30000000};

const struct driver *driver_of(const struct sink_row *row) {
    (void)row;
    return &no_driver;
}

const struct source_driver *source_driver_of(const struct source_row *row) {
    (void)row;
    return NULL;
}

const char *outcome_name(enum outcome outcome) {
    static const char *const names[] = {
#define NAME(outcome, name, follows) [outcome] = name,
        OUTCOME_TABLE(NAME)
#undef NAME
    };
    return names[outcome];
}

const char *sink_state_name(enum sink_state state) {
    static const char *const names[] = {
#define NAME(state, name) [state] = name,
        SINK_STATE_TABLE(NAME)
#undef NAME
    };
    return names[state];
}

static const struct sink_figures rows[FAKES_SINKS] = {
    {.name = "orders",
     .kind = "webhook",
     .is_configured = true,
     .state = SINK_RETRYING,
     .detail = "503: \"slow\"",
     .status_last = 503,
     .floor = {.log_id = 1, .generation = 1, .position = 7},
     .lag_messages = 3,
     .lag_ms = 1500,
     .in_flight = 1,
     .window = 4,
     .messages = 100,
     .bytes = 1000,
     .attempts = {[OUTCOME_DELIVERED] = 90, [OUTCOME_THROTTLED] = 2},
     .dead = 1,
     .failing_since_ms = 1,
     .next_attempt_ms = 1769850309123,
     .latency_us = {50, 40, 10},
     .latency_us_sum = 150000},
    {.name = "audit",
     .kind = "kafka",
     .state = SINK_DISABLED,
     .breaker = LEDGER_OPEN,
     .detail = "410",
     .is_lag_exact = true},
};

static const struct source_figures sources[] = {
    {.name = "lake", .kind = "kafka", .state = SINK_LIVE, .messages = 5, .lag_messages = 2},
    {.name = "site", .kind = "mqtt", .state = SINK_BROKEN, .lag_messages = UINT64_MAX},
};

static const struct sink_figures *find(const char *name) {
    for (size_t i = 0; i < FAKES_SINKS; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static void give(struct sinks_question *question, const struct sink_figures *figures,
                 size_t count) {
    question->figures = calloc(count, sizeof(*figures));
    INVARIANT(question->figures != NULL);
    memcpy(question->figures, figures, count * sizeof(*figures));
    question->figure_count = count;
}

/* The sink of the row, with it. */
static enum error_code give_declared(struct sinks_question *question) {
    enum error_code code = declaration_inherit(question->row, NULL, &question->why);
    if (code != OK) {
        return code;
    }
    struct sink_figures declared = {.kind = "webhook"};
    struct buffer buffer;
    buffer_init(&buffer, DECLARATION_BYTES_MAX);
    INVARIANT(declaration_put(&buffer, question->row, false) == OK);
    INVARIANT(buffer_put_byte(&buffer, '\0') == OK);
    memcpy(declared.name, question->name, sizeof(declared.name));
    declared.row_json = strdup((const char *)buffer.bytes);
    give(question, &declared, 1);
    buffer_finish(&buffer);
    declaration_destroy(question->row);
    question->row = NULL;
    return OK;
}

static enum error_code answer(struct sinks_question *question) {
    const struct sink_figures *known = find(question->name);
    if (question->kind == SINKS_LIST) {
        give(question, rows, FAKES_SINKS);
        question->sources = malloc(sizeof(sources));
        INVARIANT(question->sources != NULL);
        memcpy(question->sources, sources, sizeof(sources));
        question->source_count = ARRAY_COUNT(sources);
        return OK;
    }
    if (question->kind == SINKS_CREATE) {
        if (known != NULL) {
            return error_set(&question->why, ERR_CONFLICT, "this sink is there");
        }
        return give_declared(question);
    }
    if (known == NULL) {
        return error_set(&question->why, ERR_NOT_FOUND, "no sink has this name");
    }
    if (question->kind == SINKS_TEST) {
        question->verdict = (struct verdict){.outcome = OUTCOME_FAILED, .status = 500};
        question->took_us = 12345;
        return OK;
    }
    if (question->kind == SINKS_CHANGE || question->kind == SINKS_DELETE) {
        if (known->is_configured) {
            return error_set(&question->why, ERR_CONFLICT, "it is the configuration's");
        }
        return question->kind == SINKS_CHANGE ? give_declared(question) : OK;
    }
    question->replayed = question->is_dead_letters ? 4 : 0;
    if (question->kind != SINKS_SHOW) {
        return OK; /* who asks for it shows it afterwards */
    }
    give(question, known, 1);
    return OK;
}

static void on_asked(struct letter *letter, void *consumer) {
    struct sinks_question *question = CONTAINER_OF(letter, struct sinks_question, letter);
    (void)consumer;
    question->result = answer(question);
    question->on_answered(question);
}

enum error_code sinks_ask(struct sinks *sinks, struct sinks_question *question) {
    (void)sinks;
    question->letter.on_delivered = on_asked;
    mailbox_put_answer(question->reply_to, &question->letter);
    return OK;
}

void sinks_question_finish(struct sinks_question *question) {
    for (size_t i = 0; i < question->figure_count; i++) {
        free(question->figures[i].row_json);
    }
    free(question->figures);
    free(question->sources);
}

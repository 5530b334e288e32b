/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator asks of the sinks. A row that is declared is an object of the log, on the disk
 * before it is answered; a sink that is deleted ends first, so that nothing stores its ledger
 * again, and is made anew where the log does not take that. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/runtime/log.h"
#include "broker/support/invariant.h"
#include "protocols/sinks/declaration.h"
#include "protocols/sinks/sinks_private.h"
#include "storage/storage.h"

/* --- figures --------------------------------------------------------------------------------- */

static void put_figures(struct sinks_question *question, const struct sink *sink,
                        const struct sink_row *row) {
    struct sink_figures *figures = &question->figures[question->figure_count++];
    sink_get_figures(sink, figures);
    if (question->wants_rows) {
        struct buffer json;
        buffer_init(&json, DECLARATION_BYTES_MAX);
        if (declaration_put(&json, row, false) == OK && buffer_put_byte(&json, '\0') == OK) {
            figures->row_json = (char *)json.bytes;
            return;
        }
        buffer_finish(&json);
    }
}

/* Where it is about to be another, it is shown as that. */
static enum error_code show(const struct sinks *sinks, struct sinks_question *question) {
    const struct sinks_seat *seat = sinks_find(sinks, span_of_string(question->name));
    if (seat == NULL || seat->sink == NULL) {
        return OK;
    }
    question->figures = calloc(1, sizeof(*question->figures));
    if (question->figures == NULL) {
        return ERR_MEMORY;
    }
    bool is_changing = question->kind == SINKS_CHANGE && seat->row_next != NULL;
    put_figures(question, seat->sink, is_changing ? seat->row_next : sink_row(seat->sink));
    return OK;
}

/* --- answers --------------------------------------------------------------------------------- */

static void on_answer(struct letter *letter, void *consumer) {
    struct sinks_question *question = CONTAINER_OF(letter, struct sinks_question, letter);
    (void)consumer;
    question->on_answered(question);
}

void sinks_answer_with(struct sinks *sinks, struct sinks_question *question, enum error_code code,
                       const char *text) {
    bool is_shown = question->kind != SINKS_LIST && question->kind != SINKS_DELETE &&
                    question->kind != SINKS_TEST;
    if (code == OK && is_shown) {
        code = show(sinks, question);
        text = code == OK ? text : "no memory for an answer";
    }
    question->result = code == OK ? OK : error_set(&question->why, code, "%.250s", text);
    question->letter.on_delivered = on_answer;
    mailbox_put_answer(question->reply_to, &question->letter);
}

static int compare(const void *left, const void *right) {
    return strcmp(((const struct sink_figures *)left)->name,
                  ((const struct sink_figures *)right)->name);
}

static enum error_code list(struct sinks *sinks, struct sinks_question *question) {
    question->figures = calloc(sinks->sink_count + 1, sizeof(*question->figures));
    size_t sources = feeders_count(sinks);
    question->sources = calloc(sources + 1, sizeof(*question->sources));
    if (question->figures == NULL || question->sources == NULL) {
        return ERR_MEMORY;
    }
    for (struct map_node *node = map_first(&sinks->seats); node != NULL;
         node = map_next(&sinks->seats, node)) {
        const struct sinks_seat *seat = CONTAINER_OF(node, struct sinks_seat, in_sinks);
        if (seat->sink != NULL) {
            put_figures(question, seat->sink, sink_row(seat->sink));
        }
    }
    qsort(question->figures, question->figure_count, sizeof(*question->figures), compare);
    feeders_get_figures(sinks, question->sources);
    question->source_count = sources;
    return OK;
}

void sinks_question_finish(struct sinks_question *question) {
    for (size_t i = 0; i < question->figure_count; i++) {
        free(question->figures[i].row_json);
    }
    free(question->figures);
    free(question->sources);
    declaration_destroy(question->row);
    question->figures = NULL;
    question->sources = NULL;
    question->row = NULL;
    question->figure_count = question->source_count = 0;
}

/* --- rows that are stored -------------------------------------------------------------------- */

/* A change of what is declared, on its way to the log. */
struct declaring {
    struct publish publish;
    struct message *messages[2];
    struct sinks_seat *seat;
    struct sink_row *row;            /* what the seat is to have; NULL: nothing */
    struct sinks_question *question; /* NULL: nobody waits */
};

static void end_declaring(struct declaring *declaring) {
    for (size_t i = 0; i < declaring->publish.count; i++) {
        message_unref(declaring->messages[i]);
    }
    declaration_destroy(declaring->row);
    free(declaring);
}

static void forget(struct sinks_seat *seat) {
    declaration_destroy(seat->row_next);
    free(seat->record);
    seat->row_next = NULL;
    seat->record = NULL;
    seat->record_length = 0;
}

/* It is stored: the seat gets its sink, or the one that it has makes room. */
static enum error_code adopt(struct declaring *declaring, struct error *why) {
    struct sinks_seat *seat = declaring->seat;
    struct sink_row *row = declaring->row;
    declaring->row = NULL;
    if (seat->is_gone) {
        forget(seat);
    }
    if (row == NULL || seat->sinks->is_ending) {
        declaration_destroy(row);
        return OK;
    }
    if (seat->sink == NULL) {
        return sinks_seat_sink(seat, row, true, why);
    }
    declaration_destroy(seat->row_next);
    seat->row_next = row;
    if (!seat->is_configured && !sink_is_ending(seat->sink)) {
        sinks_unseat(seat, true);
    }
    return OK;
}

/* What was deleted and is still stored is made anew, and a row of the file that came meanwhile. */
static void go_on(struct sinks_seat *seat) {
    seat->is_gone = false;
    if (seat->sink == NULL && seat->declaring == 0) {
        sinks_fill_seat(seat);
    }
}

static void on_declared(struct publish *publish) {
    struct declaring *declaring = CONTAINER_OF(publish, struct declaring, publish);
    struct sinks_seat *seat = declaring->seat;
    struct sinks *sinks = seat->sinks;
    struct sinks_question *question = declaring->question;
    struct error why = publish->why;
    enum error_code code = publish->result;
    sinks->declaring--;
    seat->declaring--;
    code = code == OK ? adopt(declaring, &why) : code;
    if (question != NULL) {
        sinks_answer_with(sinks, question, code, why.detail);
    }
    end_declaring(declaring);
    go_on(seat);
}

static struct message *make_message(const struct sinks_seat *seat, enum storage_object_kind kind,
                                    const struct sink_row *row) {
    struct buffer json;
    struct message *message = NULL;
    struct span name = span_of(seat->name, seat->name_length);
    buffer_init(&json, DECLARATION_BYTES_MAX);
    if (row == NULL) {
        message = storage_object_message(kind, STORAGE_OBJECT_DELETE, name, (struct span){0});
    } else if (declaration_put(&json, row, true) == OK) {
        message = storage_object_message(kind, STORAGE_OBJECT_PUT, name, buffer_borrow(&json));
    }
    buffer_finish(&json);
    if (message != NULL) {
        message->fields.flags |= MESSAGE_FSYNC;
    }
    return message;
}

/* Takes `row`, which is stored and becomes the seat's; NULL: all that is stored of the name goes.
 * `keeps`: the row is stored, and that is all. */
static void declare(struct sinks_seat *seat, struct sink_row *row, bool keeps,
                    struct sinks_question *question) {
    struct sinks *sinks = seat->sinks;
    struct declaring *declaring = calloc(1, sizeof(*declaring));
    struct error why = {0};
    enum error_code code = ERR_MEMORY;
    if (declaring != NULL) {
        declaring->seat = seat;
        declaring->question = question;
        declaring->messages[0] = make_message(seat, STORAGE_OBJECT_SINK, row);
        declaring->messages[1] = make_message(seat, STORAGE_OBJECT_LEDGER, NULL);
        declaring->publish = (struct publish){.reply_to = loop_mailbox(sinks->loop),
                                              .on_answered = on_declared,
                                              .counted_as = METRICS_PROTOCOL_OTHER,
                                              .messages = declaring->messages,
                                              .count = row == NULL ? 2 : 1};
        if (row != NULL) {
            message_unref(declaring->messages[1]);
            declaring->messages[1] = NULL;
        }
        bool is_made =
            declaring->messages[0] != NULL && (row != NULL || declaring->messages[1] != NULL);
        code = is_made ? log_submit(sinks->broker->log, &declaring->publish) : ERR_MEMORY;
        declaring->row = keeps ? NULL : row;
    }
    if (code == OK) {
        sinks->declaring++;
        seat->declaring++;
        return;
    }
    if (declaring != NULL) {
        end_declaring(declaring);
    } else if (!keeps) {
        declaration_destroy(row);
    }
    if (question != NULL) {
        IGNORE_RESULT(error_set(&why, code, "the sink could not be stored"));
        sinks_answer_with(sinks, question, code, why.detail);
    }
    go_on(seat);
}

void sinks_forget(struct sinks_seat *seat, struct sinks_question *question) {
    declare(seat, NULL, false, question);
}

/* --- questions about rows -------------------------------------------------------------------- */

static void create(struct sinks *sinks, struct sinks_question *question) {
    struct span name = span_of_string(question->row->name);
    struct sinks_seat *seat = sinks_find(sinks, name);
    if (seat != NULL && (seat->sink != NULL || seat->declaring > 0 || seat->row_next != NULL)) {
        sinks_answer_with(sinks, question, ERR_CONFLICT, "there is a sink of that name");
    } else if (sinks->sink_count + sinks->declaring >= SINKS_MAX) {
        sinks_answer_with(sinks, question, ERR_FULL, "there are as many sinks as may be");
    } else if (sinks_put_seat(sinks, name, &seat) != OK) {
        sinks_answer_with(sinks, question, ERR_MEMORY, "no memory for a sink");
    } else {
        struct sink_row *row = question->row;
        question->row = NULL;
        declare(seat, row, false, question);
    }
}

static void change(struct sinks_seat *seat, struct sinks_question *question) {
    struct sinks *sinks = seat->sinks;
    if (seat->declaring > 0 || sink_is_ending(seat->sink)) {
        sinks_answer_with(sinks, question, ERR_CONFLICT, "the sink is being changed");
        return;
    }
    struct error why = {0};
    enum error_code code = declaration_inherit(question->row, sink_row(seat->sink), &why);
    if (code != OK) {
        sinks_answer_with(sinks, question, code, why.detail);
        return;
    }
    struct sink_row *row = question->row;
    question->row = NULL;
    declare(seat, row, false, question);
}

static void delete (struct sinks_seat *seat, struct sinks_question *question) {
    if (seat->declaring > 0 || sink_is_ending(seat->sink)) {
        sinks_answer_with(seat->sinks, question, ERR_CONFLICT, "the sink is being changed");
        return;
    }
    declaration_destroy(seat->row_next);
    seat->row_next = NULL;
    if (declaration_copy(sink_row(seat->sink), &seat->row_next) != OK) {
        sinks_answer_with(seat->sinks, question, ERR_MEMORY, "no memory to delete the sink");
        return;
    }
    seat->is_gone = true;
    seat->gone_question = question;
    sinks_unseat(seat, false);
}

static void resume(struct sinks_seat *seat, struct sinks_question *question) {
    struct sink_row *row = (struct sink_row *)(uintptr_t)sink_row(seat->sink);
    if (!seat->is_configured && row->is_paused && seat->declaring == 0) {
        row->is_paused = false; /* the row is the sink's own */
        declare(seat, row, true, NULL);
    }
    sink_resume(seat->sink, question);
}

/* --- all of them ----------------------------------------------------------------------------- */

static void answer_about(struct sinks *sinks, struct sinks_seat *seat,
                         struct sinks_question *question) {
    bool is_of_row = question->kind == SINKS_CHANGE || question->kind == SINKS_DELETE;
    if (seat == NULL || seat->sink == NULL) {
        sinks_answer_with(sinks, question, ERR_NOT_FOUND, "there is no sink of that name");
        return;
    }
    if (is_of_row && seat->is_configured) {
        sinks_answer_with(sinks, question, ERR_CONFLICT,
                          "the sink is declared in the configuration: change it there");
        return;
    }
    if (question->kind != SINKS_SHOW && sink_is_ending(seat->sink)) {
        sinks_answer_with(sinks, question, ERR_CONFLICT, "the sink is being changed");
        return;
    }
    switch (question->kind) {
    case SINKS_SHOW:
        sinks_answer_with(sinks, question, OK, "");
        break;
    case SINKS_CHANGE:
        change(seat, question);
        break;
    case SINKS_DELETE:
        delete (seat, question);
        break;
    case SINKS_PAUSE:
        sink_pause(seat->sink, question);
        break;
    case SINKS_RESUME:
        resume(seat, question);
        break;
    case SINKS_REPLAY:
        sink_replay(seat->sink, question);
        break;
    case SINKS_TEST:
        sink_test(seat->sink, question);
        break;
    case SINKS_LIST:
    case SINKS_CREATE:
        INVARIANT(false); /* they are not about one sink */
    }
}

void sinks_on_asked(struct letter *letter, void *consumer) {
    (void)consumer;
    struct sinks_question *question = CONTAINER_OF(letter, struct sinks_question, letter);
    struct sinks *sinks = question->sinks;
    list_init(&question->in_sinks);
    atomic_fetch_sub(&sinks->asking, 1);
    if (question->row != NULL) {
        snprintf(question->name, sizeof(question->name), "%s", question->row->name);
    }
    if (sinks->is_ending) {
        sinks_answer_with(sinks, question, ERR_DRAINING, "the broker ends");
    } else if (question->kind == SINKS_LIST) {
        sinks_answer_with(sinks, question, list(sinks, question), "no memory for an answer");
    } else if (question->kind == SINKS_CREATE) {
        create(sinks, question);
    } else {
        answer_about(sinks, sinks_find(sinks, span_of_string(question->name)), question);
    }
}

enum error_code sinks_ask(struct sinks *sinks, struct sinks_question *question) {
    atomic_fetch_add(&sinks->asking, 1);
    question->sinks = sinks;
    question->letter.on_delivered = sinks_on_asked;
    enum error_code code = atomic_load(&sinks->is_closed)
                               ? ERR_DRAINING
                               : mailbox_put(loop_mailbox(sinks->loop), &question->letter);
    if (code != OK) {
        atomic_fetch_sub(&sinks->asking, 1);
    }
    return code;
}

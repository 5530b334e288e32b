/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger into the log. A store is one publish: the dead letters that are not in the log yet,
 * and the ledger, which says that their messages are done. All or none: so a dead letter is neither
 * lost nor doubled, whenever the process ends. A store that fails leaves the letters where they
 * are, and they go with the next; no store goes without them.
 *
 * One is under way at a time. What asks for it at once (a shipment that waits, a dead letter, the
 * operator) does not wait for the interval; a place that moved does. */
#include <stdlib.h>

#include "broker/runtime/log.h"
#include "broker/support/invariant.h"
#include "protocols/sinks/ledger_record.h"
#include "protocols/sinks/sink_private.h"
#include "storage/storage.h"

/* One under way: the letters that the sink has, and behind them the ledger. */
struct store_letter {
    struct publish publish;
    struct sink *sink;
    uint64_t number;
    struct message *messages[];
};

bool storing_is_quiet(const struct sink *sink) {
    return !sink->is_storing && list_is_empty(&sink->dying) && sink->letter_count == 0 &&
           (!sink->is_dirty || !sink->is_ledger_wanted);
}

void storing_ask(struct sink *sink, struct sinks_question *question) {
    question->store = sink->stores + 1;
    list_put_tail(&sink->askers, &question->in_sinks);
    sink->is_dirty = true;
    sink_wake(sink);
}

static void answer_askers(struct sink *sink, uint64_t number, enum error_code code,
                          const struct error *why) {
    LIST_EACH(&sink->askers, node) {
        struct sinks_question *question = CONTAINER_OF(node, struct sinks_question, in_sinks);
        if (question->store <= number) {
            list_remove(&question->in_sinks);
            sinks_answer_with(sink->sinks, question, code, why->detail);
        }
    }
}

/* --- dead letters ---------------------------------------------------------------------------- */

/* True: the parcel's letters are the sink's, and its messages are done. */
static bool bury(struct sink *sink, struct parcel *parcel, size_t count_max) {
    size_t count = parcel->shipment.count;
    size_t before = sink->letter_count;
    INVARIANT(before + count <= count_max);
    uint32_t attempts = parcel->shipment.attempt;
    const struct verdict nothing = {.outcome = OUTCOME_FAILED};
    const struct verdict *verdict = parcel->verdict == NULL ? &nothing : parcel->verdict;
    for (size_t i = 0; i < count; i++) {
        struct message *letter = dead_letters_create(sink, parcel->messages[i], attempts, verdict);
        if (letter == NULL) {
            while (sink->letter_count > before) {
                message_unref(sink->letters[--sink->letter_count]);
            }
            return false;
        }
        sink->letters[sink->letter_count++] = letter;
    }
    for (size_t i = 0; i < count; i++) {
        events_tell_dead_letter(sink, parcel->messages[i], attempts, verdict);
    }
    settling_bury(parcel);
    return true;
}

/* As many of the dying as one publish has room for; one parcel at least. */
static void bury_some(struct sink *sink) {
    size_t count = 0;
    size_t bytes = 0;
    LIST_EACH(&sink->dying, node) {
        const struct parcel *parcel = CONTAINER_OF(node, struct parcel, in_sink);
        if (count > 0 && (count + parcel->shipment.count > SINK_LETTERS_MAX ||
                          bytes + parcel->shipment.bytes > SINK_LETTERS_BYTES_MAX)) {
            break;
        }
        count += parcel->shipment.count;
        bytes += parcel->shipment.bytes;
    }
    sink->letters = count == 0 ? NULL : calloc(count, sizeof(*sink->letters));
    if (sink->letters == NULL) {
        return;
    }
    LIST_EACH(&sink->dying, node) {
        struct parcel *parcel = CONTAINER_OF(node, struct parcel, in_sink);
        if (sink->letter_count + parcel->shipment.count > count || !bury(sink, parcel, count)) {
            break;
        }
    }
    if (sink->letter_count == 0) {
        free(sink->letters);
        sink->letters = NULL;
    }
}

static void let_letters_go(struct sink *sink) {
    for (size_t i = 0; i < sink->letter_count; i++) {
        message_unref(sink->letters[i]);
    }
    free(sink->letters);
    sink->letters = NULL;
    sink->letter_count = 0;
}

/* --- a store --------------------------------------------------------------------------------- */

static void fail(struct sink *sink, enum error_code code, const struct error *why) {
    sink->is_dirty = true;
    sink->store_after_ms = loop_now_ms(sink->sinks->loop) + SINK_AGAIN_MS;
    if (code != ERR_DRAINING) {
        log_event(SINK_NOT_STORED, .sink = sink->row->name, .code = error_row(code)->slug,
                  .detail = why->detail);
    }
    answer_askers(sink, sink->stores, code, why);
    reviving_on_stored(sink, false);
    if (sink->on_ended != NULL) { /* the end does not wait for a log that takes nothing … */
        sink->is_ledger_wanted = false;
    }
    if (sink->sinks->is_ending) { /* … but for letters, if the ledger in memory is handed on: it
                                   * says that their messages are done */
        let_letters_go(sink);
    }
}

static void destroy(struct store_letter *letter) {
    for (size_t i = 0; i < letter->publish.count; i++) {
        message_unref(letter->messages[i]);
    }
    free(letter);
}

static void on_stored(struct publish *publish) {
    struct store_letter *letter = CONTAINER_OF(publish, struct store_letter, publish);
    struct sink *sink = letter->sink;
    sink->is_storing = false;
    sink->letters_out--;
    if (publish->result == OK) {
        let_letters_go(sink);
        shipping_on_stored(sink, letter->number);
        answer_askers(sink, letter->number, OK, &publish->why);
        reviving_on_stored(sink, true);
    } else {
        fail(sink, publish->result, &publish->why);
    }
    destroy(letter);
    sink_wake(sink);
}

/* NULL: out of memory. */
static struct message *make_object(const struct sink *sink) {
    struct buffer record;
    buffer_init(&record, LEDGER_RECORD_BYTES_MAX);
    struct message *message = NULL;
    if (ledger_record_put(&record, &sink->ledger) == OK) {
        message = storage_object_message(STORAGE_OBJECT_LEDGER, STORAGE_OBJECT_PUT, sink_name(sink),
                                         buffer_borrow(&record));
    }
    buffer_finish(&record);
    return message;
}

/* NULL: out of memory. */
static struct store_letter *make(struct sink *sink) {
    size_t count = sink->letter_count;
    struct store_letter *letter =
        calloc(1, sizeof(*letter) + (count + 1) * sizeof(letter->messages[0]));
    struct message *object = letter == NULL ? NULL : make_object(sink);
    if (object == NULL) {
        free(letter);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        letter->messages[i] = message_ref(sink->letters[i]);
    }
    letter->messages[count] = object;
    letter->number = sink->stores;
    letter->sink = sink;
    letter->publish = (struct publish){.reply_to = loop_mailbox(sink->sinks->loop),
                                       .on_answered = on_stored,
                                       .counted_as = METRICS_PROTOCOL_OTHER,
                                       .messages = letter->messages,
                                       .count = count + 1};
    return letter;
}

static void begin(struct sink *sink) {
    sink->stored_ms = loop_now_ms(sink->sinks->loop);
    sink->stores++;
    if (sink->letter_count == 0) {
        bury_some(sink);
    }
    sink->floor_stored = sink->ledger.floor.position;
    breaker_keep(&sink->breaker, &sink->ledger);
    struct error why = {0};
    struct store_letter *letter = make(sink);
    enum error_code code = letter == NULL ? error_set(&why, ERR_MEMORY, "no memory to store")
                                          : log_submit(sink->sinks->broker->log, &letter->publish);
    if (code != OK) {
        if (letter != NULL) {
            destroy(letter);
        }
        fail(sink, code, &why);
        sink_expect(sink, sink->store_after_ms);
        return;
    }
    sink->is_dirty = false;
    sink->is_storing = true;
    sink->letters_out++;
}

/* Who asked while a store was under way waits for the next, and there is none. */
static void answer_the_last(struct sink *sink) {
    if (sink->on_ended != NULL && !sink->is_ledger_wanted && !sink->is_storing) {
        struct error why = {0};
        enum error_code code = error_set(&why, ERR_DRAINING, "the sink was stopped meanwhile");
        answer_askers(sink, UINT64_MAX, code, &why);
    }
}

void storing_go_on(struct sink *sink) {
    answer_the_last(sink);
    if (sink->is_storing || storing_is_quiet(sink)) {
        return;
    }
    bool is_urgent = sink->on_ended != NULL || sink->letter_count > 0 ||
                     !list_is_empty(&sink->dying) || !list_is_empty(&sink->waiting) ||
                     !list_is_empty(&sink->askers) || reviving_is_waiting(sink);
    uint64_t due_ms = is_urgent ? 0 : sink->stored_ms + SINK_STORE_INTERVAL_MS;
    due_ms = due_ms > sink->store_after_ms ? due_ms : sink->store_after_ms;
    if (loop_now_ms(sink->sinks->loop) < due_ms) {
        sink_expect(sink, due_ms);
        return;
    }
    begin(sink);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters are sent again: those that stand in the channel when it is asked for, one attempt
 * each, while the course through the log waits. A page after the other: when all of a page have
 * settled, the ledger's `dead_offset` moves behind it, in one store with the letters of those that
 * were not taken again, so that none is lost and none comes twice.
 *
 * Where nobody answers, the rest is left where it is: it would only go round. */
#include <stdlib.h>

#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "protocols/sinks/sink_private.h"

#define REVIVED_A_PAGE 100

enum reviving { REVIVING_RESTS, REVIVING_READS, REVIVING_SENDS, REVIVING_STORES };

struct revival {
    struct sink *sink;
    enum reviving phase;
    struct sinks_question *question; /* NULL: answered */
    bool has_head;
    uint64_t head; /* the last offset that is sent */
    char channel[DEAD_LETTERS_CHANNEL_BYTES];
    struct read read;

    /* Of the page. */
    struct message *messages[REVIVED_A_PAGE]; /* NULL: it was no letter */
    uint64_t offsets[REVIVED_A_PAGE];
    struct message *letters[REVIVED_A_PAGE]; /* of one that was not taken again; NULL: it was */
    size_t count;
    size_t next;      /* to be sent */
    size_t out;       /* under way */
    size_t undone;    /* the first of which nothing is known; `count`: none */
    bool is_last;     /* no page follows */
    bool is_last_now; /* nobody answers, or it is asked to end: nothing more is sent */
};

static void answer(struct revival *revival, enum error_code code, const char *text) {
    struct sinks_question *question = revival->question;
    revival->question = NULL;
    if (question != NULL) {
        sinks_answer_with(revival->sink->sinks, question, code, text);
    }
}

static void forget_page(struct revival *revival) {
    for (size_t i = 0; i < revival->count; i++) {
        message_unref(revival->messages[i]);
        message_unref(revival->letters[i]);
        revival->letters[i] = NULL;
    }
    revival->count = revival->next = revival->undone = 0;
}

void reviving_end(struct sink *sink) {
    struct revival *revival = sink->revival;
    if (revival == NULL) {
        return;
    }
    INVARIANT(revival->out == 0);
    INVARIANT(revival->phase != REVIVING_READS);
    answer(revival, ERR_DRAINING, "the sink was stopped meanwhile");
    forget_page(revival);
    free(revival);
    sink->revival = NULL;
    sink_wake(sink);
}

void reviving_begin(struct sink *sink, struct sinks_question *question) {
    struct revival *revival = calloc(1, sizeof(*revival));
    if (revival == NULL) {
        sinks_answer_with(sink->sinks, question, ERR_MEMORY, "no memory for a replay");
        return;
    }
    revival->sink = sink;
    revival->question = question;
    sink->revival = revival;
    sink_clear(sink);
    sink_wake(sink);
}

/* --- a page ---------------------------------------------------------------------------------- */

static void take_page(struct revival *revival, const struct storage_page *page) {
    if (!revival->has_head) {
        uint64_t done = revival->sink->ledger.dead_offset;
        revival->has_head = true;
        revival->head = page->offset_last;
        done = page->first > 0 && page->first - 1 > done ? page->first - 1 : done;
        bool is_any = page->first > 0 && revival->head > done;
        if (revival->question != NULL) {
            revival->question->replayed = is_any ? revival->head - done : 0;
        }
        answer(revival, OK, "");
    }
    for (size_t i = 0; i < page->count && page->messages[i]->place.offset <= revival->head; i++) {
        if (dead_letters_open(page->messages[i], &revival->messages[revival->count]) != OK) {
            revival->is_last = true; /* this one and those behind it are for another replay */
            break;
        }
        revival->offsets[revival->count++] = page->messages[i]->place.offset;
    }
    revival->undone = revival->count;
    revival->is_last |=
        revival->count == 0 || revival->offsets[revival->count - 1] >= revival->head;
}

static void on_read(struct read *read) {
    struct revival *revival = CONTAINER_OF(read, struct revival, read);
    struct sink *sink = revival->sink;
    sink->letters_out--;
    revival->phase = REVIVING_SENDS;
    if (read->result == OK) {
        take_page(revival, &read->page);
    } else {
        answer(revival, read->result, read->why.detail);
        revival->is_last = true;
    }
    reads_release(sink->sinks->broker->reads, read);
    sink_wake(sink);
}

static void ask(struct sink *sink) {
    struct revival *revival = sink->revival;
    revival->read = (struct read){.reply_to = loop_mailbox(sink->sinks->loop),
                                  .on_read = on_read,
                                  .query = {.channel = dead_letters_channel(sink, revival->channel),
                                            .start = STORAGE_AFTER_OFFSET,
                                            .place = {.offset = sink->ledger.dead_offset},
                                            .limit = REVIVED_A_PAGE,
                                            .bytes_max = SINK_PAGE_BYTES_MAX}};
    revival->phase = REVIVING_READS;
    sink->letters_out++;
    reads_submit(sink->sinks->broker->reads, &revival->read);
}

/* --- one after the other --------------------------------------------------------------------- */

/* False: no memory. */
static bool ship(struct sink *sink, size_t index) {
    struct revival *revival = sink->revival;
    struct parcel *parcel = parcel_create(sink, PARCEL_REVIVED, 1);
    if (parcel == NULL) {
        return false;
    }
    struct message *message = revival->messages[index];
    parcel->messages[0] = message;
    parcel->index = index;
    parcel->shipment.bytes = message->fields.payload.length;
    parcel_name(parcel);
    tempo_on_begun(&sink->tempo, clock_monotonic_us());
    parcel->is_probe = breaker_on_shipped(&sink->breaker);
    sink->under_way++;
    revival->out++;
    parcel_ship(parcel);
    return true;
}

static void send_some(struct sink *sink) {
    struct revival *revival = sink->revival;
    bool is_single = sink->row->mode == SINK_MODE_ORDERED && !sink->terms.is_pipelined;
    size_t begun = 0;
    while (revival->next < revival->count && !revival->is_last_now && sink->driving == DRIVING_UP &&
           shipping_has_room(sink, begun) && !(is_single && revival->out > 0)) {
        size_t index = revival->next++;
        if (revival->messages[index] != NULL) {
            begun++;
            if (!ship(sink, index)) {
                revival->undone = index < revival->undone ? index : revival->undone;
                revival->is_last_now = true;
            }
        }
    }
    if (begun > 0 && sink->driver->flush != NULL && sink->driving == DRIVING_UP) {
        sink->driver->flush(sink->driver_state);
    }
}

void reviving_on_settled(struct parcel *parcel, const struct verdict *verdict) {
    struct sink *sink = parcel->shipment.sink;
    struct revival *revival = sink->revival;
    size_t index = parcel->index;
    INVARIANT(revival != NULL);
    revival->out--;
    struct message *letter = NULL;
    bool is_known = false;
    switch (verdict->outcome) {
    case OUTCOME_DELIVERED:
        breaker_on_success(&sink->breaker, parcel->is_probe);
        sink->ledger.failing_since_ms = 0;
        is_known = true;
        break;
    case OUTCOME_FAILED:
    case OUTCOME_REFUSED:
        breaker_on_abandoned(&sink->breaker, parcel->is_probe);
        letter = dead_letters_create(sink, parcel->messages[0], 1, verdict);
        is_known = letter != NULL;
        break;
    case OUTCOME_THROTTLED:
    case OUTCOME_UNREACHED:
        if (sink->terms.is_pipelined) {
            breaker_on_abandoned(&sink->breaker, parcel->is_probe);
        } else {
            breaker_on_failure(&sink->breaker, parcel->is_probe, clock_wall_ms(),
                               verdict->retry_after_ms, sinks_draw(sink->sinks));
        }
        break;
    case OUTCOME_GONE:
        breaker_on_abandoned(&sink->breaker, parcel->is_probe);
        sink_on_gone(sink, verdict);
        break;
    case OUTCOME_ABANDONED:
    case OUTCOME_COUNT:
        breaker_on_abandoned(&sink->breaker, parcel->is_probe);
        break;
    }
    revival->letters[index] = letter;
    if (!is_known) {
        revival->undone = index < revival->undone ? index : revival->undone;
        revival->is_last_now = true;
    }
    parcel_destroy(parcel);
}

/* --- a page is over -------------------------------------------------------------------------- */

bool reviving_is_waiting(const struct sink *sink) {
    return sink->revival != NULL && sink->revival->phase == REVIVING_STORES;
}

/* Letters of what is done, into the sink's: they go with its next store. False: no memory. */
static bool move_letters(struct sink *sink) {
    struct revival *revival = sink->revival;
    struct message **letters = calloc(REVIVED_A_PAGE, sizeof(*letters));
    size_t count = 0;
    if (letters == NULL) {
        return false;
    }
    for (size_t i = 0; i < revival->undone; i++) {
        if (revival->letters[i] != NULL) {
            letters[count++] = revival->letters[i];
            revival->letters[i] = NULL;
        }
    }
    if (count == 0) {
        free(letters);
        return true;
    }
    sink->letters = letters;
    sink->letter_count = count;
    sink->dead += count;
    sink->ledger.dead_count += count;
    return true;
}

static void store(struct sink *sink) {
    struct revival *revival = sink->revival;
    if (sink->is_storing || sink->letter_count > 0) {
        return; /* comes by again when that is done */
    }
    revival->undone = revival->next < revival->undone ? revival->next : revival->undone;
    if (!move_letters(sink)) {
        sink_expect(sink, loop_now_ms(sink->sinks->loop) + SINK_AGAIN_MS);
        return;
    }
    if (revival->undone > 0) {
        sink->ledger.dead_offset = revival->offsets[revival->undone - 1];
    }
    revival->is_last |= revival->is_last_now;
    revival->phase = REVIVING_STORES;
    sink->is_dirty = true;
}

void reviving_on_stored(struct sink *sink, bool is_stored) {
    struct revival *revival = sink->revival;
    if (!is_stored || revival == NULL || revival->phase != REVIVING_STORES) {
        return;
    }
    forget_page(revival);
    revival->phase = REVIVING_RESTS;
    if (revival->is_last) {
        reviving_end(sink);
    }
}

static void go_on_sending(struct sink *sink) {
    struct revival *revival = sink->revival;
    if (revival->count > 0) {
        send_some(sink);
    }
    bool is_sent = revival->next == revival->count || revival->is_last_now;
    if (!is_sent || revival->out > 0) {
        return;
    }
    if (revival->count == 0) {
        reviving_end(sink);
    } else {
        store(sink);
    }
}

void reviving_go_on(struct sink *sink) {
    struct revival *revival = sink->revival;
    if (revival == NULL) {
        return;
    }
    if (!sink_runs(sink)) {
        revival->is_last_now = true;
        if (revival->out == 0 && revival->phase == REVIVING_RESTS) {
            reviving_end(sink);
            return;
        }
    }
    if (revival->phase == REVIVING_RESTS && sink->driving == DRIVING_UP && sink->under_way == 0 &&
        list_is_empty(&sink->dying)) {
        ask(sink);
    } else if (revival->phase == REVIVING_SENDS) {
        go_on_sending(sink);
    }
}

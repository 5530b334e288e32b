/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/sinks.h"

#include <malloc.h>
#include <stdlib.h>

#include "broker/metrics/metrics.h"
#include "broker/runtime/commit_letter.h"
#include "broker/support/clock.h"
#include "broker/support/invariant.h"
#include "broker/support/logger.h"
#include "protocols/sinks/declaration.h"
#include "protocols/sinks/ledger_record.h"
#include "protocols/sinks/sinks_private.h"
#include "storage/storage.h"

#define END_MS 2                   /* between two looks whether all sinks have ended */
#define FREED_BYTES_MUCH 8388608   /* of messages, beside which as much else was freed */
#define FREED_BYTES_LITTLE 1048576 /* between two looks: what single probes take */
#define GIVE_BACK_MS 60000         /* between two times that it is given back */

/* --- seats ----------------------------------------------------------------------------------- */

struct sinks_seat *sinks_find(const struct sinks *sinks, struct span name) {
    struct map_node *node = map_find(&sinks->seats, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct sinks_seat, in_sinks);
}

enum error_code sinks_put_seat(struct sinks *sinks, struct span name,
                               struct sinks_seat **ret_seat) {
    struct sinks_seat *seat = sinks_find(sinks, name);
    if (seat != NULL) {
        *ret_seat = seat;
        return OK;
    }
    INVARIANT(name.length <= SINK_NAME_BYTES_MAX);
    seat = calloc(1, sizeof(*seat) + name.length + 1);
    if (seat == NULL) {
        return ERR_MEMORY;
    }
    seat->sinks = sinks;
    seat->name_length = name.length;
    memcpy(seat->name, name.bytes, name.length);
    map_put(&sinks->seats, &seat->in_sinks, span_of(seat->name, name.length));
    *ret_seat = seat;
    return OK;
}

static void destroy_seat(struct sinks_seat *seat) {
    if (seat->sinks->measured == &seat->in_sinks) {
        seat->sinks->measured = NULL;
    }
    map_remove(&seat->sinks->seats, &seat->in_sinks);
    declaration_destroy(seat->row_next);
    free(seat->record);
    free(seat);
}

void sinks_mind_seat(struct sinks_seat *seat) {
    if (seat->sink == NULL && seat->record_length == 0 && seat->declaring == 0 &&
        seat->row_next == NULL && seat->next == NULL) {
        destroy_seat(seat);
    }
}

/* Where there is no sink no commit wakes this thread. */
static void go_away(struct sinks *sinks) {
    atomic_store(&sinks->listener.is_away, true);
}

static void come_back(struct sinks *sinks) {
    struct log *log = sinks->broker->log;
    atomic_store(&sinks->listener.is_away, false);
    if (log != NULL) { /* else nothing is committed yet */
        sinks->position = log_position_readable(log);
    }
}

enum error_code sinks_seat_sink(struct sinks_seat *seat, const struct sink_row *row, bool owns_row,
                                struct error *why) {
    struct sinks *sinks = seat->sinks;
    INVARIANT(seat->sink == NULL);
    enum error_code code = sink_create(
        sinks, row, owns_row, span_of(seat->record, seat->record_length), &seat->sink, why);
    if (code != OK) {
        log_event(SINK_NOT_MADE, .sink = seat->name, .code = error_row(code)->slug,
                  .detail = why->detail);
        return code;
    }
    free(seat->record);
    seat->record = NULL;
    seat->record_length = 0;
    seat->is_configured = !owns_row;
    if (sinks->sink_count++ == 0) {
        come_back(sinks);
    }
    sink_start(seat->sink);
    return OK;
}

/* --- one sink after the other ----------------------------------------------------------------- */

/* What it knows is kept for a sink of that name that comes later. */
static void keep_record(struct sinks_seat *seat) {
    struct buffer record;
    buffer_init(&record, LEDGER_RECORD_BYTES_MAX);
    if (sink_put_ledger(seat->sink, &record) == OK) {
        seat->record = record.bytes;
        seat->record_length = record.length;
        return;
    }
    buffer_finish(&record);
}

void sinks_fill_seat(struct sinks_seat *seat) {
    struct error why = {0};
    bool is_owned = seat->next == NULL;
    const struct sink_row *next = is_owned ? seat->row_next : seat->next;
    if (next != NULL && !seat->sinks->is_ending) {
        seat->next = NULL;
        seat->row_next = is_owned ? NULL : seat->row_next;
        IGNORE_RESULT(sinks_seat_sink(seat, next, is_owned, &why)); /* it is logged */
    }
    sinks_mind_seat(seat);
}

static void on_ended(struct sink *sink) {
    struct sinks_seat *seat = sinks_find(sink_owner(sink), sink_name(sink));
    INVARIANT(seat != NULL);
    INVARIANT(seat->sink == sink);
    struct sinks *sinks = seat->sinks;
    keep_record(seat);
    sink_destroy(sink);
    seat->sink = NULL;
    if (--sinks->sink_count == 0) {
        go_away(sinks);
    }
    if (seat->is_gone) {
        struct sinks_question *question = seat->gone_question;
        seat->gone_question = NULL;
        sinks_forget(seat, question);
    } else {
        sinks_fill_seat(seat);
    }
}

void sinks_unseat(struct sinks_seat *seat, bool is_ledger_wanted) {
    sink_end(seat->sink, is_ledger_wanted, on_ended);
}

uint64_t sinks_draw(struct sinks *sinks) { /* xorshift64 (Marsaglia, 2003) */
    sinks->random ^= sinks->random << 13;
    sinks->random ^= sinks->random >> 7;
    sinks->random ^= sinks->random << 17;
    return sinks->random;
}

/* --- commits --------------------------------------------------------------------------------- */

static void each_sink(struct sinks *sinks, void (*call)(struct sink *sink)) {
    for (struct map_node *node = map_first(&sinks->seats); node != NULL;
         node = map_next(&sinks->seats, node)) {
        struct sink *sink = CONTAINER_OF(node, struct sinks_seat, in_sinks)->sink;
        if (sink != NULL) {
            call(sink);
        }
    }
}

static void skip_missed(struct sinks *sinks) {
    if (!atomic_exchange(&sinks->listener.has_missed, false)) {
        return;
    }
    uint64_t position = log_position_readable(sinks->broker->log);
    sinks->position = position > sinks->position ? position : sinks->position;
    metrics_add(sinks->metrics, METRIC_COMMITS_MISSED, 1);
    each_sink(sinks, sink_on_missed);
}

static void look_at(struct sinks *sinks, const struct commit *commit) {
    for (size_t i = 0; i < commit->count; i++) {
        struct message *message = commit->messages[i];
        if (message->place.position <= sinks->position) {
            continue;
        }
        if (message->fields.kind == MESSAGE_DATA) {
            interests_match(&sinks->interests, message, sink_on_message);
        } else if (message->fields.kind == MESSAGE_DELETE) {
            interests_match(&sinks->interests, message, sink_on_delete);
        }
    }
}

static void on_commit_delivered(struct letter *letter, void *consumer) {
    (void)consumer;
    struct commit_letter *commit_letter = CONTAINER_OF(letter, struct commit_letter, letter);
    struct commit *commit = commit_letter->commit;
    struct sinks *sinks = CONTAINER_OF(commit_letter->listener, struct sinks, listener);
    bool is_read = !sinks->is_ending || sinks->sink_count > 0;
    if (is_read && commit->position_first > sinks->position + 1) {
        skip_missed(sinks);
    }
    if (is_read && commit->position_last > sinks->position) {
        look_at(sinks, commit);
        sinks->position = commit->position_last;
    }
    commit_letter_end(commit_letter);
}

/* On the log thread. */
static void on_commit(struct log_listener *listener, struct commit *commit) {
    commit_letter_send(listener, commit, on_commit_delivered);
}

/* --- the beat -------------------------------------------------------------------------------- */

static void measure_next(struct sinks *sinks) {
    for (size_t tries = map_count(&sinks->seats); tries > 0; tries--) {
        struct map_node *node =
            sinks->measured == NULL ? NULL : map_next(&sinks->seats, sinks->measured);
        node = node == NULL ? map_first(&sinks->seats) : node;
        sinks->measured = node;
        struct sink *sink = CONTAINER_OF(node, struct sinks_seat, in_sinks)->sink;
        if (sink != NULL) {
            sink_measure(sink);
            return;
        }
    }
}

/* When a thousand endpoints go down at once, what their sinks had read and begun to send is freed
 * in pieces between what stays, and malloc() keeps it: ten times what the sinks hold. It is told to
 * give that back when much was freed and little is any more. That takes 5 ms for 25 MB, for which
 * others may wait who allocate; so it is seldom. */
static void mind_freed(struct sinks *sinks, uint64_t now_ms) {
    if (now_ms < sinks->look_at_freed_ms) {
        return;
    }
    bool is_much = sinks->freed - sinks->freed_given_back >= FREED_BYTES_MUCH;
    bool is_quiet = sinks->freed - sinks->freed_seen < FREED_BYTES_LITTLE;
    sinks->look_at_freed_ms = now_ms + SINK_MEASURE_MS;
    sinks->freed_seen = sinks->freed;
    if (is_much && is_quiet && now_ms >= sinks->give_back_ms) {
        sinks->freed_given_back = sinks->freed;
        sinks->give_back_ms = now_ms + GIVE_BACK_MS;
        IGNORE_RESULT(malloc_trim(0) != 0); /* there may have been nothing */
    }
}

/* Each sink once in SINK_MEASURE_MS, one after the other. */
static void on_beat(struct loop_timer *timer) {
    struct sinks *sinks = CONTAINER_OF(timer, struct sinks, beat);
    uint64_t now_ms = loop_now_ms(sinks->loop);
    feeders_bury(sinks);
    if (sinks->is_ending) {
        if (sinks->sink_count == 0 && sinks->declaring == 0 && feeders_are_over(sinks)) {
            loop_end(sinks->loop);
            return;
        }
        loop_arm(sinks->loop, timer, now_ms + END_MS);
        return;
    }
    skip_missed(sinks);
    measure_next(sinks);
    mind_freed(sinks, now_ms);
    uint64_t count = sinks->sink_count == 0 ? 1 : sinks->sink_count;
    uint64_t wait_ms = SINK_MEASURE_MS / count;
    loop_arm(sinks->loop, timer, now_ms + (wait_ms == 0 ? 1 : wait_ms));
}

/* --- the thread ------------------------------------------------------------------------------ */

static void on_stop(struct letter *letter, void *consumer) {
    (void)consumer;
    struct sinks *sinks = CONTAINER_OF(letter, struct sinks, stop);
    sinks->is_ending = true;
    for (struct map_node *node = map_first(&sinks->seats); node != NULL;
         node = map_next(&sinks->seats, node)) {
        struct sinks_seat *seat = CONTAINER_OF(node, struct sinks_seat, in_sinks);
        if (seat->sink != NULL && !sink_is_ending(seat->sink)) {
            sinks_unseat(seat, true);
        }
    }
    feeders_end(sinks);
    loop_arm(sinks->loop, &sinks->beat, loop_now_ms(sinks->loop));
}

static void *run(void *context) {
    struct sinks *sinks = context;
    loop_run(sinks->loop);
    atomic_store(&sinks->is_closed, true);
    while (atomic_load(&sinks->asking) > 0) { /* who asked just before: sinks_ask() */
        mailbox_deliver_all(loop_mailbox(sinks->loop), sinks->loop);
    }
    return NULL;
}

enum error_code sinks_create(struct broker *broker, struct sinks **ret_sinks, struct error *why) {
    struct sinks *sinks = calloc(1, sizeof(*sinks));
    struct hash_key key;
    if (sinks == NULL) {
        return error_set(why, ERR_MEMORY, "no memory for the sinks");
    }
    hash_key_draw(&key);
    sinks->broker = broker;
    sinks->metrics = metrics_shard(broker->metrics, METRICS_SINKS);
    sinks->random = key.words[0] | 1;
    sinks->beat.on_due = on_beat;
    sinks->stop.on_delivered = on_stop;
    sinks->follow.on_delivered = sinks_on_follow;
    sinks->listener.on_commit = on_commit;
    go_away(sinks);
    list_init(&sinks->feeders);
    list_init(&sinks->feeders_over);
    list_init(&sinks->readers);
    if (map_init(&sinks->seats) != OK) {
        free(sinks);
        return error_set(why, ERR_MEMORY, "no memory for the sinks");
    }
    if (interests_init(&sinks->interests) != OK) {
        map_finish(&sinks->seats);
        free(sinks);
        return error_set(why, ERR_MEMORY, "no memory for the sinks");
    }
    enum error_code code = loop_create(sinks->metrics, &sinks->loop, why);
    code = code != OK ? code : sinks_learn(sinks, why);
    code = code != OK ? code : feeders_learn(sinks, why);
    if (code != OK) {
        sinks_destroy(sinks);
        return code;
    }
    struct storage_state state;
    storage_get_state(broker->storage, &state);
    sinks->position = state.position_next - 1;
    sinks->listener.mailbox = loop_mailbox(sinks->loop);
    *ret_sinks = sinks;
    return OK;
}

struct log_listener *sinks_listener(struct sinks *sinks) {
    return &sinks->listener;
}

enum error_code sinks_start(struct sinks *sinks, struct error *why) {
    sinks_follow(sinks);
    loop_arm(sinks->loop, &sinks->beat, clock_monotonic_ms());
    if (pthread_create(&sinks->thread, NULL, run, sinks) != 0) {
        return error_set(why, ERR_MEMORY, "the thread of the sinks does not start");
    }
    sinks->is_started = true;
    return OK;
}

void sinks_stop(struct sinks *sinks) {
    if (sinks != NULL && sinks->is_started) {
        mailbox_put_answer(loop_mailbox(sinks->loop), &sinks->stop);
        pthread_join(sinks->thread, NULL);
        sinks->is_started = false;
    }
}

/* Sinks that are still there were never started. */
void sinks_destroy(struct sinks *sinks) {
    if (sinks == NULL) {
        return;
    }
    if (sinks->loop != NULL) { /* commits that came meanwhile */
        mailbox_deliver_all(loop_mailbox(sinks->loop), sinks->loop);
        loop_disarm(sinks->loop, &sinks->beat);
    }
    struct map_node *node;
    while ((node = map_first(&sinks->seats)) != NULL) {
        struct sinks_seat *seat = CONTAINER_OF(node, struct sinks_seat, in_sinks);
        sink_abort(seat->sink);
        seat->sink = NULL;
        destroy_seat(seat);
    }
    feeders_destroy(sinks);
    loop_destroy(sinks->loop);
    interests_finish(&sinks->interests);
    map_finish(&sinks->seats);
    free(sinks);
}

void sinks_reload(struct sinks *sinks) {
    if (!atomic_exchange(&sinks->is_follow_sent, true)) {
        mailbox_put_answer(loop_mailbox(sinks->loop), &sinks->follow); /* one: it has room */
    }
}

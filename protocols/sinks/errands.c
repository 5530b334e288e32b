/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator asks of one sink. Each is answered when what it changed is stored. */
#include <stdlib.h>

#include "broker/support/clock.h"
#include "protocols/sinks/sink_private.h"

#define TEST_BYTES 256

/* --- pause and resume ------------------------------------------------------------------------ */

void sink_pause(struct sink *sink, struct sinks_question *question) {
    if (sink->ledger.halt == LEDGER_DISABLED) {
        sinks_answer_with(sink->sinks, question, ERR_CONFLICT, "the sink is disabled");
        return;
    }
    sink->ledger.halt = LEDGER_PAUSED;
    storing_ask(sink, question);
}

void sink_resume(struct sink *sink, struct sinks_question *question) {
    if (sink->row->is_paused && !sink->owns_row) {
        sinks_answer_with(sink->sinks, question, ERR_CONFLICT,
                          "the configuration pauses the sink: take `paused` out of it");
        return;
    }
    bool was_still = !sink_runs(sink);
    sink->is_paused_by_row = false;
    sink->ledger.halt = LEDGER_RUNS;
    sink->ledger.reason[0] = '\0';
    sink->ledger.failing_since_ms = 0;
    ledger_forgive(&sink->ledger);
    breaker_init(&sink->breaker);
    sink->down_count = 0;
    sink->rest_until_ms = 0;
    sink->restart_ms = 0;
    if (!was_still) { /* what waits for its time is read again, and goes at once */
        sink_clear(sink);
    }
    storing_ask(sink, question);
}

/* --- replay ---------------------------------------------------------------------------------- */

void sink_replay(struct sink *sink, struct sinks_question *question) {
    bool is_single = sink->selector_count == 1 && !sink->selectors[0].is_pattern;
    if (sink->turn_question != NULL || sink->revival != NULL) {
        sinks_answer_with(sink->sinks, question, ERR_CONFLICT, "a replay is under way");
    } else if (question->is_dead_letters && !sink_runs(sink)) {
        sinks_answer_with(sink->sinks, question, ERR_CONFLICT, "the sink does not run: resume it");
    } else if (question->is_dead_letters) {
        reviving_begin(sink, question);
    } else if (question->since.kind == SINCE_OFFSET && !is_single) {
        sinks_answer_with(sink->sinks, question, ERR_BAD_SINCE,
                          "an offset counts in one channel; start at an id or a time");
    } else {
        sink->turn_question = question;
        sink->is_turning = true;
        sink_clear(sink);
        sink_wake(sink);
    }
}

/* Nothing is under way any more: the sink is as one that begins, but for what it counted. */
static void turn(struct sink *sink) {
    sink->start = sink->turn_question->since;
    sink->course_next = sink->ledger.course + 1;
    sink->is_beginning = true;
    sink->is_turning = false;
    sink->news_position = 0;
    sink->gap_position = 0;
    sink->rest_until_ms = 0;
    sink_clear(sink);
}

static void mind_turn(struct sink *sink) {
    struct sinks_question *question = sink->turn_question;
    if (question == NULL) {
        return;
    }
    if (sink->on_ended != NULL) {
        sink->turn_question = NULL;
        sink->is_turning = false;
        sinks_answer_with(sink->sinks, question, ERR_DRAINING, "the sink was stopped meanwhile");
        return;
    }
    bool is_quiet = sink->under_way == 0 && list_is_empty(&sink->dying);
    if (sink->is_turning && is_quiet) {
        turn(sink);
    }
    if (!sink->is_turning && !sink->is_beginning) { /* the first page said where it begins */
        sink->turn_question = NULL;
        storing_ask(sink, question);
    }
}

/* --- a test ---------------------------------------------------------------------------------- */

/* The first channel that is none of many. */
static struct span find_channel(const struct sink *sink) {
    for (size_t i = 0; i < sink->selector_count; i++) {
        if (!sink->selectors[i].is_pattern) {
            return sink->selectors[i].text;
        }
    }
    return SPAN("test");
}

/* NULL: out of memory. */
static struct message *make_message(const struct sink *sink) {
    char data[TEST_BYTES];
    char now[CLOCK_RFC3339_BYTES];
    uint64_t now_ms = clock_wall_ms();
    struct log *log = sink->sinks->broker->log;
    clock_format_rfc3339(now_ms, now);
    int length = snprintf(data, sizeof(data), "{\"test\":true,\"sink\":\"%s\",\"time\":\"%s\"}",
                          sink->row->name, now);
    struct message *message =
        message_create(&(struct message_fields){.kind = MESSAGE_DATA,
                                                .payload_kind = PAYLOAD_JSON,
                                                .channel = find_channel(sink),
                                                .event = SPAN("test"),
                                                .payload = span_of(data, (size_t)length)});
    struct place place = {.log_id = log_id(log),
                          .generation = log_generation(log),
                          .position = log_position_readable(log) + 1};
    if (message != NULL) {
        message_order(message, &place, now_ms);
    }
    return message;
}

void sink_test(struct sink *sink, struct sinks_question *question) {
    if (sink->test_question != NULL) {
        sinks_answer_with(sink->sinks, question, ERR_CONFLICT, "a test is under way");
        return;
    }
    sink->test_question = question;
    question->took_us = clock_monotonic_us();
    sink->restart_ms = 0; /* a driver that is down is tried at once */
    sink_wake(sink);
}

static void ship_test(struct sink *sink) {
    struct parcel *parcel = parcel_create(sink, PARCEL_TEST, 1);
    struct message *message = parcel == NULL ? NULL : make_message(sink);
    if (message == NULL) {
        free(parcel);
        struct sinks_question *question = sink->test_question;
        sink->test_question = NULL;
        sinks_answer_with(sink->sinks, question, ERR_MEMORY, "no memory for a test");
        return;
    }
    parcel->messages[0] = message;
    parcel->shipment.bytes = message->fields.payload.length;
    snprintf(parcel->shipment.id, sizeof(parcel->shipment.id), "test_%016llx",
             (unsigned long long)sinks_draw(sink->sinks));
    sink->test = parcel;
    parcel_ship(parcel);
    if (sink->driver->flush != NULL && sink->driving == DRIVING_UP) {
        sink->driver->flush(sink->driver_state);
    }
}

void errands_on_test_settled(struct sink *sink, const struct verdict *verdict) {
    struct sinks_question *question = sink->test_question;
    struct parcel *parcel = sink->test;
    if (parcel != NULL) {
        message_unref(parcel->messages[0]);
        parcel_destroy(parcel);
        sink->test = NULL;
    }
    sink->test_question = NULL;
    sink_wake(sink);
    if (question != NULL) {
        question->verdict = *verdict;
        question->took_us = clock_monotonic_us() - question->took_us;
        sinks_answer_with(sink->sinks, question, OK, "");
    }
}

static void mind_test(struct sink *sink) {
    if (sink->test_question == NULL || sink->test != NULL) {
        return;
    }
    if (sink->on_ended != NULL) {
        struct sinks_question *question = sink->test_question;
        sink->test_question = NULL;
        sinks_answer_with(sink->sinks, question, ERR_DRAINING, "the sink was stopped meanwhile");
    } else if (sink->driving == DRIVING_UP) {
        ship_test(sink);
    }
}

void errands_go_on(struct sink *sink) {
    mind_turn(sink);
    mind_test(sink);
}

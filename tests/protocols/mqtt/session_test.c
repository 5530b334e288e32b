/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/mqtt/session.h"

#include <stdlib.h>

#include "broker/limits.h"
#include "storage/storage.h"
#include "tests/unit.h"

static const struct place HERE = {
    .log_id = 77, .generation = 2, .position = 1000, .channel_id = 9, .offset = 12};

static void add_filter(struct session *session, const char *text,
                       const struct filter_options *options) {
    struct filter *filter = NULL;
    EXPECT_EQ(filter_create(span_of_string(text), (struct span){0}, options, &filter, NULL), OK);
    EXPECT_EQ(filters_put(&session->filters, filter), OK);
}

static struct inflight_entry *add_entry(struct session *session, uint64_t position, uint8_t qos,
                                        enum inflight_state state) {
    struct inflight_entry entry = {.position = position, .state = (uint8_t)state, .qos = qos};
    EXPECT_EQ(inflight_reserve(&session->inflight, 1), OK);
    entry.packet_id = inflight_next_id(&session->inflight);
    return inflight_put(&session->inflight, &entry);
}

static struct session *sample(void) {
    struct session *session = session_create();
    EXPECT_NOT_NULL(session);
    session->place = HERE;
    add_filter(session, "a/+",
               &(struct filter_options){.kind = FILTER_LOG,
                                        .qos = 2,
                                        .start = 40,
                                        .identifier = 268435455,
                                        .is_no_local = true,
                                        .asks_offset = true,
                                        .retained_boundary = 39,
                                        .retained_after = 8,
                                        .on_lag = ON_LAG_CONFLATE});
    add_filter(session, "$share/g/b/#",
               &(struct filter_options){
                   .kind = FILTER_SHARED, .qos = 1, .is_retained_as_published = true});
    add_entry(session, 990, 1, INFLIGHT_SENT);
    add_entry(session, 991, 2, INFLIGHT_RELEASED);
    add_entry(session, 3, 1, INFLIGHT_SENT)->is_retained = true;
    EXPECT_EQ(session_note_received(session, 65535), OK);
    EXPECT_EQ(session_note_received(session, 1), OK);
    return session;
}

static struct buffer encode(const struct session *session) {
    struct buffer state;
    buffer_init(&state, SESSION_STATE_BYTES_MAX);
    EXPECT_EQ(session_encode(session, &state), OK);
    return state;
}

/* The state bytes that a step appends: what the storage does with its command. */
static void append(struct buffer *state, struct message *step) {
    EXPECT_NOT_NULL(step);
    EXPECT_EQ(step->fields.kind, MESSAGE_COMMAND);
    struct span payload = step->fields.payload;
    size_t head = 3; /* the command's own */
    EXPECT_EQ(buffer_put(state, span_of(payload.bytes + head, payload.length - head)), OK);
    message_unref(step);
}

static struct session *decode(const struct buffer *state) {
    struct session *session = NULL;
    EXPECT_EQ(session_decode(buffer_borrow(state), (struct span){0}, &session, NULL), OK);
    return session;
}

TEST(a_session_survives_its_bytes) {
    struct session *session = sample();
    struct buffer state = encode(session);
    struct session *again = decode(&state);
    EXPECT_EQ(again->place.log_id, HERE.log_id);
    EXPECT_EQ(again->place.generation, HERE.generation);
    EXPECT_EQ(again->place.position, HERE.position);
    EXPECT_EQ(again->place.channel_id, HERE.channel_id);
    EXPECT_EQ(again->place.offset, HERE.offset);
    EXPECT_EQ(again->filters.count, 2);
    const struct filter *filter = filters_find(&again->filters, SPAN("a/+"));
    EXPECT_EQ(filter->options.start, 40);
    EXPECT_EQ(filter->options.identifier, 268435455);
    EXPECT_EQ(filter->options.kind, FILTER_LOG);
    EXPECT_EQ(filter->options.qos, 2);
    EXPECT_EQ(filter->options.on_lag, ON_LAG_CONFLATE);
    EXPECT_TRUE(filter->options.is_no_local);
    EXPECT_TRUE(filter->options.asks_offset);
    EXPECT_FALSE(filter->options.is_retained_as_published);
    EXPECT_EQ(filter->options.retained_boundary, 39);
    EXPECT_EQ(filter->options.retained_after, 8);
    filter = filters_find(&again->filters, SPAN("$share/g/b/#"));
    EXPECT_TRUE(span_is_equal(filter_pattern(filter), SPAN("b/**")));
    EXPECT_TRUE(filter->options.is_retained_as_published);
    EXPECT_EQ(again->inflight.count, 3);
    EXPECT_EQ(inflight_find(&again->inflight, 2)->state, INFLIGHT_RELEASED);
    EXPECT_TRUE(inflight_find(&again->inflight, 3)->is_retained);
    EXPECT_EQ(inflight_next_id(&again->inflight), 4);
    EXPECT_TRUE(session_has_received(again, 65535));
    EXPECT_TRUE(session_has_received(again, 1));
    EXPECT_FALSE(session_has_received(again, 2));
    session_destroy(again);
    session_destroy(session);
    buffer_finish(&state);
}

TEST(received_ids_are_steps) {
    struct session *session = session_create();
    struct buffer state = encode(session);
    append(&state, session_step_received(SPAN("me"), 5));
    append(&state, session_step_received(SPAN("me"), 6));
    append(&state, session_step_received(SPAN("me"), 6));
    append(&state, session_step_released(SPAN("me"), 5));
    struct session *again = decode(&state);
    EXPECT_EQ(session_received_count(again), 1);
    EXPECT_TRUE(session_has_received(again, 6));
    session_destroy(again);
    session_destroy(session);
    buffer_finish(&state);
}

/* Whatever a step of QoS 2 says to have been sent is never sent as a new message again. */
TEST(a_step_of_what_was_sent_moves_the_place) {
    struct session *session = session_create();
    struct buffer state = encode(session);
    add_entry(session, 10, 1, INFLIGHT_SENT);
    add_entry(session, 11, 2, INFLIGHT_WAITING);
    struct place place = {.log_id = 77, .generation = 1, .position = 12};
    append(&state, session_step_sent(session, SPAN("me"), &place));
    uint16_t packet_id = 2;
    append(&state, session_step_completed(session, SPAN("me"), &packet_id, 1));
    struct session *again = decode(&state);
    EXPECT_EQ(again->place.position, 12);
    EXPECT_EQ(again->inflight.count, 2);
    EXPECT_EQ(inflight_find(&again->inflight, 1)->position, 10);
    EXPECT_EQ(inflight_find(&again->inflight, 2)->state, INFLIGHT_RELEASED);
    session_destroy(again);
    session_destroy(session);
    buffer_finish(&state);
}

TEST(a_step_of_retained_messages_moves_their_filter) {
    struct session *session = sample();
    struct buffer state = encode(session);
    struct inflight_entry *entry = add_entry(session, 12, 2, INFLIGHT_WAITING);
    entry->is_retained = true;
    append(&state, session_step_swept(session, SPAN("me"), SPAN("a/+"), 30));
    append(&state, session_step_swept(session, SPAN("me"), SPAN("of nobody"), 31));
    struct session *again = decode(&state);
    const struct filter *filter = filters_find(&again->filters, SPAN("a/+"));
    EXPECT_EQ(filter->options.retained_boundary, 39);
    EXPECT_EQ(filter->options.retained_after, 30);
    EXPECT_EQ(again->place.position, HERE.position);
    EXPECT_EQ(inflight_find(&again->inflight, 4)->position, 12);
    EXPECT_TRUE(inflight_find(&again->inflight, 4)->is_retained);
    session_destroy(again);
    session_destroy(session);
    buffer_finish(&state);
}

TEST(a_step_says_what_no_step_said_before) {
    struct session *session = session_create();
    struct place place = {.position = 12};
    add_entry(session, 11, 2, INFLIGHT_WAITING);
    struct message *first = session_step_sent(session, SPAN("me"), &place);
    struct message *second = session_step_sent(session, SPAN("me"), &place); /* the log was busy */
    EXPECT_EQ(second->fields.payload.length, first->fields.payload.length);
    session_note_told(session);
    struct message *third = session_step_sent(session, SPAN("me"), &place);
    EXPECT_TRUE(third->fields.payload.length < first->fields.payload.length);
    message_unref(first);
    message_unref(second);
    message_unref(third);
    session_destroy(session);
}

TEST(an_id_that_is_given_again_ends_its_older_entry) {
    struct session *session = session_create();
    add_entry(session, 11, 2, INFLIGHT_SENT);
    struct buffer state = encode(session);
    inflight_finish(&session->inflight);
    add_entry(session, 500, 2, INFLIGHT_WAITING);
    append(&state, session_step_sent(session, SPAN("me"), &HERE));
    struct session *again = decode(&state);
    EXPECT_EQ(again->inflight.count, 1);
    EXPECT_EQ(inflight_find(&again->inflight, 1)->position, 500);
    session_destroy(again);
    session_destroy(session);
    buffer_finish(&state);
}

/* It has an id and lies behind the place: it comes again by itself, with another id. */
TEST(what_waits_untold_is_not_kept) {
    struct session *session = session_create();
    add_entry(session, 11, 1, INFLIGHT_WAITING);
    struct buffer state = encode(session);
    struct session *again = decode(&state);
    EXPECT_EQ(again->inflight.count, 0);
    session_destroy(again);
    session_destroy(session);
    buffer_finish(&state);
}

TEST(entries_of_a_group_end_with_the_connection) {
    struct session *session = session_create();
    add_entry(session, 11, 1, INFLIGHT_SENT)->share = 1;
    struct buffer state = encode(session);
    struct session *again = decode(&state);
    EXPECT_EQ(again->inflight.count, 0);
    session_destroy(again);
    session_destroy(session);
    buffer_finish(&state);
}

TEST(no_part_of_a_session_is_taken_for_one) {
    struct session *session = sample();
    struct buffer state = encode(session);
    for (size_t length = 0; length < state.length; length++) {
        struct session *again = NULL;
        uint8_t *cut = malloc(length + 1); /* on the heap, so that reading on is noticed */
        memcpy(cut, state.bytes, length);
        enum error_code code = session_decode(span_of(cut, length), (struct span){0}, &again, NULL);
        EXPECT_TRUE(code == ERR_CORRUPT || length == 1);
        session_destroy(again);
        free(cut);
    }
    session_destroy(session);
    buffer_finish(&state);
}

TEST(damage_is_refused_and_never_followed) {
    struct session *session = sample();
    struct buffer state = encode(session);
    for (size_t at = 0; at < state.length; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct session *again = NULL;
            state.bytes[at] ^= (uint8_t)(1u << bit);
            if (session_decode(buffer_borrow(&state), (struct span){0}, &again, NULL) == OK) {
                session_destroy(again);
            }
            state.bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
    session_destroy(session);
    buffer_finish(&state);
}

TEST(a_later_version_is_told_apart) {
    struct session *again = NULL;
    struct error why = {0};
    EXPECT_EQ(session_decode(SPAN("\002"), (struct span){0}, &again, &why), ERR_DATA_VERSION);
    EXPECT_EQ(session_decode(SPAN("\001\011\0\0\0\0"), (struct span){0}, &again, &why),
              ERR_CORRUPT);
}

UNIT_TESTS(UNIT(a_session_survives_its_bytes), UNIT(received_ids_are_steps),
           UNIT(a_step_of_what_was_sent_moves_the_place),
           UNIT(a_step_of_retained_messages_moves_their_filter),
           UNIT(a_step_says_what_no_step_said_before),
           UNIT(an_id_that_is_given_again_ends_its_older_entry),
           UNIT(what_waits_untold_is_not_kept), UNIT(entries_of_a_group_end_with_the_connection),
           UNIT(no_part_of_a_session_is_taken_for_one), UNIT(damage_is_refused_and_never_followed),
           UNIT(a_later_version_is_told_apart))

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/connection.h"

#include "broker/admission/identity.h"
#include "broker/limits.h"
#include "tests/broker/runtime/inn.h"

#define EXPECT_SENT(text) EXPECT_SPAN(span_of(inn.sent, inn.guests[0].sent), text)

/* --- claims: sending -------------------------------------------------------------------------- */

TEST(what_is_sent_is_what_the_socket_takes_and_the_rest_is_the_callers) {
    struct guest *guest = inn_come();
    guest->room = 3;
    EXPECT_EQ(connection_send(guest->connection, SPAN("abcde")), 3);
    EXPECT_TRUE(connection_is_blocked(guest->connection));
    EXPECT_EQ(connection_kept_bytes(guest->connection), 0);
    EXPECT_EQ(connection_send(guest->connection, SPAN("de")), 0);
    guest_make_room(guest, 10);
    EXPECT_EQ(guest->writable_count, 1);
    EXPECT_EQ(connection_send(guest->connection, SPAN("de")), 2);
    EXPECT_EQ(connection_bytes_sent(guest->connection), 5);
    EXPECT_SENT("abcde");
}

TEST(the_rest_of_a_cut_frame_goes_out_before_anything_else) {
    struct guest *guest = inn_come();
    connection_keep(guest->connection, SPAN("abc"));
    EXPECT_TRUE(guest->is_wanted);
    guest->room = 100;
    EXPECT_EQ(connection_send(guest->connection, SPAN("x")), 0);
    guest_say(guest, "def");
    EXPECT_EQ(guest->sent, 0);
    guest->room = 0;
    guest_make_room(guest, 4);
    EXPECT_EQ(guest->writable_count, 0);
    EXPECT_EQ(connection_kept_bytes(guest->connection), 2);
    guest_make_room(guest, 2);
    EXPECT_EQ(guest->writable_count, 1);
    EXPECT_FALSE(connection_is_blocked(guest->connection));
    EXPECT_SENT("abcdef");
}

static struct buffer buffer_of(const char *text) {
    struct buffer buffer;
    buffer_init(&buffer, 100);
    assert_int_equal(buffer_put(&buffer, span_of_string(text)), OK);
    return buffer;
}

/* What its giver changes in it meanwhile is sent as it is then: so it was not copied. */
TEST(what_is_given_is_kept_where_it_is) {
    struct guest *guest = inn_come();
    struct buffer given = buffer_of("abcde");
    uint8_t *memory = given.bytes;
    guest->room = 2;
    connection_give(guest->connection, &given);
    EXPECT_TRUE(given.bytes == NULL);
    EXPECT_EQ(connection_kept_bytes(guest->connection), 3);
    memory[4] = 'E';
    given = buffer_of("fgh");
    connection_give(guest->connection, &given); /* behind it */
    EXPECT_TRUE(given.bytes == NULL);
    guest_make_room(guest, 4);
    EXPECT_EQ(connection_kept_bytes(guest->connection), 2);
    guest_make_room(guest, 100);
    EXPECT_EQ(guest->writable_count, 1);
    given = buffer_of("ij");
    connection_give(guest->connection, &given);
    EXPECT_TRUE(given.bytes == NULL);
    EXPECT_EQ(connection_kept_bytes(guest->connection), 0);
    EXPECT_SENT("abcdEfghij");
}

TEST(what_is_given_to_one_that_ends_is_freed) {
    struct guest *guest = inn_come();
    struct buffer given = buffer_of("abcde");
    inn.budget.limit_bytes = 3;
    connection_give(guest->connection, &given); /* no memory for the rest */
    EXPECT_TRUE(given.bytes == NULL);
    guest_expect_closed(guest, CLOSE_MEMORY);
    inn.budget.limit_bytes = UINT64_MAX;
    struct guest *poor = inn_come();
    given = buffer_of("abcde");
    inn.is_memory_short = true;
    connection_give(poor->connection, &given);
    inn.is_memory_short = false;
    EXPECT_TRUE(given.bytes == NULL);
    guest_expect_closed(poor, CLOSE_MEMORY);
    struct guest *broken = inn_come();
    broken->is_broken = true;
    given = buffer_of("abcde");
    connection_give(broken->connection, &given);
    EXPECT_TRUE(given.bytes == NULL);
    guest_expect_closed(broken, CLOSE_PEER_GONE);
}

/* A stream of bytes that count, in pieces of any size, through a socket that takes any number. */
TEST(bytes_leave_whole_and_in_order_however_the_socket_takes_them) {
    static uint8_t all[SENT_MAX];
    struct guest *guest = inn_come();
    uint32_t chance = 1;
    size_t given = 0;
    for (size_t i = 0; i < SENT_MAX; i++) {
        all[i] = (uint8_t)(i * 31 + i / 256);
    }
    while (given < SENT_MAX - 1000) {
        chance = chance * 1103515245 + 12345;
        size_t length = chance >> 16 & 511;
        struct span piece = span_of(all + given, length);
        if (chance >> 28 < 5) {
            guest_make_room(guest, length * 2);
        } else if (chance >> 28 < 10 || connection_is_blocked(guest->connection)) {
            connection_write(guest->connection, piece);
            given += length;
        } else {
            size_t sent = connection_send(guest->connection, piece);
            if (sent < length) {
                connection_keep(guest->connection, span_of(piece.bytes + sent, length - sent));
            }
            given += length;
        }
    }
    guest_make_room(guest, SENT_MAX);
    EXPECT_EQ(guest->sent, given);
    assert_memory_equal(inn.sent, all, given);
    EXPECT_EQ(connection_bytes_sent(guest->connection), given);
}

TEST(who_finds_no_memory_for_a_rest_is_let_go) {
    struct guest *guest = inn_come();
    inn.budget.limit_bytes = 5;
    connection_keep(guest->connection, SPAN("abcde"));
    guest_expect_open(guest);
    guest_say(guest, "f");
    EXPECT_EQ(inn.limit, METRICS_LIMIT_MEMORY);
    EXPECT_EQ(inn.limit_count, 1);
    EXPECT_EQ(metrics_sum(inn.broker.metrics, METRIC_MEMORY_SHED, METRICS_PROTOCOL_HTTP), 1);
    guest_expect_closed(guest, CLOSE_MEMORY);
    inn.budget.limit_bytes = UINT64_MAX;
    struct guest *other = inn_come();
    inn.is_memory_short = true;
    connection_keep(other->connection, SPAN("a"));
    inn.is_memory_short = false;
    guest_expect_closed(other, CLOSE_MEMORY);
}

TEST(a_broken_socket_ends_its_connection) {
    struct guest *guest = inn_come();
    guest->is_broken = true;
    EXPECT_EQ(connection_send(guest->connection, SPAN("a")), 0);
    guest_say(guest, "b");
    EXPECT_EQ(connection_kept_bytes(guest->connection), 0);
    guest_expect_closed(guest, CLOSE_PEER_GONE);
    struct guest *other = inn_come();
    other->is_broken = true;
    guest_say(other, "a");
    EXPECT_EQ(connection_kept_bytes(other->connection), 0);
    guest_expect_closed(other, CLOSE_PEER_GONE);
    struct guest *kept = inn_come();
    guest_say(kept, "a");
    kept->is_broken = true;
    guest_make_room(kept, 1);
    EXPECT_EQ(kept->writable_count, 0);
    guest_expect_closed(kept, CLOSE_PEER_GONE);
    struct guest *silent = inn_come();
    connection_socket_calls.on_broken(silent->socket);
    guest_expect_closed(silent, CLOSE_PEER_GONE);
}

/* --- claims: the end -------------------------------------------------------------------------- */

TEST(what_is_kept_goes_out_before_the_end_and_the_peer_may_read_it) {
    struct guest *guest = inn_come();
    guest_say(guest, "goodbye");
    connection_close(guest->connection, CLOSE_REPLIED);
    guest_say(guest, "nothing more");
    EXPECT_TRUE(connection_is_closing(guest->connection));
    connection_socket_calls.on_ended(guest->socket); /* his own side */
    guest_make_room(guest, 4);
    EXPECT_FALSE(guest->is_shut);
    guest_make_room(guest, 100);
    EXPECT_SENT("goodbye");
    EXPECT_TRUE(guest->is_shut);
    EXPECT_EQ(guest->writable_count, 0);
    connection_socket_calls.on_bytes(guest->socket, SPAN("late"));
    EXPECT_EQ(guest->bytes_count, 0);
    guest_expect_open(guest);
    connection_socket_calls.on_ended(guest->socket);
    guest_expect_closed(guest, CLOSE_REPLIED);
}

TEST(a_record_of_tls_goes_out_before_the_end_too) {
    struct guest *guest = inn_come();
    guest->kept = 1;
    connection_close(guest->connection, CLOSE_REPLIED);
    EXPECT_FALSE(guest->is_shut);
    guest_make_room(guest, 100);
    EXPECT_FALSE(guest->is_shut);
    EXPECT_EQ(guest->writable_count, 0);
    guest->kept = 0;
    guest_make_room(guest, 0);
    EXPECT_TRUE(guest->is_shut);
}

TEST(with_nothing_kept_it_is_shut_at_once_and_read_until_the_peer_has_gone) {
    struct guest *guest = inn_come();
    connection_pause_reading(guest->connection);
    connection_close(guest->connection, CLOSE_IDLE);
    EXPECT_TRUE(guest->is_shut);
    EXPECT_FALSE(guest->socket->is_paused);
    guest_expect_open(guest);
    struct guest *gone = inn_come();
    gone->socket->has_ended = true;
    connection_close(gone->connection, CLOSE_IDLE);
    guest_expect_closed(gone, CLOSE_IDLE);
}

TEST(a_peer_that_takes_nothing_or_does_not_go_is_cut_off) {
    struct guest *stalled = inn_come();
    struct guest *lingering = inn_come();
    guest_say(stalled, "goodbye");
    connection_close(stalled->connection, CLOSE_IDLE);
    connection_close(lingering->connection, CLOSE_REPLIED);
    connection_set_deadline(lingering->connection, NOW_MS + 10 * CLOSE_TIMEOUT_MS);
    connection_set_deadline(stalled->connection, 0); /* it is the end's */
    inn_pass(CLOSE_TIMEOUT_MS / 2);
    guest_expect_open(stalled);
    guest_expect_open(lingering);
    inn_pass(CLOSE_TIMEOUT_MS);
    EXPECT_EQ(stalled->deadline_count + lingering->deadline_count, 0);
    EXPECT_EQ(lingering->closed_count, 0);
    guest_expect_closed(stalled, CLOSE_IDLE);
    EXPECT_EQ(lingering->closed_count, 1);
    EXPECT_EQ(lingering->reason, CLOSE_REPLIED);
}

TEST(the_first_reason_is_the_reason_and_it_ends_once) {
    struct guest *guest = inn_come();
    connection_close(guest->connection, CLOSE_IDLE);
    connection_close(guest->connection, CLOSE_TOO_BIG);
    connection_abort(guest->connection, CLOSE_OPERATOR);
    connection_abort(guest->connection, CLOSE_INTERNAL);
    connection_socket_calls.on_broken(guest->socket);
    guest_expect_closed(guest, CLOSE_IDLE);
    EXPECT_EQ(inn.gone_count, 3); /* the walks that may stand at it */
    EXPECT_EQ(
        metrics_sum(inn.broker.metrics, METRIC_CONNECTIONS_CLOSED,
                    METRICS_PAIR(METRIC_CONNECTIONS_CLOSED, METRICS_PROTOCOL_HTTP, CLOSE_IDLE)),
        1);
}

TEST(an_aborted_one_sends_and_hears_nothing_more) {
    struct guest *guest = inn_come();
    guest_say(guest, "kept");
    connection_abort(guest->connection, CLOSE_STALLED);
    guest->is_wanted = false;
    connection_want_writable(guest->connection);
    EXPECT_FALSE(guest->is_wanted);
    guest_make_room(guest, 100);
    connection_socket_calls.on_bytes(guest->socket, SPAN("late"));
    EXPECT_EQ(guest->sent + guest->bytes_count + guest->writable_count, 0);
    guest_expect_closed(guest, CLOSE_STALLED);
    struct guest *other = inn_come();
    connection_abort(other->connection, CLOSE_IDLE);
    connection_keep(other->connection, SPAN("rest"));
    EXPECT_EQ(connection_kept_bytes(other->connection), 0);
    EXPECT_FALSE(other->is_wanted);
}

TEST(a_protocol_with_words_says_goodbye_and_one_without_is_closed) {
    struct guest *guest = inn_come();
    struct guest *other = inn_come();
    connection_set_protocol(other->connection, &guest_wordless, other);
    EXPECT_STRING(connection_protocol_name(other->connection), "sse");
    connection_dismiss(guest->connection, CLOSE_REVOKED);
    connection_dismiss(guest->connection, CLOSE_OPERATOR);
    EXPECT_EQ(guest->dismissed_count, 1);
    EXPECT_EQ(guest->reason, CLOSE_REVOKED);
    connection_dismiss(other->connection, CLOSE_OPERATOR);
    EXPECT_TRUE(other->is_shut);
    connection_socket_calls.on_ended(other->socket);
    guest_expect_closed(other, CLOSE_OPERATOR);
}

/* --- claims: what comes ----------------------------------------------------------------------- */

TEST(a_deadline_comes_once_and_can_be_moved_or_taken_away) {
    struct guest *guest = inn_come();
    connection_set_deadline(guest->connection, NOW_MS + 1000);
    connection_set_deadline(guest->connection, NOW_MS + 3000);
    inn_pass(2000);
    EXPECT_EQ(guest->deadline_count, 0);
    inn_pass(2000);
    inn_pass(2000);
    EXPECT_EQ(guest->deadline_count, 1);
    connection_set_deadline(guest->connection, NOW_MS + 7000);
    connection_set_deadline(guest->connection, 0);
    inn_pass(9000);
    EXPECT_EQ(guest->deadline_count, 1);
}

TEST(one_that_cannot_be_had_leaves_nothing_behind) {
    inn.entering = ERR_FULL;
    EXPECT_EQ(inn_try(), ERR_FULL);
    inn.entering = OK;
    inn.is_memory_short = true;
    EXPECT_EQ(inn_try(), ERR_MEMORY);
    inn.is_memory_short = false;
    inn.is_socket_refused = true;
    EXPECT_EQ(inn_try(), ERR_MEMORY);
    inn.is_socket_refused = false;
    EXPECT_EQ(inn.entered_count, 0);
    EXPECT_EQ(inn.broker.connection_count, 0);
    inn.is_guest_refused = true;
    guest_expect_closed(inn_come(), CLOSE_MEMORY);
}

TEST(those_that_have_said_nothing_have_a_share_and_the_oldest_of_them_makes_room) {
    inn.config.connections_max = (uint64_t)OPENING_SHARE * (OPENING_MIN + 4);
    struct guest *settled = inn_come();
    connection_settle(settled->connection);
    connection_settle(settled->connection);
    for (size_t i = 0; i < OPENING_MIN + 4; i++) {
        inn_come();
    }
    EXPECT_EQ(inn.limit_count, 0);
    inn_come();
    EXPECT_EQ(inn.limit_count, 1);
    EXPECT_EQ(inn.limit, METRICS_LIMIT_OPENING);
    guest_expect_closed(settled + 1, CLOSE_TOO_MANY);
    guest_expect_open(settled);
    guest_expect_open(settled + 2);
    EXPECT_EQ(inn.worker.opening_count, OPENING_MIN + 4);
}

TEST(a_worker_has_a_few_that_have_said_nothing_however_small_its_share) {
    inn.config.connections_max = OPENING_MIN + 4;
    for (size_t i = 0; i < OPENING_MIN; i++) {
        inn_come();
    }
    EXPECT_EQ(inn.limit_count, 0);
    inn_come();
    guest_expect_closed(&inn.guests[0], CLOSE_TOO_MANY);
}

TEST(where_all_places_are_taken_one_that_has_said_nothing_goes_and_nobody_else) {
    inn.config.connections_max = 2;
    struct guest *settled = inn_come();
    connection_settle(settled->connection);
    struct guest *silent = inn_come();
    struct guest *young = inn_come();
    guest_expect_closed(silent, CLOSE_TOO_MANY);
    connection_settle(young->connection);
    inn_come();
    guest_expect_open(settled);
    guest_expect_open(young);
}

TEST(who_is_revoked_behind_a_walk_does_not_slip_through) {
    struct identity alice = {.facts = {.kind = IDENTITY_TOKEN}};
    struct guest *guest = inn_come();
    EXPECT_EQ(connection_admit(guest->connection, &alice, NULL), OK);
    EXPECT_TRUE(connection_identity(guest->connection) == &alice);
    EXPECT_EQ(inn.gone_count, 0);
    inn.must_go = true;
    EXPECT_EQ(connection_admit(guest->connection, &alice, NULL), OK);
    EXPECT_EQ(inn.gone_count, 1);
    inn.must_go = false;
    EXPECT_EQ(connection_admit(inn_come()->connection, &alice, NULL), OK); /* and goes with that */
    connection_forget_identity(guest->connection);
    EXPECT_NULL(connection_identity(guest->connection));
}

TEST(who_is_not_admitted_stays_who_it_was) {
    struct identity alice = {.facts = {.kind = IDENTITY_TOKEN}}, bob = alice;
    struct guest *guest = inn_come();
    inn.is_memory_short = true;
    EXPECT_EQ(connection_admit(guest->connection, &alice, NULL), ERR_MEMORY);
    inn.is_memory_short = false;
    EXPECT_NULL(connection_identity(guest->connection));
    EXPECT_EQ(connection_admit(guest->connection, &alice, NULL), OK);
    inn.is_memory_short = true;
    EXPECT_EQ(connection_admit(guest->connection, &bob, NULL), ERR_MEMORY);
    inn.is_memory_short = false;
    EXPECT_TRUE(connection_identity(guest->connection) == &alice);
    guest_expect_open(guest);
}

TEST(each_is_told_to_go_once_the_oldest_first) {
    struct guest *guests = inn_come();
    for (size_t i = 1; i < 6; i++) {
        inn_come();
    }
    connection_close(guests[1].connection, CLOSE_IDLE); /* goes without being told */
    connections_tell(&inn.worker, 2);
    EXPECT_EQ(guests[0].drain_count + guests[2].drain_count, 2);
    EXPECT_EQ(guests[1].drain_count + guests[3].drain_count, 0);
    EXPECT_EQ(inn.worker.told_count, 3);
    connection_abort(guests[2].connection, CLOSE_IDLE); /* the last that was told */
    connections_bury(&inn.worker);
    EXPECT_EQ(inn.worker.told_count, 2);
    connections_tell(&inn.worker, 100);
    for (size_t i = 3; i < 6; i++) {
        EXPECT_EQ(guests[i].drain_count, 1);
    }
    EXPECT_EQ(guests[0].drain_count, 1);
    connections_abort_all(&inn.worker, CLOSE_IDLE);
    connections_bury(&inn.worker);
    EXPECT_EQ(inn.worker.told_count, 0);
    EXPECT_NULL(inn.worker.told_last);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, inn_begin, inn_end)

UNIT_TESTS(CLAIM(what_is_sent_is_what_the_socket_takes_and_the_rest_is_the_callers),
           CLAIM(the_rest_of_a_cut_frame_goes_out_before_anything_else),
           CLAIM(what_is_given_is_kept_where_it_is), CLAIM(what_is_given_to_one_that_ends_is_freed),
           CLAIM(bytes_leave_whole_and_in_order_however_the_socket_takes_them),
           CLAIM(who_finds_no_memory_for_a_rest_is_let_go),
           CLAIM(a_broken_socket_ends_its_connection),
           CLAIM(what_is_kept_goes_out_before_the_end_and_the_peer_may_read_it),
           CLAIM(a_record_of_tls_goes_out_before_the_end_too),
           CLAIM(with_nothing_kept_it_is_shut_at_once_and_read_until_the_peer_has_gone),
           CLAIM(a_peer_that_takes_nothing_or_does_not_go_is_cut_off),
           CLAIM(the_first_reason_is_the_reason_and_it_ends_once),
           CLAIM(an_aborted_one_sends_and_hears_nothing_more),
           CLAIM(a_protocol_with_words_says_goodbye_and_one_without_is_closed),
           CLAIM(a_deadline_comes_once_and_can_be_moved_or_taken_away),
           CLAIM(one_that_cannot_be_had_leaves_nothing_behind),
           CLAIM(those_that_have_said_nothing_have_a_share_and_the_oldest_of_them_makes_room),
           CLAIM(a_worker_has_a_few_that_have_said_nothing_however_small_its_share),
           CLAIM(where_all_places_are_taken_one_that_has_said_nothing_goes_and_nobody_else),
           CLAIM(who_is_revoked_behind_a_walk_does_not_slip_through),
           CLAIM(who_is_not_admitted_stays_who_it_was),
           CLAIM(each_is_told_to_go_once_the_oldest_first))

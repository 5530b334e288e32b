/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "protocols/sinks/mqtt_row.h"
#include "protocols/sinks/via.h"
#include "protocols/sources/source.h"
#include "tests/protocols/sinks/mqtt_peer.h"
#include "tests/unit.h"

#define TEST_RECORDS_MAX 100
#define TEST_PATIENCE_MS 60000
#define LOG_ID UINT64_C(0xabcdef0123456789)

struct record {
    char topic[64], rest[64], payload[64], position[256], via[64];
    enum error_code passed_over; /* ERR_AGAIN: it was not */
    uint32_t flags;
    void (*on_answered)(void *context, enum error_code result);
    void *context;
};

/* One source of MQTT, the log that it publishes to, and the broker there. */
struct scene {
    struct metrics *metrics;
    struct loop *loop;
    struct broker broker;
    struct mqtt_peer peer;
    struct source_row row;
    char *filters[2];
    void *driver;
    struct loop_timer patience;
    struct loop_chore turn;
    bool (*is_over)(void);
    struct record records[TEST_RECORDS_MAX];
    size_t record_count;
    size_t answered;
    size_t wanted; /* what a test waits for */
    bool is_full;
    char stored[256];
    size_t ups, downs, stops;
    size_t refusals;            /* of room */
    size_t awaits;              /* times that a SUBACK was waited for … */
    struct loop_timer *silence; /* … with this */
    struct verdict down;
};

static struct scene scene;

/* --- what a source is to its driver ---------------------------------------------------------- */

uint64_t log_id(const struct log *log) {
    (void)log;
    return LOG_ID;
}

struct span source_position(struct source *source, struct span name) {
    (void)source;
    return span_of_string(span_is_equal(name, SPAN("ids-0")) ? scene.stored : "");
}

bool source_has_room(struct source *source) {
    (void)source;
    scene.refusals += scene.is_full;
    return !scene.is_full;
}

static void note(char *to, size_t size, struct span text) {
    snprintf(to, size, "%.*s", SPAN_PRINTF(text));
}

static enum error_code keep(const struct source_record *record, enum error_code passed_over) {
    struct record *kept = &scene.records[scene.record_count++];
    assert_true(scene.record_count < TEST_RECORDS_MAX);
    note(kept->topic, sizeof(kept->topic), record->topic);
    note(kept->rest, sizeof(kept->rest), record->rest);
    note(kept->payload, sizeof(kept->payload), record->fields.payload);
    note(kept->position, sizeof(kept->position), record->position);
    note(kept->via, sizeof(kept->via), via_find(record->fields.headers));
    kept->flags = record->fields.flags;
    kept->passed_over = passed_over;
    kept->on_answered = record->on_answered;
    kept->context = record->context;
    return OK;
}

enum error_code source_put(struct source *source, const struct source_record *record) {
    (void)source;
    return keep(record, ERR_AGAIN);
}

enum error_code source_pass_over(struct source *source, const struct source_record *record,
                                 enum error_code code, const struct error *why) {
    (void)source;
    (void)why;
    return keep(record, code);
}

void source_check_channel(const struct source_row *row, const char *source, const char *key,
                          struct config_faults *faults) {
    (void)row;
    (void)source;
    (void)key;
    (void)faults;
}

void source_on_up(struct source *source) {
    (void)source;
    scene.ups++;
}

void source_on_down(struct source *source, const struct verdict *verdict) {
    (void)source;
    scene.downs++;
    scene.down = *verdict;
}

void source_on_stopped(struct source *source) {
    (void)source;
    scene.stops++;
}

/* --- time ------------------------------------------------------------------------------------- */

void __real_loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t due_ms);
void __wrap_loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t due_ms);

/* Nothing else that a source or its link waits for takes as long. */
void __wrap_loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t due_ms) {
    if (due_ms - loop_now_ms(loop) == MQTT_SOURCE_SILENCE_MS) {
        scene.awaits++;
        scene.silence = timer;
    }
    __real_loop_arm(loop, timer, due_ms);
}

static void let_it_be_over(void) {
    assert_non_null(scene.silence);
    __real_loop_arm(scene.loop, scene.silence, loop_now_ms(scene.loop));
}

/* --- the scene ------------------------------------------------------------------------------- */

static void on_impatience(struct loop_timer *timer) {
    (void)timer;
    fail_msg("%zu records, %zu acknowledged, %zu ups, %zu downs: %s", scene.record_count,
             scene.peer.ack_count, scene.ups, scene.downs, scene.down.detail);
}

static void on_turn(struct loop_chore *chore) {
    if (scene.is_over()) {
        loop_end(scene.loop);
    } else {
        loop_put_chore(scene.loop, chore);
    }
}

static void run_until(bool (*is_over)(void), size_t wanted) {
    scene.is_over = is_over;
    scene.wanted = wanted;
    loop_arm(scene.loop, &scene.patience, loop_now_ms(scene.loop) + TEST_PATIENCE_MS);
    loop_put_chore(scene.loop, &scene.turn);
    loop_run(scene.loop);
    loop_disarm(scene.loop, &scene.patience);
}

static bool is_up(void) {
    return scene.ups == scene.wanted;
}

static bool is_down(void) {
    return scene.downs == scene.wanted;
}

static bool has_records(void) {
    return scene.record_count == scene.wanted;
}

static bool has_subscribed(void) {
    return scene.peer.subscriptions == scene.wanted;
}

static bool is_refused(void) {
    return scene.refusals >= scene.wanted;
}

static bool has_waited_or_gone(void) {
    return scene.awaits >= scene.wanted || scene.downs > 0;
}

static bool has_acks(void) {
    return scene.peer.ack_count == scene.wanted;
}

static bool is_stopped(void) {
    return scene.stops == scene.wanted;
}

/* The log answers the next ones. */
static void answer(size_t count, enum error_code result) {
    for (; count > 0; count--) {
        struct record *record = &scene.records[scene.answered++];
        if (result == OK && record->position[0] != '\0') {
            snprintf(scene.stored, sizeof(scene.stored), "%s", record->position);
        }
        if (record->on_answered != NULL) {
            record->on_answered(record->context, result);
        }
    }
}

static int begin(void **state) {
    (void)state;
    memset(&scene, 0, sizeof(scene));
    if (metrics_create(1, &scene.metrics) != OK ||
        loop_create(metrics_shard(scene.metrics, METRICS_MAIN), &scene.loop, NULL) != OK) {
        return 1;
    }
    mqtt_peer_init(&scene.peer, scene.loop);
    scene.peer.granted = 1;
    loop_chore_init(&scene.turn, on_turn);
    scene.patience.on_due = on_impatience;
    scene.filters[0] = (char *)(uintptr_t) "site-b/+/x/#";
    scene.filters[1] = (char *)(uintptr_t) "plain";
    scene.row = (struct source_row){.name = (char *)(uintptr_t) "there",
                                    .mqtt_url = scene.peer.url,
                                    .mqtt_topics = {.items = scene.filters, .count = 2},
                                    .mqtt_qos = 1};
    return mqtt_source_driver.open(NULL, &scene.row, &scene.broker, scene.loop, &scene.driver,
                                   NULL) != OK;
}

static int end(void **state) {
    (void)state;
    mqtt_source_driver.stop(scene.driver);
    answer(scene.record_count - scene.answered, ERR_DRAINING);
    run_until(is_stopped, scene.stops + 1);
    mqtt_source_driver.close(scene.driver);
    mqtt_peer_finish(&scene.peer);
    loop_destroy(scene.loop);
    metrics_destroy(scene.metrics);
    return 0;
}

static void come_up(void) {
    mqtt_source_driver.start(scene.driver);
    run_until(is_up, scene.ups + 1);
}

static void come(uint16_t packet_id, const char *payload, const char *id) {
    const struct mqtt_peer_message message = {
        .topic = "site-b/7/x/y", .payload = payload, .packet_id = packet_id, .id = id};
    mqtt_peer_send(&scene.peer, &message);
}

static void come_again(uint16_t packet_id, const char *payload, const char *id) {
    const struct mqtt_peer_message message = {.topic = "site-b/7/x/y",
                                              .payload = payload,
                                              .packet_id = packet_id,
                                              .id = id,
                                              .is_repeated = true};
    mqtt_peer_send(&scene.peer, &message);
}

/* --- claims ---------------------------------------------------------------------------------- */

TEST(message_is_acknowledged_when_it_is_in_the_log_and_not_before) {
    come_up();
    EXPECT_FALSE(scene.peer.is_clean);
    EXPECT_TRUE(scene.peer.is_no_local);
    EXPECT_STRING(scene.peer.client_id, "tidings-abcdef01-there-source");
    come(1, "one", NULL);
    come(2, "two", NULL);
    run_until(has_records, 2);
    EXPECT_STRING(scene.records[0].topic, "site-b/7/x/y");
    EXPECT_STRING(scene.records[0].rest, "7/x/y");
    EXPECT_STRING(scene.records[0].payload, "one");
    EXPECT_EQ(scene.peer.ack_count, 0);
    answer(1, OK);
    run_until(has_acks, 1);
    EXPECT_EQ(scene.peer.acks[0], 1);
    answer(1, OK);
    run_until(has_acks, 2);
    EXPECT_EQ(scene.peer.acks[1], 2);
}

TEST(what_came_back_is_passed_over_in_its_turn) {
    const struct mqtt_peer_message back = {.topic = "plain",
                                           .payload = "back",
                                           .packet_id = 2,
                                           .via = "0000000000000001,abcdef0123456789"};
    const struct mqtt_peer_message other = {
        .topic = "plain", .payload = "other", .packet_id = 3, .via = "0000000000000001"};
    come_up();
    come(1, "one", NULL);
    mqtt_peer_send(&scene.peer, &back);
    mqtt_peer_send(&scene.peer, &other);
    run_until(has_records, 3);
    EXPECT_EQ(scene.records[1].passed_over, OK);
    EXPECT_EQ(scene.records[2].passed_over, ERR_AGAIN);
    EXPECT_STRING(scene.records[2].rest, "plain");
    answer(3, OK);
    run_until(has_acks, 3);
    EXPECT_EQ(scene.peer.acks[1], 2);
}

TEST(message_that_no_filter_wants_any_more_is_dropped_and_acknowledged) {
    const struct mqtt_peer_message old = {.topic = "site-b/7/z", .payload = "old", .packet_id = 1};
    come_up();
    mqtt_peer_send(&scene.peer, &old);
    run_until(has_acks, 1);
    EXPECT_EQ(scene.record_count, 0);
}

static void come_unwanted(uint16_t first, uint16_t last) {
    for (uint16_t packet_id = first; packet_id <= last; packet_id++) {
        const struct mqtt_peer_message message = {
            .topic = "site-b/7/z", .payload = "x", .packet_id = packet_id};
        mqtt_peer_send(&scene.peer, &message);
    }
}

TEST(broker_that_sends_more_at_once_than_it_may_is_left) {
    come_up();
    come(1, "one", NULL);
    come_unwanted(2, MQTT_SOURCE_RECEIVE_MAX);
    run_until(has_records, 1);
    answer(1, OK);
    run_until(has_acks, MQTT_SOURCE_RECEIVE_MAX);
    EXPECT_EQ(scene.downs, 0);
    come(1, "two", NULL);
    come_unwanted(2, MQTT_SOURCE_RECEIVE_MAX + 1);
    run_until(is_down, 1);
    EXPECT_EQ(scene.down.outcome, OUTCOME_FAILED);
    EXPECT_EQ(scene.record_count, 2);
    answer(1, OK);
    come_up();
    come(1, "three", NULL);
    run_until(has_records, 3);
    answer(1, OK);
    run_until(has_acks, MQTT_SOURCE_RECEIVE_MAX + 1);
}

static bool is_starved(void) {
    return scene.peer.clients == 1 && scene.wanted-- == 1;
}

TEST(full_source_reads_no_further_until_there_is_room) {
    come_up();
    scene.is_full = true;
    come(1, "one", NULL);
    come(2, "two", NULL);
    run_until(is_starved, 50);
    EXPECT_EQ(scene.record_count, 0);
    scene.is_full = false;
    mqtt_source_driver.on_room(scene.driver);
    run_until(has_records, 2);
    answer(2, OK);
    run_until(has_acks, 2);
}

TEST(what_is_in_the_log_and_was_not_acknowledged_is_not_published_again) {
    scene.peer.has_session = true;
    come_up();
    come(5, "logged", NULL);
    come(6, "logged too", NULL);
    run_until(has_records, 2);
    mqtt_peer_hang_up(&scene.peer);
    run_until(is_down, 1);
    answer(2, OK);
    come_up();
    come_again(5, "logged", NULL);
    come_again(6, "logged too", NULL);
    come(7, "new", NULL);
    run_until(has_records, 3);
    EXPECT_STRING(scene.records[2].payload, "new");
    answer(1, OK);
    run_until(has_acks, 3);
    EXPECT_EQ(scene.peer.acks[0], 5);
    EXPECT_EQ(scene.peer.acks[1], 6);
    EXPECT_EQ(scene.peer.acks[2], 7);
}

TEST(session_that_was_lost_there_knows_no_packet_identifier) {
    scene.peer.has_session = true;
    come_up();
    come(5, "logged", NULL);
    run_until(has_records, 1);
    mqtt_peer_hang_up(&scene.peer);
    run_until(is_down, 1);
    answer(1, OK);
    scene.peer.has_session = false;
    come_up();
    come_again(5, "another", NULL);
    run_until(has_records, 2);
    EXPECT_STRING(scene.records[1].payload, "another");
}

TEST(repeat_with_an_id_that_is_journaled_is_dropped_also_behind_a_restart) {
    come_up();
    come(1, "one", "id-1");
    come(2, "two", "id-2");
    run_until(has_records, 2);
    answer(1, OK); /* the second one is not in the log when it ends */
    mqtt_source_driver.stop(scene.driver);
    answer(1, ERR_DRAINING);
    run_until(is_stopped, 1);
    run_until(has_acks, 1); /* which the broker there forgets */
    mqtt_source_driver.close(scene.driver);
    EXPECT_EQ(
        mqtt_source_driver.open(NULL, &scene.row, &scene.broker, scene.loop, &scene.driver, NULL),
        OK);
    scene.peer.has_session = true;
    scene.peer.ack_count = 0;
    come_up();
    come_again(1, "one", "id-1");
    come_again(2, "two", "id-2");
    come(3, "one", "id-1"); /* the sender was killed, and did not know of it */
    come(4, "three", "id-3");
    run_until(has_records, 4);
    EXPECT_STRING(scene.records[2].payload, "two");
    EXPECT_STRING(scene.records[3].payload, "three");
    answer(2, OK);
    run_until(has_acks, 4);
}

TEST(stop_waits_for_the_log_and_acknowledges_before_it_says_goodbye) {
    come_up();
    come(1, "one", NULL);
    run_until(has_records, 1);
    mqtt_source_driver.stop(scene.driver);
    EXPECT_EQ(scene.stops, 0);
    answer(1, OK);
    run_until(is_stopped, 1);
    run_until(has_acks, 1);
}

TEST(refused_filter_is_told_with_its_name) {
    scene.peer.granted = 0x87;
    mqtt_source_driver.start(scene.driver);
    run_until(is_down, 1);
    EXPECT_EQ(scene.ups, 0);
    EXPECT_EQ(scene.down.status, 0x87);
    EXPECT_NOT_NULL(strstr(scene.down.detail, "site-b/+/x/#"));
}

TEST(broker_that_answers_pings_and_no_subscribe_is_left_and_tried_again) {
    scene.peer.is_ungranting = true;
    mqtt_source_driver.start(scene.driver);
    run_until(has_subscribed, 1);
    let_it_be_over();
    run_until(is_down, 1);
    EXPECT_EQ(scene.ups, 0);
    EXPECT_EQ(scene.down.outcome, OUTCOME_UNREACHED);
    EXPECT_NOT_NULL(strstr(scene.down.detail, "no SUBACK within 30000 ms"));
    scene.peer.is_ungranting = false;
    come_up();
    come(1, "one", NULL);
    run_until(has_records, 1);
}

/* What is not read cannot be missed: the SUBACK stands behind messages that find no room. */
TEST(source_that_is_full_does_not_take_its_own_silence_for_the_brokers) {
    scene.peer.is_ungranting = true;
    scene.is_full = true;
    mqtt_source_driver.start(scene.driver);
    run_until(has_subscribed, 1);
    come(1, "one", NULL);
    run_until(is_refused, 1);
    let_it_be_over();
    run_until(has_waited_or_gone, 2);
    EXPECT_EQ(scene.downs, 0);
    EXPECT_EQ(scene.record_count, 0);
}

TEST(old_version_is_subscribed_to_once_in_a_session) {
    scene.peer.is_old = true;
    come_up();
    EXPECT_EQ(scene.peer.version, MQTT_VERSION_3_1_1);
    EXPECT_EQ(scene.peer.subscriptions, 1);
    EXPECT_FALSE(scene.peer.is_no_local);
    come(1, "one", NULL);
    run_until(has_records, 1);
    mqtt_peer_hang_up(&scene.peer);
    run_until(is_down, 1);
    answer(1, OK);
    scene.peer.has_session = true;
    come_up();
    EXPECT_EQ(scene.peer.subscriptions, 1);
}

TEST(what_comes_by_the_old_version_has_a_mark_of_where_from) {
    char place[VIA_ID_BYTES + 1] = "";
    scene.peer.is_old = true;
    via_format(mqtt_place_id(scene.peer.url), place);
    come_up();
    come(1, "one", NULL);
    run_until(has_records, 1);
    EXPECT_STRING(scene.records[0].via, place);
}

TEST(retained_message_says_so) {
    const struct mqtt_peer_message retained = {
        .topic = "plain", .payload = "kept", .is_retained = true};
    come_up();
    mqtt_peer_send(&scene.peer, &retained);
    run_until(has_records, 1);
    EXPECT_EQ(scene.records[0].flags & MESSAGE_RETAIN, MESSAGE_RETAIN);
    EXPECT_NULL(scene.records[0].on_answered);
}

TEST(wrong_rows_are_told) {
    struct config_faults *faults = calloc(1, sizeof(*faults));
    scene.filters[1] = (char *)(uintptr_t) "a/#/b";
    mqtt_source_driver.check(&scene.row, "text", "sources[0]", faults);
    EXPECT_EQ(faults->count, 1);
    EXPECT_STRING(faults->rows[0].key, "sources[0]");
    EXPECT_NOT_NULL(strstr(faults->rows[0].reason, "a/#/b"));
    free(faults);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CLAIM(message_is_acknowledged_when_it_is_in_the_log_and_not_before),
        CLAIM(what_came_back_is_passed_over_in_its_turn),
        CLAIM(message_that_no_filter_wants_any_more_is_dropped_and_acknowledged),
        CLAIM(broker_that_sends_more_at_once_than_it_may_is_left),
        CLAIM(full_source_reads_no_further_until_there_is_room),
        CLAIM(what_is_in_the_log_and_was_not_acknowledged_is_not_published_again),
        CLAIM(session_that_was_lost_there_knows_no_packet_identifier),
        CLAIM(repeat_with_an_id_that_is_journaled_is_dropped_also_behind_a_restart),
        CLAIM(stop_waits_for_the_log_and_acknowledges_before_it_says_goodbye),
        CLAIM(refused_filter_is_told_with_its_name),
        CLAIM(broker_that_answers_pings_and_no_subscribe_is_left_and_tried_again),
        CLAIM(source_that_is_full_does_not_take_its_own_silence_for_the_brokers),
        CLAIM(old_version_is_subscribed_to_once_in_a_session),
        CLAIM(what_comes_by_the_old_version_has_a_mark_of_where_from),
        CLAIM(retained_message_says_so),
        CLAIM(wrong_rows_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

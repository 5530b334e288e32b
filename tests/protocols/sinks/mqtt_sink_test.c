/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/channels/rules.h"
#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "broker/runtime/log.h"
#include "broker/support/string_map.h"
#include "protocols/sinks/driver.h"
#include "protocols/sinks/mqtt_link.h"
#include "tests/protocols/sinks/mqtt_peer.h"
#include "tests/unit.h"

#define TEST_SHIPMENTS_MAX 4096
#define TEST_PATIENCE_MS 60000
#define HURRY 20 /* so many times as fast does time go for what waits for minutes */
#define LOG_ID UINT64_C(0xabcdef0123456789)

/* One sink, its driver, and the broker there. */
struct scene {
    struct metrics *metrics;
    struct loop *loop;
    struct config config;
    struct rules *rules;
    struct broker broker;
    struct mqtt_peer peer;
    struct sink_row row;
    void *driver;
    struct loop_timer patience;
    struct loop_chore turn;
    bool (*is_over)(void);
    uint64_t speed; /* of time */
    struct buffer headers;
    struct shipment shipments[TEST_SHIPMENTS_MAX];
    struct message *messages[TEST_SHIPMENTS_MAX];
    struct verdict verdicts[TEST_SHIPMENTS_MAX];
    size_t order[TEST_SHIPMENTS_MAX]; /* in which they were settled */
    size_t shipped;
    size_t settled;
    size_t outcomes[OUTCOME_COUNT];
    size_t ups, downs, stops;
    struct verdict down;
};

static struct scene scene;

/* --- what a sink is to its driver ------------------------------------------------------------ */

uint64_t log_id(const struct log *log) {
    (void)log;
    return LOG_ID;
}

void sink_on_up(struct sink *sink, const struct place *place, uint64_t course) {
    (void)sink;
    (void)course;
    EXPECT_NULL(place);
    scene.ups++;
}

void sink_on_down(struct sink *sink, const struct verdict *verdict) {
    (void)sink;
    scene.downs++;
    scene.down = *verdict;
}

void sink_on_settled(struct shipment *shipment, const struct verdict *verdict) {
    size_t index = (size_t)(shipment - scene.shipments);
    EXPECT_EQ(scene.downs + scene.stops < 100, true);
    scene.order[scene.settled++] = index;
    scene.verdicts[index] = *verdict;
    scene.outcomes[verdict->outcome]++;
}

void sink_on_stopped(struct sink *sink) {
    (void)sink;
    scene.stops++;
}

/* --- time ------------------------------------------------------------------------------------ */

uint64_t __real_loop_now_ms(const struct loop *loop);
void __real_loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t due_ms);
uint64_t __wrap_loop_now_ms(const struct loop *loop);
void __wrap_loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t due_ms);

uint64_t __wrap_loop_now_ms(const struct loop *loop) {
    return __real_loop_now_ms(loop) * scene.speed;
}

void __wrap_loop_arm(struct loop *loop, struct loop_timer *timer, uint64_t due_ms) {
    __real_loop_arm(loop, timer, (due_ms + scene.speed - 1) / scene.speed); /* not early */
}

/* --- the scene ------------------------------------------------------------------------------- */

static void on_impatience(struct loop_timer *timer) {
    (void)timer;
    fail_msg("%zu of %zu settled, %zu ups, %zu downs: %s", scene.settled, scene.shipped, scene.ups,
             scene.downs, scene.down.detail);
}

static void on_turn(struct loop_chore *chore) {
    if (scene.is_over()) {
        loop_end(scene.loop);
    } else {
        loop_put_chore(scene.loop, chore);
    }
}

static void run_until(bool (*is_over)(void)) {
    scene.is_over = is_over;
    loop_arm(scene.loop, &scene.patience, loop_now_ms(scene.loop) + TEST_PATIENCE_MS * scene.speed);
    loop_put_chore(scene.loop, &scene.turn);
    loop_run(scene.loop);
    loop_disarm(scene.loop, &scene.patience);
}

static bool is_up(void) {
    return scene.ups > 0;
}

static bool is_down(void) {
    return scene.downs > 0;
}

static bool is_settled(void) {
    return scene.settled == scene.shipped;
}

static bool is_alone(void) {
    return scene.peer.clients == 0;
}

static void use_rules(struct channel_rule *rows, size_t count) {
    rules_destroy(scene.rules);
    scene.config.rules = rows;
    scene.config.rule_count = count;
    scene.rules = rules_create(&scene.config, scene.metrics);
    assert_non_null(scene.rules);
    atomic_store(&scene.broker.rules, scene.rules);
}

static int begin(void **state) {
    (void)state;
    memset(&scene, 0, sizeof(scene));
    scene.speed = 1;
    if (metrics_create(1, &scene.metrics) != OK ||
        loop_create(metrics_shard(scene.metrics, METRICS_MAIN), &scene.loop, NULL) != OK) {
        return 1;
    }
    use_rules(NULL, 0);
    mqtt_peer_init(&scene.peer, scene.loop);
    loop_chore_init(&scene.turn, on_turn);
    scene.patience.on_due = on_impatience;
    buffer_init(&scene.headers, 100000);
    scene.row = (struct sink_row){.name = (char *)(uintptr_t) "there",
                                  .mqtt_url = scene.peer.url,
                                  .mqtt_topic = (char *)(uintptr_t) "site-a/{channel}",
                                  .mqtt_qos = 1,
                                  .format = SINK_FORMAT_ENVELOPE};
    return 0;
}

static int end(void **state) {
    (void)state;
    mqtt_driver.close(scene.driver);
    mqtt_peer_finish(&scene.peer);
    for (size_t i = 0; i < scene.shipped; i++) {
        message_unref(scene.messages[i]);
    }
    buffer_finish(&scene.headers);
    loop_destroy(scene.loop);
    rules_destroy(scene.rules);
    metrics_destroy(scene.metrics);
    return 0;
}

static void open_driver(void) {
    struct sink_link link = {.broker = &scene.broker, .loop = scene.loop, .row = &scene.row};
    EXPECT_EQ(mqtt_driver.open(&link, &scene.driver, NULL), OK);
}

static void start(void) {
    if (scene.driver == NULL) {
        open_driver();
    }
    scene.ups = scene.downs = 0;
    mqtt_driver.start(scene.driver);
}

static void come_up(void) {
    start();
    run_until(is_up);
}

static void stop(void) {
    mqtt_driver.stop(scene.driver);
    EXPECT_EQ(scene.stops, 1);
}

static void reship(size_t index) {
    mqtt_driver.ship(scene.driver, &scene.shipments[index]);
}

static void ship(const char *payload, size_t bytes, uint32_t flags) {
    size_t index = scene.shipped++;
    struct message_fields fields = {.kind = MESSAGE_DATA,
                                    .channel = SPAN("tennis/7"),
                                    .type = SPAN("text/plain"),
                                    .headers = buffer_borrow(&scene.headers),
                                    .flags = flags,
                                    .payload = span_of(payload, bytes)};
    struct place place = {LOG_ID, 1, index + 1, 1, index + 1};
    scene.messages[index] = message_create(&fields);
    message_order(scene.messages[index], &place, 1000);
    scene.shipments[index] = (struct shipment){
        .messages = &scene.messages[index], .count = 1, .bytes = bytes, .attempt = 1};
    reship(index);
}

static void ship_text(const char *payload) {
    ship(payload, strlen(payload), 0);
}

/* --- claims ---------------------------------------------------------------------------------- */

TEST(messages_go_out_in_order_with_topic_type_and_what_they_have_passed) {
    come_up();
    EXPECT_EQ(scene.peer.version, MQTT_VERSION_5);
    EXPECT_STRING(scene.peer.client_id, "tidings-abcdef01-there");
    EXPECT_TRUE(scene.peer.is_clean);
    ship_text("one");
    ship("two", 3, MESSAGE_RETAIN);
    run_until(is_settled);
    EXPECT_EQ(scene.outcomes[OUTCOME_DELIVERED], 2);
    EXPECT_STRING(scene.peer.publishes[0].topic, "site-a/tennis/7");
    EXPECT_STRING(scene.peer.publishes[0].payload, "one");
    EXPECT_STRING(scene.peer.publishes[0].type, "text/plain");
    EXPECT_STRING(scene.peer.publishes[0].via, "abcdef0123456789");
    EXPECT_EQ(scene.peer.publishes[0].qos, 1);
    EXPECT_FALSE(scene.peer.publishes[0].is_retained);
    EXPECT_STRING(scene.peer.publishes[1].payload, "two");
    EXPECT_TRUE(scene.peer.publishes[1].is_retained);
    EXPECT_TRUE(strlen(scene.peer.publishes[0].id) > 20);
    EXPECT_TRUE(strcmp(scene.peer.publishes[0].id, scene.peer.publishes[1].id) != 0);
    stop();
    run_until(is_alone);
    EXPECT_TRUE(scene.peer.has_goodbye);
}

TEST(what_a_rule_retains_is_retained_there) {
    static char tennis[] = "tennis/*";
    struct channel_rule row = {.match = tennis, .retain = RETAIN_LATEST};
    use_rules(&row, 1);
    come_up();
    ship_text("one");
    run_until(is_settled);
    EXPECT_TRUE(scene.peer.publishes[0].is_retained);
    stop();
}

static bool has_seven(void) {
    return scene.peer.publish_count == 7;
}

TEST(no_more_are_on_their_way_than_the_other_broker_takes) {
    scene.peer.receive_maximum = 7;
    scene.peer.is_holding = true;
    come_up();
    for (int i = 0; i < 50; i++) {
        ship_text("x");
    }
    run_until(has_seven);
    scene.peer.is_holding = false;
    mqtt_peer_acknowledge(&scene.peer);
    run_until(is_settled);
    EXPECT_EQ(scene.outcomes[OUTCOME_DELIVERED], 50);
    EXPECT_EQ(scene.peer.unanswered_max, 7);
    for (size_t i = 0; i < 50; i++) {
        EXPECT_EQ(scene.order[i], i);
    }
    stop();
}

TEST(lost_connection_gives_all_back_in_order_and_they_go_again) {
    scene.peer.hang_up_at = 3;
    scene.peer.is_holding = true;
    come_up();
    for (int i = 0; i < 10; i++) {
        ship_text("x");
    }
    run_until(is_down);
    EXPECT_EQ(scene.settled, 10);
    EXPECT_EQ(scene.outcomes[OUTCOME_ABANDONED], 10);
    EXPECT_EQ(scene.down.outcome, OUTCOME_UNREACHED);
    for (size_t i = 0; i < 10; i++) {
        EXPECT_EQ(scene.order[i], i);
    }
    scene.peer.hang_up_at = 0;
    scene.peer.is_holding = false;
    scene.peer.publish_count = 0;
    scene.settled = 0;
    come_up();
    for (size_t i = 0; i < 10; i++) {
        reship(i);
    }
    run_until(is_settled);
    EXPECT_EQ(scene.outcomes[OUTCOME_DELIVERED], 10);
    EXPECT_EQ(scene.peer.publish_count, 10);
    stop();
}

TEST(message_at_which_the_connection_is_lost_twice_counts_an_attempt) {
    scene.peer.hang_up_at = 1;
    come_up();
    ship_text("poison");
    ship_text("x");
    run_until(is_down);
    EXPECT_EQ(scene.outcomes[OUTCOME_ABANDONED], 2);
    scene.settled = 0;
    come_up();
    reship(0);
    reship(1);
    run_until(is_down);
    EXPECT_EQ(scene.verdicts[0].outcome, OUTCOME_FAILED);
    EXPECT_EQ(scene.verdicts[1].outcome, OUTCOME_ABANDONED);
}

TEST(packet_larger_than_the_other_broker_takes_is_refused_and_the_others_go) {
    static char large[2000];
    scene.peer.packet_bytes_max = 1000;
    memset(large, 'x', sizeof(large));
    come_up();
    ship_text("before");
    ship(large, sizeof(large), 0);
    ship_text("behind");
    run_until(is_settled);
    EXPECT_EQ(scene.verdicts[0].outcome, OUTCOME_DELIVERED);
    EXPECT_EQ(scene.verdicts[1].outcome, OUTCOME_REFUSED);
    EXPECT_NOT_NULL(strstr(scene.verdicts[1].detail, "larger"));
    EXPECT_EQ(scene.verdicts[2].outcome, OUTCOME_DELIVERED);
    EXPECT_EQ(scene.downs, 0);
    stop();
}

TEST(refusal_of_a_message_is_its_own_and_one_for_now_ends_the_connection) {
    scene.peer.reason = MQTT_REASON_PAYLOAD_FORMAT_INVALID;
    scene.peer.only_of = "bad";
    come_up();
    ship_text("bad");
    ship_text("good");
    run_until(is_settled);
    EXPECT_EQ(scene.verdicts[0].outcome, OUTCOME_REFUSED);
    EXPECT_EQ(scene.verdicts[0].status, 0x99);
    EXPECT_EQ(scene.verdicts[1].outcome, OUTCOME_DELIVERED);
    scene.peer.reason = MQTT_REASON_QUOTA_EXCEEDED;
    ship_text("bad");
    ship_text("good");
    run_until(is_down);
    EXPECT_EQ(scene.verdicts[2].outcome, OUTCOME_THROTTLED);
    EXPECT_EQ(scene.verdicts[3].outcome, OUTCOME_ABANDONED);
    EXPECT_EQ(scene.settled, 4);
}

TEST(broker_of_the_old_version_alone_is_spoken_to_in_it) {
    scene.peer.is_old = true;
    scene.row.mqtt_password = (char *)(uintptr_t) "secret";
    come_up();
    EXPECT_EQ(scene.peer.version, MQTT_VERSION_3_1_1);
    EXPECT_STRING(scene.peer.password, "secret");
    ship_text("one");
    run_until(is_settled);
    EXPECT_EQ(scene.outcomes[OUTCOME_DELIVERED], 1);
    EXPECT_STRING(scene.peer.publishes[0].payload, "one");
    stop();
}

TEST(broker_that_hangs_up_on_version_5_is_asked_in_the_old_one_at_last) {
    scene.peer.is_mute = true;
    for (int i = 0; i < MQTT_LINK_SILENCES; i++) {
        start();
        run_until(is_down);
    }
    scene.peer.is_mute = false;
    come_up();
    EXPECT_EQ(scene.peer.version, MQTT_VERSION_3_1_1);
    stop();
}

TEST(refused_credentials_are_told_and_nothing_is_up) {
    scene.peer.refusal = MQTT_REASON_BAD_USER_NAME_OR_PASSWORD;
    start();
    run_until(is_down);
    EXPECT_EQ(scene.ups, 0);
    EXPECT_EQ(scene.down.outcome, OUTCOME_FAILED);
    EXPECT_EQ(scene.down.status, 0x86);
    EXPECT_NOT_NULL(strstr(scene.down.detail, "Bad user name or password"));
}

TEST(nobody_listening_is_told) {
    scene.row.mqtt_url = (char *)(uintptr_t) "mqtt://127.0.0.1:1";
    start();
    run_until(is_down);
    EXPECT_EQ(scene.down.outcome, OUTCOME_UNREACHED);
    EXPECT_TRUE(scene.down.detail[0] != '\0');
}

TEST(without_acknowledgements_a_message_is_delivered_once_it_is_sent) {
    scene.row.mqtt_qos = 0;
    come_up();
    for (int i = 0; i < 20; i++) {
        ship_text("x");
    }
    run_until(is_settled);
    EXPECT_EQ(scene.outcomes[OUTCOME_DELIVERED], 20);
    stop();
}

TEST(stop_gives_back_what_is_on_its_way) {
    scene.peer.is_holding = true;
    come_up();
    ship_text("x");
    stop();
    EXPECT_EQ(scene.outcomes[OUTCOME_ABANDONED], 1);
    EXPECT_EQ(scene.downs, 0);
}

TEST(stop_while_it_is_coming_up_is_the_end_of_it) {
    start();
    stop();
    EXPECT_EQ(scene.ups + scene.downs, 0);
}

TEST(message_that_has_passed_too_many_logs_is_refused) {
    struct buffer via;
    buffer_init(&via, 1000);
    for (int i = 0; i < 16; i++) {
        EXPECT_EQ(buffer_printf(&via, "%s%016x", i == 0 ? "" : ",", i + 1), OK);
    }
    EXPECT_EQ(string_map_put(&scene.headers, SPAN("tidings-via"), buffer_borrow(&via)), OK);
    come_up();
    ship_text("x");
    run_until(is_settled);
    EXPECT_EQ(scene.verdicts[0].outcome, OUTCOME_REFUSED);
    buffer_finish(&via);
    stop();
}

TEST(way_of_a_message_grows_by_this_log) {
    EXPECT_EQ(string_map_put(&scene.headers, SPAN("tidings-via"), SPAN("0000000000000001")), OK);
    EXPECT_EQ(string_map_put(&scene.headers, SPAN("tidings-id"), SPAN("of another log")), OK);
    come_up();
    ship_text("x");
    run_until(is_settled);
    EXPECT_STRING(scene.peer.publishes[0].via, "0000000000000001,abcdef0123456789");
    EXPECT_TRUE(strcmp(scene.peer.publishes[0].id, "of another log") != 0);
    stop();
}

TEST(broker_that_acknowledges_nothing_is_left_and_all_goes_again) {
    scene.peer.is_holding = true;
    come_up();
    scene.speed = HURRY;
    ship_text("a");
    ship_text("b");
    run_until(is_down);
    EXPECT_STRING(scene.down.detail, "no PUBACK within 30000 ms");
    EXPECT_EQ(scene.down.outcome, OUTCOME_UNREACHED);
    EXPECT_EQ(scene.outcomes[OUTCOME_ABANDONED], 2);
}

TEST(wrong_rows_are_told) {
    struct config_faults *faults = calloc(1, sizeof(*faults));
    scene.row.mqtt_url = (char *)(uintptr_t) "http://somewhere";
    scene.row.mqtt_topic = (char *)(uintptr_t) "a/{chanel}";
    scene.row.mqtt_ca = (char *)(uintptr_t) "/nowhere/ca.pem";
    mqtt_driver.check(&scene.row, "text", "sinks[0]", faults);
    EXPECT_EQ(faults->count, 3);
    EXPECT_NOT_NULL(strstr(faults->rows[0].reason, "mqtt.url"));
    EXPECT_NOT_NULL(strstr(faults->rows[1].reason, "mqtt.ca"));
    EXPECT_NOT_NULL(strstr(faults->rows[2].reason, "mqtt.topic"));
    free(faults);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CLAIM(messages_go_out_in_order_with_topic_type_and_what_they_have_passed),
        CLAIM(what_a_rule_retains_is_retained_there),
        CLAIM(no_more_are_on_their_way_than_the_other_broker_takes),
        CLAIM(lost_connection_gives_all_back_in_order_and_they_go_again),
        CLAIM(message_at_which_the_connection_is_lost_twice_counts_an_attempt),
        CLAIM(packet_larger_than_the_other_broker_takes_is_refused_and_the_others_go),
        CLAIM(refusal_of_a_message_is_its_own_and_one_for_now_ends_the_connection),
        CLAIM(broker_of_the_old_version_alone_is_spoken_to_in_it),
        CLAIM(broker_that_hangs_up_on_version_5_is_asked_in_the_old_one_at_last),
        CLAIM(refused_credentials_are_told_and_nothing_is_up),
        CLAIM(nobody_listening_is_told),
        CLAIM(without_acknowledgements_a_message_is_delivered_once_it_is_sent),
        CLAIM(stop_gives_back_what_is_on_its_way),
        CLAIM(stop_while_it_is_coming_up_is_the_end_of_it),
        CLAIM(message_that_has_passed_too_many_logs_is_refused),
        CLAIM(way_of_a_message_grows_by_this_log),
        CLAIM(broker_that_acknowledges_nothing_is_left_and_all_goes_again),
        CLAIM(wrong_rows_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/mqtt_link.h"

#include <stdio.h>
#include <sys/socket.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "broker/support/utf8.h"
#include "protocols/mqtt/encode.h"
#include "protocols/sinks/dial.h"
#include "tests/protocols/sinks/mqtt_peer.h"
#include "tests/unit.h"

#define TEST_PATIENCE_MS 60000
#define HURRY 10 /* so many times as fast does time go for what waits for minutes */

struct scene {
    struct metrics *metrics;
    struct loop *loop;
    struct mqtt_peer peer;
    struct mqtt_link *link;
    struct loop_timer patience;
    struct loop_chore turn;
    bool (*is_over)(void);
    uint64_t speed;          /* of time */
    size_t piece;            /* so many bytes are read at a time; 0: as many as come */
    size_t reads, reads_max; /* of a turn */
    char came[64];           /* first bytes of payloads */
    size_t room;             /* for so many more */
    bool does_destroy;
    size_t ups, downs, sents, acks, grants;
    uint8_t reason, granted;
    struct verdict down;
};

static struct scene scene;

/* --- what happens ---------------------------------------------------------------------------- */

static void on_up(void *context, bool is_session_present) {
    (void)context;
    (void)is_session_present;
    scene.ups++;
}

static bool on_publish(void *context, const struct mqtt_publish *publish) {
    (void)context;
    if (scene.room == 0) {
        return false;
    }
    scene.room--;
    scene.came[strlen(scene.came)] = (char)publish->payload.bytes[0];
    if (scene.does_destroy) {
        mqtt_link_destroy(scene.link);
        scene.link = NULL;
    }
    return true;
}

static void on_acknowledged(void *context, uint16_t packet_id, uint8_t reason, struct span text) {
    (void)context;
    (void)packet_id;
    (void)text;
    scene.acks++;
    scene.reason = reason;
}

static void on_granted(void *context, struct span reasons) {
    (void)context;
    scene.grants++;
    scene.granted = reasons.bytes[0];
}

static void on_sent(void *context) {
    (void)context;
    scene.sents++;
}

static void on_down(void *context, const struct verdict *verdict) {
    (void)context;
    scene.downs++;
    scene.down = *verdict;
}

static const struct mqtt_link_events events = {on_up,      on_publish, on_acknowledged,
                                               on_granted, on_sent,    on_down};

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

MUST_USE enum error_code __real_dial_receive(struct dial *dial, uint8_t *bytes, size_t size,
                                             size_t *ret_received);
MUST_USE enum error_code __wrap_dial_receive(struct dial *dial, uint8_t *bytes, size_t size,
                                             size_t *ret_received);

enum error_code __wrap_dial_receive(struct dial *dial, uint8_t *bytes, size_t size,
                                    size_t *ret_received) {
    scene.reads++;
    scene.reads_max = scene.reads > scene.reads_max ? scene.reads : scene.reads_max;
    return __real_dial_receive(dial, bytes, scene.piece > 0 ? scene.piece : size, ret_received);
}

/* --- the scene ------------------------------------------------------------------------------- */

static void on_impatience(struct loop_timer *timer) {
    (void)timer;
    fail_msg("%zu ups, %zu downs: %s; %s came", scene.ups, scene.downs, scene.down.detail,
             scene.came);
}

static void on_turn(struct loop_chore *chore) {
    scene.reads = 0;
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

static bool has_answer(void) {
    return scene.acks > 0;
}

static bool has_grants(void) {
    return scene.grants > 0;
}

static bool has_come(void) {
    return strlen(scene.came) == 3 || scene.link == NULL;
}

static bool has_six(void) {
    return strlen(scene.came) == 6;
}

static bool has_first(void) {
    return scene.came[0] != '\0';
}

static bool has_pings(void) {
    return scene.peer.ping_count == 2 || scene.downs > 0;
}

static bool is_alone(void) {
    return scene.peer.clients == 0;
}

static int begin(void **state) {
    (void)state;
    memset(&scene, 0, sizeof(scene));
    scene.speed = 1;
    if (metrics_create(1, &scene.metrics) != OK ||
        loop_create(metrics_shard(scene.metrics, METRICS_MAIN), &scene.loop, NULL) != OK) {
        return 1;
    }
    mqtt_peer_init(&scene.peer, scene.loop);
    loop_chore_init(&scene.turn, on_turn);
    scene.patience.on_due = on_impatience;
    scene.room = 100;
    const struct mqtt_link_options options = {.url = scene.peer.url,
                                              .client_id = "me",
                                              .username = "user",
                                              .password = "word",
                                              .receive_maximum = 10,
                                              .events = &events};
    return mqtt_link_create(scene.loop, &options, &scene.link) != OK;
}

static int end(void **state) {
    (void)state;
    mqtt_link_destroy(scene.link);
    mqtt_peer_finish(&scene.peer);
    loop_destroy(scene.loop);
    metrics_destroy(scene.metrics);
    return 0;
}

static void come_up(void) {
    mqtt_link_start(scene.link);
    EXPECT_EQ(scene.ups + scene.downs, 0);
    run_until(is_up);
}

static void say(const void *bytes, size_t length) {
    EXPECT_EQ(send(scene.peer.watch.fd, bytes, length, MSG_NOSIGNAL), length);
}

static void send_three(void) {
    static const char *const payloads[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        const struct mqtt_peer_message message = {.topic = "t", .payload = payloads[i]};
        mqtt_peer_send(&scene.peer, &message);
    }
}

/* --- claims ---------------------------------------------------------------------------------- */

TEST(it_says_who_it_is_and_goodbye) {
    come_up();
    EXPECT_TRUE(mqtt_link_is_up(scene.link));
    EXPECT_STRING(scene.peer.client_id, "me");
    EXPECT_STRING(scene.peer.user, "user");
    EXPECT_STRING(scene.peer.password, "word");
    EXPECT_EQ(mqtt_link_version(scene.link), MQTT_VERSION_5);
    EXPECT_EQ(mqtt_link_receive_maximum(scene.link), 65535);
    EXPECT_TRUE(mqtt_link_has_retain(scene.link));
    mqtt_link_stop(scene.link);
    mqtt_link_stop(scene.link);
    EXPECT_FALSE(mqtt_link_is_up(scene.link));
    run_until(is_alone);
    EXPECT_TRUE(scene.peer.has_goodbye);
    EXPECT_EQ(scene.downs, 0);
}

TEST(what_is_not_taken_comes_again_and_nothing_behind_it_before) {
    come_up();
    scene.room = 1;
    send_three();
    run_until(has_first);
    EXPECT_STRING(scene.came, "a");
    scene.room = 100;
    mqtt_link_resume(scene.link);
    run_until(has_come);
    EXPECT_STRING(scene.came, "abc");
}

TEST(event_may_destroy_the_link) {
    come_up();
    scene.does_destroy = true;
    send_three();
    run_until(has_come);
    EXPECT_STRING(scene.came, "a");
    EXPECT_EQ(scene.downs, 0);
}

TEST(acknowledgement_with_a_reason_of_other_packets_is_understood) {
    come_up();
    struct mqtt_publish publish = {.topic = SPAN("t"), .qos = 1, .packet_id = 1};
    scene.peer.is_holding = true;
    EXPECT_EQ(mqtt_link_publish(scene.link, &publish), OK);
    say("\x40\x03\x00\x01\x95", 5);
    run_until(has_answer);
    EXPECT_EQ(scene.reason, 0x95);
}

TEST(subscriptions_are_granted) {
    struct buffer filters;
    const struct mqtt_subscription subscription = {.filter = SPAN("a/#"), .qos = 1};
    buffer_init(&filters, 100);
    EXPECT_EQ(mqtt_subscription_put(&filters, &subscription), OK);
    scene.peer.granted = 1;
    come_up();
    EXPECT_EQ(mqtt_link_subscribe(scene.link, buffer_borrow(&filters), 1), OK);
    run_until(has_grants);
    EXPECT_EQ(scene.granted, 1);
    buffer_finish(&filters);
}

TEST(reason_of_the_end_is_told) {
    come_up();
    say("\xE0\x01\x8B", 3);
    run_until(is_down);
    EXPECT_EQ(scene.down.status, 0x8B);
    EXPECT_EQ(scene.down.outcome, OUTCOME_UNREACHED);
    EXPECT_NOT_NULL(strstr(scene.down.detail, "Server shutting down"));
}

TEST(what_is_not_mqtt_ends_it) {
    come_up();
    say("HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    run_until(is_down);
    EXPECT_EQ(scene.down.outcome, OUTCOME_FAILED);
}

TEST(packet_that_is_not_due_ends_it) {
    come_up();
    say("\x20\x03\x00\x00\x00", 5); /* a second CONNACK */
    run_until(is_down);
    EXPECT_NOT_NULL(strstr(scene.down.detail, "CONNACK out of turn"));
}

TEST(broker_that_hangs_up_on_nobody_who_is_silent_is_asked_for_a_sign_of_life_all_the_same) {
    scene.speed = HURRY;
    scene.peer.has_keep_alive = true;
    come_up();
    run_until(has_pings);
    EXPECT_STRING(scene.down.detail, "");
    EXPECT_EQ(scene.downs, 0);
}

TEST(what_the_other_broker_says_of_itself_is_told_in_one_line_of_whole_characters) {
    char bytes[249] = "\xE0\xF6\x01\x8B\xF3\x01\x1F\x00\xF0"; /* and 240 bytes of text */
    for (size_t i = 9; i < sizeof(bytes); i += 2) {
        memcpy(bytes + i, "\xC3\xA9", 2);
    }
    come_up();
    say(bytes, sizeof(bytes));
    run_until(is_down);
    EXPECT_EQ(scene.down.status, 0x8B);
    EXPECT_TRUE(utf8_is_valid(span_of_string(scene.down.detail)));
}

TEST(flood_leaves_others_their_turn_and_nothing_of_it_unread) {
    come_up();
    scene.piece = 1;
    scene.reads = scene.reads_max = 0;
    send_three();
    send_three();
    run_until(has_six);
    EXPECT_STRING(scene.came, "abcabc");
    EXPECT_TRUE(scene.reads_max <= 3 * MQTT_LINK_READS_A_TURN);
}

TEST(link_that_is_down_starts_again) {
    come_up();
    mqtt_peer_hang_up(&scene.peer);
    run_until(is_down);
    scene.ups = scene.downs = 0;
    come_up();
    EXPECT_EQ(scene.peer.connects, 2);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CLAIM(it_says_who_it_is_and_goodbye),
        CLAIM(what_is_not_taken_comes_again_and_nothing_behind_it_before),
        CLAIM(event_may_destroy_the_link),
        CLAIM(acknowledgement_with_a_reason_of_other_packets_is_understood),
        CLAIM(subscriptions_are_granted),
        CLAIM(reason_of_the_end_is_told),
        CLAIM(what_is_not_mqtt_ends_it),
        CLAIM(packet_that_is_not_due_ends_it),
        CLAIM(
            broker_that_hangs_up_on_nobody_who_is_silent_is_asked_for_a_sign_of_life_all_the_same),
        CLAIM(what_the_other_broker_says_of_itself_is_told_in_one_line_of_whole_characters),
        CLAIM(flood_leaves_others_their_turn_and_nothing_of_it_unread),
        CLAIM(link_that_is_down_starts_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/dial.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/metrics/metrics.h"
#include "protocols/sinks/loop.h"
#include "tests/unit.h"

struct scene {
    struct metrics *metrics;
    struct loop *loop;
    struct dial *dial;
    int door;
    char url[64];
    char detail[256];
    int connected, failed, ready;
};

static struct scene scene;

static void on_connected(void *context) {
    EXPECT_TRUE(context == &scene);
    scene.connected++;
    loop_end(scene.loop);
}

static void on_failed(void *context, const char *detail) {
    EXPECT_TRUE(context == &scene);
    scene.failed++;
    snprintf(scene.detail, sizeof(scene.detail), "%s", detail);
    dial_destroy(scene.dial);
    scene.dial = NULL;
    loop_end(scene.loop);
}

static void on_ready(void *context) {
    EXPECT_TRUE(context == &scene);
    scene.ready++;
    loop_end(scene.loop);
}

static int begin(void **state) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    (void)state;
    memset(&scene, 0, sizeof(scene));
    scene.door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(scene.door, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(scene.door, 10) != 0 ||
        getsockname(scene.door, (struct sockaddr *)&address, &length) != 0) {
        return 1;
    }
    snprintf(scene.url, sizeof(scene.url), "mqtt://127.0.0.1:%u", ntohs(address.sin_port));
    return metrics_create(1, &scene.metrics) != OK ||
           loop_create(metrics_shard(scene.metrics, METRICS_MAIN), &scene.loop, NULL) != OK;
}

static int end(void **state) {
    (void)state;
    dial_destroy(scene.dial);
    close(scene.door);
    loop_destroy(scene.loop);
    metrics_destroy(scene.metrics);
    return 0;
}

static void dial(const char *url) {
    const struct dial_options options = {.url = url,
                                         .timeout_ms = 20000,
                                         .context = &scene,
                                         .on_connected = on_connected,
                                         .on_failed = on_failed,
                                         .on_ready = on_ready};
    EXPECT_EQ(dial_create(scene.loop, &options, &scene.dial), OK);
    EXPECT_EQ(scene.connected + scene.failed, 0);
    loop_run(scene.loop);
}

TEST(bytes_go_both_ways_and_the_end_is_told) {
    uint8_t bytes[100];
    size_t count;
    dial(scene.url);
    EXPECT_EQ(scene.connected, 1);
    int peer = accept(scene.door, NULL, NULL);
    EXPECT_EQ(dial_receive(scene.dial, bytes, sizeof(bytes), &count), ERR_AGAIN);
    EXPECT_EQ(dial_send(scene.dial, SPAN("there"), &count), OK);
    EXPECT_EQ(count, 5);
    EXPECT_EQ(recv(peer, bytes, sizeof(bytes), 0), 5);
    EXPECT_EQ(send(peer, "back", 4, 0), 4);
    dial_want(scene.dial, true, false);
    loop_run(scene.loop);
    EXPECT_EQ(scene.ready, 1);
    EXPECT_EQ(dial_receive(scene.dial, bytes, sizeof(bytes), &count), OK);
    EXPECT_EQ(count, 4);
    close(peer);
    loop_run(scene.loop);
    EXPECT_EQ(dial_receive(scene.dial, bytes, sizeof(bytes), &count), ERR_IO);
}

TEST(nobody_listening_is_told_and_the_dial_may_go_at_once) {
    dial("mqtt://127.0.0.1:1");
    EXPECT_EQ(scene.failed, 1);
    EXPECT_TRUE(scene.detail[0] != '\0');
}

TEST(peer_that_speaks_no_tls_is_told) {
    char url[100] = "mqtts";
    memcpy(url + 5, scene.url + 4, strlen(scene.url + 4) + 1);
    close(scene.door);
    scene.door = -1;
    dial(url);
    EXPECT_EQ(scene.failed, 1);
}

TEST(dial_that_is_destroyed_says_nothing) {
    const struct dial_options options = {.url = scene.url,
                                         .timeout_ms = 20000,
                                         .context = &scene,
                                         .on_connected = on_connected,
                                         .on_failed = on_failed,
                                         .on_ready = on_ready};
    EXPECT_EQ(dial_create(scene.loop, &options, &scene.dial), OK);
    dial_destroy(scene.dial);
    scene.dial = NULL;
    EXPECT_EQ(scene.connected + scene.failed, 0);
    dial_destroy(NULL);
}

TEST(urls_get_the_port_of_their_scheme) {
    static const char *const rows[][2] = {
        {"mqtt://host", "http://host:1883/"},     {"mqtts://host", "https://host:8883/"},
        {"mqtt://host:7", "http://host:7/"},      {"mqtt://host:7/", "http://host:7/"},
        {"mqtts://[::1]", "https://[::1]:8883/"}, {"mqtts://[::1]:9", "https://[::1]:9/"},
    };
    char url[DIAL_URL_BYTES];
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        EXPECT_EQ(dial_parse_url(rows[i][0], url), OK);
        EXPECT_STRING(url, rows[i][1]);
    }
}

TEST(what_is_no_such_url_is_refused) {
    static const char *const rows[] = {"",         "http://host", "mqtt:host",     "mqtt://",
                                       "mqtt:///", "mqtt://:1",   "mqtt://u@host", "MQTT://host"};
    char url[DIAL_URL_BYTES], large[2 * DIAL_URL_BYTES] = "mqtt://";
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        EXPECT_EQ(dial_parse_url(rows[i], url), ERR_CONFIG);
    }
    memset(large + 7, 'h', sizeof(large) - 8);
    EXPECT_EQ(dial_parse_url(large, url), ERR_TOO_LARGE);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CLAIM(bytes_go_both_ways_and_the_end_is_told),
        CLAIM(nobody_listening_is_told_and_the_dial_may_go_at_once),
        CLAIM(peer_that_speaks_no_tls_is_told),
        CLAIM(dial_that_is_destroyed_says_nothing),
        UNIT(urls_get_the_port_of_their_scheme),
        UNIT(what_is_no_such_url_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

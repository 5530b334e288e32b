/* SPDX-License-Identifier: Apache-2.0 */
/* The driver on a real loop against a real server; the sink is the test's. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "protocols/sinks/driver.h"
#include "protocols/sinks/loop.h"
#include "tests/protocols/sinks/endpoint.h"
#include "tests/unit.h"

#define SHIPMENTS_MAX 8
#define PATIENCE_MS 60000 /* of what is not meant to end by itself */

struct sink {
    size_t settled_count;
    size_t wanted; /* so many settled end the loop */
    struct shipment *settled[SHIPMENTS_MAX * 4];
    struct verdict verdicts[SHIPMENTS_MAX * 4];
    size_t again; /* shipments that are handed over again as they settle */
    bool is_up;
    bool is_stopped;
};

struct scene {
    struct metrics *metrics;
    struct loop *loop;
    struct broker broker;
    struct config config;
    struct endpoint endpoint;
    char url[64];
    char *networks[1];
    struct sink_row row;
    struct sink sink;
    void *state;
    struct message *message;
    struct shipment shipments[SHIPMENTS_MAX];
};

static struct scene scene;
static char loopback[] = "127.0.0.0/8";
static char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/* --- the sink -------------------------------------------------------------------------------- */

void sink_on_up(struct sink *sink, const struct place *place, uint64_t course) {
    (void)course;
    assert_null(place);
    sink->is_up = true;
}

void sink_on_down(struct sink *sink, const struct verdict *verdict) {
    (void)sink;
    fail_msg("it went down: %s", verdict->detail);
}

void sink_on_stopped(struct sink *sink) {
    sink->is_stopped = true;
}

void sink_on_settled(struct shipment *shipment, const struct verdict *verdict) {
    struct sink *sink = shipment->sink;
    sink->settled[sink->settled_count] = shipment;
    sink->verdicts[sink->settled_count] = *verdict;
    sink->settled_count++;
    if (sink->again > 0) {
        sink->again--;
        webhook_driver.ship(scene.state, shipment);
    }
    if (sink->settled_count == sink->wanted) {
        loop_end(scene.loop);
    }
}

/* --- the scene ------------------------------------------------------------------------------- */

static int begin(void **state) {
    static const struct message_fields fields = {
        .kind = MESSAGE_DATA, .channel = SPAN_ROW("a/b"), .payload = SPAN_ROW("{\"n\":1}")};
    const struct place place = {.log_id = 1, .position = 9, .channel_id = 2, .offset = 7};
    (void)state;
    memset(&scene, 0, sizeof(scene));
    scene.broker.config = &scene.config;
    scene.networks[0] = loopback;
    scene.config.egress_allow = (struct config_list){.items = scene.networks, .count = 1};
    atomic_store(&scene.broker.configured, &scene.config);
    scene.row = (struct sink_row){.format = SINK_FORMAT_DATA,
                                  .batch_count = 1,
                                  .batch_bytes = 1000,
                                  .concurrency = 4,
                                  .webhook_url = scene.url,
                                  .webhook_secret = secret,
                                  .webhook_connect_timeout_ms = PATIENCE_MS,
                                  .webhook_timeout_ms = PATIENCE_MS,
                                  .retry_after_max_ms = 60000};
    scene.message = message_create(&fields);
    message_order(scene.message, &place, 1);
    return metrics_create(1, &scene.metrics) != OK ||
           loop_create(metrics_shard(scene.metrics, METRICS_MAIN), &scene.loop, NULL) != OK;
}

static int end(void **state) {
    (void)state;
    webhook_driver.stop(scene.state);
    assert_true(scene.sink.is_stopped);
    webhook_driver.close(scene.state);
    loop_destroy(scene.loop);
    metrics_destroy(scene.metrics);
    message_unref(scene.message);
    if (scene.endpoint.port != 0) {
        endpoint_stop(&scene.endpoint);
    }
    return 0;
}

static void open_driver(void) {
    const struct sink_link link = {&scene.sink, &scene.broker, scene.loop, &scene.row};
    EXPECT_EQ(webhook_driver.open(&link, &scene.state, NULL), OK);
    webhook_driver.start(scene.state);
    EXPECT_TRUE(scene.sink.is_up);
}

static void serve(const char *const *answers, size_t count) {
    endpoint_start(&scene.endpoint, answers, count);
    snprintf(scene.url, sizeof(scene.url), "http://127.0.0.1:%u/hook?key=s3cret",
             scene.endpoint.port);
    open_driver();
}

static void ship(size_t index) {
    struct shipment *shipment = &scene.shipments[index];
    *shipment = (struct shipment){.sink = &scene.sink, .messages = &scene.message, .count = 1};
    snprintf(shipment->id, sizeof(shipment->id), "msg_%zu", index);
    webhook_driver.ship(scene.state, shipment);
}

/* Until so many more have settled. */
static void run(size_t count) {
    scene.sink.wanted = scene.sink.settled_count + count;
    loop_run(scene.loop);
}

static const struct verdict *ship_and_run(void) {
    ship(0);
    run(1);
    return &scene.sink.verdicts[scene.sink.settled_count - 1];
}

/* Turns the loop until the endpoint has seen so many. */
static void await(atomic_size_t *seen, size_t count) {
    while (atomic_load(seen) < count && scene.sink.settled_count == 0) {
        loop_end(scene.loop);
        loop_run(scene.loop);
    }
}

/* --- claims ---------------------------------------------------------------------------------- */

TEST(a_shipment_is_one_signed_post) {
    static const char *const answers[] = {ENDPOINT_OK};
    serve(answers, 1);
    EXPECT_EQ(ship_and_run()->outcome, OUTCOME_DELIVERED);
    const char *request = scene.endpoint.requests[0];
    EXPECT_EQ(strncmp(request, "POST /hook?key=s3cret HTTP/1.1\r\n", 32), 0);
    EXPECT_NOT_NULL(strstr(request, "\r\nwebhook-id: msg_0\r\n"));
    EXPECT_NOT_NULL(strstr(request, "\r\nwebhook-signature: v1,"));
    EXPECT_NOT_NULL(strstr(request, "\r\nContent-Type: application/json\r\n"));
    EXPECT_NOT_NULL(strstr(request, "\r\n\r\n{\"n\":1}"));
    EXPECT_NULL(strstr(request, "Expect:"));
}

TEST(one_connection_carries_one_request_after_another) {
    static const char *const answers[] = {ENDPOINT_OK};
    serve(answers, 1);
    scene.sink.again = 4;
    ship(0);
    run(5);
    EXPECT_EQ(atomic_load(&scene.endpoint.request_count), 5);
    EXPECT_EQ(atomic_load(&scene.endpoint.connection_count), 1);
}

TEST(several_are_under_way_at_once) {
    static const char *const answers[] = {ENDPOINT_HANGS};
    serve(answers, 1);
    for (size_t i = 0; i < 3; i++) {
        ship(i);
    }
    await(&scene.endpoint.request_count, 3);
    EXPECT_EQ(atomic_load(&scene.endpoint.connection_count), 3);
    EXPECT_EQ(scene.sink.settled_count, 0);
}

TEST(an_endpoint_that_does_not_answer_in_time_is_not_reached) {
    static const char *const answers[] = {ENDPOINT_HANGS};
    scene.row.webhook_timeout_ms = 50;
    serve(answers, 1);
    const struct verdict *verdict = ship_and_run();
    EXPECT_EQ(verdict->outcome, OUTCOME_UNREACHED);
    EXPECT_NOT_NULL(strstr(verdict->detail, "timed out"));
}

TEST(an_answer_that_is_none_is_a_failure_of_somebody_who_is_there) {
    static const char *const answers[] = {"what?\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-L", NULL};
    for (size_t i = 0; i < 3; i++) {
        if (i > 0) {
            webhook_driver.stop(scene.state);
            webhook_driver.close(scene.state);
            endpoint_stop(&scene.endpoint);
        }
        scene.sink.settled_count = 0;
        serve(&answers[i], 1);
        if (i == 1) { /* and then it goes */
            ship(0);
            await(&scene.endpoint.request_count, 1);
            shutdown(scene.endpoint.fds[0], SHUT_RDWR);
            run(1);
        } else {
            ship_and_run();
        }
        const struct verdict *verdict = &scene.sink.verdicts[scene.sink.settled_count - 1];
        EXPECT_EQ(verdict->outcome, OUTCOME_FAILED);
        EXPECT_EQ(verdict->status, 0);
        EXPECT_TRUE(verdict->detail[0] != '\0');
        EXPECT_NULL(strstr(verdict->detail, "s3cret"));
    }
}

/* The more time there is, the surer it is that its first line comes before that is over. */
TEST(two_hundred_counts_whatever_follows) {
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly so much"};
    enum outcome outcome = OUTCOME_UNREACHED;
    serve(answers, 1);
    for (uint64_t ms = 100; ms < PATIENCE_MS && outcome == OUTCOME_UNREACHED; ms *= 3) {
        scene.row.webhook_timeout_ms = ms;
        outcome = ship_and_run()->outcome;
    }
    EXPECT_EQ(outcome, OUTCOME_DELIVERED);
}

TEST(an_answer_is_judged_and_its_wait_is_capped) {
    static const char *const answers[] = {
        "HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 5\r\n\r\nsorry",
        "HTTP/1.1 429 x\r\nRetry-After: 1000\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 307 x\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 410 x\r\nContent-Length: 0\r\n\r\n"};
    serve(answers, 4);
    const struct verdict *verdict = ship_and_run();
    EXPECT_EQ(verdict->outcome, OUTCOME_THROTTLED);
    EXPECT_EQ(verdict->status, 503);
    EXPECT_EQ(verdict->retry_after_ms, 7000);
    EXPECT_STRING(verdict->detail, "sorry");
    EXPECT_EQ(ship_and_run()->retry_after_ms, 60000);
    EXPECT_EQ(ship_and_run()->outcome, OUTCOME_FAILED);
    EXPECT_EQ(ship_and_run()->outcome, OUTCOME_GONE);
    EXPECT_EQ(atomic_load(&scene.endpoint.request_count), 4); /* no redirect was followed */
}

TEST(an_echo_of_a_secret_is_not_shown) {
    static const char *const answers[] = {
        "HTTP/1.1 400 x\r\nContent-Length: 20\r\n\r\nbad key: Bearer abc!"};
    static char own[] = "Authorization: Bearer abc";
    char *headers[] = {own};
    scene.row.webhook_headers = (struct config_list){.items = headers, .count = 1};
    serve(answers, 1);
    EXPECT_STRING(ship_and_run()->detail, "bad key: **********!");
    EXPECT_NOT_NULL(strstr(scene.endpoint.requests[0], "\r\nAuthorization: Bearer abc\r\n"));
}

TEST(an_echo_of_a_part_of_a_secret_is_not_shown) {
    static const char *const answers[] = {
        "HTTP/1.1 401 x\r\nContent-Length: 68\r\n\r\n"
        "token SEKRETS, cookie OATMEAL1, key MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"};
    static char token[] = "Authorization: Bearer SEKRETS";
    static char cookie[] = "Cookie: a=1; session=OATMEAL1";
    char *headers[] = {token, cookie};
    scene.row.webhook_headers = (struct config_list){.items = headers, .count = 2};
    serve(answers, 1);
    EXPECT_STRING(ship_and_run()->detail,
                  "token *******, cookie ********, key ********************************");
    EXPECT_EQ(scene.sink.verdicts[0].status, 401);
}

TEST(an_address_that_is_not_allowed_is_not_connected_to) {
    static const char *const answers[] = {ENDPOINT_OK};
    scene.config.egress_allow.count = 0;
    serve(answers, 1);
    const struct verdict *verdict = ship_and_run();
    EXPECT_EQ(verdict->outcome, OUTCOME_UNREACHED);
    EXPECT_STRING(verdict->detail,
                  "127.0.0.1 is a loopback address, and in no network of egress.allow");
    EXPECT_EQ(atomic_load(&scene.endpoint.connection_count), 0);
}

/* It would publish what is sent again, without end. Said explicitly it is allowed. */
TEST(the_brokers_own_port_at_a_public_address_is_not_connected_to) {
    struct sockaddr_in *listen = (void *)&scene.config.public_listen.socket;
    listen->sin_family = AF_INET;
    assert_int_equal(inet_pton(AF_INET, "8.8.8.8", &listen->sin_addr), 1);
    scene.broker.public_port = 8080;
    snprintf(scene.url, sizeof(scene.url), "http://8.8.8.8:8080/channels/a/b");
    open_driver();
    const struct verdict *verdict = ship_and_run();
    EXPECT_EQ(verdict->outcome, OUTCOME_UNREACHED);
    EXPECT_STRING(verdict->detail, "8.8.8.8 is this broker itself, and in no network of "
                                   "egress.allow");
}

/* However it is written: it is the address that is looked at. */
TEST(no_spelling_of_an_address_gets_past) {
    static const char *const hosts[] = {"2130706433", "0x7f.1",    "0177.0.0.1",
                                        "127.1",      "localhost", "[::ffff:127.0.0.1]",
                                        "[::1]",      "0"};
    scene.config.egress_allow.count = 0;
    snprintf(scene.url, sizeof(scene.url), "http://0/");
    open_driver();
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        webhook_driver.stop(scene.state);
        webhook_driver.close(scene.state);
        snprintf(scene.url, sizeof(scene.url), "http://%s:9/", hosts[i]);
        open_driver();
        const struct verdict *verdict = ship_and_run();
        EXPECT_EQ(verdict->outcome, OUTCOME_UNREACHED);
        EXPECT_NOT_NULL(strstr(verdict->detail, "in no network of egress.allow"));
    }
}

/* A connection that was allowed is not used when it no longer is. */
TEST(a_kept_connection_is_no_way_round_a_new_rule) {
    static const char *const answers[] = {ENDPOINT_OK};
    struct config stricter = {0};
    serve(answers, 1);
    EXPECT_EQ(ship_and_run()->outcome, OUTCOME_DELIVERED);
    atomic_store(&scene.broker.configured, &stricter);
    EXPECT_EQ(ship_and_run()->outcome, OUTCOME_UNREACHED);
    atomic_store(&scene.broker.configured, &scene.config);
    EXPECT_EQ(ship_and_run()->outcome, OUTCOME_DELIVERED);
    EXPECT_EQ(atomic_load(&scene.endpoint.connection_count), 2);
}

TEST(what_is_under_way_at_a_reload_comes_to_its_end) {
    static const char *const answers[] = {ENDPOINT_HANGS, ENDPOINT_OK};
    struct config other = scene.config;
    serve(answers, 2);
    ship(0);
    await(&scene.endpoint.request_count, 1);
    atomic_store(&scene.broker.configured, &other);
    ship(1);
    run(1);
    EXPECT_TRUE(scene.sink.settled[0] == &scene.shipments[1]);
    EXPECT_EQ(send(scene.endpoint.fds[0], ENDPOINT_OK, strlen(ENDPOINT_OK), 0),
              strlen(ENDPOINT_OK));
    run(1);
    EXPECT_EQ(scene.sink.verdicts[0].outcome, OUTCOME_DELIVERED);
    EXPECT_EQ(scene.sink.verdicts[1].outcome, OUTCOME_DELIVERED);
    atomic_store(&scene.broker.configured, &scene.config);
}

TEST(what_is_under_way_at_the_end_is_abandoned) {
    static const char *const answers[] = {ENDPOINT_HANGS};
    serve(answers, 1);
    ship(0);
    ship(1);
    webhook_driver.stop(scene.state);
    EXPECT_EQ(scene.sink.settled_count, 2);
    EXPECT_EQ(scene.sink.verdicts[0].outcome, OUTCOME_ABANDONED);
    EXPECT_TRUE(scene.sink.is_stopped);
}

TEST(nobody_who_listens_is_not_reached) {
    uint16_t port = 0;
    int fd = endpoint_take_port(&port);
    snprintf(scene.url, sizeof(scene.url), "http://127.0.0.1:%u/hook?key=s3cret", port);
    open_driver();
    const struct verdict *verdict = ship_and_run();
    EXPECT_EQ(verdict->outcome, OUTCOME_UNREACHED);
    EXPECT_NULL(strstr(verdict->detail, "s3cret"));
    close(fd);
}

TEST(a_name_that_nobody_knows_is_not_reached) {
    scene.row.webhook_connect_timeout_ms = 5000; /* the machine's resolver may try for long */
    snprintf(scene.url, sizeof(scene.url), "http://no-such-host.invalid/");
    open_driver();
    const struct verdict *verdict = ship_and_run();
    EXPECT_EQ(verdict->outcome, OUTCOME_UNREACHED);
    EXPECT_NOT_NULL(strstr(verdict->detail, "resolve"));
}

TEST(a_file_of_authorities_is_looked_at_before_it_is_needed) {
    static char missing[] = "/nonexistent/ca.pem";
    static char empty[] = "/dev/null";
    struct config_faults *faults = calloc(1, sizeof(*faults));
    struct sink_row row = {.webhook_ca = missing};
    EXPECT_NOT_NULL(faults);
    webhook_driver.check(&row, "tidings.yaml", "sinks[0]", faults);
    row.webhook_ca = empty;
    webhook_driver.check(&row, "tidings.yaml", "sinks[0]", faults);
    row.webhook_ca = NULL;
    webhook_driver.check(&row, "tidings.yaml", "sinks[0]", faults);
    EXPECT_EQ(faults->count, 2);
    EXPECT_STRING(faults->rows[0].reason,
                  "`webhook.ca`, \"/nonexistent/ca.pem\": No such file or directory");
    EXPECT_STRING(faults->rows[1].reason, "`webhook.ca`, \"/dev/null\": has no certificate in PEM");
    free(faults);
    snprintf(scene.url, sizeof(scene.url), "http://0/");
    open_driver();
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)
        CLAIM(a_shipment_is_one_signed_post),
        CLAIM(one_connection_carries_one_request_after_another),
        CLAIM(several_are_under_way_at_once),
        CLAIM(an_endpoint_that_does_not_answer_in_time_is_not_reached),
        CLAIM(an_answer_that_is_none_is_a_failure_of_somebody_who_is_there),
        CLAIM(two_hundred_counts_whatever_follows),
        CLAIM(an_answer_is_judged_and_its_wait_is_capped),
        CLAIM(an_echo_of_a_secret_is_not_shown),
        CLAIM(an_echo_of_a_part_of_a_secret_is_not_shown),
        CLAIM(an_address_that_is_not_allowed_is_not_connected_to),
        CLAIM(the_brokers_own_port_at_a_public_address_is_not_connected_to),
        CLAIM(no_spelling_of_an_address_gets_past),
        CLAIM(a_kept_connection_is_no_way_round_a_new_rule),
        CLAIM(what_is_under_way_at_a_reload_comes_to_its_end),
        CLAIM(what_is_under_way_at_the_end_is_abandoned),
        CLAIM(nobody_who_listens_is_not_reached),
        CLAIM(a_name_that_nobody_knows_is_not_reached),
        CLAIM(a_file_of_authorities_is_looked_at_before_it_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

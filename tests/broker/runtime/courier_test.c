/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/runtime/courier.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "tests/unit.h"

#define REQUEST_BYTES 4096
#define PATIENCE_MS 60000 /* of a call that is not meant to end by itself */
#define ASKERS 2
#define ASKS 50

#define OK_2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* A server that takes connections one after the other and gives each request the same answer. */
static struct {
    struct metrics *metrics;
    struct courier *courier;
    struct mailbox mailbox; /* the asker's */
    size_t answered_count;
    int door;
    pthread_t thread;
    _Atomic(const char *) answer; /* NULL: none, and the connection stays */
    pthread_mutex_t mutex;        /* of the last request */
    char request[REQUEST_BYTES];
    char url[64];
} world;

/* --- the other side --------------------------------------------------------------------------- */

/* A head, and what came with it. */
static void serve_one(int fd) {
    char request[REQUEST_BYTES];
    size_t length = 0;
    for (;;) {
        ssize_t count = recv(fd, request + length, REQUEST_BYTES - 1 - length, 0);
        if (count <= 0) {
            return;
        }
        length += (size_t)count;
        request[length] = '\0';
        const char *answer = atomic_load(&world.answer);
        if (strstr(request, "\r\n\r\n") != NULL && answer != NULL) {
            pthread_mutex_lock(&world.mutex);
            memcpy(world.request, request, length + 1);
            pthread_mutex_unlock(&world.mutex);
            send(fd, answer, strlen(answer), MSG_NOSIGNAL);
            return;
        }
    }
}

/* Does the last request hold these bytes? */
static bool has_sent(const char *bytes) {
    pthread_mutex_lock(&world.mutex);
    bool has = strstr(world.request, bytes) != NULL;
    pthread_mutex_unlock(&world.mutex);
    return has;
}

static void *serve(void *context) {
    (void)context;
    int fd;
    while ((fd = accept4(world.door, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        serve_one(fd);
        close(fd);
    }
    return NULL;
}

/* --- what a test does ------------------------------------------------------------------------- */

/* A port of the test's own, at which nobody listens yet. */
static int take_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(fd, (struct sockaddr *)&address, length), 0);
    EXPECT_EQ(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(world.url, sizeof(world.url), "http://127.0.0.1:%u/keys", ntohs(address.sin_port));
    return fd;
}

static void listen_with(const char *answer) {
    atomic_store(&world.answer, answer);
    world.door = take_port();
    EXPECT_EQ(listen(world.door, 64), 0);
    EXPECT_EQ(pthread_create(&world.thread, NULL, serve, NULL), 0);
}

static int begin(void **state) {
    (void)state;
    memset(&world, 0, sizeof(world));
    world.door = -1;
    pthread_mutex_init(&world.mutex, NULL);
    EXPECT_EQ(metrics_create(1, &world.metrics), OK);
    EXPECT_EQ(mailbox_init(&world.mailbox, MAILBOX_NODES_MAX), OK);
    struct metrics_shard *shard = metrics_shard(world.metrics, METRICS_COURIER);
    EXPECT_EQ(courier_create(shard, &world.courier, NULL), OK);
    return 0;
}

static int end(void **state) {
    (void)state;
    courier_stop(world.courier);
    if (world.door >= 0) {
        shutdown(world.door, SHUT_RDWR);
        EXPECT_EQ(pthread_join(world.thread, NULL), 0);
        close(world.door);
    }
    mailbox_deliver_all(&world.mailbox, NULL);
    courier_destroy(world.courier);
    mailbox_finish(&world.mailbox);
    metrics_destroy(world.metrics);
    pthread_mutex_destroy(&world.mutex);
    return 0;
}

static void on_answered(struct call *call) {
    (*(size_t *)call->context)++;
}

static struct call call_of(const char *url) {
    return (struct call){.url = url,
                         .timeout_ms = PATIENCE_MS,
                         .answer_bytes_max = 1000,
                         .reply_to = &world.mailbox,
                         .on_answered = on_answered,
                         .context = &world.answered_count};
}

static void wait_answered(size_t count) {
    while (world.answered_count < count) {
        mailbox_wait(&world.mailbox, -1);
        mailbox_deliver_all(&world.mailbox, NULL);
    }
}

/* One call from its beginning to its end; its answer is to be finished. */
static void make(struct call *call) {
    size_t before = world.answered_count;
    EXPECT_EQ(courier_ask(world.courier, call), OK);
    wait_answered(before + 1);
}

static void start_with(const char *answer) {
    listen_with(answer);
    EXPECT_EQ(courier_start(world.courier, NULL), OK);
}

/* --- answers ---------------------------------------------------------------------------------- */

TEST(an_answer_is_brought_with_its_status_whatever_that_is) {
    start_with("HTTP/1.1 503 Down\r\nContent-Length: 4\r\n\r\nlate");
    struct call call = call_of(world.url);
    make(&call);
    EXPECT_EQ(call.result, OK);
    EXPECT_EQ(call.status, 503);
    EXPECT_SPAN(buffer_borrow(&call.answer), "late");
    EXPECT_EQ(call.max_age_s, 0);
    buffer_finish(&call.answer);
}

TEST(what_is_posted_arrives_with_its_headers_and_nothing_of_the_environment) {
    EXPECT_EQ(setenv("http_proxy", "http://127.0.0.1:1/", 1), 0);
    start_with(OK_2);
    struct call call = call_of(world.url);
    call.is_post = true;
    call.body = SPAN("{\"a\":1}");
    call.headers[0] = "Content-Type: application/json";
    call.headers[1] = "webhook-id: msg_1";
    make(&call);
    EXPECT_EQ(unsetenv("http_proxy"), 0);
    EXPECT_EQ(call.result, OK);
    EXPECT_TRUE(has_sent("POST /keys HTTP/1.1\r\n"));
    EXPECT_TRUE(has_sent("\r\nContent-Type: application/json\r\n"));
    EXPECT_TRUE(has_sent("\r\nwebhook-id: msg_1\r\n"));
    EXPECT_TRUE(has_sent("\r\nContent-Length: 7\r\n"));
    buffer_finish(&call.answer);
}

TEST(an_answer_beyond_its_ceiling_is_broken_off) {
    static char answer[4096];
    int length =
        snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n");
    memset(answer + length, 'x', 1001);
    start_with(answer);
    struct call call = call_of(world.url);
    make(&call);
    EXPECT_EQ(call.result, ERR_TOO_LARGE);
    EXPECT_TRUE(call.answer.length <= 1000);
    buffer_finish(&call.answer);
    call = call_of(world.url);
    call.answer_bytes_max = 1001;
    make(&call);
    EXPECT_EQ(call.result, OK);
    EXPECT_EQ(call.answer.length, 1001);
    buffer_finish(&call.answer);
}

TEST(a_redirect_is_an_answer_and_is_not_followed) {
    start_with("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n");
    struct call call = call_of(world.url);
    make(&call);
    EXPECT_EQ(call.result, OK);
    EXPECT_EQ(call.status, 302);
    EXPECT_EQ(call.answer.length, 0);
    buffer_finish(&call.answer);
}

TEST(nothing_but_http_is_spoken) {
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://a/",
                                       "dict://127.0.0.1/",  "telnet://a/",      "no url at all"};
    EXPECT_EQ(courier_start(world.courier, NULL), OK);
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        struct call call = call_of(urls[i]);
        make(&call);
        EXPECT_EQ(call.result, ERR_IO);
        EXPECT_EQ(call.answer.length, 0);
        buffer_finish(&call.answer);
    }
}

TEST(an_age_is_read_of_its_directive_alone) {
    static const struct {
        const char *answer;
        uint64_t age_s;
    } cases[] = {
#define AGE(field) "HTTP/1.1 200 OK\r\n" field "\r\nContent-Length: 2\r\n\r\nok"
        {AGE("Cache-Control: max-age=600"), 600},
        {AGE("cache-control: public , MAX-AGE = 7 "), 7},
        {AGE("Cache-Control: s-maxage=5, no-store"), 0},
        {AGE("Cache-Control: max-age=-1"), 0},
        {AGE("Cache-Control: max-age=99999999999999999999999"), 0},
        {AGE("Cache-Control:"), 0},
        {AGE("X-Cache-Control: max-age=600"), 0},
#undef AGE
    };
    start_with(OK_2);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct call call = call_of(world.url);
        atomic_store(&world.answer, cases[i].answer);
        make(&call);
        EXPECT_EQ(call.result, OK);
        EXPECT_EQ(call.max_age_s, cases[i].age_s);
        buffer_finish(&call.answer);
    }
}

TEST(who_does_not_answer_in_time_is_given_up) {
    start_with(NULL);
    struct call call = call_of(world.url);
    call.timeout_ms = 50;
    make(&call);
    EXPECT_EQ(call.result, ERR_REQUEST_TIMEOUT);
    EXPECT_EQ(call.status, 0);
    buffer_finish(&call.answer);
}

TEST(a_port_that_nobody_listens_at_is_told_with_the_reason) {
    int fd = take_port();
    EXPECT_EQ(courier_start(world.courier, NULL), OK);
    struct call call = call_of(world.url);
    make(&call);
    EXPECT_EQ(call.result, ERR_IO);
    EXPECT_TRUE(call.why.detail[0] != '\0');
    buffer_finish(&call.answer);
    close(fd);
}

/* --- bounds and ends -------------------------------------------------------------------------- */

TEST(more_calls_than_may_be_under_way_are_refused_and_the_end_answers_all) {
    static struct call calls[CALLS_MAX + 1];
    start_with(NULL);
    for (size_t i = 0; i <= CALLS_MAX; i++) {
        calls[i] = call_of(world.url);
        EXPECT_EQ(courier_ask(world.courier, &calls[i]), i < CALLS_MAX ? OK : ERR_BUSY);
    }
    courier_stop(world.courier);
    wait_answered(CALLS_MAX);
    for (size_t i = 0; i < CALLS_MAX; i++) {
        EXPECT_EQ(calls[i].result, ERR_DRAINING);
        buffer_finish(&calls[i].answer);
    }
    EXPECT_EQ(metrics_sum(world.metrics, METRIC_CALLS, ERR_DRAINING), CALLS_MAX);
    struct call late = call_of(world.url);
    EXPECT_EQ(courier_ask(world.courier, &late), ERR_DRAINING);
    courier_stop(world.courier);
}

TEST(one_that_never_started_ends) {
    courier_stop(world.courier);
    courier_stop(NULL);
    courier_destroy(NULL);
}

struct guest {
    struct courier_guest guest;
    atomic_size_t due_count;
    atomic_size_t nudged_count;
};

static void on_due(struct courier_guest *guest, uint64_t now_ms) {
    EXPECT_TRUE(now_ms >= guest->due_ms);
    guest->due_ms = UINT64_MAX;
    atomic_fetch_add(&CONTAINER_OF(guest, struct guest, guest)->due_count, 1);
}

static void on_nudged(struct courier_guest *guest, uint64_t now_ms) {
    (void)now_ms;
    guest->due_ms = 0;
    atomic_fetch_add(&CONTAINER_OF(guest, struct guest, guest)->nudged_count, 1);
}

TEST(guests_are_called_when_they_are_due_and_once_for_each_nudge) {
    struct guest guest = {
        .guest = {.due_ms = UINT64_MAX, .on_due = on_due, .on_nudged = on_nudged}};
    courier_put_guest(world.courier, &guest.guest);
    start_with(OK_2);
    for (size_t i = 1; i <= 3; i++) {
        courier_nudge(world.courier);
        struct call call = call_of(world.url);
        make(&call); /* behind the nudge */
        buffer_finish(&call.answer);
        EXPECT_EQ(atomic_load(&guest.nudged_count), i);
    }
    courier_stop(world.courier);
    EXPECT_TRUE(atomic_load(&guest.due_count) >= 2);
    EXPECT_TRUE(atomic_load(&guest.due_count) <= 3);
}

/* --- several askers at once ------------------------------------------------------------------- */

struct asker {
    pthread_t thread;
    struct mailbox mailbox;
    size_t answered_count;
};

static void *ask_often(void *context) {
    struct asker *asker = context;
    for (size_t i = 0; i < ASKS; i++) {
        struct call call = call_of(world.url);
        call.reply_to = &asker->mailbox;
        call.context = &asker->answered_count;
        EXPECT_EQ(courier_ask(world.courier, &call), OK);
        while (asker->answered_count == i) {
            mailbox_wait(&asker->mailbox, -1);
            mailbox_deliver_all(&asker->mailbox, NULL);
        }
        EXPECT_EQ(call.result, OK);
        buffer_finish(&call.answer);
    }
    return NULL;
}

TEST(each_asker_gets_its_own_answers) {
    struct asker askers[ASKERS] = {0};
    start_with(OK_2);
    for (size_t i = 0; i < ASKERS; i++) {
        EXPECT_EQ(mailbox_init(&askers[i].mailbox, MAILBOX_NODES_MAX), OK);
        EXPECT_EQ(pthread_create(&askers[i].thread, NULL, ask_often, &askers[i]), 0);
    }
    for (size_t i = 0; i < ASKERS; i++) {
        EXPECT_EQ(pthread_join(askers[i].thread, NULL), 0);
        EXPECT_EQ(askers[i].answered_count, ASKS);
        mailbox_finish(&askers[i].mailbox);
    }
}

#define COURIER(name) cmocka_unit_test_setup_teardown(name, begin, end)

UNIT_TESTS(COURIER(an_answer_is_brought_with_its_status_whatever_that_is),
           COURIER(what_is_posted_arrives_with_its_headers_and_nothing_of_the_environment),
           COURIER(an_answer_beyond_its_ceiling_is_broken_off),
           COURIER(a_redirect_is_an_answer_and_is_not_followed),
           COURIER(nothing_but_http_is_spoken), COURIER(an_age_is_read_of_its_directive_alone),
           COURIER(who_does_not_answer_in_time_is_given_up),
           COURIER(a_port_that_nobody_listens_at_is_told_with_the_reason),
           COURIER(more_calls_than_may_be_under_way_are_refused_and_the_end_answers_all),
           COURIER(one_that_never_started_ends),
           COURIER(guests_are_called_when_they_are_due_and_once_for_each_nudge),
           COURIER(each_asker_gets_its_own_answers))

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/post.h"

#include <fcntl.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/metrics/metrics.h"
#include "broker/runtime/broker.h"
#include "protocols/sinks/loop.h"
#include "tests/protocols/sinks/endpoint.h"
#include "tests/unit.h"

#define SLOW_NAME "slow.invalid"
#define QUICK_NAME "quick.invalid"

static const char *const answers[] = {ENDPOINT_OK};

struct scene {
    struct metrics *metrics;
    struct loop *loop;
    struct broker broker;
    struct config config;
    struct endpoint endpoint;
    char url[64];
    char *networks[1];
    struct post *post;
    struct posting postings[2];
    CURLcode results[2];
    bool is_done[2];
    size_t wanted; /* so many done end the loop */
    uint64_t resolve_ms;
};

static struct scene scene;
static char loopback[] = "127.0.0.0/8";

/* --- names: one that hangs until the test says so, and one of this machine -------------------- */

static atomic_uint quick_count;
static sem_t slow_began;
static sem_t slow_may_end;
static sem_t slow_ended;

/* Stands before the library's; addresses are not asked for. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list);
void freeaddrinfo(struct addrinfo *list);

void freeaddrinfo(struct addrinfo *list) {
    (void)list;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list) {
    (void)service;
    (void)hints;
    if (strcasecmp(name, QUICK_NAME) == 0) {
        static struct sockaddr_in address = {.sin_family = AF_INET};
        static struct addrinfo found = {.ai_family = AF_INET,
                                        .ai_addr = (struct sockaddr *)&address,
                                        .ai_addrlen = sizeof(address)};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        *ret_list = &found;
        atomic_fetch_add(&quick_count, 1);
        return 0;
    }
    if (strcmp(name, SLOW_NAME) == 0) {
        sem_post(&slow_began);
        sem_wait(&slow_may_end);
        sem_post(&slow_ended);
    }
    return EAI_NONAME;
}

/* --- the scene ------------------------------------------------------------------------------- */

static void note_done(struct posting *posting, CURLcode result) {
    size_t index = (size_t)(posting - scene.postings);
    EXPECT_FALSE(scene.is_done[index]);
    scene.is_done[index] = true;
    scene.results[index] = result;
    if (--scene.wanted == 0) {
        loop_end(scene.loop);
    }
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context) {
    (void)bytes;
    (void)context;
    return size * count;
}

static void prepare(size_t index, const char *url) {
    struct posting *posting = &scene.postings[index];
    *posting = (struct posting){
        .handle = curl_easy_init(), .on_done = note_done, .resolve_ms = scene.resolve_ms};
    EXPECT_NOT_NULL(posting->handle);
    curl_easy_setopt(posting->handle, CURLOPT_URL, url);
    curl_easy_setopt(posting->handle, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(posting->handle, CURLOPT_CONNECTTIMEOUT_MS, 60000L);
    EXPECT_TRUE(post_prepare(posting, NULL));
    EXPECT_EQ(post_send(scene.post, posting), OK);
}

static void run(size_t count) {
    scene.wanted = count;
    loop_run(scene.loop);
}

static int begin(void **state) {
    (void)state;
    memset(&scene, 0, sizeof(scene));
    sem_init(&slow_began, 0, 0);
    sem_init(&slow_may_end, 0, 0);
    sem_init(&slow_ended, 0, 0);
    scene.networks[0] = loopback;
    scene.resolve_ms = 50;
    scene.config.egress_allow = (struct config_list){.items = scene.networks, .count = 1};
    atomic_store(&scene.broker.configured, &scene.config);
    if (metrics_create(1, &scene.metrics) != OK ||
        loop_create(metrics_shard(scene.metrics, METRICS_MAIN), &scene.loop, NULL) != OK) {
        return 1;
    }
    scene.post = post_borrow(&scene.broker, scene.loop);
    endpoint_start(&scene.endpoint, answers, 1);
    snprintf(scene.url, sizeof(scene.url), "http://127.0.0.1:%u/", scene.endpoint.port);
    return scene.post == NULL;
}

static int end(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        post_take_back(&scene.postings[i]);
        curl_easy_cleanup(scene.postings[i].handle);
    }
    if (scene.post != NULL) {
        post_give_back(scene.post);
    }
    loop_destroy(scene.loop);
    metrics_destroy(scene.metrics);
    endpoint_stop(&scene.endpoint);
    return 0;
}

/* --- claims ---------------------------------------------------------------------------------- */

/* Its time is over while a thread still waits for the resolver: nobody waits for that thread. */
TEST(a_name_that_is_not_resolved_keeps_nobody) {
    prepare(0, "http://" SLOW_NAME "/");
    run(1);
    EXPECT_EQ(scene.results[0], CURLE_COULDNT_RESOLVE_HOST);
    prepare(1, scene.url);
    run(1);
    EXPECT_EQ(scene.results[1], CURLE_OK);
    sem_wait(&slow_began);
    EXPECT_EQ(sem_trywait(&slow_ended), -1);
    sem_post(&slow_may_end);
    sem_wait(&slow_ended);
}

TEST(a_name_is_looked_up_once_and_its_addresses_are_kept) {
    char url[128];
    snprintf(url, sizeof(url), "http://Quick.Invalid:%u/", scene.endpoint.port);
    scene.resolve_ms = 60000;
    for (size_t i = 0; i < 2; i++) {
        prepare(i, url);
        run(1);
        EXPECT_EQ(scene.results[i], CURLE_OK);
    }
    EXPECT_EQ(atomic_load(&quick_count), 1);
}

TEST(a_posting_that_was_taken_back_does_not_come_back) {
    prepare(0, scene.url);
    prepare(1, scene.url);
    post_take_back(&scene.postings[0]);
    post_take_back(&scene.postings[0]); /* harmless twice */
    run(1);
    EXPECT_FALSE(scene.is_done[0]);
    EXPECT_TRUE(scene.is_done[1]);
}

TEST(all_webhooks_of_a_loop_share_one) {
    EXPECT_TRUE(post_borrow(&scene.broker, scene.loop) == scene.post);
    post_give_back(scene.post);
    prepare(0, scene.url);
    run(1);
    EXPECT_EQ(scene.results[0], CURLE_OK);
}

/* The last owner goes, with what is under way, while it is being told of something. */
static void on_done_and_over(struct posting *posting, CURLcode result) {
    note_done(posting, result);
    post_take_back(&scene.postings[1]);
    post_give_back(scene.post);
    scene.post = NULL;
}

TEST(an_owner_may_end_it_as_it_is_told) {
    prepare(0, scene.url);
    scene.postings[0].on_done = on_done_and_over;
    scene.resolve_ms = 60000;
    prepare(1, "http://" SLOW_NAME "/");
    run(1);
    EXPECT_TRUE(scene.is_done[0]);
    EXPECT_FALSE(scene.is_done[1]);
    EXPECT_NULL(*loop_shared(scene.loop, LOOP_SHARED_POST));
    sem_post(&slow_may_end);
    sem_wait(&slow_ended);
}

/* 100 descriptors may be open, and the next one is the 80th. */
TEST(the_last_descriptors_are_left_to_clients) {
    struct rlimit before;
    int high = fcntl(scene.endpoint.fd, F_DUPFD_CLOEXEC, 79);
    int taken[80];
    size_t count = 0;
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    while ((taken[count] = fcntl(scene.endpoint.fd, F_DUPFD_CLOEXEC, 0)) < 79) {
        count++;
    }
    struct rlimit few = {.rlim_cur = 100, .rlim_max = before.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    prepare(0, scene.url);
    run(1);
    EXPECT_EQ(scene.results[0], CURLE_COULDNT_CONNECT);
    EXPECT_TRUE(scene.postings[0].is_crowded);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    prepare(1, scene.url);
    run(1);
    EXPECT_EQ(scene.results[1], CURLE_OK);
    for (size_t i = 0; i <= count; i++) {
        close(taken[i]);
    }
    close(high);
}

TEST(nothing_but_http_is_spoken) {
    prepare(0, "file:///etc/passwd");
    prepare(1, "ftp://127.0.0.1/");
    run(2);
    EXPECT_EQ(scene.results[0], CURLE_UNSUPPORTED_PROTOCOL);
    EXPECT_EQ(scene.results[1], CURLE_UNSUPPORTED_PROTOCOL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)
        CLAIM(a_name_that_is_not_resolved_keeps_nobody),
        CLAIM(a_name_is_looked_up_once_and_its_addresses_are_kept),
        CLAIM(a_posting_that_was_taken_back_does_not_come_back),
        CLAIM(all_webhooks_of_a_loop_share_one),
        CLAIM(an_owner_may_end_it_as_it_is_told),
        CLAIM(the_last_descriptors_are_left_to_clients),
        CLAIM(nothing_but_http_is_spoken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/sinks/lookup.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/limits.h"
#include "broker/metrics/metrics.h"
#include "tests/unit.h"

#define WAITS 1000
#define TEST_PATIENCE_MS 60000

/* --- a resolver that hangs for all names but one ---------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t within; /* in getaddrinfo() now … */
    size_t within_max;
    size_t calls;
    bool is_hanging;
} resolver = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list);
void freeaddrinfo(struct addrinfo *list);

void freeaddrinfo(struct addrinfo *list) {
    (void)list;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list) {
    static struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    static struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_addr = {{{[15] = 1}}}};
    static struct addrinfo second = {
        .ai_family = AF_INET6, .ai_addr = (struct sockaddr *)&ipv6, .ai_addrlen = sizeof(ipv6)};
    static struct addrinfo first = {.ai_family = AF_INET,
                                    .ai_addr = (struct sockaddr *)&ipv4,
                                    .ai_addrlen = sizeof(ipv4),
                                    .ai_next = &second};
    bool is_good = strcmp(name, "good") == 0;
    (void)service;
    (void)hints;
    pthread_mutex_lock(&resolver.lock);
    resolver.calls++;
    resolver.within++;
    resolver.within_max =
        resolver.within > resolver.within_max ? resolver.within : resolver.within_max;
    pthread_cond_broadcast(&resolver.changed);
    while (resolver.is_hanging && !is_good) {
        pthread_cond_wait(&resolver.changed, &resolver.lock);
    }
    resolver.within--;
    pthread_cond_broadcast(&resolver.changed);
    pthread_mutex_unlock(&resolver.lock);
    *ret_list = &first;
    return is_good ? 0 : EAI_AGAIN;
}

static void hang(bool is_hanging) {
    pthread_mutex_lock(&resolver.lock);
    resolver.is_hanging = is_hanging;
    pthread_cond_broadcast(&resolver.changed);
    pthread_mutex_unlock(&resolver.lock);
}

static size_t count_calls(void) {
    pthread_mutex_lock(&resolver.lock);
    size_t count = resolver.calls;
    pthread_mutex_unlock(&resolver.lock);
    return count;
}

static void await_within(size_t count) {
    pthread_mutex_lock(&resolver.lock);
    while (resolver.within != count) {
        pthread_cond_wait(&resolver.changed, &resolver.lock);
    }
    pthread_mutex_unlock(&resolver.lock);
}

/* --- the scene ------------------------------------------------------------------------------- */

static struct {
    struct metrics *metrics;
    struct loop *loop;
    struct lookup *lookup;
    struct lookup_wait waits[WAITS];
    char found[LOOKUP_ADDRESSES_BYTES]; /* the last that was */
    size_t found_count;
    size_t missing_count;
    size_t wanted; /* so many answers end the loop */
    struct loop_timer patience;
} scene;

static void on_found(struct lookup_wait *wait, const char *addresses) {
    (void)wait;
    scene.found_count += addresses != NULL;
    scene.missing_count += addresses == NULL;
    snprintf(scene.found, sizeof(scene.found), "%s", addresses == NULL ? "" : addresses);
    if (scene.found_count + scene.missing_count == scene.wanted) {
        loop_end(scene.loop);
    }
}

static void on_impatience(struct loop_timer *timer) {
    (void)timer;
    fail_msg("%zu found, %zu not, of %zu", scene.found_count, scene.missing_count, scene.wanted);
}

static void ask(size_t index, const char *host, uint64_t timeout_ms) {
    scene.waits[index].on_found = on_found;
    EXPECT_EQ(lookup_ask(scene.lookup, &scene.waits[index], host, timeout_ms), OK);
}

static void ask_all(uint64_t timeout_ms) {
    char host[32];
    for (size_t i = 0; i < WAITS; i++) {
        snprintf(host, sizeof(host), "bad-%zu", i);
        ask(i, host, timeout_ms);
    }
}

static void run(size_t count) {
    scene.wanted = count;
    loop_arm(scene.loop, &scene.patience, loop_now_ms(scene.loop) + TEST_PATIENCE_MS);
    loop_run(scene.loop);
    loop_disarm(scene.loop, &scene.patience);
}

static size_t count_threads(void) {
    size_t count = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    while (readdir(tasks) != NULL) {
        count++;
    }
    closedir(tasks);
    return count - 2; /* . and .. */
}

static int begin(void **state) {
    (void)state;
    memset(&scene, 0, sizeof(scene));
    resolver.within_max = resolver.calls = 0;
    resolver.is_hanging = false;
    scene.patience.on_due = on_impatience;
    if (metrics_create(1, &scene.metrics) != OK ||
        loop_create(metrics_shard(scene.metrics, METRICS_MAIN), &scene.loop, NULL) != OK) {
        return 1;
    }
    scene.lookup = lookup_borrow(scene.loop);
    return scene.lookup == NULL;
}

/* What hangs still is let go first, so that nothing of this test is in the next one. */
static int end(void **state) {
    (void)state;
    for (size_t i = 0; i < WAITS; i++) {
        lookup_take_back(&scene.waits[i]);
    }
    lookup_give_back(scene.lookup);
    hang(false);
    await_within(0);
    loop_destroy(scene.loop);
    metrics_destroy(scene.metrics);
    return 0;
}

/* --- claims ---------------------------------------------------------------------------------- */

TEST(addresses_of_both_families_are_found) {
    ask(0, "good", 10000);
    run(1);
    EXPECT_STRING(scene.found, "0.0.0.0,[::1]");
}

TEST(a_thousand_names_that_hang_are_no_thousand_threads) {
    size_t before = count_threads();
    hang(true);
    ask_all(60000);
    await_within(LOOKUP_THREADS_MAX - LOOKUP_THREADS_KNOWN);
    EXPECT_TRUE(count_threads() - before <= LOOKUP_THREADS_MAX - LOOKUP_THREADS_KNOWN);
    hang(false);
    run(WAITS);
    EXPECT_EQ(scene.missing_count, WAITS);
    EXPECT_EQ(count_calls(), WAITS);
    EXPECT_EQ(resolver.within_max, LOOKUP_THREADS_MAX - LOOKUP_THREADS_KNOWN);
}

TEST(names_that_hang_hold_up_none_that_was_found_before) {
    ask(0, "good", 10000);
    run(1);
    hang(true);
    ask_all(60000);
    await_within(LOOKUP_THREADS_MAX - LOOKUP_THREADS_KNOWN);
    lookup_take_back(&scene.waits[0]);
    ask(0, "good", 10000);
    run(2);
    EXPECT_EQ(scene.found_count, 2);
}

TEST(who_waits_too_long_is_told_though_no_thread_was_free) {
    hang(true);
    ask_all(1);
    run(WAITS);
    EXPECT_EQ(scene.missing_count, WAITS);
    EXPECT_TRUE(count_calls() <= LOOKUP_THREADS_MAX);
}

TEST(more_may_wait_than_the_loop_has_timers) {
    const size_t count = LOOP_TIMERS_MAX + 1;
    struct lookup_wait *waits = calloc(count, sizeof(*waits));
    assert_non_null(waits);
    hang(true);
    for (size_t i = 0; i < count; i++) {
        waits[i].on_found = on_found;
        EXPECT_EQ(lookup_ask(scene.lookup, &waits[i], "bad", i % 2 == 0 ? 1 : 60000), OK);
    }
    run(count / 2 + 1);
    hang(false);
    run(count);
    EXPECT_EQ(scene.missing_count, count);
    free(waits);
}

TEST(a_name_is_asked_for_once_however_many_wait) {
    hang(true);
    for (size_t i = 0; i < WAITS; i++) {
        ask(i, "bad", 60000);
    }
    hang(false);
    run(WAITS);
    EXPECT_EQ(count_calls(), 1);
}

TEST(names_longer_than_any_are_refused) {
    char host[2 * LOOKUP_HOST_BYTES];
    memset(host, 'a', sizeof(host));
    host[sizeof(host) - 1] = '\0';
    EXPECT_EQ(lookup_ask(scene.lookup, &scene.waits[0], host, 1), ERR_TOO_LARGE);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CLAIM(addresses_of_both_families_are_found),
        CLAIM(a_thousand_names_that_hang_are_no_thousand_threads),
        CLAIM(names_that_hang_hold_up_none_that_was_found_before),
        CLAIM(who_waits_too_long_is_told_though_no_thread_was_free),
        CLAIM(more_may_wait_than_the_loop_has_timers),
        CLAIM(a_name_is_asked_for_once_however_many_wait),
        CLAIM(names_longer_than_any_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

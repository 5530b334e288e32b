/* SPDX-License-Identifier: Apache-2.0 */
/* Port 1 is nobody's: what is resolved is not connected to, and says so. */
#include "protocols/sinks/resolving.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <strings.h>

#include "broker/metrics/metrics.h"
#include "tests/unit.h"

static struct {
    struct metrics *metrics;
    struct loop *loop;
    struct lookup *lookup;
    CURL *handle;
    struct resolving resolving;
    bool is_found;
} scene;

/* Stands before the library's; libcurl calls it too, where it resolves by itself. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list);
void freeaddrinfo(struct addrinfo *list);

void freeaddrinfo(struct addrinfo *list) {
    (void)list;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret_list) {
    static struct sockaddr_in address = {.sin_family = AF_INET};
    static struct addrinfo found = {.ai_family = AF_INET,
                                    .ai_addr = (struct sockaddr *)&address,
                                    .ai_addrlen = sizeof(address)};
    (void)service;
    (void)hints;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *ret_list = &found;
    return strcasecmp(name, "known.invalid") == 0 ? 0 : EAI_NONAME;
}

static int begin(void **state) {
    (void)state;
    memset(&scene, 0, sizeof(scene));
    if (metrics_create(1, &scene.metrics) != OK ||
        loop_create(metrics_shard(scene.metrics, METRICS_MAIN), &scene.loop, NULL) != OK) {
        return 1;
    }
    scene.lookup = lookup_borrow(scene.loop);
    scene.handle = curl_easy_init();
    return scene.lookup == NULL || scene.handle == NULL ||
           !resolving_prepare(&scene.resolving, scene.handle);
}

static int end(void **state) {
    (void)state;
    resolving_end(&scene.resolving);
    curl_easy_cleanup(scene.handle);
    lookup_give_back(scene.lookup);
    loop_destroy(scene.loop);
    metrics_destroy(scene.metrics);
    return 0;
}

static CURLcode transfer(const char *url) {
    curl_easy_setopt(scene.handle, CURLOPT_URL, url);
    return curl_easy_perform(scene.handle);
}

static void on_resolved(struct resolving *resolving, bool is_found) {
    (void)resolving;
    scene.is_found = is_found;
    loop_end(scene.loop);
}

static void resolve(void) {
    scene.resolving.on_resolved = on_resolved;
    EXPECT_EQ(resolving_begin(&scene.resolving, scene.lookup, 10000), OK);
    loop_run(scene.loop);
}

TEST(what_needs_no_resolver_is_not_asked_for) {
    static const char *const urls[] = {"http://127.0.0.1:1/", "http://[::1]:1/", "http://0x7f.1:1/",
                                       "http://localhost:1/", "http://a.LocalHost:1/"};
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        EXPECT_EQ(transfer(urls[i]), CURLE_COULDNT_CONNECT);
        EXPECT_FALSE(resolving_is_due(&scene.resolving));
    }
}

TEST(a_name_is_asked_for_and_goes_on_with_its_addresses) {
    EXPECT_EQ(transfer("http://Known.Invalid:1/"), CURLE_COULDNT_RESOLVE_HOST);
    EXPECT_TRUE(resolving_is_due(&scene.resolving));
    resolve();
    EXPECT_TRUE(scene.is_found);
    EXPECT_EQ(transfer("http://Known.Invalid:1/"), CURLE_COULDNT_CONNECT);
}

TEST(a_name_that_is_not_found_is_not_asked_for_again) {
    EXPECT_EQ(transfer("http://nobody.invalid:1/"), CURLE_COULDNT_RESOLVE_HOST);
    resolve();
    EXPECT_FALSE(scene.is_found);
    EXPECT_FALSE(resolving_is_due(&scene.resolving));
    resolving_end(&scene.resolving);
    EXPECT_EQ(transfer("http://nobody.invalid:1/"), CURLE_COULDNT_RESOLVE_HOST);
    EXPECT_TRUE(resolving_is_due(&scene.resolving));
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        CLAIM(what_needs_no_resolver_is_not_asked_for),
        CLAIM(a_name_is_asked_for_and_goes_on_with_its_addresses),
        CLAIM(a_name_that_is_not_found_is_not_asked_for_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

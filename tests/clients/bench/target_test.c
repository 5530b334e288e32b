/* SPDX-License-Identifier: Apache-2.0 */
#include "clients/bench/target.h"

#include "tests/unit.h"

static struct target target;
static char name[TARGET_TEXT_BYTES];
static char port[8];
static const char *why;

static bool parse(const char *url) {
    return target_parse(url, "http", 80, &target, name, port, &why);
}

TEST(a_url_has_a_host_a_port_and_a_path) {
    EXPECT_TRUE(parse("http://example.org:8080/base/?x=1"));
    EXPECT_STRING(name, "example.org");
    EXPECT_STRING(port, "8080");
    EXPECT_STRING(target.host, "example.org:8080");
    EXPECT_STRING(target.path, "/base");
}

TEST(what_is_left_out_is_the_schemes) {
    EXPECT_TRUE(parse("HTTP://example.org"));
    EXPECT_STRING(port, "80");
    EXPECT_STRING(target.host, "example.org");
    EXPECT_STRING(target.path, "");
}

TEST(addresses_of_version_6_stand_in_brackets) {
    EXPECT_TRUE(parse("http://[::1]:81/"));
    EXPECT_STRING(name, "::1");
    EXPECT_STRING(port, "81");
    EXPECT_STRING(target.host, "[::1]:81");
    EXPECT_TRUE(parse("http://[::1]"));
    EXPECT_STRING(port, "80");
}

TEST(what_is_no_such_url_is_refused) {
    static const char *const urls[] = {"",
                                       "example.org",
                                       "mqtt://example.org",
                                       "http://",
                                       "http://:8",
                                       "http://example.org:",
                                       "http://a:123456",
                                       "http://a:8x",
                                       "http://me:secret@example.org:81",
                                       "http://[]",
                                       "http://[::1]8",
                                       "http:///path",
                                       "https://example.org"};
    for (size_t index = 0; index < sizeof(urls) / sizeof(urls[0]); index++) {
        why = NULL;
        EXPECT_FALSE(parse(urls[index]));
        EXPECT_NOT_NULL(why);
    }
}

TEST(what_is_longer_than_there_is_room_is_refused) {
    char url[2 * TARGET_TEXT_BYTES];
    memset(url, 'a', sizeof(url) - 1);
    url[sizeof(url) - 1] = '\0';
    memcpy(url, "http://", 7);
    EXPECT_FALSE(parse(url));
    url[10] = '/';
    EXPECT_FALSE(parse(url));
}

UNIT_TESTS(UNIT(a_url_has_a_host_a_port_and_a_path), UNIT(what_is_left_out_is_the_schemes),
           UNIT(addresses_of_version_6_stand_in_brackets), UNIT(what_is_no_such_url_is_refused),
           UNIT(what_is_longer_than_there_is_room_is_refused))

/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/admission/origin.h"

#include "tests/unit.h"

static char our_host[] = "broker.example.org";
static char our_origin[] = "https://example.org";
static char *hosts[] = {our_host};
static char *origins[] = {our_origin};

static const struct origin_policy local = {.is_open = false};
static const struct origin_policy configured = {
    .hosts = hosts, .host_count = 1, .origins = origins, .origin_count = 1};

static enum error_code ask(const struct origin_policy *policy, const char *host, const char *origin,
                           const char *site, bool changes_state, bool *ret_is_listed) {
    struct origin_question question = {.has_host = host != NULL,
                                       .host = span_of_string(host),
                                       .origin = span_of_string(origin),
                                       .fetch_site = span_of_string(site),
                                       .changes_state = changes_state};
    struct error why = {0};
    return origin_check(policy, &question, ret_is_listed, &why);
}

static enum error_code publish_from(const char *host, const char *origin) {
    bool is_listed = false;
    return ask(&local, host, origin, NULL, true, &is_listed);
}

TEST(programs_are_held_to_the_host_alone) {
    EXPECT_EQ(publish_from("127.0.0.1:8080", NULL), OK);
    EXPECT_EQ(publish_from("localhost:1", NULL), OK);
    EXPECT_EQ(publish_from("LOCALHOST", NULL), OK);
    EXPECT_EQ(publish_from("[::1]:8080", NULL), OK);
    EXPECT_EQ(publish_from("127.8.9.1", NULL), OK);
    EXPECT_EQ(publish_from("app.localhost:8080", NULL), OK);
    EXPECT_EQ(publish_from(NULL, NULL), OK);
}

TEST(a_name_that_was_made_to_resolve_to_us_is_misdirected) {
    EXPECT_EQ(publish_from("evil.example", NULL), ERR_MISDIRECTED);
    EXPECT_EQ(publish_from("127.0.0.1.evil.example:8080", NULL), ERR_MISDIRECTED);
    EXPECT_EQ(publish_from("localhost.evil.example", NULL), ERR_MISDIRECTED);
    EXPECT_EQ(publish_from("notlocalhost", NULL), ERR_MISDIRECTED);
    EXPECT_EQ(publish_from("169.254.169.254", NULL), ERR_MISDIRECTED);
    EXPECT_EQ(publish_from("evil.example", "http://evil.example"), ERR_MISDIRECTED);
}

TEST(a_host_that_is_no_host_is_refused) {
    EXPECT_EQ(publish_from("", NULL), ERR_BAD_REQUEST);
    EXPECT_EQ(publish_from("localhost:x", NULL), ERR_BAD_REQUEST);
    EXPECT_EQ(publish_from("localhost:99999", NULL), ERR_BAD_REQUEST);
    EXPECT_EQ(publish_from("[::1", NULL), ERR_BAD_REQUEST);
    EXPECT_EQ(publish_from("[::1]x", NULL), ERR_BAD_REQUEST);
    EXPECT_EQ(publish_from(":8080", NULL), ERR_BAD_REQUEST);
}

TEST(a_page_of_another_origin_is_refused) {
    const char *foreign[] = {"https://evil.example",
                             "null",
                             "http://localhost:8081",
                             "http://localhost",
                             "http://127.0.0.1:8080",
                             "http://localhost:8080.evil.example",
                             "file://",
                             "x",
                             "localhost:8080",
                             "http://localhost:8080/",
                             "https://localhost:8080"};
    for (size_t i = 0; i < ARRAY_COUNT(foreign); i++) {
        EXPECT_EQ(publish_from("localhost:8080", foreign[i]), ERR_FORBIDDEN_ORIGIN);
    }
}

TEST(the_brokers_own_pages_pass) {
    EXPECT_EQ(publish_from("localhost:8080", "http://localhost:8080"), OK);
    EXPECT_EQ(publish_from("localhost", "http://localhost"), OK);
    EXPECT_EQ(publish_from("localhost:80", "http://localhost"), OK);
    EXPECT_EQ(publish_from("[::1]:8080", "http://[::1]:8080"), OK);
}

TEST(a_proxy_that_speaks_tls_for_us_keeps_pages_same_origin) {
    EXPECT_TRUE(origin_is_same(SPAN("https://example.org"), SPAN("example.org"), false));
    EXPECT_TRUE(origin_is_same(SPAN("https://example.org"), SPAN("example.org:443"), false));
    EXPECT_FALSE(origin_is_same(SPAN("https://example.org"), SPAN("example.org:80"), false));
    EXPECT_FALSE(origin_is_same(SPAN("https://example.org:8443"), SPAN("example.org"), false));
    EXPECT_TRUE(origin_is_same(SPAN("https://example.org"), SPAN("example.org"), true));
    EXPECT_FALSE(origin_is_same(SPAN("http://example.org"), SPAN("example.org"), true));
}

static enum error_code program_from(const char *host, const char *origin) {
    bool is_listed = false;
    struct origin_question question = {.has_host = true,
                                       .host = span_of_string(host),
                                       .origin = span_of_string(origin),
                                       .ignores_scheme = true};
    struct error why = {0};
    return origin_check(&local, &question, &is_listed, &why);
}

TEST(a_program_may_call_our_own_port_https) {
    EXPECT_EQ(program_from("localhost:8080", "https://localhost:8080"), OK);
    EXPECT_EQ(program_from("127.0.0.1:8080", "https://127.0.0.1:8080"), OK);
    EXPECT_EQ(program_from("localhost:8080", "http://localhost:8080"), OK);
    EXPECT_EQ(program_from("localhost:8080", "https://localhost"), ERR_FORBIDDEN_ORIGIN);
    EXPECT_EQ(program_from("localhost", "https://localhost"), ERR_FORBIDDEN_ORIGIN);
    EXPECT_EQ(program_from("localhost:8080", "https://localhost:8443"), ERR_FORBIDDEN_ORIGIN);
    EXPECT_EQ(program_from("localhost:8080", "https://evil.example:8080"), ERR_FORBIDDEN_ORIGIN);
    EXPECT_EQ(program_from("localhost:8080", "null"), ERR_FORBIDDEN_ORIGIN);
}

TEST(a_listed_origin_passes_and_is_told_apart) {
    bool is_listed = false;
    EXPECT_EQ(ask(&configured, "broker.example.org", "https://example.org", NULL, true, &is_listed),
              OK);
    EXPECT_TRUE(is_listed);
    EXPECT_EQ(ask(&configured, "broker.example.org", "https://broker.example.org", NULL, true,
                  &is_listed),
              OK);
    EXPECT_FALSE(is_listed);
    EXPECT_EQ(ask(&configured, "localhost", "https://sub.example.org", NULL, true, &is_listed),
              ERR_FORBIDDEN_ORIGIN);
    EXPECT_EQ(ask(&configured, "localhost", "http://example.org", NULL, true, &is_listed),
              ERR_FORBIDDEN_ORIGIN);
}

TEST(null_passes_not_even_where_somebody_lists_it) {
    static char null[] = "null";
    static char *anybody[] = {null};
    struct origin_policy policy = {.origins = anybody, .origin_count = 1};
    bool is_listed = false;
    EXPECT_EQ(ask(&policy, "localhost", "null", NULL, true, &is_listed), ERR_FORBIDDEN_ORIGIN);
}

TEST(an_open_broker_serves_any_host_unless_it_names_some) {
    struct origin_policy open = {.is_open = true};
    struct origin_policy named = {.is_open = true, .hosts = hosts, .host_count = 1};
    bool is_listed = false;
    EXPECT_EQ(ask(&open, "anything.example", NULL, NULL, true, &is_listed), OK);
    EXPECT_EQ(ask(&open, "anything.example", "https://evil.example", NULL, true, &is_listed),
              ERR_FORBIDDEN_ORIGIN);
    EXPECT_EQ(ask(&named, "anything.example", NULL, NULL, true, &is_listed), ERR_MISDIRECTED);
    EXPECT_EQ(ask(&named, "broker.example.org:80", NULL, NULL, true, &is_listed), OK);
}

TEST(without_origin_a_foreign_page_may_show_but_not_publish) {
    bool is_listed = false;
    EXPECT_EQ(ask(&local, "localhost", NULL, "cross-site", true, &is_listed), ERR_FORBIDDEN_ORIGIN);
    EXPECT_EQ(ask(&local, "localhost", NULL, "same-site", true, &is_listed), ERR_FORBIDDEN_ORIGIN);
    EXPECT_EQ(ask(&local, "localhost", NULL, "cross-site", false, &is_listed), OK);
    EXPECT_EQ(ask(&local, "localhost", NULL, "same-origin", true, &is_listed), OK);
    EXPECT_EQ(ask(&local, "localhost", NULL, "none", true, &is_listed), OK);
}

UNIT_TESTS(UNIT(programs_are_held_to_the_host_alone),
           UNIT(a_name_that_was_made_to_resolve_to_us_is_misdirected),
           UNIT(a_host_that_is_no_host_is_refused), UNIT(a_page_of_another_origin_is_refused),
           UNIT(the_brokers_own_pages_pass),
           UNIT(a_proxy_that_speaks_tls_for_us_keeps_pages_same_origin),
           UNIT(a_program_may_call_our_own_port_https),
           UNIT(a_listed_origin_passes_and_is_told_apart),
           UNIT(null_passes_not_even_where_somebody_lists_it),
           UNIT(an_open_broker_serves_any_host_unless_it_names_some),
           UNIT(without_origin_a_foreign_page_may_show_but_not_publish))

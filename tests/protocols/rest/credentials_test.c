/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/rest/credentials.h"

#include "broker/limits.h"
#include "broker/runtime/access.h"
#include "protocols/rest/routes.h"
#include "tests/protocols/fakes.h"
#include "tests/unit.h"

static struct credentials found;
static struct buffer text;
static struct error why;

static enum error_code find(const char *method, const char *path, const char *query,
                            const char *headers) {
    struct request *request = fakes_request(method, path, query, headers);
    request->method_bit = strcmp(method, "GET") == 0 ? METHOD_GET : METHOD_POST;
    found = (struct credentials){0};
    why = (struct error){0};
    buffer_finish(&text);
    buffer_init(&text, TOKEN_BYTES_MAX);
    enum error_code code = credentials_find(request, "tidings_token", &text, &found, &why);
    if (found.bearer.length > 0 && found.bearer.bytes != text.bytes) { /* outlives the request */
        struct span bearer = found.bearer;
        EXPECT_EQ(buffer_put(&text, bearer), OK);
        found.bearer = buffer_borrow(&text);
    }
    request_destroy(request);
    return code;
}

static int end(void **state) {
    buffer_finish(&text);
    return fakes_end(state);
}

TEST(a_header_has_them_in_any_case_of_its_scheme) {
    EXPECT_EQ(find("GET", "/channels/a", NULL, "Authorization: Bearer abc\n"), OK);
    EXPECT_SPAN(found.bearer, "abc");
    EXPECT_EQ(find("GET", "/channels/a", NULL, "authorization: bEARER  abc\n"), OK);
    EXPECT_SPAN(found.bearer, "abc");
    EXPECT_EQ(find("GET", "/channels/a", NULL, NULL), OK);
    EXPECT_EQ(found.bearer.length, 0);
}

TEST(another_scheme_or_no_token_is_no_credential) {
    static const char *const headers[] = {"Authorization: Basic YTpi\n", "Authorization: Bearer\n",
                                          "Authorization: Bearer a b\n", "Authorization: abc\n"};
    for (size_t i = 0; i < ARRAY_COUNT(headers); i++) {
        EXPECT_EQ(find("GET", "/channels/a", NULL, headers[i]), ERR_UNAUTHORIZED);
    }
}

TEST(a_query_has_them_however_it_is_escaped) {
    EXPECT_EQ(find("GET", "/channels/a", "since=1&ticket=a%62c", NULL), OK);
    EXPECT_SPAN(found.ticket, "abc");
    EXPECT_EQ(find("GET", "/channels/a", "%61ccess_token=abc", NULL), OK);
    EXPECT_SPAN(found.bearer, "abc");
    EXPECT_EQ(find("GET", "/channels/a", "ticket=", NULL), ERR_UNAUTHORIZED);
    EXPECT_EQ(find("GET", "/channels/a", "ticket=%zz", NULL), ERR_BAD_REQUEST);
}

TEST(two_of_them_contradict_each_other) {
    EXPECT_EQ(find("GET", "/a", NULL, "Authorization: Bearer a\nAuthorization: Bearer b\n"),
              ERR_BAD_REQUEST);
    EXPECT_EQ(find("GET", "/a", "ticket=a", "Authorization: Bearer a\n"), ERR_BAD_REQUEST);
    EXPECT_EQ(find("GET", "/a", "ticket=a&access_token=b", NULL), ERR_BAD_REQUEST);
    EXPECT_EQ(find("GET", "/a", "ticket=a&ticket=b", NULL), ERR_BAD_REQUEST);
    EXPECT_EQ(find("GET", "/a", NULL, "Cookie: tidings_token=a; tidings_token=b\n"),
              ERR_BAD_REQUEST);
}

TEST(a_cookie_gives_way_to_what_was_meant) {
    EXPECT_EQ(find("GET", "/a", "ticket=a", "Cookie: tidings_token=b\n"), OK);
    EXPECT_SPAN(found.ticket, "a");
    EXPECT_EQ(found.bearer.length, 0);
    EXPECT_EQ(find("GET", "/a", NULL, "Cookie: tidings_token=b\nAuthorization: Bearer a\n"), OK);
    EXPECT_SPAN(found.bearer, "a");
}

TEST(a_cookie_is_one_of_several) {
    EXPECT_EQ(find("GET", "/channels/a", NULL, "Cookie: x=y; tidings_token=abc; z=tidings_token\n"),
              OK);
    EXPECT_SPAN(found.bearer, "abc");
    EXPECT_EQ(find("GET", "/channels/a", NULL, "Cookie: tidings_token=\"abc\"\n"), OK);
    EXPECT_SPAN(found.bearer, "abc");
    EXPECT_EQ(find("GET", "/channels/a", NULL, "Cookie: xtidings_token=abc\n"), OK);
    EXPECT_EQ(found.bearer.length, 0);
}

/* Whether the browser vouches for the page that makes it send the cookie. */
TEST(a_cookie_counts_where_a_page_is_vouched_for) {
    static const struct {
        const char *method;
        const char *path;
        const char *headers;
        bool counts;
    } rows[] = {
        {"GET", "/channels/a", "", true}, /* nobody but its own page could look into it */
        {"GET", "/channels/a", "Sec-Fetch-Site: none\n", true},
        {"GET", "/channels/a", "Sec-Fetch-Site: cross-site\n", false},
        {"GET", "/channels/a", "Sec-Fetch-Site: same-site\n", false},
        {"GET", "/channels/a", "Sec-Fetch-Site: same-origin\n", true},
        {"GET", "/channels/a", "Sec-Fetch-Site: same-site\nOrigin: https://listed\n", true},
        {"GET", "/channels/a", "Accept: text/event-stream\n", false},
        {"GET", "/channels/a", "Accept: text/event-stream\nSec-Fetch-Site: none\n", false},
        {"GET", "/channels/a", "Accept: text/event-stream\nSec-Fetch-Site: same-origin\n", true},
        {"GET", "/channels/a", "Accept: text/event-stream\nOrigin: http://own\n", true},
        {"GET", "/stream", "", false},
        {"POST", "/channels/a", "", false},
        {"POST", "/channels/a", "Sec-Fetch-Site: none\n", false},
        {"POST", "/channels/a", "Sec-Fetch-Site: same-origin\n", true},
        {"POST", "/channels/a", "Origin: http://own\n", true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        char headers[256];
        snprintf(headers, sizeof(headers), "Cookie: tidings_token=abc\n%s", rows[i].headers);
        EXPECT_EQ(find(rows[i].method, rows[i].path, NULL, headers), OK);
        EXPECT_EQ(found.bearer.length > 0, rows[i].counts);
    }
}

TEST(their_names_are_nobody_elses) {
    EXPECT_TRUE(credentials_is_parameter(SPAN("ticket")));
    EXPECT_TRUE(credentials_is_parameter(SPAN("access%5Ftoken")));
    EXPECT_FALSE(credentials_is_parameter(SPAN("offset")));
}

#define FOUND(name) cmocka_unit_test_setup_teardown(name, fakes_begin, end)

UNIT_TESTS(FOUND(a_header_has_them_in_any_case_of_its_scheme),
           FOUND(another_scheme_or_no_token_is_no_credential),
           FOUND(a_query_has_them_however_it_is_escaped), FOUND(two_of_them_contradict_each_other),
           FOUND(a_cookie_gives_way_to_what_was_meant), FOUND(a_cookie_is_one_of_several),
           FOUND(a_cookie_counts_where_a_page_is_vouched_for), FOUND(their_names_are_nobody_elses))

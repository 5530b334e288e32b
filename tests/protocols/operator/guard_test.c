/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/operator/guard.h"

#include "protocols/rest/request.h"
#include "tests/protocols/operator/fakes.h"
#include "tests/unit.h"

static enum error_code check(const char *host, const char *origin, bool changes_state) {
    struct broker *broker = fakes_create(NULL);
    struct request_header headers[] = {{SPAN("Host"), span_of_string(host)},
                                       {SPAN("Origin"), span_of_string(origin)}};
    struct request request = {
        .broker = broker, .headers = headers, .header_count = origin == NULL ? 1 : 2};
    enum error_code code = guard_check(&request, changes_state, NULL);
    fakes_destroy(broker);
    return code;
}

TEST(programs_and_pages_of_this_port_pass) {
    EXPECT_EQ(check("localhost:8081", NULL, true), OK);
    EXPECT_EQ(check("127.0.0.1:8081", "http://127.0.0.1:8081", true), OK);
}

TEST(pages_of_others_do_not) {
    EXPECT_EQ(check("localhost:8081", "https://evil.example", false), ERR_FORBIDDEN_ORIGIN);
    EXPECT_EQ(check("localhost:8081", "null", true), ERR_FORBIDDEN_ORIGIN);
    EXPECT_EQ(check("evil.example", NULL, false), ERR_MISDIRECTED);
}

UNIT_TESTS(UNIT(programs_and_pages_of_this_port_pass), UNIT(pages_of_others_do_not))

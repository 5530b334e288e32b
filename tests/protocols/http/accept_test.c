/* SPDX-License-Identifier: Apache-2.0 */
#include "protocols/http/accept.h"

#include "broker/support/macros.h"
#include "tests/unit.h"

#define JSON 0
#define EVENTS 1
#define NONE 9

static size_t choice(const char *accept) {
    static const char *const offers[] = {"application/json", "text/event-stream"};
    size_t index = NONE;
    return accept_choose(span_of_string(accept), offers, ARRAY_COUNT(offers), &index) ? index
                                                                                      : NONE;
}

TEST(the_form_that_is_liked_best_is_chosen) {
    static const struct {
        const char *accept;
        size_t index;
    } cases[] = {
        {"", JSON},
        {"*/*", JSON},
        {"text/event-stream", EVENTS},
        {"application/json", JSON},
        {"text/event-stream, */*", EVENTS},
        {"*/*, text/event-stream", EVENTS},
        {"text/*", EVENTS},
        {"text/event-stream;q=0.5, application/json;q=0.4", EVENTS},
        {"text/event-stream;q=0.5, application/json;q=0.501", JSON},
        {"application/json;q=0, */*", EVENTS},
        {"text/event-stream;q=0, text/*", NONE},
        {"text/html, */*;q=0.1", JSON},
        {"TEXT/Event-Stream", EVENTS},
        {"application/json; charset=utf-8", JSON},
        {"text/html", NONE},
        {"text/html,application/xhtml+xml,*/*;q=0", NONE},
        {"garbage", JSON},
        {"application/json;q=2", JSON},
        {"a/b;x=\"text/event-stream, */*\"", NONE},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        EXPECT_EQ(choice(cases[i].accept), cases[i].index);
    }
}

UNIT_TESTS(UNIT(the_form_that_is_liked_best_is_chosen))
